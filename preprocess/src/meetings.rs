//! Images meet their transactions in the last stage: whichever comes first waits for the other, for a while.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type};
use schema::hashing::identity_of;
use schema::layout::column;
use serde::{Deserialize, Serialize};

/// What a row tells of an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ImageFacts {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) sha256: String,
    pub(crate) hash: i64,
    pub(crate) width: i32,
    pub(crate) height: i32,
    pub(crate) frames: i32,
    /// Count, other accounts, seconds ago.
    pub(crate) seen: [Option<f64>; 3],
}

impl ImageFacts {
    /// The facts of a row that is an image's.
    pub(crate) fn of(rows: &RecordBatch, row: usize) -> Self {
        let column = |name: &str| rows.column_by_name(name).expect("an image's row has its columns");
        let text = |name: &str| column(name).as_string::<i32>().value(row).to_owned();
        let number = |name: &str| column(name).as_primitive::<Int32Type>().value(row);
        let seen = |name: &str| {
            let values = column(name).as_primitive::<Float64Type>();
            values.is_valid(row).then(|| values.value(row))
        };
        Self {
            id: text(column::IMAGE_ID),
            kind: text(column::IMAGE_KIND),
            sha256: text(column::IMAGE_SHA256),
            hash: column(column::IMAGE_HASH).as_primitive::<Int64Type>().value(row),
            width: number(column::IMAGE_WIDTH),
            height: number(column::IMAGE_HEIGHT),
            frames: number(column::IMAGE_FRAMES),
            seen: [
                column::IMAGE_SEEN_COUNT,
                column::IMAGE_SEEN_OTHER_ACCOUNTS,
                column::IMAGE_SEEN_SECONDS_AGO,
            ]
            .map(seen),
        }
    }
}

/// What a transaction and its image have in common. An image of another account is no image of the transaction.
pub(crate) fn key(account: &str, transaction_id: &str) -> u128 {
    identity_of(&[account.as_bytes(), transaction_id.as_bytes()])
}

/// Things that wait, by their key: for a window of order time, and no more than so many, the oldest first forgotten.
///
/// What is forgotten follows from what waits alone, so that a restored one goes on alike (R11).
#[derive(Clone, Debug)]
pub(crate) struct Waiting<T> {
    window_us: i64,
    most: usize,
    by_key: HashMap<u128, (i64, T)>,
    by_time: BTreeSet<(i64, u128)>,
}

impl<T> Waiting<T> {
    pub(crate) fn new(window_us: i64, most: usize) -> Self {
        Self {
            window_us,
            most,
            by_key: HashMap::new(),
            by_time: BTreeSet::new(),
        }
    }

    /// Adds what came at a time that is none before the others' (R10), in place of what has the same key.
    pub(crate) fn insert(&mut self, key: u128, at_us: i64, value: T) {
        if self.most == 0 {
            return;
        }
        if let Some((since_us, _)) = self.by_key.insert(key, (at_us, value)) {
            self.by_time.remove(&(since_us, key));
        }
        self.by_time.insert((at_us, key));
        while self.by_time.len() > self.most {
            self.forget_oldest();
        }
    }

    /// Forgets what has waited longer than the window at this time.
    pub(crate) fn forget(&mut self, now_us: i64) {
        let before = now_us.saturating_sub(self.window_us);
        while self.by_time.first().is_some_and(|(at_us, _)| *at_us < before) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, key)) = self.by_time.pop_first() {
            self.by_key.remove(&key);
        }
    }

    pub(crate) fn get_mut(&mut self, key: u128) -> Option<&mut T> {
        self.by_key.get_mut(&key).map(|(_, value)| value)
    }

    /// What waits, by rising time.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u128, i64, &T)> {
        let waiting = self.by_time.iter();
        waiting.filter_map(|(at_us, key)| Some((*key, *at_us, &self.by_key.get(key)?.1)))
    }
}

/// An image that waits, as snapshots have it.
pub(crate) type SavedImage = (u128, i64, Arc<ImageFacts>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_found_within_the_window_and_forgotten_after_it() {
        let mut waiting = Waiting::new(10, 100);
        waiting.insert(1, 0, "first");
        waiting.forget(10);
        assert_eq!(waiting.get_mut(1), Some(&mut "first"), "exactly the window later");
        waiting.forget(11);
        assert_eq!(waiting.get_mut(1), None);
    }

    #[test]
    fn the_oldest_goes_when_there_are_too_many() {
        let mut waiting = Waiting::new(1_000, 2);
        for key in 1..=3 {
            waiting.insert(key, i64::try_from(key).expect("small"), key);
        }
        assert_eq!(waiting.iter().map(|(key, ..)| key).collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn one_that_comes_again_waits_anew() {
        let mut waiting = Waiting::new(10, 100);
        waiting.insert(1, 0, "old");
        waiting.insert(1, 8, "new");
        waiting.forget(15);
        assert_eq!(waiting.get_mut(1), Some(&mut "new"));
        assert_eq!(waiting.iter().count(), 1);
    }

    #[test]
    fn a_restored_one_forgets_alike() {
        let mut waiting = Waiting::new(1_000, 3);
        for (at_us, key) in (0..).zip([1, 2, 2]) {
            waiting.insert(key, at_us, key);
        }
        let mut restored = Waiting::new(1_000, 3);
        for (key, at_us, value) in waiting.iter() {
            restored.insert(key, at_us, *value);
        }
        for key in [3, 4] {
            let at_us = i64::try_from(key).expect("small");
            waiting.insert(key, at_us, key);
            restored.insert(key, at_us, key);
            let keys = |waiting: &Waiting<u128>| waiting.iter().map(|(key, ..)| key).collect::<Vec<_>>();
            assert_eq!(keys(&restored), keys(&waiting));
        }
        assert_eq!(waiting.iter().count(), 3, "a repeat takes one place");
    }

    #[test]
    fn a_transaction_of_another_account_is_another() {
        assert_ne!(key("a", "t1"), key("b", "t1"));
    }
}
