//! The remembered transactions of one entity value, by event time.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Observation;
use super::ids::{Mark, Marks};
use crate::plan::Plan;

/// Transactions sorted by event time; of equal times, the one that came first is first.
///
/// All of a transaction lies side by side, as a window that moves reads all of it: its time, then, if the
/// plan has labels, its mark (id, and whether it is known as a fraud now), then the kept values.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct History {
    rows: VecDeque<i64>,
    len: usize,
    width: usize,
    marked: bool,
}

impl History {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            rows: VecDeque::new(),
            len: 0,
            width: width(plan),
            marked: plan.labels,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn time_us(&self, index: usize) -> i64 {
        self.rows[index * self.width]
    }

    pub(super) fn newest_us(&self) -> Option<i64> {
        self.len.checked_sub(1).map(|last| self.time_us(last))
    }

    /// A kept value of a transaction.
    pub(super) fn value(&self, index: usize, column: usize) -> i64 {
        self.rows[index * self.width + 1 + usize::from(self.marked) + column]
    }

    pub(super) fn is_fraud(&self, index: usize) -> bool {
        self.marked && self.mark(index).is_fraud()
    }

    pub(super) fn set_fraud(&mut self, index: usize, fraud: bool) {
        let mut mark = self.mark(index);
        mark.set_fraud(fraud);
        self.rows[index * self.width + 1] = mark.to_bits();
    }

    /// Puts a transaction behind all that are not later; returns its position.
    pub(super) fn insert(&mut self, plan: &Plan, observation: &Observation<'_>) -> usize {
        let time_us = observation.event_time_us;
        let index = if self.newest_us().is_some_and(|newest| newest > time_us) {
            self.count_up_to(time_us)
        } else {
            self.len
        };
        let mark = self.marked.then(|| Mark::of(observation.id).to_bits());
        let values = plan.kept.iter().map(|field| observation.values[*field]);
        let row = std::iter::once(time_us).chain(mark).chain(values);
        for (column, value) in row.enumerate() {
            insert_at(&mut self.rows, index * self.width + column, value);
        }
        self.len += 1;
        index
    }

    /// How many transactions, from the oldest on, have a time up to this one.
    pub(super) fn count_up_to(&self, time_us: i64) -> usize {
        if self.len == 0 || self.time_us(0) > time_us {
            return 0;
        }
        let (mut up_to, mut later) = (1, self.len);
        while up_to < later {
            let middle = usize::midpoint(up_to, later);
            if self.time_us(middle) <= time_us {
                up_to = middle + 1;
            } else {
                later = middle;
            }
        }
        up_to
    }

    /// Removes the oldest transactions.
    pub(super) fn drop_front(&mut self, count: usize) {
        drop_front(&mut self.rows, count * self.width);
        self.len -= count;
    }

    /// Whether it is of the plan's shape, and in order.
    pub(super) fn is_consistent(&self, plan: &Plan) -> bool {
        self.width == width(plan)
            && self.marked == plan.labels
            && self.len.checked_mul(self.width) == Some(self.rows.len())
            && (0..self.len).map(|index| self.time_us(index)).is_sorted()
            && (plan.has_windows() || self.len == 0)
    }
}

impl Marks for History {
    fn count(&self) -> usize {
        self.len
    }

    fn mark(&self, index: usize) -> Mark {
        Mark::from_bits(self.rows[index * self.width + 1])
    }
}

fn width(plan: &Plan) -> usize {
    1 + usize::from(plan.labels) + plan.kept.len()
}

/// Inserts an item; nearly always it belongs at the end.
pub(super) fn insert_at<T>(column: &mut VecDeque<T>, index: usize, item: T) {
    if index == column.len() {
        column.push_back(item);
    } else {
        column.insert(index, item);
    }
}

/// Removes items from the front, and gives memory back where most of it has fallen empty.
pub(super) fn drop_front<T>(column: &mut VecDeque<T>, count: usize) {
    column.drain(..count);
    if column.capacity() > 64 && column.capacity() / 4 > column.len() {
        column.shrink_to(column.len() * 2);
    }
}
