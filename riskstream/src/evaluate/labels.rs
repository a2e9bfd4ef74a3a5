//! Labels: which transactions or images were frauds, of which card, and when that became known.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use schema::Record;
use schema::mapping::{Cell, LabelColumn, TextSource, TimeColumn, TimeSource, TimeUnit};

use super::{EvaluateArgs, LabelMapping};
use crate::tables::{Rows, Table};

/// What is known about a transaction or an image.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// Its identifier.
    pub(super) id: String,
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
    id: TextSource,
    truth: String,
    event_time: Option<TimeSource>,
    known_at: Option<TimeColumn>,
    delay_us: Option<i64>,
    /// Where the card is found, if the labels have it.
    pub(super) card: Option<TextSource>,
}

impl LabelReader {
    /// Reads labels of this table, with a mapping or by the names of its columns.
    pub(super) fn new(args: &EvaluateArgs, mapping: Option<LabelMapping<'_>>, table: &Table) -> Result<Self> {
        let mut names = Vec::new();
        // One row will do: it may hold an image.
        if let Some(first) = table.clone().with_batch_rows(1).batches().next() {
            names = Rows::new(&first?)?.names().to_vec();
        }
        let reader = match mapping {
            Some(mapping) => Self::of_mapping(args, &Fields::of(mapping), &names)?,
            None => Self::of_columns(args, &names)?,
        };
        for needed in reader.id.column().into_iter().chain([reader.truth.as_str()]) {
            ensure!(
                names.is_empty() || names.iter().any(|name| name == needed),
                "labels have no column {needed}"
            );
        }
        Ok(reader)
    }

    fn of_mapping(args: &EvaluateArgs, fields: &Fields, names: &[String]) -> Result<Self> {
        let label = fields.label.as_ref().context("the mapping names no label")?;
        let card = args.card_column.as_ref().map(|card| {
            let entity = fields.entities.get(card).cloned();
            entity.unwrap_or_else(|| TextSource::Column(card.clone()))
        });
        let there = |card: &TextSource| card.column().is_none_or(|c| names.iter().any(|name| name == c));
        let delay = args.label_delay.or(label.delay);
        Ok(Self {
            id: fields.id.clone(),
            truth: label.column.clone(),
            event_time: Some(fields.event_time.clone()),
            known_at: label.known_at.clone(),
            delay_us: delay
                .map(|d| i64::try_from(d.as_micros()))
                .transpose()
                .context("the delay is too long")?,
            card: card.filter(there),
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
        let id = args.id_column.clone();
        Ok(Self {
            id: TextSource::Column(id.unwrap_or_else(|| args.subjects().id_column().to_owned())),
            truth,
            event_time: first(&["event_time"]).map(|column| TimeSource::Column(milliseconds(column))),
            known_at: known_at.map(milliseconds),
            delay_us: delay.context("the delay is too long")?,
            card: card.map(TextSource::Column),
        })
    }

    /// The columns that it reads.
    pub(super) fn columns(&self) -> Vec<&str> {
        let texts = [Some(&self.id), self.card.as_ref()].into_iter().flatten();
        let mut columns: Vec<&str> = texts.filter_map(TextSource::column).collect();
        columns.push(&self.truth);
        columns.extend(self.event_time.iter().filter_map(TimeSource::column));
        columns.extend(self.known_at.iter().map(|known_at| known_at.column.as_str()));
        columns
    }

    /// Whether it can tell when frauds became known.
    pub(super) const fn tells_when(&self) -> bool {
        self.known_at.is_some() || (self.delay_us.is_some() && self.event_time.is_some())
    }

    /// Reads a row, which has this number from 0; nothing if it does not say whether it was a fraud, or of what: that of
    /// an image where transactions are asked for, or the other way.
    pub(super) fn read(&self, row: &impl Record, number: u64) -> Result<Option<Known>> {
        let Some(fraud) = truth(row, &self.truth)? else {
            return Ok(None);
        };
        let Some(id) = self.id.read(row, number).filter(|id| !id.is_empty()) else {
            return Ok(None);
        };
        let event_time = self.event_time.as_ref();
        let event_time_us = event_time.and_then(|source| source.read(row, number).ok());
        let known_at_us = match self.delay_us {
            Some(delay) => event_time_us.map(|at| at.saturating_add(delay)),
            None => self.known_at.as_ref().and_then(|column| column.read(row).ok()),
        };
        Ok(Some(Known {
            id,
            fraud,
            card: self.card.as_ref().and_then(|card| card.read(row, number)),
            event_time_us,
            known_at_us,
        }))
    }
}

/// What both kinds of mappings say of labels.
struct Fields {
    id: TextSource,
    event_time: TimeSource,
    entities: BTreeMap<String, TextSource>,
    label: Option<LabelColumn>,
}

impl Fields {
    fn of(mapping: LabelMapping<'_>) -> Self {
        match mapping {
            LabelMapping::Transactions(mapping) => {
                let entities = mapping.entities.iter();
                Self {
                    id: TextSource::Column(mapping.transaction_id.clone()),
                    event_time: TimeSource::Column(mapping.event_time.clone()),
                    entities: entities
                        .map(|(name, column)| (name.clone(), TextSource::Column(column.clone())))
                        .collect(),
                    label: mapping.label.clone(),
                }
            }
            LabelMapping::Images(mapping) => Self {
                id: mapping.image_id.clone(),
                event_time: mapping.event_time.clone(),
                entities: mapping.entities.clone(),
                label: mapping.label.clone(),
            },
        }
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

fn milliseconds(column: String) -> TimeColumn {
    TimeColumn {
        column,
        unit: TimeUnit::Milliseconds,
        origin: None,
    }
}
