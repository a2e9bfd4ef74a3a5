//! Labels in records.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Cell, Record, TimeColumn};
use crate::event::{Label, Subject, Verdict};
use crate::reject::{Reason, Reject};

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

/// What a record says of its own verdict.
pub(super) struct Said<'a> {
    verdict: Verdict,
    known_at_us: i64,
    source: &'a str,
}

impl Said<'_> {
    /// The label about this subject.
    pub(super) fn about(self, subject: Subject, entities: BTreeMap<String, String>) -> Label {
        Label {
            subject,
            verdict: self.verdict,
            known_at_us: self.known_at_us,
            source: self.source.to_owned(),
            entities,
        }
    }
}

impl LabelColumn {
    /// What is wrong with it, as pairs of place and message.
    pub(super) fn problems(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        found.extend(self.known_at.as_ref().and_then(|c| c.problem("label.known_at")));
        if self.delay.is_some() == self.known_at.is_some() {
            found.push(("label".into(), "name either delay or known_at".into()));
        }
        found
    }

    /// The columns that it reads.
    pub(super) fn columns(&self) -> impl Iterator<Item = &str> {
        let known_at = self.known_at.as_ref().map(|c| c.column.as_str());
        std::iter::once(self.column.as_str()).chain(known_at)
    }

    /// What a record says, if its label is given.
    pub(super) fn read(
        &self,
        record: &impl Record,
        event_time_us: impl FnOnce() -> Result<i64, Reject>,
    ) -> Result<Option<Said<'_>>, Reject> {
        let Some(fraud) = truth(record, &self.column)? else {
            return Ok(None);
        };
        if !fraud && self.emit == Emit::Frauds {
            return Ok(None);
        }
        let known_at_us = match (&self.known_at, self.delay) {
            (Some(column), _) if record.cell(&column.column).is_none_or(|c| c == Cell::Null) => {
                return Ok(None);
            }
            (Some(column), _) => column.read(record)?,
            (None, delay) => {
                let delay = i64::try_from(delay.unwrap_or_default().as_micros()).unwrap_or(i64::MAX);
                event_time_us()?.saturating_add(delay)
            }
        };
        Ok(Some(Said {
            verdict: if fraud { Verdict::Fraud } else { Verdict::Genuine },
            known_at_us,
            source: &self.source,
        }))
    }
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
