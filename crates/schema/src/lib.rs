//! Canonical events, their Arrow schemas, codecs and units.
//!
//! Everything that crosses a topic or a table is defined here: what a transaction, a label and a score are
//! ([`event`], [`score`]), how a user's record becomes one ([`json`], [`mapping`]), which columns it has
//! ([`layout`], [`columns`], [`ipc`]) and how it is refused ([`reject`]). The crate does no input or output.

pub mod columns;
pub mod event;
pub mod hashing;
pub mod ipc;
pub mod json;
pub mod layout;
pub mod mapping;
pub mod money;
pub mod reject;
pub mod score;
pub mod time;
pub mod tokens;

pub use columns::{EventBuilder, EventColumns};
pub use event::{
    Attribute, Event, Image, ImageFile, Kind, Label, Origin, SourceTopic, Subject, Transaction, Verdict,
};
pub use layout::{AttributeKind, AttributeSpec, Layout};
pub use mapping::{Cell, ImageMapping, Mapping, Record};
pub use reject::{Reason, Reject};
pub use score::{Decision, Score, SubjectKind};
