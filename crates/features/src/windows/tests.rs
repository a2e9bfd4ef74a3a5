//! The windows against the oracle, and by hand.

mod by_hand;

use std::time::Duration;

use proptest::prelude::*;

use super::oracle::{Oracle, Taken};
use super::*;
use crate::fixed;
use crate::spec::{AMOUNT, Aggregate, FeatureSpec, SECONDS_SINCE_PREVIOUS, SequenceSpec};

const SECOND: i64 = 1_000_000;
const START: i64 = 1_500_000_000 * SECOND;
const LATENESS_S: i64 = 6;

/// Every aggregate over windows of different lengths and delays, so short that their bounds are often hit.
fn specs() -> Vec<FeatureSpec> {
    let windowed = [
        Aggregate::Count,
        Aggregate::Sum,
        Aggregate::Mean,
        Aggregate::FraudCount,
        Aggregate::FraudRate,
        Aggregate::SecondsSinceLast,
    ];
    let mut specs = vec![FeatureSpec::new("as_it_is", Aggregate::Amount)];
    for aggregate in windowed {
        for (window, delay) in [(5, None), (12, None), (5, Some(4)), (7, Some(0))] {
            for field in [AMOUNT, "age"] {
                if (field == "age" && !aggregate.needs_field())
                    || (delay.is_some() && !aggregate.takes_delay())
                {
                    continue;
                }
                specs.push(FeatureSpec {
                    entity: Some("account".into()),
                    field: aggregate.needs_field().then(|| field.into()),
                    window: Some(Duration::from_secs(window)),
                    delay: delay.map(Duration::from_secs),
                    ..FeatureSpec::new(format!("{aggregate}_{field}_{window}_{delay:?}"), aggregate)
                });
            }
        }
    }
    specs
}

fn sequence(length: usize) -> SequenceSpec {
    let fields = [AMOUNT, SECONDS_SINCE_PREVIOUS, "earlier", "mean_amount_5_None"]
        .map(Into::into)
        .into();
    SequenceSpec {
        entity: "account".into(),
        length,
        fields,
        window: Some(Duration::from_secs(9)),
    }
}

fn plan(length: usize) -> Arc<Plan> {
    let earlier = FeatureSpec {
        entity: Some("terminal".into()),
        window: Some(Duration::from_secs(1)),
        ..FeatureSpec::new("earlier", Aggregate::Count)
    };
    let all: Vec<FeatureSpec> = std::iter::once(earlier).chain(specs()).collect();
    let plan = Plan::compile(
        &all,
        Some(&sequence(length)),
        "account",
        true,
        &["age".to_owned()],
    )
    .unwrap();
    assert_eq!(plan.fields(), [AMOUNT, "age"]);
    Arc::new(plan.with_lateness(Duration::from_secs(LATENESS_S as u64)))
}

#[derive(Clone, Debug)]
enum Step {
    Transaction {
        entity: usize,
        advance_s: i64,
        late_s: i64,
        values: [Option<i32>; 2],
    },
    Label {
        which: usize,
        after_s: i64,
        fraud: bool,
    },
    Forget {
        behind_s: i64,
    },
    Snapshot,
}

/// Random steps; the fewer entities, the more transactions share a window.
fn steps(entities: usize, max_late_s: i64) -> impl Strategy<Value = Vec<Step>> {
    let advance = prop_oneof![6 => Just(0_i64), 2 => 1_i64..3, 1 => 0_i64..30];
    let late = prop_oneof![3 => Just(0), 2 => 0..=max_late_s];
    let value = || prop::option::weighted(0.9, -50_000_000..50_000_000_i32);
    let transaction =
        (0..entities, advance, late, [value(), value()]).prop_map(|(entity, advance_s, late_s, values)| {
            Step::Transaction {
                entity,
                advance_s,
                late_s,
                values,
            }
        });
    let label = (any::<usize>(), -3_i64..15, any::<bool>()).prop_map(|(which, after_s, fraud)| Step::Label {
        which,
        after_s,
        fraud,
    });
    let forget = (0_i64..10).prop_map(|behind_s| Step::Forget { behind_s });
    let step = prop_oneof![40 => transaction, 20 => label, 4 => forget, 1 => Just(Step::Snapshot)];
    prop::collection::vec(step, 0..250)
}

fn any_steps(max_late_s: i64) -> impl Strategy<Value = Vec<Step>> {
    prop_oneof![steps(1, max_late_s), steps(3, max_late_s)]
}

/// The transactions of the steps, with their times and ids.
fn transactions(steps: &[Step]) -> Vec<Taken> {
    let mut clock = START;
    let mut found = Vec::new();
    for step in steps {
        if let Step::Transaction {
            entity,
            advance_s,
            late_s,
            values,
        } = *step
        {
            clock += advance_s * SECOND;
            let time_us = clock - late_s * SECOND;
            let values = values.map(|value| value.map_or(fixed::MISSING, i64::from));
            found.push(Taken {
                id: id(found.len()),
                entity,
                time_us,
                values,
                earlier: found.len() as f64,
            });
        }
    }
    found
}

fn id(number: usize) -> u128 {
    u128::from((number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)) << 64 | 7
}

const NAMES: [&str; 3] = ["a", "b", ""];

/// One of the transactions, come or to come, and when its label became known.
///
/// One that is to come is labelled after it happened, as it would be in earnest: so the label waits long
/// enough.
fn label_of(transactions: &[Taken], come: usize, which: usize, after_s: i64) -> Option<(Taken, i64)> {
    let number = which.checked_rem(transactions.len())?;
    let after_s = if number < come { after_s } else { after_s.max(0) };
    Some((
        transactions[number],
        transactions[number].time_us + after_s * SECOND,
    ))
}

