//! How well image networks tell forged crops of documents from genuine ones, on folds that share no document.
//!
//! ```text
//! document_crops CROPS small|WEIGHTS.safetensors [FOLDS] [EPOCHS] [RATE] [SEEDS]
//! ```
//!
//! `CROPS` is little-endian: the number of crops, their height and their width (u32), then for each its document
//! (u32), its label (u8, 1 forged), a free byte, how many columns are filled (u16), and its grey pixels. The second
//! argument is the network: `small`, or the weights of EfficientNet-Lite0 to start from. A fold's network is the mean
//! of the logits of as many seeds as asked for; a sixth of the documents it may learn from decides when to stop.

#![allow(clippy::print_stdout, reason = "an example prints what it found")]

use std::error::Error;
use std::ops::ControlFlow;
use std::time::Instant;

use model::metrics::auc_roc;
use model::vision::{
    Backbone, ConvBlock, ImageNetwork, ImageShape, ImageStart, ImageTrainingRequest, ImageTrainingSettings,
    Images, SmallCnn, Stage, Treatment, Unfrozen, train_images,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Folds of documents.
const FOLDS: usize = 5;
/// The part of a crop that holds the amount: its lines and columns, and how far augmentation moves it.
const LINES: usize = 32;
const COLUMNS: usize = 144;
const TOP: i32 = 8;
const LEFT: i32 = 28;

struct Crop {
    document: u32,
    label: f32,
    filled: usize,
    pixels: Vec<u8>,
}

struct Crops {
    height: usize,
    width: usize,
    all: Vec<Crop>,
}

/// How a crop is looked at.
struct View {
    down: i32,
    right: i32,
    contrast: f32,
    brightness: f32,
}

const PLAIN: View = View {
    down: 0,
    right: 0,
    contrast: 1.0,
    brightness: 0.0,
};

impl View {
    /// Decided by the seed, the epoch and the crop alone.
    fn random(seed: u64, epoch: usize, at: usize) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(((epoch as u64) << 32) | at as u64);
        Self {
            down: random.random_range(-3..=3),
            right: random.random_range(-6..=6),
            contrast: random.random_range(0.75_f32..1.3),
            brightness: random.random_range(-25.0_f32..25.0),
        }
    }
}

impl Crops {
    fn read(path: &str) -> Result<Self, Box<dyn Error>> {
        let bytes = std::fs::read(path)?;
        let number = |at: usize| -> Result<usize, Box<dyn Error>> {
            Ok(u32::from_le_bytes(bytes.get(at..at + 4).ok_or("the file ends early")?.try_into()?) as usize)
        };
        let (height, width) = (number(4)?, number(8)?);
        let records = bytes[12..].chunks_exact(8 + height * width);
        let all = records.map(|record| {
            Ok(Crop {
                document: u32::from_le_bytes(record[..4].try_into()?),
                label: f32::from(record[4]),
                filled: usize::from(u16::from_le_bytes(record[6..8].try_into()?)),
                pixels: record[8..].to_vec(),
            })
        });
        let all = all.collect::<Result<Vec<_>, Box<dyn Error>>>()?;
        Ok(Self { height, width, all })
    }

    /// The part of a crop that holds the amount; beyond its edge it goes on as it ends.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped before"
    )]
    fn part(&self, at: usize, view: &View) -> Vec<u8> {
        let crop = &self.all[at];
        let place = |start: i32, offset: usize, len: usize| {
            let place = start + i32::try_from(offset).unwrap_or(i32::MAX);
            usize::try_from(place).unwrap_or(0).min(len - 1)
        };
        let mut part = Vec::with_capacity(LINES * COLUMNS);
        for (line, column) in (0..LINES).flat_map(|line| (0..COLUMNS).map(move |column| (line, column))) {
            let row = place(TOP + view.down, line, self.height);
            let byte = crop.pixels[row * self.width + place(LEFT + view.right, column, crop.filled)];
            let value = (f32::from(byte) - 180.0) * view.contrast + 180.0 + view.brightness;
            part.push(value.clamp(0.0, 255.0) as u8);
        }
        part
    }
}

/// A grey part at twice its size in three channels, for a network that was trained on photographs.
fn enlarged(part: &[u8]) -> Vec<u8> {
    let at =
        |line: usize, column: usize| u16::from(part[line.min(LINES - 1) * COLUMNS + column.min(COLUMNS - 1)]);
    let mut out = Vec::with_capacity(12 * part.len());
    for (line, column) in (0..2 * LINES).flat_map(|line| (0..2 * COLUMNS).map(move |column| (line, column))) {
        let (y, x) = (line / 2, column / 2);
        let sum = at(y, x) + at(y + line % 2, x) + at(y, x + column % 2) + at(y + line % 2, x + column % 2);
        let byte = u8::try_from(sum / 4).unwrap_or(u8::MAX);
        out.extend([byte; 3]);
    }
    out
}

/// What is trained: a network, where it starts, and how crops are made into its images.
struct Trial {
    network: ImageNetwork,
    settings: ImageTrainingSettings,
    backbone: Option<Backbone>,
}

