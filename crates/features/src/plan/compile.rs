//! From definitions to a plan: all problems are found before any is reported.

mod check;
mod sequence;

use std::time::Duration;

use super::fingerprint::Fingerprint;
use super::{DEFAULT_LATENESS, Plan, Step, SumAt, ViewPlan};
use crate::calendar::{Night, Zone};
use crate::error::{Place, Problem};
use crate::spec::{AMOUNT, Aggregate, FeatureSpec, SequenceSpec};

/// The longest window, delay or sequence; what is longer is taken for a slip of the pen.
const MAX_SPAN: Duration = Duration::from_secs(100 * 366 * 86_400);

/// The night of a definition that names no hours.
const DEFAULT_NIGHT: Night = Night {
    from_hour: 0,
    to_hour: 7,
};

/// The stage to compile for.
#[derive(Clone, Copy)]
pub(super) struct Stage<'a> {
    pub(super) entity: &'a str,
    pub(super) last_stage: bool,
    pub(super) fields: &'a [String],
}

pub(super) fn compile(
    specs: &[FeatureSpec],
    sequence: Option<&SequenceSpec>,
    stage: Stage<'_>,
) -> Result<Plan, Vec<Problem>> {
    let mut compiler = Compiler::new(specs, stage);
    for (index, spec) in specs.iter().enumerate() {
        if compiler.is_ours(spec) {
            compiler.feature(index, spec);
        }
    }
    if let Some(sequence) = sequence {
        compiler.sequence(sequence);
    }
    compiler.finish()
}

pub(super) fn compile_stages(
    specs: &[FeatureSpec],
    sequence: Option<&SequenceSpec>,
    entities: &[String],
    fields: &[String],
) -> Result<Vec<Plan>, Vec<Problem>> {
    let mut problems: Vec<Problem> = strangers(specs, entities);
    let mut plans = Vec::new();
    for (index, entity) in entities.iter().enumerate() {
        let stage = Stage {
            entity,
            last_stage: index + 1 == entities.len(),
            fields,
        };
        match compile(specs, sequence, stage) {
            Ok(plan) => plans.push(plan),
            Err(found) => problems.extend(found),
        }
    }
    problems.sort();
    if problems.is_empty() {
        Ok(plans)
    } else {
        Err(problems)
    }
}

/// The definitions whose entity has no stage.
fn strangers(specs: &[FeatureSpec], entities: &[String]) -> Vec<Problem> {
    let stages = entities.join(", ");
    let unknown = |spec: &FeatureSpec| spec.entity.clone().filter(|entity| !entities.contains(entity));
    let found = specs
        .iter()
        .enumerate()
        .filter_map(|(index, spec)| Some((index, unknown(spec)?)));
    found
        .map(|(index, entity)| Problem {
            place: Place::Feature(index),
            message: format!(
                "no stage has the entity {entity:?}: use one of {stages}, or add a stage for it"
            ),
        })
        .collect()
}

/// Collects the parts of a plan and the problems on the way.
struct Compiler<'a> {
    specs: &'a [FeatureSpec],
    stage: Stage<'a>,
    plan: Plan,
    fingerprint: Fingerprint,
    problems: Vec<Problem>,
}

impl<'a> Compiler<'a> {
    fn new(specs: &'a [FeatureSpec], stage: Stage<'a>) -> Self {
        let plan = Plan {
            entity: stage.entity.to_owned(),
            names: Vec::new(),
            fields: Vec::new(),
            earlier_columns: Vec::new(),
            fingerprint: 0,
            steps: Vec::new(),
            views: Vec::new(),
            kept: Vec::new(),
            sequence: None,
            labels: false,
            reach_us: 0,
            lateness_us: 0,
        };
        let fingerprint = Fingerprint::of_stage(stage.entity);
        Self {
            specs,
            stage,
            plan: plan.with_lateness(DEFAULT_LATENESS),
            fingerprint,
            problems: Vec::new(),
        }
    }

    fn is_ours(&self, spec: &FeatureSpec) -> bool {
        spec.entity
            .as_deref()
            .map_or(self.stage.last_stage, |entity| entity == self.stage.entity)
    }

