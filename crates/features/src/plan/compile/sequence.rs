//! What a sequence may say, and where its items come from.

use std::time::Duration;

use super::{Compiler, micros, position_or_push};
use crate::error::Place;
use crate::plan::{ItemField, SequencePlan};
use crate::spec::{AMOUNT, Aggregate, FeatureSpec, SECONDS_SINCE_PREVIOUS, SequenceSpec};

/// The longest sequence.
const MAX_LENGTH: usize = 4096;

impl Compiler<'_> {
    pub(super) fn sequence(&mut self, spec: &SequenceSpec) {
        if !self.stage.last_stage {
            return;
        }
        if spec.entity != self.stage.entity {
            let message = format!(
                "only the last stage keeps a sequence: set entity = {:?}",
                self.stage.entity
            );
            self.problem(Place::Sequence, message);
        }
        let before = self.problems.len();
        self.check_sequence(spec);
        let items: Vec<_> = spec
            .fields
            .iter()
            .filter_map(|field| self.item_field(field))
            .collect();
        if self.problems.len() == before {
            let window_us = micros(spec.window.or(Some(SequenceSpec::DEFAULT_WINDOW)));
            self.plan.sequence = Some(SequencePlan {
                length: spec.length,
                window_us,
                items,
            });
            self.fingerprint.sequence(spec);
        }
    }

    fn check_sequence(&mut self, spec: &SequenceSpec) {
        let place = Place::Sequence;
        if spec.length == 0 || spec.length > MAX_LENGTH {
            self.problem(
                place,
                format!("the length is {}: choose 1 to {MAX_LENGTH}", spec.length),
            );
        }
        if spec.fields.is_empty() {
            self.problem(place, format!("there are no fields: add fields = [\"{AMOUNT}\"]"));
        }
        for (index, field) in spec.fields.iter().enumerate() {
            if spec.fields[..index].contains(field) {
                self.problem(place, format!("{field:?} is there twice: remove one"));
            }
        }
        self.check_span(place, "window", spec.window, Duration::from_micros(1));
    }

    fn item_field(&mut self, name: &str) -> Option<ItemField> {
        let position = self.specs.iter().position(|spec| spec.name == name);
        let built_in = match name {
            AMOUNT => Some(ItemField::Field(position_or_push(
                &mut self.plan.fields,
                AMOUNT.to_owned(),
            ))),
            SECONDS_SINCE_PREVIOUS => Some(ItemField::SecondsSincePrevious),
            _ => None,
        };
        match (built_in, position) {
            (Some(built_in), None) => Some(built_in),
            (Some(built_in), Some(index)) if self.specs[index].is_the_amount() => Some(built_in),
            (Some(_), Some(index)) => {
                let message = format!("{name:?} could be the field or features[{index}]: rename the feature");
                self.problem(Place::Sequence, message);
                None
            }
            (None, Some(index)) => self.feature_in_sequence(index),
            (None, None) => {
                let known = format!("{AMOUNT}, {SECONDS_SINCE_PREVIOUS}");
                let message = format!("{name:?} is no feature: use {known} or the name of a feature");
                self.problem(Place::Sequence, message);
                None
            }
        }
    }

    /// None for a feature of ours that has a problem itself: it has been reported.
    fn feature_in_sequence(&mut self, index: usize) -> Option<ItemField> {
        let spec = &self.specs[index];
        if self.is_ours(spec) {
            return self
                .plan
                .names
                .iter()
                .position(|name| *name == spec.name)
                .map(ItemField::Feature);
        }
        Some(ItemField::Earlier(position_or_push(
            &mut self.plan.earlier_columns,
            spec.name.clone(),
        )))
    }
}

impl FeatureSpec {
    /// Whether the feature is the amount as it is, so that either may be meant by its name.
    fn is_the_amount(&self) -> bool {
        self.name == AMOUNT
            && self.aggregate == Aggregate::Amount
            && self.field.as_deref().is_none_or(|field| field == AMOUNT)
    }
}
