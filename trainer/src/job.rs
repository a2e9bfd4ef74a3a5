//! One training: point-in-time set → network → gate → registry → announcement.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use model::dataset::TimeSplit;
use model::metrics::{Measures, average_precision};
use model::{Bundle, Provenance, Scorer, TrainingRequest, train};
use registry::{ALIASES, Announcement, CHALLENGER, CHAMPION};
use runtime::clock::Clock;
use schema::time;
use serde::Serialize;
use stream::{Outgoing, Producer, ProducerOptions};
use tracing::{debug, info};

use crate::config::Settings;
use crate::dataset::{Dataset, features_table, inputs};
use crate::error::TrainerError;
use crate::metrics;
use crate::run::complete_up_to;

/// How long the announcement may take.
const ANNOUNCE: Duration = Duration::from_secs(30);

/// What became of a challenger at the gate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Outcome {
    /// There was no champion before.
    First,
    /// It is champion now.
    Promoted {
        /// The champion's average precision on the same transactions.
        champion: f64,
    },
    /// The champion stays.
    Kept {
        /// The champion's average precision on the same transactions.
        champion: f64,
    },
}

/// What a training has come to.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The bundle's version.
    pub version: String,
    /// The time whose knowledge it was trained on (RFC 3339).
    pub as_of: String,
    /// Transactions in the training set.
    pub transactions: usize,
    /// Known frauds among them.
    pub frauds: usize,
    /// Measures on the validation part.
    pub validation: Measures,
    /// What became of it.
    pub outcome: Outcome,
    /// How long it took.
    pub seconds: f64,
}

impl Report {
    /// Whether it is champion now.
    #[must_use]
    pub fn is_promoted(&self) -> bool {
        !matches!(self.outcome, Outcome::Kept { .. })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let measure = |name: &str| self.validation.get(name).copied().unwrap_or(f64::NAN);
        writeln!(f, "model             {}", self.version)?;
        writeln!(f, "as of             {}", self.as_of)?;
        writeln!(
            f,
            "trained on        {} transactions, {} known frauds",
            self.transactions, self.frauds
        )?;
        writeln!(
            f,
            "average precision {:.3} (validation)",
            measure("average_precision")
        )?;
        writeln!(f, "AUC ROC           {:.3} (validation)", measure("auc_roc"))?;
        match self.outcome {
            Outcome::First => writeln!(f, "champion          yes, the first one")?,
            Outcome::Promoted { champion } => {
                writeln!(f, "champion          yes, the one before reached {champion:.3}")?
            }
            Outcome::Kept { champion } => {
                writeln!(f, "champion          no, the present one reaches {champion:.3}")?
            }
        }
        writeln!(f, "took              {:.1} s", self.seconds)
    }
}

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
    let newest = || Ok::<_, TrainerError>(complete_up_to(settings, &features_table(settings)?));
    let Some(as_of_us) = as_of_us.map_or_else(newest, |at| Ok(Some(at)))? else {
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
    let version = settings.registry.publish(&trained)?.to_string();
    let validation = trained.manifest.metrics.values.clone();
    let quality = |name: &str| validation.get(name).copied().unwrap_or(f64::NAN);
    metrics::quality(quality("average_precision"), quality("auc_roc"));
    let report = Report {
        version,
        as_of: time::format(as_of_us),
        transactions,
        frauds,
        validation,
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
    if own >= champion - settings.section.gate_tolerance {
        Ok(Outcome::Promoted { champion })
    } else {
        Ok(Outcome::Kept { champion })
    }
}

/// What the gate has decided: champion or challenger. The audit trail has it first: a training whose trail is missing
/// counts as one that never was.
fn decide(settings: &Settings, report: &Report, now_us: i64) -> Result<(), TrainerError> {
    let why = match report.outcome {
        Outcome::First => "the first model for these features".to_owned(),
        Outcome::Promoted { champion } | Outcome::Kept { champion } => {
            let own = report
                .validation
                .get("average_precision")
                .copied()
                .unwrap_or(f64::NAN);
            format!(
                "average precision {own:.4} against the champion's {champion:.4} on the same transactions"
            )
        }
    };
    let alias = if report.is_promoted() {
        CHAMPION
    } else {
        CHALLENGER
    };
    let announcement = Announcement {
        alias: alias.to_owned(),
        version: report.version.clone(),
        by: "trainer".to_owned(),
        at_us: now_us,
        why,
    };
    settings.registry.announce(&announcement)?;
    tell(settings, &[announcement])
}

/// Tells the topic once more what the audit trail says: a trainer that was killed between the two has not.
pub(crate) fn tell_again(settings: &Settings) -> Result<(), TrainerError> {
    let mut current = Vec::new();
    for (alias, _) in ALIASES {
        current.extend(settings.registry.current(alias)?);
    }
    if current.is_empty() {
        return Ok(());
    }
    tell(settings, &current)
}

/// Puts announcements on the topic that scorers follow.
fn tell(settings: &Settings, announcements: &[Announcement]) -> Result<(), TrainerError> {
    let mut producer = Producer::new(&settings.kafka, ProducerOptions::default())?;
    for announcement in announcements {
        producer.send(Outgoing {
            topic: &settings.models_topic,
            partition: Some(0),
            key: Some(announcement.alias.as_bytes()),
            payload: Some(
                &serde_json::to_vec(announcement).expect("an announcement is plain texts and numbers"),
            ),
            headers: &[],
            timestamp_us: None,
        })?;
    }
    producer.flush(ANNOUNCE)?;
    Ok(())
}
