//! Decoding the tree until nothing new is refused.

use super::deserialize::{NodeDeserializer, Trace};
use super::fault::{Fault, FaultKind};
use super::node::{Node, Value};
use super::path::{Path, SecretKeys};
use super::problem::Found;
use serde::de::DeserializeOwned;
use std::cell::RefCell;
use std::collections::BTreeSet;

/// What came out of the tree.
pub(super) struct Decoded<T> {
    /// The configuration; where something was refused, with something else in its place.
    pub(super) value: Option<T>,
    pub(super) refused: Refused,
    /// The values that turned out to be secrets by their type.
    pub(super) secrets: BTreeSet<Path>,
}

/// What was refused.
#[derive(Default)]
pub(super) struct Refused {
    pub(super) found: Vec<Found>,
    /// The values that were replaced or taken out, so that decoding could go on.
    pub(super) substituted: BTreeSet<Path>,
}

/// Decodes; after each refusal puts another value in the place of the refused one and tries again.
///
/// It ends: a path is substituted at most once, and every other step makes the tree smaller.
pub(super) fn decode<T: DeserializeOwned>(
    mut root: Node,
    default: &Node,
    declared: &SecretKeys,
) -> Decoded<T> {
    let mut refused = Refused::default();
    let mut secrets = BTreeSet::new();
    loop {
        let trace = RefCell::new(Trace::default());
        let top = NodeDeserializer {
            node: &root,
            path: Path::default(),
            trace: &trace,
        };
        let result = T::deserialize(top);
        let trace = trace.into_inner();
        secrets.extend(trace.secrets);
        for (path, (key, remedy)) in trace.unknown {
            root.remove(&path);
            refused.note(path, &FaultKind::UnknownKey { key, remedy }, &|_| false);
        }
        let is_secret = |path: &Path| declared.covers(path) || secrets.contains(path);
        match result {
            Ok(value) => {
                return Decoded {
                    value: Some(value),
                    refused,
                    secrets,
                };
            }
            Err(fault) if refused.mend(&mut root, default, &fault, &is_secret) => {}
            Err(_) => {
                return Decoded {
                    value: None,
                    refused,
                    secrets,
                };
            }
        }
    }
}

impl Refused {
    /// Notes the fault, unless an earlier one explains it, and changes the tree so that the next run gets further.
    /// Returns whether there is anything left to decode.
    fn mend(
        &mut self,
        root: &mut Node,
        default: &Node,
        fault: &Fault,
        secret: &dyn Fn(&Path) -> bool,
    ) -> bool {
        let at = fault.path.clone().unwrap_or_default();
        let path = match &fault.kind {
            FaultKind::UnknownKey { key, .. } if root.remove(&at.key(key)) => {
                self.note(at.key(key), &fault.kind, secret);
                return true;
            }
            FaultKind::MissingKey(key) => at.key(key),
            _ => at.clone(),
        };
        let related = |earlier: &Path| earlier.starts_with(&path) || path.starts_with(earlier);
        if self.substituted.iter().any(related) {
            return self.take_out(root, at);
        }
        self.note(path.clone(), &fault.kind, secret);
        self.substitute(root, default, path)
    }

    fn note(&mut self, path: Path, kind: &FaultKind, secret: &dyn Fn(&Path) -> bool) {
        let (message, remedy) = kind.describe(secret(&path));
        self.found.push(Found {
            path,
            message,
            remedy,
        });
    }

    /// Puts the default, where there is one that was not refused itself, or a placeholder in the place of a value.
    fn substitute(&mut self, root: &mut Node, default: &Node, path: Path) -> bool {
        if path.0.is_empty() {
            return false;
        }
        let refused_rank = root.get(&path).map_or(0, |node| node.origin.rank());
        let node = match default.get(&path) {
            Some(node) if refused_rank > 0 => node.clone(),
            _ => Node::new(Value::Placeholder, root.nearest(&path).origin.clone()),
        };
        root.set(&path, node);
        self.substituted.insert(path);
        true
    }

    /// Takes out a value that nothing could mend, or the table that cannot do without it.
    fn take_out(&mut self, root: &mut Node, mut path: Path) -> bool {
        loop {
            if root.remove(&path) {
                self.substituted.insert(path);
                return true;
            }
            match path.parent() {
                Some(parent) => path = parent,
                None => return false,
            }
        }
    }
}
