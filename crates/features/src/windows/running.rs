//! Running counts and sums over every window of one entity value.

use super::history::History;
use crate::fixed::MISSING;
use crate::plan::{Plan, SumAt, ViewPlan};

/// What lies in one window: the transactions from one position to another (excluded).
#[derive(Clone, Debug, Default)]
struct View {
    start: u32,
    end: u32,
    frauds: u32,
}

/// A sum over one window, and of how many values.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    pub(super) total: i128,
    pub(super) values: u32,
}

/// All windows of one entity value, as they lie for a row of one instant.
///
/// Sums are integers, so a window that moves, in whichever direction, ends with the very sum of what lies in
/// it.
#[derive(Debug, Default)]
pub(super) struct Running {
    views: Box<[View]>,
    sums: Box<[Sum]>,
}

impl Running {
    pub(super) fn new(plan: &Plan) -> Self {
        let sums = plan.views.iter().map(|view| view.columns.len()).sum();
        Self {
            views: vec![View::default(); plan.views.len()].into(),
            sums: vec![Sum::default(); sums].into(),
        }
    }

    pub(super) fn count(&self, view: usize) -> u32 {
        self.views[view].end - self.views[view].start
    }

    pub(super) fn frauds(&self, view: usize) -> u32 {
        self.views[view].frauds
    }

    pub(super) fn sum(&self, plan: &Plan, sum: SumAt) -> Sum {
        self.sums[plan.views[sum.view].first_sum + sum.nth]
    }

    /// Moves every window from where it lies for a row of one instant to where it belongs for a row of
    /// another.
    pub(super) fn seek(&mut self, plan: &Plan, history: &History, from_us: i64, to_us: i64) {
        for (view, part) in self.views.iter_mut().zip(&plan.views) {
            let sums = &mut self.sums[part.first_sum..part.first_sum + part.columns.len()];
            let mut mover = Mover {
                view,
                sums,
                part,
                history,
            };
            if to_us < from_us {
                mover.back(to_us);
            } else {
                mover.forward(to_us);
            }
        }
    }

    /// Takes account of a transaction that has been inserted while the windows lie for a row of that instant.
    pub(super) fn inserted(&mut self, plan: &Plan, history: &History, index: usize, now_us: i64) {
        let time_us = history.time_us(index);
        for (view, part) in self.views.iter_mut().zip(&plan.views) {
            let (after_us, until_us) = part.bounds(now_us);
            if time_us > until_us {
                continue;
            }
            view.end += 1;
            if time_us <= after_us {
                view.start += 1;
            } else {
                let sums = &mut self.sums[part.first_sum..part.first_sum + part.columns.len()];
                Mover {
                    view,
                    sums,
                    part,
                    history,
                }
                .add(index);
            }
        }
    }

    /// Takes account of a transaction that has become a fraud, or ceased to be one.
    pub(super) fn marked(&mut self, index: usize, fraud: bool) {
        for view in &mut self.views {
            if (view.start as usize..view.end as usize).contains(&index) {
                if fraud {
                    view.frauds += 1;
                } else {
                    view.frauds -= 1;
                }
            }
        }
    }

    /// Takes account of transactions removed from the front, none of which lies in a window.
    pub(super) fn removed(&mut self, count: usize) {
        let count = u32::try_from(count).expect("an entity has fewer than 2^32 transactions");
        for view in &mut self.views {
            view.start -= count;
            view.end -= count;
        }
    }
}

/// One window on its way.
struct Mover<'a> {
    view: &'a mut View,
    sums: &'a mut [Sum],
    part: &'a ViewPlan,
    history: &'a History,
}

impl Mover<'_> {
    /// The window grows before it shrinks, so that its start never passes its end.
    fn forward(&mut self, time_us: i64) {
        let (after_us, until_us) = self.part.bounds(time_us);
        while (self.view.end as usize) < self.history.len() && self.time_us(self.view.end) <= until_us {
            self.add(self.view.end as usize);
            self.view.end += 1;
        }
        while self.view.start < self.view.end && self.time_us(self.view.start) <= after_us {
            self.remove(self.view.start as usize);
            self.view.start += 1;
        }
    }

    fn back(&mut self, time_us: i64) {
        let (after_us, until_us) = self.part.bounds(time_us);
        while self.view.start > 0 && self.time_us(self.view.start - 1) > after_us {
            self.view.start -= 1;
            self.add(self.view.start as usize);
        }
        while self.view.end > self.view.start && self.time_us(self.view.end - 1) > until_us {
            self.view.end -= 1;
            self.remove(self.view.end as usize);
        }
    }

    fn time_us(&self, index: u32) -> i64 {
        self.history.time_us(index as usize)
    }

    fn add(&mut self, index: usize) {
        self.view.frauds += u32::from(self.history.is_fraud(index));
        for (sum, column) in self.sums.iter_mut().zip(&self.part.columns) {
            let value = self.history.value(index, *column);
            if value != MISSING {
                sum.total += i128::from(value);
                sum.values += 1;
            }
        }
    }

    fn remove(&mut self, index: usize) {
        self.view.frauds -= u32::from(self.history.is_fraud(index));
        for (sum, column) in self.sums.iter_mut().zip(&self.part.columns) {
            let value = self.history.value(index, *column);
            if value != MISSING {
                sum.total -= i128::from(value);
                sum.values -= 1;
            }
        }
    }
}
