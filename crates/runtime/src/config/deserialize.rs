//! The tree as a serde deserializer that tells apart what serde's own would mix into one text.

use super::fault::Fault;
use super::node::{Node, Value};
use super::path::Path;
use super::problem::Origin;
use super::secret::SECRET_NAME;
use super::suggest;
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// What a run saw on its way, beside its result.
#[derive(Debug, Default)]
pub(super) struct Trace {
    /// Keys that their struct does not know, which were passed over, each with its remedy.
    pub(super) unknown: BTreeMap<Path, (String, Option<String>)>,
    /// Values that went into a [`super::Secret`].
    pub(super) secrets: BTreeSet<Path>,
}

/// One value of the tree, to be decoded.
pub(super) struct NodeDeserializer<'a> {
    pub(super) node: &'a Node,
    pub(super) path: Path,
    pub(super) trace: &'a RefCell<Trace>,
}

static PLACEHOLDER: Node = Node {
    value: Value::Placeholder,
    origin: Origin::Default { line: 0 },
    raw: None,
};

impl<'a> NodeDeserializer<'a> {
    fn is_placeholder(&self) -> bool {
        matches!(self.node.value, Value::Placeholder)
    }

    fn items(&self, items: Vec<(Path, &'a Node)>) -> Items<'a> {
        Items {
            items: items.into_iter(),
            trace: self.trace,
        }
    }

    /// The elements of an array, or `blanks` placeholders.
    fn elements(&self, blanks: usize) -> Items<'a> {
        let index = |index| self.path.step(super::path::Step::Index(index));
        match &self.node.value {
            Value::Array(items) => self.items(
                items
                    .iter()
                    .map(|(position, node)| (index(*position), node))
                    .collect(),
            ),
            _ => self.items(
                (0..blanks)
                    .map(|position| (index(position), &PLACEHOLDER))
                    .collect(),
            ),
        }
    }

    /// The entries of a table; with `known` keys, the others are noted and passed over.
    fn entries(&self, known: Option<&'static [&'static str]>) -> Entries<'a> {
        let mut entries = Vec::new();
        match &self.node.value {
            Value::Table(table) => {
                for (key, node) in table {
                    let path = self.path.key(key);
                    match known {
                        Some(known) if !known.contains(&key.as_str()) => {
                            let unknown = (key.clone(), suggest::remedy(key, known));
                            self.trace.borrow_mut().unknown.insert(path, unknown);
                        }
                        _ => entries.push((key.clone(), path, node)),
                    }
                }
            }
            _ => {
                for key in known.unwrap_or_default() {
                    entries.push(((*key).to_owned(), self.path.key(key), &PLACEHOLDER));
                }
            }
        }
        Entries {
            entries: entries.into_iter(),
            value: None,
            trace: self.trace,
        }
    }

    /// The text for a setting that wants one: what was typed, whatever it looks like.
    fn text(&self) -> Option<&'a str> {
        match (&self.node.raw, &self.node.value) {
            (Some(raw), _) => Some(raw),
            (None, Value::String(text)) => Some(text),
            (None, Value::Placeholder) => Some(""),
            _ => None,
        }
    }
}

/// A scalar method: what a placeholder answers, and otherwise whatever the value is.
macro_rules! scalar {
    ($($method:ident => $visit:ident($blank:expr)),+ $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            if self.is_placeholder() { visitor.$visit($blank) } else { self.deserialize_any(visitor) }
        }
    )+};
}

