//! Where the project lies.

use std::path::PathBuf;

/// The root of the workspace: the nearest folder above the test's package that has a lock file.
///
/// Asked while running: what was compiled in one checkout may run in another that shares its target folder.
///
/// # Panics
/// If the test runs outside the project.
#[must_use]
pub fn project() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let start = package.unwrap_or_else(|| std::env::current_dir().expect("a current folder"));
    let root = start
        .ancestors()
        .find(|folder| folder.join("Cargo.lock").exists());
    root.expect("the test runs in the project").to_owned()
}
