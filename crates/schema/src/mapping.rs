//! Mappings: how a user's flat record becomes a canonical transaction, and a label where it holds one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::{Attribute, Label, Subject, Transaction, Verdict};
use crate::money;
use crate::reject::{Reason, Reject};
use crate::time;

/// A value of a flat record.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    /// Nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(Cow<'a, str>),
    /// An instant, in microseconds since the Unix epoch.
    Instant(i64),
}

/// A flat record: a row of a table, or a JSON object without nested values.
pub trait Record {
    /// The value of a column, or nothing if there is no such column.
    fn cell(&self, column: &str) -> Option<Cell<'_>>;
}

impl Record for serde_json::Map<String, Value> {
    fn cell(&self, column: &str) -> Option<Cell<'_>> {
        Some(match self.get(column)? {
            Value::Null => Cell::Null,
            Value::Bool(yes) => Cell::Bool(*yes),
            Value::Number(n) => n
                .as_i64()
                .map_or_else(|| Cell::Float(n.as_f64().unwrap_or(f64::NAN)), Cell::Int),
            Value::String(text) => Cell::Text(Cow::Borrowed(text)),
            nested => Cell::Text(Cow::Owned(nested.to_string())),
        })
    }
}

/// How records of one kind are read. Every name on the right is a column of the record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// Column of the transaction's identifier.
    pub transaction_id: String,
    /// The event time.
    pub event_time: TimeColumn,
    /// Column of the amount, in major units.
    pub amount: String,
    /// The currency.
    pub currency: CurrencyColumn,
    /// Entity → column.
    #[serde(default)]
    pub entities: BTreeMap<String, String>,
    /// Attribute → column.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// The label, where the records hold one.
    #[serde(default)]
    pub label: Option<LabelColumn>,
}

/// A column of times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeColumn {
    /// The column.
    pub column: String,
    /// Unit of a number; a text is read as RFC 3339.
    #[serde(default)]
    pub unit: TimeUnit,
    /// What numbers count from (RFC 3339); the Unix epoch if absent.
    #[serde(default)]
    pub origin: Option<String>,
}

/// The unit of a number that is a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimeUnit {
    /// Days.
    #[serde(rename = "d")]
    Days,
    /// Seconds.
    #[serde(rename = "s")]
    Seconds,
    /// Milliseconds.
    #[default]
    #[serde(rename = "ms")]
    Milliseconds,
    /// Microseconds.
    #[serde(rename = "us")]
    Microseconds,
}

impl TimeUnit {
    const fn micros(self) -> i64 {
        match self {
            Self::Days => time::DAY_US,
            Self::Seconds => time::SECOND_US,
            Self::Milliseconds => 1_000,
            Self::Microseconds => 1,
        }
    }
}

/// Where the currency is found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CurrencyColumn {
    /// The same for all records.
    Constant(String),
    /// In a column.
    Column(String),
}

/// Where the label is found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelColumn {
    /// Column that is true, 1, "true", "fraud" … for a fraud.
    pub column: String,
    /// How long after the transaction the label becomes known.
    #[serde(default, with = "humantime_serde")]
    pub delay: Option<Duration>,
    /// Column of the time at which it became known; a record without one has no label.
    #[serde(default)]
    pub known_at: Option<TimeColumn>,
    /// Who says so.
    #[serde(default = "default_source")]
    pub source: String,
    /// Whether frauds only are labelled, or genuine transactions as well.
    #[serde(default)]
    pub emit: Emit,
}

/// Which records give a label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Emit {
    /// Frauds, as chargebacks do.
    #[default]
    Frauds,
    /// Every record.
    All,
}

fn default_source() -> String {
    "chargeback".to_owned()
}

