//! Tests of the whole evaluation, on files.

use std::path::Path;

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: EvaluateArgs,
}

/// A folder of a test's own, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("riskstream-evaluate-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for the test");
        Self(folder)
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).expect("writes");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn args(scores: &Path, labels: &Path, more: &[&str]) -> EvaluateArgs {
    let files = [
        "evaluate",
        "--scores",
        &scores.to_string_lossy(),
        "--labels",
        &labels.to_string_lossy(),
    ];
    Cli::try_parse_from(files.iter().chain(more))
        .expect("right flags")
        .args
}

const SCORES: &str = r#"
{"transaction_id":"1","score":null,"decision":"review","event_time":"2025-01-01T10:00:00Z","entities":{"card":"a"}}
{"transaction_id":"2","score":0.9,"decision":"decline","event_time":"2025-01-08T10:00:00Z","entities":{"card":"a"},"version":"v1"}
{"transaction_id":"3","score":0.2,"decision":"approve","event_time":"2025-01-08T11:00:00Z","entities":{"card":"b"},"version":"v1"}
{"transaction_id":"4","score":0.1,"decision":"approve","event_time":"2025-01-09T11:00:00Z","entities":{"card":"c"},"version":"v1"}
{"transaction_id":"5","score":0.6,"decision":"review","event_time":"2025-01-10T11:00:00Z","entities":{"card":"a"},"version":"v2"}
{"transaction_id":"3","score":0.3,"revision":1,"decision":"approve","event_time":"2025-01-08T11:00:00Z","entities":{"card":"b"},"version":"v2"}
"#;

const LABELS: &str =
    "transaction_id,fraud,label_known_at\n1,1,2025-01-08T12:00:00Z\n2,1,\n3,0,\n4,0,\n5,0,\n";

#[test]
fn scores_and_labels_of_different_formats_meet() {
    let folder = Folder::new("meet");
    let (scores, labels) = (folder.file("s.ndjson", SCORES), folder.file("l.csv", LABELS));
    let report = evaluate(&args(&scores, &labels, &["--threshold", "0.5"]), None).expect("evaluates");
    let counts = &report.counts;
    assert_eq!((counts.records, counts.evaluated, counts.frauds), (6, 4, 1));
    assert_eq!((counts.unscored, counts.repeated, report.models.len()), (1, 1, 2));
    assert_eq!((report.auc_roc, report.average_precision), (Some(1.0), Some(1.0)));
    assert_eq!(
        (report.thresholds[0].flagged, report.thresholds[0].precision),
        (2, Some(0.5))
    );
    assert_eq!(
        report.decisions["review"],
        report::Decided {
            evaluated: 1,
            frauds: 0
        }
    );
}

#[test]
fn cards_known_before_the_day_began_leave() {
    let folder = Folder::new("cards");
    let (scores, labels) = (folder.file("s.ndjson", SCORES), folder.file("l.csv", LABELS));
    let flags = [
        "--card-column",
        "card",
        "--exclude-known-cards",
        "--cards-per-day",
        "1",
    ];
    let report = evaluate(&args(&scores, &labels, &flags), None).expect("evaluates");
    assert_eq!(
        report.counts.known_cards, 1,
        "card a was known from the 9th on: its row of the 10th leaves"
    );
    let cards = report.card_precision.expect("cards are told apart");
    assert_eq!((cards.days, cards.value), (2, 0.5));

    let forgetting = [&flags[..], &["--known-since", "2025-01-02"]].concat();
    let report = evaluate(&args(&scores, &labels, &forgetting), None).expect("evaluates");
    assert_eq!(
        report.counts.known_cards, 0,
        "the only fraud that became known lies before"
    );
}

#[test]
fn a_period_cuts_and_unlabelled_ones_may_be_left_out() {
    let folder = Folder::new("period");
    let scores = folder.file("s.ndjson", SCORES);
    let labels = folder.file(
        "l.ndjson",
        r#"{"transaction_id":"2","label":"fraud","known_at":"2025-01-09T00:00:00Z"}"#,
    );
    let flags = ["--from", "2025-01-08", "--to", "2025-01-10"];
    let report = evaluate(&args(&scores, &labels, &flags), None).expect("evaluates");
    assert_eq!(
        (
            report.counts.outside,
            report.counts.evaluated,
            report.counts.unlabelled
        ),
        (2, 3, 2)
    );
    let flags = [&flags[..], &["--unlabelled", "leave-out"]].concat();
    let report = evaluate(&args(&scores, &labels, &flags), None).expect("evaluates");
    assert_eq!((report.counts.evaluated, report.auc_roc), (1, None));
}

