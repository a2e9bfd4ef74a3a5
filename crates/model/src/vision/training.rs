//! Training and fine-tuning of image networks.
//!
//! The same request gives the same weights, bit for bit: initialisation, shuffling and dropout draw from one seeded
//! stream, and everything is added up in one order on one thread.

use std::ops::ControlFlow;

use rand::seq::SliceRandom;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::backbone::Backbone;
use super::description::ImageNetwork;
use super::images::Images;
use super::labels;
use super::maps::Maps;
use super::memory::Reuse;
use super::model::{ImageModel, ImageRecord};
use super::network::Network;
use super::optimiser::{AdamW, Learning};
use super::settings::{ImageTrainingSettings, Stage, Unfrozen};
use crate::calibration::Calibration;
use crate::dataset::is_positive;
use crate::metrics::{auc_roc, average_precision};
use crate::scalar::{cross_entropy, narrow, sigmoid};
use crate::schedule::{Rates, Schedule};
use crate::{Error, Result};

/// What one pass over the training images came to.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ImageEpoch {
    /// The stage, from 0.
    pub stage: usize,
    /// The pass over all stages, from 1; 0 is the network before the first one.
    pub epoch: usize,
    /// The mean loss over the training images while they were learned, as weighted in training. 0 for epoch 0.
    pub training_loss: f64,
    /// The mean cross-entropy over the validation images, unweighted.
    pub validation_loss: f64,
    /// The average precision on the validation images.
    pub validation_average_precision: f64,
    /// The area under the receiver operating characteristic on the validation images.
    pub validation_auc_roc: f64,
    /// Whether this is the best pass so far.
    pub best: bool,
}

/// Called after every pass; `Break` ends the training with the best weights so far.
pub type ImageProgress<'a> = dyn FnMut(&ImageEpoch) -> ControlFlow<()> + 'a;

/// Gives the bytes to learn from in an epoch for the image at an index, the same shape again. For training to be
/// reproducible it depends on its three arguments alone.
pub type Augment<'a> = dyn FnMut(usize, usize, &[u8]) -> Vec<u8> + 'a;

/// The weights to start from.
#[derive(Clone, Copy, Debug)]
pub enum ImageStart<'a> {
    /// Random ones.
    Random,
    /// Those of a pretrained network, under a new head.
    Backbone(&'a Backbone),
    /// Those of a network trained before, its head included.
    Model(&'a ImageModel),
}

/// Everything a training run on images depends on, beside the augmentation.
#[derive(Clone, Copy, Debug)]
pub struct ImageTrainingRequest<'a> {
    /// The network, with one output.
    pub network: &'a ImageNetwork,
    /// The weights to start from.
    pub start: ImageStart<'a>,
    /// The images of both parts.
    pub images: &'a Images,
    /// 1 for fraud and 0 otherwise, one an image.
    pub labels: &'a [f32],
    /// The images to learn from.
    pub train: &'a [usize],
    /// The images to stop, calibrate and measure by; they are never augmented.
    pub validation: &'a [usize],
    /// How to learn.
    pub settings: &'a ImageTrainingSettings,
    /// Decides everything random.
    pub seed: u64,
}

/// A trained image network.
#[derive(Clone, Debug)]
pub struct TrainedImages {
    /// Ready to score and to be stored.
    pub model: ImageModel,
    /// Every pass.
    pub curve: Vec<ImageEpoch>,
}

/// Trains the stages one after the other, stops each early, and calibrates the best weights on the validation images.
///
/// # Errors
/// If the request does not fit together, a class is absent from a part of the images, the augmentation changes an
/// image's size, or the loss stops being a number.
pub fn train_images(
    request: &ImageTrainingRequest<'_>,
    augment: &mut Augment<'_>,
    progress: &mut ImageProgress<'_>,
) -> Result<TrainedImages> {
    check(request)?;
    let _reuse = Reuse::begin();
    let mut run = Run::new(request)?;
    let mut history = History::new(&run.network);
    history.add(run.validate(0, 0.0)?, &run.network, request, progress);
    for (at, stage) in request.settings.stages.iter().enumerate() {
        run.begin(stage, &history.best);
        history.since_best = 0;
        for _ in 0..stage.max_epochs {
            if history.interrupted || history.since_best >= request.settings.patience_epochs {
                break;
            }
            let loss = run.epoch(stage, augment)?;
            history.add(run.validate(at, loss)?, &run.network, request, progress);
        }
    }
    run.network = history.best;
    let logits = run.validation_logits()?;
    let calibration = Calibration::fit(&logits, &labels::select(request.labels, request.validation));
    Ok(TrainedImages {
        model: ImageModel {
            record: ImageRecord {
                network: request.network.clone(),
                calibration,
            },
            weights: run.network.store(),
        },
        curve: history.epochs,
    })
}

