#![allow(clippy::unwrap_used)]

use super::fixture::{Data, bundle, schema, train};
use super::*;
use crate::bundle::{MANIFEST_FILE, PackageManifest};
use crate::metrics::{auc_roc, average_precision};
use crate::{Column, Error, FeatureSchema, Rows};

fn scorer() -> ImageRiskScorer {
    ImageRiskScorer::new(&bundle()).unwrap()
}

#[test]
fn an_image_scores_alike_alone_in_a_batch_and_from_the_stored_bundle() {
    let (scorer, data) = (scorer(), Data::new(40, 9));
    let together = scorer.score(&data.images, &data.rows).unwrap();
    let read = ImageBundle::decode_version(&bundle().encode(), &bundle().version()).unwrap();
    assert_eq!(read, bundle());
    let read = ImageRiskScorer::new(&read).unwrap();
    assert_eq!(read.score(&data.images, &data.rows).unwrap(), together);
    for at in [0, 17, 39] {
        let (image, row) = (data.images.select(&[at]), data.rows.select(&[at]));
        let alone = scorer.score(&image, &row).unwrap();
        assert_eq!(alone[0], together[at], "INV-5");
        assert_eq!(alone[0].logit.to_bits(), together[at].logit.to_bits());
    }
}

#[test]
fn contributions_add_up_to_the_distance_from_the_baseline() {
    let (scorer, data) = (scorer(), Data::new(60, 10));
    let names: Vec<&str> = scorer.contribution_names().collect();
    assert_eq!(
        names,
        ["image_seen_other_accounts", "image_seen_seconds_ago", "image"]
    );
    for scored in scorer.score(&data.images, &data.rows).unwrap() {
        assert_eq!(scored.contributions.len(), names.len());
        let sum: f64 = scored.contributions.iter().map(|&c| f64::from(c)).sum();
        assert!(
            (sum - (scored.logit - scorer.baseline_logit())).abs() < 1e-5,
            "{scored:?}"
        );
    }
}

#[test]
fn features_help_where_they_tell_something() {
    let (scorer, unseen) = (scorer(), Data::new(800, 11));
    assert!(matches!(bundle().manifest.head, ImageHead::Logistic(_)));
    let scored = scorer.score(&unseen.images, &unseen.rows).unwrap();
    let of = |value: &dyn Fn(&ImageScored) -> f64| {
        let values: Vec<f64> = scored.iter().map(value).collect();
        auc_roc(&values, &unseen.labels).unwrap()
    };
    let (whole, network) = (of(&|image| image.probability), of(&|image| image.network_logit));
    assert!(network > 0.7 && whole > network + 0.05, "{network} {whole}");
    let seen: Vec<f64> = scored.iter().map(|image| image.probability).collect();
    let found = average_precision(&seen, &unseen.labels).unwrap();
    let measured = bundle().manifest.metrics.values["average_precision"];
    assert!(
        (found - measured).abs() < 0.1,
        "{found} where {measured} was measured"
    );
}

#[test]
fn an_image_seen_under_more_accounts_is_not_less_suspect_and_missing_ones_are_counted() {
    let (scorer, data) = (scorer(), Data::new(1, 12));
    let scored = |others: f64, seconds: f64| {
        let mut row = Rows::new(1);
        row.insert("image_seen_other_accounts", Column::Numeric(vec![others]))
            .unwrap();
        row.insert("image_seen_seconds_ago", Column::Numeric(vec![seconds]))
            .unwrap();
        scorer.score(&data.images, &row).unwrap().remove(0)
    };
    let (few, many) = (scored(0.0, 60.0), scored(8.0, 60.0));
    assert!(many.contributions[0] > few.contributions[0]);
    assert!(many.probability > few.probability);
    assert_eq!(many.contributions[1..], few.contributions[1..]);
    let unknown = [scored(f64::INFINITY, f64::NAN), scored(1.0, f64::NAN), few];
    assert_eq!(unknown.map(|scored| scored.unknown_features), [2, 1, 0]);
}

