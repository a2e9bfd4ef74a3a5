//! Document images from the raw topic to the score, at full speed.

mod report;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rdkafka::Message as _;
use rdkafka::consumer::BaseConsumer;
use serde::Serialize;

use crate::args::BenchArgs;
use crate::arrivals::attach;
use crate::broker::Broker;
use crate::measure::spent;
use crate::pipeline::{SimulatedImages, Workshop};
use crate::process::load_average;
use crate::say;
use crate::subject::{Delivery, Subject};
use crate::system::System;
pub(crate) use report::ImageReport;

/// How long nothing may come before a round is given up.
const STALLED: Duration = Duration::from_secs(120);
const WAIT: Duration = Duration::from_millis(100);
/// After the last score: what comes again comes soon.
const SETTLE: Duration = Duration::from_secs(3);
/// Days of history, and of what is measured.
const DAYS: u32 = 30;
/// Days after the history at which its labels are known and a model is trained.
const KNOWN_AFTER: u32 = 10;
/// Documents of the history: a model's quality is not measured here.
const LEARNED: u32 = 450;

/// One round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) images: u32,
    pub(crate) missing: u64,
    pub(crate) duplicates: u64,
    /// Images whose score names no model.
    pub(crate) without_model: u64,
    /// Between the score that made 5 % and the one that made 95 %.
    pub(crate) per_second: f64,
    /// From the start of the processes to the last score.
    pub(crate) seconds: f64,
    /// All images over the processor time of all workers.
    pub(crate) per_cpu_second: f64,
    pub(crate) cpu_seconds: BTreeMap<String, f64>,
    pub(crate) broker_cpu_seconds: Option<f64>,
    pub(crate) peak_bytes: BTreeMap<String, u64>,
    pub(crate) load_average: f64,
}

impl Outcome {
    /// Whether every image was scored exactly once, by a model.
    pub(crate) fn is_valid(&self) -> bool {
        self.missing == 0 && self.duplicates == 0 && self.without_model == 0
    }

    /// In one line.
    fn line(&self) -> String {
        let (per_second, per_cpu) = (self.per_second, self.per_cpu_second);
        let line = format!("{per_second:.1} images/s, {per_cpu:.1} per CPU second");
        if self.is_valid() {
            line
        } else {
            let (missing, twice, cold) = (self.missing, self.duplicates, self.without_model);
            format!("{line}; VOID: {missing} missing, {twice} scored again, {cold} without a model")
        }
    }
}

/// Runs all rounds and reports; says whether every figure counts.
pub(crate) fn bench(
    args: &BenchArgs,
    broker: &Broker,
    workshop: &mut Workshop<'_>,
) -> anyhow::Result<ImageReport> {
    say("preparing: simulating documents, passing the older ones once, training a model on them");
    train(args, broker, workshop)?;
    let file = args.folder.join("images.parquet");
    workshop.simulate_images(
        &file,
        &SimulatedImages {
            seed: 2,
            days: DAYS,
            documents: args.documents(),
        },
    )?;
    let mut report = ImageReport::new(args);
    for round in 1..=args.rounds() {
        say(&format!("round {round} of {}: images", args.rounds()));
        let outcome = measure(broker, workshop, &file)?;
        say(&outcome.line());
        report.add(outcome);
    }
    Ok(report)
}

/// Passes a history through once, and trains on it.
fn train(args: &BenchArgs, broker: &Broker, workshop: &mut Workshop<'_>) -> anyhow::Result<()> {
    let file: PathBuf = args.folder.join("learned.parquet");
    workshop.simulate_images(
        &file,
        &SimulatedImages {
            seed: 1,
            days: DAYS,
            documents: LEARNED,
        },
    )?;
    let mut system = workshop.found(Delivery::Transactional)?;
    system.records = workshop.produce_images(&system, &file, &[])?;
    workshop.start(Subject::RiskstreamTransactional, &mut system)?;
    let mut scores = Scores::of(broker, &system)?;
    scores.wait(&mut system)?;
    let as_of = workshop.day(DAYS + KNOWN_AFTER)?;
    workshop.train(&system, &["--model", "image", "--as-of", &as_of])?;
    workshop.keep_models(&system)?;
    system.stop(broker)
}

