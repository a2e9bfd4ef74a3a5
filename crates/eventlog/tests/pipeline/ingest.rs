//! The owner of one raw partition: R1 to R4, R6, R7, R12, R16.

use std::collections::{BTreeMap, VecDeque};

use eventlog::{
    BatchHeader, CatchUp, CatchUpSettings, CommitNote, Facts, NEVER_US, SourceClock, Word, Writer,
};

use crate::input::{Event, LABEL, Mode};
use crate::log::{EVENTS, Kind, Producer, Row, Shared, TaskId};
use crate::mutation::Mutation;
use crate::random::Random;

/// How much later than its ticks the world's clock is when the history is old.
const AGE: i64 = 1_000_000;

pub struct Ingest {
    id: TaskId,
    source: usize,
    pub generation: i64,
    pub position: usize,
    clock: SourceClock,
    index_before: Vec<i64>,
    flag: CatchUp,
    marks: VecDeque<(u64, i64, CommitNote)>,
    dead: Vec<i64>,
    dead_from: i64,
    fence: Option<u64>,
    held: Vec<(i64, Row)>,
    pub out: Producer,
}

fn settings(s: &Shared) -> CatchUpSettings {
    let recent_us = if s.c.mode == Mode::Live { 40 } else { AGE / 2 };
    let silence_us = match s.mutation {
        Some(Mutation::IdleNeverCaughtUp) => i64::MAX,
        Some(Mutation::SilenceTooShort) => 1,
        _ => s.c.silence,
    };
    CatchUpSettings {
        recent_us,
        silence_us,
        grace_us: s.c.grace,
    }
}

fn now(s: &Shared) -> i64 {
    let recent = match s.c.mode {
        Mode::Live => true,
        Mode::Streamed => s.c.recent && s.breaks(Mutation::RecentWhileStreaming),
        _ => s.c.recent,
    };
    s.tick + if recent { 0 } else { AGE }
}

fn offset(position: usize) -> i64 {
    i64::try_from(position).unwrap()
}

/// R1, R2: an event's row.
pub fn row(event: &Event, order: i64, source: usize, offset: i64) -> Row {
    let Event { kind, id, t, a, b } = *event;
    Row {
        order,
        kind,
        id,
        tie: 0,
        source,
        offset,
        t,
        late: order > t,
        a,
        b,
        cols: Vec::new(),
    }
}

/// The target partition of the event log.
pub fn target(row: &Row, s: &Shared) -> usize {
    row.a as usize % s.c.events
}

impl Ingest {
    pub fn start(s: &mut Shared, id: TaskId, source: usize) -> Self {
        let (from, note) = s.note(source);
        let newest_us = if s.breaks(Mutation::WatermarkForgotten) {
            NEVER_US
        } else {
            note.newest_us
        };
        let guessed = s.breaks(Mutation::IndexBeforeGuessed);
        let mut ingest = Self {
            id,
            source,
            generation: s.generation,
            position: usize::try_from(from).unwrap(),
            clock: SourceClock::new(s.c.bound, newest_us),
            index_before: if guessed {
                vec![from - 1; s.c.events]
            } else {
                note.index_before
            },
            flag: CatchUp::start(settings(s), now(s), note.caught_up),
            marks: VecDeque::new(),
            dead: Vec::new(),
            dead_from: s.dead_commit[source], // only used by the broken variants
            fence: None,
            held: Vec::new(),
            out: Producer::new(s, EVENTS, s.c.events),
        };
        if !s.breaks(Mutation::WordsOnce) {
            ingest.speak(s, true); // R7: a new owner speaks at once, to everybody
        }
        ingest
    }

    pub fn caught_up(&self) -> bool {
        self.flag.caught_up()
    }

    /// R6: a sibling in the same worker reads history after all were idle.
    pub fn cease(&mut self, s: &mut Shared) {
        self.flag.cease(now(s));
        self.speak(s, true);
        self.out.all(s);
    }

    fn decide(&mut self, s: &Shared) {
        let early = if s.breaks(Mutation::CaughtUpTooEarly) {
            2
        } else {
            0
        };
        let end = offset(s.end(self.source)) - early;
        self.flag.decide(Facts {
            now_us: now(s),
            position: offset(self.position),
            end,
        });
    }

    fn word(&self, s: &Shared) -> Word {
        let high = s.breaks(Mutation::WatermarkTooHigh);
        Word {
            generation: self.generation,
            position: offset(self.position),
            caught_up: self.flag.caught_up(),
            watermark_us: if high {
                self.clock.newest_us()
            } else {
                self.clock.watermark_us()
            },
            sources: u32::try_from(s.raw.len()).unwrap(),
        }
    }

    fn header(&self, s: &Shared, target: usize) -> BatchHeader {
        let index_before = self.index_before[target];
        BatchHeader {
            writer: writer(self.source),
            epoch: 0,
            index_before,
            word: self.word(s),
        }
    }

