//! Bundles of every kind of model, which of them is in use, and who said so.
//!
//! Everything lies in one [`Store`], below `models/`: a folder for each version, written once and never
//! changed, `models/audit/`, an object for each announcement, and `models/backbones/`, pretrained networks that image
//! models start from.

mod announcement;
mod backbones;
mod bundles;
mod error;

use lake::Store;

pub use announcement::{
    ALIASES, Announcement, CHALLENGER, CHAMPION, FUSION_CHALLENGER, FUSION_CHAMPION, IMAGE_CHALLENGER,
    IMAGE_CHAMPION, challenger, champion,
};
pub use bundles::{ModelSummary, Version};
pub use error::{RegistryError, Result};

const FOLDER: &str = "models";

/// The models of a store.
#[derive(Clone, Debug)]
pub struct Registry {
    store: Store,
}

impl Registry {
    /// The registry in this store.
    #[must_use]
    pub fn open(store: Store) -> Self {
        Self { store }
    }
}

#[cfg(test)]
mod fixture;
