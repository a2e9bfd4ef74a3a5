//! What is wrong with a configuration, and where.

use super::path::Path;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The text that the program carries in itself.
    Default {
        /// Counted from 1.
        line: usize,
    },
    /// The configuration file.
    File {
        /// As it was given.
        path: Arc<PathBuf>,
        /// Counted from 1.
        line: usize,
    },
    /// A variable of the environment.
    Environment {
        /// Its whole name.
        name: String,
    },
    /// A flag of the command line.
    Flag {
        /// As it is typed, with its dashes.
        name: String,
    },
}

impl Origin {
    /// Which layer lies above which: default, file, environment, flag.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Default { .. } => 0,
            Self::File { .. } => 1,
            Self::Environment { .. } => 2,
            Self::Flag { .. } => 3,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default { line } => write!(formatter, "default:{line}"),
            Self::File { path, line } => write!(formatter, "{}:{line}", path.display()),
            Self::Environment { name } => write!(formatter, "environment {name}"),
            Self::Flag { name } => write!(formatter, "flag {name}"),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The layer, the line where it has lines, and the setting: `config/handbook.toml:12 features[3].window`.
    pub place: String,
    /// What is wrong, without the value where it is a secret.
    pub message: String,
    /// What would put it right, where that is known.
    pub remedy: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.message)?;
        match &self.remedy {
            Some(remedy) => write!(formatter, " ({remedy})"),
            None => Ok(()),
        }
    }
}

/// A configuration that was refused, with everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the configuration has {}:{}", counted(problems.len()), lines(problems))]
pub struct ConfigError {
    /// Never empty; in the order of the layers and of the text.
    pub problems: Vec<Problem>,
}

impl ConfigError {
    /// Whether the same attempt can succeed later: never, somebody has to change the configuration.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        false
    }
}

fn counted(count: usize) -> String {
    if count == 1 {
        "1 problem".to_owned()
    } else {
        format!("{count} problems")
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}

/// Collects what the settings themselves find wrong with their values.
///
/// Keys are dotted and relative to the section being checked: `window`, `features[3].window`.
#[derive(Debug, Default)]
pub struct Problems {
    section: String,
    found: Vec<Found>,
}

/// A problem whose place the loader has still to add.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) path: Path,
    pub(super) message: String,
    pub(super) remedy: Option<String>,
}

impl Problems {
    /// Reports a problem at a key; an empty key is the section itself.
    pub fn add(&mut self, key: impl fmt::Display, message: impl Into<String>) {
        self.push(&key.to_string(), message.into(), None);
    }

    /// Reports a problem at a key, and what would put it right.
    pub fn add_with_remedy(
        &mut self,
        key: impl fmt::Display,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.push(&key.to_string(), message.into(), Some(remedy.into()));
    }

    /// Checks a part of the configuration, whose keys are then relative to `key`.
    pub fn within(&mut self, key: impl fmt::Display, check: impl FnOnce(&mut Self)) {
        let section = self.joined(&key.to_string());
        let outer = std::mem::replace(&mut self.section, section);
        check(self);
        self.section = outer;
    }

    /// Whether nothing has been reported.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Every report as `key: message`, for tests of one section by itself.
    #[must_use]
    pub fn messages(&self) -> Vec<String> {
        self.found
            .iter()
            .map(|found| format!("{}: {}", found.path, found.message))
            .collect()
    }

    pub(super) fn into_found(self) -> Vec<Found> {
        self.found
    }

    fn push(&mut self, key: &str, message: String, remedy: Option<String>) {
        let joined = self.joined(key);
        // A key that cannot be read is shown as it is rather than lost.
        let path = Path::parse(&joined).unwrap_or_else(|| Path::default().key(&joined));
        self.found.push(Found {
            path,
            message,
            remedy,
        });
    }

    fn joined(&self, key: &str) -> String {
        match (self.section.as_str(), key) {
            (section, "") => section.to_owned(),
            ("", key) => key.to_owned(),
            (section, key) if key.starts_with('[') => format!("{section}{key}"),
            (section, key) => format!("{section}.{key}"),
        }
    }
}
