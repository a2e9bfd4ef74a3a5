//! Delivery under kills, at length.

use std::time::Duration;

use tests::{Plan, Stream, killed_and_undisturbed, parameter};

/// A number that the environment may give.
fn number(name: &str, default: u32) -> u32 {
    parameter(name).map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {text}"))
    })
}

/// INV-2, INV-3, INV-5, INV-6. `CHAOS_KILLS` a worker, over `CHAOS_SECONDS`, `CHAOS_ROUNDS` times, of a simulation, images included, or of
/// the card stream in the folder `CHAOS_DATA`.
#[test]
#[ignore = "takes minutes: make chaos"]
fn workers_killed_again_and_again_change_nothing() {
    let kills = usize::try_from(number("CHAOS_KILLS", 6)).expect("a small number");
    let pack = parameter("CHAOS_DATA").map(|folder| Stream::Pack(folder.into()));
    let seconds = number("CHAOS_SECONDS", if pack.is_some() { 240 } else { 120 });
    let stream = pack.unwrap_or_else(|| Stream::Simulated {
        customers: number("CHAOS_CUSTOMERS", 200),
        days: number("CHAOS_DAYS", 60),
        documents_a_day: number("CHAOS_DOCUMENTS", 20),
    });
    for _ in 0..number("CHAOS_ROUNDS", 1) {
        killed_and_undisturbed(&Plan {
            stream: stream.clone(),
            lasts: Duration::from_secs(seconds.into()),
            kills,
            patience: Duration::from_secs(1_200),
        });
    }
}
