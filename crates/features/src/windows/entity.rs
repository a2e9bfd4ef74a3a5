//! The state of one entity value.

use serde::{Deserialize, Serialize};

use super::Observation;
use super::history::History;
use super::labels::{Label, Labels};
use super::recent::Recent;
use super::running::Running;
use crate::error::Error;
use crate::fixed;
use crate::plan::{Plan, Step};

/// What is remembered of one entity value, and its windows as they lie for a row of one instant.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Entity {
    history: History,
    /// None unless the plan has labels.
    labels: Option<Box<Labels>>,
    /// None unless the plan has a sequence.
    recent: Option<Box<Recent>>,
    /// The instant of the row for which the windows lie.
    now_us: i64,
    /// When to look whether anything of it can still be reached.
    pub(super) check_at_us: i64,
    #[serde(skip)]
    running: Running,
}

impl Entity {
    pub(super) fn new(plan: &Plan, check_at_us: i64) -> Self {
        Self {
            history: History::new(plan),
            labels: plan.labels.then(Box::default),
            recent: plan.sequence.as_ref().map(|_| Box::default()),
            now_us: i64::MIN,
            check_at_us,
            running: Running::new(plan),
        }
    }

    /// Takes a transaction and pushes its features and its sequence.
    pub(super) fn transaction(
        &mut self,
        plan: &Plan,
        observation: &Observation<'_>,
        out: &mut Vec<f64>,
        sequence_out: &mut Vec<f32>,
    ) {
        let time_us = observation.event_time_us;
        let mut row = 0;
        if plan.has_windows() {
            row = self.insert(plan, observation);
            self.seek(plan, time_us);
        }
        let first = out.len();
        out.extend(
            plan.steps
                .iter()
                .map(|step| self.feature(plan, step, row, observation)),
        );
        if let (Some(recent), Some(sequence)) = (&mut self.recent, &plan.sequence) {
            recent.take(sequence, observation, &out[first..], sequence_out);
        }
        // A late row leaves forgetting to the next one.
        if self.newest_us() == Some(time_us) {
            self.forget(plan, time_us);
        }
    }

    fn insert(&mut self, plan: &Plan, observation: &Observation<'_>) -> usize {
        let row = self.history.insert(plan, observation);
        self.running.inserted(plan, &self.history, row, self.now_us);
        if let Some(labels) = &mut self.labels {
            for label in labels.inserted(&self.history, row) {
                labels.take(label, self.now_us, &mut self.history, &mut self.running);
            }
        }
        row
    }

    /// Moves the windows to where they belong for a row of that instant.
    fn seek(&mut self, plan: &Plan, time_us: i64) {
        if let Some(labels) = &mut self.labels {
            labels.seek(time_us, &mut self.history, &mut self.running);
        }
        self.running.seek(plan, &self.history, self.now_us, time_us);
        self.now_us = time_us;
    }

    fn feature(&self, plan: &Plan, step: &Step, row: usize, observation: &Observation<'_>) -> f64 {
        let time_us = observation.event_time_us;
        match step {
            Step::Count { view } => f64::from(self.running.count(*view)),
            Step::Sum { sum } => fixed::sum_to_f64(self.running.sum(plan, *sum).total),
            Step::Mean { sum } => {
                let sum = self.running.sum(plan, *sum);
                fixed::mean(sum.total, sum.values)
            }
            Step::FraudCount { view } => f64::from(self.running.frauds(*view)),
            Step::FraudRate { view } => {
                let count = self.running.count(*view);
                if count == 0 {
                    0.0
                } else {
                    f64::from(self.running.frauds(*view)) / f64::from(count)
                }
            }
            Step::SecondsSinceLast { window_us } => self.since_last(row, *window_us),
            Step::Night { zone, night } => f64::from(u8::from(zone.is_night(time_us, *night))),
            Step::Weekend { zone } => f64::from(u8::from(zone.is_weekend(time_us))),
            Step::HourSin { zone } => libm::sin(zone.day_angle(time_us)),
            Step::HourCos { zone } => libm::cos(zone.day_angle(time_us)),
            Step::Field { field } => fixed::to_f64(observation.values[*field]),
        }
    }