impl<'de> Deserializer<'de> for NodeDeserializer<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::String(text) => visitor.visit_str(text),
            Value::Integer(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Boolean(truth) => visitor.visit_bool(*truth),
            Value::Array(_) => visitor.visit_seq(self.elements(0)),
            Value::Table(_) => visitor.visit_map(self.entries(None)),
            Value::Placeholder => visitor.visit_unit(),
        }
    }

    scalar! {
        deserialize_bool => visit_bool(false),
        deserialize_i8 => visit_u64(1), deserialize_i16 => visit_u64(1),
        deserialize_i32 => visit_u64(1), deserialize_i64 => visit_u64(1),
        deserialize_u8 => visit_u64(1), deserialize_u16 => visit_u64(1),
        deserialize_u32 => visit_u64(1), deserialize_u64 => visit_u64(1),
        deserialize_f32 => visit_f64(1.0), deserialize_f64 => visit_f64(1.0),
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.is_placeholder() {
            visitor.visit_seq(self.elements(0))
        } else {
            self.deserialize_any(visitor)
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.is_placeholder() {
            visitor.visit_map(self.entries(None))
        } else {
            self.deserialize_any(visitor)
        }
    }

    serde::forward_to_deserialize_any! { bytes byte_buf unit unit_struct identifier ignored_any }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.text() {
            Some(text) => visitor.visit_str(text),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.is_placeholder() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if name == SECRET_NAME {
            self.trace.borrow_mut().secrets.insert(self.path.clone());
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Fault> {
        if self.is_placeholder() {
            visitor.visit_seq(self.elements(len))
        } else {
            self.deserialize_any(visitor)
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Table(_) | Value::Placeholder => visitor.visit_map(self.entries(Some(fields))),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let (name, content) = match &self.node.value {
            Value::Table(entries) if entries.len() == 1 => (entries[0].0.clone(), Some(&entries[0].1)),
            Value::Placeholder => (variants.first().copied().unwrap_or_default().to_owned(), None),
            _ => match self.text() {
                Some(text) => (text.to_owned(), None),
                None => return self.deserialize_any(visitor),
            },
        };
        let blank = self.is_placeholder().then_some(&PLACEHOLDER);
        visitor.visit_enum(Variant {
            name,
            content: content.or(blank),
            path: self.path,
            trace: self.trace,
        })
    }
}

/// The elements of an array that are still to be decoded.
struct Items<'a> {
    items: std::vec::IntoIter<(Path, &'a Node)>,
    trace: &'a RefCell<Trace>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let Some((path, node)) = self.items.next() else {
            return Ok(None);
        };
        decode_at(seed, node, &path, self.trace).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// The entries of a table that are still to be decoded.
struct Entries<'a> {
    entries: std::vec::IntoIter<(String, Path, &'a Node)>,
    value: Option<(Path, &'a Node)>,
    trace: &'a RefCell<Trace>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Fault;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let Some((key, path, node)) = self.entries.next() else {
            return Ok(None);
        };
        let name = Node::new(Value::String(key), node.origin.clone());
        let key = seed.deserialize(NodeDeserializer {
            node: &name,
            path: path.clone(),
            trace: self.trace,
        });
        // A struct that refuses a key does so as a whole: where the key stands, the fault says itself.
        let key = key.map_err(|fault| match fault.kind {
            super::fault::FaultKind::UnknownKey { .. } => fault,
            _ => fault.at(&path),
        })?;
        self.value = Some((path, node));
        Ok(Some(key))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let (path, node) = self.value.take().expect("serde asks for a value after its key");
        decode_at(seed, node, &path, self.trace)
    }
}

/// A variant: a name alone, or a table of one entry.
struct Variant<'a> {
    name: String,
    content: Option<&'a Node>,
    path: Path,
    trace: &'a RefCell<Trace>,
}

impl<'de, 'a> EnumAccess<'de> for Variant<'a> {
    type Error = Fault;
    type Variant = Content<'a>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Content<'a>), Fault> {
        let name = Node::new(Value::String(self.name.clone()), Origin::Default { line: 0 });
        let variant = decode_at(seed, &name, &self.path, self.trace)?;
        let path = self.path.key(&self.name);
        Ok((
            variant,
            Content {
                node: self.content,
                path,
                trace: self.trace,
            },
        ))
    }
}

/// What a variant holds.
struct Content<'a> {
    node: Option<&'a Node>,
    path: Path,
    trace: &'a RefCell<Trace>,
}

impl<'a> Content<'a> {
    fn node(self) -> Result<NodeDeserializer<'a>, Fault> {
        let missing = || serde::de::Error::custom("this choice needs a table of its settings");
        let node = self.node.ok_or_else(missing)?;
        Ok(NodeDeserializer {
            node,
            path: self.path,
            trace: self.trace,
        })
    }
}

impl<'de> VariantAccess<'de> for Content<'_> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        match self.node {
            Some(Node {
                value: Value::Placeholder,
                ..
            })
            | None => Ok(()),
            Some(_) => Err(serde::de::Error::custom("this choice has no settings of its own")),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Fault> {
        let path = self.path.clone();
        seed.deserialize(self.node()?).map_err(|fault| fault.at(&path))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Fault> {
        let path = self.path.clone();
        self.node()?
            .deserialize_tuple(len, visitor)
            .map_err(|fault| fault.at(&path))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let path = self.path.clone();
        self.node()?
            .deserialize_struct("", fields, visitor)
            .map_err(|fault| fault.at(&path))
    }
}

fn decode_at<'de, S: DeserializeSeed<'de>>(
    seed: S,
    node: &Node,
    path: &Path,
    trace: &RefCell<Trace>,
) -> Result<S::Value, Fault> {
    seed.deserialize(NodeDeserializer {
        node,
        path: path.clone(),
        trace,
    })
    .map_err(|fault| fault.at(path))
}
