//! Times: in a column, or in the number of a row.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Cell, Record};
use crate::reject::{Reason, Reject};
use crate::time;

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

/// Where the time of a row is found: `{ column = … }`, or `{ start = …, step = … }` for rows that have none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "TimeFields", into = "TimeFields")]
pub enum TimeSource {
    /// In a column.
    Column(TimeColumn),
    /// In the row's number.
    Rows(RowTime),
}

/// Times that go by the numbers of rows, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowTime {
    /// The time of the first row.
    pub start_us: i64,
    /// How much later each row is than the one before.
    pub step_us: i64,
}

/// A [`TimeSource`] as it is written.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TimeFields {
    #[serde(default)]
    column: Option<String>,
    #[serde(default)]
    unit: Option<TimeUnit>,
    #[serde(default)]
    origin: Option<String>,
    #[serde(default)]
    start: Option<String>,
    #[serde(default, with = "humantime_serde")]
    step: Option<Duration>,
}

impl TryFrom<TimeFields> for TimeSource {
    type Error = String;

    fn try_from(fields: TimeFields) -> Result<Self, String> {
        match fields {
            TimeFields {
                column: Some(column),
                unit,
                origin,
                start: None,
                step: None,
            } => Ok(Self::Column(TimeColumn {
                column,
                unit: unit.unwrap_or_default(),
                origin,
            })),
            TimeFields {
                column: None,
                unit: None,
                origin: None,
                start: Some(start),
                step,
            } => Ok(Self::Rows(RowTime {
                start_us: time::parse(&start)
                    .ok_or_else(|| format!("start: {start:?} is not an RFC 3339 time"))?,
                step_us: i64::try_from(step.unwrap_or_default().as_micros())
                    .map_err(|_| "step: too long".to_owned())?,
            })),
            _ => Err("name either column (with unit and origin) or start (with step)".to_owned()),
        }
    }
}

impl From<TimeSource> for TimeFields {
    fn from(source: TimeSource) -> Self {
        match source {
            TimeSource::Column(column) => Self {
                column: Some(column.column),
                unit: Some(column.unit),
                origin: column.origin,
                ..Self::default()
            },
            TimeSource::Rows(rows) => Self {
                start: Some(time::format(rows.start_us)),
                step: Some(Duration::from_micros(rows.step_us.unsigned_abs())),
                ..Self::default()
            },
        }
    }
}

impl TimeSource {
    /// The column, if there is one.
    #[must_use]
    pub fn column(&self) -> Option<&str> {
        match self {
            Self::Column(column) => Some(&column.column),
            Self::Rows(_) => None,
        }
    }

    /// The time of a record, whose row has this number.
    ///
    /// # Errors
    /// [`Reason::InvalidTime`] if it has none.
    pub fn read(&self, record: &impl Record, row: u64) -> Result<i64, Reject> {
        match self {
            Self::Column(column) => column.read(record),
            Self::Rows(rows) => Ok(rows.at(row)),
        }
    }
}

impl RowTime {
    /// The time of the row with this number.
    #[must_use]
    pub fn at(&self, row: u64) -> i64 {
        let passed = self
            .step_us
            .saturating_mul(i64::try_from(row).unwrap_or(i64::MAX));
        self.start_us.saturating_add(passed)
    }
}

impl TimeColumn {
    /// What is wrong with it, as a pair of place and message.
    pub(super) fn problem(&self, place: &str) -> Option<(String, String)> {
        let origin = self
            .origin
            .as_ref()
            .filter(|origin| time::parse(origin).is_none())?;
        Some((
            format!("{place}.origin"),
            format!("{origin:?} is not an RFC 3339 time"),
        ))
    }

    /// The time of a record.
    ///
    /// # Errors
    /// [`Reason::InvalidTime`] if it has none.
    pub fn read(&self, record: &impl Record) -> Result<i64, Reject> {
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
