//! Document images in tables.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{LabelColumn, Record, TimeSource, missing, text};
use crate::event::{Image, ImageFile, Label, Subject};
use crate::reject::{Reason, Reject};

/// How document images are read from a table, one a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageMapping {
    /// The image's identifier.
    pub image_id: TextSource,
    /// The event time.
    pub event_time: TimeSource,
    /// What it shows: cheque, receipt, id_document, signature or other.
    pub kind: TextSource,
    /// The transaction it belongs to; a row may have none.
    #[serde(default)]
    pub transaction_id: Option<TextSource>,
    /// Entity → where its value is found.
    #[serde(default)]
    pub entities: BTreeMap<String, TextSource>,
    /// The file.
    pub content: ContentColumn,
    /// The label, where the rows hold one.
    #[serde(default)]
    pub label: Option<LabelColumn>,
}

/// Where a text of a row is found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextSource {
    /// In a column.
    Column(String),
    /// The same for all rows.
    Constant(String),
    /// In the row's number, from 0, behind this: `receipt-` gives `receipt-0`, `receipt-1` …
    Row(String),
}

/// Where the file of an image is found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContentColumn {
    /// In a column of bytes.
    Column(String),
    /// Beside the table, under the path that a column names.
    File(String),
}

impl TextSource {
    /// The column, if there is one.
    #[must_use]
    pub fn column(&self) -> Option<&str> {
        match self {
            Self::Column(column) => Some(column),
            Self::Constant(_) | Self::Row(_) => None,
        }
    }

    /// The text of a record, whose row has this number; none if its column has none.
    #[must_use]
    pub fn read(&self, record: &impl Record, row: u64) -> Option<String> {
        match self {
            Self::Column(column) => text(record, column),
            Self::Constant(text) => Some(text.clone()),
            Self::Row(before) => Some(format!("{before}{row}")),
        }
    }

    fn needed(&self, record: &impl Record, row: u64, reason: Reason) -> Result<String, Reject> {
        let found = self.read(record, row);
        found.ok_or_else(|| missing(reason, self.column().unwrap_or_default()))
    }
}

impl ContentColumn {
    /// The column.
    #[must_use]
    pub fn column(&self) -> &str {
        match self {
            Self::Column(column) | Self::File(column) => column,
        }
    }
}

impl ImageMapping {
    /// What is wrong with the mapping itself, as pairs of place and message.
    #[must_use]
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        if let TimeSource::Column(column) = &self.event_time {
            found.extend(column.problem("event_time"));
        }
        if let TextSource::Constant(_) = &self.image_id {
            let message = "is the same for all images: each needs one of its own";
            found.push(("image_id".into(), message.into()));
        }
        found.extend(self.label.iter().flat_map(LabelColumn::problems));
        found
    }

    /// The columns that the mapping reads.
    #[must_use]
    pub fn columns(&self) -> Vec<&str> {
        let texts = [
            Some(&self.image_id),
            Some(&self.kind),
            self.transaction_id.as_ref(),
        ];
        let texts = texts.into_iter().flatten().chain(self.entities.values());
        let mut columns: Vec<&str> = texts.filter_map(TextSource::column).collect();
        columns.extend(self.event_time.column());
        columns.extend(self.label.iter().flat_map(LabelColumn::columns));
        columns.push(self.content.column());
        columns
    }

    /// Reads a record, whose row has this number from 0, as an image; its file is for the caller to read.
    ///
    /// # Errors
    /// A [`Reject`] naming the column that is missing or cannot be read.
    pub fn image(&self, record: &impl Record, row: u64) -> Result<Image, Reject> {
        Ok(Image {
            image_id: self.image_id.needed(record, row, Reason::InvalidId)?,
            event_time_us: self.event_time.read(record, row)?,
            kind: self.kind.needed(record, row, Reason::InvalidField)?,
            transaction_id: self.transaction_id.as_ref().and_then(|t| t.read(record, row)),
            entities: self.entities(record, row),
            file: ImageFile::default(),
        })
    }

    /// Reads the label that a record holds, if it holds one that is given.
    ///
    /// # Errors
    /// A [`Reject`] naming the column that cannot be read.
    pub fn label(&self, record: &impl Record, row: u64) -> Result<Option<Label>, Reject> {
        let event_time_us = || self.event_time.read(record, row);
        let label = self.label.as_ref();
        let Some(said) = label
            .map(|l| l.read(record, event_time_us))
            .transpose()?
            .flatten()
        else {
            return Ok(None);
        };
        let id = self.image_id.needed(record, row, Reason::InvalidId)?;
        Ok(Some(said.about(Subject::Image(id), self.entities(record, row))))
    }

    fn entities(&self, record: &impl Record, row: u64) -> BTreeMap<String, String> {
        let read = |(name, source): (&String, &TextSource)| Some((name.clone(), source.read(record, row)?));
        self.entities.iter().filter_map(read).collect()
    }
}