fn check(request: &ImageTrainingRequest<'_>) -> Result<()> {
    request.settings.validate()?;
    request.network.validate()?;
    request.images.check_shape(&request.network.input)?;
    if request.network.outputs != 1 {
        return Err(Error::Inconsistent {
            reason: "an image network that is trained has one output",
        });
    }
    labels::check(
        request.labels,
        request.images.len(),
        [request.train, request.validation],
        "there is no image at an index to learn from",
    )
}

/// The passes so far, and the network after the best of them.
struct History {
    epochs: Vec<ImageEpoch>,
    best: Network,
    best_score: f64,
    /// Passes since the best one, or since the stage began.
    since_best: usize,
    interrupted: bool,
}

impl History {
    fn new(network: &Network) -> Self {
        Self {
            epochs: Vec::new(),
            best: network.clone(),
            best_score: f64::NEG_INFINITY,
            since_best: 0,
            interrupted: false,
        }
    }

    /// Numbers and keeps a pass.
    fn add(
        &mut self,
        mut epoch: ImageEpoch,
        network: &Network,
        request: &ImageTrainingRequest<'_>,
        progress: &mut ImageProgress<'_>,
    ) {
        let score = request.settings.stop_by.score(&epoch);
        epoch.epoch = self.epochs.len();
        epoch.best = score > self.best_score;
        self.since_best += 1;
        if epoch.best {
            (self.best, self.best_score, self.since_best) = (network.clone(), score, 0);
        }
        self.interrupted = progress(&epoch).is_break();
        self.epochs.push(epoch);
    }
}

/// A training under way.
struct Run<'a> {
    request: &'a ImageTrainingRequest<'a>,
    network: Network,
    optimiser: AdamW,
    schedule: Schedule,
    random: ChaCha8Rng,
    order: Vec<usize>,
    passes: usize,
}

impl<'a> Run<'a> {
    fn new(request: &'a ImageTrainingRequest<'a>) -> Result<Self> {
        let mut random = ChaCha8Rng::seed_from_u64(request.seed);
        let network = start(request, || random.random_range(-1.0_f32..1.0))?;
        let settings = request.settings;
        Ok(Self {
            request,
            network,
            optimiser: AdamW::new(settings.weight_decay, settings.gradient_clip),
            schedule: schedule(request, &settings.stages[0]),
            random,
            order: request.train.to_vec(),
            passes: 0,
        })
    }

    /// A stage starts from the best network so far, has its own schedule, and forgets the gradients of the one before.
    fn begin(&mut self, stage: &Stage, best: &Network) {
        self.network = best.clone();
        let settings = self.request.settings;
        self.optimiser = AdamW::new(settings.weight_decay, settings.gradient_clip);
        self.schedule = schedule(self.request, stage);
    }

