//! The first thing that one decoding run found wrong.

use super::path::Path;
use super::suggest;
use serde::de::{Expected, Unexpected};
use std::fmt;

/// A refusal and the value it is about.
#[derive(Debug)]
pub(super) struct Fault {
    /// Set by the innermost table or array that held the value; none means the root.
    pub(super) path: Option<Path>,
    pub(super) kind: FaultKind,
}

/// What kind of refusal it is: each is mended in its own way.
#[derive(Debug)]
pub(super) enum FaultKind {
    UnknownKey {
        key: String,
        remedy: Option<String>,
    },
    MissingKey(&'static str),
    /// The wrong kind or range of value. What was found is kept apart, because a secret must not show it.
    Unfit {
        expected: String,
        found: String,
        remedy: Option<String>,
    },
    /// Whatever else the type said, in its own words.
    Other(String),
}

impl Fault {
    fn new(kind: FaultKind) -> Self {
        Self { path: None, kind }
    }

    /// Says which value the refusal is about, unless somebody closer to it did.
    pub(super) fn at(mut self, path: &Path) -> Self {
        self.path.get_or_insert_with(|| path.clone());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (message, _) = self.kind.describe(false);
        formatter.write_str(&message)
    }
}

impl std::error::Error for Fault {}

impl FaultKind {
    /// The message and the remedy, without any part of the value if it is a secret.
    pub(super) fn describe(&self, secret: bool) -> (String, Option<String>) {
        match self {
            Self::UnknownKey { key, remedy } => (format!("unknown key `{key}`"), remedy.clone()),
            Self::MissingKey(_) => ("missing".to_owned(), None),
            Self::Unfit { expected, .. } if secret => (
                format!("expected {expected}; the value is a secret and not shown"),
                None,
            ),
            Self::Unfit {
                expected,
                found,
                remedy,
            } => (format!("expected {expected}, found {found}"), remedy.clone()),
            Self::Other(_) if secret => ("refused; the value is a secret and not shown".to_owned(), None),
            Self::Other(message) => (message.clone(), None),
        }
    }
}

impl serde::de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(FaultKind::Other(message.to_string()))
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(FaultKind::Unfit {
            expected: plain_expected(&expected.to_string()),
            found: plain_unexpected(unexpected),
            remedy: None,
        })
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(unexpected, expected)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(FaultKind::Unfit {
            expected: format!("one of {}", expected.join(", ")),
            found: format!("\"{variant}\""),
            remedy: suggest::remedy(variant, expected).filter(|remedy| remedy.starts_with("did")),
        })
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        let remedy = suggest::remedy(key, known);
        Self::new(FaultKind::UnknownKey {
            key: key.to_owned(),
            remedy,
        })
    }

    fn missing_field(key: &'static str) -> Self {
        Self::new(FaultKind::MissingKey(key))
    }
}

/// What was expected, in the words of somebody who writes TOML.
fn plain_expected(expected: &str) -> String {
    match expected {
        "u8" => "a whole number from 0 to 255".to_owned(),
        "u16" => "a whole number from 0 to 65535".to_owned(),
        "u32" => "a whole number from 0 to 4294967295".to_owned(),
        "u64" | "u128" | "usize" => "a whole number not below 0".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => format!("a whole number ({expected})"),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "an array".to_owned(),
        "a map" => "a table".to_owned(),
        other if other.starts_with("struct ") => "a table".to_owned(),
        other => other.to_owned(),
    }
}

fn plain_unexpected(unexpected: Unexpected<'_>) -> String {
    match unexpected {
        Unexpected::Map => "a table".to_owned(),
        Unexpected::Seq => "an array".to_owned(),
        Unexpected::Bool(truth) => truth.to_string(),
        Unexpected::Signed(number) => number.to_string(),
        Unexpected::Unsigned(number) => number.to_string(),
        Unexpected::Float(number) => number.to_string(),
        Unexpected::Str(text) => format!("\"{text}\""),
        other => other.to_string(),
    }
}
