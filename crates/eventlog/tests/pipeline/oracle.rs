//! What must come out, computed from the input by brute force, and the checks on what did.

use std::collections::{BTreeMap, BTreeSet};

use eventlog::Writer;

use crate::ingest;
use crate::input::{Config, Event, Mode, Raw, TRANSACTION, WINDOW};
use crate::keyed::{self, Core};
use crate::log::{Failure, Kind, Row, Shared, check};
use crate::mutation::Mutation;
use crate::world::World;

/// Something earlier than everything.
const LONG_AGO: i64 = -1_000_000_000;

fn newest_before(part: &[Raw], offset: usize) -> i64 {
    part[..offset]
        .iter()
        .filter_map(|record| record.event)
        .map(|event| event.t)
        .max()
        .unwrap_or(LONG_AGO)
}

/// R2 by brute force: the events of a raw partition with their offsets and order times.
fn ordered(part: &[Raw], bound: i64) -> Vec<(usize, i64, Event)> {
    let events = part
        .iter()
        .enumerate()
        .filter_map(|(offset, record)| Some((offset, record.event?)));
    events
        .map(|(offset, e)| (offset, e.t.max(newest_before(part, offset) - bound), e))
        .collect()
}

/// What every transaction's row must be when the history is merged in order.
pub fn expected(c: &Config, raw: &[Vec<Raw>]) -> BTreeMap<u32, Row> {
    let mut every = Vec::new();
    for (source, part) in raw.iter().enumerate() {
        for (offset, order, e) in ordered(part, c.bound) {
            every.push((order, e.kind, e.id, source, offset, e));
        }
    }
    every.sort_by_key(|(order, kind, id, source, offset, _)| (*order, *kind, *id, *source, *offset));
    let mut ids = BTreeSet::new();
    every.retain(|(_, _, id, ..)| ids.insert(*id));
    let mut rows = BTreeMap::new();
    for (at, &(order, kind, id, source, offset, e)) in every.iter().enumerate() {
        if kind == TRANSACTION {
            let past = || {
                every[..at]
                    .iter()
                    .map(|one| one.5)
                    .filter(|x| e.t - WINDOW < x.t && x.t <= e.t)
            };
            let of = |same: fn(&Event, &Event) -> bool| {
                let ids: BTreeSet<u32> = past().filter(|x| same(x, &e)).map(|x| x.id).collect();
                ids.into_iter().collect()
            };
            let cols = vec![of(|x, y| x.a == y.a), of(|x, y| x.b == y.b)];
            let (late, offset) = (order > e.t, i64::try_from(offset).unwrap());
            let Event { t, a, b, .. } = e;
            rows.insert(
                id,
                Row {
                    order,
                    kind,
                    id,
                    tie: 0,
                    source,
                    offset,
                    t,
                    late,
                    a,
                    b,
                    cols,
                },
            );
        }
    }
    rows
}

/// The checks that hold for every run; the scored rows by id.
pub fn verify(w: &World) -> Result<BTreeMap<u32, Row>, Failure> {
    let s = &w.s;
    once(s)?;
    nothing_from_the_future(s)?;
    if !w.disturbed && s.c.mode == Mode::Live {
        nothing_waits(s)?;
    }
    one_row_an_index(s)?;
    Ok(s.scores.iter().map(|(row, _)| (row.id, row.clone())).collect())
}

fn events(s: &Shared) -> impl Iterator<Item = Event> {
    s.raw.iter().flatten().filter_map(|record| record.event)
}