    fn since_last(&self, row: usize, window_us: i64) -> f64 {
        let before = row.checked_sub(1).map(|before| self.history.time_us(before));
        let since = before.and_then(|before| self.history.time_us(row).checked_sub(before));
        since.filter(|since| *since < window_us).map_or(f64::NAN, seconds)
    }

    /// Takes a label.
    pub(super) fn label(&mut self, plan: &Plan, label: Label) {
        debug_assert!(plan.labels, "labels are taken by plans that count frauds");
        if let Some(labels) = &mut self.labels {
            labels.take(label, self.now_us, &mut self.history, &mut self.running);
        }
    }

    /// Drops what no row can reach that is at most the plan's lateness older than the clock.
    pub(super) fn forget(&mut self, plan: &Plan, clock_us: i64) {
        let horizon_us = clock_us.saturating_sub(plan.lateness_us);
        let count = self.history.count_up_to(horizon_us.saturating_sub(plan.reach_us));
        if count > 0 {
            self.drop_front(plan, horizon_us, count);
        }
        if let Some(labels) = &mut self.labels {
            labels.forget_waiting(horizon_us);
        }
        if let (Some(recent), Some(sequence)) = (&mut self.recent, &plan.sequence) {
            recent.forget(sequence, horizon_us);
        }
    }

    fn drop_front(&mut self, plan: &Plan, horizon_us: i64, count: usize) {
        // From here on the windows of rows at the horizon or later hold nothing of what is dropped.
        if self.now_us < horizon_us {
            self.seek(plan, horizon_us);
        }
        if let Some(labels) = &mut self.labels {
            labels.removing(&self.history, count);
        }
        self.history.drop_front(count);
        self.running.removed(count);
        if let Some(labels) = &mut self.labels {
            labels.forget(&self.history);
        }
    }

    /// The clock from which on nothing of it can be reached, as far as is known now.
    pub(super) fn unreachable_from_us(&self, plan: &Plan) -> i64 {
        let history = self
            .history
            .newest_us()
            .map(|newest| newest.saturating_add(plan.reach_us));
        let waiting = self.labels.as_ref().and_then(|labels| labels.newest_waiting_us());
        let window_us = plan.sequence.as_ref().map_or(0, |sequence| sequence.window_us);
        let recent = self.recent.as_ref().and_then(|recent| recent.newest_us());
        let recent = recent.map(|newest| newest.saturating_add(window_us));
        // A waiting label goes only once the clock is past it by more than the lateness.
        let waiting = waiting.map(|known_at| known_at.saturating_add(1));
        let last = history.max(waiting).max(recent).unwrap_or(i64::MIN);
        last.saturating_add(plan.lateness_us)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.history.len() == 0
            && self.labels.as_ref().is_none_or(|labels| labels.is_empty())
            && self
                .recent
                .as_ref()
                .is_none_or(|recent| recent.newest_us().is_none())
    }

    /// How many transactions are remembered for windows.
    pub(super) fn observations(&self) -> usize {
        self.history.len()
    }

    fn newest_us(&self) -> Option<i64> {
        self.history
            .newest_us()
            .or_else(|| self.recent.as_ref().and_then(|recent| recent.newest_us()))
    }

    /// Makes what is not stored, after the rest has been restored.
    pub(super) fn rebuild(&mut self, plan: &Plan) -> Result<(), Error> {
        self.check(plan)?;
        if let Some(labels) = &mut self.labels {
            labels.rebuild(&self.history);
        }
        self.running = Running::new(plan);
        self.running.seek(plan, &self.history, i64::MIN, self.now_us);
        Ok(())
    }

    fn check(&self, plan: &Plan) -> Result<(), Error> {
        let width = plan.sequence.as_ref().map(|sequence| sequence.items.len());
        let labels = self.labels.as_ref().map(|labels| labels.is_consistent());
        let recent = match (&self.recent, width) {
            (Some(recent), Some(width)) => recent.is_consistent(width),
            (recent, width) => recent.is_none() && width.is_none(),
        };
        let parts = [
            ("transactions", self.history.is_consistent(plan)),
            (
                "labels",
                labels.unwrap_or(true) && labels.is_some() == plan.labels,
            ),
            ("sequence items", recent),
        ];
        match parts.into_iter().find(|(_, consistent)| !consistent) {
            Some((part, _)) => Err(Error::Inconsistent { part }),
            None => Ok(()),
        }
    }
}

pub(super) fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}
