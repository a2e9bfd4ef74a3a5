//! Tables of transactions.

use std::path::Path;

use anyhow::{Context, Result};
use schema::{Event, Mapping};

use super::stream_of::{Interval, Read, Reads, Source, What, check_columns, said, survey};
use crate::tables::{Row, Rows, Table};

/// Opens a table of transactions. One in time order is streamed; any other is read into memory and sorted first.
///
/// # Errors
/// If the table cannot be read, or lacks a column of the mapping.
pub(super) fn open(input: &Path, mapping: &Mapping, max_amount: i64, interval: Interval) -> Result<Source> {
    let table = Table::open(input)?.select(&mapping.columns());
    check_columns(input, &table, &mapping.columns())?;
    let times = table.clone().select(&[&mapping.event_time.column]);
    let (count, in_order) = survey(&times, interval, |row, _| mapping.event_time_us(row))?;
    let transactions = transactions(&table, mapping.clone(), max_amount);
    let reads: Reads = if in_order {
        Box::new(transactions)
    } else {
        let mut all: Vec<Read> = transactions.collect::<Result<_>>()?;
        all.sort_by(|a, b| (a.at_us, id(a)).cmp(&(b.at_us, id(b))));
        Box::new(all.into_iter().map(Ok))
    };
    Ok(Source { count, reads })
}

fn id(read: &Read) -> &str {
    match &read.what {
        What::Event(Event::Transaction(t)) => &t.transaction_id,
        What::Event(_) | What::Image(_) => unreachable!("these are transactions"),
    }
}

fn transactions(
    table: &Table,
    mapping: Mapping,
    max_amount: i64,
) -> impl Iterator<Item = Result<Read>> + use<> {
    let mut number = 0_u64;
    table.batches().flat_map(move |batch| {
        let read = |batch| -> Result<Vec<Read>> {
            let rows = Rows::new(&batch)?;
            let mut reads = Vec::with_capacity(rows.len());
            for row in rows.iter() {
                number += 1;
                reads.push(read(row, &mapping, max_amount).with_context(|| format!("row {number}"))?);
            }
            Ok(reads)
        };
        match batch.and_then(read) {
            Ok(reads) => reads.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(error) => vec![Err(error)],
        }
    })
}

fn read(row: Row<'_>, mapping: &Mapping, max_amount: i64) -> Result<Read> {
    let transaction = mapping.transaction(&row, max_amount).map_err(said)?;
    let label = mapping.label(&row).map_err(said)?;
    Ok(Read {
        at_us: transaction.event_time_us,
        what: What::Event(Event::Transaction(transaction)),
        label,
    })
}
