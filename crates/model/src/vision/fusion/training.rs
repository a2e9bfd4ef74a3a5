//! Training of fusion networks.

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::description::{FusionInputs, FusionNetwork};
use super::network::Network;
use super::{FusionModel, FusionRecord};
use crate::calibration::Calibration;
use crate::metrics::{auc_roc, average_precision};
use crate::mlp::{OptimiserSettings, StopMetric};
use crate::scalar::{cross_entropy, narrow};
use crate::schedule::{Rates, Schedule};
use crate::vision::labels;
use crate::vision::optimiser::{AdamW, Learning};
use crate::vision::training::{ImageEpoch, ImageProgress, keep_mask, loss};
use crate::{Error, Result};

/// Everything a training run of a fusion network depends on.
#[derive(Clone, Copy, Debug)]
pub struct FusionRequest<'a> {
    /// The network.
    pub network: &'a FusionNetwork,
    /// What it reads.
    pub inputs: &'a FusionInputs<'a>,
    /// 1 for fraud and 0 otherwise, one a row.
    pub labels: &'a [f32],
    /// The rows to learn from.
    pub train: &'a [usize],
    /// Later rows to stop and calibrate by.
    pub validation: &'a [usize],
    /// How to learn.
    pub optimiser: &'a OptimiserSettings,
    /// The share of the inputs of the layers over all three that is dropped in training.
    pub dropout: f64,
    /// Decides everything random.
    pub seed: u64,
}

/// A trained fusion network.
#[derive(Clone, Debug)]
pub struct TrainedFusion {
    /// Ready to score and to be stored.
    pub model: FusionModel,
    /// Every pass.
    pub curve: Vec<ImageEpoch>,
}

/// Trains a fusion network, restores its best pass and calibrates it on the validation rows. The same request gives
/// the same weights, bit for bit.
///
/// # Errors
/// If the request does not fit together, a class is absent from a part of the rows, or the loss stops being a number.
pub fn train_fusion(request: &FusionRequest<'_>, progress: &mut ImageProgress<'_>) -> Result<TrainedFusion> {
    check(request)?;
    let mut run = Run::new(request);
    let (mut best, mut best_epoch, mut best_score) = (run.network.clone(), 0, f64::NEG_INFINITY);
    let mut curve = Vec::new();
    for epoch in 0..=request.optimiser.max_epochs {
        let training_loss = if epoch == 0 { 0.0 } else { run.epoch()? };
        let mut report = run.validate(epoch, training_loss);
        let score = match request.optimiser.stop_by {
            StopMetric::AveragePrecision => report.validation_average_precision,
            StopMetric::Loss => -report.validation_loss,
        };
        report.best = score > best_score;
        if report.best {
            (best, best_epoch, best_score) = (run.network.clone(), epoch, score);
        }
        let interrupted = progress(&report).is_break();
        curve.push(report);
        if interrupted || epoch - best_epoch >= request.optimiser.patience_epochs {
            break;
        }
    }
    run.network = best;
    let calibration = Calibration::fit(
        &run.validation_logits(),
        &labels::select(request.labels, request.validation),
    );
    let record = FusionRecord {
        network: request.network.clone(),
        calibration,
    };
    let network = run.network;
    Ok(TrainedFusion {
        model: FusionModel { record, network },
        curve,
    })
}

fn check(request: &FusionRequest<'_>) -> Result<()> {
    request.optimiser.validate()?;
    request.network.validate()?;
    request.inputs.check(request.network)?;
    if !(0.0..1.0).contains(&request.dropout) {
        return Err(Error::Setting {
            name: "fusion.dropout",
            must_be: "at least 0 and below 1",
        });
    }
    labels::check(
        request.labels,
        request.inputs.rows.len,
        [request.train, request.validation],
        "there is no row at an index to learn from",
    )
}

/// A training under way.
struct Run<'a> {
    request: &'a FusionRequest<'a>,
    network: Network,
    optimiser: AdamW,
    schedule: Schedule,
    random: ChaCha8Rng,
    order: Vec<usize>,
}

impl<'a> Run<'a> {
    fn new(request: &'a FusionRequest<'a>) -> Self {
        let settings = request.optimiser;
        let mut random = ChaCha8Rng::seed_from_u64(request.seed);
        let positives = labels::positives(request.labels, request.train) as f64;
        let odds = positives / (request.train.len() as f64 - positives);
        let bias = narrow(libm::log(odds * settings.positive_weight));
        let network = Network::random(request.network, bias, || random.random_range(-1.0_f32..1.0));
        let rates = Rates {
            highest: settings.learning_rate,
            warmup_share: settings.warmup_share,
            final_share: settings.final_rate_share,
        };
        let steps = request.train.len().div_ceil(settings.batch_rows) * settings.max_epochs;
        Self {
            request,
            network,
            optimiser: AdamW::new(settings.weight_decay, settings.gradient_clip),
            schedule: Schedule::new(&rates, steps),
            random,
            order: request.train.to_vec(),
        }
    }

    /// One pass over the shuffled rows; the mean loss.
    fn epoch(&mut self) -> Result<f64> {
        let mut order = std::mem::take(&mut self.order);
        order.shuffle(&mut self.random);
        let mut loss = 0.0;
        for rows in order.chunks(self.request.optimiser.batch_rows) {
            loss += self.step(rows);
        }
        let mean = loss / order.len() as f64;
        self.order = order;
        if mean.is_finite() {
            Ok(mean)
        } else {
            Err(Error::NotFinite {
                what: "the training loss".to_owned(),
            })
        }
    }

    /// One step on a batch; its summed loss.
    fn step(&mut self, rows: &[usize]) -> f64 {
        let request = self.request;
        let count = rows.len() * request.network.joined_width();
        let kept = keep_mask(count, request.dropout, &mut self.random);
        let trace = self.network.forward(request.inputs, rows, kept);
        let labels = labels::select(request.labels, rows);
        let (loss, gradient) = loss(trace.logits(), &labels, request.optimiser.positive_weight);
        self.network.backward(request.inputs, rows, &trace, &gradient);
        let rate = self.schedule.next_rate();
        let parameters = self.network.parameters_mut().into_iter();
        let learning = parameters.map(|(parameter, decay)| Learning {
            parameter,
            decay,
            rate,
        });
        self.optimiser.step(learning.collect());
        loss
    }

    fn validation_logits(&self) -> Vec<f64> {
        let trace = self
            .network
            .forward(self.request.inputs, self.request.validation, Vec::new());
        trace.logits().iter().copied().map(f64::from).collect()
    }

    fn validate(&self, epoch: usize, training_loss: f64) -> ImageEpoch {
        let logits = self.validation_logits();
        let labels = labels::select(self.request.labels, self.request.validation);
        let losses = logits
            .iter()
            .zip(&labels)
            .map(|(&x, &y)| cross_entropy(x, f64::from(y)));
        ImageEpoch {
            stage: 0,
            epoch,
            training_loss,
            validation_loss: losses.sum::<f64>() / labels.len() as f64,
            validation_average_precision: average_precision(&logits, &labels).unwrap_or(0.0),
            validation_auc_roc: auc_roc(&logits, &labels).unwrap_or(0.0),
            best: false,
        }
    }
}
