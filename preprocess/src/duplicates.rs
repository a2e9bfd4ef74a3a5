//! Events that were there before: a repeat within a window of time is dropped (R9).

use std::collections::{HashSet, VecDeque};

use serde::{Deserialize, Serialize};

/// The identities seen within a window of order time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Duplicates {
    window_us: i64,
    seen: HashSet<u128>,
    /// In the order of their time, which is the order in which they are forgotten.
    by_time: VecDeque<(i64, u128)>,
}

/// What a snapshot keeps: identities by rising time.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Seen(Vec<(i64, u128)>);

impl Duplicates {
    pub(crate) fn new(window_us: i64, seen: Seen) -> Self {
        Self {
            window_us,
            seen: seen.0.iter().map(|(_, id)| *id).collect(),
            by_time: seen.0.into(),
        }
    }

    /// Whether an event is new; it is remembered then. Order times never fall (R10).
    pub(crate) fn is_new(&mut self, order_time_us: i64, identity: u128) -> bool {
        while self
            .by_time
            .front()
            .is_some_and(|(at_us, _)| *at_us < order_time_us.saturating_sub(self.window_us))
        {
            if let Some((_, forgotten)) = self.by_time.pop_front() {
                self.seen.remove(&forgotten);
            }
        }
        let new = self.seen.insert(identity);
        if new {
            self.by_time.push_back((order_time_us, identity));
        }
        new
    }

    pub(crate) fn seen(&self) -> Seen {
        Seen(self.by_time.iter().copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeat_is_known_within_the_window_and_forgotten_after_it() {
        let mut duplicates = Duplicates::new(10, Seen::default());
        assert!(duplicates.is_new(0, 1));
        assert!(
            !duplicates.is_new(10, 1),
            "exactly the window later it is still known"
        );
        assert!(duplicates.is_new(11, 1));
    }

    #[test]
    fn a_snapshot_remembers() {
        let mut before = Duplicates::new(10, Seen::default());
        before.is_new(0, 1);
        before.is_new(5, 2);
        let mut after = Duplicates::new(10, before.seen());
        assert!(!after.is_new(9, 2) && after.is_new(11, 1));
    }
}
