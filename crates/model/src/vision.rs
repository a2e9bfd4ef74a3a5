//! Networks over images, without candle: convolutions forward and backward in plain Rust.

mod backbone;
mod batch_norm;
mod dense;
mod depthwise;
mod description;
mod gemm;
mod geometry;
mod images;
mod layer;
mod linear;
mod maps;
mod model;
mod network;
mod optimiser;
mod parameter;
mod pooling;
mod settings;
mod simd;
mod training;
mod treatment;

pub use backbone::{Backbone, BackboneScorer};
pub use description::{Architecture, ConvBlock, ImageNetwork, ImageShape, Pooling, SmallCnn};
pub use images::Images;
pub use model::{HeatMap, ImageModel, ImageRecord, ImageScorer, ScoredImage};
pub use settings::{ImageStopMetric, ImageTrainingSettings, Stage, Unfrozen};
pub use training::{
    Augment, ImageEpoch, ImageProgress, ImageStart, ImageTrainingRequest, TrainedImages, train_images,
};
pub use treatment::Treatment;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