#[test]
fn a_mapping_tells_columns_and_delay() {
    let folder = Folder::new("mapping");
    let scores = folder.file("s.ndjson", SCORES);
    let labels = folder.file(
        "l.csv",
        "id,t,cust,bad\n1,36000,a,1\n2,640800,a,1\n3,644400,b,0\n4,730800,c,0\n5,817200,a,0\n",
    );
    let mapping: Mapping = serde_json::from_value(serde_json::json!({
        "transaction_id": "id",
        "event_time": {"column": "t", "unit": "s", "origin": "2025-01-01T00:00:00Z"},
        "amount": "amount",
        "currency": {"constant": "EUR"},
        "entities": {"card": "cust"},
        "label": {"column": "bad", "delay": "7d"}
    }))
    .expect("a mapping");
    let flags = ["--mapping", "m", "--card-column", "card", "--exclude-known-cards"];
    let report = evaluate(
        &args(&scores, &labels, &flags),
        Some(LabelMapping::Transactions(&mapping)),
    )
    .expect("evaluates");
    assert_eq!((report.counts.evaluated, report.counts.known_cards), (3, 1));
}

#[test]
fn what_is_missing_is_named() {
    let folder = Folder::new("missing");
    let scores = folder.file("s.ndjson", SCORES);
    let labels = folder.file("l.csv", "transaction_id,bad\n1,1\n");
    let error = |flags: &[&str], labels: &Path| {
        format!(
            "{:#}",
            evaluate(&args(&scores, labels, flags), None).expect_err("something is missing")
        )
    };
    assert!(error(&[], &labels).contains("--label-column"));
    assert!(error(&["--label-column", "worse"], &labels).contains("worse"));
    let flags = [
        "--label-column",
        "bad",
        "--card-column",
        "card",
        "--exclude-known-cards",
    ];
    assert!(error(&flags, &labels).contains("--known-at-column"));
    let strangers = folder.file("x.csv", "transaction_id,fraud\n77,1\n");
    assert!(error(&[], &strangers).contains("no label belongs"));
}

#[test]
fn the_text_report_is_readable() {
    let folder = Folder::new("text");
    let (scores, labels) = (folder.file("s.ndjson", SCORES), folder.file("l.csv", LABELS));
    let mut text = Vec::new();
    run(
        &args(&scores, &labels, &["--card-column", "card"]),
        None,
        &mut text,
    )
    .expect("evaluates");
    let text = String::from_utf8(text).expect("a text");
    assert!(
        text.contains("evaluated  4 transactions, 1 frauds (25.00 %)"),
        "{text}"
    );
    assert!(text.contains("average precision     1.0000"), "{text}");
}

/// Scores of both, one of an image that belongs to a transaction; image i4 was scored while no model was there.
const OF_IMAGES: &str = r#"
{"image_id":"i0","transaction_id":"2","score":0.8,"decision":"decline","event_time":"2025-01-08T10:00:00Z","version":"v9"}
{"image_id":"i1","score":0.3,"decision":"approve","event_time":"2025-01-08T10:01:00Z","version":"v9"}
{"image_id":"i2","score":0.6,"decision":"review","event_time":"2025-01-08T10:02:00Z","version":"v9"}
{"image_id":"i3","score":0.1,"decision":"approve","event_time":"2025-01-08T10:03:00Z","version":"v9"}
{"image_id":"i4","score":null,"decision":"review","event_time":"2025-01-08T10:04:00Z"}
"#;

