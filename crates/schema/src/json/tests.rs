use proptest::prelude::*;

use super::*;
use crate::event::{Image, ImageFile};

fn decoder() -> Decoder {
    Decoder::new(Limits {
        max_record_bytes: 100_000,
        max_id_bytes: 64,
        max_fields: 16,
        max_text_bytes: 1000,
        max_amount: 1_000_000,
        max_future_secs: 3600,
        min_event_time: "2000-01-01T00:00:00Z".into(),
    })
    .expect("the limits are right")
}

const NOW_US: i64 = 1_800_000_000 * time::SECOND_US;

fn decode(text: &str) -> Result<Event, Reason> {
    decoder()
        .decode(SourceTopic::Transactions, text.as_bytes(), NOW_US)
        .map_err(|r| r.reason)
}

#[test]
fn a_transaction_is_read() {
    let text = r#"{"transaction_id": 7, "event_time": 1600000000000, "amount": 12.5, "currency": "EUR",
        "entities": {"card": "c", "device": null}, "attributes": {"contactless": true}, "more": [1]}"#;
    let Ok(Event::Transaction(t)) = decode(text) else {
        panic!("refused")
    };
    assert_eq!((t.transaction_id.as_str(), t.amount_minor), ("7", 1250));
    assert_eq!(t.event_time_us, 1_600_000_000 * time::SECOND_US);
    assert_eq!(t.entities, BTreeMap::from([("card".into(), "c".into())]));
    assert_eq!(
        t.attributes,
        BTreeMap::from([("contactless".into(), Attribute::Number(1.0))])
    );
}

#[test]
fn each_kind_of_nonsense_has_its_reason() {
    let nested = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000 - 1));
    let long = " ".repeat(200_000);
    let with = |field: &str, value: &str| {
        let mut fields = BTreeMap::from([
            ("transaction_id", "\"t\""),
            ("event_time", "1600000000000"),
            ("amount", "1"),
            ("currency", "\"EUR\""),
        ]);
        fields.insert(field, value);
        let fields: Vec<_> = fields.iter().map(|(k, v)| format!("\"{k}\": {v}")).collect();
        format!("{{{}}}", fields.join(","))
    };
    let cases = [
        (String::new(), Reason::Empty),
        (long, Reason::TooLarge),
        (nested, Reason::Undecodable),
        ("not json".into(), Reason::Undecodable),
        ("[]".into(), Reason::InvalidField),
        (r#"{"transaction_id": "t"}"#.into(), Reason::InvalidField),
        (with("transaction_id", "\"\""), Reason::InvalidId),
        (with("transaction_id", "1.5"), Reason::InvalidId),
        (with("transaction_id", "\"a\\u0000b\""), Reason::InvalidId),
        (with("amount", "-5"), Reason::InvalidAmount),
        (with("amount", "\"lots\""), Reason::InvalidAmount),
        (with("amount", "1e300"), Reason::InvalidAmount),
        (with("currency", "\"XX1\""), Reason::UnknownCurrency),
        (with("currency", "7"), Reason::InvalidField),
        (with("event_time", "\"soon\""), Reason::InvalidTime),
        (with("event_time", "1"), Reason::InvalidTime),
        (with("event_time", "9999999999999"), Reason::InvalidTime),
        (with("event_time", "99999999999999999999"), Reason::InvalidTime),
        (with("entities", "{\"card\": [1]}"), Reason::InvalidId),
        (with("attributes", "{\"x\": {}}"), Reason::InvalidField),
    ];
    for (text, reason) in cases {
        assert_eq!(
            decode(&text).err(),
            Some(reason),
            "{}",
            &text[..text.len().min(120)]
        );
    }
}

#[test]
fn messages_do_not_quote_values() {
    let text = r#"{"transaction_id": "t", "event_time": 1, "amount": 1, "currency": 4111111111111111}"#;
    let reject = decoder()
        .decode(SourceTopic::Transactions, text.as_bytes(), NOW_US)
        .expect_err("refused");
    assert!(!reject.message.contains("4111"), "{}", reject.message);
}