impl Trial {
    fn new(kind: &str, epochs: usize, rate: f64) -> Result<Self, Box<dyn Error>> {
        let stage = |unfrozen, max_epochs, rate_decay| Stage {
            unfrozen,
            max_epochs,
            learning_rate: rate,
            rate_decay,
        };
        if kind != "small" {
            return Ok(Self {
                network: ImageNetwork::efficientnet_lite0(2 * LINES, 2 * COLUMNS, 1),
                settings: ImageTrainingSettings {
                    stages: vec![stage(Unfrozen::Head, 1, 1.0), stage(Unfrozen::All, epochs, 0.95)],
                    patience_epochs: epochs,
                    ..ImageTrainingSettings::fine_tuning()
                },
                backbone: Some(Backbone::from_safetensors(&std::fs::read(kind)?)?),
            });
        }
        let block = |(outputs, stride)| ConvBlock { outputs, stride };
        let blocks = [(16, 1), (24, 2), (32, 1), (48, 2), (64, 1), (96, 2)]
            .map(block)
            .to_vec();
        let shape = ImageShape {
            height: LINES,
            width: COLUMNS,
            channels: 1,
        };
        Ok(Self {
            network: ImageNetwork::small(shape, Treatment::Residuals, SmallCnn { blocks }),
            settings: ImageTrainingSettings {
                stages: vec![stage(Unfrozen::All, epochs, 1.0)],
                patience_epochs: epochs,
                ..Default::default()
            },
            backbone: None,
        })
    }

    fn image(&self, part: Vec<u8>) -> Vec<u8> {
        if self.backbone.is_some() {
            enlarged(&part)
        } else {
            part
        }
    }

    /// The logits of the crops that were left out, by a network that learned from the others.
    fn run(&self, crops: &Crops, fold: &Fold, seed: u64) -> Result<Vec<f64>, Box<dyn Error>> {
        let all = 0..crops.all.len();
        let pixels = all.flat_map(|at| self.image(crops.part(at, &PLAIN)));
        let images = Images::new(self.network.input, pixels.collect())?;
        let labels: Vec<f32> = crops.all.iter().map(|crop| crop.label).collect();
        let request = ImageTrainingRequest {
            network: &self.network,
            start: self
                .backbone
                .as_ref()
                .map_or(ImageStart::Random, ImageStart::Backbone),
            images: &images,
            labels: &labels,
            train: &fold.train,
            validation: &fold.validation,
            settings: &self.settings,
            seed,
        };
        let trained = train_images(
            &request,
            &mut |epoch, at, _| self.image(crops.part(at, &View::random(seed, epoch, at))),
            &mut |epoch| {
                println!(
                    "  epoch {} loss {:.3} validation AUC {:.3}",
                    epoch.epoch, epoch.training_loss, epoch.validation_auc_roc
                );
                ControlFlow::Continue(())
            },
        )?;
        let scored = trained.model.scorer()?.score(&images.select(&fold.test))?;
        Ok(scored.into_iter().map(|image| image.logit).collect())
    }
}

/// Which crops are learned from, decide when to stop, and are left out.
struct Fold {
    train: Vec<usize>,
    validation: Vec<usize>,
    test: Vec<usize>,
}

impl Fold {
    /// Documents in the order of a hash of their number, dealt out to the folds.
    fn new(crops: &Crops, fold: usize) -> Self {
        let part =
            |document: u32| (u64::from(document).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) as usize % 60;
        let indices = |keep: &dyn Fn(usize) -> bool| {
            let kept = crops
                .all
                .iter()
                .enumerate()
                .filter(|(_, crop)| keep(part(crop.document)));
            kept.map(|(at, _)| at).collect()
        };
        let left_out = |part: usize| part % FOLDS == fold;
        let stops = |part: usize| !left_out(part) && (part / FOLDS).is_multiple_of(6);
        Self {
            train: indices(&|part| !left_out(part) && !stops(part)),
            validation: indices(&stops),
            test: indices(&left_out),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument =
        |at: usize, otherwise: &str| arguments.get(at).map_or(otherwise, String::as_str).to_owned();
    let crops = Crops::read(&argument(0, "crops.bin"))?;
    let trial = Trial::new(
        &argument(1, "small"),
        argument(3, "80").parse()?,
        argument(4, "0.006").parse()?,
    )?;
    let seeds: u64 = argument(5, "1").parse()?;
    let mut found = Vec::new();
    for fold in 0..argument(2, "5").parse()? {
        let began = Instant::now();
        let parts = Fold::new(&crops, fold);
        let mut sums = vec![0.0; parts.test.len()];
        for seed in 0..seeds {
            let logits = trial.run(&crops, &parts, seed)?;
            sums.iter_mut().zip(logits).for_each(|(sum, logit)| *sum += logit);
        }
        let labels: Vec<f32> = parts.test.iter().map(|&at| crops.all[at].label).collect();
        let auc = auc_roc(&sums, &labels).ok_or("a fold holds one class alone")?;
        found.push(auc);
        println!(
            "fold {fold}: AUC {auc:.3} on {} crops, {:.0?}",
            labels.len(),
            began.elapsed()
        );
    }
    let count = found.len() as f64;
    let mean = found.iter().sum::<f64>() / count;
    let variance = found.iter().map(|auc| (auc - mean) * (auc - mean)).sum::<f64>() / (count - 1.0).max(1.0);
    println!(
        "mean AUC {mean:.3}, standard deviation over folds {:.3}",
        variance.sqrt()
    );
    Ok(())
}
