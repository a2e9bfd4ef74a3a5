use super::*;

const DAY: Duration = Duration::from_secs(86_400);

fn windowed(name: &str, aggregate: Aggregate, entity: &str) -> FeatureSpec {
    FeatureSpec {
        entity: Some(entity.into()),
        window: Some(DAY),
        ..FeatureSpec::new(name, aggregate)
    }
}

fn mean(name: &str, field: &str) -> FeatureSpec {
    FeatureSpec {
        field: Some(field.into()),
        ..windowed(name, Aggregate::Mean, "account")
    }
}

fn sequence(fields: &[&str]) -> SequenceSpec {
    let fields = fields.iter().map(|field| (*field).to_owned()).collect();
    SequenceSpec {
        entity: "account".into(),
        length: 8,
        fields,
        window: None,
    }
}

fn account(specs: &[FeatureSpec], sequence: Option<&SequenceSpec>) -> Result<Plan, Vec<Problem>> {
    Plan::compile(specs, sequence, "account", true, &["age".to_owned()])
}

/// The problems of one definition, as the last stage (account) sees it.
fn problems(spec: FeatureSpec) -> Vec<String> {
    let found = account(&[spec], None).map(|_| ()).unwrap_err();
    found.into_iter().map(|problem| problem.to_string()).collect()
}

#[test]
fn a_stage_takes_what_is_its_own() {
    let specs = [
        windowed("terminal_risk", Aggregate::FraudRate, "terminal"),
        windowed("account_count", Aggregate::Count, "account"),
        FeatureSpec::new("night", Aggregate::Night),
    ];
    let terminal = Plan::compile(&specs, None, "terminal", false, &[]).unwrap();
    assert_eq!(terminal.names(), ["terminal_risk"]);
    assert_eq!(account(&specs, None).unwrap().names(), ["account_count", "night"]);
}

#[test]
fn features_over_the_same_stretch_share_a_window() {
    let specs = [
        windowed("count", Aggregate::Count, "account"),
        mean("mean_age", "age"),
        mean("mean_amount", "amount"),
        FeatureSpec {
            delay: Some(DAY),
            ..windowed("delayed", Aggregate::Count, "account")
        },
    ];
    let plan = account(&specs, None).unwrap();
    assert_eq!(plan.views.len(), 2);
    assert_eq!(plan.fields(), ["age", "amount"]);
    assert_eq!(plan.reach_us, 2 * 86_400_000_000);
    assert!(!plan.labels, "nothing counts frauds");
}

#[test]
fn a_sequence_names_its_inputs() {
    let specs = [
        windowed("terminal_risk", Aggregate::FraudRate, "terminal"),
        windowed("count", Aggregate::Count, "account"),
        FeatureSpec::new("amount", Aggregate::Amount),
    ];
    let sequence = sequence(&["seconds_since_previous", "terminal_risk", "amount", "count"]);
    let plan = account(&specs, Some(&sequence)).unwrap();
    assert_eq!(plan.sequence(), Some((8, 4)));
    assert_eq!(plan.earlier_columns(), ["terminal_risk"]);
    assert_eq!(plan.fields(), ["amount"]);
    let terminal = Plan::compile(&specs, Some(&sequence), "terminal", false, &[]).unwrap();
    assert_eq!(terminal.sequence(), None);
}

/// A definition without fault.
fn valid(aggregate: Aggregate) -> FeatureSpec {
    let field = aggregate.needs_field().then(|| "amount".to_owned());
    let base = FeatureSpec {
        field,
        ..FeatureSpec::new("x", aggregate)
    };
    match aggregate.needs_window() {
        true => FeatureSpec {
            entity: Some("account".into()),
            window: Some(DAY),
            ..base
        },
        false => base,
    }
}

