//! Where a setting is: `kafka.properties."sasl.password"`, `features[3].window`.

use std::fmt;

/// One step from a table or an array to what it holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// The steps from the root of the configuration to one of its values.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Path(pub(super) Vec<Step>);

impl Path {
    pub(super) fn key(&self, key: &str) -> Self {
        self.step(Step::Key(key.to_owned()))
    }

    pub(super) fn step(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// The table or array that holds the value; none holds the root.
    pub(super) fn parent(&self) -> Option<Self> {
        let (_, rest) = self.0.split_last()?;
        Some(Self(rest.to_vec()))
    }

    pub(super) fn starts_with(&self, prefix: &Self) -> bool {
        self.0.starts_with(&prefix.0)
    }

    /// Whether both lie in the same section, that is below the same top-level key.
    pub(super) fn shares_section(&self, other: &Self) -> bool {
        match (self.0.first(), other.0.first()) {
            (Some(mine), Some(theirs)) => mine == theirs,
            _ => true,
        }
    }

    /// Reads the written form; `None` where it is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut steps = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(tail) = rest.strip_prefix('[') {
                let (digits, tail) = tail.split_once(']')?;
                steps.push(Step::Index(digits.parse().ok()?));
                rest = tail;
            } else {
                let start = if steps.is_empty() {
                    rest
                } else {
                    rest.strip_prefix('.')?
                };
                let (key, tail) = take_key(start)?;
                steps.push(Step::Key(key));
                rest = tail;
            }
        }
        Some(Self(steps))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(formatter, "[{index}]")?,
                Step::Key(key) if position == 0 => write!(formatter, "{}", written_key(key))?,
                Step::Key(key) => write!(formatter, ".{}", written_key(key))?,
            }
        }
        Ok(())
    }
}

/// The key at the start of `text` and what follows it.
fn take_key(text: &str) -> Option<(String, &str)> {
    let (key, rest) = match text.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"')?,
        None => text.split_at(text.find(['.', '[']).unwrap_or(text.len())),
    };
    (!key.is_empty()).then(|| (key.to_owned(), rest))
}

/// A key as TOML writes it: bare where it may be, quoted otherwise.
pub(super) fn written_key(key: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !key.is_empty() && key.bytes().all(bare) {
        key.to_owned()
    } else {
        quoted(key)
    }
}

/// A TOML basic string.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            other if other.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(other))),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// Dotted keys that hold secrets; `*` in a key stands for any run of characters.
pub(super) struct SecretKeys(Vec<Path>);

impl SecretKeys {
    /// # Panics
    /// If a pattern is no dotted key: the patterns are constants of the program.
    pub(super) fn new(patterns: &[&str]) -> Self {
        let parse = |pattern: &&str| Path::parse(pattern).expect("a secret is declared by a dotted key");
        Self(patterns.iter().map(parse).collect())
    }

    /// Whether the value is a secret or lies within one.
    pub(super) fn covers(&self, path: &Path) -> bool {
        self.0.iter().any(|pattern| covers(&pattern.0, &path.0))
    }
}

fn covers(pattern: &[Step], path: &[Step]) -> bool {
    let keys = path.iter().filter_map(|step| match step {
        Step::Key(key) => Some(key.as_str()),
        Step::Index(_) => None,
    });
    let mut keys = keys.fuse();
    pattern.iter().all(|step| match (step, keys.next()) {
        (Step::Key(glob), Some(key)) => matches_glob(glob, key),
        _ => false,
    })
}

fn matches_glob(glob: &str, key: &str) -> bool {
    let Some((before, after)) = glob.split_once('*') else {
        return glob == key;
    };
    let Some(rest) = key.strip_prefix(before) else {
        return false;
    };
    let tails = (0..=rest.len()).filter_map(|start| rest.get(start..));
    tails.into_iter().any(|tail| matches_glob(after, tail))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_path_is_read_as_it_is_written() {
        for text in [
            "kafka",
            "features[3].window",
            "kafka.properties.\"sasl.password\"",
            "a[0][1].b",
        ] {
            assert_eq!(Path::parse(text).unwrap().to_string(), text);
        }
        for text in [".a", "a.", "a..b", "a[x]", "a[1", "\"a"] {
            assert_eq!(Path::parse(text), None, "{text}");
        }
    }

    #[test]
    fn secret_patterns_match_whole_keys() {
        let secrets = SecretKeys::new(&["tokens.key", "kafka.properties.\"*password*\""]);
        let covers = |text: &str| secrets.covers(&Path::parse(text).unwrap());
        assert!(covers("tokens.key"));
        assert!(covers("kafka.properties.\"sasl.password\""));
        assert!(covers("kafka.properties.ssl_key_password"));
        assert!(!covers("tokens.key_id"));
        assert!(!covers("kafka.properties.\"sasl.username\""));
        assert!(!covers("tokens"));
    }
}
