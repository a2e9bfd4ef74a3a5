//! From labelled transactions to a bundle.

use super::sequence::SequenceScale;
use super::settings::FusionSettings;
use super::transactions::FusionRows;
use super::{FusionBundle, FusionManifest, OTHER_CONTRIBUTIONS, joined};
use crate::bundle::{FORMAT, Measured, ModelKind, SchemaRecord, sha256};
use crate::dataset::TimeSplit;
use crate::image::ImageBundle;
use crate::metrics::{Measures, Thresholds, evaluate};
use crate::mlp::embeddings;
use crate::preprocessing::Preprocessing;
use crate::training::{baseline, check_lengths};
use crate::vision::{
    FusionInputs, FusionModel, FusionNetwork, FusionRequest, ImageEpoch, ImageModel, ImageProgress,
    TrainedFusion, train_fusion,
};
use crate::{Error, FeatureSchema, Provenance, Result};

/// Everything a training run depends on.
#[derive(Clone, Debug)]
pub struct FusionBundleRequest<'a> {
    /// The features to read.
    pub schema: &'a FeatureSchema,
    /// The transactions of both parts, as they will be scored.
    pub data: FusionRows<'a>,
    /// Numbers in a step of the sequences.
    pub step_width: usize,
    /// The bundle whose network looks at the images; it stays as it is.
    pub image: &'a ImageBundle,
    /// 1 for fraud and 0 otherwise, one a row.
    pub labels: &'a [f32],
    /// The time of each row.
    pub times_us: &'a [i64],
    /// Which rows to learn from and which to stop, calibrate and measure by.
    pub split: &'a TimeSplit,
    /// How to train.
    pub settings: &'a FusionSettings,
    /// Decides everything random.
    pub seed: u64,
    /// Where data and code come from.
    pub provenance: Provenance,
}

/// A trained bundle.
#[derive(Clone, Debug)]
pub struct TrainedFusionBundle {
    /// Ready to be stored.
    pub bundle: FusionBundle,
    /// What it reached on the validation rows; also in the manifest.
    pub validation: Measures,
    /// Every pass.
    pub curve: Vec<ImageEpoch>,
}

/// Fits the preprocessing on the training rows, looks at each image once, trains, stops early, calibrates on the
/// validation rows, chooses thresholds and measures. The same request gives the same bundle, bit for bit.
///
/// # Errors
/// If the request does not fit together, a class is absent from a part of the rows, or a feature has the name of
/// another contribution.
pub fn train_fusion_bundle(
    request: &FusionBundleRequest<'_>,
    progress: &mut ImageProgress<'_>,
) -> Result<TrainedFusionBundle> {
    check(request)?;
    let FusionBundleRequest {
        data, schema, split, ..
    } = request;
    let training = data.rows.select(&split.train);
    let preprocessing = Preprocessing::fit(&training, schema, &request.settings.preprocessing)?;
    let of_training = split.train.iter().map(|&row| data.sequences[row].as_slice());
    let sequence = SequenceScale::fit(request.step_width, of_training);
    let image = request.image.network()?;
    let encoded = data.encode(&image.scorer()?, &sequence)?;
    let rows = preprocessing.apply(data.rows)?.inputs;
    let inputs = encoded.with(&rows);
    let TrainedFusion { model, curve } = train_network(request, &preprocessing, &inputs, progress)?;
    let (thresholds, measures) = measure(request, &model.probabilities(&inputs)?);
    let fitted = Fitted {
        image,
        preprocessing,
        sequence,
        model,
    };
    Ok(TrainedFusionBundle {
        bundle: bundle(request, fitted, thresholds, measures.clone())?,
        validation: measures,
        curve,
    })
}

/// What training came to.
struct Fitted {
    image: ImageModel,
    preprocessing: Preprocessing,
    sequence: SequenceScale,
    model: FusionModel,
}

fn bundle(
    request: &FusionBundleRequest<'_>,
    fitted: Fitted,
    thresholds: Thresholds,
    measures: Measures,
) -> Result<FusionBundle> {
    let (schema, times_us, train) = (request.schema, request.times_us, &request.split.train);
    let weights = joined(&fitted.image.weights, &fitted.model.weights())?;
    let manifest = FusionManifest {
        format: FORMAT,
        kind: ModelKind::Fusion,
        image: fitted.image.record.network,
        image_version: request.image.version(),
        feature_schema: SchemaRecord::of(schema),
        preprocessing: fitted.preprocessing,
        sequence: fitted.sequence,
        fusion: fitted.model.record().clone(),
        thresholds,
        baseline: baseline::typical_row(schema, request.data.rows, request.labels, train)?,
        metrics: Measured::of(times_us, &request.split.validation, measures),
        lineage: request.provenance.lineage(request.seed, None, (times_us, train)),
        weights_sha256: sha256(&weights),
    };
    Ok(FusionBundle { manifest, weights })
}

fn check(request: &FusionBundleRequest<'_>) -> Result<()> {
    request.settings.validate()?;
    if request.step_width == 0 {
        return Err(Error::Setting {
            name: "fusion.step_width",
            must_be: "at least 1",
        });
    }
    request.data.check(request.step_width)?;
    check_lengths(
        request.data.rows.len(),
        &[
            ("labels", request.labels.len()),
            ("times", request.times_us.len()),
        ],
    )?;
    let mut features = request.schema.features().iter();
    match features.find(|feature| OTHER_CONTRIBUTIONS.contains(&feature.name.as_str())) {
        None => Ok(()),
        Some(feature) => Err(Error::ReservedFeature {
            name: feature.name.clone(),
        }),
    }
}

fn train_network(
    request: &FusionBundleRequest<'_>,
    preprocessing: &Preprocessing,
    inputs: &FusionInputs<'_>,
    progress: &mut ImageProgress<'_>,
) -> Result<TrainedFusion> {
    let settings = request.settings;
    let network = FusionNetwork {
        image_width: request.image.manifest.network.embedding_width(),
        image_hidden: settings.image_hidden,
        numeric_width: preprocessing.numeric_width(),
        embeddings: embeddings(preprocessing, settings.max_embedding_width),
        step_width: request.step_width,
        step_hidden: settings.step_hidden,
        hidden: settings.hidden.clone(),
    };
    let of_network = FusionRequest {
        network: &network,
        inputs,
        labels: request.labels,
        train: &request.split.train,
        validation: &request.split.validation,
        optimiser: &settings.optimiser,
        dropout: settings.dropout,
        seed: request.seed,
    };
    train_fusion(&of_network, progress)
}

/// Thresholds and measures on the validation rows.
fn measure(request: &FusionBundleRequest<'_>, probabilities: &[f64]) -> (Thresholds, Measures) {
    let validation = &request.split.validation;
    let of_validation: Vec<f64> = validation.iter().map(|&row| probabilities[row]).collect();
    let labels: Vec<f32> = validation.iter().map(|&row| request.labels[row]).collect();
    let thresholds = request.settings.thresholds.choose(&of_validation, &labels);
    let measures = evaluate(&of_validation, &labels, &thresholds);
    (thresholds, measures)
}
