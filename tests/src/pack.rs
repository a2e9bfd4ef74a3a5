//! The card stream of the Fraud Detection Handbook, where somebody has it.

use std::path::{Path, PathBuf};

/// The configuration that reads it.
#[must_use]
pub fn handbook() -> PathBuf {
    testkit::project().join("config/handbook.toml")
}

/// The Parquet file of the pack whose name starts like this.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn pack_file(folder: &Path, prefix: &str) -> PathBuf {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let named = |path: &PathBuf| {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        name.starts_with(prefix) && name.ends_with(".parquet")
    };
    let found = entries
        .map(|entry| entry.expect("the folder can be read").path())
        .find(named);
    found.unwrap_or_else(|| panic!("{} has no {prefix}*.parquet", folder.display()))
}
