//! Networks over images: pretrained or from scratch, fine-tuned, stored, explained, and fused with features.
//!
//! The entries are [`train_images`], which turns labelled images into an [`ImageModel`], [`Backbone`], the pretrained
//! network to start from, and [`train_fusion`], which learns from images, features and recent transactions at once.
//!
//! Layers and their gradients are written out here, without candle, for a set of layers that does not grow. Maps keep
//! their channels innermost, so that a convolution is a product of matrices (`gemm`) or runs over planes of sixteen
//! channels (`depthwise`). Both add in one order with fused instructions: an image's numbers are the same bits in every
//! batch and on every processor (INV-5), and the same seed gives the same weights. Everything runs on one thread; a
//! caller with more of them trains more networks at once.
//!
//! Batch norm normalises by the batch in training and by running statistics in scoring, which are those of the layers
//! that learn: frozen layers keep theirs. Scoring folds them into the convolutions.

mod backbone;
mod batch_norm;
mod dense;
mod depthwise;
mod description;
mod enlargement;
mod fusion;
mod gemm;
mod geometry;
mod images;
mod labels;
mod layer;
mod linear;
mod maps;
mod memory;
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
pub use fusion::{
    ExplainedFusion, FusionExplainer, FusionInputs, FusionModel, FusionNetwork, FusionRecord, FusionRequest,
    TrainedFusion, train_fusion,
};
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
