//! R2, R4: what ingest keeps of a raw partition.

use serde::{Deserialize, Serialize};

use crate::{MetadataError, NEVER_US};

/// R2: the clock of one raw partition.
///
/// Watermark and order times are functions of the records before, and of nothing else: a successor that knows
/// the newest event time goes on exactly as its predecessor would have. How far the siblings are plays no part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceClock {
    newest_us: i64,
    disorder_us: i64,
}

/// R2: when a record takes its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The time by which all stages order it.
    pub order_time_us: i64,
    /// Whether the source's watermark had passed its event time already.
    pub late: bool,
}

impl SourceClock {
    /// The clock of a source whose newest event time so far is `newest_us`, [`NEVER_US`] if there was none.
    ///
    /// # Units
    /// `disorder_us`, not negative: by how much an event may be older than one before it without being late.
    #[must_use]
    pub const fn new(disorder_us: i64, newest_us: i64) -> Self {
        Self {
            newest_us,
            disorder_us,
        }
    }

    /// Gives a record its turn: the watermark before it counts, its own time only for those after it.
    pub fn stamp(&mut self, event_time_us: i64) -> Stamp {
        let order_time_us = event_time_us.max(self.watermark_us());
        self.newest_us = self.newest_us.max(event_time_us);
        Stamp {
            order_time_us,
            late: event_time_us < order_time_us,
        }
    }

    /// No later record of this source gets a lower order time.
    #[must_use]
    pub fn watermark_us(&self) -> i64 {
        self.newest_us.saturating_sub(self.disorder_us).max(NEVER_US)
    }

    /// The newest event time so far.
    #[must_use]
    pub const fn newest_us(&self) -> i64 {
        self.newest_us
    }
}

/// R4: what ingest commits with an offset, all of it as of that offset.
///
/// It is committed as well when only the flag changes, since siblings pace themselves by it (R16).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitNote {
    /// The last index sent to each target partition, −1 if none.
    pub index_before: Vec<i64>,
    /// The newest event time so far, from which the watermark follows (R2).
    pub newest_us: i64,
    /// Whether the source was caught up (R6).
    pub caught_up: bool,
}

impl CommitNote {
    /// The note of a source that has read nothing.
    #[must_use]
    pub fn start(targets: usize) -> Self {
        Self {
            index_before: vec![crate::NO_INDEX; targets],
            newest_us: NEVER_US,
            caught_up: false,
        }
    }

    /// The note as text to commit with the offset: JSON.
    ///
    /// # Units
    /// At most 21 bytes a target partition and 80 more: below Kafka's default limit of 4 KiB
    /// (`offset.metadata.max.bytes`) up to 190 partitions whatever the offsets are, up to 300 with offsets below
    /// a trillion. The broker refuses to commit a longer text, so that ingest would stop at its first commit;
    /// raise the broker's limit before a topic gets more partitions than that.
    #[must_use]
    pub fn to_metadata(&self) -> String {
        serde_json::to_string(self).expect("numbers are always JSON")
    }

    /// Reads what [`CommitNote::to_metadata`] wrote.
    ///
    /// # Errors
    /// [`MetadataError`] if it is something else.
    pub fn from_metadata(text: &str) -> Result<Self, MetadataError> {
        Ok(serde_json::from_str(text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn r2_the_watermark_before_a_record_decides() {
        let mut clock = SourceClock::new(10, NEVER_US);
        assert_eq!(clock.watermark_us(), NEVER_US);
        let turns: Vec<(i64, bool)> = [100, 90, 89, 200, 150]
            .iter()
            .map(|&at| clock.stamp(at))
            .map(|stamp| (stamp.order_time_us, stamp.late))
            .collect();
        assert_eq!(
            turns,
            [(100, false), (90, false), (90, true), (200, false), (190, true)]
        );
        assert_eq!((clock.newest_us(), clock.watermark_us()), (200, 190));
    }

    #[test]
    fn extreme_times_do_not_overflow() {
        let mut clock = SourceClock::new(i64::MAX, i64::MIN);
        for at in [i64::MIN, NEVER_US, 0, i64::MAX] {
            clock.stamp(at);
            assert!(clock.watermark_us() >= NEVER_US);
        }
    }

    #[test]
    fn r4_a_note_on_190_partitions_fits_into_an_offset_commit() {
        let note = CommitNote {
            index_before: vec![i64::MIN; 190],
            newest_us: i64::MIN,
            caught_up: false,
        };
        assert!(note.to_metadata().len() < 4096, "{}", note.to_metadata().len());
        let note = CommitNote {
            index_before: vec![999_999_999_999; 300],
            ..note
        };
        assert!(note.to_metadata().len() < 4096, "{}", note.to_metadata().len());
    }

    proptest! {
        /// R2, R4: cut anywhere, the newest event time is all a successor needs.
        #[test]
        fn r2_a_successor_goes_on_as_its_predecessor_would(
            times in prop::collection::vec(-50..50_i64, 0..40), cut in 0..40_usize, disorder in 0..9_i64,
        ) {
            let (head, tail) = times.split_at(cut.min(times.len()));
            let mut one = SourceClock::new(disorder, NEVER_US);
            for &at in head {
                one.stamp(at);
            }
            let mut two = SourceClock::new(disorder, one.newest_us());
            for &at in tail {
                let before = one.watermark_us();
                let stamp = one.stamp(at);
                prop_assert_eq!(stamp, two.stamp(at));
                prop_assert!(stamp.order_time_us >= before);
            }
        }

        #[test]
        fn r4_notes_are_read_as_written(index_before: Vec<i64>, newest_us: i64, caught_up: bool) {
            let note = CommitNote { index_before, newest_us, caught_up };
            prop_assert_eq!(CommitNote::from_metadata(&note.to_metadata()).ok(), Some(note));
        }

        #[test]
        fn r4_other_text_is_no_note(text in "[^{]\\PC*") {
            prop_assert!(CommitNote::from_metadata(&text).is_err());
        }
    }
}
