//! A few rows whose features are worked out by hand.

use super::*;

const DAY: i64 = 86_400 * SECOND;
/// 2018-04-01, a Sunday.
const SUNDAY: i64 = 1_522_540_800 * SECOND;

fn days(days: u64) -> Option<Duration> {
    Some(Duration::from_secs(days * 86_400))
}

fn feature(name: &str, aggregate: Aggregate, entity: &str, window: u64) -> FeatureSpec {
    FeatureSpec {
        entity: Some(entity.into()),
        window: days(window),
        ..FeatureSpec::new(name, aggregate)
    }
}

/// The published features of the card stream, in short.
fn handbook() -> Vec<FeatureSpec> {
    let delay = days(7);
    vec![
        FeatureSpec::new("tx_during_weekend", Aggregate::Weekend),
        FeatureSpec::new("tx_during_night", Aggregate::Night),
        feature("customer_id_nb_tx_1day_window", Aggregate::Count, "account", 1),
        FeatureSpec {
            field: Some(AMOUNT.into()),
            ..feature(
                "customer_id_avg_amount_1day_window",
                Aggregate::Mean,
                "account",
                1,
            )
        },
        FeatureSpec {
            delay,
            ..feature("terminal_id_nb_tx_1day_window", Aggregate::Count, "terminal", 1)
        },
        FeatureSpec {
            delay,
            ..feature(
                "terminal_id_risk_1day_window",
                Aggregate::FraudRate,
                "terminal",
                1,
            )
        },
    ]
}

fn windows(entity: &str, last_stage: bool) -> Windows {
    Windows::new(Arc::new(
        Plan::compile(&handbook(), None, entity, last_stage, &[]).unwrap(),
    ))
}

fn row(windows: &mut Windows, number: usize, event_time_us: i64, amount_minor: i64) -> Vec<f64> {
    let amount = [fixed::from_minor(amount_minor, 2)];
    let values = &amount[..windows.plan().fields().len()];
    let observation = Observation {
        id: id(number),
        event_time_us,
        values,
        earlier_columns: &[],
    };
    let mut out = Vec::new();
    windows.transaction("4711", &observation, &mut out, &mut Vec::new());
    out
}

#[test]
fn customers_count_and_average_over_the_day_that_ends_with_the_row() {
    let mut windows = windows("account", true);
    assert_eq!(row(&mut windows, 0, SUNDAY, 1025), [1.0, 1.0, 1.0, 10.25]);
    let hour_6 = SUNDAY + DAY / 4 + 3_599 * SECOND;
    assert_eq!(row(&mut windows, 1, hour_6, 2075), [1.0, 1.0, 2.0, 15.5]);
    // A day after the first, to the microsecond: the first is out.
    assert_eq!(row(&mut windows, 2, SUNDAY + DAY, 500), [0.0, 1.0, 2.0, 12.875]);
    // Late, an instant before: it sees the two of Sunday and itself, not Monday's.
    assert_eq!(
        row(&mut windows, 3, SUNDAY + DAY - 1, 300),
        [1.0, 0.0, 3.0, 34.0 / 3.0]
    );
    assert_eq!(
        row(&mut windows, 4, SUNDAY + DAY, 0),
        [0.0, 1.0, 4.0, 28.75 / 4.0]
    );
}

#[test]
fn terminals_count_what_was_known_a_week_ago() {
    let mut windows = windows("terminal", false);
    for (number, hour) in [(0, 0), (1, 6), (2, 12), (3, 24)] {
        assert_eq!(
            row(&mut windows, number, SUNDAY + hour * 3600 * SECOND, 0),
            [0.0, 0.0]
        );
    }
    windows.label("4711", id(1), SUNDAY + DAY / 4 + 7 * DAY, true);
    windows.label("4711", id(2), SUNDAY + DAY / 2 + 7 * DAY + 1, true);
    // Seven days after the second: two transactions, one fraud, known this very instant.
    assert_eq!(row(&mut windows, 4, SUNDAY + DAY / 4 + 7 * DAY, 0), [2.0, 0.5]);
    // The third has its label an instant too late.
    assert_eq!(
        row(&mut windows, 5, SUNDAY + DAY / 2 + 7 * DAY, 0),
        [3.0, 1.0 / 3.0]
    );
    // Sunday's first one has left as Monday's comes in.
    assert_eq!(row(&mut windows, 6, SUNDAY + 8 * DAY, 0), [3.0, 2.0 / 3.0]);
    // The chargeback is reversed.
    windows.label("4711", id(2), SUNDAY + 8 * DAY + SECOND, false);
    assert_eq!(
        row(&mut windows, 7, SUNDAY + 8 * DAY + SECOND, 0),
        [3.0, 1.0 / 3.0]
    );
    // A late row does not know that yet.
    assert_eq!(row(&mut windows, 8, SUNDAY + 8 * DAY, 0), [3.0, 2.0 / 3.0]);
}

