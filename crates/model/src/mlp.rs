//! Training of multi-layer perceptrons with candle: the only place that names it.
//!
//! The same seed, settings and rows give the same weights on a CPU, bit for bit: initialisation, shuffling and
//! dropout draw from one seeded stream, and parameters are visited in the order of their names.

mod device;
mod loss;
mod network;
mod optimiser;
mod parameters;
mod settings;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

pub use device::ComputeDevice;
pub(crate) use settings::embeddings;
pub use settings::{NetworkSettings, OptimiserSettings, StopMetric};

use crate::dataset::Table;
use crate::inference::{Ensemble, NetworkDescription, Tensor, Weights};
use crate::metrics::average_precision;
use crate::scalar::cross_entropy;
use crate::schedule::{Rates, Schedule};
use crate::{Error, Result};
use network::{Batch, Mlp};
use optimiser::AdamW;
use parameters::Parameters;

/// What one pass over the training rows came to.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct EpochReport {
    /// The member of the ensemble, from 0.
    pub member: usize,
    /// The pass, from 1; 0 is the network before the first one.
    pub epoch: usize,
    /// The mean loss over the training rows while they were learned, as weighted in training. 0 for epoch 0.
    pub training_loss: f64,
    /// The mean cross-entropy over the validation rows, unweighted.
    pub validation_loss: f64,
    /// The average precision on the validation rows; 0 where they hold no fraud.
    pub validation_average_precision: f64,
    /// Whether this is the best pass of the member so far.
    pub best: bool,
}

/// Called after every pass; `Break` ends the training with the best weights so far.
pub type Progress<'a> = dyn FnMut(&EpochReport) -> ControlFlow<()> + 'a;

/// One network to train.
#[derive(Clone, Copy, Debug)]
pub struct MemberRequest<'a> {
    /// Its shape.
    pub description: &'a NetworkDescription,
    /// The rows to learn from.
    pub train: &'a Table,
    /// Later rows to stop by.
    pub validation: &'a Table,
    /// The share of a hidden layer's values that is dropped in training.
    pub dropout: f64,
    /// How it learns.
    pub optimiser: &'a OptimiserSettings,
    /// Where it learns.
    pub device: ComputeDevice,
    /// The seed of the ensemble.
    pub seed: u64,
    /// Which member of the ensemble it is: each draws from a stream of its own.
    pub member: usize,
    /// The member's weights to start from, instead of random ones.
    pub start: Option<&'a BTreeMap<String, Tensor>>,
}

/// A trained member.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its best weights, by name without the member.
    pub weights: BTreeMap<String, Tensor>,
    /// Every pass.
    pub epochs: Vec<EpochReport>,
    /// Whether `progress` ended it.
    pub interrupted: bool,
}

/// Trains one member and restores the weights of its best pass.
///
/// # Errors
/// If a parameter gets no gradient, the loss stops being a number, or the device fails.
pub fn train_member(request: &MemberRequest<'_>, progress: &mut Progress<'_>) -> Result<Member> {
    let mut run = Run::new(request)?;
    let mut member = Member {
        weights: BTreeMap::new(),
        epochs: Vec::new(),
        interrupted: false,
    };
    let (mut best, mut best_epoch) = (f64::NEG_INFINITY, 0);
    for epoch in 0..=request.optimiser.max_epochs {
        let training_loss = if epoch == 0 { 0.0 } else { run.epoch()? };
        let weights = run.parameters.to_tensors()?;
        let mut report = validate(request, &weights, epoch, training_loss)?;
        let score = request.optimiser.stop_by.score(&report);
        report.best = score > best;
        if report.best {
            (best, best_epoch, member.weights) = (score, epoch, weights);
        }
        member.interrupted = progress(&report).is_break();
        member.epochs.push(report);
        if member.interrupted || epoch - best_epoch >= request.optimiser.patience_epochs {
            break;
        }
    }
    Ok(member)
}

/// A training under way.
struct Run<'a> {
    request: &'a MemberRequest<'a>,
    parameters: Parameters,
    optimiser: AdamW,
    schedule: Schedule,
    device: candle_core::Device,
    random: ChaCha8Rng,
    order: Vec<usize>,
}

