//! A small training run for tests.

#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;
use std::sync::OnceLock;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::dataset::{TimeSplit, is_positive};
use crate::image::fixture as image;
use crate::mlp::OptimiserSettings;
use crate::training::fixture as transaction;
use crate::vision::Images;
use crate::{FeatureSchema, Provenance, Rows};

/// Transactions of which image, features and sequence each tell a part.
pub(crate) struct Data {
    pub(crate) rows: Rows,
    pub(crate) sequences: Vec<Vec<f32>>,
    pub(crate) images: Images,
    pub(crate) image_of: Vec<Option<usize>>,
    pub(crate) labels: Vec<f32>,
}

impl Data {
    /// Every other transaction has an image; steps are large amounts of no scale in particular.
    pub(crate) fn new(count: usize, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let image::Data { images, labels, .. } = image::Data::new(count / 2, seed ^ 1);
        let rows = transaction::rows(count, seed);
        let sequences: Vec<Vec<f32>> = (0..count)
            .map(|_| {
                let steps = random.random_range(0..4);
                (0..2 * steps)
                    .map(|_| random.random_range(0.0..90_000.0))
                    .collect()
            })
            .collect();
        let image_of: Vec<_> = (0..count).map(|row| (row % 2 == 0).then_some(row / 2)).collect();
        let of_rows = transaction::labels(&rows);
        let risk = |row: usize| -> f32 {
            let image = image_of[row].map_or(0.4, |at| labels[at]);
            let large = sequences[row]
                .iter()
                .step_by(2)
                .filter(|&&amount| amount > 60_000.0);
            of_rows[row] + image + 0.4 * large.count() as f32
        };
        let labels = (0..count)
            .map(|row| if risk(row) >= 1.0 { 1.0 } else { 0.0 })
            .collect();
        Self {
            rows,
            sequences,
            images,
            image_of,
            labels,
        }
    }

    pub(crate) fn rows(&self) -> FusionRows<'_> {
        FusionRows {
            rows: &self.rows,
            sequences: &self.sequences,
            images: &self.images,
            image_of: &self.image_of,
        }
    }

    /// The transactions at these indices; all images stay.
    pub(crate) fn select(&self, rows: &[usize]) -> Self {
        Self {
            rows: self.rows.select(rows),
            sequences: rows.iter().map(|&row| self.sequences[row].clone()).collect(),
            images: self.images.clone(),
            image_of: rows.iter().map(|&row| self.image_of[row]).collect(),
            labels: rows.iter().map(|&row| self.labels[row]).collect(),
        }
    }

    pub(crate) fn frauds(&self) -> usize {
        self.labels.iter().filter(|&&label| is_positive(label)).count()
    }
}

pub(crate) fn train(data: &Data, schema: &FeatureSchema, step_width: usize) -> Result<TrainedFusionBundle> {
    let times_us: Vec<i64> = (0..).map(|at| at * 1_000_000).take(data.rows.len()).collect();
    let settings = FusionSettings {
        optimiser: OptimiserSettings {
            batch_rows: 64,
            max_epochs: 20,
            learning_rate: 1e-2,
            ..Default::default()
        },
        ..Default::default()
    };
    let request = FusionBundleRequest {
        schema,
        data: data.rows(),
        step_width,
        image: &image::bundle(),
        labels: &data.labels,
        times_us: &times_us,
        split: &TimeSplit::last_share(&times_us, 0.25),
        settings: &settings,
        seed: 5,
        provenance: Provenance {
            code_version: "test".to_owned(),
            created_at_us: 7,
            ..Default::default()
        },
    };
    train_fusion_bundle(&request, &mut |_| ControlFlow::Continue(()))
}

/// A bundle that all tests share.
pub(crate) fn bundle() -> FusionBundle {
    static BUNDLE: OnceLock<FusionBundle> = OnceLock::new();
    let trained = || train(&Data::new(1_600, 21), &transaction::schema(), 2).unwrap();
    BUNDLE.get_or_init(|| trained().bundle).clone()
}
