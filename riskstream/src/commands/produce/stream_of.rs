//! Tables as one stream of events in time order: each when it takes place, labels when they become known.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::iter::Peekable;
use std::path::Path;

use anyhow::{anyhow, ensure};
use schema::{Event, Label, Reject, Subject};

use super::documents::Document;
use crate::tables::{Row, Rows, Table};

/// From the first instant to the one after the last.
#[derive(Clone, Copy)]
pub(super) struct Interval {
    pub(super) from_us: i64,
    pub(super) to_us: i64,
}

impl Interval {
    fn contains(self, at_us: i64) -> bool {
        (self.from_us..self.to_us).contains(&at_us)
    }
}

/// What takes place.
pub(super) enum What {
    /// A transaction, or a label that becomes known.
    Event(Event),
    /// A document image comes in.
    Image(Document),
}

impl What {
    pub(super) fn is_label(&self) -> bool {
        matches!(self, Self::Event(Event::Label(_)))
    }
}

/// A row as read.
pub(super) struct Read {
    pub(super) at_us: i64,
    pub(super) what: What,
    pub(super) label: Option<Label>,
}

pub(super) type Reads = Box<dyn Iterator<Item = anyhow::Result<Read>>>;

/// A table on its way.
pub(super) struct Source {
    /// How many of its rows lie in the interval.
    pub(super) count: u64,
    /// All of them, in time order.
    pub(super) reads: Reads,
}

/// What takes place, and when.
pub(super) struct Timed {
    pub(super) at_us: i64,
    pub(super) what: What,
}

/// All rows of some tables, and the labels in them, in the order of their times, labels first among equals; and how
/// many rows lie in the interval.
pub(super) fn merge(
    sources: Vec<Source>,
    interval: Interval,
) -> (u64, impl Iterator<Item = anyhow::Result<Timed>>) {
    let count = sources.iter().map(|source| source.count).sum();
    let merged = Merge {
        sources: sources
            .into_iter()
            .map(|source| source.reads.peekable())
            .collect(),
        labels: BinaryHeap::new(),
        interval,
    };
    (count, merged)
}

/// Refuses a table that lacks columns of its mapping.
pub(super) fn check_columns(input: &Path, table: &Table, columns: &[&str]) -> anyhow::Result<()> {
    let missing = |column: &&&str| table.schema().field_with_name(column).is_err();
    let missing: Vec<&str> = columns.iter().filter(missing).copied().collect();
    ensure!(
        missing.is_empty(),
        "{}: the mapping's columns {} are not there",
        input.display(),
        missing.join(", ")
    );
    Ok(())
}

/// How many rows lie in the interval, and whether all come in time order.
pub(super) fn survey(
    times: &Table,
    interval: Interval,
    time_of: impl Fn(&Row<'_>, u64) -> Result<i64, Reject>,
) -> anyhow::Result<(u64, bool)> {
    let (mut count, mut in_order, mut newest_us, mut number) = (0, true, i64::MIN, 0);
    for batch in times.batches() {
        for row in Rows::new(&batch?)?.iter() {
            let at_us = time_of(&row, number).map_err(said)?;
            count += u64::from(interval.contains(at_us));
            in_order &= newest_us <= at_us;
            newest_us = newest_us.max(at_us);
            number += 1;
        }
    }
    Ok((count, in_order))
}

pub(super) fn said(reject: Reject) -> anyhow::Error {
    anyhow!(reject.message)
}

struct Merge {
    sources: Vec<Peekable<Reads>>,
    labels: BinaryHeap<Reverse<Known>>,
    interval: Interval,
}

struct Known(Label);

impl Known {
    fn key(&self) -> (i64, &Subject) {
        (self.0.known_at_us, &self.0.subject)
    }
}

impl Ord for Known {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Known {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Known {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Known {}

impl Merge {
    /// The source whose next row is the earliest, the first one of equals, and when that is. What cannot be read comes
    /// at once.
    fn next_source(&mut self) -> Option<(i64, &mut Peekable<Reads>)> {
        let heads = self.sources.iter_mut().filter_map(|source| {
            let at_us = source.peek()?.as_ref().map_or(i64::MIN, |read| read.at_us);
            Some((at_us, source))
        });
        heads.min_by_key(|(at_us, _)| *at_us)
    }

    /// The next event whatever its time; nothing at the end.
    fn next_of_all(&mut self) -> Option<anyhow::Result<Timed>> {
        let next_us = self.next_source().map_or(i64::MAX, |(at_us, _)| at_us);
        if let Some(Reverse(Known(label))) = self
            .labels
            .peek_mut()
            .filter(|l| l.0.0.known_at_us <= next_us)
            .map(std::collections::binary_heap::PeekMut::pop)
        {
            return Some(Ok(Timed {
                at_us: label.known_at_us,
                what: What::Event(Event::Label(label)),
            }));
        }
        let read = self.next_source()?.1.next()?;
        Some(read.map(|read| {
            self.labels.extend(read.label.map(|label| Reverse(Known(label))));
            Timed {
                at_us: read.at_us,
                what: read.what,
            }
        }))
    }
}

impl Iterator for Merge {
    type Item = anyhow::Result<Timed>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let timed = match self.next_of_all()? {
                Ok(timed) => timed,
                Err(error) => return Some(Err(error)),
            };
            if timed.at_us >= self.interval.to_us {
                return None;
            }
            if self.interval.contains(timed.at_us) {
                return Some(Ok(timed));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use schema::Mapping;

    use super::super::transactions;
    use super::*;

    fn events(interval: Interval, rows: &str) -> Vec<(i64, bool)> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("rows.csv");
        std::fs::write(&file, format!("id,time,amount,fraud\n{rows}")).expect("writes");
        let mapping: Mapping = serde_json::from_value(serde_json::json!({
            "transaction_id": "id",
            "event_time": {"column": "time", "unit": "s"},
            "amount": "amount",
            "currency": {"constant": "EUR"},
            "label": {"column": "fraud", "delay": "10s"}
        }))
        .expect("a mapping");
        let source = transactions::open(&file, &mapping, 1000, interval).expect("opens");
        let (_, events) = merge(vec![source], interval);
        let second = |timed: &Timed| (timed.at_us / 1_000_000, timed.what.is_label());
        events.map(|timed| second(&timed.expect("reads"))).collect()
    }

    const ALL: Interval = Interval {
        from_us: i64::MIN,
        to_us: i64::MAX,
    };

    #[test]
    fn labels_come_when_they_become_known_and_before_transactions_of_the_same_time() {
        let rows = "a,1,5,1\nb,11,5,0\nc,12,5,1\n";
        assert_eq!(
            events(ALL, rows),
            [(1, false), (11, true), (11, false), (12, false), (22, true)]
        );
    }

    #[test]
    fn a_table_out_of_order_is_sorted() {
        assert_eq!(events(ALL, "a,3,5,0\nb,1,5,0\n"), [(1, false), (3, false)]);
    }

    #[test]
    fn an_interval_goes_by_the_time_a_label_becomes_known() {
        let rows = "a,1,5,1\nb,11,5,0\n";
        assert_eq!(
            events(
                Interval {
                    from_us: 5_000_000,
                    to_us: 11_000_001
                },
                rows
            ),
            [(11, true), (11, false)]
        );
        assert_eq!(
            events(
                Interval {
                    from_us: 0,
                    to_us: 5_000_000
                },
                rows
            ),
            [(1, false)]
        );
    }
}
