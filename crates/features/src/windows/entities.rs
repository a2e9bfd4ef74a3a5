//! The states of all entity values, by value.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::entity::Entity;

/// A map that finds or makes a state with a single look.
///
/// Entity values come from outside: the hash is keyed at random, so that nobody can choose values that
/// collide. Nothing depends on the order of this map.
#[derive(Debug, Default)]
pub(super) struct Entities {
    table: HashTable<(Arc<str>, Entity)>,
    hasher: RandomState,
}

impl Entities {
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// In no order that means anything.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Entity)> {
        self.table.iter().map(|(name, entity)| (&**name, entity))
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Entity> {
        let hash = self.hasher.hash_one(name);
        self.table
            .find_mut(hash, |(other, _)| **other == *name)
            .map(|(_, entity)| entity)
    }

    pub(super) fn get_or_insert(
        &mut self,
        name: &str,
        make: impl FnOnce(&Arc<str>) -> Entity,
    ) -> &mut Entity {
        let Self { table, hasher } = self;
        let same = |(other, _): &(Arc<str>, Entity)| **other == *name;
        let found = match table.entry(hasher.hash_one(name), same, |(other, _)| {
            hasher.hash_one(&**other)
        }) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let name: Arc<str> = name.into();
                let entity = make(&name);
                entry.insert((name, entity)).into_mut()
            }
        };
        &mut found.1
    }

    pub(super) fn remove(&mut self, name: &str) {
        let hash = self.hasher.hash_one(name);
        if let Ok(entry) = self.table.find_entry(hash, |(other, _)| **other == *name) {
            entry.remove();
        }
    }
}