/// Every transaction is scored once, and is in the lake once; every malformed record is a dead letter once.
fn once(s: &Shared) -> Result<(), Failure> {
    let want: Vec<u32> = {
        let ids: BTreeSet<u32> = events(s)
            .filter(|e| e.kind == TRANSACTION)
            .map(|e| e.id)
            .collect();
        ids.into_iter().collect()
    };
    let mut got: Vec<u32> = s.scores.iter().map(|(row, _)| row.id).collect();
    got.sort_unstable();
    let missing: Vec<&u32> = want.iter().filter(|id| !got.contains(id)).collect();
    check(missing.is_empty(), || format!("(d) never scored: {missing:?}"))?;
    check(got == want, || format!("(a) scored more than once: {got:?}"))?;
    let (mut scored, mut table) = (
        s.scores.iter().map(|(row, _)| row).collect::<Vec<_>>(),
        s.table.clone(),
    );
    scored.sort();
    table.sort();
    check(scored.into_iter().eq(&table), || {
        "(a) the lake's rows differ from the scored ones".to_owned()
    })?;
    let mut bad = Vec::new();
    for (source, part) in s.raw.iter().enumerate() {
        let offsets = (0_i64..).zip(part).filter(|(_, record)| record.event.is_none());
        bad.extend(offsets.map(|(offset, _)| (source, offset)));
    }
    let mut dead = s.dead.clone();
    dead.sort_unstable();
    check(dead == bad, || {
        format!("(c) dead letters {dead:?} instead of {bad:?}")
    })
}

/// INV-4: no feature holds anything later than its event.
fn nothing_from_the_future(s: &Shared) -> Result<(), Failure> {
    let times: BTreeMap<u32, i64> = events(s).map(|e| (e.id, e.t)).collect();
    for (row, _) in &s.scores {
        let holds = row.cols.iter().flatten().all(|id| times[id] <= row.t);
        check(holds, || {
            format!("(e) the row of {} holds something from the future", row.id)
        })?;
    }
    Ok(())
}

/// Undisturbed live traffic waits for nobody.
fn nothing_waits(s: &Shared) -> Result<(), Failure> {
    let mut arrived: BTreeMap<u32, i64> = BTreeMap::new();
    for record in s.raw.iter().rev().flatten() {
        if let Some(event) = record.event {
            arrived.insert(event.id, record.arrive);
        }
    }
    for (row, tick) in &s.scores {
        let at = arrived[&row.id];
        let holds = *tick <= at.max(s.c.silence) + 8;
        check(holds, || {
            format!("(e) {} came at {at} and waited until {tick}", row.id)
        })?;
    }
    Ok(())
}

type Truth = BTreeMap<Writer, BTreeMap<i64, (usize, Row)>>;

/// Whatever any owner wrote, at any time, is what one fold over the final log says.
fn one_row_an_index(s: &Shared) -> Result<(), Failure> {
    let truth = truth(s)?;
    for log in &s.logs {
        for (target, part) in log.iter().enumerate() {
            for record in part {
                let rows = &truth[&record.header().writer];
                for (index, row) in &record.rows {
                    let holds = rows
                        .get(index)
                        .is_some_and(|(to, truth)| *to == target && truth == row);
                    let writer = record.header().writer;
                    check(holds, || {
                        format!("(g) {writer} row {index} differs from the fold over its log")
                    })?;
                }
            }
        }
    }
    Ok(())
}

fn truth(s: &Shared) -> Result<Truth, Failure> {
    let mut truth = Truth::new();
    for (source, part) in s.raw.iter().enumerate() {
        let row = |(offset, order, event): (usize, i64, Event)| {
            let order = if s.breaks(Mutation::OrderByEventTime) {
                event.t
            } else {
                order
            };
            let index = i64::try_from(offset).unwrap();
            let row = ingest::row(&event, order, source, index);
            (index, (ingest::target(&row, s), row))
        };
        truth.insert(
            ingest::writer(source),
            ordered(part, s.c.bound).into_iter().map(row).collect(),
        );
    }
    for (stage, log) in [(Kind::One, &s.logs[0]), (Kind::Two, &s.logs[1])] {
        for (part, records) in log.iter().enumerate() {
            let mut core = Core::new(s, stage, part);
            let mut rows = BTreeMap::new();
            for record in records {
                rows.extend(
                    core.apply(record)?
                        .into_iter()
                        .map(|(index, to, row)| (index, (to, row))),
                );
            }
            truth.insert(keyed::writer(stage, part), rows);
        }
    }
    Ok(truth)
}
