//! Which records are acknowledged, as one number over all partitions.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rdkafka::error::RDKafkaErrorCode as Code;

/// The reports on records sent, in whatever order they come.
#[derive(Default)]
pub(super) struct Deliveries {
    window: Mutex<Window>,
    moved: Condvar,
}

#[derive(Default)]
struct Window {
    /// Everything up to this number is acknowledged.
    acked: u64,
    /// Of the numbers after that, which are. As long as what is on its way at most.
    after: VecDeque<bool>,
    /// How many records have had their report.
    settled: u64,
    failure: Option<Code>,
}

impl Deliveries {
    /// Notes the report on a record.
    pub(super) fn settle(&self, number: u64, code: Code) {
        let mut window = self.lock();
        window.settled += 1;
        if code == Code::NoError {
            window.acknowledge(number);
        } else if window.failure.is_none() {
            window.failure = Some(code);
        }
        drop(window);
        self.moved.notify_all();
    }

    /// The number up to which all are acknowledged.
    pub(super) fn acked(&self) -> u64 {
        self.lock().acked
    }

    /// How many have had their report.
    pub(super) fn settled(&self) -> u64 {
        self.lock().settled
    }

    /// Why the first record that failed has.
    pub(super) fn failure(&self) -> Option<Code> {
        self.lock().failure
    }

    /// Forgets failures: their transaction is over.
    pub(super) fn forgive(&self) {
        self.lock().failure = None;
    }

    /// Waits until more than `settled` records have had their report.
    pub(super) fn wait_past(&self, settled: u64, deadline: Instant) {
        let patience = deadline.saturating_duration_since(Instant::now());
        let _ = self
            .moved
            .wait_timeout_while(self.lock(), patience, |w| w.settled <= settled);
    }

    fn lock(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    fn acknowledge(&mut self, number: u64) {
        let Some(place) = number
            .checked_sub(self.acked + 1)
            .and_then(|place| usize::try_from(place).ok())
        else {
            return;
        };
        if self.after.len() <= place {
            self.after.resize(place + 1, false);
        }
        self.after[place] = true;
        while self.after.front() == Some(&true) {
            self.after.pop_front();
            self.acked += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledged_is_what_has_no_gap_before_it() {
        let deliveries = Deliveries::default();
        for (number, acked) in [(2, 0), (4, 0), (1, 2), (5, 2), (3, 5)] {
            deliveries.settle(number, Code::NoError);
            assert_eq!(deliveries.acked(), acked, "after {number}");
        }
    }

    #[test]
    fn a_failed_record_is_a_gap_for_good() {
        let deliveries = Deliveries::default();
        deliveries.settle(1, Code::NoError);
        deliveries.settle(2, Code::MessageTimedOut);
        deliveries.settle(3, Code::NoError);
        assert_eq!(
            (deliveries.acked(), deliveries.failure()),
            (1, Some(Code::MessageTimedOut))
        );
    }
}