#[test]
fn images_and_transactions_are_measured_apart() {
    let folder = Folder::new("apart");
    let scores = folder.file("s.ndjson", &format!("{SCORES}{OF_IMAGES}"));
    let labels = folder.file(
        "l.ndjson",
        "{\"transaction_id\":\"2\",\"label\":\"fraud\"}\n{\"image_id\":\"i0\",\"label\":\"genuine\"}\n\
         {\"image_id\":\"i1\",\"label\":\"genuine\"}\n{\"image_id\":\"i2\",\"label\":\"fraud\"}\n",
    );
    let report = |flags: &[&str]| evaluate(&args(&scores, &labels, flags), None).expect("evaluates");
    let of_transactions = report(&[]);
    let counts = &of_transactions.counts;
    assert_eq!((counts.others, counts.evaluated, counts.frauds), (5, 4, 1));
    assert_eq!(
        (of_transactions.average_precision, counts.repeated),
        (Some(1.0), 1)
    );
    assert!(!of_transactions.models.contains_key("v9"));

    let of_images = report(&["--images"]);
    let counts = &of_images.counts;
    assert_eq!((counts.records, counts.others, counts.evaluated), (11, 6, 4));
    assert_eq!((counts.unscored, counts.unlabelled, counts.frauds), (1, 1, 1));
    // By score: genuine, fraud, genuine, none, which counts as genuine.
    assert_eq!(of_images.average_precision, Some(0.5));
    assert_eq!(of_images.auc_roc, Some(2.0 / 3.0));
    let json = serde_json::to_value(&of_images).expect("serialises");
    assert_eq!(
        (json["subjects"].as_str(), json["counts"]["frauds"].as_u64()),
        (Some("images"), Some(1))
    );
}

#[test]
fn a_transaction_that_was_scored_with_its_image_is_a_transaction() {
    let folder = Folder::new("fused");
    let scores = folder.file(
        "s.ndjson",
        r#"
{"subject":"transaction","transaction_id":"1","image_id":"i0","revision":1,"score":0.9,"decision":"decline","event_time":"2025-01-08T10:00:00Z"}
{"subject":"image","transaction_id":"1","image_id":"i0","revision":0,"score":0.2,"decision":"approve","event_time":"2025-01-08T10:00:00Z"}
{"subject":"transaction","transaction_id":"2","image_id":null,"revision":0,"score":0.5,"decision":"approve","event_time":"2025-01-08T10:00:00Z"}
"#,
    );
    let labels = folder.file("l.csv", "transaction_id,fraud\n1,1\n2,0\n");
    let report = evaluate(&args(&scores, &labels, &[]), None).expect("evaluates");
    assert_eq!((report.counts.others, report.counts.evaluated), (1, 2));
    assert_eq!(report.average_precision, Some(1.0));
}

#[test]
fn a_mapping_of_images_tells_which_rows_were_frauds() {
    let folder = Folder::new("images");
    let scores = folder.file("s.ndjson", OF_IMAGES);
    let labels = folder.file("l.csv", "scan,bad\na,0\nb,0\nc,1\nd,0\ne,1\n");
    let mapping: ImageMapping = serde_json::from_value(serde_json::json!({
        "image_id": {"row": "i"},
        "event_time": {"start": "2025-01-08T10:00:00Z", "step": "1m"},
        "kind": {"constant": "receipt"},
        "content": {"file": "scan"},
        "label": {"column": "bad", "delay": "7d", "emit": "all"}
    }))
    .expect("a mapping");
    let mut text = Vec::new();
    let args = args(&scores, &labels, &["--images", "--mapping", "m"]);
    run(&args, Some(LabelMapping::Images(&mapping)), &mut text).expect("evaluates");
    let text = String::from_utf8(text).expect("a text");
    assert!(text.contains("evaluated  4 images, 1 frauds (25.00 %)"), "{text}");
    assert!(text.contains("1 without a score"), "{text}");
    assert!(text.contains("average precision     0.5000"), "{text}");
    assert!(text.contains("decision        images    frauds"), "{text}");
    let without = folder.file("t.ndjson", SCORES);
    let columns = ["--images", "--id-column", "scan", "--label-column", "bad"];
    let error = evaluate(&self::args(&without, &labels, &columns), None).expect_err("no images");
    assert!(
        format!("{error:#}").contains("scores have no column image_id"),
        "{error:#}"
    );
}
