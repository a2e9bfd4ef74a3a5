//! The owner of one partition of a keyed stage: R5 to R11, R15.

use std::collections::{BTreeMap, BTreeSet};

use eventlog::{BatchHeader, Fold, FoldState, Frontier, Turn, Writer};
use serde::{Deserialize, Serialize};

use crate::input::{LABEL, WINDOW};
use crate::log::{EVENTS, FEATS, Failure, Kind, Producer, ROWS, Record, Row, Shared, check};
use crate::mutation::Mutation;
use crate::random::Random;

/// A row that goes out: its index, its target partition, itself.
pub type Out = (i64, usize, Row);

/// What a keyed stage makes of its log: a [`Fold`] with windows around it. No clock, no randomness.
pub struct Core {
    fold: Fold<Row>,
    stage: Kind,
    partitions: u32,
    targets: usize,
    mutation: Option<Mutation>,
    kept: Kept,
}

/// What a snapshot holds besides the fold.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Kept {
    ids: BTreeSet<u32>,
    windows: BTreeMap<u32, Vec<(i64, u32)>>,
    arrivals: i64,
    words: BTreeMap<Writer, (i64, i64, bool)>, // only used by a mutation
}

#[derive(Serialize, Deserialize)]
struct Snapshot {
    position: usize,
    fold: FoldState,
    waiting: Vec<Row>,
    kept: Kept,
}

fn shape(s: &Shared, stage: Kind) -> (usize, usize) {
    if stage == Kind::One {
        (s.c.events, s.c.rows)
    } else {
        (s.c.rows, s.c.feats)
    }
}

/// The name under which a partition's owner writes.
pub fn writer(stage: Kind, part: usize) -> Writer {
    Writer::new(
        if stage == Kind::One { "one" } else { "two" },
        i32::try_from(part).unwrap(),
    )
}

impl Core {
    pub fn new(s: &Shared, stage: Kind, part: usize) -> Self {
        let fold = Fold::new(writer(stage, part), shape(s, stage).1, 0);
        Self::with(s, stage, fold, Kept::default())
    }

    fn with(s: &Shared, stage: Kind, fold: Fold<Row>, kept: Kept) -> Self {
        let (partitions, targets) = shape(s, stage);
        let partitions = u32::try_from(partitions).unwrap();
        Self {
            fold,
            stage,
            partitions,
            targets,
            mutation: s.mutation,
            kept,
        }
    }

    fn breaks(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// One batch in, the rows it lets go out.
    pub fn apply(&mut self, record: &Record) -> Result<Vec<Out>, Failure> {
        self.take(record)?;
        self.release()
    }

    fn take(&mut self, record: &Record) -> Result<(), Failure> {
        let mut header = heard_as(record, self.mutation);
        if self.breaks(Mutation::FirstWordStays) {
            let word = &mut header.word;
            let best = self.kept.words.entry(header.writer.clone()).or_default();
            *best = (*best).max((word.generation, word.position, word.caught_up));
            word.caught_up |= *best == (word.generation, word.position, true);
        }
        let (arrivals, by_arrival) = (
            &mut self.kept.arrivals,
            self.mutation == Some(Mutation::TieWithoutSource),
        );
        self.fold.take(&header, &record.indices(), |at| {
            *arrivals += 1;
            let row = record.rows[at].1.clone();
            if by_arrival {
                Row {
                    tie: *arrivals,
                    ..row
                }
            } else {
                row
            }
        })?;
        Ok(())
    }

    fn release(&mut self) -> Result<Vec<Out>, Failure> {
        let mut out = Vec::new();
        while let Some(turn) = self.fold.next() {
            out.extend(self.turn(turn));
        }
        self.fold.settle();
        let done = self.fold.frontier() != Frontier::Unbounded || self.fold.waiting_len() == 0;
        check(done, || {
            "(e) events wait although every source is caught up".to_owned()
        })?;
        Ok(out)
    }

    fn turn(
        &mut self,
        Turn {
            item,
            order_time_us,
            late,
        }: Turn<Row>,
    ) -> Option<Out> {
        if self.stage == Kind::One && !self.kept.ids.insert(item.id) {
            return None; // a duplicate: gets no number
        }
        let top = if self.breaks(Mutation::FutureWindow) {
            i64::MAX
        } else {
            item.t
        };
        let entity = if self.stage == Kind::One { item.a } else { item.b };
        let window = self.kept.windows.entry(entity).or_default();
        let inside = window.iter().filter(|(t, _)| item.t - WINDOW < *t && *t <= top);
        let mut col: Vec<u32> = inside.map(|(_, id)| *id).collect();
        col.sort_unstable();
        window.push((item.t, item.id));
        if self.stage == Kind::Two && item.kind == LABEL {
            return None; // labels end here
        }
        let mut row = Row {
            order: order_time_us,
            late: item.late || late,
            tie: 0,
            ..item
        };
        row.cols.push(col);
        Some((self.fold.number(), row.b as usize % self.targets, row))
    }
}

/// What a reader makes of a header: itself, unless a rule is broken.
pub fn heard_as(record: &Record, mutation: Option<Mutation>) -> BatchHeader {
    let mut header = record.header();
    match mutation {
        Some(Mutation::NoGapCheck) => header.index_before = -1,
        Some(Mutation::EmptyUnchecked) if record.rows.is_empty() => header.index_before = -1,
        Some(Mutation::NoVoid) => header.word.generation = 1,
        Some(Mutation::SourcesUnknown) => header.word.sources = 1,
        Some(Mutation::ReleaseAtWatermark) => header.word.watermark_us += 1,
        _ => {}
    }
    header
}

pub struct Keyed {
    stage: Kind,
    part: usize,
    position: usize,
    core: Core,
    marks: Option<(u64, Vec<u8>)>,
    out: Producer,
}

impl Keyed {
    pub fn start(s: &mut Shared, stage: Kind, part: usize, random: &mut Random) -> Self {
        let stored = s.snapshots.get(&(stage, part));
        let bytes = match random.below(100) {
            0..65 => stored.and_then(|all| all.last()), // the newest, or any older one, or none
            65..85 => stored.map(|all| &all[random.below(all.len())]),
            _ => None,
        };
        let (position, mut core) = bytes.map_or_else(
            || (0, Core::new(s, stage, part)),
            |bytes| restore(s, stage, bytes),
        );
        if stage == Kind::One && s.tick > s.c.upgrade {
            if s.breaks(Mutation::EpochRestartsNumbers) {
                core.fold = renumbered(&core.fold);
            }
            core.fold.set_epoch(1); // R15: new definitions; the numbers go on
        }
        let out = Producer::new(s, if stage == Kind::One { ROWS } else { FEATS }, core.targets);
        let mut keyed = Self {
            stage,
            part,
            position,
            core,
            marks: None,
            out,
        };
        if !s.breaks(Mutation::WordsOnce) {
            keyed.speak(s, true);
        }
        keyed
    }

