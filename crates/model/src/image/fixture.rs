//! A small training run for tests.

#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;
use std::sync::OnceLock;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::dataset::TimeSplit;
use crate::metrics::ThresholdPolicy;
use crate::vision::{
    ConvBlock, ImageNetwork, ImageShape, ImageTrainingSettings, Images, SmallCnn, Stage, Treatment, Unfrozen,
};
use crate::{Column, FeatureSchema, Provenance, Rows};

/// What a caller hands over: in colour, for a network that is grey.
pub(crate) const SHAPE: ImageShape = ImageShape {
    height: 8,
    width: 10,
    channels: 3,
};

/// Images with what is known of them.
pub(crate) struct Data {
    pub(crate) images: Images,
    pub(crate) rows: Rows,
    pub(crate) labels: Vec<f32>,
}

impl Data {
    /// Noise with, mostly where it is fraud, a bright square; seen under other accounts mostly where it is fraud; the
    /// time since is missing where it was never seen.
    pub(crate) fn new(count: usize, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        let (mut others, mut seconds) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let fraud = random.random_bool(0.4);
            let mut image: Vec<u8> = (0..SHAPE.len()).map(|_| random.random_range(60..200)).collect();
            if random.random_bool(if fraud { 0.8 } else { 0.2 }) {
                let (top, left) = (random.random_range(0..5), random.random_range(0..7));
                for (row, column) in (0..3).flat_map(|row| (0..3).map(move |column| (row, column))) {
                    image[((top + row) * SHAPE.width + left + column) * 3..][..3].fill(240);
                }
            }
            pixels.extend(image);
            let seen = random.random_bool(if fraud { 0.7 } else { 0.2 });
            let most = if fraud { 9 } else { 4 };
            let other = if seen { random.random_range(1..most) } else { 0 };
            others.push(f64::from(other));
            seconds.push(if seen {
                f64::from(random.random_range(1..900_000))
            } else {
                f64::NAN
            });
            labels.push(if fraud { 1.0 } else { 0.0 });
        }
        let mut rows = Rows::new(count);
        rows.insert("image_seen_other_accounts", Column::Numeric(others))
            .unwrap();
        rows.insert("image_seen_seconds_ago", Column::Numeric(seconds))
            .unwrap();
        Self {
            images: Images::new(SHAPE, pixels).unwrap(),
            rows,
            labels,
        }
    }
}

pub(crate) fn schema() -> FeatureSchema {
    FeatureSchema::of(&["image_seen_other_accounts", "image_seen_seconds_ago"], &[]).unwrap()
}

pub(crate) fn network() -> ImageNetwork {
    let block = |outputs, stride| ConvBlock { outputs, stride };
    let input = ImageShape { channels: 1, ..SHAPE };
    let treatment = Treatment::Scale {
        mean: 128.0,
        scale: 64.0,
    };
    let blocks = vec![block(6, 1), block(8, 2)];
    ImageNetwork::small(input, treatment, SmallCnn { blocks })
}

/// A run of few passes.
pub(crate) fn train(
    data: &Data,
    schema: &FeatureSchema,
    start: ImageBundleStart<'_>,
) -> Result<TrainedImageBundle> {
    let times_us: Vec<i64> = (0..).map(|at| at * 1_000_000).take(data.images.len()).collect();
    let settings = ImageTrainingSettings {
        stages: vec![Stage {
            unfrozen: Unfrozen::All,
            max_epochs: 5,
            learning_rate: 1e-2,
            rate_decay: 1.0,
        }],
        batch_images: 32,
        ..Default::default()
    };
    let network = network();
    let split = TimeSplit::last_share(&times_us, 0.4);
    let request = ImageBundleRequest {
        network: &network,
        start,
        images: &data.images,
        labels: &data.labels,
        schema,
        features: &data.rows,
        times_us: &times_us,
        split: &split,
        settings: &settings,
        thresholds: ThresholdPolicy::default(),
        seed: 3,
        provenance: Provenance {
            code_version: "test".to_owned(),
            created_at_us: 7,
            ..Default::default()
        },
    };
    train_image_bundle(&request, &mut |_, _, image| image.to_vec(), &mut |_| {
        ControlFlow::Continue(())
    })
}

/// A bundle that all tests share.
pub(crate) fn bundle() -> ImageBundle {
    static BUNDLE: OnceLock<ImageBundle> = OnceLock::new();
    let trained = || train(&Data::new(600, 5), &schema(), ImageBundleStart::Random).unwrap();
    BUNDLE.get_or_init(|| trained().bundle).clone()
}
