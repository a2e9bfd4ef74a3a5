//! Networks, training, metrics, calibration, explanations and the bundle format, without I/O.
//!
//! A score is a pure function of a feature row and a [`Bundle`] (INV-5). Training and scoring share one
//! [`Preprocessing`](preprocessing::Preprocessing) and one forward kernel, so what was measured on the validation
//! rows is what the scorer serves. candle computes gradients and is named nowhere outside [`mlp`].
//!
//! The two entries are [`train`], which turns labelled rows into a bundle, and [`Scorer`], which turns a bundle and
//! rows into scores. Their like for images is in [`image`], for transactions with their image in [`fusion`]; the
//! networks below both, with kernels of their own, are in [`vision`].

mod batch;
pub mod bundle;
pub mod calibration;
pub mod dataset;
mod error;
pub mod explanation;
pub mod fusion;
pub mod image;
pub mod inference;
mod logistic;
pub mod metrics;
pub mod mlp;
pub mod preprocessing;
pub mod rows;
mod scalar;
mod schedule;
pub mod scorer;
pub mod training;
pub mod vision;

pub use bundle::{AnyManifest, Bundle, Manifest, ModelKind, Package, PackageManifest};
pub use error::{Error, Result};
pub use fusion::{FusionBundle, FusionManifest, FusionScorer, train_fusion_bundle};
pub use image::{ImageBundle, ImageManifest, ImageRiskScorer, ImageScored, train_image_bundle};
pub use rows::{Column, Feature, FeatureKind, FeatureSchema, Rows};
pub use scorer::{Scored, Scorer};
pub use training::{Provenance, Trained, TrainingRequest, TrainingSettings, train};