#[test]
fn the_time_of_day_is_a_point_on_a_circle() {
    let specs = [
        FeatureSpec::new("sin", Aggregate::HourSin),
        FeatureSpec::new("cos", Aggregate::HourCos),
    ];
    let mut windows = Windows::new(Arc::new(
        Plan::compile(&specs, None, "account", true, &[]).unwrap(),
    ));
    let expected = [
        (0, [0.0, 1.0]),
        (6, [1.0, 0.0]),
        (12, [0.0, -1.0]),
        (18, [-1.0, 0.0]),
    ];
    for (hour, expected) in expected {
        let out = row(&mut windows, 0, SUNDAY + hour * 3600 * SECOND, 0);
        assert!(
            out.iter()
                .zip(expected)
                .all(|(found, expected)| (found - expected).abs() < 1e-12),
            "{hour}: {out:?}"
        );
    }
    assert_eq!(
        windows.observations(),
        0,
        "nothing is remembered for what the row alone decides"
    );
}

#[test]
fn a_label_waits_for_its_transaction_as_long_as_that_may_be_late() {
    let mut windows = windows("terminal", false);
    windows.label("4711", id(0), SUNDAY, true);
    windows.forget(SUNDAY + DAY);
    assert_eq!(windows.entities(), 1, "a transaction may still come a day late");
    row(&mut windows, 0, SUNDAY, 0);
    assert_eq!(row(&mut windows, 1, SUNDAY + 7 * DAY, 0), [1.0, 1.0]);

    windows.label("other", id(9), SUNDAY, true);
    windows.forget(SUNDAY + DAY + 1);
    assert_eq!(windows.entities(), 1, "the label of the other one is gone");
}

#[test]
fn what_no_window_reaches_is_forgotten() {
    let mut windows = windows("account", true);
    row(&mut windows, 0, SUNDAY, 100);
    row(&mut windows, 1, SUNDAY + DAY / 2, 100);
    windows.forget(SUNDAY + DAY + DAY / 2 + DAY - 1);
    assert_eq!(
        (windows.entities(), windows.observations()),
        (1, 1),
        "the window and the lateness are a day each"
    );
    windows.forget(SUNDAY + DAY + DAY / 2 + DAY);
    assert_eq!((windows.entities(), windows.observations()), (0, 0));
}

#[test]
fn snapshots_of_other_definitions_and_damaged_ones_are_refused() {
    let mut account = windows("account", true);
    row(&mut account, 0, SUNDAY, 100);
    let state = || postcard::from_bytes::<WindowsState>(&bytes(&account)).unwrap();
    let terminal = windows("terminal", false);
    let refused = Windows::restore(Arc::clone(terminal.plan()), state())
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(refused, crate::Error::OtherDefinitions { .. }) && !refused.is_retryable());

    // The definitions of one stage under the fingerprint of another.
    let mut damaged = bytes(&account);
    let mut forged = postcard::to_stdvec(&terminal.plan().fingerprint()).unwrap();
    let old = postcard::to_stdvec(&account.plan().fingerprint()).unwrap().len();
    forged.extend(damaged.drain(old..));
    let state = postcard::from_bytes::<WindowsState>(&forged).unwrap();
    let refused = Windows::restore(Arc::clone(terminal.plan()), state)
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(refused, crate::Error::Inconsistent { .. }), "{refused}");
}