#[test]
fn a_label_is_read() {
    let text =
        br#"{"transaction_id": "t", "label": "fraud", "known_at": "2020-01-01T00:00:00Z", "source": "x"}"#;
    let Ok(Event::Label(label)) = decoder().decode(SourceTopic::Labels, text, NOW_US) else {
        panic!("refused")
    };
    assert_eq!((label.verdict, label.source.as_str()), (Verdict::Fraud, "x"));
    assert_eq!(label.subject, Subject::Transaction("t".into()));
}

#[test]
fn a_label_speaks_of_a_transaction_or_an_image() {
    let label = |ids: &str| {
        let text = format!(r#"{{{ids} "label": "fraud", "known_at": "2020-01-01T00:00:00Z"}}"#);
        decoder().decode(SourceTopic::Labels, text.as_bytes(), NOW_US)
    };
    for ids in [
        r#""image_id": "i","#,
        r#""image_id": "i", "transaction_id": null,"#,
    ] {
        let Ok(Event::Label(label)) = label(ids) else {
            panic!("refused: {ids}")
        };
        assert_eq!(label.subject, Subject::Image("i".into()));
    }
    for ids in [
        "",
        r#""transaction_id": null,"#,
        r#""transaction_id": "t", "image_id": "i","#,
    ] {
        let reject = label(ids).expect_err(ids);
        assert_eq!(reject.reason, Reason::InvalidField);
        assert!(
            reject.message.contains("transaction_id and image_id"),
            "{}",
            reject.message
        );
    }
    let empty = label(r#""image_id": "","#).expect_err("empty");
    assert_eq!(
        (empty.reason, empty.message.as_str()),
        (Reason::InvalidId, "image_id: empty")
    );
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decoder().decode(SourceTopic::Transactions, &bytes, NOW_US);
        let _ = decoder().decode(SourceTopic::Labels, &bytes, NOW_US);
    }

    #[test]
    fn what_is_written_is_read_back(
        id in "[a-zA-Z0-9-]{1,40}",
        event_time_us in 1_000_000_000_000_000_i64..1_700_000_000_000_000,
        amount_minor in 0_i64..100_000_000,
        entity in "\\PC{1,16}",
        number in -1e9_f64..1e9,
        fraud: bool,
        of_image: bool,
    ) {
        let transaction = Event::Transaction(Transaction {
            transaction_id: id.clone(),
            event_time_us,
            amount_minor,
            currency: iso_currency::Currency::EUR,
            entities: BTreeMap::from([("card".to_owned(), entity.clone())]),
            attributes: BTreeMap::from([("x".to_owned(), Attribute::Number(number))]),
            image_ids: vec![],
        });
        let subject = if of_image { Subject::Image(id) } else { Subject::Transaction(id) };
        let label = Event::Label(Label {
            subject,
            verdict: if fraud { Verdict::Fraud } else { Verdict::Genuine },
            known_at_us: event_time_us,
            source: "analyst".to_owned(),
            entities: BTreeMap::from([("card".to_owned(), entity)]),
        });
        let decoder = decoder();
        let read = |topic, event: &Event| decoder.decode(topic, &encode(event), NOW_US);
        prop_assert_eq!(read(SourceTopic::Transactions, &transaction), Ok(transaction));
        prop_assert_eq!(read(SourceTopic::Labels, &label), Ok(label));
    }

    #[test]
    fn headers_of_an_image_are_read_back(
        image_id in "\\PC{1,16}",
        event_time_us in 1_000_000_000_000_000_i64..1_700_000_000_000_000,
        transaction_id in proptest::option::of("\\PC{1,16}"),
        entity in "\\PC{1,16}",
    ) {
        let image = Image {
            image_id,
            event_time_us,
            kind: "receipt".to_owned(),
            transaction_id,
            entities: BTreeMap::from([("customer".to_owned(), entity)]),
            file: ImageFile::default(),
        };
        let headers: Vec<_> = headers_of_image(&image)
            .into_iter()
            .map(|(name, value)| (name, value.into_bytes()))
            .collect();
        prop_assert_eq!(Decoder::image_of_headers(&headers), Ok(Some(image)));
    }
}
