//! How fast an image network learns and scores on one thread: one line of JSON.
//!
//! ```text
//! network_speed efficientnet_lite0|small SIDE BATCH STEPS
//! ```
//!
//! Images of `SIDE × SIDE` pixels that a seed gives, random weights. A step is everything from the bytes of a batch to
//! the weights it has changed: treatment, forward and backward pass, clipping, AdamW. The first one warms up and does
//! not count. Seconds are those of the processor, as Linux counts them for the thread: what else runs on the machine
//! shows little. `bench/torch_images.py` does the same with PyTorch.

#![allow(clippy::print_stdout, reason = "an example prints what it found")]

use std::error::Error;
use std::ops::ControlFlow;

use model::vision::{
    ImageModel, ImageNetwork, ImageShape, ImageStart, ImageTrainingRequest, ImageTrainingSettings, Images,
    SmallCnn, Stage, Treatment, train_images,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// That of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Images that are scored one after the other.
const SCORED: usize = 16;

struct Plan {
    name: String,
    network: ImageNetwork,
    batch: usize,
    steps: usize,
}

impl Plan {
    fn read(arguments: &[String]) -> Result<Self, Box<dyn Error>> {
        let [name, side, batch, steps] = arguments else {
            return Err("usage: network_speed efficientnet_lite0|small SIDE BATCH STEPS".into());
        };
        let (side, batch, steps) = (side.parse()?, batch.parse()?, steps.parse()?);
        let grey = ImageShape {
            height: side,
            width: side,
            channels: 1,
        };
        let network = match name.as_str() {
            "efficientnet_lite0" => ImageNetwork::efficientnet_lite0(side, side, 1),
            "small" => ImageNetwork::small(grey, Treatment::Residuals, SmallCnn::default()),
            other => return Err(format!("{other} is no network").into()),
        };
        Ok(Self {
            name: name.clone(),
            network,
            batch,
            steps,
        })
    }

    /// Noise, as many images as asked for.
    fn images(&self, count: usize) -> model::Result<Images> {
        let mut pixels = vec![0; count * self.network.input.len()];
        ChaCha8Rng::seed_from_u64(1).fill_bytes(&mut pixels);
        Images::new(self.network.input, pixels)
    }
}

/// Trains one pass: the seconds of each step, and the network.
fn learn(plan: &Plan) -> model::Result<(Vec<f64>, ImageModel)> {
    // One step that warms up, and one that only ends the last that counts. Validation takes two images.
    let learned = plan.batch * (plan.steps + 2);
    let images = plan.images(learned + 2)?;
    let labels: Vec<f32> = (0..images.len()).map(|at| (at % 2) as f32).collect();
    let (train, validation): (Vec<usize>, Vec<usize>) = (0..images.len()).partition(|&at| at < learned);
    let defaults = ImageTrainingSettings::default();
    let settings = ImageTrainingSettings {
        stages: vec![Stage {
            max_epochs: 1,
            ..defaults.stages[0]
        }],
        batch_images: plan.batch,
        ..defaults
    };
    let request = ImageTrainingRequest {
        network: &plan.network,
        start: ImageStart::Random,
        images: &images,
        labels: &labels,
        train: &train,
        validation: &validation,
        settings: &settings,
        seed: 1,
    };
    let (mut asked, mut began) = (0, Vec::new());
    let mut augment = |_: usize, _: usize, pixels: &[u8]| {
        if asked % plan.batch == 0 {
            began.push(busy_seconds());
        }
        asked += 1;
        pixels.to_vec()
    };
    let trained = train_images(&request, &mut augment, &mut |_| ControlFlow::Continue(()))?;
    let steps = began.windows(2).skip(1);
    let seconds = steps.map(|pair| pair[1] - pair[0]);
    Ok((seconds.collect(), trained.model))
}

/// The seconds that each of a few images takes to be scored.
fn score(plan: &Plan, model: &ImageModel) -> model::Result<Vec<f64>> {
    let (scorer, images) = (model.scorer()?, plan.images(1)?);
    let mut seconds = Vec::new();
    for _ in 0..=SCORED {
        let began = busy_seconds();
        scorer.score(&images)?;
        seconds.push(busy_seconds() - began);
    }
    Ok(seconds.split_off(1))
}

/// What learns: weights, biases and norms without their running statistics.
fn parameters(model: &ImageModel) -> usize {
    let tensors = model.weights.clone().into_tensors().into_iter();
    let learning = tensors.filter(|(name, _)| !name.contains(".running_"));
    learning.map(|(_, tensor)| tensor.data.len()).sum()
}

/// Processor time of this thread so far.
fn busy_seconds() -> f64 {
    let counted = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux counts it");
    let nanoseconds = counted
        .split_whitespace()
        .next()
        .and_then(|first| first.parse::<f64>().ok());
    nanoseconds.expect("its first number") / 1e9
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let plan = Plan::read(&arguments)?;
    let (steps, model) = learn(&plan)?;
    let report = serde_json::json!({
        "network": plan.name,
        "parameters": parameters(&model),
        "train_images_per_second": plan.batch as f64 / median(steps),
        "score_images_per_second": 1.0 / median(score(&plan, &model)?),
    });
    println!("{report}");
    Ok(())
}
