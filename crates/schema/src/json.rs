//! Canonical events as JSON: what users produce to the raw topics.
//!
//! ```json
//! {"transaction_id": "t-1", "event_time": "2025-01-31T12:00:00Z", "amount": "12.34", "currency": "EUR",
//!  "entities": {"customer": "c-7", "terminal": "t-9"}, "attributes": {"channel": "chip"}}
//! {"transaction_id": "t-1", "label": "fraud", "known_at": 1738929600000, "source": "chargeback",
//!  "entities": {"customer": "c-7", "terminal": "t-9"}}
//! {"image_id": "i-1", "label": "fraud", "known_at": "2025-02-14T09:00:00Z", "source": "analyst",
//!  "entities": {"customer": "c-7"}}
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::{Attribute, Event, Label, SourceTopic, Subject, Transaction, Verdict};
use crate::money;
use crate::reject::{Reason, Reject};
use crate::time;

mod image;

pub use image::{Content, headers_of_image};

/// Limits on what a record may hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Bytes of a record.
    pub max_record_bytes: usize,
    /// Bytes of an identifier or of an entity's value.
    pub max_id_bytes: usize,
    /// Entities, attributes, images of one record, each.
    pub max_fields: usize,
    /// Bytes of an attribute's text.
    pub max_text_bytes: usize,
    /// Largest amount, in major units.
    pub max_amount: i64,
    /// How far an event may lie in the future of the record that brings it.
    pub max_future_secs: i64,
    /// The earliest event time.
    pub min_event_time: String,
}

/// What turns bytes into canonical events.
#[derive(Clone, Debug)]
pub struct Decoder {
    limits: Limits,
    min_event_time_us: i64,
}

#[derive(Deserialize)]
struct TransactionRecord {
    transaction_id: Value,
    event_time: Value,
    amount: Value,
    currency: String,
    #[serde(default)]
    entities: BTreeMap<String, Value>,
    #[serde(default)]
    attributes: BTreeMap<String, Value>,
    #[serde(default)]
    image_ids: Vec<String>,
}

#[derive(Deserialize)]
struct LabelRecord {
    #[serde(default)]
    transaction_id: Option<Value>,
    #[serde(default)]
    image_id: Option<Value>,
    label: Verdict,
    known_at: Value,
    #[serde(default)]
    source: String,
    #[serde(default)]
    entities: BTreeMap<String, Value>,
}

impl Decoder {
    /// A decoder with these limits.
    ///
    /// # Errors
    /// If `min_event_time` is not a time.
    pub fn new(limits: Limits) -> Result<Self, String> {
        let min_event_time_us = time::parse(&limits.min_event_time)
            .ok_or_else(|| format!("{:?} is not an RFC 3339 time", limits.min_event_time))?;
        Ok(Self {
            limits,
            min_event_time_us,
        })
    }

    /// Decodes a canonical JSON record of a raw topic.
    ///
    /// `timestamp_us` is the record's own: no event may lie far in its future, because that would raise its
    /// source's watermark for good.
    ///
    /// # Errors
    /// A [`Reject`] for whatever is wrong with the record.
    pub fn decode(&self, topic: SourceTopic, bytes: &[u8], timestamp_us: i64) -> Result<Event, Reject> {
        self.check_size(bytes)?;
        let event = match topic {
            SourceTopic::Transactions => Event::Transaction(self.transaction(parse(bytes)?)?),
            SourceTopic::Labels => Event::Label(self.label(parse(bytes)?)?),
            SourceTopic::Images => Event::Image(Self::image(bytes)?.0),
        };
        self.check(&event, timestamp_us)?;
        Ok(event)
    }

    /// Decodes a flat JSON object, for a [`crate::Mapping`] to read.
    ///
    /// # Errors
    /// A [`Reject`] if it is none.
    pub fn decode_flat(&self, bytes: &[u8]) -> Result<serde_json::Map<String, Value>, Reject> {
        self.check_size(bytes)?;
        parse(bytes)
    }

    fn check_size(&self, bytes: &[u8]) -> Result<(), Reject> {
        if bytes.is_empty() {
            return Err(Reject::new(Reason::Empty, "the record has no payload"));
        }
        let (have, most) = (bytes.len(), self.limits.max_record_bytes);
        if have > most {
            return Err(Reject::new(
                Reason::TooLarge,
                format!("{have} bytes are more than the limit of {most}"),
            ));
        }
        Ok(())
    }

