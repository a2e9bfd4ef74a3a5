//! What one stage computes: definitions, checked and resolved to positions.

mod compile;
mod fingerprint;

use std::time::Duration;

use crate::calendar::{Night, Zone};
use crate::error::Problem;
use crate::spec::{FeatureSpec, SequenceSpec};

/// How late a transaction may be without missing anything, unless [`Plan::with_lateness`] says otherwise: a
/// day.
pub const DEFAULT_LATENESS: Duration = Duration::from_secs(86_400);

/// Everything one stage needs to compute its features, checked.
#[derive(Clone, Debug)]
pub struct Plan {
    entity: String,
    names: Vec<String>,
    fields: Vec<String>,
    earlier_columns: Vec<String>,
    fingerprint: u64,
    pub(crate) steps: Vec<Step>,
    pub(crate) views: Vec<ViewPlan>,
    /// The positions in `fields` of the values an observation keeps for sums.
    pub(crate) kept: Vec<usize>,
    pub(crate) sequence: Option<SequencePlan>,
    /// Whether any feature counts frauds: only then are ids and labels kept.
    pub(crate) labels: bool,
    /// How long after its time a transaction can still be in a window; 0 if there are no windows.
    pub(crate) reach_us: i64,
    pub(crate) lateness_us: i64,
}

/// One feature: where its value comes from.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Count { view: usize },
    Sum { sum: SumAt },
    Mean { sum: SumAt },
    FraudCount { view: usize },
    FraudRate { view: usize },
    SecondsSinceLast { window_us: i64 },
    Night { zone: Zone, night: Night },
    Weekend { zone: Zone },
    HourSin { zone: Zone },
    HourCos { zone: Zone },
    Field { field: usize },
}

/// A running sum: the view it runs over, and its number among that view's sums.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SumAt {
    pub(crate) view: usize,
    pub(crate) nth: usize,
}

/// One distinct window: every feature over the same stretch of time reads the same one.
#[derive(Clone, Debug)]
pub(crate) struct ViewPlan {
    pub(crate) window_us: i64,
    pub(crate) delay_us: i64,
    /// What it sums: positions among the kept values.
    pub(crate) columns: Vec<usize>,
    /// Where its sums begin among those of all views.
    pub(crate) first_sum: usize,
}

impl ViewPlan {
    /// The bounds of the window of a row: after the first (excluded), up to the second (included).
    pub(crate) fn bounds(&self, time_us: i64) -> (i64, i64) {
        let until = time_us.saturating_sub(self.delay_us);
        (until.saturating_sub(self.window_us), until)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct SequencePlan {
    pub(crate) length: usize,
    pub(crate) window_us: i64,
    pub(crate) items: Vec<ItemField>,
}

/// One value of a sequence item.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ItemField {
    /// A numeric field of the row.
    Field(usize),
    SecondsSincePrevious,
    /// A feature of this stage.
    Feature(usize),
    /// A column that an earlier stage made.
    Earlier(usize),
}

impl Plan {
    /// Checks the definitions and picks those that the stage of an entity computes.
    ///
    /// `specs` are the definitions of all stages, in output order. A stage computes the features of its
    /// entity; the last stage also those without an entity, and the sequence. `fields` are the numeric
    /// attributes available besides `amount`, which every transaction has.
    ///
    /// # Errors
    /// All problems of this stage's definitions at once; each is reported by one stage only. Definitions
    /// whose entity no stage has are nobody's: [`Plan::compile_stages`] finds those too.
    pub fn compile(
        specs: &[FeatureSpec],
        sequence: Option<&SequenceSpec>,
        entity: &str,
        last_stage: bool,
        fields: &[String],
    ) -> Result<Self, Vec<Problem>> {
        compile::compile(
            specs,
            sequence,
            compile::Stage {
                entity,
                last_stage,
                fields,
            },
        )
    }

    /// Compiles the plans of all stages; the last of `entities` is the last stage.
    ///
    /// # Errors
    /// All problems of all definitions at once, in their order.
    pub fn compile_stages(
        specs: &[FeatureSpec],
        sequence: Option<&SequenceSpec>,
        entities: &[String],
        fields: &[String],
    ) -> Result<Vec<Self>, Vec<Problem>> {
        compile::compile_stages(specs, sequence, entities, fields)
    }

    /// The same plan with another tolerance: a transaction that is at most this much older than the newest
    /// one still finds everything that its windows reach.
    ///
    /// It costs memory, as everything is kept that much longer. It is no part of the fingerprint.
    #[must_use]
    pub fn with_lateness(mut self, lateness: Duration) -> Self {
        self.lateness_us = i64::try_from(lateness.as_micros()).unwrap_or(i64::MAX);
        self
    }

    /// The entity of the stage.
    #[must_use]
    pub fn entity(&self) -> &str {
        &self.entity
    }

    /// The names of the features, in the order in which their values are given.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The numeric fields whose values an observation carries, in this order.
    #[must_use]
    pub fn fields(&self) -> &[String] {
        &self.fields
    }

    /// The features made by earlier stages whose values an observation carries, in this order.
    #[must_use]
    pub fn earlier_columns(&self) -> &[String] {
        &self.earlier_columns
    }

    /// The length and the width of the sequence, if the stage gives one.
    #[must_use]
    pub fn sequence(&self) -> Option<(usize, usize)> {
        self.sequence
            .as_ref()
            .map(|sequence| (sequence.length, sequence.items.len()))
    }

    /// A hash of the definitions, the same on every machine: state and rows made under one fingerprint go
    /// together.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Whether transactions have to be remembered for windows.
    pub(crate) fn has_windows(&self) -> bool {
        self.reach_us > 0
    }
}
