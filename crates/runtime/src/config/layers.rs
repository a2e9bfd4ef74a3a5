//! The layers of a configuration and how they are laid over one another.

use super::Report;
use super::node::{Node, Value, from_table, from_toml};
use super::path::{Path, SecretKeys, Step};
use super::problem::Origin;
use std::path::PathBuf;
use std::sync::Arc;
use toml::de::{DeTable, DeValue};

/// What a variable of the environment starts with to be a setting: `RISKSTREAM__SECTION__KEY`.
pub const ENVIRONMENT_PREFIX: &str = "RISKSTREAM__";

/// Everything a configuration is made from, lowest layer first.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// The commented default that the program carries.
    pub default_text: &'static str,
    /// The configuration file: its name for messages, and its content.
    pub file: Option<(PathBuf, String)>,
    /// All variables; those that do not start with [`ENVIRONMENT_PREFIX`] are passed over.
    pub environment: Vec<(String, String)>,
    /// What flags set, in the order of the command line.
    pub overrides: Vec<Override>,
}

/// A setting given by a flag.
#[derive(Clone, Debug)]
pub struct Override {
    /// The flag as it is typed, for messages: `--bootstrap-servers`.
    pub flag: String,
    /// The dotted key it sets: `kafka.bootstrap_servers`.
    pub key: String,
    /// A TOML value, or a text.
    pub value: String,
}

/// The default by itself and all layers merged, with secrets read from their files; `None` if a text is no TOML.
pub(super) fn merge(layers: Layers, secrets: &SecretKeys, report: &mut Report) -> Option<(Node, Node)> {
    let default = parse(layers.default_text, &|line| Origin::Default { line }, report);
    let file = layers.file.map(|(path, text)| {
        let path = Arc::new(path);
        parse(
            &text,
            &move |line| Origin::File {
                path: Arc::clone(&path),
                line,
            },
            report,
        )
    });
    if !report.is_empty() {
        return None;
    }
    let mut merged = default.clone();
    if let Some(file) = file {
        merged.overlay(file);
    }
    let mut environment = layers.environment;
    environment.sort();
    for (name, value) in &environment {
        set_from_environment(&mut merged, name, value, report);
    }
    for flag in &layers.overrides {
        let origin = Origin::Flag {
            name: flag.flag.clone(),
        };
        match Path::parse(&flag.key).filter(|path| !path.0.is_empty()) {
            Some(path) => set(&mut merged, path, scalar(&flag.value, &origin), report),
            None => report.add_at(&origin, None, format!("`{}` is no dotted key", flag.key), None),
        }
    }
    read_secret_files(&mut merged, secrets, report);
    Some((default, merged))
}

fn parse(text: &str, origin: &dyn Fn(usize) -> Origin, report: &mut Report) -> Node {
    let starts: Vec<usize> = text.match_indices('\n').map(|(newline, _)| newline + 1).collect();
    let locate = |byte: usize| origin(1 + starts.partition_point(|start| *start <= byte));
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let message = error.message().replace('\n', ", ");
        let place = locate(error.span().map_or(0, |span| span.start));
        report.add_at(&place, None, message, None);
    }
    let mut refused = Vec::new();
    let entries = from_table(table.get_ref(), &locate, &mut refused);
    for (place, message) in refused {
        report.add_at(&place, None, message, None);
    }
    Node::new(Value::Table(entries), origin(1))
}

/// A value from the environment or a flag: TOML where it is TOML, otherwise a text.
fn scalar(raw: &str, origin: &Origin) -> Node {
    let mut refused = Vec::new();
    let parsed = DeValue::parse(raw)
        .ok()
        .map(|value| from_toml(&value, &|_| origin.clone(), &mut refused));
    let mut node = match parsed {
        Some(node) if refused.is_empty() => node,
        _ => Node::new(Value::String(raw.to_owned()), origin.clone()),
    };
    // A quoted text means the text without its quotes; a table is never meant as a text.
    if !raw.starts_with(['"', '\'', '{']) {
        node.raw = Some(raw.to_owned());
    }
    node
}

