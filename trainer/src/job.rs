//! One training: point-in-time set → network → gate → registry → announcement.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Instant;

use model::dataset::TimeSplit;
use model::metrics::average_precision;
use model::{Bundle, ModelKind, Provenance, Scorer, TrainingRequest, train};
use registry::CHAMPION;
use runtime::clock::Clock;
use schema::time;
use tracing::{debug, info};

use crate::config::Settings;
use crate::dataset::{Dataset, inputs};
use crate::error::TrainerError;
use crate::outcome::{Outcome, Report, decide};
use crate::run::newest;

/// Trains with what was known at a time (the newest one that the tables are complete up to, if none is given),
/// publishes the bundle, and announces it: as champion if it passes the gate, as challenger if not. `go_on` is asked
/// after every pass over the data; where it says no, the training is given up.
///
/// # Errors
/// [`TrainerError::TooFew`] if there is too little to train on; what the lake, the network or the broker says.
pub fn train_as_of(
    settings: &Settings,
    as_of_us: Option<i64>,
    clock: &dyn Clock,
    go_on: &dyn Fn() -> bool,
) -> Result<Report, TrainerError> {
    let began = Instant::now();
    let Some(as_of_us) = as_of_us.map_or_else(|| newest(settings), |at| Ok(Some(at)))? else {
        return Err(TrainerError::TooFew {
            transactions: 0,
            frauds: 0,
        });
    };
    let data = Dataset::read(settings, as_of_us)?;
    let (transactions, frauds) = (data.frauds.len(), data.frauds.iter().filter(|f| **f).count());
    if transactions < settings.section.min_transactions || frauds < settings.section.min_frauds {
        return Err(TrainerError::TooFew { transactions, frauds });
    }
    let split = TimeSplit::last_share(&data.event_time_us, settings.section.validation_share);
    if [&split.train, &split.validation]
        .iter()
        .any(|part| !part.iter().any(|row| data.frauds[*row]))
    {
        return Err(TrainerError::TooFew { transactions, frauds });
    }
    info!(as_of = time::format(as_of_us), transactions, frauds, "training");
    let trained = fit(settings, &data, &split, (as_of_us, go_on))?;
    let outcome = gate(settings, &data, &split, &trained)?;
    let report = Report {
        model: ModelKind::Transaction,
        version: settings.registry.publish(&trained)?,
        as_of: time::format(as_of_us),
        examples: transactions,
        frauds,
        validation: trained.manifest.metrics.values.clone(),
        outcome,
        seconds: began.elapsed().as_secs_f64(),
    };
    decide(settings, &report, clock.now_us())?;
    Ok(report)
}

fn fit(
    settings: &Settings,
    data: &Dataset,
    split: &TimeSplit,
    (as_of_us, go_on): (i64, &dyn Fn() -> bool),
) -> Result<Bundle, TrainerError> {
    let labels: Vec<f32> = data
        .frauds
        .iter()
        .map(|fraud| f32::from(u8::from(*fraud)))
        .collect();
    let table_versions: BTreeMap<String, i64> =
        data.versions.iter().map(|(n, v)| ((*n).to_owned(), *v)).collect();
    let request = TrainingRequest {
        schema: &inputs(settings)?,
        rows: &data.rows,
        labels: &labels,
        weights: None,
        times_us: &data.event_time_us,
        split,
        settings: &settings.section.network,
        // The same data at the same time gives the same bundle.
        seed: as_of_us.unsigned_abs(),
        start: None,
        provenance: Provenance {
            table_versions,
            code_version: env!("CARGO_PKG_VERSION").to_owned(),
            created_at_us: as_of_us,
        },
    };
    let trained = train(&request, &mut |epoch| {
        debug!(?epoch, "epoch");
        if go_on() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    if go_on() {
        Ok(trained.bundle)
    } else {
        Err(TrainerError::Stopped)
    }
}

/// Holds a challenger against the champion on the same validation rows.
fn gate(
    settings: &Settings,
    data: &Dataset,
    split: &TimeSplit,
    challenger: &Bundle,
) -> Result<Outcome, TrainerError> {
    let Some(announced) = settings.registry.current(CHAMPION)? else {
        return Ok(Outcome::First);
    };
    let champion = settings.registry.load(&announced.version)?;
    let own = challenger
        .manifest
        .metrics
        .values
        .get("average_precision")
        .copied()
        .unwrap_or(0.0);
    let scorer = Scorer::new(&champion)?;
    let rows = data.rows.select(&split.validation);
    if scorer.check_schema(rows.names()).is_err() {
        // Features have changed: the champion cannot score these rows, so the challenger takes its place.
        return Ok(Outcome::First);
    }
    let labels: Vec<f32> = split
        .validation
        .iter()
        .map(|row| f32::from(u8::from(data.frauds[*row])))
        .collect();
    let champion = average_precision(&scorer.probabilities(&rows)?, &labels).unwrap_or(0.0);
    Ok(Outcome::of(own, champion, settings.section.gate_tolerance))
}
