#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;

use super::fixture::{bundle, labels, rows, schema, settings, trained};
use super::*;
use crate::Scorer;
use crate::metrics::average_precision;

#[test]
fn the_same_request_gives_the_same_bundle_and_another_seed_another() {
    let again = trained(1, &settings(), None).unwrap().bundle;
    assert_eq!(again.version(), bundle().version());
    assert_eq!(again, bundle());
    assert_ne!(
        trained(2, &settings(), None).unwrap().bundle.weights,
        bundle().weights
    );
}

#[test]
fn a_trained_bundle_ranks_rows_it_never_saw() {
    let unseen = rows(1_000, 99);
    let probabilities = Scorer::new(&bundle()).unwrap().probabilities(&unseen).unwrap();
    let found = average_precision(&probabilities, &labels(&unseen)).unwrap();
    assert!(found > 0.9, "{found}");
    let measured = &bundle().manifest.metrics;
    assert!(
        measured.values["average_precision"] > 0.9 && measured.values["expected_calibration_error"] < 0.05
    );
    assert_eq!((measured.from_us, measured.to_us), (1_500_000_000, 1_999_000_000));
    assert_eq!(bundle().manifest.lineage.training_to_us, 1_499_000_000);
}

#[test]
fn scoring_the_validation_rows_reproduces_the_measures() {
    let all = rows(2_000, 11);
    let later: Vec<usize> = (1_500..2_000).collect();
    let validation = all.select(&later);
    let bundle = bundle();
    let probabilities = Scorer::new(&bundle).unwrap().probabilities(&validation).unwrap();
    let measures = evaluate(&probabilities, &labels(&validation), &bundle.manifest.thresholds);
    assert_eq!(
        measures, bundle.manifest.metrics.values,
        "training and scoring share every step"
    );
}

#[test]
fn fine_tuning_starts_where_its_parent_ended() {
    let mut gentle = settings();
    gentle.optimiser.max_epochs = 2;
    gentle.optimiser.learning_rate = 1e-5;
    let child = trained(5, &gentle, Some(&bundle())).unwrap();
    assert_eq!(
        child.bundle.manifest.lineage.parent_version,
        Some(bundle().version())
    );
    assert!(child.curves[0].validation_average_precision > 0.9);
    let mut wider = settings();
    wider.network.hidden = vec![40];
    assert!(matches!(
        trained(5, &wider, Some(&bundle())),
        Err(Error::WarmStart)
    ));
}

#[test]
fn requests_that_cannot_be_learned_from_are_refused() {
    let few = rows(40, 1);
    let times_us: Vec<i64> = (0..40).collect();
    let (schema, settings) = (schema(), settings());
    let request = TrainingRequest {
        schema: &schema,
        rows: &few,
        labels: &[0.0; 40],
        weights: None,
        times_us: &times_us,
        split: &TimeSplit::last_share(&times_us, 0.25),
        settings: &settings,
        seed: 1,
        start: None,
        provenance: Provenance::default(),
    };
    let mut go_on = |_: &EpochReport| ControlFlow::Continue(());
    assert!(matches!(
        train(&request, &mut go_on),
        Err(Error::TooFewRows {
            part: "training",
            positives: 0,
            ..
        })
    ));
    let short = TrainingRequest {
        labels: &[0.0; 39],
        ..request
    };
    assert!(matches!(
        train(&short, &mut go_on),
        Err(Error::Length { found: 39, .. })
    ));
}

#[test]
fn an_interrupted_training_keeps_the_members_it_began() {
    let rows = rows(600, 1);
    let labels = labels(&rows);
    let times_us: Vec<i64> = (0..600).collect();
    let (schema, settings) = (schema(), settings());
    let request = TrainingRequest {
        schema: &schema,
        rows: &rows,
        labels: &labels,
        weights: None,
        times_us: &times_us,
        split: &TimeSplit::last_share(&times_us, 0.25),
        settings: &settings,
        seed: 1,
        start: None,
        provenance: Provenance::default(),
    };
    let trained = train(&request, &mut |report| {
        if report.epoch == 3 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    let trained = trained.unwrap();
    assert_eq!(
        (trained.curves.len(), trained.bundle.manifest.network.members),
        (4, 1)
    );
    assert!(Scorer::new(&trained.bundle).is_ok());
}
