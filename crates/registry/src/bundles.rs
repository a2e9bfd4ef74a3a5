//! Versions of models: written once, complete when their manifest is there.

use std::collections::BTreeMap;

use model::bundle::{MANIFEST_FILE, WEIGHTS_FILE};
use model::{AnyManifest, ModelKind, Package, PackageManifest};
use serde::{Deserialize, Serialize};

use crate::error::{RegistryError, Result};
use crate::{FOLDER, Registry};

/// A model's version: the hash of its content, in hexadecimal.
pub type Version = String;

/// What a list of models says of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelSummary {
    /// Its version.
    pub version: Version,
    /// What it is a model of.
    pub kind: ModelKind,
    /// When it was made, in microseconds since the Unix epoch.
    pub created_at_us: i64,
    /// What it reached, by the measure's name.
    pub metrics: BTreeMap<String, f64>,
    /// The time of the first row that it was measured on.
    pub measured_from_us: i64,
    /// The time of the last row that it was measured on.
    pub measured_to_us: i64,
    /// The version it was fine-tuned from.
    pub parent: Option<Version>,
    /// The time of the first training row.
    pub training_from_us: i64,
    /// The time of the last training row.
    pub training_to_us: i64,
}

impl Registry {
    /// Stores a bundle under its version. To publish it again changes nothing.
    ///
    /// # Errors
    /// [`RegistryError::Occupied`] if other content lies under that version, and what the store says.
    pub fn publish<M: PackageManifest>(&self, bundle: &Package<M>) -> Result<Version> {
        let version = bundle.version();
        // The manifest goes last: a version that has it is complete.
        let (manifest, files): (Vec<_>, Vec<_>) = bundle
            .encode()
            .into_iter()
            .partition(|(name, _)| name == MANIFEST_FILE);
        for (name, bytes) in files.into_iter().chain(manifest) {
            self.put_once(&path(&version, &name), bytes)?;
        }
        tracing::info!(version, kind = %bundle.manifest.kind(), "model published");
        Ok(version)
    }

    /// Reads a version and checks it against its hashes: as a bundle of one kind, or as `Package<AnyManifest>`.
    ///
    /// # Errors
    /// [`RegistryError::UnknownVersion`], also for one that is not complete; [`RegistryError::Bundle`] for one that is
    /// damaged, of another kind, or written in a format that is not known here; and what the store says.
    pub fn load<M: PackageManifest>(&self, version: &str) -> Result<Package<M>> {
        self.manifest_bytes(version)?;
        let mut files = Vec::new();
        for name in [MANIFEST_FILE, WEIGHTS_FILE] {
            if let Some(bytes) = self.store.get(&path(version, name))? {
                files.push((name.to_owned(), bytes.to_vec()));
            }
        }
        Package::decode_version(&files, version).map_err(not_its_bundle(version))
    }

    /// The manifest of a version, of whichever kind.
    ///
    /// # Errors
    /// As [`Self::load`]; the weights are not read.
    pub fn manifest(&self, version: &str) -> Result<AnyManifest> {
        let bytes = self.manifest_bytes(version)?;
        AnyManifest::read(&bytes).map_err(not_its_bundle(version))
    }

    /// All complete versions, oldest first.
    ///
    /// A manifest that cannot be read, for one in a later format, is left out and reported as a warning.
    ///
    /// # Errors
    /// What the store says.
    pub fn list(&self) -> Result<Vec<ModelSummary>> {
        let mut models = Vec::new();
        for object in self.store.list(FOLDER)? {
            let mut parts = object.path.split('/').skip(1);
            let (Some(version), Some(MANIFEST_FILE), None) = (parts.next(), parts.next(), parts.next())
            else {
                continue;
            };
            match self.manifest(version) {
                Ok(manifest) => models.push(summarise(version, &manifest)),
                Err(error @ RegistryError::Store(_)) => return Err(error),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(version, error, "model left out of the list");
                }
            }
        }
        models.sort_by(|a, b| (a.created_at_us, &a.version).cmp(&(b.created_at_us, &b.version)));
        Ok(models)
    }

    /// The manifest's file of a version that is there and complete.
    fn manifest_bytes(&self, version: &str) -> Result<Vec<u8>> {
        // What is no hash must not become a path.
        let is_hash = !version.is_empty() && version.bytes().all(|b| b.is_ascii_hexdigit());
        let bytes = if is_hash {
            self.store.get(&path(version, MANIFEST_FILE))?
        } else {
            None
        };
        let unknown = || RegistryError::UnknownVersion {
            version: version.to_owned(),
        };
        bytes.map(|bytes| bytes.to_vec()).ok_or_else(unknown)
    }

    /// Writes an object that never changes.
    pub(crate) fn put_once(&self, path: &str, bytes: Vec<u8>) -> Result<()> {
        if self.store.put_if_absent(path, bytes.clone())? {
            return Ok(());
        }
        match self.store.get(path)? {
            Some(there) if there == bytes => Ok(()),
            _ => Err(RegistryError::Occupied {
                path: path.to_owned(),
            }),
        }
    }
}

fn not_its_bundle(version: &str) -> impl FnOnce(model::Error) -> RegistryError {
    let version = version.to_owned();
    |source| RegistryError::Bundle { version, source }
}

fn summarise(version: &str, manifest: &AnyManifest) -> ModelSummary {
    let (lineage, measured) = (manifest.lineage(), manifest.metrics());
    ModelSummary {
        version: version.to_owned(),
        kind: manifest.kind(),
        created_at_us: lineage.created_at_us,
        metrics: measured.values.clone(),
        measured_from_us: measured.from_us,
        measured_to_us: measured.to_us,
        parent: lineage.parent_version.clone(),
        training_from_us: lineage.training_from_us,
        training_to_us: lineage.training_to_us,
    }
}

