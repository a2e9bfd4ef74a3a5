//! A stable hash over definitions.

use std::time::Duration;

use xxhash_rust::xxh3::Xxh3;

use crate::spec::{FeatureSpec, SequenceSpec};

/// Raised whenever the same definition comes to mean another value.
const MEANING: u64 = 1;

/// Hashes the definitions part by part, each with its length, so that none runs into its neighbour.
pub(super) struct Fingerprint(Xxh3);

impl Fingerprint {
    pub(super) fn of_stage(entity: &str) -> Self {
        let mut fingerprint = Self(Xxh3::new());
        fingerprint.number(MEANING);
        fingerprint.text(entity);
        fingerprint
    }

    pub(super) fn feature(&mut self, spec: &FeatureSpec) {
        self.text(&spec.name);
        self.text(spec.aggregate.as_str());
        self.optional(spec.entity.as_deref());
        self.optional(spec.field.as_deref());
        self.duration(spec.window);
        self.duration(spec.delay);
        self.optional(spec.time_zone.as_deref());
        self.number(spec.from_hour.map_or(u64::MAX, u64::from));
        self.number(spec.to_hour.map_or(u64::MAX, u64::from));
    }

    pub(super) fn sequence(&mut self, spec: &SequenceSpec) {
        self.text("sequence");
        self.number(spec.length as u64);
        self.duration(spec.window);
        for field in &spec.fields {
            self.text(field);
        }
    }

    pub(super) fn finish(&self) -> u64 {
        self.0.digest()
    }

    fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.update(text.as_bytes());
    }

    fn optional(&mut self, text: Option<&str>) {
        self.number(u64::from(text.is_some()));
        self.text(text.unwrap_or_default());
    }

    fn duration(&mut self, duration: Option<Duration>) {
        self.number(u64::from(duration.is_some()));
        self.0
            .update(&duration.unwrap_or_default().as_micros().to_le_bytes());
    }
}
