//! The log protocol: numbers, order and words, without I/O.
//!
//! Between ingest and the edges nothing is transactional: writers repeat rows after a crash, partitions are read
//! at different speeds, and owners live on after they have been replaced. These types decide, from facts handed
//! in, which rows are new, in which order they go on and what a writer says about itself. They hold no clock, no
//! randomness and no connection: the same log gives the same rows.
//!
//! The rules, and who holds them:
//!
//! | rule | what it says | where |
//! | --- | --- | --- |
//! | R1 numbers | ingest's index is the raw offset, a keyed stage's the count of rows it emitted | [`Fold::number`] |
//! | R2 order time | event time, or the source's watermark before it if that is later | [`SourceClock`] |
//! | R3 commit last | offsets after everything made below them is acknowledged | the workers |
//! | R4 commit note | index-before per target, newest event time, caught up: as of the offset | [`CommitNote`] |
//! | R5 reading | one high-water mark a writer; a hole in front of a batch stops the reader | [`Marks`] |
//! | R6 caught up | the one decision that looks at the clock | [`CatchUp`] |
//! | R7 words | what a batch header says of its writer, and who has to hear it when | [`BatchHeader`], [`Word`], [`Telling`], [`Message`] |
//! | R8 hearing | whose words count, and what they hold back | [`Hearing`] |
//! | R9 release | strictly below the frontier, in one total order, after every batch | [`Fold::next`] |
//! | R10 clock | never goes back; what comes out of turn takes its turn now | [`Fold::next`], [`Fold::settle`] |
//! | R11 snapshot | everything of a fold, stored after what was sent before it is acknowledged | [`FoldState`] |
//! | R12 dead letters | fence, read what is out, write | the workers |
//! | R13 scorer, R14 lake | marks are committed with what was made of the rows | [`Marks::to_metadata`] |
//! | R15 epoch | new definitions keep the numbers | [`Fold::set_epoch`] |
//! | R16 pace | nobody reads far past the slowest source that is not caught up | [`Pace`] |
//!
//! # Units
//! Times are microseconds since the Unix epoch; any unit will do as long as it is one.

mod catch_up;
mod error;
mod fold;
mod header;
mod hearing;
mod marks;
mod message;
mod pace;
mod source;
mod telling;
mod writer;

pub use catch_up::{CatchUp, CatchUpSettings, Facts};
pub use error::{Gap, HeaderError, MetadataError};
pub use fold::{Fold, FoldState, Ordered, Turn};
pub use header::{BatchHeader, HEADER, Word};
pub use hearing::{Frontier, Hearing};
pub use marks::Marks;
pub use message::{MAX_PAYLOAD_BYTES, Message, MessageError, split};
pub use pace::Pace;
pub use source::{CommitNote, SourceClock, Stamp};
pub use telling::Telling;
pub use writer::{ParseWriterError, Writer};

/// Minus infinity of times: before anything that can happen.
///
/// A quarter of the range, so that differences between it and a real time stay within an `i64`.
///
/// # Units
/// Microseconds, some seventy thousand years before the Unix epoch.
pub const NEVER_US: i64 = i64::MIN / 4;

/// The index before the first one: what a mark or an index-before is when there was no row yet.
pub const NO_INDEX: i64 = -1;
