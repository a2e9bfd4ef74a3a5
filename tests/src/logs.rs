//! What workers print, kept for the case that a test fails.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

/// Lines of a log that are shown.
const SHOWN: usize = 30;

/// A file that everything one worker prints is added to.
pub(crate) fn open(folder: &Path, name: &str) -> File {
    let path = path(folder, name);
    let opened = OpenOptions::new().create(true).append(true).open(&path);
    opened.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The end of a worker's log.
pub(crate) fn tail(folder: &Path, name: &str) -> String {
    let text = std::fs::read_to_string(path(folder, name)).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let shown = &lines[lines.len().saturating_sub(SHOWN)..];
    format!("--- {name}\n{}", shown.join("\n"))
}

fn path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.log"))
}