/// All images are on the raw topic before a worker starts.
fn measure(broker: &Broker, workshop: &mut Workshop<'_>, file: &Path) -> anyhow::Result<Outcome> {
    let mut system = workshop.found(Delivery::Transactional)?;
    system.records = workshop.produce_images(&system, file, &["--no-labels"])?;
    let mut scores = Scores::of(broker, &system)?;
    let before = system.meter(broker)?;
    let began = Instant::now();
    workshop.start(Subject::RiskstreamTransactional, &mut system)?;
    scores.wait(&mut system)?;
    let after = system.meter(broker)?;
    scores.take_for(SETTLE)?;
    let load_average = load_average()?;
    system.check()?;
    let (images, came) = (system.records, scores.at.len());
    system.stop(broker)?;
    let cpu_seconds = spent(&before, &after, 1.0);
    let (at_5, at_95) = (scores.at[came / 20], scores.at[came * 19 / 20]);
    let broker_cpu = after.broker.zip(before.broker);
    let peaks = after.workers.into_iter();
    Ok(Outcome {
        images,
        missing: u64::from(images).saturating_sub(scores.times.len() as u64),
        duplicates: (came - scores.times.len()) as u64,
        without_model: scores.without_model,
        per_second: (came * 9 / 10) as f64 / (at_95 - at_5).as_secs_f64(),
        seconds: (scores.at[came - 1] - began).as_secs_f64(),
        per_cpu_second: f64::from(images) / cpu_seconds.values().sum::<f64>(),
        cpu_seconds,
        broker_cpu_seconds: broker_cpu.map(|(a, b)| a.cpu_seconds - b.cpu_seconds),
        peak_bytes: peaks.map(|(name, usage)| (name, usage.peak_bytes)).collect(),
        load_average,
    })
}

/// The scores of images as they come to a `read_committed` consumer.
struct Scores {
    consumer: BaseConsumer,
    /// When each came, repeats included.
    at: Vec<Instant>,
    /// How often each image was scored.
    times: BTreeMap<String, u32>,
    without_model: u64,
}

impl Scores {
    fn of(broker: &Broker, system: &System) -> anyhow::Result<Self> {
        Ok(Self {
            consumer: attach(
                broker.servers(),
                &system.output,
                system.partitions,
                "bench-images",
            )?,
            at: Vec::new(),
            times: BTreeMap::new(),
            without_model: 0,
        })
    }

    /// Waits until every image has a score, and fails when none has come for a while.
    fn wait(&mut self, system: &mut System) -> anyhow::Result<()> {
        let mut since = Instant::now();
        while self.times.len() < system.records as usize {
            system.check()?;
            if self.take()? {
                since = Instant::now();
            } else if since.elapsed() > STALLED {
                let (have, want) = (self.times.len(), system.records);
                bail!("only {have} of {want} images have a score, and none came for {STALLED:?}");
            }
        }
        Ok(())
    }

    /// Takes what comes within a time.
    fn take_for(&mut self, time: Duration) -> anyhow::Result<()> {
        let began = Instant::now();
        while began.elapsed() < time {
            self.take()?;
        }
        Ok(())
    }

    /// Takes one score, if one comes soon.
    fn take(&mut self) -> anyhow::Result<bool> {
        let Some(message) = self.consumer.poll(WAIT) else {
            return Ok(false);
        };
        let message = message?;
        self.at.push(Instant::now());
        let score: serde_json::Value = serde_json::from_slice(message.payload().unwrap_or_default())?;
        let id = score["image_id"].as_str().context("a score of no image")?;
        *self.times.entry(id.to_owned()).or_default() += 1;
        self.without_model += u64::from(!score["version"].is_string());
        Ok(true)
    }
}
