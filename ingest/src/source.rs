//! One raw partition: its numbers (R1), its order times (R2), what it says (R7) and what it commits (R4).

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::RecordBatch;
use eventlog::{BatchHeader, CatchUp, CommitNote, SourceClock, Telling, Word, Writer};
use runtime::clock::micros;
use schema::hashing::partition_of;
use schema::{Event, EventBuilder, Kind, Label, Layout, Origin, SourceTopic, Subject};
use stream::{Record, TopicPartition};

use crate::config::Settings;
use crate::decode::decode;
use crate::error::IngestError;
use crate::images::{Door, Ticket};
use crate::letters::Letter;
use crate::metrics;

/// How often a watermark that moves is told where no rows go (R7).
const WORD_INTERVAL_US: i64 = 20_000;

/// The partition of the log that all images go to: who shows a document that others have shown is known only where all
/// are looked at.
const IMAGES_TARGET: usize = 0;

/// An offset that may be committed once everything before it is out (R3).
struct Mark {
    sequence: u64,
    position: i64,
    note: CommitNote,
}

/// The owner's state of one raw partition.
pub(crate) struct Source {
    pub(crate) partition: TopicPartition,
    pub(crate) topic: SourceTopic,
    pub(crate) catch_up: CatchUp,
    writer: Writer,
    clock: SourceClock,
    /// Next raw offset to number.
    position: i64,
    /// Read from the broker, not yet numbered: R16 holds them back.
    pending: VecDeque<Pending>,
    pending_bytes: usize,
    layout: Arc<Layout>,
    builders: Vec<EventBuilder>,
    index_before: Vec<i64>,
    telling: Telling,
    /// The position and the watermark that rows sent so far bear out.
    borne_out: (i64, i64),
    /// Offsets of dead letters on their way.
    letters: VecDeque<i64>,
    marks: VecDeque<Mark>,
    changed: bool,
}

/// A record that has been read and not numbered; an image is being looked at meanwhile.
struct Pending {
    record: Record,
    image: Option<Ticket>,
}

impl Pending {
    fn bytes(&self) -> usize {
        self.record.payload.as_ref().map_or(0, |p| p.len())
    }
}

/// Where a source begins: what its predecessor committed.
pub(crate) struct Beginning {
    pub(crate) position: i64,
    pub(crate) note: CommitNote,
}

impl Source {
    pub(crate) fn new(
        settings: &Settings,
        partition: TopicPartition,
        topic: SourceTopic,
        beginning: Beginning,
        catch_up: CatchUp,
    ) -> Self {
        let Beginning { position, note } = beginning;
        let disorder_us = micros(settings.section.order.allowed_disorder);
        let targets = note.index_before.len();
        Self {
            writer: Writer::source(topic.name(), partition.partition),
            clock: SourceClock::new(disorder_us, note.newest_us),
            builders: (0..targets)
                .map(|_| EventBuilder::new(Arc::clone(&settings.layout)))
                .collect(),
            borne_out: (position, note.newest_us.saturating_sub(disorder_us)),
            layout: Arc::clone(&settings.layout),
            telling: Telling::new(targets, WORD_INTERVAL_US),
            index_before: note.index_before,
            partition,
            topic,
            catch_up,
            position,
            pending: VecDeque::new(),
            pending_bytes: 0,
            letters: VecDeque::new(),
            marks: VecDeque::new(),
            changed: false,
        }
    }

    pub(crate) fn position(&self) -> i64 {
        self.position
    }

    pub(crate) fn newest_us(&self) -> i64 {
        self.clock.newest_us()
    }

    /// How many records have been read and not numbered, and how many bytes they have.
    pub(crate) fn pending(&self) -> (usize, usize) {
        (self.pending.len(), self.pending_bytes)
    }

