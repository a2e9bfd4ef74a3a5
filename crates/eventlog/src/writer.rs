//! Who writes into an internal log.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A writer of an internal log, which is a source for its reader: `ingest/transactions/3`, `terminal/0`.
///
/// A writer is a stage and the input partition it reads, never a process: a successor goes on under the same
/// name and with the same numbers (R1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Writer(Arc<str>);

impl Writer {
    /// The owner of a keyed stage's input partition.
    #[must_use]
    pub fn new(stage: &str, partition: i32) -> Self {
        Self(format!("{stage}/{partition}").into())
    }

    /// Ingest's owner of a raw partition.
    #[must_use]
    pub fn source(topic_name: &str, partition: i32) -> Self {
        Self(format!("ingest/{topic_name}/{partition}").into())
    }

    /// The name as it stands in headers.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The stage, and the input partition.
    #[must_use]
    pub fn parts(&self) -> (&str, i32) {
        split(&self.0).expect("a writer's name was checked when it was made")
    }
}

/// A name that is not a stage, a slash and a partition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("writer name {0:?} is not of the form stage/partition")]
pub struct ParseWriterError(String);

fn split(name: &str) -> Option<(&str, i32)> {
    let (stage, digits) = name.rsplit_once('/')?;
    let partition: i32 = digits.parse().ok()?;
    (partition.to_string() == digits).then_some((stage, partition)) // one partition has one name
}

impl FromStr for Writer {
    type Err = ParseWriterError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match split(name) {
            Some(_) => Ok(Self(name.into())),
            None => Err(ParseWriterError(name.to_owned())),
        }
    }
}

impl TryFrom<String> for Writer {
    type Error = ParseWriterError;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse()
    }
}

impl From<Writer> for String {
    fn from(writer: Writer) -> Self {
        writer.as_str().to_owned()
    }
}

impl fmt::Display for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_stage_and_partition() {
        let source = Writer::source("transactions", 3);
        assert_eq!(source.to_string(), "ingest/transactions/3");
        assert_eq!(source.parts(), ("ingest/transactions", 3));
        assert_eq!(Writer::new("terminal", 0).as_str(), "terminal/0");
        assert_eq!("terminal/0".parse(), Ok(Writer::new("terminal", 0)));
    }

    #[test]
    fn one_partition_has_one_name() {
        for wrong in [
            "",
            "terminal",
            "terminal/",
            "terminal/x",
            "terminal/03",
            "terminal/+3",
            "terminal/4294967296",
        ] {
            assert!(wrong.parse::<Writer>().is_err(), "{wrong}");
        }
    }
}
