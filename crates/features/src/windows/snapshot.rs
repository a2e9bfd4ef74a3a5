//! Storing windows and restoring them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use super::Windows;
use super::entities::Entities;
use super::entity::Entity;
use crate::error::Error;
use crate::plan::Plan;

/// Windows as a snapshot holds them: what [`Windows`] serialises to, and what [`Windows::restore`] takes.
///
/// Equal states give equal bytes: entity values are in their order.
#[derive(Debug, Serialize, Deserialize)]
pub struct WindowsState {
    fingerprint: u64,
    entities: BTreeMap<String, Entity>,
}

impl WindowsState {
    /// The fingerprint of the plan the windows were made with.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}

impl Serialize for Windows {
    /// Gives the form of a [`WindowsState`] without copying anything.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entities: BTreeMap<&str, &Entity> = self.entities.iter().collect();
        let mut state = serializer.serialize_struct("WindowsState", 2)?;
        state.serialize_field("fingerprint", &self.plan.fingerprint())?;
        state.serialize_field("entities", &entities)?;
        state.end()
    }
}

impl Windows {
    /// Windows that go on where the snapshot was taken.
    ///
    /// # Errors
    /// [`Error::OtherDefinitions`] if the snapshot belongs to another plan, [`Error::Inconsistent`] if it is
    /// damaged.
    pub fn restore(plan: Arc<Plan>, state: WindowsState) -> Result<Self, Error> {
        let (expected, found) = (plan.fingerprint(), state.fingerprint);
        if expected != found {
            return Err(Error::OtherDefinitions { expected, found });
        }
        let mut entities = Entities::default();
        let mut checks = BinaryHeap::with_capacity(state.entities.len());
        let mut observations = 0;
        for (name, mut entity) in state.entities {
            entity.rebuild(&plan)?;
            observations += entity.observations();
            entities.get_or_insert(&name, |name| {
                checks.push(Reverse((entity.check_at_us, Arc::clone(name))));
                entity
            });
        }
        Ok(Self {
            plan,
            entities,
            checks,
            observations,
        })
    }
}
