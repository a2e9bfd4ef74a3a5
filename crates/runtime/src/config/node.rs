//! The merged configuration: a tree in which every value knows where it came from.

use super::path::{Path, Step, quoted, written_key};
use super::problem::Origin;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and its origin.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) origin: Origin,
    /// What stood in the environment or after the flag: a setting that is a text takes it as it is, so that a
    /// password of digits stays a text.
    pub(super) raw: Option<String>,
}

/// A TOML value. Tables keep the order of their keys, arrays the index their elements had.
#[derive(Clone, Debug)]
pub(super) enum Value {
    String(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Array(Vec<(usize, Node)>),
    Table(Vec<(String, Node)>),
    /// Stands where a value was refused, and fits wherever anything fits, so that the search for problems goes on.
    Placeholder,
}

impl Node {
    pub(super) fn new(value: Value, origin: Origin) -> Self {
        Self {
            value,
            origin,
            raw: None,
        }
    }

    /// The nodes directly below, each with its step.
    pub(super) fn children(&self) -> Vec<(Step, &Self)> {
        match &self.value {
            Value::Table(entries) => entries
                .iter()
                .map(|(key, node)| (Step::Key(key.clone()), node))
                .collect(),
            Value::Array(items) => items
                .iter()
                .map(|(index, node)| (Step::Index(*index), node))
                .collect(),
            _ => Vec::new(),
        }
    }

    pub(super) fn child(&self, step: &Step) -> Option<&Self> {
        match (&self.value, step) {
            (Value::Table(entries), Step::Key(key)) => {
                entries.iter().find(|(name, _)| name == key).map(|(_, node)| node)
            }
            (Value::Array(items), Step::Index(index)) => items
                .iter()
                .find(|(position, _)| position == index)
                .map(|(_, node)| node),
            _ => None,
        }
    }

    pub(super) fn child_mut(&mut self, step: &Step) -> Option<&mut Self> {
        match (&mut self.value, step) {
            (Value::Table(entries), Step::Key(key)) => entries
                .iter_mut()
                .find(|(name, _)| name == key)
                .map(|(_, node)| node),
            (Value::Array(items), Step::Index(index)) => items
                .iter_mut()
                .find(|(position, _)| position == index)
                .map(|(_, node)| node),
            _ => None,
        }
    }

    pub(super) fn get(&self, path: &Path) -> Option<&Self> {
        path.0.iter().try_fold(self, |node, step| node.child(step))
    }

    pub(super) fn get_mut(&mut self, path: &Path) -> Option<&mut Self> {
        path.0.iter().try_fold(self, |node, step| node.child_mut(step))
    }

    /// The value at the path, or the deepest one on the way to it.
    pub(super) fn nearest(&self, path: &Path) -> &Self {
        let mut node = self;
        for step in &path.0 {
            let Some(child) = node.child(step) else { break };
            node = child;
        }
        node
    }

    /// Puts a value where another is, or adds it to its table.
    pub(super) fn set(&mut self, path: &Path, node: Self) {
        if let Some(place) = self.get_mut(path) {
            *place = node;
        } else if let (Some(parent), Some(Step::Key(key))) = (path.parent(), path.0.last())
            && let Some(Self {
                value: Value::Table(entries),
                ..
            }) = self.get_mut(&parent)
        {
            entries.push((key.clone(), node));
        }
    }

    /// Takes a value out; whether it was there.
    pub(super) fn remove(&mut self, path: &Path) -> bool {
        let (Some(parent), Some(step)) = (path.parent(), path.0.last()) else {
            return false;
        };
        let Some(parent) = self.get_mut(&parent) else {
            return false;
        };
        let before = parent.len();
        match (&mut parent.value, step) {
            (Value::Table(entries), Step::Key(key)) => entries.retain(|(name, _)| name != key),
            (Value::Array(items), Step::Index(index)) => items.retain(|(position, _)| position != index),
            _ => {}
        }
        parent.len() < before
    }

    fn len(&self) -> usize {
        match &self.value {
            Value::Table(entries) => entries.len(),
            Value::Array(items) => items.len(),
            _ => 0,
        }
    }

    /// Lays another tree over this one: tables are joined key by key, everything else is replaced.
    pub(super) fn overlay(&mut self, over: Self) {
        match (&mut self.value, over) {
            (
                Value::Table(entries),
                Self {
                    value: Value::Table(above),
                    origin,
                    ..
                },
            ) => {
                self.origin = origin;
                for (key, node) in above {
                    match entries.iter_mut().find(|(name, _)| *name == key) {
                        Some((_, below)) => below.overlay(node),
                        None => entries.push((key, node)),
                    }
                }
            }
            (_, over) => *self = over,
        }
    }

    /// The value as TOML writes it within a line.
    pub(super) fn inline(&self) -> String {
        match &self.value {
            Value::String(text) => quoted(text),
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => toml::Value::Float(*number).to_string(),
            Value::Boolean(truth) => truth.to_string(),
            Value::Placeholder => String::new(),
            Value::Array(items) => {
                let items: Vec<_> = items.iter().map(|(_, node)| node.inline()).collect();
                format!("[{}]", items.join(", "))
            }
            Value::Table(entries) => {
                let pair = |(key, node): &(String, Self)| format!("{} = {}", written_key(key), node.inline());
                let pairs: Vec<_> = entries.iter().map(pair).collect();
                if pairs.is_empty() {
                    "{}".to_owned()
                } else {
                    format!("{{ {} }}", pairs.join(", "))
                }
            }
        }
    }
}

/// Turns what the parser read into a tree. `locate` gives the origin of a byte of the text; what does not fit a number
/// is pushed to `refused` with its origin.
pub(super) fn from_toml(
    value: &Spanned<DeValue<'_>>,
    locate: &dyn Fn(usize) -> Origin,
    refused: &mut Vec<(Origin, String)>,
) -> Node {
    let origin = locate(value.span().start);
    let value = match value.get_ref() {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(truth) => Value::Boolean(*truth),
        // Times are read by the settings that want one, from text.
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => {
                refused.push((origin.clone(), format!("{number} does not fit 64 bits")));
                Value::Placeholder
            }
        },
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Array(items) => {
            let nodes = items.iter().map(|item| from_toml(item, locate, refused));
            Value::Array(nodes.enumerate().collect())
        }
        DeValue::Table(table) => Value::Table(from_table(table, locate, refused)),
    };
    Node::new(value, origin)
}

/// The entries of a table in the order of the text.
pub(super) fn from_table(
    table: &DeTable<'_>,
    locate: &dyn Fn(usize) -> Origin,
    refused: &mut Vec<(Origin, String)>,
) -> Vec<(String, Node)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let mut nodes = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let mut node = from_toml(value, locate, refused);
        // A table's own span may start at its first entry or header; its key says where a reader finds it.
        if matches!(node.value, Value::Table(_)) {
            node.origin = locate(key.span().start);
        }
        nodes.push((key.get_ref().to_string(), node));
    }
    nodes
}
