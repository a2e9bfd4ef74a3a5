//! Batches that adapt: what has come while the last one was worked on, and a little more under load.

use std::time::{Duration, Instant};

use crate::Result;
use crate::consumer::Consumer;
use crate::record::{Polled, Record};

/// Bytes above which a batch is handed out at once (INV-8).
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Gathers records into batches. A batch is open for the linger after its first record. The linger grows while
/// its owner is busy most of the time, as it is when batches are so small that their overhead eats the
/// processor, and shrinks when it has time to spare.
#[derive(Debug)]
pub struct Gather {
    pace: Pace,
    max_records: usize,
    handed_out: Option<Instant>,
    held: Option<Polled>,
}

impl Gather {
    /// Batches of up to `max_records`, open for between `linger` and `max_linger`.
    #[must_use]
    pub fn new(linger: Duration, max_linger: Duration, max_records: usize) -> Self {
        Self {
            pace: Pace::new(linger, max_linger),
            max_records,
            handed_out: None,
            held: None,
        }
    }

    /// How long a batch is open at present.
    #[must_use]
    pub fn linger(&self) -> Duration {
        self.pace.linger
    }

    /// Waits up to `idle` for a first record, gathers, and hands out. Rebalances are not held up by more than
    /// the linger, and come after the records read before them.
    ///
    /// # Errors
    /// As [`Consumer::poll`].
    pub fn poll(&mut self, consumer: &mut Consumer, idle: Duration) -> Result<Polled> {
        let called = Instant::now();
        let busy = self
            .handed_out
            .take()
            .map_or(Duration::ZERO, |since| called - since);
        if let Some(held) = self.held.take() {
            return Ok(held);
        }
        let polled = consumer.poll(idle, self.max_records, MAX_BYTES)?;
        let Polled::Records(mut records) = polled else {
            return Ok(polled);
        };
        if !records.is_empty() {
            self.gather(consumer, &mut records)?;
            let now = Instant::now();
            self.pace.adapt(busy, now - called);
            self.handed_out = Some(now);
        }
        Ok(Polled::Records(records))
    }

    fn gather(&mut self, consumer: &mut Consumer, records: &mut Vec<Record>) -> Result<()> {
        let room = self.max_records.saturating_sub(records.len());
        let bytes: usize = records.iter().map(Record::bytes).sum();
        if room == 0 || bytes >= MAX_BYTES || self.pace.linger.is_zero() {
            return Ok(());
        }
        // One sleep instead of waking up for every record; librdkafka goes on fetching.
        std::thread::sleep(self.pace.linger);
        match consumer.poll(Duration::ZERO, room, MAX_BYTES - bytes)? {
            Polled::Records(more) => records.extend(more),
            event => self.held = Some(event),
        }
        Ok(())
    }
}

/// The linger, between its bounds.
#[derive(Debug)]
struct Pace {
    linger: Duration,
    least: Duration,
    most: Duration,
}

impl Pace {
    fn new(least: Duration, most: Duration) -> Self {
        Self {
            linger: least,
            least,
            most: most.max(least),
        }
    }

    /// Grows when the owner was busy for more than half of the last round, shrinks when for less than a quarter.
    fn adapt(&mut self, busy: Duration, waited: Duration) {
        if busy > waited {
            let longer = self.linger.max(Duration::from_millis(1)) * 3 / 2;
            self.linger = longer.clamp(self.least, self.most);
        } else if busy * 3 < waited {
            self.linger = (self.linger * 2 / 3).clamp(self.least, self.most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_linger_grows_under_load_up_to_its_bound() {
        let mut pace = Pace::new(2 * MS, 20 * MS);
        for _ in 0..20 {
            pace.adapt(30 * MS, 10 * MS);
        }
        assert_eq!(pace.linger, 20 * MS);
    }

    #[test]
    fn the_linger_shrinks_when_there_is_time_to_spare() {
        let mut pace = Pace::new(2 * MS, 20 * MS);
        pace.linger = 20 * MS;
        for _ in 0..20 {
            pace.adapt(MS, 20 * MS);
        }
        assert_eq!(pace.linger, 2 * MS);
    }

    #[test]
    fn in_between_the_linger_stays() {
        let mut pace = Pace::new(2 * MS, 20 * MS);
        pace.linger = 5 * MS;
        pace.adapt(4 * MS, 10 * MS);
        assert_eq!(pace.linger, 5 * MS);
    }
}
