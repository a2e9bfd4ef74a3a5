//! From labelled rows to a bundle.

pub(crate) mod baseline;
mod settings;

use std::collections::BTreeMap;

pub use settings::TrainingSettings;
pub(crate) use settings::first_failure;

use crate::bundle::{Bundle, FORMAT, Lineage, Manifest, Measured, SchemaRecord, sha256};
use crate::calibration::Calibration;
use crate::dataset::{Table, TimeSplit};
use crate::inference::{Ensemble, NetworkDescription, Tensor, Weights};
use crate::metrics::{Measures, evaluate};
use crate::mlp::{EpochReport, MemberRequest, Progress, merge_members, split_members, train_member};
use crate::preprocessing::Preprocessing;
use crate::{Error, FeatureSchema, Result, Rows};

/// What the caller knows of the data's and the code's origin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// The version of each table that was read.
    pub table_versions: BTreeMap<String, i64>,
    /// The version of the code.
    pub code_version: String,
    /// The time of training.
    pub created_at_us: i64,
}

impl Provenance {
    /// Where a model of this data and code comes from.
    pub(crate) fn lineage(
        &self,
        seed: u64,
        parent_version: Option<String>,
        (times_us, train): (&[i64], &[usize]),
    ) -> Lineage {
        let (training_from_us, training_to_us) = window(times_us, train);
        Lineage {
            table_versions: self.table_versions.clone(),
            seed,
            code_version: self.code_version.clone(),
            parent_version,
            training_from_us,
            training_to_us,
            created_at_us: self.created_at_us,
        }
    }
}

impl Measured {
    /// Measures on some of the rows.
    pub(crate) fn of(times_us: &[i64], part: &[usize], values: Measures) -> Self {
        let (from_us, to_us) = window(times_us, part);
        Self {
            from_us,
            to_us,
            values,
        }
    }
}

/// Everything a training run depends on.
#[derive(Clone, Debug)]
pub struct TrainingRequest<'a> {
    /// The features to read.
    pub schema: &'a FeatureSchema,
    /// Raw features, as they will be scored.
    pub rows: &'a Rows,
    /// 1 for fraud and 0 otherwise, one a row.
    pub labels: &'a [f32],
    /// How much each row counts in training; all the same where there are none.
    pub weights: Option<&'a [f32]>,
    /// The time of each row.
    pub times_us: &'a [i64],
    /// Which rows to learn from and which to stop, calibrate and measure by.
    pub split: &'a TimeSplit,
    /// How to train.
    pub settings: &'a TrainingSettings,
    /// Decides everything random.
    pub seed: u64,
    /// The bundle whose preprocessing and weights to start from.
    pub start: Option<&'a Bundle>,
    /// Where data and code come from.
    pub provenance: Provenance,
}

/// A trained bundle.
#[derive(Clone, Debug)]
pub struct Trained {
    /// Ready to be stored.
    pub bundle: Bundle,
    /// What it reached on the validation rows; also in the manifest.
    pub validation: Measures,
    /// Every pass of every member.
    pub curves: Vec<EpochReport>,
}

/// Fits the preprocessing on the training rows, trains the members, stops early, calibrates on the validation rows,
/// chooses thresholds and measures. The same request gives the same bundle, bit for bit, on a CPU.
///
/// Where `progress` breaks, the bundle is made of the members begun until then.
///
/// # Errors
/// If the request does not fit together, a class is absent from a part of the rows, or the device fails.
pub fn train(request: &TrainingRequest<'_>, progress: &mut Progress<'_>) -> Result<Trained> {
    check(request)?;
    let preprocessing = fit_preprocessing(request)?;
    let train = encode(request, &preprocessing, &request.split.train)?;
    let validation = encode(request, &preprocessing, &request.split.validation)?;
    for (part, table) in [("training", &train), ("validation", &validation)] {
        let (rows, positives) = (table.labels.len(), table.positives());
        if positives == 0 || positives == rows {
            return Err(Error::TooFewRows {
                part,
                rows,
                positives,
            });
        }
    }
    let described = request.settings.network.describe(&preprocessing);
    let (network, weights, curves) = train_members(request, described, &train, &validation, progress)?;
    let logits = Ensemble::new(&network, &weights)?.logits(&validation.inputs);
    let calibration = Calibration::fit(&logits, &validation.labels);
    let probabilities: Vec<f64> = logits
        .iter()
        .map(|&logit| calibration.probability(logit))
        .collect();
    let thresholds = request
        .settings
        .thresholds()
        .choose(&probabilities, &validation.labels);
    let measures = evaluate(&probabilities, &validation.labels, &thresholds);
    let weights = weights.to_safetensors()?;
    let (times_us, parent) = (request.times_us, request.start.map(Bundle::version));
    let baseline = baseline::typical_row(request.schema, request.rows, request.labels, &request.split.train)?;
    let manifest = Manifest {
        format: FORMAT,
        network,
        feature_schema: SchemaRecord::of(request.schema),
        preprocessing,
        calibration,
        thresholds,
        baseline,
        metrics: Measured::of(times_us, &request.split.validation, measures.clone()),
        lineage: request
            .provenance
            .lineage(request.seed, parent, (times_us, &request.split.train)),
        weights_sha256: sha256(&weights),
    };
    Ok(Trained {
        bundle: Bundle { manifest, weights },
        validation: measures,
        curves,
    })
}