impl Mapping {
    /// What is wrong with the mapping itself, as pairs of place and message.
    #[must_use]
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut origin = |place: &str, column: &TimeColumn| {
            if let Some(origin) = &column.origin
                && time::parse(origin).is_none()
            {
                found.push((
                    format!("{place}.origin"),
                    format!("{origin:?} is not an RFC 3339 time"),
                ));
            }
        };
        origin("event_time", &self.event_time);
        if let Some(known_at) = self.label.as_ref().and_then(|l| l.known_at.as_ref()) {
            origin("label.known_at", known_at);
        }
        if let CurrencyColumn::Constant(code) = &self.currency
            && money::currency(code).is_err()
        {
            found.push((
                "currency".into(),
                format!("{code:?} is not an ISO 4217 currency code"),
            ));
        }
        if self
            .label
            .as_ref()
            .is_some_and(|l| l.delay.is_some() == l.known_at.is_some())
        {
            found.push(("label".into(), "name either delay or known_at".into()));
        }
        found
    }

    /// The columns that the mapping reads.
    #[must_use]
    pub fn columns(&self) -> Vec<&str> {
        let mut columns = vec![
            self.transaction_id.as_str(),
            &self.event_time.column,
            &self.amount,
        ];
        if let CurrencyColumn::Column(column) = &self.currency {
            columns.push(column);
        }
        columns.extend(self.entities.values().map(String::as_str));
        columns.extend(self.attributes.values().map(String::as_str));
        if let Some(label) = &self.label {
            columns.push(&label.column);
            columns.extend(label.known_at.as_ref().map(|c| c.column.as_str()));
        }
        columns
    }

    /// The event time of a record, without reading the rest of it.
    ///
    /// # Errors
    /// [`Reason::InvalidTime`] if it has none.
    pub fn event_time_us(&self, record: &impl Record) -> Result<i64, Reject> {
        self.event_time.read(record)
    }

    /// Reads a record as a transaction.
    ///
    /// # Errors
    /// A [`Reject`] naming the column that is missing or cannot be read.
    pub fn transaction(&self, record: &impl Record, max_amount: i64) -> Result<Transaction, Reject> {
        let currency = match &self.currency {
            CurrencyColumn::Constant(code) => money::currency(code)?,
            CurrencyColumn::Column(column) => money::currency(
                &text(record, column).ok_or_else(|| missing(Reason::UnknownCurrency, column))?,
            )?,
        };
        let amount =
            text(record, &self.amount).ok_or_else(|| missing(Reason::InvalidAmount, &self.amount))?;
        Ok(Transaction {
            transaction_id: self.id(record)?,
            event_time_us: self.event_time.read(record)?,
            amount_minor: money::to_minor(&amount, currency, max_amount)?,
            currency,
            entities: self.entities(record),
            attributes: self
                .attributes
                .iter()
                .filter_map(|(name, column)| Some((name.clone(), attribute(&record.cell(column)?)?)))
                .collect(),
            image_ids: Vec::new(),
        })
    }

    /// Reads the label that a record holds, if it holds one that is given.
    ///
    /// # Errors
    /// A [`Reject`] naming the column that cannot be read.
    pub fn label(&self, record: &impl Record) -> Result<Option<Label>, Reject> {
        let Some(mapped) = &self.label else {
            return Ok(None);
        };
        let Some(fraud) = truth(record, &mapped.column)? else {
            return Ok(None);
        };
        if !fraud && mapped.emit == Emit::Frauds {
            return Ok(None);
        }
        let known_at_us = match (&mapped.known_at, mapped.delay) {
            (Some(column), _) if record.cell(&column.column).is_none_or(|c| c == Cell::Null) => {
                return Ok(None);
            }
            (Some(column), _) => column.read(record)?,
            (None, delay) => {
                let delay = i64::try_from(delay.unwrap_or_default().as_micros()).unwrap_or(i64::MAX);
                self.event_time.read(record)?.saturating_add(delay)
            }
        };
        Ok(Some(Label {
            subject: Subject::Transaction(self.id(record)?),
            verdict: if fraud { Verdict::Fraud } else { Verdict::Genuine },
            known_at_us,
            source: mapped.source.clone(),
            entities: self.entities(record),
        }))
    }

    fn id(&self, record: &impl Record) -> Result<String, Reject> {
        text(record, &self.transaction_id).ok_or_else(|| missing(Reason::InvalidId, &self.transaction_id))
    }

    fn entities(&self, record: &impl Record) -> BTreeMap<String, String> {
        let read = |(name, column): (&String, &String)| Some((name.clone(), text(record, column)?));
        self.entities.iter().filter_map(read).collect()
    }
}

impl TimeColumn {
    fn read(&self, record: &impl Record) -> Result<i64, Reject> {
        let wrong = |why: &str| Reject::new(Reason::InvalidTime, format!("column {}: {why}", self.column));
        let origin_us = self.origin.as_deref().and_then(time::parse).unwrap_or(0);
        let micros = self.unit.micros();
        let at = match record.cell(&self.column) {
            None | Some(Cell::Null) => return Err(wrong("missing")),
            Some(Cell::Instant(at_us)) => Some(at_us),
            Some(Cell::Int(n)) => n.checked_mul(micros).and_then(|us| us.checked_add(origin_us)),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "saturates, and is then refused as out of range"
            )]
            #[expect(clippy::cast_precision_loss, reason = "at most 86 400 000 000")]
            Some(Cell::Float(x)) if x.is_finite() => {
                origin_us.checked_add((x * micros as f64).round() as i64)
            }
            Some(Cell::Text(text)) => time::parse(&text),
            Some(_) => None,
        };
        at.ok_or_else(|| wrong("not a time"))
    }
}

