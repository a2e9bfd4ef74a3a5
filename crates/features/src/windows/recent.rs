//! The most recent transactions of one entity value, as a sequence.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Observation;
use super::history::{drop_front, insert_at};
use crate::fixed;
use crate::plan::{ItemField, SequencePlan};

/// Sequence items by event time, with the values they had when they came.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Recent {
    times: VecDeque<i64>,
    /// The items, one after the other.
    values: VecDeque<f32>,
}

impl Recent {
    /// Takes a row, whose features are known by now; pushes the sequence that ends with it.
    pub(super) fn take(
        &mut self,
        sequence: &SequencePlan,
        observation: &Observation<'_>,
        features: &[f64],
        out: &mut Vec<f32>,
    ) {
        let time_us = observation.event_time_us;
        let width = sequence.items.len();
        let index = position_after(&self.times, time_us);
        let since = index
            .checked_sub(1)
            .and_then(|before| time_us.checked_sub(self.times[before]));
        let since = since.filter(|since| *since < sequence.window_us);
        for (column, item) in sequence.items.iter().enumerate() {
            let value = match *item {
                ItemField::Field(field) => fixed::to_f64(observation.values[field]),
                ItemField::SecondsSincePrevious => since.map_or(f64::NAN, super::entity::seconds),
                ItemField::Feature(feature) => features[feature],
                ItemField::Earlier(column) => observation.earlier_columns[column],
            };
            insert_at(&mut self.values, index * width + column, narrow(value));
        }
        insert_at(&mut self.times, index, time_us);
        self.push_sequence(sequence, index, out);
    }

    fn push_sequence(&self, sequence: &SequencePlan, last: usize, out: &mut Vec<f32>) {
        let width = sequence.items.len();
        let after_us = self.times[last].saturating_sub(sequence.window_us);
        let in_window = (0..=last)
            .rev()
            .take(sequence.length)
            .take_while(|item| self.times[*item] > after_us);
        // The row itself is in its window, however short that is.
        let items = in_window.count().max(1);
        let padding = (sequence.length - items) * width;
        out.extend(std::iter::repeat_n(f32::NAN, padding));
        out.extend(self.values.range((last + 1 - items) * width..(last + 1) * width));
    }

    /// Drops the items that no row from the horizon on can have in its sequence.
    pub(super) fn forget(&mut self, sequence: &SequencePlan, horizon_us: i64) {
        let beyond = position_after(&self.times, horizon_us.saturating_sub(sequence.window_us));
        let before_any_row = position_after(&self.times, horizon_us);
        // A sequence of one has no items before the row, but the time since one.
        let needed = (sequence.length - 1).max(1);
        let out_of_length = before_any_row.saturating_sub(needed);
        let count = beyond.max(out_of_length);
        if count > 0 {
            drop_front(&mut self.times, count);
            drop_front(&mut self.values, count * sequence.items.len());
        }
    }

    pub(super) fn newest_us(&self) -> Option<i64> {
        self.times.back().copied()
    }

    pub(super) fn is_consistent(&self, width: usize) -> bool {
        self.values.len() == self.times.len() * width && self.times.iter().is_sorted()
    }
}

/// The position behind all times that are not later.
fn position_after(times: &VecDeque<i64>, time_us: i64) -> usize {
    match (times.front(), times.back()) {
        (Some(oldest), _) if *oldest > time_us => 0,
        (_, Some(newest)) if *newest > time_us => times.partition_point(|other| *other <= time_us),
        _ => times.len(),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "networks compute in single precision"
)]
fn narrow(value: f64) -> f32 {
    value as f32
}