fn path(version: &str, file: &str) -> String {
    format!("{FOLDER}/{version}/{file}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::fixture::{bundle, fusion_bundle, image_bundle, registry};
    use model::{Bundle, FusionBundle, ImageBundle};

    #[test]
    fn what_is_published_is_loaded_and_publishing_again_is_no_matter() {
        let (_folder, store, registry) = registry();
        let version = registry.publish(&bundle(7)).unwrap();
        assert_eq!(version, bundle(7).version());
        let before = store.list("").unwrap();
        assert_eq!(registry.publish(&bundle(7)).unwrap(), version);
        assert_eq!(store.list("").unwrap(), before);
        assert_eq!(registry.load(&version).unwrap(), bundle(7));
    }

    #[test]
    fn models_are_listed_oldest_first_with_where_they_come_from() {
        let (_folder, _, registry) = registry();
        assert_eq!(registry.list().unwrap(), []);
        let versions: Vec<_> = [30, 10, 20]
            .map(|at| registry.publish(&bundle(at)).unwrap())
            .into();
        let listed = registry.list().unwrap();
        let order: Vec<_> = listed
            .iter()
            .map(|model| (model.created_at_us, model.version.clone()))
            .collect();
        assert_eq!(
            order,
            [
                (10, versions[1].clone()),
                (20, versions[2].clone()),
                (30, versions[0].clone())
            ]
        );
        let lineage = bundle(10).manifest.lineage;
        assert_eq!(listed[0].metrics, bundle(10).manifest.metrics.values);
        assert!(listed[0].metrics.contains_key("average_precision"));
        assert_eq!(
            (listed[0].training_from_us, listed[0].training_to_us),
            (lineage.training_from_us, lineage.training_to_us)
        );
        assert_eq!(listed[0].parent, None);
    }

    #[test]
    fn models_of_all_kinds_lie_side_by_side_and_are_loaded_as_what_they_are() {
        let (_folder, _, registry) = registry();
        let transaction = registry.publish(&bundle(1)).unwrap();
        let image = registry.publish(&image_bundle(2)).unwrap();
        let fusion = registry.publish(&fusion_bundle(3)).unwrap();
        let listed = registry.list().unwrap();
        let kinds: Vec<_> = listed.iter().map(|model| (&model.version, model.kind)).collect();
        assert_eq!(
            kinds,
            [
                (&transaction, ModelKind::Transaction),
                (&image, ModelKind::Image),
                (&fusion, ModelKind::Fusion)
            ]
        );
        let loaded: FusionBundle = registry.load(&fusion).unwrap();
        assert_eq!(loaded, fusion_bundle(3));
        let loaded: ImageBundle = registry.load(&image).unwrap();
        assert_eq!(loaded, image_bundle(2));
        let any: Package<AnyManifest> = registry.load(&image).unwrap();
        assert_eq!(any.encode(), loaded.encode());
        assert_eq!(registry.manifest(&image).unwrap(), any.manifest);
        let other: Result<Bundle> = registry.load(&image);
        assert!(matches!(other, Err(RegistryError::Bundle { .. })));
    }

    #[test]
    fn a_version_without_its_manifest_is_not_there_yet() {
        let (_folder, store, registry) = registry();
        let version = registry.publish(&bundle(7)).unwrap();
        store.delete(&path(&version, MANIFEST_FILE)).unwrap();
        assert_eq!(registry.list().unwrap(), []);
        assert!(matches!(
            registry.load::<AnyManifest>(&version),
            Err(RegistryError::UnknownVersion { .. })
        ));
        registry.publish(&bundle(7)).unwrap();
        assert_eq!(registry.load(&version).unwrap(), bundle(7));
    }

    #[test]
    fn damage_is_noticed_and_never_published_over() {
        let (_folder, store, registry) = registry();
        let version = registry.publish(&bundle(7)).unwrap();
        let weights = path(&version, WEIGHTS_FILE);
        let mut damaged = store.get(&weights).unwrap().unwrap().to_vec();
        *damaged.last_mut().unwrap() ^= 1;
        store.put(&weights, damaged).unwrap();
        assert!(matches!(
            registry.load::<AnyManifest>(&version),
            Err(RegistryError::Bundle { .. })
        ));
        assert!(matches!(
            registry.publish(&bundle(7)),
            Err(RegistryError::Occupied { .. })
        ));
        store.delete(&weights).unwrap();
        assert!(matches!(
            registry.load::<AnyManifest>(&version),
            Err(RegistryError::Bundle { .. })
        ));
        store
            .put(&path(&version, MANIFEST_FILE), "{\"format\":99}")
            .unwrap();
        assert_eq!(registry.list().unwrap(), []);
    }

    #[test]
    fn a_bundle_under_anothers_version_is_refused() {
        let (_folder, store, registry) = registry();
        let (one, other) = (
            registry.publish(&bundle(1)).unwrap(),
            registry.publish(&bundle(2)).unwrap(),
        );
        let foreign = store.get(&path(&other, MANIFEST_FILE)).unwrap().unwrap();
        store.put(&path(&one, MANIFEST_FILE), foreign).unwrap();
        assert!(matches!(
            registry.load::<AnyManifest>(&one),
            Err(RegistryError::Bundle { .. })
        ));
        assert!(registry.load::<AnyManifest>(&other).is_ok());
    }

    #[test]
    fn what_is_no_hash_is_no_version() {
        let (_folder, _, registry) = registry();
        for version in ["", "../x", "audit", "0123"] {
            let error = registry.load::<AnyManifest>(version).unwrap_err();
            assert!(
                matches!(error, RegistryError::UnknownVersion { .. }),
                "{version}: {error:?}"
            );
        }
    }
}
