//! A registry in a folder of its own, and bundles to put into it.

#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;
use std::sync::OnceLock;

use lake::Store;
use model::dataset::TimeSplit;
use model::fusion::{FusionBundleRequest, FusionRows, FusionSettings};
use model::image::{ImageBundleRequest, ImageBundleStart};
use model::metrics::ThresholdPolicy;
use model::vision::{
    ConvBlock, ImageNetwork, ImageShape, ImageTrainingSettings, Images, SmallCnn, Treatment,
};
use model::{
    Bundle, Column, FeatureSchema, FusionBundle, ImageBundle, Provenance, Rows, TrainingRequest,
    TrainingSettings, train, train_fusion_bundle, train_image_bundle,
};

use crate::Registry;

pub(crate) fn registry() -> (tempfile::TempDir, Store, Registry) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().to_str().unwrap()).unwrap();
    (folder, store.clone(), Registry::open(store))
}

/// A small bundle, made at this time; the versions of two times differ.
pub(crate) fn bundle(created_at_us: i64) -> Bundle {
    static BUNDLE: OnceLock<Bundle> = OnceLock::new();
    let mut bundle = BUNDLE.get_or_init(trained).clone();
    bundle.manifest.lineage.created_at_us = created_at_us;
    bundle
}

fn trained() -> Bundle {
    let count = 400;
    let amounts: Vec<f64> = (0..count).map(|row| f64::from(row * 37 % 101)).collect();
    let labels: Vec<f32> = amounts
        .iter()
        .map(|&amount| if amount > 80.0 { 1.0 } else { 0.0 })
        .collect();
    let times_us: Vec<i64> = (0..i64::from(count)).map(|row| row * 1_000_000).collect();
    let mut rows = Rows::new(amounts.len());
    rows.insert("amount", Column::Numeric(amounts)).unwrap();
    let mut settings = TrainingSettings::default();
    settings.network.hidden = vec![4];
    settings.network.members = 1;
    settings.optimiser.max_epochs = 2;
    let request = TrainingRequest {
        schema: &FeatureSchema::of(&["amount"], &[]).unwrap(),
        rows: &rows,
        labels: &labels,
        weights: None,
        times_us: &times_us,
        split: &TimeSplit::last_share(&times_us, 0.25),
        settings: &settings,
        seed: 1,
        start: None,
        provenance: Provenance {
            code_version: "test".to_owned(),
            ..Provenance::default()
        },
    };
    train(&request, &mut |_| ControlFlow::Continue(()))
        .unwrap()
        .bundle
}

/// A small bundle of images, made at this time.
pub(crate) fn image_bundle(created_at_us: i64) -> ImageBundle {
    static BUNDLE: OnceLock<ImageBundle> = OnceLock::new();
    let mut bundle = BUNDLE.get_or_init(trained_on_images).clone();
    bundle.manifest.lineage.created_at_us = created_at_us;
    bundle
}

/// Dark images are fraud.
fn trained_on_images() -> ImageBundle {
    let input = ImageShape {
        height: 2,
        width: 2,
        channels: 3,
    };
    let shades = (0..40_u8).map(|at| if at % 2 == 0 { at } else { 200 + at });
    let pixels = shades.flat_map(|shade| vec![shade; input.len()]).collect();
    let labels: Vec<f32> = (0..40).map(|at| if at % 2 == 0 { 1.0 } else { 0.0 }).collect();
    let times_us: Vec<i64> = (0..40).collect();
    let blocks = vec![ConvBlock {
        outputs: 2,
        stride: 1,
    }];
    let treatment = Treatment::Scale {
        mean: 127.0,
        scale: 128.0,
    };
    let mut settings = ImageTrainingSettings::default();
    settings.stages[0].max_epochs = 1;
    let request = ImageBundleRequest {
        network: &ImageNetwork::small(input, treatment, SmallCnn { blocks }),
        start: ImageBundleStart::Random,
        images: &Images::new(input, pixels).unwrap(),
        labels: &labels,
        schema: &FeatureSchema::of(&[], &[]).unwrap(),
        features: &Rows::new(40),
        times_us: &times_us,
        split: &TimeSplit::last_share(&times_us, 0.5),
        settings: &settings,
        thresholds: ThresholdPolicy::default(),
        seed: 1,
        provenance: Provenance::default(),
    };
    train_image_bundle(&request, &mut |_, _, image| image.to_vec(), &mut |_| {
        ControlFlow::Continue(())
    })
    .unwrap()
    .bundle
}

/// A small fusion bundle, made at this time.
pub(crate) fn fusion_bundle(created_at_us: i64) -> FusionBundle {
    static BUNDLE: OnceLock<FusionBundle> = OnceLock::new();
    let mut bundle = BUNDLE.get_or_init(trained_on_both).clone();
    bundle.manifest.lineage.created_at_us = created_at_us;
    bundle
}

/// Transactions without images; every other one is fraud.
fn trained_on_both() -> FusionBundle {
    let amounts: Vec<f64> = (0..40).map(|row| f64::from(row % 2)).collect();
    let labels: Vec<f32> = (0..40).map(|row| if row % 2 == 0 { 1.0 } else { 0.0 }).collect();
    let times_us: Vec<i64> = (0..40).collect();
    let mut rows = Rows::new(40);
    rows.insert("amount", Column::Numeric(amounts)).unwrap();
    let mut settings = FusionSettings::default();
    settings.optimiser.max_epochs = 1;
    let image = image_bundle(1);
    let request = FusionBundleRequest {
        schema: &FeatureSchema::of(&["amount"], &[]).unwrap(),
        data: FusionRows {
            rows: &rows,
            sequences: &vec![vec![]; 40],
            images: &Images::new(image.manifest.network.input, vec![]).unwrap(),
            image_of: &[None; 40],
        },
        step_width: 1,
        image: &image,
        labels: &labels,
        times_us: &times_us,
        split: &TimeSplit::last_share(&times_us, 0.5),
        settings: &settings,
        seed: 1,
        provenance: Provenance::default(),
    };
    let trained = train_fusion_bundle(&request, &mut |_| ControlFlow::Continue(()));
    trained.unwrap().bundle
}