    /// Takes a record from the broker; what has been read already is ignored. An image is looked at from now on.
    pub(crate) fn offer(&mut self, record: Record, door: Option<&Door>) -> Result<(), IngestError> {
        let next = self.pending.back().map_or(self.position, |p| p.record.offset + 1);
        if record.offset >= next {
            let images = door.filter(|_| self.topic == SourceTopic::Images);
            let image = images.map(|door| door.knock(&record)).transpose()?;
            let pending = Pending { record, image };
            self.pending_bytes += pending.bytes();
            self.pending.push_back(pending);
        }
        Ok(())
    }

    /// Numbers up to `most` records, none once the source's newest event is past `limit_us` (R16).
    ///
    /// Returns how many there were, with those that are refused.
    pub(crate) fn advance(
        &mut self,
        settings: &Settings,
        most: usize,
        limit_us: i64,
    ) -> (usize, Vec<Letter>) {
        let (mut count, mut refused) = (0, Vec::new());
        while count < most && self.clock.newest_us() <= limit_us {
            let ready = |p: &mut Pending| p.image.as_ref().is_none_or(Ticket::is_ready);
            let Some(pending) = self.pending.pop_front_if(ready) else {
                break;
            };
            self.pending_bytes -= pending.bytes();
            let Pending { record, image } = pending;
            self.position = record.offset + 1;
            count += 1;
            let payload = record.payload.as_deref().unwrap_or_default();
            let decoded = match image {
                Some(ticket) => ticket.outcome(),
                None => decode(settings, self.topic, payload, record.timestamp_us),
            };
            match decoded {
                Ok(event) => self.append(settings, &event, &record),
                Err(reject) => {
                    metrics::rejected(self.topic, reject.reason);
                    self.letters.push_back(record.offset);
                    refused.push(Letter { record, reject });
                }
            }
        }
        self.changed |= count > 0;
        (count, refused)
    }

    fn append(&mut self, settings: &Settings, event: &Event, record: &Record) {
        let (time_us, entities) = match event {
            Event::Transaction(t) => (t.event_time_us, &t.entities),
            Event::Label(l) => (l.known_at_us, &l.entities),
            Event::Image(i) => (i.event_time_us, &i.entities),
        };
        let stamp = self.clock.stamp(time_us);
        if stamp.late {
            metrics::late(self.topic);
        }
        let key = settings.stages.first().and_then(|stage| entities.get(stage));
        let target = match event {
            Event::Image(_) => IMAGES_TARGET,
            // A repeat meets the first one there, whatever entities either has.
            Event::Label(Label {
                subject: Subject::Image(id),
                ..
            }) => partition_of(id, self.builders.len()),
            _ => partition_of(key.expect("checked while decoding"), self.builders.len()),
        };
        let origin = Origin {
            topic: self.topic,
            partition: self.partition.partition,
            offset: record.offset,
            timestamp_us: record.timestamp_us,
        };
        self.builders[target].push(event, origin, stamp.order_time_us, stamp.late);
    }

    /// What this source says now (R7).
    fn word(&self, generation: i64, sources: u32) -> Word {
        Word {
            generation,
            position: self.position,
            caught_up: self.catch_up.caught_up(),
            watermark_us: self.clock.watermark_us(),
            sources,
        }
    }

    /// The batches to send now, by target partition: rows where there are some, and words where one is due (R7).
    pub(crate) fn batches(&mut self, say: &Say) -> Result<Vec<Outgoing>, arrow::error::ArrowError> {
        let word = self.word(say.generation, say.sources);
        self.telling.turn(say.now_us, say.again);
        let mut out = Vec::new();
        for target in 0..self.builders.len() {
            let last = self.builders[target].last_index();
            if last.is_none() && !self.telling.is_due(target, &word) {
                continue;
            }
            let header = BatchHeader {
                writer: self.writer.clone(),
                epoch: 0,
                index_before: self.index_before[target],
                word,
            };
            let rows = self.builders[target].len();
            out.push(Outgoing {
                target,
                header,
                rows,
                batch: self.builders[target].finish()?,
            });
            self.index_before[target] = last.unwrap_or(self.index_before[target]);
            self.telling.tell(target, &word);
        }
        self.borne_out = (word.position, word.watermark_us);
        Ok(out)
    }

