//! Delivery under kills, in short; `chaos.rs` is the long form.

use std::time::Duration;

use tests::{Plan, Stream, killed_and_undisturbed};

/// INV-2, INV-3, INV-5, INV-6.
#[test]
fn killed_workers_change_nothing() {
    killed_and_undisturbed(&Plan {
        stream: Stream::Simulated {
            customers: 100,
            days: 40,
            documents_a_day: 5,
        },
        lasts: Duration::from_secs(25),
        kills: 2,
        patience: Duration::from_secs(180),
    });
}
