//! From labelled images and what is known of them to a bundle.

use super::head::{FeatureRows, ImageHead, Sample};
use super::{IMAGE_CONTRIBUTION, ImageBundle, ImageManifest};
use crate::bundle::{FORMAT, Measured, ModelKind, SchemaRecord, sha256};
use crate::dataset::TimeSplit;
use crate::metrics::{Measures, ThresholdPolicy, evaluate};
use crate::scalar::sorted_quantile;
use crate::scorer::finite;
use crate::training::{baseline, check_lengths};
use crate::vision::{
    Augment, Backbone, ImageEpoch, ImageModel, ImageNetwork, ImageProgress, ImageStart, ImageTrainingRequest,
    ImageTrainingSettings, Images, TrainedImages, train_images,
};
use crate::{Error, FeatureKind, FeatureSchema, Provenance, Result, Rows};

/// The weights to start from.
#[derive(Clone, Copy, Debug)]
pub enum ImageBundleStart<'a> {
    /// Random ones.
    Random,
    /// Those of a pretrained network, under a new head.
    Backbone(&'a Backbone),
    /// Those of a bundle trained before.
    Bundle(&'a ImageBundle),
}

/// Everything a training run depends on, beside the augmentation.
#[derive(Clone, Debug)]
pub struct ImageBundleRequest<'a> {
    /// The network, with one output.
    pub network: &'a ImageNetwork,
    /// The weights to start from.
    pub start: ImageBundleStart<'a>,
    /// The images of both parts, in red, green and blue also for a grey network.
    pub images: &'a Images,
    /// 1 for fraud and 0 otherwise, one an image.
    pub labels: &'a [f32],
    /// The features to read, numbers all of them; none at all is well.
    pub schema: &'a FeatureSchema,
    /// Raw features, one row an image, as they will be scored.
    pub features: &'a Rows,
    /// The time of each image.
    pub times_us: &'a [i64],
    /// Which images to learn from and which to stop, calibrate and measure by; the latter are never augmented.
    pub split: &'a TimeSplit,
    /// How the network learns.
    pub settings: &'a ImageTrainingSettings,
    /// How thresholds are chosen.
    pub thresholds: ThresholdPolicy,
    /// Decides everything random.
    pub seed: u64,
    /// Where data and code come from.
    pub provenance: Provenance,
}

/// A trained bundle.
#[derive(Clone, Debug)]
pub struct TrainedImageBundle {
    /// Ready to be stored.
    pub bundle: ImageBundle,
    /// What it reached on the validation images; also in the manifest.
    pub validation: Measures,
    /// Every pass of the network.
    pub curve: Vec<ImageEpoch>,
}

/// Trains the network, fits the head on the validation images, chooses thresholds and measures. The same request gives
/// the same bundle, bit for bit.
///
/// The features come in only with the head. Thresholds and measures are those of heads fitted on other validation
/// images than they judge; the network itself was stopped by these images, as a model of transactions is by its rows.
///
/// # Errors
/// As [`train_images`], and if a feature is absent, no number, or named [`IMAGE_CONTRIBUTION`].
pub fn train_image_bundle(
    request: &ImageBundleRequest<'_>,
    augment: &mut Augment<'_>,
    progress: &mut ImageProgress<'_>,
) -> Result<TrainedImageBundle> {
    check(request)?;
    let TrainedImages { model, curve } = train_network(request, augment, progress)?;
    let validation = &request.split.validation;
    let logits = logits(&model, &request.images.select(validation))?;
    let labels: Vec<f32> = validation.iter().map(|&at| request.labels[at]).collect();
    let features = FeatureRows::new(request.schema, &request.features.select(validation))?;
    let (head, left_out) = ImageHead::fit(&Sample {
        logits: &logits,
        features: &features,
        labels: &labels,
    });
    let probabilities: Vec<f64> = left_out.into_iter().map(ImageHead::probability).collect();
    let thresholds = request.thresholds.choose(&probabilities, &labels);
    let measures = evaluate(&probabilities, &labels, &thresholds);
    let (times_us, train) = (request.times_us, &request.split.train);
    let weights = model.encode_weights()?;
    let manifest = ImageManifest {
        format: FORMAT,
        kind: ModelKind::Image,
        network: model.record.network,
        feature_schema: SchemaRecord::of(request.schema),
        head,
        thresholds,
        baseline: baseline::typical_row(request.schema, request.features, request.labels, train)?,
        baseline_logit: median(logits),
        metrics: Measured::of(times_us, validation, measures.clone()),
        lineage: request
            .provenance
            .lineage(request.seed, request.start.version(), (times_us, train)),
        backbone: request.start.backbone(),
        weights_sha256: sha256(&weights),
    };
    Ok(TrainedImageBundle {
        bundle: ImageBundle { manifest, weights },
        validation: measures,
        curve,
    })
}

impl ImageBundleStart<'_> {
    /// The version to be named as parent.
    fn version(&self) -> Option<String> {
        match self {
            Self::Bundle(bundle) => Some(bundle.version()),
            Self::Random | Self::Backbone(_) => None,
        }
    }

    /// The pretrained network that the weights come from in the end.
    fn backbone(&self) -> Option<String> {
        match self {
            Self::Random => None,
            Self::Backbone(backbone) => Some(backbone.sha256().to_owned()),
            Self::Bundle(bundle) => bundle.manifest.backbone.clone(),
        }
    }
}

fn check(request: &ImageBundleRequest<'_>) -> Result<()> {
    request.thresholds.validate()?;
    check_lengths(
        request.images.len(),
        &[
            ("labels", request.labels.len()),
            ("times", request.times_us.len()),
            ("features of images", request.features.len()),
        ],
    )?;
    request.schema.check(request.features.names())?;
    for feature in request.schema.features() {
        if feature.name == IMAGE_CONTRIBUTION {
            return Err(Error::ReservedFeature {
                name: feature.name.clone(),
            });
        }
        if feature.kind != FeatureKind::Numeric {
            return Err(Error::WrongKind {
                name: feature.name.clone(),
                expected: "a number, the only kind of feature that a model of images reads",
            });
        }
    }
    Ok(())
}

fn train_network(
    request: &ImageBundleRequest<'_>,
    augment: &mut Augment<'_>,
    progress: &mut ImageProgress<'_>,
) -> Result<TrainedImages> {
    let before = match request.start {
        ImageBundleStart::Bundle(bundle) => Some(bundle.network()?),
        ImageBundleStart::Random | ImageBundleStart::Backbone(_) => None,
    };
    let start = match (request.start, &before) {
        (ImageBundleStart::Backbone(backbone), _) => ImageStart::Backbone(backbone),
        (_, Some(model)) => ImageStart::Model(model),
        (_, None) => ImageStart::Random,
    };
    let of_network = ImageTrainingRequest {
        network: request.network,
        start,
        images: request.images,
        labels: request.labels,
        train: &request.split.train,
        validation: &request.split.validation,
        settings: request.settings,
        seed: request.seed,
    };
    train_images(&of_network, augment, progress)
}

fn logits(model: &ImageModel, images: &Images) -> Result<Vec<f64>> {
    let scored = model.scorer()?.score(images)?;
    let logits: Vec<f64> = scored.into_iter().map(|image| image.logit).collect();
    finite(logits.iter().copied())?;
    Ok(logits)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    sorted_quantile(&values, 0.5).unwrap_or(0.0)
}
