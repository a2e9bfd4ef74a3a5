//! The pretrained network against what it was published to say.

#![allow(clippy::unwrap_used, reason = "in a test a failure is the message")]
#![allow(clippy::print_stderr, reason = "a test that skips says so")]
#![allow(
    clippy::disallowed_methods,
    reason = "the folder of the data packs is named in the environment"
)]

use std::fs::File;
use std::io::BufReader;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use model::dataset::TimeSplit;
use model::image::{ImageBundleRequest, ImageBundleStart};
use model::metrics::ThresholdPolicy;
use model::vision::{
    Backbone, BackboneScorer, ImageNetwork, ImageShape, ImageTrainingSettings, Images, Stage, Unfrozen,
};
use model::{FeatureSchema, ImageBundle, ImageRiskScorer, Provenance, Rows, train_image_bundle};

/// The size of the reference images.
const SIZE: usize = 224;
/// Between this forward pass and PyTorch's on the same weights.
const TOLERANCE: f32 = 1e-3;
/// What rounding the weights to 16 bits moved the published logits by, as the pack says.
const ROUNDING: f32 = 0.045;

/// The five highest logits of an image.
type Highest = [(usize, f32, f32); 5];

/// The five highest logits of each image: class, as published for the unrounded weights, and as PyTorch 2.15 computes
/// them from the weights in the pack:
///
/// ```python
/// x = (torch.tensor(numpy.array(PIL.Image.open(path))).float() - 127) / 128
/// network(x.permute(2, 0, 1)[None]).topk(5)  # BatchNorm2d(eps=1e-3), ReLU6, TensorFlow's padding, eval()
/// ```
const REFERENCE: [(&str, Highest); 3] = [
    (
        "chelsea",
        [
            (282, 9.1667, 9.1538),
            (285, 9.0862, 9.0803),
            (281, 8.3384, 8.3292),
            (287, 6.1710, 6.1677),
            (904, 3.5649, 3.5586),
        ],
    ),
    (
        "coffee",
        [
            (967, 11.4004, 11.3869),
            (968, 7.2504, 7.2462),
            (925, 6.5871, 6.5818),
            (960, 5.9465, 5.9394),
            (504, 5.7599, 5.7535),
        ],
    ),
    (
        "rocket",
        [
            (657, 7.3207, 7.2950),
            (744, 6.9272, 6.9035),
            (540, 6.1099, 6.1100),
            (812, 5.5762, 5.5777),
            (668, 4.5366, 4.5290),
        ],
    ),
];

/// The folder of the pack, or a word about its absence.
fn pack() -> Option<PathBuf> {
    let folder = std::env::var_os("RISKSTREAM_DATA").map(|data| Path::new(&data).join("efficientnet-lite0"));
    let found = folder.filter(|folder| folder.is_dir());
    if found.is_none() {
        eprintln!("skipped: RISKSTREAM_DATA names no folder that holds the pack efficientnet-lite0");
    }
    found
}

fn backbone(folder: &Path) -> Backbone {
    let bytes = std::fs::read(folder.join("efficientnet_lite0_f16.safetensors")).unwrap();
    Backbone::from_safetensors(&bytes).unwrap()
}

fn scorer(folder: &Path) -> BackboneScorer {
    backbone(folder).scorer(SIZE, SIZE).unwrap()
}

fn pixels(path: &Path) -> Vec<u8> {
    let mut decoder = png::Decoder::new(BufReader::new(File::open(path).unwrap()));
    decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
    let mut reader = decoder.read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    assert_eq!(info.color_type, png::ColorType::Rgb);
    bytes
}

fn images(folder: &Path) -> Images {
    let shape = ImageShape {
        height: SIZE,
        width: SIZE,
        channels: 3,
    };
    let each = REFERENCE.iter();
    let pixels = each.flat_map(|(name, _)| pixels(&folder.join(format!("{name}_{SIZE}.png"))));
    Images::new(shape, pixels.collect()).unwrap()
}

