#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::Column;

/// Images of which the logit and a feature tell something.
fn images(count: u32, direction: f64) -> (Vec<f64>, FeatureRows, Vec<f32>) {
    let draw = |at: u32, step: u32| f64::from(at * step % 997) / 997.0;
    let each = (0..count).map(|at| {
        let (logit, seen) = (6.0 * draw(at, 7919) - 3.0, (at * 31 % 5).saturating_sub(2));
        let risk = sigmoid(direction * logit + 2.0 * f64::from(seen) - 1.0);
        let label = if draw(at, 613) < risk { 1.0 } else { 0.0 };
        (logit, if at % 7 == 3 { f64::NAN } else { f64::from(seen) }, label)
    });
    let (mut logits, mut seen, mut labels) = (Vec::new(), Vec::new(), Vec::new());
    for (logit, value, label) in each {
        logits.push(logit);
        seen.push(value);
        labels.push(label);
    }
    let mut rows = Rows::new(seen.len());
    rows.insert("seen", Column::Numeric(seen)).unwrap();
    let schema = FeatureSchema::of(&["seen"], &[]).unwrap();
    (logits, FeatureRows::new(&schema, &rows).unwrap(), labels)
}

fn fit(count: u32, direction: f64) -> (ImageHead, Vec<f64>, Vec<f64>) {
    let (logits, features, labels) = images(count, direction);
    let sample = Sample {
        logits: &logits,
        features: &features,
        labels: &labels,
    };
    let (head, left_out) = ImageHead::fit(&sample);
    (head, left_out, logits)
}

#[test]
fn slopes_are_those_the_labels_were_drawn_by() {
    let (head, _, _) = fit(4_000, 0.5);
    let ImageHead::Logistic(head) = head else {
        panic!("{head:?}")
    };
    assert!((head.slope - 0.5).abs() < 0.15, "{head:?}");
    // ln(1 + 1) and ln(1 + 2) stand for 1 and 2.
    assert!((head.terms[0].slope - 2.0 * 1.9).abs() < 0.8, "{head:?}");
}

#[test]
fn a_network_that_is_wrong_is_flattened_and_not_turned_around() {
    let (head, _, _) = fit(600, -1.0);
    let ImageHead::Logistic(head) = head else {
        panic!("{head:?}")
    };
    assert_eq!(head.slope, MIN_SLOPE);
    assert!(head.terms[0].slope > 1.0, "{head:?}");
}

#[test]
fn too_few_images_of_a_class_leave_the_network_as_it_is() {
    let (logits, features, labels) = images(60, 0.5);
    let mut few = vec![0.0; labels.len()];
    few[..4].fill(1.0);
    for labels in [few, vec![1.0; labels.len()]] {
        let (head, left_out) = ImageHead::fit(&Sample {
            logits: &logits,
            features: &features,
            labels: &labels,
        });
        assert_eq!(head, ImageHead::Calibration(Calibration::Identity));
        assert_eq!(left_out, logits);
    }
}

#[test]
fn a_feature_that_separates_few_images_stays_finite() {
    let logits: Vec<f64> = (0..40).map(|at| f64::from(at % 9) - 4.0).collect();
    let labels: Vec<f32> = (0..40).map(|at| if at % 4 == 0 { 1.0 } else { 0.0 }).collect();
    let mut rows = Rows::new(40);
    let seen = labels.iter().map(|&label| f64::from(label)).collect();
    rows.insert("seen", Column::Numeric(seen)).unwrap();
    let features = FeatureRows::new(&FeatureSchema::of(&["seen"], &[]).unwrap(), &rows).unwrap();
    let sample = Sample {
        logits: &logits,
        features: &features,
        labels: &labels,
    };
    let all: Vec<usize> = (0..40).collect();
    let head = LogisticHead::fit(&sample, &all).unwrap();
    assert!((1.0..20.0).contains(&head.terms[0].slope), "{head:?}");
}

#[test]
fn images_are_judged_by_heads_that_did_not_see_them() {
    let (head, left_out, logits) = fit(300, 0.5);
    let (_, features, labels) = images(300, 0.5);
    let seen: Vec<f64> = (0..300)
        .map(|at| head.logit(logits[at], features.row(at)))
        .collect();
    assert!(mean_loss(&left_out, &labels) > mean_loss(&seen, &labels));
    assert!(seen.iter().zip(&left_out).all(|(a, b)| (a - b).abs() < 1.5));
}

proptest! {
    #[test]
    fn the_probability_rises_with_the_logit_and_terms_add_up(
        count in 30..300_u32, direction in -1.0..1.0_f64, seen in 0.0..1e6_f64, mut probes in proptest::collection::vec(-40.0..40.0_f64, 2..20),
    ) {
        let (head, _, _) = fit(count, direction);
        probes.sort_by(f64::total_cmp);
        for seen in [seen, f64::NAN] {
            let logits: Vec<f64> = probes.iter().map(|&probe| head.logit(probe, &[seen])).collect();
            prop_assert!(logits.is_sorted(), "{:?}", head);
            for (&probe, logit) in probes.iter().zip(logits) {
                let p = ImageHead::probability(logit);
                prop_assert!(0.0 < p && p < 1.0);
                let (terms, base) = (head.terms(probe, &[seen]), head.terms(0.0, &[0.0]));
                let moved: f64 = terms.iter().zip(base).map(|(term, base)| term - base).sum();
                prop_assert!((moved - (logit - head.logit(0.0, &[0.0]))).abs() < 1e-9);
            }
        }
        let json = serde_json::to_string(&head).unwrap();
        prop_assert_eq!(serde_json::from_str::<ImageHead>(&json).unwrap(), head);
    }
}
