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
            transactions: 1,
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
    let report = evaluate(&args(&scores, &labels, &flags), Some(&mapping)).expect("evaluates");
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
