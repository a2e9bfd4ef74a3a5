//! Which transaction of an entity has an id.

use hashbrown::HashTable;
use serde::{Deserialize, Serialize};

/// Below this many transactions, looking at each is as fast as a table and needs no memory.
const LINEAR: usize = 48;

const FRAUD: u64 = 1;
const WAS_FRAUD: u64 = 2;
const ID: u64 = !3;

/// 62 bits of a transaction's id, and two flags.
///
/// Ids are compared within one entity value only: among a million transactions, two share 62 bits of their
/// 128-bit hash with a probability of about 10⁻⁷.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark(u64);

impl Mark {
    pub(super) fn of(id: u128) -> Self {
        Self((id >> 64) as u64 & ID)
    }

    pub(super) fn to_bits(self) -> i64 {
        self.0.cast_signed()
    }

    pub(super) fn from_bits(bits: i64) -> Self {
        Self(bits.cast_unsigned())
    }

    /// The id alone.
    pub(super) fn id(self) -> u64 {
        self.0 & ID
    }

    pub(super) fn is_fraud(self) -> bool {
        self.0 & FRAUD != 0
    }

    pub(super) fn set_fraud(&mut self, fraud: bool) {
        self.set(FRAUD, fraud);
    }

    /// Of a label: what held before it did.
    pub(super) fn was_fraud(self) -> bool {
        self.0 & WAS_FRAUD != 0
    }

    pub(super) fn set_was_fraud(&mut self, fraud: bool) {
        self.set(WAS_FRAUD, fraud);
    }

    fn set(&mut self, flag: u64, on: bool) {
        self.0 = if on { self.0 | flag } else { self.0 & !flag };
    }
}

/// The marks of an entity's transactions, by position.
pub(super) trait Marks {
    fn count(&self) -> usize;
    fn mark(&self, index: usize) -> Mark;

    fn id(&self, index: usize) -> u64 {
        self.mark(index).id()
    }
}

/// Finds the position of an id among an entity's marks.
///
/// Once there are many, a table holds their numbers: a transaction's number is its position plus how many
/// have been removed from the front, modulo 2³².
#[derive(Debug, Default)]
pub(super) struct Ids {
    table: Option<HashTable<u32>>,
    removed: u32,
}

impl Ids {
    /// The position of the first transaction with this id.
    pub(super) fn find(&self, marks: &impl Marks, id: u64) -> Option<usize> {
        let Some(table) = &self.table else {
            return (0..marks.count()).find(|position| marks.id(*position) == id);
        };
        let positions = table.iter_hash(hash(id)).map(|number| self.position(*number));
        positions.filter(|position| marks.id(*position) == id).min()
    }

    /// Notes that a mark has been inserted.
    pub(super) fn inserted(&mut self, marks: &impl Marks, position: usize) {
        if self.table.is_none() {
            if marks.count() > LINEAR {
                self.rebuild(marks);
            }
            return;
        }
        // From the last one on: so no two ever have the same number.
        for moved in (position + 1..marks.count()).rev() {
            let (old, new) = (self.number(moved - 1), self.number(moved));
            let table = self.table.as_mut().expect("there is a table: checked above");
            let entry = table.find_mut(hash(marks.id(moved)), |number| *number == old);
            *entry.expect("every mark is in the table") = new;
        }
        self.add(marks, position);
    }

    /// Notes that marks are about to be removed from the front.
    pub(super) fn removing(&mut self, marks: &impl Marks, count: usize) {
        for position in 0..count {
            let number = self.number(position);
            if let Some(table) = &mut self.table {
                let entry = table.find_entry(hash(marks.id(position)), |other| *other == number);
                entry.expect("every mark is in the table").remove();
            }
        }
        self.removed = self.number(count);
        if count > 0 && marks.count() - count <= LINEAR / 2 {
            self.table = None;
        }
    }

    /// Builds the table anew, if there are enough marks for one.
    pub(super) fn rebuild(&mut self, marks: &impl Marks) {
        self.table = (marks.count() > LINEAR).then(HashTable::new);
        for position in 0..marks.count() {
            self.add(marks, position);
        }
    }

    fn add(&mut self, marks: &impl Marks, position: usize) {
        let (number, removed) = (self.number(position), self.removed);
        if let Some(table) = &mut self.table {
            let hash_of = |other: &u32| hash(marks.id(other.wrapping_sub(removed) as usize));
            table.insert_unique(hash(marks.id(position)), number, hash_of);
        }
    }

    fn position(&self, number: u32) -> usize {
        number.wrapping_sub(self.removed) as usize
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "numbers are modulo 2³², as positions are below it"
    )]
    fn number(&self, position: usize) -> u32 {
        self.removed.wrapping_add(position as u32)
    }
}

/// The table takes its buckets from the low bits, of which the lowest two of an id are always zero.
fn hash(id: u64) -> u64 {
    id ^ (id >> 32)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    impl Marks for VecDeque<Mark> {
        fn count(&self) -> usize {
            self.len()
        }

        fn mark(&self, index: usize) -> Mark {
            self[index]
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert { id: u8, from_end: usize },
        Remove(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let insert = (any::<u8>(), 0_usize..8).prop_map(|(id, from_end)| Step::Insert { id, from_end });
        let remove = (0_usize..12).prop_map(Step::Remove);
        prop::collection::vec(prop_oneof![10 => insert, 1 => remove], 0..400)
    }

    proptest! {
        #[test]
        fn the_table_finds_what_a_search_finds(
            steps in steps(),
            removed in prop_oneof![Just(0), Just(u32::MAX - 20)],
        ) {
            let mut ids = Ids { table: None, removed };
            let mut marks = VecDeque::new();
            for step in steps {
                match step {
                    Step::Insert { id, from_end } => {
                        let position = marks.len() - from_end.min(marks.len());
                        marks.insert(position, Mark::of(u128::from(id) << 66));
                        ids.inserted(&marks, position);
                    }
                    Step::Remove(count) => {
                        let count = count.min(marks.len());
                        ids.removing(&marks, count);
                        marks.drain(..count);
                    }
                }
                for id in 0..=255_u64 {
                    let expected = marks.iter().position(|mark| mark.id() == id << 2);
                    prop_assert_eq!(ids.find(&marks, id << 2), expected);
                }
            }
        }
    }
}
