//! A small training run for tests.

#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;
use std::sync::OnceLock;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::Column;

pub(crate) fn schema() -> FeatureSchema {
    let feature = |name: &str, kind| crate::Feature {
        name: name.to_owned(),
        kind,
    };
    let numeric = crate::FeatureKind::Numeric;
    FeatureSchema::new(vec![
        feature("amount", numeric),
        feature("channel", crate::FeatureKind::Categorical),
        feature("risk", numeric),
    ])
    .unwrap()
}

/// Rows of the fixture's schema.
pub(crate) fn rows(len: usize, seed: u64) -> Rows {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut rows = Rows::new(len);
    let channels = ["pos", "web", "atm"];
    let amounts = (0..len)
        .map(|_| libm::exp(random.random_range(0.0..6.0)))
        .collect();
    rows.insert("amount", Column::Numeric(amounts)).unwrap();
    let risks = (0..len)
        .map(|_| {
            if random.random_bool(0.1) {
                f64::NAN
            } else {
                random.random()
            }
        })
        .collect();
    rows.insert("risk", Column::Numeric(risks)).unwrap();
    let texts = (0..len)
        .map(|_| Some(channels[random.random_range(0..3)].to_owned()))
        .collect();
    rows.insert("channel", Column::Categorical(texts)).unwrap();
    rows
}

/// Fraud is a large amount on the web, or a high risk.
pub(crate) fn labels(rows: &Rows) -> Vec<f32> {
    let (amounts, risks) = (rows.numeric("amount").unwrap(), rows.numeric("risk").unwrap());
    let channels = rows.categorical("channel").unwrap();
    let fraud =
        |row: usize| amounts[row] > 150.0 && channels[row].as_deref() == Some("web") || risks[row] > 0.93;
    (0..rows.len())
        .map(|row| if fraud(row) { 1.0 } else { 0.0 })
        .collect()
}

pub(crate) fn settings() -> TrainingSettings {
    let mut settings = TrainingSettings::default();
    settings.network.hidden = vec![32, 16];
    settings.network.members = 2;
    settings.optimiser.batch_rows = 64;
    settings.optimiser.max_epochs = 12;
    settings.optimiser.learning_rate = 1e-2;
    settings
}

pub(crate) fn trained(seed: u64, settings: &TrainingSettings, start: Option<&Bundle>) -> Result<Trained> {
    let rows = rows(2_000, 11);
    let labels = labels(&rows);
    let times_us: Vec<i64> = (0..2_000).map(|row| row * 1_000_000).collect();
    let request = TrainingRequest {
        schema: &schema(),
        rows: &rows,
        labels: &labels,
        weights: None,
        times_us: &times_us,
        split: &TimeSplit::last_share(&times_us, 0.25),
        settings,
        seed,
        start,
        provenance: Provenance {
            code_version: "test".to_owned(),
            created_at_us: 7,
            ..Default::default()
        },
    };
    train(&request, &mut |_| ControlFlow::Continue(()))
}

/// A bundle that all tests share.
pub(crate) fn bundle() -> Bundle {
    static BUNDLE: OnceLock<Bundle> = OnceLock::new();
    BUNDLE
        .get_or_init(|| trained(1, &settings(), None).unwrap().bundle)
        .clone()
}
