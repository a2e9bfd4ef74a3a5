//! The bundle: a model with everything that is needed to score by it, judge it and know where it came from.
//!
//! A bundle is two files, `manifest.json` and `weights.safetensors`. The manifest holds the hash of the weights and
//! has one way to be written, so its own hash names the whole: that is the bundle's version.

mod any;
mod manifest;
mod package;
mod records;

pub use any::AnyManifest;
pub use manifest::Manifest;
pub(crate) use manifest::reads;
pub use package::{FORMAT, MANIFEST_FILE, ModelKind, Package, PackageManifest, WEIGHTS_FILE};
pub(crate) use package::{parse_as, sha256};
pub use records::{BaselineValue, Lineage, Measured, SchemaRecord};
pub(crate) use records::{fits_together, in_order};

/// A model of transactions.
pub type Bundle = Package<Manifest>;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::training::fixture::bundle;
    use crate::{Error, ImageBundle};

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

    /// Versions are hashes of these bytes: a field more, and every stored bundle would have another one.
    #[test]
    fn the_manifest_of_a_transactions_model_has_the_fields_it_always_had() {
        let text = String::from_utf8(bundle().manifest.canonical()).unwrap();
        let fields = [
            "format",
            "network",
            "feature_schema",
            "preprocessing",
            "calibration",
            "thresholds",
            "baseline",
            "metrics",
            "lineage",
            "weights_sha256",
        ];
        let places: Vec<_> = fields
            .iter()
            .map(|field| text.find(&format!("\"{field}\":")).unwrap())
            .collect();
        assert!(places.is_sorted(), "{text}");
        let all: serde_json::Map<_, _> = serde_json::from_str(&text).unwrap();
        assert_eq!(all.len(), fields.len());
    }

    #[test]
    fn a_bundle_is_read_as_its_own_kind_or_as_any() {
        let (bundle, image) = (bundle(), crate::image::fixture::bundle());
        let refused = ImageBundle::decode(&bundle.encode()).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the bundle is a model of kind transaction where one of kind image is needed"
        );
        assert!(matches!(
            Bundle::decode(&image.encode()),
            Err(Error::Kind {
                found: ModelKind::Image,
                expected: ModelKind::Transaction
            })
        ));
        for (files, version, kind) in [
            (bundle.encode(), bundle.version(), ModelKind::Transaction),
            (image.encode(), image.version(), ModelKind::Image),
        ] {
            let read = Package::<AnyManifest>::decode_version(&files, &version).unwrap();
            assert_eq!((read.manifest.kind(), read.encode()), (kind, files));
        }
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
