//! The bundle: a model with everything that is needed to score by it, judge it and know where it came from.
//!
//! A bundle is two files, `manifest.json` and `weights.safetensors`. The manifest holds the hash of the weights and
//! has one way to be written, so its own hash names the whole: that is the bundle's version.

mod manifest;

use sha2::{Digest, Sha256};

pub(crate) use manifest::weights_hash;
pub use manifest::{BaselineValue, FORMAT, Lineage, Manifest, Measured, SchemaRecord};

use crate::inference::Weights;
use crate::vision::ImageModel;
use crate::{Error, Result};

/// The name of the manifest's file.
pub const MANIFEST_FILE: &str = "manifest.json";
/// The name of the weights' file.
pub const WEIGHTS_FILE: &str = "weights.safetensors";

/// A model, immutable and named by its content.
#[derive(Clone, Debug, PartialEq)]
pub struct Bundle {
    /// Everything but the weights.
    pub manifest: Manifest,
    /// The weights, a safetensors file.
    pub weights: Vec<u8>,
}

impl Bundle {
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
        let manifest = Manifest::read(file(MANIFEST_FILE)?)?;
        let weights = file(WEIGHTS_FILE)?.clone();
        let found = sha256(&weights);
        if found != manifest.weights_sha256 {
            return Err(Error::Hash {
                what: "weights",
                found,
                expected: manifest.weights_sha256,
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

/// An image network's tensors carry this before their names, to lie in one file with the others.
const IMAGE_PREFIX: &str = "image.";

impl Bundle {
    /// The same model with an image network beside it, in place of any it had.
    ///
    /// # Errors
    /// If the weights are not a safetensors file.
    pub fn with_image(mut self, image: &ImageModel) -> Result<Self> {
        let mut tensors = Weights::from_safetensors(&self.weights)?.into_tensors();
        tensors.retain(|name, _| !name.starts_with(IMAGE_PREFIX));
        let of_image = image.weights.clone().into_tensors().into_iter();
        tensors.extend(of_image.map(|(name, tensor)| (format!("{IMAGE_PREFIX}{name}"), tensor)));
        self.weights = Weights::new(tensors).to_safetensors()?;
        self.manifest.weights_sha256 = weights_hash(&self.weights);
        self.manifest.image = Some(image.record.clone());
        Ok(self)
    }

    /// The image network beside the model, where there is one.
    ///
    /// # Errors
    /// If its tensors are absent or do not fit its description.
    pub fn image(&self) -> Result<Option<ImageModel>> {
        let Some(record) = &self.manifest.image else {
            return Ok(None);
        };
        let tensors = Weights::from_safetensors(&self.weights)?
            .into_tensors()
            .into_iter();
        let of_image =
            tensors.filter_map(|(name, tensor)| Some((name.strip_prefix(IMAGE_PREFIX)?.to_owned(), tensor)));
        ImageModel::new(record.clone(), Weights::new(of_image.collect())).map(Some)
    }
}

/// SHA-256 in hexadecimal.
#[must_use]
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::training::fixture::bundle;

    #[test]
    fn a_bundle_survives_its_files_and_keeps_its_version() {
        let bundle = bundle();
        let files = bundle.encode();
        let read = Bundle::decode_version(&files, &bundle.version()).unwrap();
        assert_eq!(read, bundle);
        assert_eq!(read.encode(), files);
        assert!(matches!(
            Bundle::decode_version(&files, "00"),
            Err(Error::Hash { what: "bundle", .. })
        ));
    }

    #[test]
    fn the_version_names_the_whole_content() {
        let bundle = bundle();
        let mut other = bundle.clone();
        other.manifest.thresholds.review += 1e-9;
        assert_ne!(other.version(), bundle.version());
        let mut files = bundle.encode();
        files[1].1[200] ^= 1;
        assert!(matches!(
            Bundle::decode(&files),
            Err(Error::Hash { what: "weights", .. })
        ));
    }

    #[test]
    fn an_image_network_lies_beside_the_model_and_changes_nothing_of_it() {
        let (alone, image) = (bundle(), crate::vision::fixture::model());
        assert!(
            !String::from_utf8(alone.manifest.canonical())
                .unwrap()
                .contains("\"image\"")
        );
        assert_eq!(alone.image().unwrap(), None);
        let both = alone.clone().with_image(&image).unwrap();
        assert_ne!(both.version(), alone.version());
        let read = Bundle::decode_version(&both.encode(), &both.version()).unwrap();
        assert_eq!(read.image().unwrap(), Some(image.clone()));
        assert_eq!(both.with_image(&image).unwrap(), read);
        let rows = crate::training::fixture::rows(20, 3);
        let scores = |bundle: &Bundle| crate::Scorer::new(bundle).unwrap().score(&rows).unwrap();
        assert_eq!(scores(&read), scores(&alone));
    }

    #[test]
    fn files_that_are_absent_or_altered_are_refused() {
        let files = bundle().encode();
        assert!(matches!(
            Bundle::decode(&files[..1]),
            Err(Error::MissingFile { name: WEIGHTS_FILE })
        ));
        let altered = |from: &str, to: &str| {
            let text = String::from_utf8(files[0].1.clone()).unwrap();
            assert!(text.contains(from), "{from} in {text}");
            Bundle::decode(&[
                (MANIFEST_FILE.to_owned(), text.replacen(from, to, 1).into_bytes()),
                files[1].clone(),
            ])
        };
        assert!(matches!(
            altered("{\"format\":1", "{\"format\":2"),
            Err(Error::Format {
                found: 2,
                supported: 1
            })
        ));
        assert!(matches!(altered(",", ", "), Err(Error::NotCanonical)));
        assert!(matches!(
            altered("\"amount\"", "\"other\""),
            Err(Error::Hash {
                what: "feature schema",
                ..
            })
        ));
        assert!(matches!(
            altered("\"lineage\"", "\"ancestors\""),
            Err(Error::Manifest(_))
        ));
    }
}
