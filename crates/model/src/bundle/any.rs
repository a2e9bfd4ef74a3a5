//! Manifests of a kind that only they tell.

use serde::Serialize;

use super::manifest::Manifest;
use super::package::{ModelKind, PackageManifest};
use super::records::{Lineage, Measured};
use crate::Result;
use crate::fusion::FusionManifest;
use crate::image::ImageManifest;

/// A manifest of any kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum AnyManifest {
    /// Of a model of transactions.
    Transaction(Box<Manifest>),
    /// Of a model of images.
    Image(Box<ImageManifest>),
    /// Of a fusion model.
    Fusion(Box<FusionManifest>),
}

/// Calls a method of the manifest, whichever it is.
macro_rules! each {
    ($any:expr, $manifest:ident => $call:expr) => {
        match $any {
            AnyManifest::Transaction($manifest) => $call,
            AnyManifest::Image($manifest) => $call,
            AnyManifest::Fusion($manifest) => $call,
        }
    };
}

impl PackageManifest for AnyManifest {
    fn kind(&self) -> ModelKind {
        each!(self, manifest => manifest.kind())
    }

    fn lineage(&self) -> &Lineage {
        each!(self, manifest => manifest.lineage())
    }

    fn metrics(&self) -> &Measured {
        each!(self, manifest => manifest.metrics())
    }

    fn weights_sha256(&self) -> &str {
        each!(self, manifest => manifest.weights_sha256())
    }

    fn validate(&self) -> Result<()> {
        each!(self, manifest => manifest.validate())
    }

    fn parse(kind: ModelKind, bytes: &[u8]) -> Result<Self> {
        Ok(match kind {
            ModelKind::Transaction => Self::Transaction(Box::new(Manifest::parse(kind, bytes)?)),
            ModelKind::Image => Self::Image(Box::new(ImageManifest::parse(kind, bytes)?)),
            ModelKind::Fusion => Self::Fusion(Box::new(FusionManifest::parse(kind, bytes)?)),
        })
    }
}
