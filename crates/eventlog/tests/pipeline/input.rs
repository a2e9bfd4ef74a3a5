//! What a seed stands for: the configuration, and the raw partitions.

use crate::random::Random;

pub const LABEL: u8 = 0;
pub const TRANSACTION: u8 = 1;
/// Event time covered by a window feature.
pub const WINDOW: i64 = 12;
/// The arrival of what waits until all sources are idle.
pub const NOT_YET: i64 = i64::MAX;

/// How the input comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// History that is all there.
    Backfill,
    /// History that streams in, with pauses shorter than the silence time.
    Streamed,
    /// History in two halves; ingest is restarted between them.
    Phased,
    /// History in two halves, the second after everything was idle; one worker owns all sources, and ceases the
    /// others when one reads on (R6).
    Resumed,
    /// Events as they happen.
    Live,
}

#[derive(Clone, Debug)]
pub struct Config {
    pub mode: Mode,
    pub tx_parts: usize,
    pub label_parts: usize,
    pub events: usize,
    pub rows: usize,
    pub feats: usize,
    pub batch: usize,
    /// Most rows of a batch on an internal topic.
    pub most: usize,
    pub silence: i64,
    pub grace: i64,
    /// How often a watermark is told that moves alone.
    pub word_interval: i64,
    /// Disorder that ingest allows for, and disorder that there is.
    pub bound: i64,
    pub disorder: i64,
    /// The history reaches up to now.
    pub recent: bool,
    pub records: usize,
    pub span: i64,
    pub entities: usize,
    pub workers: usize,
    pub faults: usize,
    pub ticks: i64,
    pub phase: i64,
    /// From when on successors have new definitions.
    pub upgrade: i64,
    pub pace: Option<i64>,
    /// Lose one written batch for good.
    pub loss: bool,
}

impl Config {
    pub fn new(random: &mut Random) -> Self {
        let modes = [
            Mode::Backfill,
            Mode::Backfill,
            Mode::Streamed,
            Mode::Phased,
            Mode::Resumed,
            Mode::Live,
        ];
        let mode = random.pick(&modes);
        Self {
            mode,
            tx_parts: 1 + random.below(3),
            label_parts: random.below(3),
            events: 1 + random.below(3),
            rows: 1 + random.below(3),
            feats: 1 + random.below(3),
            batch: 1 + random.below(5),
            silence: random.int(8, 25),
            grace: random.pick(&[0, 0, 2, 6]),
            word_interval: random.pick(&[0, 3]),
            bound: random.int(0, 4),
            disorder: random.int(0, 6),
            recent: mode != Mode::Resumed && random.chance(500),
            records: 4 + random.below(23),
            span: random.pick(&[12, 40]),
            entities: 1 + random.below(4),
            workers: if mode == Mode::Resumed {
                1
            } else {
                random.pick(&[1, 2, 4])
            },
            faults: random.pick(&[5, 15, 40]),
            ticks: random.int(200, 1500),
            phase: random.int(50, 300),
            upgrade: random.int(50, 900),
            pace: random.pick(&[None, Some(2), Some(8)]),
            loss: random.chance(120),
            most: random.pick(&[1, 3, usize::MAX]),
        }
    }

    /// Both halves differ in nothing but in what happens between them.
    pub fn in_halves(&self) -> bool {
        matches!(self.mode, Mode::Phased | Mode::Resumed)
    }
}

/// A record of a raw partition.
#[derive(Clone, Debug)]
pub struct Raw {
    /// When it can be read.
    pub arrive: i64,
    /// What it says, if it is well-formed.
    pub event: Option<Event>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    pub kind: u8,
    pub id: u32,
    /// Event time; a label's is the time it became known.
    pub t: i64,
    /// Entities of the two keyed stages.
    pub a: u32,
    pub b: u32,
}

/// What a raw partition holds, before its order is mixed.
struct Part {
    /// It holds no data at all.
    idle: bool,
    /// The event time after which it holds nothing (but for some labels).
    stop: i64,
    events: Vec<Event>,
}

impl Part {
    fn new(c: &Config, random: &mut Random) -> Self {
        let stop = if random.chance(333) { c.span / 2 } else { c.span };
        Self {
            idle: random.chance(150),
            stop,
            events: Vec::new(),
        }
    }
}

/// Raw partitions: roughly sorted, with malformed records, duplicates, and some without data.
pub fn inputs(c: &Config, random: &mut Random) -> Vec<Vec<Raw>> {
    let mut parts: Vec<Part> = (0..c.tx_parts + c.label_parts)
        .map(|_| Part::new(c, random))
        .collect();
    let (transaction_parts, label_parts) = parts.split_at_mut(c.tx_parts);
    let known = transactions(c, random, transaction_parts);
    if !label_parts.is_empty() {
        labels(random, &known, label_parts);
    }
    parts
        .into_iter()
        .map(|part| arrivals(c, random, part.events))
        .collect()
}

fn transactions(c: &Config, random: &mut Random, parts: &mut [Part]) -> Vec<Event> {
    let mut known = Vec::new();
    for id in 0..c.records {
        let (a, b) = (random.below(c.entities), random.below(c.entities));
        let (a, b) = (u32::try_from(a).unwrap(), u32::try_from(b).unwrap());
        let (id, t) = (u32::try_from(id).unwrap(), random.int(0, c.span - 1));
        let event = Event {
            kind: TRANSACTION,
            id,
            t,
            a,
            b,
        };
        let part = random.below(parts.len());
        if parts[part].idle || event.t > parts[part].stop {
            continue;
        }
        parts[part].events.push(event);
        known.push(event);
        if random.chance(200) {
            let again = random.below(parts.len()); // a repeat, perhaps in another partition
            if !parts[again].idle {
                parts[again].events.push(event);
            }
        }
    }
    known
}

fn labels(random: &mut Random, known: &[Event], parts: &mut [Part]) {
    for event in known {
        let at = random.below(parts.len());
        let part = &mut parts[at];
        if !part.idle && random.chance(400) {
            let t = event.t + random.int(0, 10);
            if t <= part.stop || random.chance(500) {
                part.events.push(Event {
                    kind: LABEL,
                    id: event.id + 1000,
                    t,
                    ..*event
                });
            }
        }
    }
}

fn arrivals(c: &Config, random: &mut Random, part: Vec<Event>) -> Vec<Raw> {
    let mut keyed: Vec<(i64, usize, Event)> = part
        .into_iter()
        .map(|e| (e.t + random.int(0, c.disorder), random.below(1 << 20), e))
        .collect();
    keyed.sort_by_key(|(at, tie, _)| (*at, *tie));
    let half = c.span / 2;
    if c.in_halves() {
        keyed.sort_by_key(|(_, _, event)| event.t >= half); // none of the second half before the first's
    }
    let (mut arrive, mut out) = (random.int(0, 3), Vec::new());
    for (_, _, mut event) in keyed {
        arrive = match c.mode {
            Mode::Backfill => 0,
            Mode::Streamed => arrive + random.int(0, (c.silence - 4).min(6)),
            Mode::Phased if event.t >= half => c.phase,
            Mode::Resumed if event.t >= half => NOT_YET,
            Mode::Phased | Mode::Resumed => 0,
            Mode::Live => arrive.max(event.t * 4 + random.int(0, 4)),
        };
        if random.chance(80) {
            out.push(Raw { arrive, event: None });
        }
        if c.mode == Mode::Live {
            event.t *= 4;
        }
        out.push(Raw {
            arrive,
            event: Some(event),
        });
    }
    out
}