#[test]
fn the_same_request_gives_the_same_bundle_and_a_start_is_remembered() {
    let data = Data::new(600, 5);
    let again = train(&data, &schema(), ImageBundleStart::Random).unwrap();
    assert_eq!(again.bundle, bundle());
    assert_eq!(again.validation, bundle().manifest.metrics.values);
    let start = bundle();
    let further = train(&data, &schema(), ImageBundleStart::Bundle(&start));
    let further = further.unwrap();
    let reached = again.curve.iter().rfind(|epoch| epoch.best).unwrap();
    assert_eq!(further.curve[0].validation_loss, reached.validation_loss);
    let further = further.bundle;
    assert_eq!(further.manifest.lineage.parent_version, Some(start.version()));
    let lineage = &start.manifest.lineage;
    assert_eq!(
        (lineage.training_from_us, lineage.training_to_us),
        (0, 359_000_000)
    );
    let measured = &start.manifest.metrics;
    assert_eq!((measured.from_us, measured.to_us), (360_000_000, 599_000_000));
}

#[test]
fn without_features_the_calibration_alone_decides() {
    let (data, none) = (Data::new(600, 5), FeatureSchema::of(&[], &[]).unwrap());
    let bundle = train(&data, &none, ImageBundleStart::Random).unwrap().bundle;
    assert!(matches!(bundle.manifest.head, ImageHead::Calibration(_)));
    let scorer = ImageRiskScorer::new(&bundle).unwrap();
    let scored = scorer.score(&data.images, &Rows::new(600)).unwrap();
    assert!(scored.iter().all(|image| image.contributions.len() == 1));
    let network = bundle
        .network()
        .unwrap()
        .scorer()
        .unwrap()
        .score(&data.images)
        .unwrap();
    assert!(
        scored
            .iter()
            .zip(network)
            .all(|(a, b)| a.network_logit == b.logit)
    );
}

#[test]
fn requests_and_images_that_do_not_fit_are_refused() {
    let mut data = Data::new(60, 5);
    for name in ["image", "kind"] {
        let texts = Column::Categorical(vec![None; 60]);
        data.rows.insert(name, texts).unwrap();
    }
    let refused = |numeric: &[&str], categorical: &[&str]| {
        let schema = FeatureSchema::of(numeric, categorical).unwrap();
        let error = train(&data, &schema, ImageBundleStart::Random).unwrap_err();
        error.to_string()
    };
    assert_eq!(refused(&["age"], &[]), "the rows lack the features age");
    assert!(refused(&[], &["kind"]).starts_with("the column kind is not a number"));
    assert!(refused(&["image"], &[]).contains("cannot be named image"));
    let refused =
        |images: &[usize], rows: Rows| scorer().score(&data.images.select(images), &rows).unwrap_err();
    assert!(matches!(
        refused(&[0, 1], data.rows.select(&[0])),
        Error::Length { .. }
    ));
    assert!(matches!(
        refused(&[0], Rows::new(1)),
        Error::MissingFeatures { .. }
    ));
}

#[test]
fn each_image_needs_its_label() {
    let mut data = Data::new(60, 5);
    data.labels.pop();
    let few = train(&data, &schema(), ImageBundleStart::Random).unwrap_err();
    assert_eq!(few.to_string(), "labels has 59 values where 60 are needed");
}

#[test]
fn manifests_that_contradict_themselves_are_refused() {
    let text = String::from_utf8(bundle().manifest.canonical()).unwrap();
    let altered = |from: &str, to: &str| {
        assert!(text.contains(from), "{from} in {text}");
        let manifest = (MANIFEST_FILE.to_owned(), text.replace(from, to).into_bytes());
        ImageBundle::decode(&[manifest, bundle().encode()[1].clone()]).unwrap_err()
    };
    assert!(matches!(
        altered("\"format\":1", "\"format\":2"),
        Error::Format { .. }
    ));
    assert!(matches!(
        altered("\"kind\":\"image\"", "\"kind\":\"video\""),
        Error::Manifest(_)
    ));
    assert!(matches!(
        altered("\"kind\":\"image\"", "\"kind\":\"transaction\""),
        Error::Kind { .. }
    ));
    assert!(matches!(
        altered("\"outputs\":1}", "\"outputs\":2}"),
        Error::Inconsistent { .. }
    ));
    assert!(matches!(altered("seconds_ago", "days_ago"), Error::Hash { .. }));
    assert!(matches!(
        altered(
            "{\"name\":\"image_seen_seconds_ago\",\"slope\"",
            "{\"name\":\"x\",\"slope\""
        ),
        Error::Inconsistent { .. }
    ));
    let mut files = bundle().encode();
    *files[1].1.last_mut().unwrap() ^= 1;
    assert!(matches!(
        ImageBundle::decode(&files),
        Err(Error::Hash { what: "weights", .. })
    ));
}
