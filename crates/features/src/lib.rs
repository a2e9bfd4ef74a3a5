//! Feature definitions and their exact event-time windows, without I/O.
//!
//! A [`FeatureSpec`] is what the configuration says. [`Plan::compile`] checks the definitions and picks what
//! one stage (one entity) computes; [`Windows`] is the state of one partition of that stage: it takes
//! transactions and labels one by one and gives the feature values of each transaction.
//!
//! # Exactness
//! A window is `(t - delay - window, t - delay]` over event time, where `t` is the time of the row. It holds
//! the transactions taken so far, this row and others of the same instant included; never one from after `t`,
//! and no label that became known after `t` (INV-4). Sums are integers, so they neither drift nor depend on
//! the order in which transactions came. A transaction that comes late is put where it belongs.
//!
//! # Units
//! Times are microseconds since the Unix epoch. Numeric fields arrive in fixed point ([`fixed`]); features
//! are `f64` in the field's own unit (amounts in major units, times in seconds). A value that does not exist
//! is NaN.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_sign_loss)
)]

mod calendar;
mod error;
pub mod fixed;
mod plan;
mod spec;
mod windows;

pub use error::{Error, Place, Problem};
pub use plan::{DEFAULT_LATENESS, Plan};
pub use spec::{AMOUNT, Aggregate, FeatureSpec, SECONDS_SINCE_PREVIOUS, SequenceSpec};
pub use windows::{Observation, Windows, WindowsState};
