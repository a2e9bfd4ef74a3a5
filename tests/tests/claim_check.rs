//! Images that a record names instead of holding them: in a bucket of S3-compatible storage.

#![allow(clippy::unwrap_used, reason = "in a test a failure is the message")]

use std::collections::BTreeSet;
use std::time::Duration;

use imaging::Image;
use serde_json::Value;
use testkit::{S3, wait_until};
use tests::{Pipeline, Raw, Worker, read_topic, send};

const PATIENCE: Duration = Duration::from_secs(120);
/// 2025-01-05
const START_MS: i64 = 1_736_035_200_000;

fn document(number: u8) -> Vec<u8> {
    let pixels = (0..40_u8).flat_map(|y| (0..60_u8).flat_map(move |x| [x.wrapping_mul(number), y, 90]));
    Image::new(60, 40, pixels.collect()).to_png()
}

/// Only what lies below an allowed address is ever asked for.
#[test]
fn images_come_from_the_bucket_that_is_allowed_and_from_no_other() {
    let storage = S3::start();
    for number in 0..6 {
        storage.put("documents", &format!("inbox/{number}.png"), &document(number + 1));
    }
    storage.put("documents", "private/1.png", &document(1));
    storage.put("others", "inbox/1.png", &document(1));
    storage.put("documents", "inbox/broken.png", &document(1)[..60]);
    let variables = storage.variables();
    let allowed = [("ingest.images.fetch_from", r#"["s3://documents/inbox"]"#)];
    let mut pipeline = Pipeline::with_variables("claims", &allowed, &variables);
    [Worker::Ingest, Worker::Preprocess, Worker::Scorer]
        .into_iter()
        .for_each(|worker| pipeline.start(worker));
    let claim = |id: &str, uri: &str| Raw::receipt(id, id, START_MS, ("uri", uri));
    let good = |number| {
        let uri = format!("s3://documents/inbox/{number}.png");
        claim(&format!("i{number}"), &uri)
    };
    send(&pipeline, "images", &(0..6).map(good).collect::<Vec<_>>());
    let bad = [
        ("s3://documents/private/1.png", "missing_content"),
        ("s3://others/inbox/1.png", "missing_content"),
        ("s3://documents/inbox/../private/1.png", "missing_content"),
        ("s3://documents/inbox/none.png", "missing_content"),
        ("http://127.0.0.1/1.png", "missing_content"),
        ("s3://documents/inbox/broken.png", "invalid_image"),
    ];
    send(&pipeline, "images", &bad.map(|(uri, _)| claim("bad", uri)));
    pipeline.wait_for("scores", 6, PATIENCE);
    let (kafka, topic) = (pipeline.kafka(), pipeline.topic("dead_letters"));
    wait_until("all letters", PATIENCE, || {
        read_topic(&kafka, &topic).len() >= bad.len()
    });
    pipeline.stop_all();

    let scored: BTreeSet<String> = pipeline
        .consume("scores")
        .iter()
        .map(|score| score["image_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(scored, (0..6).map(|number| format!("i{number}")).collect());
    let mut found: Vec<(String, String)> = read_topic(&kafka, &topic)
        .iter()
        .map(|letter| {
            let record: Value = serde_json::from_slice(letter.payload.as_deref().unwrap()).unwrap();
            let reason = letter.header("riskstream.reason").unwrap().to_vec();
            (
                record["uri"].as_str().unwrap().to_owned(),
                String::from_utf8(reason).unwrap(),
            )
        })
        .collect();
    let mut expected = bad
        .map(|(uri, reason)| (uri.to_owned(), reason.to_owned()))
        .to_vec();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}
