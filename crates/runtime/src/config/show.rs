//! The merged configuration for people: secrets masked, every value with its origin.

use super::node::{Node, Value};
use super::path::{Path, Step, written_key};
use super::secret::MASK;
use serde::Serialize;

/// One setting as it is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Its dotted key.
    pub key: String,
    /// Its value as TOML writes it; `"***"` for a secret.
    pub value: String,
    /// The layer and the line, variable or flag it came from.
    pub origin: String,
}

/// The tree without what its secrets hold; an empty one stays visible as empty.
pub(super) fn masked(mut root: Node, is_secret: &dyn Fn(&Path) -> bool) -> Node {
    mask(&mut root, &Path::default(), is_secret);
    root
}

fn mask(node: &mut Node, path: &Path, is_secret: &dyn Fn(&Path) -> bool) {
    node.raw = None;
    let empty = matches!(&node.value, Value::String(text) if text.is_empty());
    if is_secret(path) && !empty {
        node.value = Value::String(MASK.to_owned());
        return;
    }
    match &mut node.value {
        Value::Table(entries) => {
            entries
                .iter_mut()
                .for_each(|(key, child)| mask(child, &path.key(key), is_secret));
        }
        Value::Array(items) => {
            items
                .iter_mut()
                .for_each(|(at, child)| mask(child, &path.step(Step::Index(*at)), is_secret));
        }
        _ => {}
    }
}

pub(super) fn settings(root: &Node) -> Vec<Setting> {
    let mut found = Vec::new();
    collect(root, &Path::default(), &mut found);
    found
}

fn collect(node: &Node, path: &Path, found: &mut Vec<Setting>) {
    if matches!(node.value, Value::Table(_)) || is_array_of_tables(node) {
        for (step, child) in node.children() {
            collect(child, &path.step(step), found);
        }
    } else {
        let (key, value, origin) = (path.to_string(), node.inline(), node.origin.to_string());
        found.push(Setting { key, value, origin });
    }
}

pub(super) fn to_toml(root: &Node) -> String {
    let mut out = String::new();
    write_table(root, "", &mut out);
    out.trim_start().to_owned()
}

/// Writes the plain values of a table, then the tables below it under headers of their own.
fn write_table(table: &Node, header: &str, out: &mut String) {
    let Value::Table(entries) = &table.value else {
        return;
    };
    let is_plain = |node: &Node| !matches!(node.value, Value::Table(_)) && !is_array_of_tables(node);
    for (key, node) in entries.iter().filter(|(_, node)| is_plain(node)) {
        out.push_str(&format!(
            "{} = {}  # {}\n",
            written_key(key),
            node.inline(),
            node.origin
        ));
    }
    for (key, node) in entries.iter().filter(|(_, node)| !is_plain(node)) {
        let key = written_key(key);
        let header = if header.is_empty() {
            key
        } else {
            format!("{header}.{key}")
        };
        match &node.value {
            Value::Array(items) => {
                for (_, item) in items {
                    out.push_str(&format!("\n[[{header}]]\n"));
                    write_table(item, &header, out);
                }
            }
            _ => {
                out.push_str(&format!("\n[{header}]\n"));
                write_table(node, &header, out);
            }
        }
    }
}

fn is_array_of_tables(node: &Node) -> bool {
    match &node.value {
        Value::Array(items) => {
            !items.is_empty()
                && items
                    .iter()
                    .all(|(_, item)| matches!(item.value, Value::Table(_)))
        }
        _ => false,
    }
}
