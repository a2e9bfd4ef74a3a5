//! Workers as processes of their own, on topics, groups and a folder that no other test has.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use serde_json::Value;
use stream::Kafka;
use tempfile::TempDir;
use testkit::{Broker, eventually, unique};

use crate::cli::{Cli, Output};
use crate::{logs, say};

/// How long a worker may take to drain.
const DRAIN: Duration = Duration::from_secs(60);
/// Keys of the topics in the configuration.
const TOPICS: [&str; 7] = [
    "transactions",
    "labels",
    "images",
    "features",
    "scores",
    "models",
    "dead_letters",
];

/// What can run as a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Worker {
    /// All four in one process.
    Up,
    /// Cleans what comes in.
    Ingest,
    /// Turns events into features and writes the tables.
    Preprocess,
    /// Scores.
    Scorer,
    /// Trains.
    Trainer,
}

impl Worker {
    /// Its command.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Ingest => "ingest",
            Self::Preprocess => "preprocess",
            Self::Scorer => "scorer",
            Self::Trainer => "trainer",
        }
    }
}

/// How much was produced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Transactions.
    pub transactions: usize,
    /// Labels of transactions.
    pub labels: usize,
    /// Document images.
    pub images: usize,
    /// Labels of images.
    pub image_labels: usize,
}

/// A pipeline of a test's own. Dropping it kills what still runs.
pub struct Pipeline {
    id: String,
    folder: TempDir,
    cli: Cli,
    running: BTreeMap<Worker, Child>,
}

impl Pipeline {
    /// Topics are made, nothing runs yet. `settings` are keys of the configuration with their values.
    ///
    /// # Panics
    /// If the broker or the topics cannot be had.
    #[must_use]
    pub fn new(name: &str, settings: &[(&str, &str)]) -> Self {
        Self::with_config(name, None, settings)
    }

    /// The same on the grounds of a configuration file.
    ///
    /// # Panics
    /// If the broker or the topics cannot be had.
    #[must_use]
    pub fn with_config(name: &str, config: Option<&Path>, settings: &[(&str, &str)]) -> Self {
        Self::with(name, config, settings, &[])
    }

    /// The same with variables of the environment that every process gets.
    ///
    /// # Panics
    /// If the broker or the topics cannot be had.
    #[must_use]
    pub fn with_variables(name: &str, settings: &[(&str, &str)], variables: &[(&str, String)]) -> Self {
        Self::with(name, None, settings, variables)
    }

    fn with(
        name: &str,
        config: Option<&Path>,
        settings: &[(&str, &str)],
        variables: &[(&str, String)],
    ) -> Self {
        let id = unique(name);
        let folder = TempDir::with_prefix("riskstream-test-").expect("a temporary folder");
        let mut arguments = own_settings(&id, folder.path());
        arguments.extend(settings.iter().flat_map(|(key, value)| set(key, value)));
        arguments.extend(
            config
                .iter()
                .flat_map(|path| ["--config".to_owned(), path.display().to_string()]),
        );
        let pipeline = Self {
            id,
            folder,
            cli: variables
                .iter()
                .fold(Cli::new().with_arguments(arguments), |cli, (name, value)| {
                    cli.with_variable(name, value)
                }),
            running: BTreeMap::new(),
        };
        let _ = pipeline.cli.run(&["topics", "create"]).ok();
        pipeline
    }

    /// The command line with this pipeline's settings.
    #[must_use]
    pub fn cli(&self) -> &Cli {
        &self.cli
    }

    /// A path in the pipeline's folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder of tables, snapshots and models.
    #[must_use]
    pub fn lake(&self) -> PathBuf {
        self.path("lake")
    }

    /// The name of a topic, by its key in the configuration.
    #[must_use]
    pub fn topic(&self, key: &str) -> String {
        topic(&self.id, key)
    }

    /// The broker.
    ///
    /// # Panics
    /// Never: it takes no settings.
    #[must_use]
    pub fn kafka(&self) -> Kafka {
        let servers = Broker::shared().bootstrap_servers();
        Kafka::new(servers, "riskstream-test", BTreeMap::new()).expect("there are no settings to refuse")
    }

    /// Starts a worker.
    ///
    /// # Panics
    /// If it runs already.
    pub fn start(&mut self, worker: Worker) {
        let log = logs::open(self.folder.path(), worker.name());
        let before = self.running.insert(worker, self.cli.spawn(&[worker.name()], log));
        assert!(before.is_none(), "{worker:?} runs already");
    }

