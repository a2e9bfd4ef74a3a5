//! What is known about an entity's transactions, and since when.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::history::{History, insert_at};
use super::ids::{Ids, Mark, Marks};
use super::running::Running;

/// One label: from a time on, a transaction is known as a fraud or not.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Label {
    known_at_us: i64,
    /// The transaction, the label itself, and what held before it.
    mark: Mark,
}

impl Label {
    pub(super) fn new(transaction: u128, known_at_us: i64, fraud: bool) -> Self {
        let mut mark = Mark::of(transaction);
        mark.set_fraud(fraud);
        Self { known_at_us, mark }
    }
}

/// The labels of an entity's transactions, in the order in which they became known.
///
/// They have been applied up to an instant, which moves forward with the rows and, for a late row, back:
/// every label remembers what held before it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Labels {
    /// By the time they became known, then as they came.
    known: VecDeque<Label>,
    /// How many of them are applied.
    applied: usize,
    /// Labels whose transaction has not come yet, as they came.
    waiting: BTreeMap<u64, Vec<Label>>,
    /// No waiting label became known before.
    oldest_waiting_us: i64,
    #[serde(skip)]
    ids: Ids,
}

impl Labels {
    /// Notes that a transaction has been put into the history; returns the labels that have waited for it.
    pub(super) fn inserted(&mut self, history: &History, position: usize) -> Vec<Label> {
        self.ids.inserted(history, position);
        if self.waiting.is_empty() {
            return Vec::new();
        }
        self.waiting.remove(&history.id(position)).unwrap_or_default()
    }

    /// Takes a label, and applies it if it is known by the instant.
    pub(super) fn take(&mut self, label: Label, now_us: i64, history: &mut History, running: &mut Running) {
        if self.ids.find(history, label.mark.id()).is_none() {
            let oldest = if self.waiting.is_empty() {
                i64::MAX
            } else {
                self.oldest_waiting_us
            };
            self.oldest_waiting_us = oldest.min(label.known_at_us);
            self.waiting.entry(label.mark.id()).or_default().push(label);
            return;
        }
        let position = match self.known.back() {
            Some(last) if last.known_at_us > label.known_at_us => self
                .known
                .partition_point(|other| other.known_at_us <= label.known_at_us),
            _ => self.known.len(),
        };
        while self.applied > position {
            self.take_back(history, running);
        }
        insert_at(&mut self.known, position, label);
        self.seek(now_us, history, running);
    }

    /// Applies what is known by the instant, and takes back what is not.
    pub(super) fn seek(&mut self, now_us: i64, history: &mut History, running: &mut Running) {
        while self.applied > 0 && self.known[self.applied - 1].known_at_us > now_us {
            self.take_back(history, running);
        }
        while self
            .known
            .get(self.applied)
            .is_some_and(|label| label.known_at_us <= now_us)
        {
            self.apply(history, running);
        }
    }

    fn apply(&mut self, history: &mut History, running: &mut Running) {
        let label = &mut self.known[self.applied];
        if let Some(index) = self.ids.find(history, label.mark.id()) {
            label.mark.set_was_fraud(history.is_fraud(index));
            set_fraud(index, label.mark.is_fraud(), history, running);
        }
        self.applied += 1;
    }

    fn take_back(&mut self, history: &mut History, running: &mut Running) {
        self.applied -= 1;
        let label = self.known[self.applied];
        if let Some(index) = self.ids.find(history, label.mark.id()) {
            set_fraud(index, label.mark.was_fraud(), history, running);
        }
    }

    /// Notes that transactions are about to be removed from the front of the history.
    pub(super) fn removing(&mut self, history: &History, count: usize) {
        self.ids.removing(history, count);
    }

    /// Drops the labels of transactions that are gone, as far as none that is needed became known before
    /// them.
    pub(super) fn forget(&mut self, history: &History) {
        while let Some(first) = self.known.front()
            && self.ids.find(history, first.mark.id()).is_none()
        {
            self.known.pop_front();
            self.applied = self.applied.saturating_sub(1);
        }
        if self.known.capacity() > 64 && self.known.capacity() / 4 > self.known.len() {
            self.known.shrink_to(self.known.len() * 2);
        }
    }

    /// Drops the labels that have waited since before the horizon.
    pub(super) fn forget_waiting(&mut self, horizon_us: i64) {
        if self.waiting.is_empty() || self.oldest_waiting_us >= horizon_us {
            return;
        }
        self.waiting.retain(|_, labels| {
            labels.retain(|label| label.known_at_us >= horizon_us);
            !labels.is_empty()
        });
        let oldest = self
            .waiting
            .values()
            .flatten()
            .map(|label| label.known_at_us)
            .min();
        self.oldest_waiting_us = oldest.unwrap_or(i64::MAX);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty() && self.waiting.is_empty()
    }

    /// When the last of the waiting labels became known.
    pub(super) fn newest_waiting_us(&self) -> Option<i64> {
        self.waiting
            .values()
            .flatten()
            .map(|label| label.known_at_us)
            .max()
    }

    /// Makes what is not stored, after the rest has been restored.
    pub(super) fn rebuild(&mut self, history: &History) {
        self.ids.rebuild(history);
    }

    pub(super) fn is_consistent(&self) -> bool {
        self.applied <= self.known.len() && self.known.iter().is_sorted_by_key(|label| label.known_at_us)
    }
}

fn set_fraud(index: usize, fraud: bool, history: &mut History, running: &mut Running) {
    if history.is_fraud(index) != fraud {
        history.set_fraud(index, fraud);
        running.marked(index, fraud);
    }
}