    fn transaction(&self, record: TransactionRecord) -> Result<Transaction, Reject> {
        let currency = money::currency(&record.currency)?;
        let amount = match &record.amount {
            Value::String(text) => money::to_minor(text, currency, self.limits.max_amount)?,
            Value::Number(number) => money::to_minor(&number.to_string(), currency, self.limits.max_amount)?,
            _ => {
                return Err(Reject::new(
                    Reason::InvalidAmount,
                    "amount: neither a number nor a text",
                ));
            }
        };
        Ok(Transaction {
            transaction_id: identifier("transaction_id", record.transaction_id)?,
            event_time_us: instant("event_time", &record.event_time)?,
            amount_minor: amount,
            currency,
            entities: entities(record.entities)?,
            attributes: attributes(record.attributes)?,
            image_ids: record.image_ids,
        })
    }

    fn label(&self, record: LabelRecord) -> Result<Label, Reject> {
        Ok(Label {
            subject: subject(record.transaction_id, record.image_id)?,
            verdict: record.label,
            known_at_us: instant("known_at", &record.known_at)?,
            source: record.source,
            entities: entities(record.entities)?,
        })
    }

    /// Checks a canonical event, wherever it came from, against the limits.
    ///
    /// # Errors
    /// A [`Reject`] for the first limit it breaks.
    pub fn check(&self, event: &Event, timestamp_us: i64) -> Result<(), Reject> {
        match event {
            Event::Transaction(t) => {
                self.check_id("transaction_id", &t.transaction_id)?;
                self.check_time("event_time", t.event_time_us, timestamp_us)?;
                self.check_entities(&t.entities)?;
                self.check_count("attributes", t.attributes.len())?;
                self.check_count("image_ids", t.image_ids.len())?;
                t.image_ids
                    .iter()
                    .try_for_each(|id| self.check_id("image_ids", id))?;
                t.attributes
                    .iter()
                    .try_for_each(|(name, value)| self.check_attribute(name, value))
            }
            Event::Label(l) => {
                self.check_id(l.subject.field(), l.subject.id())?;
                self.check_time("known_at", l.known_at_us, timestamp_us)?;
                if !l.source.is_empty() {
                    self.check_id("source", &l.source)?;
                }
                self.check_entities(&l.entities)
            }
            Event::Image(i) => {
                self.check_id("image_id", &i.image_id)?;
                self.check_id("kind", &i.kind)?;
                self.check_time("event_time", i.event_time_us, timestamp_us)?;
                i.transaction_id
                    .as_ref()
                    .map_or(Ok(()), |id| self.check_id("transaction_id", id))?;
                self.check_entities(&i.entities)
            }
        }
    }

    fn check_entities(&self, entities: &BTreeMap<String, String>) -> Result<(), Reject> {
        self.check_count("entities", entities.len())?;
        entities.iter().try_for_each(|(name, value)| {
            self.check_id("the name of an entity", name)?;
            self.check_id(&format!("entities.{name}"), value)
        })
    }

    fn check_attribute(&self, name: &str, value: &Attribute) -> Result<(), Reject> {
        self.check_id("the name of an attribute", name)?;
        match value {
            Attribute::Number(x) if !x.is_finite() => Err(Reject::new(
                Reason::InvalidField,
                format!("attributes.{name}: not a finite number"),
            )),
            Attribute::Text(text) if text.len() > self.limits.max_text_bytes => Err(Reject::new(
                Reason::InvalidField,
                format!(
                    "attributes.{name}: longer than {} bytes",
                    self.limits.max_text_bytes
                ),
            )),
            _ => Ok(()),
        }
    }

    fn check_id(&self, field: &str, id: &str) -> Result<(), Reject> {
        let wrong = if id.is_empty() {
            "empty".to_owned()
        } else if id.len() > self.limits.max_id_bytes {
            format!("longer than {} bytes", self.limits.max_id_bytes)
        } else if id.chars().any(char::is_control) {
            "holds control characters".to_owned()
        } else {
            return Ok(());
        };
        Err(Reject::new(Reason::InvalidId, format!("{field}: {wrong}")))
    }

    fn check_time(&self, field: &str, at_us: i64, timestamp_us: i64) -> Result<(), Reject> {
        let latest = timestamp_us.saturating_add(self.limits.max_future_secs.saturating_mul(time::SECOND_US));
        let wrong = if at_us < self.min_event_time_us {
            "before the earliest time allowed"
        } else if at_us > latest {
            "in the future of the record that brings it"
        } else {
            return Ok(());
        };
        Err(Reject::new(
            Reason::InvalidTime,
            format!("{field}: {} lies {wrong}", time::format(at_us)),
        ))
    }

