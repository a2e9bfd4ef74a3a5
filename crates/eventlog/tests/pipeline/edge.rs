//! The edges, which begin a transaction over some batches and end it some time later: R5, R13, R14.

use eventlog::Marks;

use crate::keyed::heard_as;
use crate::log::{FEATS, Failure, Kind, Row, Shared, TaskId};
use crate::mutation::Mutation;
use crate::random::Random;

pub struct Edge {
    id: TaskId,
    kind: Kind,
    part: usize,
    ready: bool,
    base: u64,
    position: usize,
    marks: Marks,
    open: Option<Vec<Row>>,
}

impl Edge {
    pub fn start(id: TaskId, kind: Kind, part: usize) -> Self {
        Self {
            id,
            kind,
            part,
            ready: false,
            base: 0,
            position: 0,
            marks: Marks::default(),
            open: None,
        }
    }

    /// Reads the offset to start at, and the marks.
    fn look(&mut self, s: &Shared) {
        let position = if self.kind == Kind::Scorer {
            let unstable = s.score_open[self.part].iter().any(|id| *id != self.id);
            if unstable && !s.breaks(Mutation::UnstableOffset) {
                return; // ask again
            }
            let (position, text) = &s.score_commit[self.part];
            let forgotten = s.breaks(Mutation::ScorerMarksForgotten);
            self.marks = if forgotten {
                Marks::default()
            } else {
                Marks::from_metadata(text).unwrap()
            };
            *position
        } else {
            let (base, position, marks) = &s.lake[self.part];
            (self.base, self.marks) = (*base, marks.clone());
            *position
        };
        self.position = usize::try_from(position).unwrap();
        self.ready = true;
    }

    fn begin(&mut self, s: &mut Shared, most: usize) -> Result<(), Failure> {
        let input = &s.logs[FEATS][self.part];
        let to = input.len().min(self.position.saturating_add(most));
        let refused = self.kind == Kind::Scorer && s.owner[&(self.kind, self.part)] != Some(self.id);
        if self.position >= to || refused {
            return Ok(());
        }
        let mut rows = Vec::new();
        for record in &input[self.position..to] {
            let header = heard_as(record, s.mutation);
            let first = self
                .marks
                .take(&header.writer, header.index_before, &record.indices())?;
            let first = if s.breaks(Mutation::TakeTwice) { 0 } else { first };
            rows.extend(record.rows[first..].iter().map(|(_, row)| row.clone()));
        }
        self.position = to;
        self.open = Some(rows);
        if self.kind == Kind::Scorer {
            s.score_open[self.part].insert(self.id);
        }
        Ok(())
    }

    fn end(&mut self, s: &mut Shared, rows: Vec<Row>) {
        let position = i64::try_from(self.position).unwrap();
        if self.kind == Kind::Scorer {
            s.score_commit[self.part] = (position, self.marks.to_metadata());
            s.scores.extend(rows.into_iter().map(|row| (row, s.tick)));
            s.score_open[self.part].remove(&self.id);
            return;
        }
        if self.base == s.lake[self.part].0 || s.breaks(Mutation::LakeNoCompare) {
            s.lake[self.part] = (self.base + 1, position, self.marks.clone());
            s.table.extend(rows);
        }
        self.ready = false; // look again at what the table says
    }

    fn go(&mut self, s: &mut Shared, most: usize, may_end: bool) -> Result<(), Failure> {
        if !self.ready {
            self.look(s);
        } else if self.open.is_none() {
            self.begin(s, most)?;
        } else if may_end && let Some(rows) = self.open.take() {
            self.end(s, rows);
        }
        Ok(())
    }

    pub fn step(&mut self, s: &mut Shared, random: &mut Random) -> Result<(), Failure> {
        let hurry = if self.kind == Kind::Scorer { 40 } else { 200 };
        self.go(s, 1 + random.below(s.c.batch), random.chance(hurry))
    }

    pub fn sweep(&mut self, s: &mut Shared) -> Result<(), Failure> {
        (0..3).try_for_each(|_| self.go(s, usize::MAX, true))
    }

    /// The process has died: the broker aborts what it left open.
    pub fn abort(&self, s: &mut Shared) {
        if self.kind == Kind::Scorer {
            s.score_open[self.part].remove(&self.id);
        }
    }
}
