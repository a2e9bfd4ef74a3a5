//! What becomes of a trained model: the gate's decision, its announcement, and the report.

use std::fmt;
use std::time::Duration;

use model::ModelKind;
use model::metrics::Measures;
use registry::{Announcement, challenger, champion};
use serde::Serialize;
use stream::{Outgoing, Producer, ProducerOptions};

use crate::config::Settings;
use crate::error::TrainerError;
use crate::metrics;

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
        /// The champion's average precision on the same examples.
        champion: f64,
    },
    /// The champion stays.
    Kept {
        /// The champion's average precision on the same examples.
        champion: f64,
    },
}

impl Outcome {
    /// The outcome for these average precisions on the same examples.
    pub(crate) fn of(own: f64, champion: f64, tolerance: f64) -> Self {
        if own >= champion - tolerance {
            Self::Promoted { champion }
        } else {
            Self::Kept { champion }
        }
    }
}

/// What a training has come to.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What it is a model of.
    pub model: ModelKind,
    /// The bundle's version.
    pub version: String,
    /// The time whose knowledge it was trained on (RFC 3339).
    pub as_of: String,
    /// Transactions, or images, in the training set.
    pub examples: usize,
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

    fn measure(&self, name: &str) -> f64 {
        self.validation.get(name).copied().unwrap_or(f64::NAN)
    }

    fn why(&self) -> String {
        match self.outcome {
            Outcome::First => "the first model for these features".to_owned(),
            Outcome::Promoted { champion } | Outcome::Kept { champion } => {
                let own = self.measure("average_precision");
                format!(
                    "average precision {own:.4} against the champion's {champion:.4} on the same examples"
                )
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "model             {} ({})", self.version, self.model)?;
        writeln!(f, "as of             {}", self.as_of)?;
        let examples = if self.model == ModelKind::Image {
            "images"
        } else {
            "transactions"
        };
        writeln!(
            f,
            "trained on        {} {examples}, {} known frauds",
            self.examples, self.frauds
        )?;
        let (ap, auc) = (self.measure("average_precision"), self.measure("auc_roc"));
        writeln!(f, "average precision {ap:.3} (validation)")?;
        writeln!(f, "AUC ROC           {auc:.3} (validation)")?;
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

/// What the gate has decided: champion or challenger. The audit trail has it first: a training whose trail is missing
/// counts as one that never was.
pub(crate) fn decide(settings: &Settings, report: &Report, now_us: i64) -> Result<(), TrainerError> {
    metrics::quality(
        report.model,
        report.measure("average_precision"),
        report.measure("auc_roc"),
    );
    let alias = if report.is_promoted() {
        champion(report.model)
    } else {
        challenger(report.model)
    };
    let announcement = Announcement {
        alias: alias.to_owned(),
        version: report.version.clone(),
        by: "trainer".to_owned(),
        at_us: now_us,
        why: report.why(),
    };
    settings.registry.announce(&announcement)?;
    tell(settings, &[announcement])
}

/// Tells the topic once more what the audit trail says: a trainer that was killed between the two has not.
pub(crate) fn tell_again(settings: &Settings) -> Result<(), TrainerError> {
    let mut current = Vec::new();
    for alias in [champion(settings.model), challenger(settings.model)] {
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
