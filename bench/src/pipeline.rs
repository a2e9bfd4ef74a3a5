//! riskstream as it is measured: its three workers, each a process, on topics and a lake of their own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::Deserialize;

use crate::args::BenchArgs;
use crate::arrivals::Arrivals;
use crate::broker::Broker;
use crate::process::Worker;
use crate::subject::{Delivery, Subject};
use crate::system::System;
use crate::traffic::{Payload, Traffic};
use crate::{chain, measure, say};

/// Days of history; about two transactions a customer and day.
const DAYS: u32 = 60;
const STAGES: [&str; 2] = ["terminal", "customer"];
/// The first day of simulated documents.
const IMAGES_FROM: &str = "2025-01-01";
/// How long it may take until the tables hold enough to train on.
const TRAINING: Duration = Duration::from_secs(180);
/// How long nothing may come while the first history passes, on a broker that is still cold.
const STALLED: Duration = Duration::from_secs(120);

/// Where the riskstream to measure is; built first unless it was named.
pub(crate) fn binary(args: &BenchArgs) -> anyhow::Result<PathBuf> {
    if let Some(binary) = &args.binary {
        return Ok(binary.clone());
    }
    let build = ["build", "--release", "--locked", "-p", "riskstream"];
    let status = Command::new(&args.cargo)
        .args(build)
        .status()
        .context("cargo does not run")?;
    ensure!(status.success(), "riskstream could not be built");
    let beside = std::env::current_exe()?.with_file_name("riskstream");
    ensure!(
        beside.exists(),
        "{} is not there; name it with --binary",
        beside.display()
    );
    Ok(beside)
}

/// Makes systems to measure.
pub(crate) struct Workshop<'a> {
    args: &'a BenchArgs,
    broker: &'a Broker,
    binary: PathBuf,
    made: u32,
}

/// What `produce` says about what it has sent.
#[derive(Deserialize)]
struct Sent {
    transactions: u32,
    images: u32,
}

/// A world of which only the documents are of interest.
pub(crate) struct SimulatedImages {
    pub(crate) seed: u32,
    pub(crate) days: u32,
    /// About how many.
    pub(crate) documents: u32,
}

impl<'a> Workshop<'a> {
    pub(crate) fn new(args: &'a BenchArgs, broker: &'a Broker, binary: PathBuf) -> anyhow::Result<Self> {
        Ok(Self {
            args,
            broker,
            binary,
            made: 0,
        })
    }

    /// Simulates history, lets it pass once, which also warms the broker up, and trains a model on it.
    pub(crate) fn prepare(&mut self) -> anyhow::Result<()> {
        say("preparing: simulating history, passing it once, training a model on it");
        self.simulate(DAYS, &self.history())?;
        self.simulate(1, &self.today())?;
        let subject = Subject::RiskstreamIdempotent;
        let (mut system, _) = self.lay_out(subject)?;
        let arrivals = Arrivals::start(self.broker.servers(), &system.output, system.partitions)?;
        self.start(subject, &mut system)?;
        let records = system.records;
        measure::wait(&mut system, &arrivals, 0, records, STALLED)?;
        self.train(&system, &[])?;
        self.keep_models(&system)?;
        system.stop(self.broker)
    }

    /// Later systems score with the models of this one.
    pub(crate) fn keep_models(&self, system: &System) -> anyhow::Result<()> {
        copy(&self.folder(system).join("lake/models"), &self.models())
    }

    fn history(&self) -> PathBuf {
        self.args.folder.join("history.parquet")
    }

    fn today(&self) -> PathBuf {
        self.args.folder.join("today.ndjson")
    }

    fn models(&self) -> PathBuf {
        self.args.folder.join("models")
    }

    fn folder(&self, system: &System) -> PathBuf {
        self.args.folder.join(&system.prefix)
    }

    /// The same customers and terminals, whatever the number of days.
    fn simulate(&self, days: u32, file: &Path) -> anyhow::Result<()> {
        let customers = (self.args.transactions() / (2 * DAYS)).max(50).to_string();
        let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
        let start = today.checked_sub(i64::from(DAYS + 1).days())?.to_string();
        let mut command = Command::new(&self.binary);
        command.args([
            "simulate",
            "--customers",
            &customers,
            "--terminals",
            &customers,
            "--start",
            &start,
        ]);
        output(command.args(["--days", &days.to_string(), "--output"]).arg(file))?;
        Ok(())
    }

    /// Writes images of documents of another world.
    pub(crate) fn simulate_images(&self, file: &Path, world: &SimulatedImages) -> anyhow::Result<()> {
        let SimulatedImages {
            seed,
            days,
            documents,
        } = world;
        let per_day = f64::from(*documents) / f64::from(*days);
        // About two transactions a customer and day: enough for each document to have one of its own.
        let customers = (documents / days * 2).max(100).to_string();
        let mut command = Command::new(&self.binary);
        command.args(["simulate", "--customers", &customers, "--terminals", "50"]);
        command.args(["--seed", &seed.to_string(), "--days", &days.to_string()]);
        command.args([
            "--start",
            IMAGES_FROM,
            "--documents-per-day",
            &per_day.to_string(),
        ]);
        command
            .arg("--output")
            .arg(file.with_extension("transactions.parquet"));
        output(command.arg("--images").arg(file))?;
        Ok(())
    }

    /// The beginning of a day of that world, by its number.
    pub(crate) fn day(&self, number: u32) -> anyhow::Result<String> {
        let first: Timestamp = format!("{IMAGES_FROM}T00:00:00Z").parse()?;
        Ok((first + jiff::SignedDuration::from_hours(24 * i64::from(number))).to_string())
    }

