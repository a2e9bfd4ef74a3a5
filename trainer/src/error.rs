//! What stops a training.

use thiserror::Error;

/// What stops the trainer, or one training.
#[derive(Debug, Error)]
pub enum TrainerError {
    /// The broker could not be used.
    #[error("the broker could not be used")]
    Stream(#[from] stream::StreamError),
    /// The lake could not be used.
    #[error("the lake could not be used")]
    Lake(#[from] lake::LakeError),
    /// The registry could not be used.
    #[error("the registry could not be used")]
    Registry(#[from] registry::RegistryError),
    /// A network could not be trained.
    #[error("the network could not be trained")]
    Model(#[from] model::Error),
    /// Tables could not be put together.
    #[error("a training set could not be put together")]
    Arrow(#[from] arrow::error::ArrowError),
    /// The trainer was asked to stop.
    #[error("the training was given up")]
    Stopped,
    /// There is too little to train on.
    #[error("{transactions} transactions with {frauds} frauds are too few to train on")]
    TooFew {
        /// Transactions in the window.
        transactions: usize,
        /// Frauds among them.
        frauds: usize,
    },
    /// There is too little to train on.
    #[error("{images} images with {frauds} frauds are too few to train on")]
    TooFewImages {
        /// Images in the window.
        images: usize,
        /// Frauds among them.
        frauds: usize,
    },
    /// There is no model of images yet, whose network would look at them.
    #[error("there is no model of images yet")]
    NoImageModel,
    /// No pretrained network has been imported.
    #[error("no pretrained network has been imported: `riskstream model import-backbone FILE` does it")]
    NoBackbone,
}

impl TrainerError {
    /// Whether trying again can help.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Stream(e) => e.is_retryable(),
            Self::Lake(e) => e.is_retryable(),
            Self::Registry(e) => e.is_retryable(),
            Self::TooFew { .. }
            | Self::TooFewImages { .. }
            | Self::NoBackbone
            | Self::NoImageModel
            | Self::Stopped => true,
            Self::Model(_) | Self::Arrow(_) => false,
        }
    }
}
