//! Pretrained networks that image models start from: imported once, named by their content.

use model::vision::Backbone;

use crate::error::{RegistryError, Result};
use crate::{FOLDER, Registry};

/// How the file of a backbone ends.
const SUFFIX: &str = ".safetensors";

impl Registry {
    /// Checks a pretrained network and stores it under the SHA-256 of its file, which is returned. From then on it is
    /// the newest one, also if it was stored before.
    ///
    /// # Errors
    /// [`RegistryError::Backbone`] if the file is not the network of [`Backbone::from_safetensors`], and what the store
    /// says.
    pub fn import_backbone(&self, bytes: Vec<u8>) -> Result<String> {
        let name = read(&bytes)?.sha256().to_owned();
        // Written again, it is newer than others.
        self.store.put(&path(&name), bytes)?;
        tracing::info!(name, "backbone imported");
        Ok(name)
    }

    /// The backbone that was imported last, by the storage's clock; its file is checked against its name.
    ///
    /// # Errors
    /// [`RegistryError::Backbone`] if the file is damaged, and what the store says.
    pub fn backbone(&self) -> Result<Option<Backbone>> {
        let stored = self.store.list(&format!("{FOLDER}/backbones"))?;
        let newest = stored
            .into_iter()
            .filter(|object| object.path.ends_with(SUFFIX))
            .max_by(|a, b| (a.last_modified_us, &a.path).cmp(&(b.last_modified_us, &b.path)));
        let Some(object) = newest else {
            return Ok(None);
        };
        let bytes = self.store.get(&object.path)?.unwrap_or_default();
        let backbone = read(&bytes)?;
        let found = path(backbone.sha256());
        if found == object.path {
            return Ok(Some(backbone));
        }
        Err(RegistryError::Backbone {
            source: model::Error::Hash {
                what: "backbone",
                found,
                expected: object.path,
            },
        })
    }
}

fn read(bytes: &[u8]) -> Result<Backbone> {
    Backbone::from_safetensors(bytes).map_err(|source| RegistryError::Backbone { source })
}

fn path(name: &str) -> String {
    format!("{FOLDER}/backbones/{name}{SUFFIX}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::fixture::registry;

    #[test]
    fn a_file_that_is_no_backbone_is_refused_and_nothing_is_stored() {
        let (_folder, store, registry) = registry();
        let refused = registry.import_backbone(b"GIF89a".to_vec()).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the file is not the pretrained network that image models start from"
        );
        // A safetensors file without a tensor.
        let mut empty = 2_u64.to_le_bytes().to_vec();
        empty.extend(b"{}");
        let refused = registry.import_backbone(empty).unwrap_err();
        let RegistryError::Backbone { source } = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(
            source.to_string(),
            "the tensor _conv_stem.weight is absent or does not have the shape [32, 3, 3, 3]"
        );
        assert!(store.list("").unwrap().is_empty());
        assert!(registry.backbone().unwrap().is_none());
    }

    #[test]
    fn a_damaged_backbone_is_noticed() {
        let (_folder, store, registry) = registry();
        store.put(&path("00ff"), b"damaged".to_vec()).unwrap();
        assert!(matches!(registry.backbone(), Err(RegistryError::Backbone { .. })));
    }
}
