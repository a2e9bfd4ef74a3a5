//! R1, R5, R8 to R11: the order and the numbers of one partition of a keyed stage.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use serde::{Deserialize, Serialize};

use crate::{BatchHeader, Frontier, Gap, Hearing, Marks, NEVER_US, NO_INDEX, Word, Writer};

/// R9: what waits for its turn.
///
/// `Ord` is the one total order of all stages: order time, label first, id, source, raw offset. Ties have to be
/// broken to the end, or else which of two repeats wins depends on arrival.
pub trait Ordered: Ord {
    /// The order time that came with it (R2, R10).
    fn order_time_us(&self) -> i64;
}

/// R9, R10: an item whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn<T> {
    /// The item.
    pub item: T,
    /// The order time to pass on: its own, or the clock if that is later.
    pub order_time_us: i64,
    /// Whether it took its turn out of order. An item that was late before stays so, too.
    pub late: bool,
}

/// The order and the numbers of one partition of a keyed stage: a pure function of its input log.
///
/// For each batch: [`take`](Fold::take), then [`next`](Fold::next) until it gives nothing, then
/// [`settle`](Fold::settle); after every batch, not every poll, or else rows depend on how batches were polled
/// (R9). Each row that is emitted gets a [`number`](Fold::number); duplicates, which are dropped between `next`
/// and `number`, get none. What is sent carries a [`header`](Fold::header).
#[derive(Clone, Debug)]
pub struct Fold<T> {
    state: FoldState,
    waiting: BinaryHeap<Reverse<T>>,
    frontier: Frontier, // what the hearing in `state` says: asked once a batch
}

/// R11: everything of a [`Fold`] but the items that wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoldState {
    writer: Writer,
    epoch: u32,
    marks: Marks,
    hearing: Hearing,
    clock_us: i64,
    emitted: i64,
    index_before: Vec<i64>,
}

impl FoldState {
    /// Whose state it is.
    #[must_use]
    pub const fn writer(&self) -> &Writer {
        &self.writer
    }

    /// The number of target partitions; another number than the topic's needs new topics (R15).
    #[must_use]
    pub fn targets(&self) -> usize {
        self.index_before.len()
    }
}

impl<T: Ordered> Fold<T> {
    /// At the start of its log.
    ///
    /// # Shape
    /// `targets`: the partitions of the topic that is written.
    #[must_use]
    pub fn new(writer: Writer, targets: usize, epoch: u32) -> Self {
        let index_before = vec![NO_INDEX; targets];
        let (marks, hearing) = (Marks::default(), Hearing::default());
        let state = FoldState {
            writer,
            epoch,
            marks,
            hearing,
            clock_us: NEVER_US,
            emitted: 0,
            index_before,
        };
        Self::restore(state, Vec::new())
    }

    /// R11: goes on where a snapshot was taken; `items` are all that waited.
    #[must_use]
    pub fn restore(state: FoldState, items: Vec<T>) -> Self {
        let frontier = state.hearing.frontier();
        Self {
            state,
            waiting: items.into_iter().map(Reverse).collect(),
            frontier,
        }
    }

    /// R5, R8: takes in a batch, and says how many of its rows are new; `row` gives the row at a position.
    ///
    /// # Errors
    /// [`Gap`] if rows are missing in front of the batch; nothing is changed then, and the stage has to stop.
    pub fn take(
        &mut self,
        header: &BatchHeader,
        indices: &[i64],
        row: impl FnMut(usize) -> T,
    ) -> Result<usize, Gap> {
        let first = self
            .state
            .marks
            .take(&header.writer, header.index_before, indices)?;
        self.waiting.extend((first..indices.len()).map(row).map(Reverse));
        self.state.hearing.hear(header);
        self.frontier = self.state.hearing.frontier();
        Ok(indices.len() - first)
    }

    /// R9, R10: the next item whose turn it is.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator would keep the fold borrowed between items"
    )]
    pub fn next(&mut self) -> Option<Turn<T>> {
        let own_us = self.waiting.peek()?.0.order_time_us();
        let may_go = match self.frontier {
            Frontier::Nothing => false,
            Frontier::Before(frontier_us) => own_us < frontier_us,
            Frontier::Unbounded => true,
        };
        let Reverse(item) = if may_go { self.waiting.pop() } else { None }?;
        let order_time_us = own_us.max(self.state.clock_us);
        self.state.clock_us = order_time_us;
        Some(Turn {
            item,
            order_time_us,
            late: own_us < order_time_us,
        })
    }

    /// R10: after [`Fold::next`] gave nothing, what is below the frontier is done with.
    pub fn settle(&mut self) {
        if let Frontier::Before(frontier_us) = self.frontier {
            self.state.clock_us = self.state.clock_us.max(frontier_us);
        }
    }

    /// R1: the index of a row that is emitted now.
    pub fn number(&mut self) -> i64 {
        let index = self.state.emitted;
        self.state.emitted += 1;
        index
    }

    /// R5, R7: the header of a batch to the partition `target`, the last of whose rows has `last_index`; none if
    /// it is empty. `position` and `partitions` as in [`Fold::said`].
    ///
    /// # Panics
    /// If there is no such partition.
    pub fn header(
        &mut self,
        target: usize,
        last_index: Option<i64>,
        position: i64,
        partitions: u32,
    ) -> BatchHeader {
        let word = self.said(position, partitions);
        let before = &mut self.state.index_before[target];
        let index_before = *before;
        *before = last_index.unwrap_or(index_before);
        BatchHeader {
            writer: self.state.writer.clone(),
            epoch: self.state.epoch,
            index_before,
            word,
        }
    }

    /// R7: the stage's own word, which comes from its input alone: `position` is the input offset next to read,
    /// `partitions` the number of input partitions, each of which is a source for the next stage.
    #[must_use]
    pub const fn said(&self, position: i64, partitions: u32) -> Word {
        Word {
            generation: self.state.hearing.generation(),
            position,
            caught_up: matches!(self.frontier, Frontier::Unbounded),
            watermark_us: self.state.clock_us,
            sources: partitions,
        }
    }

    /// R15: new definitions make the rows from here on. The numbers go on.
    pub const fn set_epoch(&mut self, epoch: u32) {
        self.state.epoch = epoch;
    }

    /// R10: nothing more goes on with a lower order time.
    #[must_use]
    pub const fn clock_us(&self) -> i64 {
        self.state.clock_us
    }

    /// What is known of the sources.
    #[must_use]
    pub const fn hearing(&self) -> &Hearing {
        &self.state.hearing
    }

    /// What may go on now.
    #[must_use]
    pub const fn frontier(&self) -> Frontier {
        self.frontier
    }

    /// How many items wait for their turn.
    #[must_use]
    pub fn waiting_len(&self) -> usize {
        self.waiting.len()
    }

    /// The items that wait, in no particular order: [`Fold::restore`] takes them in any.
    pub fn waiting(&self) -> impl Iterator<Item = &T> {
        self.waiting.iter().map(|Reverse(item)| item)
    }

    /// How many rows have been emitted: the next one's index (R1).
    #[must_use]
    pub const fn emitted(&self) -> i64 {
        self.state.emitted
    }

    /// R11: the state to snapshot together with what [waits](Fold::waiting), taken between two batches and stored
    /// once everything sent before it is acknowledged.
    #[must_use]
    pub const fn state(&self) -> &FoldState {
        &self.state
    }
}

#[cfg(test)]
mod tests;
