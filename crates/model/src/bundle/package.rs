//! What every kind of model is stored as.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::records::{Lineage, Measured};
use crate::{Error, Result};

/// The name of the manifest's file.
pub const MANIFEST_FILE: &str = "manifest.json";
/// The name of the weights' file.
pub const WEIGHTS_FILE: &str = "weights.safetensors";

/// The format that this version writes and reads.
pub const FORMAT: u32 = 1;

/// What a model is a model of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelKind {
    /// Transactions by their features. Its manifests were there before the others' and do not name their kind.
    #[default]
    Transaction,
    /// Images, with what is known of them.
    Image,
    /// Transactions by their features, their image and the transactions before them.
    Fusion,
}

impl ModelKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Transaction, Self::Image, Self::Fusion];
}

impl fmt::Display for ModelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Transaction => "transaction",
            Self::Image => "image",
            Self::Fusion => "fusion",
        })
    }
}

/// Everything of a model but its weights.
pub trait PackageManifest: Sized + Serialize {
    /// What it is a model of.
    fn kind(&self) -> ModelKind;

    /// Where it came from.
    fn lineage(&self) -> &Lineage;

    /// What it reached on the validation rows.
    fn metrics(&self) -> &Measured;

    /// The SHA-256 of the weights' file, in hexadecimal.
    fn weights_sha256(&self) -> &str;

    /// Refuses a manifest that contradicts itself.
    ///
    /// # Errors
    /// [`Error::Inconsistent`] or [`Error::Hash`] says how.
    fn validate(&self) -> Result<()>;

    /// Reads the JSON of a manifest of that kind, without checking what it says.
    ///
    /// # Errors
    /// [`Error::Kind`] for a kind that this type is not for, [`Error::Manifest`] for other JSON.
    fn parse(kind: ModelKind, bytes: &[u8]) -> Result<Self>;

    /// The one way to write it.
    #[must_use]
    fn canonical(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a manifest has no map with keys other than strings")
    }

    /// Reads a manifest and checks that it is whole.
    ///
    /// # Errors
    /// If it is of another format or kind, altered, or contradicts itself.
    fn read(bytes: &[u8]) -> Result<Self> {
        let Head { format, kind } = serde_json::from_slice(bytes).map_err(Error::Manifest)?;
        if format != FORMAT {
            return Err(Error::Format {
                found: format,
                supported: FORMAT,
            });
        }
        let manifest = Self::parse(kind, bytes)?;
        manifest.validate()?;
        if manifest.canonical() == bytes {
            Ok(manifest)
        } else {
            Err(Error::NotCanonical)
        }
    }
}

/// The fields that tell how to read the others.
#[derive(Deserialize)]
struct Head {
    format: u32,
    #[serde(default)]
    kind: ModelKind,
}

/// [`PackageManifest::parse`] of a type for one kind.
pub(crate) fn parse_as<M: DeserializeOwned>(
    expected: ModelKind,
    found: ModelKind,
    bytes: &[u8],
) -> Result<M> {
    if found == expected {
        serde_json::from_slice(bytes).map_err(Error::Manifest)
    } else {
        Err(Error::Kind { found, expected })
    }
}

/// A model, immutable and named by its content.
#[derive(Clone, Debug, PartialEq)]
pub struct Package<M> {
    /// Everything but the weights.
    pub manifest: M,
    /// The weights, a safetensors file.
    pub weights: Vec<u8>,
}

impl<M: PackageManifest> Package<M> {
    /// The SHA-256 of the manifest in its canonical form, in hexadecimal. The manifest holds the hash of the weights,
    /// so two bundles have one version only if they are the same.
    #[must_use]
    pub fn version(&self) -> String {
        sha256(&self.manifest.canonical())
    }

    /// The files to store.
    #[must_use]
    pub fn encode(&self) -> Vec<(String, Vec<u8>)> {
        vec![
            (MANIFEST_FILE.to_owned(), self.manifest.canonical()),
            (WEIGHTS_FILE.to_owned(), self.weights.clone()),
        ]
    }

    /// Reads a bundle from its files; others are ignored.
    ///
    /// # Errors
    /// If a file is absent, in another format or damaged, or a hash does not match.
    pub fn decode(files: &[(String, Vec<u8>)]) -> Result<Self> {
        let file = |name: &'static str| {
            let found = files.iter().find(|(of_file, _)| of_file == name);
            found.map(|(_, bytes)| bytes).ok_or(Error::MissingFile { name })
        };
        let manifest = M::read(file(MANIFEST_FILE)?)?;
        let weights = file(WEIGHTS_FILE)?.clone();
        let found = sha256(&weights);
        if found != manifest.weights_sha256() {
            return Err(Error::Hash {
                what: "weights",
                found,
                expected: manifest.weights_sha256().to_owned(),
            });
        }
        Ok(Self { manifest, weights })
    }

    /// Reads a bundle that was announced under a version.
    ///
    /// # Errors
    /// As [`Self::decode`], or if the bundle is another version.
    pub fn decode_version(files: &[(String, Vec<u8>)], version: &str) -> Result<Self> {
        let bundle = Self::decode(files)?;
        let found = bundle.version();
        if found == version {
            Ok(bundle)
        } else {
            Err(Error::Hash {
                what: "bundle",
                found,
                expected: version.to_owned(),
            })
        }
    }
}

/// SHA-256 in hexadecimal.
#[must_use]
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