    /// The word alone, to every target, before the rows with which history begins (R7). It holds for the rows
    /// that are out already, not for those that are numbered and follow.
    pub(crate) fn words(&mut self, say: &Say) -> Vec<Outgoing> {
        let (position, watermark_us) = self.borne_out;
        let word = Word {
            position,
            watermark_us,
            ..self.word(say.generation, say.sources)
        };
        let empty = RecordBatch::new_empty(self.layout.event_schema());
        let one = |target: usize| Outgoing {
            target,
            header: BatchHeader {
                writer: self.writer.clone(),
                epoch: 0,
                index_before: self.index_before[target],
                word,
            },
            rows: 0,
            batch: empty.clone(),
        };
        let all = (0..self.builders.len()).map(one).collect();
        (0..self.builders.len()).for_each(|target| self.telling.tell(target, &word));
        all
    }

    /// Notes that everything numbered so far may be committed once `sequence` is acknowledged (R3, R4).
    pub(crate) fn mark(&mut self, sequence: u64) {
        if !std::mem::take(&mut self.changed) {
            return;
        }
        let note = CommitNote {
            index_before: self.index_before.clone(),
            newest_us: self.clock.newest_us(),
            caught_up: self.catch_up.caught_up(),
        };
        self.marks.push_back(Mark {
            sequence,
            position: self.position,
            note,
        });
    }

    /// Decides whether the source is caught up; a change is committed as well, so that others need not wait.
    ///
    /// `passed` is the offset that polls have gone past: markers of transactions follow the last record of a topic
    /// that is written in them.
    pub(crate) fn decide(&mut self, now_us: i64, passed: i64, end: i64) {
        let was = self.catch_up.caught_up();
        let position = if self.pending.is_empty() {
            self.position.max(passed)
        } else {
            self.position
        };
        let is = self.catch_up.decide(eventlog::Facts {
            now_us,
            position,
            end,
        });
        self.changed |= was != is;
    }

    /// Voids the flag: another source of this worker has begun to read history (R6).
    pub(crate) fn cease(&mut self, now_us: i64) {
        self.changed |= self.catch_up.caught_up();
        self.catch_up.cease(now_us);
    }

    /// Dead letters below this offset are out.
    pub(crate) fn letters_out(&mut self, below: i64) {
        while self.letters.front().is_some_and(|offset| *offset < below) {
            self.letters.pop_front();
        }
    }

    /// The newest offset that may be committed (R3), with its metadata (R4).
    pub(crate) fn committable(&mut self, acked: u64) -> Option<(TopicPartition, i64, String)> {
        let letter = self.letters.front().copied().unwrap_or(i64::MAX);
        let mut newest = None;
        while self
            .marks
            .front()
            .is_some_and(|m| m.sequence <= acked && m.position <= letter)
        {
            newest = self.marks.pop_front();
        }
        newest.map(|mark| (self.partition.clone(), mark.position, mark.note.to_metadata()))
    }

    /// Whether everything it numbered has been committed or can be.
    pub(crate) fn settled(&self) -> bool {
        self.marks.is_empty() && self.letters.is_empty()
    }
}

/// What a worker's turn says to all targets.
pub(crate) struct Say {
    pub(crate) generation: i64,
    pub(crate) sources: u32,
    pub(crate) again: bool,
    pub(crate) now_us: i64,
}

/// A batch on its way to a partition of the log.
pub(crate) struct Outgoing {
    pub(crate) target: usize,
    pub(crate) header: BatchHeader,
    pub(crate) rows: usize,
    pub(crate) batch: RecordBatch,
}

const _: () = assert!(Kind::Label as u8 == 0, "labels go first among equals (R9)");
