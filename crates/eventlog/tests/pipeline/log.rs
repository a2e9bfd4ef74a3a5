//! Rows, internal logs, producers, and everything that outlives a process.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use eventlog::{BatchHeader, CommitNote, Gap, Marks, Ordered, Pace, Telling, Word, Writer};
use serde::{Deserialize, Serialize};

use crate::input::{Config, Raw};
use crate::mutation::Mutation;
use crate::random::Random;

/// A row. The first fields are the one total order of all stages (R9).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Row {
    pub order: i64,
    pub kind: u8,
    pub id: u32,
    pub tie: i64, // 0 but for a mutation
    pub source: usize,
    pub offset: i64,
    pub t: i64,
    pub late: bool,
    pub a: u32,
    pub b: u32,
    /// One column a stage: the ids inside the window, the most telling feature.
    pub cols: Vec<Vec<u32>>,
}

impl Ordered for Row {
    fn order_time_us(&self) -> i64 {
        self.order
    }
}

/// A record of an internal log.
#[derive(Clone, Debug)]
pub struct Record {
    pub header: Vec<u8>,
    pub rows: Vec<(i64, Row)>,
}

impl Record {
    pub fn new(header: &BatchHeader, rows: Vec<(i64, Row)>) -> Self {
        Self {
            header: header.to_bytes(),
            rows,
        }
    }

    pub fn header(&self) -> BatchHeader {
        BatchHeader::from_bytes(&self.header).unwrap()
    }

    pub fn indices(&self) -> Vec<i64> {
        self.rows.iter().map(|(index, _)| *index).collect()
    }
}

pub type Log = Vec<Vec<Record>>;
pub type TaskId = usize;

/// Why a run failed.
pub enum Failure {
    Gap(Gap),
    Broken(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gap(gap) => write!(f, "(b) false alarm: {gap}"),
            Self::Broken(what) => f.write_str(what),
        }
    }
}

impl From<Gap> for Failure {
    fn from(gap: Gap) -> Self {
        Self::Gap(gap)
    }
}

pub fn check(holds: bool, say: impl FnOnce() -> String) -> Result<(), Failure> {
    if holds {
        Ok(())
    } else {
        Err(Failure::Broken(say()))
    }
}

/// The parts of the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Ingest,
    One,
    Two,
    Scorer,
    Lake,
}

/// A part and its input partition.
pub type Place = (Kind, usize);

/// The internal logs.
pub const EVENTS: usize = 0;
pub const ROWS: usize = 1;
pub const FEATS: usize = 2;

/// What the broker, the object store and the table know.
pub struct Shared {
    pub c: Config,
    pub mutation: Option<Mutation>,
    pub raw: Vec<Vec<Raw>>,
    pub tick: i64,
    pub generation: i64,
    pub logs: [Log; 3],
    pub commits: BTreeMap<usize, (i64, String)>,
    pub snapshots: BTreeMap<Place, Vec<Vec<u8>>>,
    pub owner: BTreeMap<Place, Option<TaskId>>,
    pub dead: Vec<(usize, i64)>,
    pub dead_commit: Vec<i64>,
    pub dead_fence: Vec<u64>,
    pub score_commit: Vec<(i64, String)>,
    pub score_open: Vec<BTreeSet<TaskId>>,
    pub scores: Vec<(Row, i64)>,
    pub lake: Vec<(u64, i64, Marks)>,
    pub table: Vec<Row>,
    pub lost: Option<(Writer, i64)>,
    lose_in: i64,
}

impl Shared {
    pub fn new(c: &Config, raw: &[Vec<Raw>], mutation: Option<Mutation>, random: &mut Random) -> Self {
        let log = |parts: usize| vec![Vec::new(); parts];
        Self {
            mutation,
            raw: raw.to_vec(),
            tick: 0,
            generation: 1,
            logs: [log(c.events), log(c.rows), log(c.feats)],
            commits: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            owner: BTreeMap::new(),
            dead: Vec::new(),
            dead_commit: vec![0; raw.len()],
            dead_fence: vec![0; raw.len()],
            score_commit: vec![(0, Marks::default().to_metadata()); c.feats],
            score_open: vec![BTreeSet::new(); c.feats],
            scores: Vec::new(),
            lake: vec![(0, 0, Marks::default()); c.feats],
            table: Vec::new(),
            lost: None,
            lose_in: if c.loss { random.int(1, 20) } else { 0 },
            c: c.clone(),
        }
    }