    fn input<'a>(&self, s: &'a Shared) -> &'a [Record] {
        &s.logs[if self.stage == Kind::One { EVENTS } else { ROWS }][self.part]
    }

    fn position(&self) -> i64 {
        i64::try_from(self.position).unwrap()
    }

    fn send(&mut self, target: usize, rows: Vec<(i64, Row)>) {
        let last = rows.last().map(|(index, _)| *index);
        let header = self
            .core
            .fold
            .header(target, last, self.position(), self.core.partitions);
        self.out.send(target, &header, rows);
    }

    pub fn speak(&mut self, s: &Shared, again: bool) {
        let word = self.core.fold.said(self.position(), self.core.partitions);
        for target in self.out.due(s, &word, again) {
            self.send(target, Vec::new());
        }
    }

    fn read(&mut self, s: &Shared, most: usize) -> Result<(), Failure> {
        let input = self.input(s);
        let to = input.len().min(self.position.saturating_add(most));
        if self.position >= to {
            self.speak(s, false);
            return Ok(());
        }
        let mut out = Vec::new();
        for record in &input[self.position..to] {
            self.core.take(record)?;
            if !s.breaks(Mutation::ReleasePerPoll) {
                out.extend(self.core.release()?);
            }
        }
        out.extend(self.core.release()?);
        self.position = to;
        let mut targets: BTreeMap<usize, Vec<(i64, Row)>> = BTreeMap::new();
        for (index, target, row) in out {
            targets.entry(target).or_default().push((index, row));
        }
        for (target, rows) in targets {
            self.send(target, rows);
        }
        Ok(())
    }

    /// R11: taken at any moment between two batches, stored once all sent before is acknowledged.
    fn snapshot(&mut self, s: &mut Shared) {
        let more = self.position < self.input(s).len();
        let marks = self.marks.take().unwrap_or_else(|| {
            let past = usize::from(s.breaks(Mutation::SnapshotOffByOne) && more);
            let waits = !s.breaks(Mutation::SnapshotWithoutWaiting);
            let snapshot = Snapshot {
                position: self.position + past,
                fold: self.core.fold.state().clone(),
                waiting: self.core.fold.waiting().filter(|_| waits).cloned().collect(),
                kept: self.core.kept.clone(),
            };
            (self.out.sent, postcard::to_stdvec(&snapshot).unwrap())
        });
        if self.out.acked() >= marks.0 || s.breaks(Mutation::SnapshotBeforeAck) {
            s.snapshots
                .entry((self.stage, self.part))
                .or_default()
                .push(marks.1);
        } else {
            self.marks = Some(marks);
        }
    }

    pub fn step(&mut self, s: &mut Shared, random: &mut Random) -> Result<(), Failure> {
        match random.below(100) {
            0..40 => self.read(s, 1 + random.below(s.c.batch))?,
            40..85 => self.out.some(s, random),
            85..95 => self.snapshot(s),
            _ => self.speak(s, false),
        }
        Ok(())
    }

    pub fn sweep(&mut self, s: &mut Shared) -> Result<(), Failure> {
        self.read(s, usize::MAX)?;
        self.speak(s, false);
        self.out.all(s);
        Ok(())
    }
}

fn restore(s: &Shared, stage: Kind, bytes: &[u8]) -> (usize, Core) {
    let Snapshot {
        position,
        fold,
        waiting,
        kept,
    } = postcard::from_bytes(bytes).unwrap();
    (position, Core::with(s, stage, Fold::restore(fold, waiting), kept))
}

/// A mutation: the same fold, but its numbers begin again.
fn renumbered(fold: &Fold<Row>) -> Fold<Row> {
    let mut state = serde_json::to_value(fold.state()).unwrap();
    if state["epoch"] == 0 {
        state["emitted"] = 0.into();
        state["index_before"] = vec![-1; fold.state().targets()].into();
    }
    Fold::restore(
        serde_json::from_value(state).unwrap(),
        fold.waiting().cloned().collect(),
    )
}