    /// One pass over the shuffled images; the mean loss.
    fn epoch(&mut self, stage: &Stage, augment: &mut Augment<'_>) -> Result<f64> {
        self.passes += 1;
        let mut order = std::mem::take(&mut self.order);
        order.shuffle(&mut self.random);
        let mut loss = 0.0;
        for batch in order.chunks(self.request.settings.batch_images) {
            let maps = self.augmented(batch, augment)?;
            loss += self.step(stage, maps, batch);
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

    fn augmented(&self, batch: &[usize], augment: &mut Augment<'_>) -> Result<Maps> {
        let images = self.request.images;
        let pixels = batch
            .iter()
            .flat_map(|&at| augment(self.passes, at, images.image(at)));
        let images = Images::new(images.shape(), pixels.collect())?;
        if images.len() != batch.len() {
            return Err(Error::Length {
                name: "augmented images".to_owned(),
                found: images.len(),
                expected: batch.len(),
            });
        }
        let all: Vec<usize> = (0..batch.len()).collect();
        Ok(images.numbers(&all, self.request.network))
    }

    /// One step on a batch; its summed loss.
    fn step(&mut self, stage: &Stage, maps: Maps, batch: &[usize]) -> f64 {
        let settings = self.request.settings;
        let first = first_unit(stage.unfrozen, self.network.units());
        let random = &mut self.random;
        let kept = |count| keep_mask(count, settings.dropout, random);
        let trace = self
            .network
            .forward(maps, first, narrow(settings.norm_momentum), kept);
        let (loss, gradient) = loss(
            &trace.outputs,
            &labels::select(self.request.labels, batch),
            settings.positive_weight,
        );
        self.network.backward(&trace, &gradient);
        let rate = self.schedule.next_rate();
        let head = self.network.units();
        let parameters = self.network.parameters_mut().into_iter();
        let learning = parameters
            .filter(|(unit, ..)| *unit >= first)
            .map(|(unit, parameter, decay)| Learning {
                parameter,
                decay,
                rate: rate * (0..head - unit).fold(1.0, |share, _| share * stage.rate_decay),
            });
        self.optimiser.step(learning.collect());
        loss
    }

    fn validation_logits(&self) -> Result<Vec<f64>> {
        let images = self.request.images.select(self.request.validation);
        let network = self.network.fold();
        let outputs = network.outputs(&network.embeddings(&images)?);
        Ok(outputs.into_iter().map(f64::from).collect())
    }

    /// Measures the network on the validation images as it will score.
    fn validate(&self, stage: usize, training_loss: f64) -> Result<ImageEpoch> {
        let logits = self.validation_logits()?;
        let labels = labels::select(self.request.labels, self.request.validation);
        let losses = logits
            .iter()
            .zip(&labels)
            .map(|(&x, &y)| cross_entropy(x, f64::from(y)));
        Ok(ImageEpoch {
            stage,
            epoch: 0,
            training_loss,
            validation_loss: losses.sum::<f64>() / labels.len() as f64,
            validation_average_precision: average_precision(&logits, &labels).unwrap_or(0.0),
            validation_auc_roc: auc_roc(&logits, &labels).unwrap_or(0.0),
            best: false,
        })
    }
}

fn schedule(request: &ImageTrainingRequest<'_>, stage: &Stage) -> Schedule {
    let settings = request.settings;
    let rates = Rates {
        highest: stage.learning_rate,
        warmup_share: settings.warmup_share,
        final_share: settings.final_rate_share,
    };
    let steps = request.train.len().div_ceil(settings.batch_images);
    Schedule::new(&rates, steps * stage.max_epochs)
}

/// The network before training; a new head starts at the logit of the training images' frequency.
fn start(request: &ImageTrainingRequest<'_>, uniform: impl FnMut() -> f32) -> Result<Network> {
    let labels = labels::select(request.labels, request.train);
    let positives = labels.iter().filter(|&&label| is_positive(label)).count() as f64;
    let odds = positives / (labels.len() as f64 - positives);
    let bias = narrow(libm::log(odds * request.settings.positive_weight));
    let other = |description: &ImageNetwork| {
        description.architecture != request.network.architecture
            || description.treatment != request.network.treatment
    };
    match request.start {
        ImageStart::Random => Ok(Network::random(request.network, bias, uniform)),
        ImageStart::Backbone(backbone) if other(backbone.description()) => Err(Error::WarmStart),
        ImageStart::Backbone(backbone) => {
            let network = Network::load(backbone.description(), backbone.weights())?;
            Ok(network.with_head(request.network, bias, uniform))
        }
        ImageStart::Model(model) if other(&model.record.network) => Err(Error::WarmStart),
        ImageStart::Model(model) => Network::load(request.network, &model.weights),
    }
}

/// The first unit that learns.
fn first_unit(unfrozen: Unfrozen, units: usize) -> usize {
    match unfrozen {
        Unfrozen::Head => units,
        Unfrozen::Last(blocks) => units.saturating_sub(blocks),
        Unfrozen::All => 0,
    }
}

/// 0 for a share of the numbers, and for the others what keeps their mean; empty where none is dropped.
pub(super) fn keep_mask(count: usize, dropout: f64, random: &mut ChaCha8Rng) -> Vec<f32> {
    if dropout == 0.0 {
        return Vec::new();
    }
    let dropped_below = crate::scalar::floor_index(dropout * 65_536.0, 65_536);
    let kept = narrow(65_536.0 / (65_536 - dropped_below) as f64);
    let mut bytes = vec![0; 2 * count];
    random.fill_bytes(&mut bytes);
    let (pairs, _) = bytes.as_chunks::<2>();
    let dropped = |pair: &[u8; 2]| usize::from(u16::from_le_bytes(*pair)) < dropped_below;
    pairs
        .iter()
        .map(|pair| if dropped(pair) { 0.0 } else { kept })
        .collect()
}

/// The summed cross-entropy, and the gradient of its mean.
pub(super) fn loss(logits: &[f32], labels: &[f32], positive_weight: f64) -> (f64, Vec<f32>) {
    let count = logits.len() as f64;
    let each = logits.iter().zip(labels).map(|(&logit, &label)| {
        let weight = if is_positive(label) { positive_weight } else { 1.0 };
        let (logit, label) = (f64::from(logit), f64::from(label));
        let slope = narrow(weight * (sigmoid(logit) - label) / count);
        (weight * cross_entropy(logit, label), slope)
    });
    let (losses, gradient): (Vec<f64>, Vec<f32>) = each.unzip();
    (losses.into_iter().sum(), gradient)
}