    /// Kills a worker as a power switch would.
    ///
    /// # Panics
    /// If it does not run.
    pub fn kill9(&mut self, worker: Worker) {
        let mut child = self.running.remove(&worker).expect("it runs");
        if let Some(status) = child.try_wait().expect("a child can be asked") {
            panic!("{worker:?} had ended by itself ({status})\n{}", self.logs());
        }
        child.kill().expect("a child can be killed");
        let _ = child.wait().expect("a killed child ends");
    }

    /// Asks a worker to end, and waits until it has drained.
    ///
    /// # Panics
    /// If it fails, or takes too long.
    pub fn stop(&mut self, worker: Worker) {
        let child = self.running.get_mut(&worker).expect("it runs");
        let killed = Command::new("kill")
            .args(["-TERM", &child.id().to_string()])
            .status();
        assert!(killed.is_ok_and(|status| status.success()), "kill does its work");
        let status = eventually(worker.name(), DRAIN, || {
            child.try_wait().expect("a child can be asked")
        });
        assert!(
            status.success(),
            "{worker:?} ended with {status}\n{}",
            self.logs()
        );
        self.running.remove(&worker);
    }

    /// Asks all workers to end, one after the other.
    ///
    /// # Panics
    /// If one fails, or takes too long.
    pub fn stop_all(&mut self) {
        let running: Vec<Worker> = self.running.keys().copied().collect();
        running.into_iter().for_each(|worker| self.stop(worker));
    }

    /// Fails if a worker has ended by itself.
    ///
    /// # Panics
    /// Then.
    pub fn check(&mut self) {
        let ended = |child: &mut Child| child.try_wait().expect("a child can be asked");
        let ended: Vec<(Worker, ExitStatus)> = self
            .running
            .iter_mut()
            .filter_map(|(worker, child)| Some((*worker, ended(child)?)))
            .collect();
        assert!(ended.is_empty(), "workers have ended: {ended:?}\n{}", self.logs());
    }

    /// The highest resident memory of a worker so far, in bytes.
    ///
    /// # Panics
    /// If it does not run.
    #[must_use]
    pub fn peak_bytes(&self, worker: Worker) -> u64 {
        let pid = self.running[&worker].id();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs, on Linux");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = peak.and_then(|peak| peak.split_whitespace().next());
        let kibibytes: u64 = kibibytes
            .and_then(|n| n.parse().ok())
            .expect("Linux tells the peak in kibibytes");
        kibibytes * 1024
    }

    /// Simulates a stream of transactions; the file that holds it.
    ///
    /// # Panics
    /// If it cannot be written.
    #[must_use]
    pub fn simulate(&self, customers: u32, days: u32) -> PathBuf {
        self.simulated(customers, days, &[])
    }

    /// The same, and so many documents a day that belong to them; the file that holds these.
    ///
    /// # Panics
    /// If they cannot be written.
    #[must_use]
    pub fn simulate_documents(&self, customers: u32, days: u32, a_day: u32) -> (PathBuf, PathBuf) {
        let images = self.path("images.parquet");
        let (output, a_day) = (images.display().to_string(), a_day.to_string());
        let documents = ["--images", &output, "--documents-per-day", &a_day];
        let transactions = self.simulated(customers, days, &documents);
        (transactions, images)
    }

    fn simulated(&self, customers: u32, days: u32, more: &[&str]) -> PathBuf {
        let file = self.path("transactions.ndjson");
        let (customers, days) = (customers.to_string(), days.to_string());
        let output = file.to_str().expect("a path that is text");
        let sizes = ["--customers", &customers, "--terminals", "40", "--days", &days];
        let command = [&["simulate", "--output", output], &sizes[..], more].concat();
        let _ = self.cli.run(&command).ok();
        file
    }

    /// Produces a file as fast as possible; how many transactions and labels that were.
    ///
    /// # Panics
    /// If it cannot be sent.
    #[must_use]
    pub fn produce(&self, file: &Path, arguments: &[&str]) -> (usize, usize) {
        let input = file.to_str().expect("a path that is text");
        let sent = self.sent(&[&["--input", input], arguments].concat());
        (sent.transactions, sent.labels)
    }