    fn problem(&mut self, place: Place, message: impl Into<String>) {
        self.problems.push(Problem {
            place,
            message: message.into(),
        });
    }

    fn feature(&mut self, index: usize, spec: &FeatureSpec) {
        let before = self.problems.len();
        self.check(index, spec);
        // A definition with a problem has no step; the others are still looked at.
        if self.problems.len() == before {
            let step = self.step(spec);
            self.plan.steps.push(step);
            self.plan.names.push(spec.name.clone());
            self.fingerprint.feature(spec);
        }
    }

    fn step(&mut self, spec: &FeatureSpec) -> Step {
        let zone = spec
            .time_zone
            .as_deref()
            .and_then(Zone::named)
            .unwrap_or_default();
        match spec.aggregate {
            Aggregate::Count => Step::Count {
                view: self.view(spec),
            },
            Aggregate::Sum => Step::Sum { sum: self.sum(spec) },
            Aggregate::Mean => Step::Mean { sum: self.sum(spec) },
            Aggregate::FraudCount => Step::FraudCount {
                view: self.labelled_view(spec),
            },
            Aggregate::FraudRate => Step::FraudRate {
                view: self.labelled_view(spec),
            },
            Aggregate::SecondsSinceLast => {
                let window_us = micros(spec.window);
                self.plan.reach_us = self.plan.reach_us.max(window_us);
                Step::SecondsSinceLast { window_us }
            }
            Aggregate::Night => Step::Night {
                zone,
                night: night(spec),
            },
            Aggregate::Weekend => Step::Weekend { zone },
            Aggregate::HourSin => Step::HourSin { zone },
            Aggregate::HourCos => Step::HourCos { zone },
            Aggregate::Amount => Step::Field {
                field: self.field(spec),
            },
        }
    }

    fn view(&mut self, spec: &FeatureSpec) -> usize {
        let (window_us, delay_us) = (micros(spec.window), micros(spec.delay));
        self.plan.reach_us = self.plan.reach_us.max(window_us + delay_us);
        let views = &mut self.plan.views;
        let same = |view: &ViewPlan| view.window_us == window_us && view.delay_us == delay_us;
        views.iter().position(same).unwrap_or_else(|| {
            views.push(ViewPlan {
                window_us,
                delay_us,
                columns: Vec::new(),
                first_sum: 0,
            });
            views.len() - 1
        })
    }

    fn labelled_view(&mut self, spec: &FeatureSpec) -> usize {
        self.plan.labels = true;
        self.view(spec)
    }

    fn sum(&mut self, spec: &FeatureSpec) -> SumAt {
        let field = self.field(spec);
        let view = self.view(spec);
        let column = position_or_push(&mut self.plan.kept, field);
        SumAt {
            view,
            nth: position_or_push(&mut self.plan.views[view].columns, column),
        }
    }

    /// The position of a definition's field among those an observation carries.
    fn field(&mut self, spec: &FeatureSpec) -> usize {
        position_or_push(
            &mut self.plan.fields,
            spec.field.clone().unwrap_or_else(|| AMOUNT.to_owned()),
        )
    }

    fn finish(mut self) -> Result<Plan, Vec<Problem>> {
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        let mut sums = 0;
        for view in &mut self.plan.views {
            view.first_sum = sums;
            sums += view.columns.len();
        }
        self.plan.fingerprint = self.fingerprint.finish();
        Ok(self.plan)
    }
}

fn night(spec: &FeatureSpec) -> Night {
    Night {
        from_hour: spec.from_hour.unwrap_or(DEFAULT_NIGHT.from_hour),
        to_hour: spec.to_hour.unwrap_or(DEFAULT_NIGHT.to_hour),
    }
}

fn micros(span: Option<Duration>) -> i64 {
    let micros = span.unwrap_or_default().as_micros();
    i64::try_from(micros).expect("no span is above a hundred years: checked")
}

fn position_or_push<T: PartialEq>(list: &mut Vec<T>, item: T) -> usize {
    list.iter().position(|other| *other == item).unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    })
}

#[cfg(test)]
mod tests;
