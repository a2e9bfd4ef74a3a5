//! Canonical events: what every input has become once ingest has accepted it.

use std::collections::BTreeMap;

use iso_currency::Currency;
use serde::{Deserialize, Serialize};

use crate::layout::column;

/// What kind of event a row is. The order is that of equal times: a label goes first (R9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A label becomes known.
    Label = 0,
    /// A transaction takes place.
    Transaction = 1,
    /// A document image comes in.
    Image = 2,
}

impl Kind {
    /// The kind with this number, if there is one.
    #[must_use]
    pub const fn from_code(code: i32) -> Option<Self> {
        match code {
            0 => Some(Self::Label),
            1 => Some(Self::Transaction),
            2 => Some(Self::Image),
            _ => None,
        }
    }
}

/// Which raw topic an event came in by. The numbers are part of the log's order and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum SourceTopic {
    /// The topic of raw transactions.
    Transactions = 0,
    /// The topic of raw labels.
    Labels = 1,
    /// The topic of raw document images.
    Images = 2,
}

impl SourceTopic {
    /// The name under which a source of this topic writes into the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Transactions => "transactions",
            Self::Labels => "labels",
            Self::Images => "images",
        }
    }
}

/// Where in the raw topics an event was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The raw topic.
    pub topic: SourceTopic,
    /// Its partition.
    pub partition: i32,
    /// The record's offset.
    pub offset: i64,
    /// The record's timestamp, as the broker has it.
    pub timestamp_us: i64,
}

/// An event of the log.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A transaction.
    Transaction(Transaction),
    /// A label.
    Label(Label),
    /// A document image.
    Image(Image),
}

/// A payment transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Transaction {
    /// The user's identifier: a repeat is a duplicate.
    pub transaction_id: String,
    /// When it took place.
    pub event_time_us: i64,
    /// Its amount in the currency's smallest unit.
    pub amount_minor: i64,
    /// Its currency.
    pub currency: Currency,
    /// Who and what takes part: entity name → value.
    pub entities: BTreeMap<String, String>,
    /// Further properties: name → value.
    pub attributes: BTreeMap<String, Attribute>,
    /// Document images that belong to it.
    pub image_ids: Vec<String>,
}

/// A further property of a transaction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Attribute {
    /// A number.
    Number(f64),
    /// A category or a text.
    Text(String),
}

/// What is known about a transaction or an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was in order.
    Genuine,
    /// It was a fraud.
    Fraud,
}

/// What a label speaks of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// The transaction of this identifier.
    Transaction(String),
    /// The document image of this identifier.
    Image(String),
}

impl Subject {
    /// The field or column of its identifier.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Transaction(_) => column::TRANSACTION_ID,
            Self::Image(_) => column::IMAGE_ID,
        }
    }

    /// Its identifier.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Transaction(id) | Self::Image(id) => id,
        }
    }

    /// The image's identifier, if it is one.
    #[must_use]
    pub fn image_id(&self) -> Option<&str> {
        match self {
            Self::Transaction(_) => None,
            Self::Image(id) => Some(id),
        }
    }
}

/// A fraud label: a verdict about a transaction or an image, valid from the time it became known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// What it speaks of.
    pub subject: Subject,
    /// The verdict.
    pub verdict: Verdict,
    /// When it became known.
    pub known_at_us: i64,
    /// Who says so: chargeback, analyst, …
    pub source: String,
    /// The entities of what it speaks of: entity name → value.
    pub entities: BTreeMap<String, String>,
}

/// A document image. Its pixels are in the object store; the log has the reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The user's identifier: a repeat is a duplicate.
    pub image_id: String,
    /// When it was taken or handed in.
    pub event_time_us: i64,
    /// What it shows: cheque, receipt, id_document, signature or other.
    pub kind: String,
    /// The transaction it belongs to.
    pub transaction_id: Option<String>,
    /// Who and what it belongs to: entity name → value.
    pub entities: BTreeMap<String, String>,
    /// The file as it was admitted.
    pub file: ImageFile,
}

/// The file of an image in the object store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageFile {
    /// SHA-256 of its bytes, in hexadecimal digits: its name in the store.
    pub sha256: String,
    /// Perceptual hash of its first frame, 64 bits.
    pub perceptual_hash: u64,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Frames kept.
    pub frames: u32,
}