fn take(windows: &mut Windows, row: &Taken) -> (Vec<f64>, Vec<f32>) {
    let (mut out, mut sequence_out) = (Vec::new(), Vec::new());
    let observation = Observation {
        id: row.id,
        event_time_us: row.time_us,
        values: &row.values,
        earlier_columns: &[row.earlier],
    };
    windows.transaction(NAMES[row.entity], &observation, &mut out, &mut sequence_out);
    (out, sequence_out)
}

fn bytes(windows: &Windows) -> Vec<u8> {
    postcard::to_stdvec(windows).unwrap()
}

fn restored(windows: &Windows) -> Windows {
    let state: WindowsState = postcard::from_bytes(&bytes(windows)).unwrap();
    Windows::restore(Arc::clone(windows.plan()), state).unwrap()
}

fn differs(found: f64, expected: f64) -> bool {
    !(found.is_nan() && expected.is_nan() || (found - expected).abs() <= 1e-9 * expected.abs().max(1.0))
}

fn bits(out: &(Vec<f64>, Vec<f32>)) -> (Vec<u64>, Vec<u32>) {
    (
        out.0.iter().map(|value| value.to_bits()).collect(),
        out.1.iter().map(|value| value.to_bits()).collect(),
    )
}

fn check_against_oracle(steps: &[Step], length: usize) -> Result<(), TestCaseError> {
    let (specs, sequence) = (specs(), sequence(length));
    let mut windows = Windows::new(plan(length));
    let mut oracle = Oracle::default();
    let all = transactions(steps);
    let (mut come, mut clock) = (0, START);
    for step in steps {
        match *step {
            Step::Transaction { advance_s, .. } => {
                let row = all[come];
                come += 1;
                clock += advance_s * SECOND;
                let expected = oracle.take(row, &specs);
                let (out, sequence_out) = take(&mut windows, &row);
                for (name, (found, expected)) in windows.plan().names().iter().zip(out.iter().zip(&expected))
                {
                    prop_assert!(
                        !differs(*found, *expected),
                        "row {come} {name}: {found}, not {expected}"
                    );
                }
                let expected = oracle.sequence(&sequence, &specs, &expected);
                prop_assert_eq!(sequence_out.len(), expected.len());
                for (found, expected) in sequence_out.iter().zip(&expected) {
                    let close = (found - expected).abs() <= 1e-5 * expected.abs().max(1.0);
                    prop_assert!(
                        close || found.is_nan() && expected.is_nan(),
                        "{sequence_out:?}, not {expected:?}"
                    );
                }
            }
            Step::Label {
                which,
                after_s,
                fraud,
            } => {
                if let Some((row, known_at_us)) = label_of(&all, come, which, after_s) {
                    oracle.label(row.entity, row.id, known_at_us, fraud);
                    windows.label(NAMES[row.entity], row.id, known_at_us, fraud);
                }
            }
            Step::Forget { behind_s } => windows.forget(clock - behind_s * SECOND),
            Step::Snapshot => {
                let again = restored(&windows);
                prop_assert_eq!(bytes(&again), bytes(&windows));
                windows = again;
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// INV-4 and exactness: every row within the lateness has the values that a look at all events gives,
    /// whatever is forgotten, stored and restored on the way.
    #[test]
    fn every_value_is_that_of_the_oracle(steps in any_steps(LATENESS_S), length in 1_usize..6) {
        check_against_oracle(&steps, length)?;
    }

    /// INV-3: rows that are too late for exactness, and labels of unknown transactions, depend on the log
    /// alone too.
    #[test]
    fn a_restored_state_goes_on_as_the_original(steps in any_steps(60)) {
        let mut kept = Windows::new(plan(4));
        let mut stored = Windows::new(plan(4));
        let all = transactions(&steps);
        let (mut come, mut clock) = (0, START);
        for step in &steps {
            match *step {
                Step::Transaction { advance_s, .. } => {
                    clock += advance_s * SECOND;
                    prop_assert_eq!(bits(&take(&mut kept, &all[come])), bits(&take(&mut stored, &all[come])));
                    come += 1;
                }
                Step::Label { which, after_s, fraud } => {
                    let entity = NAMES[which % 3];
                    let known_at_us = clock + (after_s - 5) * SECOND;
                    kept.label(entity, id(which % 300), known_at_us, fraud);
                    stored.label(entity, id(which % 300), known_at_us, fraud);
                }
                Step::Forget { behind_s } => {
                    kept.forget(clock - behind_s * SECOND);
                    stored.forget(clock - behind_s * SECOND);
                }
                Step::Snapshot => stored = restored(&stored),
            }
            prop_assert_eq!(kept.observations(), stored.observations());
        }
        prop_assert_eq!(bytes(&kept), bytes(&stored));
        kept.forget(clock + 100 * SECOND);
        prop_assert_eq!((kept.entities(), kept.observations()), (0, 0));
    }

    /// What comes from outside may be nonsense; it must not stop the stage.
    #[test]
    fn no_time_and_no_value_is_too_absurd(
        events in prop::collection::vec((any::<i64>(), any::<[i64; 2]>(), any::<u8>(), any::<bool>()), 0..60)
    ) {
        let mut windows = Windows::new(plan(3));
        for (number, (time_us, values, which, flag)) in events.into_iter().enumerate() {
            let row = Taken { id: id(number), entity: usize::from(which % 2), time_us, values, earlier: 0.0 };
            match which % 8 {
                0..=4 => drop(take(&mut windows, &row)),
                5 => windows.label("a", id(usize::from(which) % 60), time_us, flag),
                6 => windows.forget(time_us),
                _ => windows = restored(&windows),
            }
        }
    }
}