    pub fn breaks(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// The offset that the next record of a raw partition will get.
    pub fn end(&self, source: usize) -> usize {
        self.raw[source]
            .iter()
            .filter(|record| record.arrive <= self.tick)
            .count()
    }

    pub fn note(&self, source: usize) -> (i64, CommitNote) {
        let start = || (0, CommitNote::start(self.c.events));
        let read = |(offset, text): &(i64, String)| (*offset, CommitNote::from_metadata(text).unwrap());
        self.commits.get(&source).map_or_else(start, read)
    }

    /// R16.
    pub fn may_read(&self, own_newest: i64) -> bool {
        let notes = (0..self.raw.len()).map(|source| self.note(source).1);
        self.c.pace.is_none_or(|ahead_us| {
            Pace { ahead_us }.may_read(own_newest, notes.map(|note| (note.newest_us, note.caught_up)))
        })
    }

    fn loses(&mut self, record: &Record) -> bool {
        let Some((last, _)) = record.rows.last() else {
            return false;
        };
        self.lose_in -= 1;
        if self.lose_in == 0 {
            self.lost = Some((record.header().writer, *last));
        }
        self.lose_in == 0
    }

    pub fn size(&self) -> [usize; 5] {
        let records = self.logs.iter().flatten().map(Vec::len).sum();
        [
            records,
            self.scores.len(),
            self.table.len(),
            self.dead.len(),
            self.commits.len(),
        ]
    }
}

/// A gapless idempotent producer. At a crash the unwritten are lost: always a suffix.
pub struct Producer {
    log: usize,
    pub sent: u64,
    unwritten: Vec<VecDeque<(u64, Record)>>,
    unacked: Vec<VecDeque<u64>>,
    telling: Telling,
    /// Most rows of a batch; a larger one is split.
    most: usize,
    split_keeps_the_word: bool,
}

impl Producer {
    pub fn new(s: &Shared, log: usize, targets: usize) -> Self {
        let (unwritten, unacked) = (vec![VecDeque::new(); targets], vec![VecDeque::new(); targets]);
        Self {
            log,
            sent: 0,
            unwritten,
            unacked,
            telling: Telling::new(targets, s.c.word_interval),
            most: s.c.most,
            split_keeps_the_word: s.breaks(Mutation::SplitKeepsTheWord),
        }
    }

    pub fn send(&mut self, target: usize, header: &BatchHeader, rows: Vec<(i64, Row)>) {
        if rows.len() > self.most {
            let (mut first, mut second) = (rows, Vec::new());
            second.extend(first.drain(first.len() / 2..));
            let lowest = second.iter().map(|(_, row)| row.order).min().unwrap();
            let last = first.last().unwrap().0;
            let (mut header_of_first, header_of_second) = header.clone().split(last, lowest);
            if self.split_keeps_the_word {
                header_of_first.word = header.word;
            }
            self.send(target, &header_of_first, first);
            self.send(target, &header_of_second, second);
            return;
        }
        self.sent += 1;
        self.unwritten[target].push_back((self.sent, Record::new(header, rows)));
        self.telling.tell(target, &header.word);
    }

    /// R7: the targets that are to hear this word in an empty batch; everybody, if it is said again.
    pub fn due(&mut self, s: &Shared, word: &Word, again: bool) -> Vec<usize> {
        self.telling.turn(s.tick, again);
        (0..self.unwritten.len())
            .filter(|target| self.telling.is_due(*target, word))
            .collect()
    }

    fn write(&mut self, s: &mut Shared, target: usize) {
        if let Some((seq, record)) = self.unwritten[target].pop_front() {
            if !s.loses(&record) {
                s.logs[self.log][target].push(record);
            }
            self.unacked[target].push_back(seq);
        }
    }

    /// Everything up to this number is acknowledged.
    pub fn acked(&self) -> u64 {
        let unacked = self.unacked.iter().filter_map(|queue| queue.front().copied());
        let unwritten = self
            .unwritten
            .iter()
            .filter_map(|queue| queue.front().map(|(seq, _)| *seq));
        unacked
            .chain(unwritten)
            .min()
            .map_or(self.sent, |first| first - 1)
    }

    pub fn some(&mut self, s: &mut Shared, random: &mut Random) {
        let target = random.below(self.unwritten.len());
        for _ in 0..random.int(1, 3) {
            if random.chance(600) {
                self.write(s, target);
            } else {
                self.unacked[target].pop_front();
            }
        }
    }

    pub fn all(&mut self, s: &mut Shared) {
        for target in 0..self.unwritten.len() {
            while !self.unwritten[target].is_empty() {
                self.write(s, target);
            }
            self.unacked[target].clear();
        }
    }
}