    fn check_count(&self, field: &str, count: usize) -> Result<(), Reject> {
        if count > self.limits.max_fields {
            return Err(Reject::new(
                Reason::InvalidField,
                format!("{field}: {count} are more than {}", self.limits.max_fields),
            ));
        }
        Ok(())
    }
}

fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Reject> {
    serde_json::from_slice(bytes).map_err(|e| {
        let reason = if e.is_data() {
            Reason::InvalidField
        } else {
            Reason::Undecodable
        };
        Reject::new(reason, without_values(&e))
    })
}

/// What is wrong with a document, without the values serde quotes: they may be card numbers (INV-7).
fn without_values(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = match error.classify() {
        serde_json::error::Category::Data if text.starts_with("missing field") => {
            text.split(" at line").next().unwrap_or_default().to_owned()
        }
        serde_json::error::Category::Data => "a field has the wrong type".to_owned(),
        serde_json::error::Category::Eof => "the document ends too early".to_owned(),
        _ if text.starts_with("recursion limit") => "nested too deeply".to_owned(),
        _ => "not a JSON document".to_owned(),
    };
    format!("{what} (line {}, column {})", error.line(), error.column())
}

fn identifier(field: &str, value: Value) -> Result<String, Reject> {
    match value {
        Value::String(text) => Ok(text),
        Value::Number(n) if n.is_i64() || n.is_u64() => Ok(n.to_string()),
        _ => Err(Reject::new(
            Reason::InvalidId,
            format!("{field}: neither a text nor a whole number"),
        )),
    }
}

/// What a label speaks of. A field that is null is one that is not there.
fn subject(transaction_id: Option<Value>, image_id: Option<Value>) -> Result<Subject, Reject> {
    match (transaction_id, image_id) {
        (Some(id), None) => Ok(Subject::Transaction(identifier("transaction_id", id)?)),
        (None, Some(id)) => Ok(Subject::Image(identifier("image_id", id)?)),
        _ => Err(Reject::new(
            Reason::InvalidField,
            "one of transaction_id and image_id has to be there, and not both",
        )),
    }
}

fn entities(values: BTreeMap<String, Value>) -> Result<BTreeMap<String, String>, Reject> {
    let present = values.into_iter().filter(|(_, value)| !value.is_null());
    present
        .map(|(name, value)| identifier("a value of entities", value).map(|value| (name, value)))
        .collect()
}

fn attributes(values: BTreeMap<String, Value>) -> Result<BTreeMap<String, Attribute>, Reject> {
    let present = values.into_iter().filter(|(_, value)| !value.is_null());
    present
        .map(|(name, value)| {
            let attribute = match value {
                Value::String(text) => Attribute::Text(text),
                Value::Bool(yes) => Attribute::Number(f64::from(u8::from(yes))),
                Value::Number(n) => Attribute::Number(n.as_f64().unwrap_or(f64::NAN)),
                _ => {
                    return Err(Reject::new(
                        Reason::InvalidField,
                        "a value of attributes is neither number nor text",
                    ));
                }
            };
            Ok((name, attribute))
        })
        .collect()
}

/// Reads an RFC 3339 text, or a number of milliseconds since the Unix epoch.
fn instant(field: &str, value: &Value) -> Result<i64, Reject> {
    let read = match value {
        Value::String(text) => time::parse(text),
        Value::Number(n) => n.as_i64().and_then(|ms| ms.checked_mul(1000)),
        _ => None,
    };
    read.ok_or_else(|| {
        Reject::new(
            Reason::InvalidTime,
            format!("{field}: neither RFC 3339 nor milliseconds since the Unix epoch"),
        )
    })
}

/// Writes a canonical event as a user would produce it.
#[must_use]
pub fn encode(event: &Event) -> Vec<u8> {
    let value = match event {
        Event::Transaction(t) => serde_json::json!({
            "transaction_id": t.transaction_id,
            "event_time": time::format(t.event_time_us),
            "amount": money::to_text(t.amount_minor, t.currency),
            "currency": t.currency.code(),
            "entities": t.entities,
            "attributes": t.attributes,
            "image_ids": t.image_ids,
        }),
        Event::Label(l) => serde_json::json!({
            (l.subject.field()): l.subject.id(),
            "label": l.verdict,
            "known_at": time::format(l.known_at_us),
            "source": l.source,
            "entities": l.entities,
        }),
        Event::Image(i) => serde_json::json!({
            "image_id": i.image_id,
            "event_time": time::format(i.event_time_us),
            "kind": i.kind,
            "transaction_id": i.transaction_id,
            "entities": i.entities,
        }),
    };
    value.to_string().into_bytes()
}

#[cfg(test)]
mod tests;
