#![allow(clippy::unwrap_used)]

use super::fixture::{Data, bundle, train};
use super::*;
use crate::bundle::{AnyManifest, MANIFEST_FILE, ModelKind, PackageManifest};
use crate::metrics::auc_roc;
use crate::training::fixture as transaction;
use crate::{Bundle, Column, Error, FeatureSchema, Scored};

fn scorer() -> FusionScorer {
    FusionScorer::new(&bundle()).unwrap()
}

fn auc(data: &Data, scored: &[Scored]) -> f64 {
    let scores: Vec<f64> = scored.iter().map(|row| row.probability).collect();
    auc_roc(&scores, &data.labels).unwrap()
}

#[test]
fn image_features_and_sequence_are_all_learned_from() {
    let (scorer, data) = (scorer(), Data::new(800, 33));
    assert!((100..700).contains(&data.frauds()));
    let whole = auc(&data, &scorer.score(&data.rows()).unwrap());
    let none = vec![None; 800];
    let no_images = scorer.score(&FusionRows {
        image_of: &none,
        ..data.rows()
    });
    let no_sequences = scorer.score(&FusionRows {
        sequences: &vec![vec![]; 800],
        ..data.rows()
    });
    let (no_images, no_sequences) = (
        auc(&data, &no_images.unwrap()),
        auc(&data, &no_sequences.unwrap()),
    );
    assert!(whole > 0.8, "{whole}");
    assert!(
        no_images < whole - 0.05 && no_sequences < whole - 0.02,
        "{no_images} {no_sequences} {whole}"
    );
    let measured = bundle().manifest.metrics.values["auc_roc"];
    assert!((measured - whole).abs() < 0.06, "{measured} {whole}");
}

#[test]
fn a_transaction_scores_alike_alone_in_a_batch_and_from_the_stored_bundle() {
    let (scorer, data) = (scorer(), Data::new(60, 9));
    let together = scorer.score(&data.rows()).unwrap();
    let read = FusionBundle::decode_version(&bundle().encode(), &bundle().version()).unwrap();
    assert_eq!(read, bundle());
    let read = FusionScorer::new(&read).unwrap();
    for row in [0, 1, 58, 59] {
        let alone = read.score(&data.select(&[row]).rows()).unwrap();
        assert_eq!(alone, together[row..=row], "INV-5");
        assert_eq!(alone[0].logit.to_bits(), together[row].logit.to_bits());
    }
}

#[test]
fn contributions_are_named_and_add_up() {
    let (scorer, data) = (scorer(), Data::new(100, 10));
    let names: Vec<&str> = scorer.contribution_names().collect();
    assert_eq!(names, ["amount", "channel", "risk", "image", "recent_sequence"]);
    let scored = scorer.score(&data.rows()).unwrap();
    let with = |rows: FusionRows<'_>| scorer.score(&rows).unwrap();
    let baseline = bundle().manifest;
    let baseline = baseline.feature_schema.row(&baseline.baseline).unwrap();
    let at_baseline = with(FusionRows {
        rows: &baseline.select(&[0; 100]),
        ..data.rows()
    });
    let without_image = with(FusionRows {
        image_of: &[None; 100],
        ..data.rows()
    });
    for (row, scored) in scored.iter().enumerate() {
        assert_eq!(scored.contributions.len(), names.len());
        let sum: f64 = scored.contributions[..3].iter().map(|&c| f64::from(c)).sum();
        assert!(
            (sum - (scored.logit - at_baseline[row].logit)).abs() < 1e-4,
            "row {row}"
        );
        let lost = scored.logit - without_image[row].logit;
        assert!((f64::from(scored.contributions[3]) - lost).abs() < 1e-6);
        assert_eq!(scored.contributions[3] == 0.0, data.image_of[row].is_none());
        assert_eq!(scored.contributions[4] == 0.0, data.sequences[row].is_empty());
    }
}

#[test]
fn the_same_request_gives_the_same_bundle_and_names_the_images_network() {
    let again = train(&Data::new(1_600, 21), &transaction::schema(), 2).unwrap();
    assert_eq!(again.bundle, bundle());
    assert_eq!(again.validation, bundle().manifest.metrics.values);
    let image = crate::image::fixture::bundle();
    let manifest = bundle().manifest;
    assert_eq!(manifest.image_version, image.version());
    assert_eq!(manifest.lineage.training_to_us, 1_199_000_000);
    let (network, _) = bundle().networks().unwrap();
    assert_eq!(
        network.weights,
        image.network().unwrap().weights,
        "it learned nothing"
    );
}

#[test]
fn requests_and_transactions_that_do_not_fit_are_refused() {
    let mut data = Data::new(80, 5);
    data.rows.insert("image", Column::Numeric(vec![0.0; 80])).unwrap();
    let refused = |names: &[&str], width| {
        let schema = FeatureSchema::of(names, &[]).unwrap();
        train(&data, &schema, width).unwrap_err().to_string()
    };
    assert!(refused(&["image"], 2).contains("cannot be named image"));
    assert_eq!(refused(&["age"], 2), "the rows lack the features age");
    assert_eq!(
        refused(&["amount"], 0),
        "the setting fusion.step_width must be at least 1"
    );
    let scorer = scorer();
    let refused = |data: FusionRows<'_>| scorer.score(&data).unwrap_err().to_string();
    let one = data.select(&[1]);
    let images_of = FusionRows {
        image_of: &[],
        ..one.rows()
    };
    assert_eq!(
        refused(images_of),
        "images of rows has 0 values where 1 are needed"
    );
    let absent = FusionRows {
        image_of: &[Some(40)],
        ..one.rows()
    };
    assert!(refused(absent).contains("an image that is not there"));
    let broken = FusionRows {
        sequences: &[vec![1.0; 3]],
        ..one.rows()
    };
    assert_eq!(refused(broken), "a sequence has 3 values where 4 are needed");
}

#[test]
fn manifests_that_contradict_themselves_are_refused() {
    let files = bundle().encode();
    let any = crate::Package::<AnyManifest>::decode(&files).unwrap();
    assert_eq!(
        (any.manifest.kind(), any.version()),
        (ModelKind::Fusion, bundle().version())
    );
    assert!(matches!(Bundle::decode(&files), Err(Error::Kind { .. })));
    let text = String::from_utf8(bundle().manifest.canonical()).unwrap();
    let altered = |from: &str, to: &str| {
        assert!(text.contains(from), "{from} in {text}");
        let manifest = (MANIFEST_FILE.to_owned(), text.replacen(from, to, 1).into_bytes());
        FusionBundle::decode(&[manifest, files[1].clone()]).unwrap_err()
    };
    assert!(matches!(
        altered("\"image_width\":16", "\"image_width\":17"),
        Error::Inconsistent { .. }
    ));
    assert!(matches!(
        altered("\"step_width\":2", "\"step_width\":3"),
        Error::Inconsistent { .. }
    ));
    assert!(matches!(
        altered("\"deviations\":[", "\"deviations\":[1.0,"),
        Error::Inconsistent { .. }
    ));
    assert!(matches!(altered("\"amount\"", "\"other\""), Error::Hash { .. }));
    assert!(matches!(altered(",", " ,"), Error::NotCanonical));
    let mut damaged = files.clone();
    *damaged[1].1.last_mut().unwrap() ^= 1;
    assert!(matches!(
        FusionBundle::decode(&damaged),
        Err(Error::Hash { what: "weights", .. })
    ));
}