fn set_from_environment(merged: &mut Node, name: &str, value: &str, report: &mut Report) {
    let Some(key) = name.strip_prefix(ENVIRONMENT_PREFIX) else {
        return;
    };
    let origin = Origin::Environment {
        name: name.to_owned(),
    };
    let names: Vec<&str> = key.split("__").collect();
    if names.iter().any(|name| name.is_empty()) {
        let message = format!("the name must be {ENVIRONMENT_PREFIX}SECTION__KEY");
        return report.add_at(&origin, None, message, None);
    }
    let mut path = Path::default();
    for name in names {
        let known = merged.get(&path).and_then(|table| existing_key(table, name));
        path = path.key(&known.unwrap_or_else(|| name.to_lowercase()));
    }
    set(merged, path, scalar(value, &origin), report);
}

/// The key of a table that a variable can mean: variables know neither case nor dots nor dashes.
fn existing_key(table: &Node, name: &str) -> Option<String> {
    let folded = |key: &str| key.to_lowercase().replace(['.', '-'], "_");
    let wanted = folded(name);
    table.children().into_iter().find_map(|(step, _)| match step {
        Step::Key(key) if folded(&key) == wanted => Some(key),
        _ => None,
    })
}

/// Sets a value, making the tables on its way.
fn set(merged: &mut Node, path: Path, node: Node, report: &mut Report) {
    let mut way = Path::default();
    for step in &path.0[..path.0.len() - 1] {
        way = way.step(step.clone());
        if merged.get(&way).is_none() {
            merged.set(&way, Node::new(Value::Table(Vec::new()), node.origin.clone()));
        }
        if !matches!(
            merged.get(&way),
            Some(Node {
                value: Value::Table(_) | Value::Array(_),
                ..
            })
        ) {
            let message = format!("{way} is no table, nothing can be set below it");
            return report.add_at(&node.origin, None, message, None);
        }
    }
    let origin = node.origin.clone();
    merged.set(&path, node);
    if merged.get(&path).is_none() {
        report.add_at(&origin, None, format!("there is no {path}"), None);
    }
}

/// Puts the content of the file that `KEY_file` names in the place of the secret `KEY`.
fn read_secret_files(merged: &mut Node, secrets: &SecretKeys, report: &mut Report) {
    let mut references = Vec::new();
    find_references(merged, &Path::default(), secrets, &mut references);
    for (reference, secret) in references {
        let Some(node) = merged.get(&reference).cloned() else {
            continue;
        };
        merged.remove(&reference);
        let direct = merged.get(&secret).map(|direct| direct.origin.rank());
        if direct.is_some_and(|rank| rank > node.origin.rank()) {
            continue;
        }
        if direct == Some(node.origin.rank()) && node.origin.rank() > 0 {
            let message = format!("{secret} is given as well");
            report.add_at(
                &node.origin,
                Some(&reference),
                message,
                Some("keep one of the two".to_owned()),
            );
            continue;
        }
        match read_secret(&node) {
            Ok(content) => merged.set(&secret, Node::new(Value::String(content), node.origin)),
            Err(message) => report.add_at(&node.origin, Some(&reference), message, None),
        }
    }
}

fn find_references(node: &Node, path: &Path, secrets: &SecretKeys, found: &mut Vec<(Path, Path)>) {
    for (step, child) in node.children() {
        let stem = match &step {
            Step::Key(key) => key.strip_suffix("_file").map(|stem| path.key(stem)),
            Step::Index(_) => None,
        };
        let child_path = path.step(step);
        match stem {
            Some(secret) if secrets.covers(&secret) => found.push((child_path, secret)),
            _ => find_references(child, &child_path, secrets, found),
        }
    }
}

fn read_secret(node: &Node) -> Result<String, String> {
    let name = match (&node.raw, &node.value) {
        (Some(raw), _) => raw,
        (None, Value::String(name)) => name,
        _ => return Err("expected the name of a file".to_owned()),
    };
    let content = std::fs::read_to_string(name).map_err(|error| format!("cannot read {name}: {error}"))?;
    match content.trim() {
        "" => Err(format!("{name} is empty")),
        secret => Ok(secret.to_owned()),
    }
}