#[test]
fn logits_are_those_of_pytorch_on_the_same_weights() {
    let Some(folder) = pack() else { return };
    let logits = scorer(&folder).logits(&images(&folder)).unwrap();
    for ((name, reference), logits) in REFERENCE.iter().zip(logits.chunks_exact(1_000)) {
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
        for (&found, &(class, published, rounded)) in order.iter().zip(reference) {
            assert_eq!(found, class, "{name}");
            let logit = logits[class];
            assert!(
                (logit - rounded).abs() < TOLERANCE,
                "{name} {class}: {logit} where PyTorch has {rounded}"
            );
            assert!(
                (logit - published).abs() < ROUNDING,
                "{name} {class}: {logit} where {published} was published"
            );
        }
    }
}

#[test]
fn an_image_has_the_same_logits_alone_and_among_others() {
    let Some(folder) = pack() else { return };
    let (scorer, images) = (scorer(&folder), images(&folder));
    let together = scorer.logits(&images).unwrap();
    let alone = scorer.logits(&images.select(&[2])).unwrap();
    assert_eq!(alone, together[2_000..], "INV-5");
}

/// Images of 32×32 pixels; those with stripes across are fraud, those with stripes along are not.
fn stripes(count: usize) -> (Images, Vec<f32>) {
    let shape = ImageShape {
        height: 32,
        width: 32,
        channels: 3,
    };
    let pixel = |image: usize, at: usize| {
        let (row, column) = (at / 3 / 32, at / 3 % 32);
        let place = if image.is_multiple_of(2) { row } else { column } + image;
        let noise = u8::try_from((at * 31 + image * 7) % 23).unwrap();
        if (place / 4).is_multiple_of(2) {
            40 + noise
        } else {
            200 + noise
        }
    };
    let pixels = (0..count).flat_map(|image| (0..shape.len()).map(move |at| pixel(image, at)));
    let labels = (0..count).map(|image| if image.is_multiple_of(2) { 1.0 } else { 0.0 });
    (Images::new(shape, pixels.collect()).unwrap(), labels.collect())
}

#[test]
fn a_bundle_is_trained_from_the_network_and_names_it() {
    let Some(folder) = pack() else { return };
    let backbone = backbone(&folder);
    let (images, labels) = stripes(60);
    let times_us: Vec<i64> = (0..60).collect();
    let mut settings = ImageTrainingSettings::fine_tuning();
    settings.stages = vec![Stage {
        unfrozen: Unfrozen::Head,
        max_epochs: 10,
        learning_rate: 1e-2,
        rate_decay: 1.0,
    }];
    let request = ImageBundleRequest {
        network: &ImageNetwork::efficientnet_lite0(32, 32, 1),
        start: ImageBundleStart::Backbone(&backbone),
        images: &images,
        labels: &labels,
        schema: &FeatureSchema::of(&[], &[]).unwrap(),
        features: &Rows::new(60),
        times_us: &times_us,
        split: &TimeSplit::last_share(&times_us, 0.4),
        settings: &settings,
        thresholds: ThresholdPolicy::default(),
        seed: 1,
        provenance: Provenance::default(),
    };
    let trained = train_image_bundle(&request, &mut |_, _, image| image.to_vec(), &mut |_| {
        ControlFlow::Continue(())
    });
    let bundle = trained.unwrap().bundle;
    assert_eq!(bundle.manifest.backbone.as_deref(), Some(backbone.sha256()));
    assert!(bundle.manifest.metrics.values["auc_roc"] > 0.95);
    let read = ImageBundle::decode_version(&bundle.encode(), &bundle.version()).unwrap();
    let scorer = ImageRiskScorer::new(&read).unwrap();
    let together = scorer.score(&images, &Rows::new(60)).unwrap();
    let alone = scorer.score(&images.select(&[7]), &Rows::new(1)).unwrap();
    assert_eq!(alone[0], together[7], "INV-5");
    let frozen = backbone.scorer(32, 32).unwrap().embeddings(&images).unwrap();
    assert_eq!(
        scorer.embeddings(&images).unwrap(),
        frozen,
        "only the head learned"
    );
}
