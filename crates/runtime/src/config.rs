//! Configuration in layers: embedded default < file < environment < flags.
//!
//! The loader knows nothing of the sections it loads: the type `T` decides through serde and [`Check`]. It merges the
//! layers into one tree in which every value knows its origin, and decodes the tree again and again, setting aside
//! what was refused, until nothing new is refused: so all problems come out at once, each with its place.

mod decode;
mod deserialize;
mod fault;
mod layers;
mod node;
mod path;
mod problem;
mod secret;
mod show;
mod suggest;
#[cfg(test)]
mod tests;

pub use layers::{ENVIRONMENT_PREFIX, Layers, Override};
pub use problem::{ConfigError, Origin, Problem, Problems};
pub use secret::Secret;
pub use show::Setting;

use decode::Decoded;
use node::Node;
use path::{Path, SecretKeys};
use problem::Found;
use serde::de::DeserializeOwned;

/// What a configuration knows about itself beyond the shape of its values.
pub trait Check {
    /// Dotted keys of the secrets, with `*` for any run of characters within a key:
    /// `kafka.properties."*password*"`. They are masked wherever they are shown, and may be given as `KEY_file`, the
    /// name of a file that holds the value.
    const SECRETS: &'static [&'static str] = &[];

    /// Reports every value that has the right shape and still makes no sense.
    fn check(&self, problems: &mut Problems);
}

/// A configuration that was accepted.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The configuration itself.
    pub config: T,
    shown: Node,
}

impl<T> Loaded<T> {
    /// The merged configuration as TOML, secrets masked, each value followed by a comment naming its origin.
    #[must_use]
    pub fn to_toml(&self) -> String {
        show::to_toml(&self.shown)
    }

    /// Every single setting with its value, secrets masked, and its origin.
    #[must_use]
    pub fn settings(&self) -> Vec<Setting> {
        show::settings(&self.shown)
    }
}

/// Merges the layers and decodes them.
///
/// What [`Check`] finds is reported together with what has the wrong shape, but for sections that hold a value of the
/// wrong shape: there it might be no more than a consequence.
///
/// # Errors
/// Every problem of every layer. Only a layer that is no TOML hides the problems behind it.
pub fn load<T: DeserializeOwned + Check>(layers: Layers) -> Result<Loaded<T>, ConfigError> {
    let mut report = Report::default();
    let declared = SecretKeys::new(T::SECRETS);
    let Some((default, merged)) = layers::merge(layers, &declared, &mut report) else {
        return Err(report.into_error());
    };
    let Decoded {
        value,
        refused,
        secrets,
    } = decode::decode::<T>(merged.clone(), &default, &declared);
    let substituted = refused.substituted;
    for found in refused.found {
        report.add(&merged, found);
    }
    if let Some(config) = &value {
        let mut problems = Problems::default();
        config.check(&mut problems);
        let consequence = |found: &Found| {
            substituted
                .iter()
                .any(|path: &Path| path.shares_section(&found.path))
        };
        problems
            .into_found()
            .into_iter()
            .filter(|found| !consequence(found))
            .for_each(|found| {
                report.add(&merged, found);
            });
    }
    match value {
        Some(config) if report.is_empty() => {
            let shown = show::masked(merged, &|path| secrets.contains(path) || declared.covers(path));
            Ok(Loaded { config, shown })
        }
        _ => Err(report.into_error()),
    }
}

/// The problems of one load, each with the rank by which they are put in order.
#[derive(Default)]
struct Report(Vec<((u8, usize), Problem)>);

impl Report {
    /// Adds a problem at the value that its path names, or at the nearest table above it.
    fn add(&mut self, merged: &Node, found: Found) {
        let origin = &merged.nearest(&found.path).origin;
        self.add_at(origin, Some(&found.path), found.message, found.remedy);
    }

    fn add_at(&mut self, origin: &Origin, path: Option<&Path>, message: String, remedy: Option<String>) {
        let line = match origin {
            Origin::Default { line } | Origin::File { line, .. } => Some(*line),
            Origin::Environment { .. } | Origin::Flag { .. } => None,
        };
        // A variable or a flag names the setting itself, unless the problem lies deeper in its value.
        let deeper = |path: &&Path| path.0.iter().any(|step| matches!(step, path::Step::Index(_)));
        let place = match path.filter(|path| !path.0.is_empty() && (line.is_some() || deeper(path))) {
            Some(path) => format!("{origin} {path}"),
            None => origin.to_string(),
        };
        self.0.push((
            (origin.rank(), line.unwrap_or(0)),
            Problem {
                place,
                message,
                remedy,
            },
        ));
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn into_error(mut self) -> ConfigError {
        self.0.sort_by(|(rank, problem), (other_rank, other)| {
            (rank, &problem.place).cmp(&(other_rank, &other.place))
        });
        ConfigError {
            problems: self.0.into_iter().map(|(_, problem)| problem).collect(),
        }
    }
}