fn missing(reason: Reason, column: &str) -> Reject {
    Reject::new(reason, format!("column {column}: missing"))
}

fn text(record: &impl Record, column: &str) -> Option<String> {
    Some(match record.cell(column)? {
        Cell::Null => return None,
        Cell::Bool(yes) => yes.to_string(),
        Cell::Int(n) => n.to_string(),
        Cell::Float(x) => x.to_string(),
        Cell::Text(text) => text.into_owned(),
        Cell::Instant(at_us) => time::format(at_us),
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "an attribute is a measurement, not a key"
)]
fn attribute(cell: &Cell<'_>) -> Option<Attribute> {
    Some(match cell {
        Cell::Null => return None,
        Cell::Bool(yes) => Attribute::Number(f64::from(u8::from(*yes))),
        Cell::Int(n) => Attribute::Number(*n as f64),
        Cell::Float(x) => Attribute::Number(*x),
        Cell::Text(text) => Attribute::Text(text.clone().into_owned()),
        Cell::Instant(at_us) => Attribute::Text(time::format(*at_us)),
    })
}

fn truth(record: &impl Record, column: &str) -> Result<Option<bool>, Reject> {
    Ok(Some(match record.cell(column) {
        None | Some(Cell::Null) => return Ok(None),
        Some(Cell::Bool(yes)) => yes,
        Some(Cell::Int(0)) => false,
        Some(Cell::Int(1)) => true,
        Some(Cell::Float(0.0)) => false,
        Some(Cell::Float(1.0)) => true,
        Some(Cell::Text(text)) if ["1", "true", "fraud", "yes"].contains(&text.to_lowercase().as_str()) => {
            true
        }
        Some(Cell::Text(text)) if ["0", "false", "genuine", "no"].contains(&text.to_lowercase().as_str()) => {
            false
        }
        Some(_) => {
            return Err(Reject::new(
                Reason::InvalidField,
                format!("column {column}: neither fraud nor genuine"),
            ));
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping() -> Mapping {
        serde_json::from_value(serde_json::json!({
            "transaction_id": "id",
            "event_time": {"column": "time_s", "unit": "s", "origin": "2018-04-01T00:00:00Z"},
            "amount": "amount",
            "currency": {"constant": "EUR"},
            "entities": {"customer": "customer_id"},
            "attributes": {"online": "online"},
            "label": {"column": "fraud", "delay": "7d"}
        }))
        .expect("a mapping")
    }

    fn record(text: &str) -> serde_json::Map<String, Value> {
        serde_json::from_str(text).expect("an object")
    }

    #[test]
    fn a_flat_record_becomes_a_transaction_and_its_label() {
        let row = record(
            r#"{"id": 5, "time_s": 60, "amount": 57.16, "customer_id": 596, "online": true, "fraud": 1}"#,
        );
        let transaction = mapping().transaction(&row, 1000).expect("reads");
        let at_us = time::parse("2018-04-01T00:01:00Z").expect("a time");
        assert_eq!(
            (transaction.transaction_id.as_str(), transaction.event_time_us),
            ("5", at_us)
        );
        assert_eq!(
            (
                transaction.amount_minor,
                transaction.entities["customer"].as_str()
            ),
            (5716, "596")
        );
        assert_eq!(transaction.attributes["online"], Attribute::Number(1.0));
        let label = mapping().label(&row).expect("reads").expect("a fraud has one");
        assert_eq!(
            (label.verdict, label.known_at_us),
            (Verdict::Fraud, at_us + 7 * time::DAY_US)
        );
    }

    #[test]
    fn only_frauds_are_labelled_unless_all_are_asked_for() {
        let row = record(r#"{"id": 5, "time_s": 60, "amount": 1, "fraud": 0}"#);
        assert_eq!(mapping().label(&row), Ok(None));
        let mut all = mapping();
        all.label.as_mut().expect("there").emit = Emit::All;
        assert_eq!(
            all.label(&row).expect("reads").expect("asked for").verdict,
            Verdict::Genuine
        );
    }

    #[test]
    fn a_missing_column_is_named() {
        let reject = mapping()
            .transaction(&record(r#"{"id": 5, "amount": 1}"#), 1000)
            .expect_err("no time");
        assert_eq!(
            (reject.reason, reject.message.as_str()),
            (Reason::InvalidTime, "column time_s: missing")
        );
    }

    #[test]
    fn problems_come_all_at_once() {
        let mut wrong = mapping();
        wrong.event_time.origin = Some("long ago".into());
        wrong.currency = CurrencyColumn::Constant("???".into());
        wrong.label.as_mut().expect("there").delay = None;
        assert_eq!(wrong.problems().len(), 3);
    }
}