/// A fault, and what is said of it.
type Case = (Aggregate, fn(&mut FeatureSpec), &'static str);

const CASES: [Case; 17] = [
    (
        Aggregate::Count,
        |s| s.name = " ".into(),
        "the name is empty: name the feature's column",
    ),
    (
        Aggregate::Count,
        |s| s.entity = None,
        "count needs an entity: add entity = \"account\"",
    ),
    (
        Aggregate::Count,
        |s| s.window = None,
        "count needs a window: add window = \"7d\"",
    ),
    (
        Aggregate::Count,
        |s| s.window = Some(Duration::ZERO),
        "the window is too short: it must be at least a microsecond",
    ),
    (
        Aggregate::Sum,
        |s| s.delay = Some(36_601 * DAY),
        "the delay is above 100 years: shorten it",
    ),
    (
        Aggregate::Mean,
        |s| s.window = Some(Duration::from_nanos(1500)),
        "the window is not a whole number of microseconds: round it",
    ),
    (
        Aggregate::Count,
        |s| s.field = Some("amount".into()),
        "count takes no field: remove field",
    ),
    (
        Aggregate::FraudRate,
        |s| s.time_zone = Some("UTC".into()),
        "fraud_rate does not go by the calendar: remove time_zone",
    ),
    (
        Aggregate::Count,
        |s| s.to_hour = Some(6),
        "count knows no night: remove from_hour and to_hour",
    ),
    (
        Aggregate::SecondsSinceLast,
        |s| s.delay = Some(DAY),
        "seconds_since_last takes no delay: remove delay",
    ),
    (
        Aggregate::Sum,
        |s| s.field = None,
        "sum needs a field: add field = \"amount\"",
    ),
    (
        Aggregate::Amount,
        |s| s.field = Some("agee".into()),
        "there is no numeric field \"agee\": use amount or one of [age]",
    ),
    (
        Aggregate::Amount,
        |s| s.window = Some(DAY),
        "amount looks at no window: remove window",
    ),
    (
        Aggregate::Weekend,
        |s| s.entity = Some("account".into()),
        "weekend is of the row alone: remove entity",
    ),
    (
        Aggregate::HourCos,
        |s| s.from_hour = Some(1),
        "hour_cos knows no night: remove from_hour and to_hour",
    ),
    (
        Aggregate::HourSin,
        |s| s.time_zone = Some("CEST".into()),
        "there is no time zone \"CEST\": use an IANA name such as Europe/Berlin",
    ),
    (
        Aggregate::Night,
        |s| s.from_hour = Some(7),
        "the night has no such hours: from_hour 0 to 23, to_hour 0 to 24, not the same",
    ),
];

#[test]
fn every_problem_names_its_place_and_the_remedy() {
    for (aggregate, spoil, expected) in CASES {
        assert!(account(&[valid(aggregate)], None).is_ok(), "{aggregate}");
        let mut spec = valid(aggregate);
        spoil(&mut spec);
        assert_eq!(problems(spec), [format!("features[0]: {expected}")]);
    }
}

#[test]
fn every_problem_of_a_sequence_names_the_remedy() {
    let specs = [FeatureSpec {
        name: "amount".into(),
        ..windowed("", Aggregate::Count, "account")
    }];
    let none = SequenceSpec {
        length: 0,
        ..sequence(&[])
    };
    let wrong = SequenceSpec {
        entity: "card".into(),
        ..sequence(&["amount", "amout", "amout"])
    };
    let found = |spec: &SequenceSpec| -> Vec<String> {
        account(&specs, Some(spec))
            .map(|_| ())
            .unwrap_err()
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    assert_eq!(
        found(&none),
        [
            "sequence: the length is 0: choose 1 to 4096",
            "sequence: there are no fields: add fields = [\"amount\"]"
        ]
    );
    assert_eq!(
        found(&wrong),
        [
            "sequence: only the last stage keeps a sequence: set entity = \"account\"",
            "sequence: \"amout\" is there twice: remove one",
            "sequence: \"amount\" could be the field or features[0]: rename the feature",
            "sequence: \"amout\" is no feature: use amount, seconds_since_previous or the name of a feature",
            "sequence: \"amout\" is no feature: use amount, seconds_since_previous or the name of a feature",
        ]
    );
}

#[test]
fn all_stages_report_each_problem_once_in_order() {
    let entities = ["terminal".to_owned(), "account".to_owned()];
    let specs = [
        FeatureSpec {
            window: None,
            ..windowed("a", Aggregate::Count, "account")
        },
        windowed("b", Aggregate::Count, "acount"),
        FeatureSpec {
            window: None,
            ..windowed("a", Aggregate::Count, "terminal")
        },
        FeatureSpec::new("c", Aggregate::Count),
    ];
    let wrong = SequenceSpec {
        entity: "terminal".into(),
        ..sequence(&["a"])
    };
    let found = Plan::compile_stages(&specs, Some(&wrong), &entities, &[])
        .map(|_| ())
        .unwrap_err();
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "features[0]: count needs a window: add window = \"7d\"",
            "features[1]: no stage has the entity \"acount\": use one of terminal, account, or add a stage for it",
            "features[2]: \"a\" is already the name of features[0]: choose another",
            "features[2]: count needs a window: add window = \"7d\"",
            "features[3]: count needs a window: add window = \"7d\"",
            "features[3]: count needs an entity: add entity = \"account\"",
            "sequence: only the last stage keeps a sequence: set entity = \"account\"",
        ]
    );
    let plans = Plan::compile_stages(&specs[..0], None, &entities, &[]).unwrap();
    assert_eq!(
        plans.iter().map(Plan::entity).collect::<Vec<_>>(),
        ["terminal", "account"]
    );
}

#[test]
fn the_fingerprint_tells_definitions_apart_and_never_changes() {
    let specs = [mean("m", "amount"), windowed("c", Aggregate::Count, "account")];
    let base = account(&specs, None).unwrap().fingerprint();
    assert_eq!(
        base, 0x7306_62ac_cb44_2282,
        "snapshots and models are told apart by it"
    );
    let later = account(&specs, None).unwrap().with_lateness(2 * DAY);
    assert_eq!(later.fingerprint(), base, "the lateness is no definition");
    let mut others: Vec<u64> = Vec::new();
    for change in 0..6 {
        let mut specs = specs.clone();
        let mut items = None;
        match change {
            0 => specs[0].name = "n".into(),
            1 => specs[0].window = Some(2 * DAY),
            2 => specs[0].delay = Some(Duration::ZERO),
            3 => specs[0].field = Some("age".into()),
            4 => specs.swap(0, 1),
            _ => items = Some(sequence(&["amount"])),
        }
        others.push(account(&specs, items.as_ref()).unwrap().fingerprint());
    }
    others.push(base);
    others.sort_unstable();
    others.dedup();
    assert_eq!(others.len(), 7);
}
