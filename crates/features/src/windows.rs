//! The state of one stage partition: the recent past of each entity value, and the windows over it.

mod entities;
mod entity;
mod history;
mod ids;
mod labels;
mod recent;
mod running;
mod snapshot;

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use self::entities::Entities;
use self::entity::Entity;
use self::labels::Label;
pub use self::snapshot::WindowsState;
use crate::plan::Plan;

/// One transaction as the windows see it.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// The 128-bit hash of the transaction's id.
    pub id: u128,
    /// When the transaction happened.
    pub event_time_us: i64,
    /// The values of [`Plan::fields`], in that order.
    ///
    /// # Units
    /// Fixed point, as [`crate::fixed`] makes it; [`crate::fixed::MISSING`] where the transaction has no such
    /// value.
    pub values: &'a [i64],
    /// The values of [`Plan::earlier_columns`], in that order; NaN where there is none.
    pub earlier_columns: &'a [f64],
}

/// The windows of all entity values of one stage partition.
///
/// The values given depend on nothing but the calls made: a state that was stored and restored goes on
/// exactly as the one it was stored from.
#[derive(Debug)]
pub struct Windows {
    plan: Arc<Plan>,
    entities: Entities,
    /// When to look at an entity again because it may have become unreachable.
    checks: BinaryHeap<Reverse<(i64, Arc<str>)>>,
    observations: usize,
}

impl Windows {
    /// Windows over which nothing has gone yet.
    #[must_use]
    pub fn new(plan: Arc<Plan>) -> Self {
        Self {
            plan,
            entities: Entities::default(),
            checks: BinaryHeap::new(),
            observations: 0,
        }
    }

    /// What the windows compute.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Takes a transaction into the windows and gives its features.
    ///
    /// Its own windows hold it, and of other transactions those taken before with no later event time. One
    /// that comes late is put where its event time belongs and counts for whatever comes after it in time.
    /// Values given before stay as they were.
    ///
    /// # Shape
    /// Pushes one value a feature to `out`, in the order of [`Plan::names`]; NaN means that there is none. To
    /// `sequence_out` it pushes length × width values, the oldest item first and this row last; the front is
    /// padded with NaN where there are fewer items. Nothing is pushed there if the plan has no sequence.
    ///
    /// # Panics
    /// If the observation does not carry the values the plan asks for.
    pub fn transaction(
        &mut self,
        entity_value: &str,
        observation: &Observation<'_>,
        out: &mut Vec<f64>,
        sequence_out: &mut Vec<f32>,
    ) {
        let plan = Arc::clone(&self.plan);
        assert_eq!(
            observation.values.len(),
            plan.fields().len(),
            "an observation has a value a field"
        );
        assert_eq!(
            observation.earlier_columns.len(),
            plan.earlier_columns().len(),
            "an observation has a value an earlier column"
        );
        let entity = self.entity(entity_value, observation.event_time_us);
        let before = entity.observations();
        entity.transaction(&plan, observation, out, sequence_out);
        let after = entity.observations();
        self.observations = self.observations + after - before;
    }

    /// Takes what has become known about a transaction: from `known_at_us` on it is a fraud, or is not.
    ///
    /// Of several labels of a transaction the one known last holds, of those known at once the one that came
    /// last. A row counts a label if its event time is not before `known_at_us`.
    ///
    /// A label that comes before its transaction waits for it, until the clock (the newest event time of the
    /// entity, or that given to [`Windows::forget`]) has passed `known_at_us` by more than the plan's lateness.
    pub fn label(&mut self, entity_value: &str, transaction: u128, known_at_us: i64, fraud: bool) {
        if !self.plan.labels {
            return;
        }
        let plan = Arc::clone(&self.plan);
        let label = Label::new(transaction, known_at_us, fraud);
        self.entity(entity_value, known_at_us).label(&plan, label);
    }

    /// Forgets what no row can reach any more that is at most the plan's lateness older than the clock.
    ///
    /// It changes no value of such rows. Rows older than that may miss what was forgotten: so that they are
    /// the same in every replay, call this at points that the log decides, never a timer. A call costs next
    /// to nothing: every entity is looked at about once in the time that its windows reach.
    pub fn forget(&mut self, clock_us: i64) {
        let plan = Arc::clone(&self.plan);
        let mut again = Vec::new();
        while self
            .checks
            .peek()
            .is_some_and(|Reverse((due_us, _))| *due_us <= clock_us)
        {
            let Some(Reverse((_, name))) = self.checks.pop() else {
                break;
            };
            let Some(entity) = self.entities.get_mut(&name) else {
                continue;
            };
            let before = entity.observations();
            entity.forget(&plan, clock_us);
            self.observations = self.observations + entity.observations() - before;
            if entity.is_empty() {
                self.entities.remove(&name);
            } else {
                entity.check_at_us = entity.unreachable_from_us(&plan);
                again.push(Reverse((entity.check_at_us, name)));
            }
        }
        self.checks.extend(again);
    }

    /// How many entity values have a state.
    #[must_use]
    pub fn entities(&self) -> usize {
        self.entities.len()
    }

    /// How many transactions are remembered for windows, over all entity values.
    #[must_use]
    pub fn observations(&self) -> usize {
        self.observations
    }

    /// The state of an entity value; a new one is put on the list of those to look at again.
    fn entity(&mut self, value: &str, time_us: i64) -> &mut Entity {
        let (plan, checks) = (&self.plan, &mut self.checks);
        self.entities.get_or_insert(value, |name| {
            let check_at_us = time_us.saturating_add(plan.lateness_us);
            checks.push(Reverse((check_at_us, Arc::clone(name))));
            Entity::new(plan, check_at_us)
        })
    }
}
