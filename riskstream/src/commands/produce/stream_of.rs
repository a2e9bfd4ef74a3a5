//! A table as a stream of events in time order: transactions when they take place, labels when they become known.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;

use anyhow::{Context, anyhow};
use schema::{Event, Label, Mapping, Reject};

use crate::tables::{Rows, Table};

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

/// An event and its time.
pub(super) struct Timed {
    pub(super) at_us: i64,
    pub(super) event: Event,
}

type Events = Box<dyn Iterator<Item = anyhow::Result<Timed>>>;

/// Opens a table; the number of transactions in the interval, and the events.
///
/// A table in time order is streamed; any other is read into memory and sorted first.
///
/// # Errors
/// If the table cannot be read, or lacks a column of the mapping.
pub(super) fn open(
    input: &Path,
    mapping: &Mapping,
    max_amount: i64,
    interval: Interval,
) -> anyhow::Result<(u64, Events)> {
    let table = Table::open(input)?.select(&mapping.columns());
    let missing: Vec<&str> = mapping
        .columns()
        .into_iter()
        .filter(|c| table.schema().field_with_name(c).is_err())
        .collect();
    if !missing.is_empty() {
        return Err(anyhow!(
            "{}: the mapping's columns {} are not there",
            input.display(),
            missing.join(", ")
        ));
    }
    let (count, in_order) = survey(&table, mapping, interval)?;
    let transactions = transactions(&table, mapping.clone(), max_amount);
    let transactions: Box<dyn Iterator<Item = anyhow::Result<Read>>> = if in_order {
        Box::new(transactions)
    } else {
        let mut all: Vec<Read> = transactions.collect::<anyhow::Result<_>>()?;
        all.sort_by(|a, b| (a.at_us, &a.id).cmp(&(b.at_us, &b.id)));
        Box::new(all.into_iter().map(Ok))
    };
    let merged = Merge {
        transactions: transactions.peekable(),
        labels: BinaryHeap::new(),
        interval,
    };
    Ok((count, Box::new(merged)))
}

/// How many transactions lie in the interval, and whether all come in time order.
fn survey(table: &Table, mapping: &Mapping, interval: Interval) -> anyhow::Result<(u64, bool)> {
    let times = table.clone().select(&[&mapping.event_time.column]);
    let (mut count, mut in_order, mut newest_us) = (0, true, i64::MIN);
    for batch in times.batches() {
        for row in Rows::new(&batch?)?.iter() {
            let at_us = mapping.event_time_us(&row).map_err(said)?;
            count += u64::from(interval.contains(at_us));
            in_order &= newest_us <= at_us;
            newest_us = newest_us.max(at_us);
        }
    }
    Ok((count, in_order))
}

/// A row as read.
struct Read {
    at_us: i64,
    id: String,
    event: Event,
    label: Option<Label>,
}

fn transactions(
    table: &Table,
    mapping: Mapping,
    max_amount: i64,
) -> impl Iterator<Item = anyhow::Result<Read>> + use<> {
    let mut number = 0_u64;
    table.batches().flat_map(move |batch| {
        let read = |batch| -> anyhow::Result<Vec<Read>> {
            let rows = Rows::new(&batch)?;
            let mut reads = Vec::with_capacity(rows.len());
            for row in rows.iter() {
                number += 1;
                let transaction = mapping.transaction(&row, max_amount);
                let label = mapping.label(&row);
                let transaction = transaction
                    .map_err(said)
                    .with_context(|| format!("row {number}"))?;
                let label = label.map_err(said).with_context(|| format!("row {number}"))?;
                let (at_us, id) = (transaction.event_time_us, transaction.transaction_id.clone());
                reads.push(Read {
                    at_us,
                    id,
                    event: Event::Transaction(transaction),
                    label,
                });
            }
            Ok(reads)
        };
        match batch.and_then(read) {
            Ok(reads) => reads.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(error) => vec![Err(error)],
        }
    })
}

fn said(reject: Reject) -> anyhow::Error {
    anyhow!(reject.message)
}

/// Labels and transactions in the order of their times, a label first among equals.
struct Merge<I: Iterator<Item = anyhow::Result<Read>>> {
    transactions: std::iter::Peekable<I>,
    labels: BinaryHeap<Reverse<Known>>,
    interval: Interval,
}

struct Known(Label);

impl Known {
    fn key(&self) -> (i64, &str) {
        (self.0.known_at_us, self.0.subject.id())
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

impl<I: Iterator<Item = anyhow::Result<Read>>> Merge<I> {
    /// The next event whatever its time, and whether it lies in the interval; nothing at the end.
    fn next_of_all(&mut self) -> Option<anyhow::Result<Timed>> {
        let next_us = match self.transactions.peek() {
            Some(Ok(read)) => read.at_us,
            Some(Err(_)) => i64::MIN,
            None => i64::MAX,
        };
        if let Some(Reverse(Known(label))) = self
            .labels
            .peek_mut()
            .filter(|l| l.0.0.known_at_us <= next_us)
            .map(std::collections::binary_heap::PeekMut::pop)
        {
            return Some(Ok(Timed {
                at_us: label.known_at_us,
                event: Event::Label(label),
            }));
        }
        Some(self.transactions.next()?.map(|read| {
            self.labels.extend(read.label.map(|label| Reverse(Known(label))));
            Timed {
                at_us: read.at_us,
                event: read.event,
            }
        }))
    }
}

impl<I: Iterator<Item = anyhow::Result<Read>>> Iterator for Merge<I> {
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
        let (_, events) = open(&file, &mapping, 1000, interval).expect("opens");
        let second = |timed: &Timed| (timed.at_us / 1_000_000, matches!(timed.event, Event::Label(_)));
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
