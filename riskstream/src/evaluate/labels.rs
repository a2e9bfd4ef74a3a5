//! Labels: which transactions were frauds, of which card, and when that became known.

use anyhow::{Context, Result, bail, ensure};
use schema::mapping::{Cell, CurrencyColumn, TimeColumn, TimeUnit};
use schema::{Mapping, Record};

use super::EvaluateArgs;
use super::scores::text;
use crate::tables::{Rows, Table};

/// What is known about a transaction.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// The transaction.
    pub(super) transaction_id: String,
    /// Whether it was a fraud.
    pub(super) fraud: bool,
    /// Its card.
    pub(super) card: Option<String>,
    /// When it took place, if that is told.
    pub(super) event_time_us: Option<i64>,
    /// When it became known as a fraud, if it did.
    pub(super) known_at_us: Option<i64>,
}

/// How labels are read.
#[derive(Clone, Debug)]
pub(super) struct LabelReader {
    id: String,
    truth: String,
    event_time: Option<Mapping>,
    known_at: Option<Mapping>,
    delay_us: Option<i64>,
    /// The column of the card, if the labels have it.
    pub(super) card: Option<String>,
}

impl LabelReader {
    /// Reads labels of this table, with a mapping or by the names of its columns.
    pub(super) fn new(args: &EvaluateArgs, mapping: Option<&Mapping>, table: &Table) -> Result<Self> {
        let mut names = Vec::new();
        if let Some(first) = table.batches().next() {
            names = Rows::new(&first?)?.names().to_vec();
        }
        let reader = match mapping {
            Some(mapping) => Self::of_mapping(args, mapping, &names)?,
            None => Self::of_columns(args, &names)?,
        };
        for needed in [&reader.id, &reader.truth] {
            ensure!(
                names.is_empty() || names.contains(needed),
                "labels have no column {needed}"
            );
        }
        Ok(reader)
    }

    fn of_mapping(args: &EvaluateArgs, mapping: &Mapping, names: &[String]) -> Result<Self> {
        let label = mapping.label.as_ref().context("the mapping names no label")?;
        let card = args
            .card_column
            .as_deref()
            .map(|card| mapping.entities.get(card).map_or(card, String::as_str));
        let delay = args.label_delay.or(label.delay);
        Ok(Self {
            id: mapping.transaction_id.clone(),
            truth: label.column.clone(),
            event_time: Some(mapping.clone()),
            known_at: label.known_at.clone().map(time_alone),
            delay_us: delay
                .map(|d| i64::try_from(d.as_micros()))
                .transpose()
                .context("the delay is too long")?,
            card: card.map(ToOwned::to_owned).filter(|card| names.contains(card)),
        })
    }

    fn of_columns(args: &EvaluateArgs, names: &[String]) -> Result<Self> {
        let there = |name: &&str| names.iter().any(|n| n == name);
        let first =
            |candidates: &[&'static str]| candidates.iter().copied().find(|n| there(n)).map(str::to_owned);
        let known_at = args
            .known_at_column
            .clone()
            .or_else(|| first(&["label_known_at", "known_at"]));
        ensure!(
            known_at.as_ref().is_none_or(|k| there(&k.as_str())),
            "labels have no column {}",
            known_at.unwrap_or_default()
        );
        let Some(truth) = args
            .label_column
            .clone()
            .or_else(|| first(&["fraud", "is_fraud", "label"]))
        else {
            bail!("name the column that tells frauds: --label-column");
        };
        let card = args.card_column.as_deref();
        let card = card.and_then(|c| {
            [c.to_owned(), format!("entities.{c}")]
                .into_iter()
                .find(|c| names.contains(c))
        });
        let delay = args.label_delay.map(|d| i64::try_from(d.as_micros())).transpose();
        Ok(Self {
            id: args.id_column.clone(),
            truth,
            event_time: first(&["event_time"]).map(milliseconds),
            known_at: known_at.map(milliseconds),
            delay_us: delay.context("the delay is too long")?,
            card,
        })
    }

    /// The columns that it reads.
    pub(super) fn columns(&self) -> Vec<&str> {
        let times = self
            .event_time
            .iter()
            .chain(&self.known_at)
            .map(|reader| reader.event_time.column.as_str());
        let texts = [Some(&self.id), Some(&self.truth), self.card.as_ref()]
            .into_iter()
            .flatten();
        times.chain(texts.map(String::as_str)).collect()
    }

    /// Whether it can tell when frauds became known.
    pub(super) const fn tells_when(&self) -> bool {
        self.known_at.is_some() || (self.delay_us.is_some() && self.event_time.is_some())
    }

    /// Reads a row; nothing if it does not say whether it was a fraud.
    pub(super) fn read(&self, row: &impl Record) -> Result<Option<Known>> {
        let column = |name: &str| row.cell(name).as_ref().and_then(text);
        let Some(fraud) = truth(row, &self.truth)? else {
            return Ok(None);
        };
        let Some(transaction_id) = column(&self.id) else {
            return Ok(None);
        };
        let event_time_us = self
            .event_time
            .as_ref()
            .and_then(|reader| reader.event_time_us(row).ok());
        let known_at_us = match self.delay_us {
            Some(delay) => event_time_us.map(|at| at.saturating_add(delay)),
            None => self
                .known_at
                .as_ref()
                .and_then(|reader| reader.event_time_us(row).ok()),
        };
        let card = self.card.as_deref().and_then(column);
        Ok(Some(Known {
            transaction_id,
            fraud,
            card,
            event_time_us,
            known_at_us,
        }))
    }
}

/// Whether a row says that it was a fraud.
fn truth(row: &impl Record, column: &str) -> Result<Option<bool>> {
    Ok(Some(match row.cell(column) {
        None | Some(Cell::Null) => return Ok(None),
        Some(Cell::Bool(fraud)) => fraud,
        Some(Cell::Int(n @ (0 | 1))) => n == 1,
        Some(Cell::Float(x @ (0.0 | 1.0))) => x > 0.5,
        Some(Cell::Text(text)) => match text.to_lowercase().as_str() {
            "fraud" | "true" | "yes" | "1" => true,
            "genuine" | "false" | "no" | "0" => false,
            other => bail!("column {column} of the labels holds {other:?}, neither fraud nor genuine"),
        },
        Some(other) => bail!("column {column} of the labels holds {other:?}, neither fraud nor genuine"),
    }))
}

fn milliseconds(column: String) -> Mapping {
    time_alone(TimeColumn {
        column,
        unit: TimeUnit::Milliseconds,
        origin: None,
    })
}

/// A mapping of which only the time is read.
fn time_alone(event_time: TimeColumn) -> Mapping {
    Mapping {
        transaction_id: String::new(),
        event_time,
        amount: String::new(),
        currency: CurrencyColumn::Constant(String::new()),
        entities: std::collections::BTreeMap::new(),
        attributes: std::collections::BTreeMap::new(),
        label: None,
    }
}