impl<'a> Run<'a> {
    fn new(request: &'a MemberRequest<'a>) -> Result<Self> {
        let device = request.device.open()?;
        let mut random = ChaCha8Rng::seed_from_u64(request.seed);
        random.set_stream(request.member as u64);
        let parameters = match request.start {
            Some(weights) => Parameters::from_tensors(request.description, weights, &device)?,
            None => {
                let bias = starting_bias(request.train, request.optimiser.positive_weight);
                Parameters::random(request.description, bias, &mut random, &device)?
            }
        };
        let settings = request.optimiser;
        let steps = request.train.inputs.len.div_ceil(settings.batch_rows) * settings.max_epochs;
        let optimiser = AdamW::new(&parameters, settings)?;
        let order = (0..request.train.inputs.len).collect();
        let rates = Rates {
            highest: settings.learning_rate,
            warmup_share: settings.warmup_share,
            final_share: settings.final_rate_share,
        };
        let schedule = Schedule::new(&rates, steps);
        Ok(Self {
            request,
            parameters,
            optimiser,
            schedule,
            device,
            random,
            order,
        })
    }

    /// One pass over the shuffled rows; the mean loss.
    fn epoch(&mut self) -> Result<f64> {
        let mut order = std::mem::take(&mut self.order);
        order.shuffle(&mut self.random);
        let mut loss = 0.0;
        for rows in order.chunks(self.request.optimiser.batch_rows) {
            loss += self.step(rows)? * rows.len() as f64;
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

    /// One step on a batch; its mean loss.
    fn step(&mut self, rows: &[usize]) -> Result<f64> {
        let Self {
            request,
            parameters,
            optimiser,
            schedule,
            device,
            random,
            ..
        } = self;
        let batch = Batch::new(request.train, rows, request.optimiser.positive_weight, device)?;
        let mlp = Mlp {
            parameters,
            description: request.description,
        };
        let logits = mlp.forward_training(&batch, request.dropout, random)?;
        let loss = loss::binary_cross_entropy(&logits, &batch.labels, &batch.weights)?;
        let gradients = loss.backward()?;
        optimiser.step(parameters, &gradients, schedule.next_rate())?;
        Ok(f64::from(loss.to_scalar::<f32>()?))
    }
}

/// The logit of the training rows' frequency, so that the first passes need not find it.
fn starting_bias(train: &Table, positive_weight: f64) -> f32 {
    let positives = train.positives() as f64;
    let negatives = train.labels.len() as f64 - positives;
    crate::scalar::narrow(libm::log((positives + 1.0) / (negatives + 1.0) * positive_weight))
}

/// Measures a member on the validation rows, with the kernel that will serve it.
fn validate(
    request: &MemberRequest<'_>,
    weights: &BTreeMap<String, Tensor>,
    epoch: usize,
    training_loss: f64,
) -> Result<EpochReport> {
    let alone = NetworkDescription {
        members: 1,
        ..request.description.clone()
    };
    let logits = Ensemble::new(&alone, &merge_members([weights]))?.logits(&request.validation.inputs);
    let labels = &request.validation.labels;
    let losses = logits
        .iter()
        .zip(labels)
        .map(|(&logit, &label)| cross_entropy(logit, f64::from(label)));
    Ok(EpochReport {
        member: request.member,
        epoch,
        training_loss,
        validation_loss: losses.sum::<f64>() / labels.len().max(1) as f64,
        validation_average_precision: average_precision(&logits, labels).unwrap_or(0.0),
        best: false,
    })
}

/// The weights of an ensemble of these members.
#[must_use]
pub fn merge_members<'a>(members: impl IntoIterator<Item = &'a BTreeMap<String, Tensor>>) -> Weights {
    let named = members.into_iter().enumerate().flat_map(|(member, tensors)| {
        tensors
            .iter()
            .map(move |(name, tensor)| (crate::inference::member_name(member, name), tensor.clone()))
    });
    Weights::new(named.collect())
}

/// The weights of each member of an ensemble, the inverse of [`merge_members`].
#[must_use]
pub fn split_members(weights: Weights, members: usize) -> Vec<BTreeMap<String, Tensor>> {
    let mut split = vec![BTreeMap::new(); members];
    for (name, tensor) in weights.into_tensors() {
        let rest = name.strip_prefix("member.").and_then(|rest| rest.split_once('.'));
        if let Some((member, own_name)) = rest
            && let Some(tensors) = member
                .parse()
                .ok()
                .and_then(|member: usize| split.get_mut(member))
        {
            tensors.insert(own_name.to_owned(), tensor);
        }
    }
    split
}

#[cfg(test)]
mod tests;
