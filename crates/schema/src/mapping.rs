//! Mappings: how a user's flat record becomes a canonical transaction or image, and a label where it holds one.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::{Attribute, Label, Subject, Transaction};
use crate::money;
use crate::reject::{Reason, Reject};
use crate::time;

mod image;
mod label;
mod times;

pub use image::{ContentColumn, ImageMapping, TextSource};
pub use label::{Emit, LabelColumn};
pub use times::{RowTime, TimeColumn, TimeSource, TimeUnit};

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

/// How transactions are read. Every name on the right is a column of the record.
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

/// Where the currency is found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CurrencyColumn {
    /// The same for all records.
    Constant(String),
    /// In a column.
    Column(String),
}

impl Mapping {
    /// What is wrong with the mapping itself, as pairs of place and message.
    #[must_use]
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        found.extend(self.event_time.problem("event_time"));
        if let CurrencyColumn::Constant(code) = &self.currency
            && money::currency(code).is_err()
        {
            found.push((
                "currency".into(),
                format!("{code:?} is not an ISO 4217 currency code"),
            ));
        }
        found.extend(self.label.iter().flat_map(LabelColumn::problems));
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
            columns.extend(label.columns());
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
        let event_time_us = || self.event_time.read(record);
        let label = self.label.as_ref();
        let Some(said) = label
            .map(|l| l.read(record, event_time_us))
            .transpose()?
            .flatten()
        else {
            return Ok(None);
        };
        Ok(Some(said.about(
            Subject::Transaction(self.id(record)?),
            self.entities(record),
        )))
    }

    fn id(&self, record: &impl Record) -> Result<String, Reject> {
        text(record, &self.transaction_id).ok_or_else(|| missing(Reason::InvalidId, &self.transaction_id))
    }

    fn entities(&self, record: &impl Record) -> BTreeMap<String, String> {
        let read = |(name, column): (&String, &String)| Some((name.clone(), text(record, column)?));
        self.entities.iter().filter_map(read).collect()
    }
}

fn missing(reason: Reason, column: &str) -> Reject {
    Reject::new(reason, format!("column {column}: missing"))
}

/// A column as a text, if it has a value.
#[must_use]
pub fn text(record: &impl Record, column: &str) -> Option<String> {
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

#[cfg(test)]
mod tests;
