//! The rules against a simulated world: raw partitions → ingest → two keyed stages → scorer and lake, with
//! crashes, owners that have been replaced and write on, old snapshots, rebalances and lost batches.
//!
//! One seed is one configuration, one input and one schedule: a failure repeats with its seed.
//! `EVENTLOG_RUNS` asks for more runs, `EVENTLOG_SEED` for others.
#![allow(clippy::unwrap_used, unreachable_pub, missing_docs)]

#[path = "pipeline/edge.rs"]
mod edge;
#[path = "pipeline/ingest.rs"]
mod ingest;
#[path = "pipeline/input.rs"]
mod input;
#[path = "pipeline/keyed.rs"]
mod keyed;
#[path = "pipeline/log.rs"]
mod log;
#[path = "pipeline/mutation.rs"]
mod mutation;
#[path = "pipeline/oracle.rs"]
mod oracle;
#[path = "pipeline/random.rs"]
mod random;
#[path = "pipeline/world.rs"]
mod world;

use std::collections::BTreeMap;

use input::{Config, Mode};
use log::{Failure, check};
use mutation::Mutation;
use random::Random;
use world::World;

#[allow(clippy::disallowed_methods, reason = "a test's own settings")]
fn from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

fn seeds(runs: u64) -> std::ops::Range<u64> {
    let first = from_environment("EVENTLOG_SEED", 1);
    first..first + from_environment("EVENTLOG_RUNS", runs)
}

/// One seed: a disturbed and an undisturbed run of the same input.
fn run(seed: u64, mutation: Option<Mutation>) -> Result<String, Failure> {
    let mut random = Random::new(seed);
    let mut c = Config::new(&mut random);
    let raw = input::inputs(&c, &mut random);
    let world = World::new(&c, &raw, seed, mutation, true);
    let (rows, lost) = match world
        .go()
        .and_then(|world| Ok((oracle::verify(&world)?, world.s)))
    {
        Ok((rows, s)) => (rows, unnoticed(&s)),
        Err(Failure::Gap(_)) if c.loss => return Ok("loss found".to_owned()), // a real loss raises the alarm
        Err(failure) => return Err(failure),
    };
    check(!lost, || "(b) a loss went unnoticed".to_owned())?;
    (c.loss, c.workers) = (false, 1);
    let calm = oracle::verify(&World::new(&c, &raw, seed, mutation, false).go()?)?;
    if c.mode != Mode::Live {
        let expected = oracle::expected(&c, &raw);
        for (name, other) in [
            ("the brute-force computation", &expected),
            ("the undisturbed run", &calm),
        ] {
            for (id, row) in &rows {
                check(Some(row) == other.get(id), || {
                    format!(
                        "(f) {:?}: {row:?} differs from {name}: {:?}",
                        c.mode,
                        other.get(id)
                    )
                })?;
            }
        }
    }
    Ok(format!("{:?}", c.mode))
}

/// Whether a batch was lost and nobody has written its rows again.
fn unnoticed(s: &log::Shared) -> bool {
    s.lost.as_ref().is_some_and(|(writer, last)| {
        let written = |record: &log::Record| {
            record.header().writer == *writer && record.rows.last().is_some_and(|(index, _)| index >= last)
        };
        !s.logs.iter().flatten().flatten().any(written)
    })
}

#[test]
fn the_rules_hold_in_any_world() {
    let mut tally: BTreeMap<String, usize> = BTreeMap::new();
    let range = seeds(1000);
    for seed in range.clone() {
        match run(seed, None) {
            Ok(kind) => *tally.entry(kind).or_default() += 1,
            Err(failure) => panic!("EVENTLOG_SEED={seed} EVENTLOG_RUNS=1: {failure}"),
        }
    }
    let kinds = ["Backfill", "Live", "Phased", "Resumed", "Streamed", "loss found"];
    if range.end - range.start >= 1000 {
        assert_eq!(
            tally.keys().collect::<Vec<_>>(),
            kinds,
            "every kind of world is among the runs"
        );
    }
}

#[test]
fn every_broken_rule_is_noticed() {
    let range = seeds(4000); // the rarest shows in about one of 600
    let unnoticed: Vec<Mutation> = mutation::ALL
        .iter()
        .filter(|&&mutation| range.clone().all(|seed| run(seed, Some(mutation)).is_ok()))
        .copied()
        .collect();
    assert_eq!(unnoticed, [], "broken rules that {range:?} did not show");
}
