//! Tests of mappings.

use super::*;
use crate::event::Verdict;

fn mapping() -> Mapping {
    serde_json::from_value(serde_json::json!({
        "transaction_id": "id",
        "event_time": {"column": "time_s", "unit": "s", "origin": "2018-04-01T00:00:00Z"},
        "amount": "amount",
        "currency": {"constant": "EUR"},
        "entities": {"customer": "customer_id"},
        "attributes": {"online": "online"},
        "label": {"column": "fraud", "delay": "7d"}
    }))
    .expect("a mapping")
}

fn record(text: &str) -> serde_json::Map<String, Value> {
    serde_json::from_str(text).expect("an object")
}

#[test]
fn a_flat_record_becomes_a_transaction_and_its_label() {
    let row =
        record(r#"{"id": 5, "time_s": 60, "amount": 57.16, "customer_id": 596, "online": true, "fraud": 1}"#);
    let transaction = mapping().transaction(&row, 1000).expect("reads");
    let at_us = time::parse("2018-04-01T00:01:00Z").expect("a time");
    assert_eq!(
        (transaction.transaction_id.as_str(), transaction.event_time_us),
        ("5", at_us)
    );
    assert_eq!(
        (
            transaction.amount_minor,
            transaction.entities["customer"].as_str()
        ),
        (5716, "596")
    );
    assert_eq!(transaction.attributes["online"], Attribute::Number(1.0));
    let label = mapping().label(&row).expect("reads").expect("a fraud has one");
    assert_eq!(
        (label.verdict, label.known_at_us),
        (Verdict::Fraud, at_us + 7 * time::DAY_US)
    );
}

#[test]
fn only_frauds_are_labelled_unless_all_are_asked_for() {
    let row = record(r#"{"id": 5, "time_s": 60, "amount": 1, "fraud": 0}"#);
    assert_eq!(mapping().label(&row), Ok(None));
    let mut all = mapping();
    all.label.as_mut().expect("there").emit = Emit::All;
    assert_eq!(
        all.label(&row).expect("reads").expect("asked for").verdict,
        Verdict::Genuine
    );
}

#[test]
fn a_missing_column_is_named() {
    let reject = mapping()
        .transaction(&record(r#"{"id": 5, "amount": 1}"#), 1000)
        .expect_err("no time");
    assert_eq!(
        (reject.reason, reject.message.as_str()),
        (Reason::InvalidTime, "column time_s: missing")
    );
}

#[test]
fn problems_come_all_at_once() {
    let mut wrong = mapping();
    wrong.event_time.origin = Some("long ago".into());
    wrong.currency = CurrencyColumn::Constant("???".into());
    wrong.label.as_mut().expect("there").delay = None;
    assert_eq!(wrong.problems().len(), 3);
}

fn receipts() -> ImageMapping {
    serde_json::from_value(serde_json::json!({
        "image_id": {"row": "receipt-"},
        "event_time": {"start": "2025-01-01T00:00:00Z", "step": "1m"},
        "kind": {"constant": "receipt"},
        "entities": {"customer": {"column": "scan"}},
        "content": {"column": "jpeg"},
        "label": {"column": "label", "delay": "1h", "source": "analyst", "emit": "all"}
    }))
    .expect("a mapping")
}

#[test]
fn rows_without_time_or_identifier_get_them_by_their_number() {
    let row = record(r#"{"scan": 7, "label": 0}"#);
    let image = receipts().image(&row, 3).expect("reads");
    assert_eq!(
        (image.image_id.as_str(), image.kind.as_str(), image.transaction_id),
        ("receipt-3", "receipt", None)
    );
    assert_eq!(time::format(image.event_time_us), "2025-01-01T00:03:00Z");
    let label = receipts()
        .label(&row, 3)
        .expect("reads")
        .expect("all are labelled");
    assert_eq!(
        (label.subject, label.verdict),
        (Subject::Image("receipt-3".into()), Verdict::Genuine)
    );
    assert_eq!(time::format(label.known_at_us), "2025-01-01T01:03:00Z");
    assert_eq!(label.entities, image.entities);
    assert_eq!(image.entities["customer"], "7");
    assert_eq!(receipts().columns(), ["scan", "label", "jpeg"]);
}

#[test]
fn images_are_read_from_columns() {
    let mapping: ImageMapping = serde_json::from_value(serde_json::json!({
        "image_id": {"column": "id"},
        "event_time": {"column": "at", "unit": "s"},
        "kind": {"column": "kind"},
        "transaction_id": {"column": "paid_by"},
        "content": {"file": "path"},
        "label": {"column": "fraud", "known_at": {"column": "known", "unit": "s"}}
    }))
    .expect("a mapping");
    let row = record(r#"{"id": 5, "at": 60, "kind": "cheque", "paid_by": "t", "path": "a.png", "fraud": 1}"#);
    let image = mapping.image(&row, 0).expect("reads");
    assert_eq!(
        (image.event_time_us, image.transaction_id.as_deref()),
        (60_000_000, Some("t"))
    );
    assert_eq!(mapping.label(&row, 0), Ok(None), "nobody has learnt of it yet");
    let reject = mapping
        .image(&record(r#"{"id": 5, "at": 60}"#), 0)
        .expect_err("no kind");
    assert_eq!(
        (reject.reason, reject.message.as_str()),
        (Reason::InvalidField, "column kind: missing")
    );
    assert_eq!(mapping.problems(), []);
}

#[test]
fn a_time_is_in_a_column_or_in_the_number_of_the_row() {
    let read = |text: &str| serde_json::from_str::<TimeSource>(text).map_err(|e| e.to_string());
    for source in [
        r#"{"column": "t", "unit": "s", "origin": "2025-01-01"}"#,
        r#"{"start": "2025-01-01"}"#,
    ] {
        let source = read(source).expect("right");
        let again = serde_json::to_string(&source).expect("serialises");
        assert_eq!(read(&again), Ok(source));
    }
    for (wrong, why) in [
        ("{}", "either column"),
        (r#"{"column": "t", "start": "2025-01-01"}"#, "either column"),
        (r#"{"column": "t", "step": "1s"}"#, "either column"),
        (r#"{"step": "1s"}"#, "either column"),
        (r#"{"start": "soon"}"#, "soon"),
    ] {
        let message = read(wrong).expect_err(wrong);
        assert!(message.contains(why), "{message}");
    }
}

#[test]
fn problems_of_images_come_all_at_once() {
    let mut wrong = receipts();
    wrong.image_id = TextSource::Constant("the one".into());
    wrong.label.as_mut().expect("there").delay = None;
    wrong.event_time = serde_json::from_str(r#"{"column": "t", "origin": "long ago"}"#).expect("a source");
    assert_eq!(wrong.problems().len(), 3);
}