    /// Sends a table of images; how many there are.
    pub(crate) fn produce_images(
        &self,
        system: &System,
        file: &Path,
        arguments: &[&str],
    ) -> anyhow::Result<u32> {
        let mut command = self.riskstream(system);
        command.args(["produce", "--format", "json"]).args(arguments);
        let said = output(command.arg("--images").arg(file))?;
        let sent: Sent = serde_json::from_str(&said).context("what produce says")?;
        Ok(sent.images)
    }

    /// Topics of riskstream's own, empty, and no process yet.
    pub(crate) fn found(&mut self, delivery: Delivery) -> anyhow::Result<System> {
        let prefix = self.next_prefix()?;
        let events = STAGES.map(|stage| (format!("events.{stage}"), format!("{prefix}.events.{stage}")));
        let system = System {
            input: format!("{prefix}.raw"),
            inner: events
                .into_iter()
                .chain([("features".to_owned(), format!("{prefix}.features"))])
                .collect(),
            output: format!("{prefix}.scores"),
            partitions: self.args.partitions,
            workers: Vec::new(),
            records: 0,
            prefix,
        };
        std::fs::write(self.config(&system), self.configuration(&system, delivery))?;
        output(self.riskstream(&system).args(["topics", "create"]))?;
        Ok(system)
    }

    fn next_prefix(&mut self) -> anyhow::Result<String> {
        self.made += 1;
        let prefix = format!("bench-{}", self.made);
        std::fs::create_dir_all(self.args.folder.join(&prefix))?;
        Ok(prefix)
    }

    /// Topics of a subject's own, with records in the raw one, and no process yet.
    pub(crate) fn lay_out(&mut self, subject: Subject) -> anyhow::Result<(System, Traffic)> {
        if subject.peer().is_none() {
            let prefix = self.next_prefix()?;
            return chain::lay_out(self.args, self.broker, prefix);
        }
        let mut system = self.found(subject.delivery())?;
        let history = self.history();
        let said = output(
            self.riskstream(&system)
                .args(["produce", "--format", "json", "--input"])
                .arg(history),
        )?;
        system.records = serde_json::from_str::<Sent>(&said)
            .context("what produce says")?
            .transactions;
        let today = Payload::transactions(&self.today())?;
        let traffic = Traffic::new(self.broker.servers(), &system.input, today)?;
        Ok((system, traffic))
    }

    /// Starts the processes of a system that was laid out.
    pub(crate) fn start(&self, subject: Subject, system: &mut System) -> anyhow::Result<()> {
        let folder = self.folder(system);
        if subject.peer().is_none() {
            return chain::start(self.broker, subject.delivery(), system, &folder);
        }
        if self.models().exists() {
            copy(&self.models(), &folder.join("lake/models"))?;
        }
        for name in ["ingest", "preprocess", "scorer"] {
            let worker = Worker::start(name, self.riskstream(system).arg(name), &folder)?;
            system.workers.push(worker);
        }
        Ok(())
    }

    fn config(&self, system: &System) -> PathBuf {
        self.folder(system).join("riskstream.toml")
    }

    fn riskstream(&self, system: &System) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .arg("--config")
            .arg(self.config(system))
            .env("KAFKA_BOOTSTRAP_SERVERS", self.broker.servers());
        for setting in &self.args.settings {
            command.args(["--set", setting]);
        }
        command
    }

    /// What differs from the default: names, places, no trainer's haste, the delivery.
    fn configuration(&self, system: &System, delivery: Delivery) -> String {
        let System {
            prefix,
            input,
            output,
            partitions,
            ..
        } = system;
        let (lake, delivery) = (self.folder(system).join("lake"), delivery.name());
        let lake = lake.display();
        format!(
            r#"
[topics]
transactions = "{input}"
labels = "{prefix}.labels"
images = "{prefix}.images"
events = "{prefix}.events.{{entity}}"
features = "{prefix}.features"
scores = "{output}"
dead_letters = "{prefix}.dead-letters"
models = "bench.models"
partitions = {partitions}
[ingest]
group = "{prefix}-ingest"
[preprocess]
group = "{prefix}"
[lake]
location = "{lake}"
group = "{prefix}-lake"
[trainer]
window = "14d"
# A model of images as large as ever, and hardly trained: how well it scores is no question here.
[trainer.images]
min_images = 300
max_images = 300
variants = 1
max_repeats = 1
[[trainer.images.training.stages]]
unfrozen = "all"
max_epochs = 1
learning_rate = 6e-3
rate_decay = 1.0
[scorer]
group = "{prefix}-scorer"
delivery = "{delivery}"
[server]
listen = "127.0.0.1:0"
[log]
filter = "warn"
[secrets]
token_key = "a benchmark's token key protects nothing"
"#
        )
    }

    /// Trains as soon as the tables hold enough.
    pub(crate) fn train(&self, system: &System, arguments: &[&str]) -> anyhow::Result<()> {
        let deadline = Instant::now() + TRAINING;
        loop {
            std::thread::sleep(Duration::from_secs(5));
            match output(self.riskstream(system).args(["train", "--once"]).args(arguments)) {
                Ok(report) => {
                    say(&report);
                    return Ok(());
                }
                Err(error) if Instant::now() >= deadline => bail!(error.context("no model could be trained")),
                Err(_) => {}
            }
        }
    }
}

/// What a command says; an error with what it says there if it fails.
fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{:?} {:?}: {said}",
        command.get_program(),
        command.get_args()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Copies a folder with everything in it.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