    /// Produces what the arguments name as fast as possible.
    ///
    /// # Panics
    /// If it cannot be sent.
    #[must_use]
    pub fn sent(&self, arguments: &[&str]) -> Sent {
        let command = [&["produce", "--format", "json"], arguments].concat();
        let sent = self.cli.run(&command).ok().json();
        Sent {
            transactions: count(&sent, "transactions"),
            labels: count(&sent, "labels"),
            images: count(&sent, "images"),
            image_labels: count(&sent, "image_labels"),
        }
    }

    /// Waits until a topic has so many decoded records or rows.
    ///
    /// # Panics
    /// If a worker ends meanwhile, or that does not happen in time.
    pub fn wait_for(&mut self, topic: &str, count: usize, timeout: Duration) {
        let (output, log) = (
            self.path("waiting.ndjson"),
            logs::open(self.folder.path(), "waiting"),
        );
        let output = output.to_str().expect("a path that is text").to_owned();
        let wanted = count.to_string();
        let mut waiting = Guard(self.cli.spawn(
            &[
                "consume", "--topic", topic, "--count", &wanted, "--output", &output,
            ],
            log,
        ));
        let ended = eventually(&format!("{wanted} of {topic}"), timeout, || {
            self.check();
            waiting.0.try_wait().expect("a child can be asked")
        });
        assert!(
            ended.success(),
            "consume ended with {ended}\n{}",
            logs::tail(self.folder.path(), "waiting")
        );
    }

    /// Everything that is in a topic now, decoded.
    ///
    /// # Panics
    /// If it cannot be read.
    #[must_use]
    pub fn consume(&self, topic: &str) -> Vec<Value> {
        self.consumed(topic).lines()
    }

    /// What `consume` prints of everything that is in a topic now.
    ///
    /// # Panics
    /// If it cannot be read.
    #[must_use]
    pub fn consumed(&self, topic: &str) -> Output {
        self.cli
            .run(&["consume", "--topic", topic, "--until-caught-up"])
            .ok()
    }

    fn logs(&self) -> String {
        let workers = [
            Worker::Up,
            Worker::Ingest,
            Worker::Preprocess,
            Worker::Scorer,
            Worker::Trainer,
        ];
        workers
            .map(|worker| logs::tail(self.folder.path(), worker.name()))
            .join("\n")
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        for child in self.running.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            say(&self.logs());
        }
    }
}

/// A child that ends with its owner.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn topic(id: &str, key: &str) -> String {
    format!("{id}-{}", key.replace('_', "-"))
}

fn set(key: &str, value: &str) -> [String; 2] {
    ["--set".to_owned(), format!("{key}={value}")]
}

/// What makes a pipeline this test's own, and lets a successor take over soon.
fn own_settings(id: &str, folder: &Path) -> Vec<String> {
    let key = folder.join("token.key");
    std::fs::write(&key, "a key of tokens that is good enough for tests").expect("the folder can be written");
    let mut settings = vec![
        (
            "kafka.bootstrap_servers".to_owned(),
            Broker::shared().bootstrap_servers().to_owned(),
        ),
        // The least that brokers allow: so long the group waits for one that was killed.
        (
            "kafka.properties.\"session.timeout.ms\"".to_owned(),
            "6000".to_owned(),
        ),
        ("topics.events".to_owned(), format!("{id}-events-{{entity}}")),
        ("ingest.group".to_owned(), format!("{id}-ingest")),
        ("preprocess.group".to_owned(), format!("{id}-stage")),
        ("preprocess.snapshot_interval".to_owned(), "1s".to_owned()),
        ("lake.group".to_owned(), format!("{id}-lake")),
        (
            "lake.location".to_owned(),
            folder.join("lake").display().to_string(),
        ),
        ("lake.flush_interval".to_owned(), "500ms".to_owned()),
        ("scorer.group".to_owned(), format!("{id}-scorer")),
        ("scorer.transaction_timeout".to_owned(), "5s".to_owned()),
        ("server.listen".to_owned(), "127.0.0.1:0".to_owned()),
        ("log.filter".to_owned(), "warn".to_owned()),
        ("secrets.token_key_file".to_owned(), key.display().to_string()),
    ];
    settings.extend(TOPICS.map(|key| (format!("topics.{key}"), topic(id, key))));
    settings.iter().flat_map(|(key, value)| set(key, value)).collect()
}

fn count(sent: &Value, what: &str) -> usize {
    sent[what]
        .as_u64()
        .and_then(|n| usize::try_from(n).ok())
        .unwrap_or_else(|| panic!("no {what} in {sent}"))
}