fn check(request: &TrainingRequest<'_>) -> Result<()> {
    request.settings.validate()?;
    let expected = request.rows.len();
    let weights = request.weights.map_or(expected, <[f32]>::len);
    check_lengths(
        expected,
        &[
            ("labels", request.labels.len()),
            ("times", request.times_us.len()),
            ("weights", weights),
        ],
    )
}

/// Whether each list has one entry a row.
pub(crate) fn check_lengths(expected: usize, lengths: &[(&str, usize)]) -> Result<()> {
    match lengths.iter().find(|&&(_, found)| found != expected) {
        Some(&(name, found)) => Err(Error::Length {
            name: name.to_owned(),
            found,
            expected,
        }),
        None => Ok(()),
    }
}

/// Fitted on the training rows, or taken over from the bundle to start from: its weights understand no other.
fn fit_preprocessing(request: &TrainingRequest<'_>) -> Result<Preprocessing> {
    match request.start {
        Some(start) if start.manifest.feature_schema.features == *request.schema => {
            Ok(start.manifest.preprocessing.clone())
        }
        Some(_) => Err(Error::WarmStart),
        None => {
            let rows = request.rows.select(&request.split.train);
            Preprocessing::fit(&rows, request.schema, &request.settings.preprocessing)
        }
    }
}

fn encode(request: &TrainingRequest<'_>, preprocessing: &Preprocessing, part: &[usize]) -> Result<Table> {
    let inputs = preprocessing.apply(&request.rows.select(part))?.inputs;
    let labels = part.iter().map(|&row| request.labels[row]).collect();
    let weights = part
        .iter()
        .map(|&row| request.weights.map_or(1.0, |weights| weights[row]))
        .collect();
    Table::new(inputs, labels, weights)
}

fn train_members(
    request: &TrainingRequest<'_>,
    mut network: NetworkDescription,
    train: &Table,
    validation: &Table,
    progress: &mut Progress<'_>,
) -> Result<(NetworkDescription, Weights, Vec<EpochReport>)> {
    let starts = starting_weights(request, &network)?;
    let (mut members, mut curves) = (Vec::new(), Vec::new());
    for member in 0..network.members {
        let trained = train_member(
            &MemberRequest {
                description: &network,
                train,
                validation,
                dropout: request.settings.network.dropout,
                optimiser: &request.settings.optimiser,
                device: request.settings.device,
                seed: request.seed,
                member,
                start: starts.get(member),
            },
            progress,
        )?;
        members.push(trained.weights);
        curves.extend(trained.epochs);
        if trained.interrupted {
            break;
        }
    }
    network.members = members.len();
    Ok((network, merge_members(&members), curves))
}

/// The weights of each member of the bundle to start from; none without one.
fn starting_weights(
    request: &TrainingRequest<'_>,
    network: &NetworkDescription,
) -> Result<Vec<BTreeMap<String, Tensor>>> {
    let Some(start) = request.start else {
        return Ok(Vec::new());
    };
    if start.manifest.network != *network {
        return Err(Error::WarmStart);
    }
    Ok(split_members(
        Weights::from_safetensors(&start.weights)?,
        network.members,
    ))
}

/// The times of the first and the last of some rows.
fn window(times_us: &[i64], part: &[usize]) -> (i64, i64) {
    let times = || part.iter().map(|&row| times_us[row]);
    (times().min().unwrap_or(0), times().max().unwrap_or(0))
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
