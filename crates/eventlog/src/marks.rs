//! R5: which rows are new.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Gap, MetadataError, NO_INDEX, Writer};

/// R5: the highest index taken of each writer.
///
/// Writers repeat rows after a crash, and owners that have been replaced write on; both write the same rows under
/// the same indices, so that one number a writer is enough to take each row once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks(BTreeMap<Writer, i64>);

impl Marks {
    /// The position in `indices` of the first row to take; their number if all are repeats. The mark is moved.
    ///
    /// # Shape
    /// `indices` rise. An empty batch is checked like any other.
    ///
    /// # Errors
    /// [`Gap`] if rows are missing in front of the batch; nothing is changed then.
    pub fn take(&mut self, writer: &Writer, index_before: i64, indices: &[i64]) -> Result<usize, Gap> {
        debug_assert!(
            indices.is_sorted_by(|a, b| a < b),
            "indices rise within a partition (R1)"
        );
        let seen = self.get(writer);
        if index_before > seen {
            return Err(Gap {
                writer: writer.clone(),
                index_before,
                seen,
            });
        }
        if let Some(&last) = indices.last() {
            self.set(writer, last);
        }
        Ok(indices.partition_point(|&index| index <= seen))
    }

    /// The highest index taken of a writer, −1 if none.
    #[must_use]
    pub fn get(&self, writer: &Writer) -> i64 {
        self.0.get(writer).copied().unwrap_or(NO_INDEX)
    }

    /// The marks in the order of the writers' names.
    pub fn iter(&self) -> impl Iterator<Item = (&Writer, i64)> {
        self.0.iter().map(|(writer, &index)| (writer, index))
    }

    /// Takes over every mark of `other` that is higher.
    pub fn merge(&mut self, other: &Self) {
        for (writer, index) in other.iter() {
            self.set(writer, index);
        }
    }

    /// Takes over a mark as it was stored, unless there is a higher one.
    pub fn set(&mut self, writer: &Writer, index: i64) {
        match self.0.get_mut(writer) {
            Some(mark) => *mark = index.max(*mark),
            None => drop(self.0.insert(writer.clone(), index)),
        }
    }

    /// The marks as text to commit with an offset (R13): JSON, `{"stage":{"partition":index}}`.
    ///
    /// # Units
    /// At most 33 bytes a writer and the stages' names; about 20 with the indices that occur, so that the marks
    /// of 128 writers stay below Kafka's default limit of 4 KiB for them (`offset.metadata.max.bytes`). The
    /// broker refuses to commit a longer text; raise its limit before a topic gets more partitions than that.
    #[must_use]
    pub fn to_metadata(&self) -> String {
        let mut stages: BTreeMap<&str, BTreeMap<i32, i64>> = BTreeMap::new();
        for (writer, index) in self.iter() {
            let (stage, partition) = writer.parts();
            stages.entry(stage).or_default().insert(partition, index);
        }
        serde_json::to_string(&stages).expect("names and numbers are always JSON")
    }

    /// Reads what [`Marks::to_metadata`] wrote.
    ///
    /// # Errors
    /// [`MetadataError`] if it is something else.
    pub fn from_metadata(text: &str) -> Result<Self, MetadataError> {
        let stages: BTreeMap<String, BTreeMap<i32, i64>> = serde_json::from_str(text)?;
        let marks = stages.iter().flat_map(|(stage, marks)| {
            marks
                .iter()
                .map(move |(&partition, &index)| (Writer::new(stage, partition), index))
        });
        Ok(Self(marks.collect()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn writer() -> Writer {
        Writer::new("terminal", 0)
    }

    #[test]
    fn r5_each_row_is_taken_once() {
        let mut marks = Marks::default();
        assert_eq!(marks.take(&writer(), -1, &[0, 3, 4]), Ok(0));
        assert_eq!(marks.take(&writer(), -1, &[0, 3, 4]), Ok(3), "a repeat");
        assert_eq!(
            marks.take(&writer(), 0, &[3, 4, 9]),
            Ok(2),
            "cut otherwise than before"
        );
        assert_eq!(marks.take(&writer(), 9, &[]), Ok(0));
        assert_eq!(
            marks.take(&Writer::new("terminal", 1), -1, &[0]),
            Ok(0),
            "each writer has its own"
        );
        assert_eq!(marks.get(&writer()), 9);
    }

    #[test]
    fn r5_an_old_batch_does_not_lower_the_mark() {
        let mut marks = Marks::default();
        marks.take(&writer(), -1, &[7]).unwrap();
        marks.take(&writer(), -1, &[2, 3]).unwrap();
        assert_eq!(marks.get(&writer()), 7);
    }

    #[test]
    fn r5_a_hole_is_an_alarm_even_in_front_of_an_empty_batch() {
        let mut marks = Marks::default();
        marks.take(&writer(), -1, &[2]).unwrap();
        for indices in [&[5, 6][..], &[]] {
            let gap = Gap {
                writer: writer(),
                index_before: 4,
                seen: 2,
            };
            assert_eq!(marks.take(&writer(), 4, indices), Err(gap));
            assert_eq!(marks.get(&writer()), 2, "the alarm changes nothing");
        }
    }

    #[test]
    fn r13_the_marks_of_128_partitions_fit_into_an_offset_commit() {
        let mut marks = Marks::default();
        for partition in 0..128 {
            marks
                .take(&Writer::new("account", partition), -1, &[999_999_999_999])
                .unwrap();
        }
        assert!(marks.to_metadata().len() < 4096, "{}", marks.to_metadata().len());
    }

    fn any_marks() -> impl Strategy<Value = Marks> {
        let name = ("\\PC{0,8}", any::<i32>()).prop_map(|(stage, partition)| Writer::new(&stage, partition));
        prop::collection::btree_map(name, any::<i64>(), 0..9).prop_map(Marks)
    }

    proptest! {
        #[test]
        fn r13_metadata_is_read_as_written(marks in any_marks()) {
            prop_assert_eq!(Marks::from_metadata(&marks.to_metadata()).ok(), Some(marks));
        }

        #[test]
        fn other_text_is_no_metadata(text in "[^{]\\PC*") {
            prop_assert!(Marks::from_metadata(&text).is_err());
        }

        #[test]
        fn merging_keeps_the_higher_mark(a in any_marks(), b in any_marks()) {
            let mut both = a.clone();
            both.merge(&b);
            for (writer, index) in a.iter().chain(b.iter()) {
                prop_assert!(both.get(writer) >= index);
            }
            for (writer, index) in both.iter() {
                prop_assert!(a.0.get(writer) == Some(&index) || b.0.get(writer) == Some(&index));
            }
        }

        /// R5 against a set of everything ever taken: any cutting and repeating of a writer's rows will do.
        #[test]
        fn r5_any_repeats_give_each_row_once(
            steps in prop::collection::btree_set(0..200_i64, 1..40),
            cuts in prop::collection::vec((0..40_usize, 1..9_usize), 1..60),
        ) {
            let all: Vec<i64> = steps.into_iter().collect();
            let (mut marks, mut taken) = (Marks::default(), Vec::new());
            for (from, len) in cuts {
                let from = from.min(taken.len()); // never past what has been sent
                let batch = &all[from..(from + len).min(all.len())];
                let before = if from == 0 { -1 } else { all[from - 1] };
                let first = marks.take(&writer(), before, batch).unwrap();
                taken.extend_from_slice(&batch[first..]);
            }
            prop_assert_eq!(&taken[..], &all[..taken.len()]);
        }
    }
}
