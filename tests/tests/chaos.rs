//! Delivery under kills, at length.

use std::time::Duration;

use tests::{Plan, killed_and_undisturbed, parameter};

/// A number that the environment may give.
fn number(name: &str, default: u32) -> u32 {
    parameter(name).map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {text}"))
    })
}

/// INV-2, INV-3, INV-5, INV-6. `CHAOS_KILLS` a worker, over `CHAOS_SECONDS`, `CHAOS_ROUNDS` times.
#[test]
#[ignore = "takes minutes: make chaos"]
fn workers_killed_again_and_again_change_nothing() {
    let kills = usize::try_from(number("CHAOS_KILLS", 6)).expect("a small number");
    let seconds = u64::from(number("CHAOS_SECONDS", 120));
    let (customers, days) = (number("CHAOS_CUSTOMERS", 200), number("CHAOS_DAYS", 60));
    for _ in 0..number("CHAOS_ROUNDS", 1) {
        killed_and_undisturbed(&Plan {
            customers,
            days,
            lasts: Duration::from_secs(seconds),
            kills,
        });
    }
}
