//! The published pretrained network in a registry.

#![allow(clippy::unwrap_used, reason = "in a test a failure is the message")]
#![allow(clippy::print_stderr, reason = "a test that skips says so")]
#![allow(
    clippy::disallowed_methods,
    reason = "the folder of the data packs is named in the environment"
)]

use std::path::Path;
use std::time::{Duration, Instant};

use lake::Store;
use model::inference::Weights;
use registry::{Registry, RegistryError};

/// The file of the pack, or a word about its absence.
fn pack() -> Option<Vec<u8>> {
    let folder = std::env::var_os("RISKSTREAM_DATA").map(|data| Path::new(&data).join("efficientnet-lite0"));
    let file = folder.map(|folder| folder.join("efficientnet_lite0_f16.safetensors"));
    let found = file.and_then(|file| std::fs::read(file).ok());
    if found.is_none() {
        eprintln!("skipped: RISKSTREAM_DATA names no folder that holds the pack efficientnet-lite0");
    }
    found
}

/// Imports until the storage's clock has gone on, so that the import is newer than all before it.
fn import(registry: &Registry, bytes: &[u8]) -> String {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let name = registry.import_backbone(bytes.to_vec()).unwrap();
        if registry.backbone().unwrap().unwrap().sha256() == name {
            return name;
        }
        assert!(Instant::now() < deadline, "the clock stands still");
    }
}

#[test]
fn the_backbone_imported_last_is_the_one_to_start_from() {
    let Some(rounded) = pack() else { return };
    let widened = Weights::from_safetensors(&rounded)
        .unwrap()
        .to_safetensors()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().to_str().unwrap()).unwrap();
    let registry = Registry::open(store.clone());
    let [first, second, again] = [&rounded, &widened, &rounded].map(|bytes| import(&registry, bytes));
    assert_ne!(first, second);
    assert_eq!(first, again);
    assert_eq!(store.list("models/backbones").unwrap().len(), 2);
    assert!(registry.list().unwrap().is_empty(), "a backbone is no model");
    let path = |name: &str| format!("models/backbones/{name}.safetensors");
    store.delete(&path(&first)).unwrap();
    store.put(&path(&first), widened).unwrap();
    assert!(matches!(registry.backbone(), Err(RegistryError::Backbone { .. })));
}