    /// R7: empty batches to the partitions that have not heard the present word.
    pub fn speak(&mut self, s: &mut Shared, again: bool) {
        let was = self
            .marks
            .back()
            .map_or_else(|| s.note(self.source).1.caught_up, |(.., note)| note.caught_up);
        self.decide(s);
        if was != self.flag.caught_up() && !s.breaks(Mutation::PaceByCommitOnly) {
            self.mark(); // R4: so that the commit says so, too
        }
        let word = self.word(s);
        for target in self.out.due(s, &word, again) {
            self.out.send(target, &self.header(s, target), Vec::new());
        }
    }

    pub fn read(&mut self, s: &mut Shared, most: usize) {
        let to = s.end(self.source).min(self.position.saturating_add(most));
        if self.position >= to || !s.may_read(self.clock.newest_us()) {
            return self.speak(s, false);
        }
        let mut targets: BTreeMap<usize, Vec<(i64, Row)>> = BTreeMap::new();
        let held = std::mem::take(&mut self.held);
        for position in self.position..to {
            let Some(event) = s.raw[self.source][position].event else {
                self.dead.push(offset(position));
                continue;
            };
            let stamp = self.clock.stamp(event.t);
            let order = if s.breaks(Mutation::OrderByEventTime) {
                event.t
            } else {
                stamp.order_time_us
            };
            let row = row(&event, order, self.source, offset(position));
            if s.breaks(Mutation::LabelWaits) && row.kind == LABEL {
                self.held.push((offset(position), row));
            } else {
                targets
                    .entry(target(&row, s))
                    .or_default()
                    .push((offset(position), row));
            }
        }
        for (index, row) in held {
            let rows = targets.entry(target(&row, s)).or_default();
            rows.push((index, row));
            rows.sort_by_key(|(index, _)| *index);
        }
        self.position = to;
        if !(s.breaks(Mutation::HistoryKeepsTheFlag) && self.flag.caught_up()) {
            self.flag.read(now(s), self.clock.newest_us());
        }
        self.decide(s);
        for (target, rows) in targets {
            let last = rows.last().unwrap().0;
            self.out.send(target, &self.header(s, target), rows);
            self.index_before[target] = last;
        }
        self.mark();
    }

    fn mark(&mut self) {
        let (index_before, newest_us) = (self.index_before.clone(), self.clock.newest_us());
        let note = CommitNote {
            index_before,
            newest_us,
            caught_up: self.flag.caught_up(),
        };
        self.marks.push_back((self.out.sent, offset(self.position), note));
    }

    /// R3, R4.
    fn commit(&mut self, s: &mut Shared) {
        while let Some((sent, position, note)) = self.marks.front() {
            let in_flight = self.out.acked() < *sent && !s.breaks(Mutation::CommitBeforeAck);
            let letters = self.dead.first().is_some_and(|dead| dead < position);
            if in_flight || letters && !s.breaks(Mutation::CommitBeforeDeadLetter) {
                return;
            }
            if s.owner[&(Kind::Ingest, self.source)] == Some(self.id) {
                s.commits.insert(self.source, (*position, note.to_metadata())); // refused to a zombie
            }
            self.marks.pop_front();
        }
    }

    /// R12: dead letters under the second group: fence, then read what is out, then write.
    fn letters(&mut self, s: &mut Shared) {
        let Some(&last) = self.dead.last() else { return };
        let at = self.source;
        if self.fence.is_none() && !s.breaks(Mutation::DeadLetterUnfenced) {
            s.dead_fence[at] += 1;
            self.fence = Some(s.dead_fence[at]);
            if !s.breaks(Mutation::DeadLetterReadFirst) {
                self.dead_from = s.dead_commit[at];
            }
        } else if self.fence.is_some_and(|fence| fence != s.dead_fence[at]) {
            self.fence = None; // somebody fenced us: begin again
        } else {
            s.dead.extend(
                self.dead
                    .iter()
                    .filter(|dead| **dead >= self.dead_from)
                    .map(|&dead| (at, dead)),
            );
            self.dead_from = self.dead_from.max(last + 1);
            s.dead_commit[at] = self.dead_from;
            self.dead.clear();
        }
    }

    pub fn step(&mut self, s: &mut Shared, random: &mut Random) {
        match random.below(100) {
            0..35 => self.read(s, 1 + random.below(s.c.batch)),
            35..75 => self.out.some(s, random),
            75..85 => self.letters(s),
            85..93 => self.commit(s),
            _ => self.speak(s, false),
        }
    }

    /// What follows on a read.
    pub fn sweep(&mut self, s: &mut Shared) {
        self.out.all(s);
        self.letters(s);
        self.letters(s);
        self.commit(s);
    }
}

/// The name under which a raw partition's owner writes.
pub fn writer(source: usize) -> Writer {
    Writer::source("raw", i32::try_from(source).unwrap())
}
