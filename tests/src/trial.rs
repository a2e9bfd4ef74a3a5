//! The same stream twice, once undisturbed and once with workers killed: what comes out must be the same.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use schema::time;
use serde_json::Value;
use stream::{Producer, ProducerOptions, Record};
use testkit::wait_until;

use crate::pipeline::{Pipeline, Worker};
use crate::{Chance, copy_record, count_rows, handbook, pack_file, read_topic, say};

/// The workers that are killed.
const WORKERS: [Worker; 4] = [
    Worker::Ingest,
    Worker::Preprocess,
    Worker::Scorer,
    Worker::Trainer,
];
/// Everywhere: a network that is soon trained, since what is shown does not depend on how good it is; and a gate that
/// lets no second model through, since both runs have to score with the same.
///
/// The stream is shorter than its event times by far: that no more of a topic comes for a moment, of labels above all,
/// must not pass as the end of history.
const SETTINGS: [(&str, &str); 3] = [
    ("ingest.order.silence", "10s"),
    ("trainer.gate_tolerance", "-1"),
    ("trainer.network.optimiser.max_epochs", "2"),
];
/// A short stream has few frauds.
const SIMULATED: [(&str, &str); 5] = [
    ("trainer.min_transactions", "200"),
    ("trainer.min_frauds", "3"),
    ("trainer.window", "60d"),
    ("trainer.validation_share", "0.5"),
    ("trainer.label_delay", "1d"),
];
/// The state of a long one is not small, and neither is what a killed worker has to catch up with.
const PACK: [(&str, &str); 1] = [("preprocess.snapshot_interval", "5s")];
/// 2025-01-01, where simulations start.
const START_US: i64 = 1_735_689_600_000_000;
const DAY_US: i64 = 86_400_000_000;

/// What is streamed.
#[derive(Clone, Debug)]
pub enum Stream {
    /// A simulation.
    Simulated {
        /// Cards in use.
        customers: u32,
        /// Days simulated.
        days: u32,
    },
    /// The pack of the card stream, in a folder.
    Pack(PathBuf),
}

impl Stream {
    fn pipeline(&self, name: &str) -> Pipeline {
        let (config, own) = match self {
            Self::Simulated { .. } => (None, &SIMULATED[..]),
            Self::Pack(_) => (Some(handbook()), &PACK[..]),
        };
        Pipeline::with_config(name, config.as_deref(), &[&SETTINGS[..], own].concat())
    }

    /// Puts it on the topics; how many transactions and labels.
    fn produce(&self, pipeline: &Pipeline) -> (usize, usize) {
        match self {
            Self::Simulated { customers, days } => {
                pipeline.produce(&pipeline.simulate(*customers, *days), &[])
            }
            Self::Pack(folder) => {
                pipeline.produce(&pack_file(folder, "raw_stream"), &["--mapping", "handbook"])
            }
        }
    }

    /// When the model is made that scores: early enough that trainings are due while the stream goes on.
    fn as_of(&self) -> String {
        match self {
            Self::Simulated { days, .. } => time::format(START_US + i64::from(days / 2) * DAY_US),
            Self::Pack(_) => "2018-05-14T00:00:00Z".to_owned(),
        }
    }
}

/// How hard a trial is.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is streamed.
    pub stream: Stream,
    /// How long the killed run's stream lasts.
    pub lasts: Duration,
    /// How often each worker is killed meanwhile.
    pub kills: usize,
    /// How long anything that is waited for may take.
    pub patience: Duration,
}

/// Runs both and compares them.
///
/// # Panics
/// If they differ.
pub fn killed_and_undisturbed(plan: &Plan) {
    let mut chance = Chance::new();
    let mut undisturbed = plan.stream.pipeline("undisturbed");
    let (transactions, labels) = plan.stream.produce(&undisturbed);
    say(&format!("{transactions} transactions and {labels} labels"));
    let version = run_undisturbed(&mut undisturbed, plan, (transactions, labels));
    let expected = Run::of(&undisturbed, transactions);
    expected.check(&version);

    let mut killed = plan.stream.pipeline("killed");
    give_models(&undisturbed, &killed, plan);
    let records = raw_records(&undisturbed);
    run_killed(&mut killed, &undisturbed, records, plan, &mut chance);
    killed.wait_for("features", transactions, plan.patience);
    killed.wait_for("scores", transactions, plan.patience);
    wait_until("a challenger", plan.patience, || models(&killed).len() > 1);
    killed.stop_all();
    let found = Run::of(&killed, transactions);
    compare("features", &expected.features, &found.features);
    compare("scores", &expected.scores, &found.scores);
    for model in models(&killed) {
        let version = model["version"].as_str().expect("a model has a version");
        let _ = killed.cli().run(&["model", "show", version]).ok();
    }
}

/// Reads all of history, trains on a part of it, and scores all of it with that model; the model's version.
fn run_undisturbed(pipeline: &mut Pipeline, plan: &Plan, (transactions, labels): (usize, usize)) -> String {
    pipeline.start(Worker::Ingest);
    pipeline.start(Worker::Preprocess);
    pipeline.wait_for("features", transactions, plan.patience);
    let lake = pipeline.lake();
    wait_until("all rows in the table", plan.patience, || {
        count_rows(&lake, "features") == transactions && count_rows(&lake, "labels") == labels
    });
    let as_of = plan.stream.as_of();
    let report = pipeline
        .cli()
        .run(&["train", "--once", "--as-of", &as_of, "--format", "json"])
        .ok()
        .json();
    pipeline.start(Worker::Scorer);
    pipeline.wait_for("scores", transactions, plan.patience);
    pipeline.stop_all();
    report["version"]
        .as_str()
        .expect("a training names its bundle")
        .to_owned()
}

/// The models that are there; each command on one checks it against its hashes.
fn models(pipeline: &Pipeline) -> Vec<Value> {
    pipeline
        .cli()
        .run(&["model", "list", "--format", "json"])
        .ok()
        .lines()
}

/// The same models, announced in the same words.
fn give_models(from: &Pipeline, to: &Pipeline, plan: &Plan) {
    copy_folder(&from.lake().join("models"), &to.lake().join("models"));
    let mut producer = Producer::new(&to.kafka(), ProducerOptions::default()).expect("a producer");
    for record in read_topic(&from.kafka(), &from.topic("models")) {
        copy_record(&mut producer, &record, &to.topic("models"));
    }
    producer.flush(plan.patience).expect("the broker acknowledges");
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the folder can be made");
    for entry in fs::read_dir(from)
        .expect("the models are there")
        .map(|entry| entry.expect("an entry"))
    {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy_folder(&from, &to);
        } else {
            fs::copy(&from, &to).expect("the file can be copied");
        }
    }
}

/// What was produced, in the order in which it was: by event time over all partitions.
fn raw_records(pipeline: &Pipeline) -> Vec<Record> {
    let mut records = read_topic(&pipeline.kafka(), &pipeline.topic("transactions"));
    records.extend(read_topic(&pipeline.kafka(), &pipeline.topic("labels")));
    let time = |record: &Record| {
        let value: Value =
            serde_json::from_slice(record.payload.as_deref().unwrap_or_default()).expect("JSON");
        let time = value.get("known_at").unwrap_or(&value["event_time"]);
        time.as_i64().map_or_else(
            || time.as_str().unwrap_or_default().to_owned(),
            |ms| format!("{ms:020}"),
        )
    };
    records.sort_by_cached_key(|record| (time(record), record.partition, record.offset));
    records
}

/// Streams the records at an even rate, and kills workers at random places of the stream.
fn run_killed(
    pipeline: &mut Pipeline,
    from: &Pipeline,
    records: Vec<Record>,
    plan: &Plan,
    chance: &mut Chance,
) {
    WORKERS.into_iter().for_each(|worker| pipeline.start(worker));
    let mut kills = kills(plan, records.len(), chance);
    let mut producer = Producer::new(&pipeline.kafka(), ProducerOptions::default()).expect("a producer");
    let topics = [pipeline.topic("transactions"), pipeline.topic("labels")];
    let labels = from.topic("labels");
    let began = Instant::now();
    let pace = plan.lasts.as_secs_f64() / records.len().max(1) as f64;
    for (nth, record) in records.iter().enumerate() {
        let due = Duration::from_secs_f64(pace * nth as f64);
        // The rate of the stream, not a wait for anything.
        std::thread::sleep(due.saturating_sub(began.elapsed()));
        copy_record(
            &mut producer,
            record,
            &topics[usize::from(*record.topic == *labels)],
        );
        for worker in kills.remove(&nth).unwrap_or_default() {
            say(&format!(
                "{:?} killed after {:.1} s",
                worker,
                began.elapsed().as_secs_f64()
            ));
            pipeline.kill9(worker);
            pipeline.start(worker);
        }
    }
    producer.flush(plan.patience).expect("the broker acknowledges");
}

/// At which record of the stream which workers are killed: each at a random place of each part of the stream, so that
/// it has time to come back.
fn kills(plan: &Plan, records: usize, chance: &mut Chance) -> BTreeMap<usize, Vec<Worker>> {
    let mut kills: BTreeMap<usize, Vec<Worker>> = BTreeMap::new();
    let part = records / plan.kills.max(1);
    for (nth, worker) in (0..plan.kills).flat_map(|nth| WORKERS.map(|worker| (nth, worker))) {
        kills
            .entry(nth * part + chance.below(part))
            .or_default()
            .push(worker);
    }
    kills
}

/// What a run has come to.
struct Run {
    features: Rows,
    scores: Rows,
}

impl Run {
    fn of(pipeline: &Pipeline, transactions: usize) -> Self {
        let run = Self {
            features: Rows::read(pipeline, "features"),
            scores: Rows::read(pipeline, "scores"),
        };
        assert_eq!(
            run.features.digests.len(),
            transactions,
            "a feature row for each transaction"
        );
        assert_eq!(
            run.scores.digests.len(),
            transactions,
            "a score for each transaction"
        );
        run
    }

    /// Every score names the bundle that made it (INV-6), and no row came out of turn.
    fn check(&self, version: &str) {
        for score in self.scores.lines() {
            assert_eq!(score["version"], version, "{score}");
            assert!(score["score"].is_number(), "{score}");
        }
        let late = self.features.lines().filter(|row| row["late"] == true).count();
        assert_eq!(late, 0, "rows that came out of turn in an undisturbed run");
    }
}

/// Rows or scores by their transaction, each of which must be there once. Millions of them are not held in memory, but
/// a digest of each.
struct Rows {
    file: PathBuf,
    digests: BTreeMap<String, u64>,
}

impl Rows {
    fn read(pipeline: &Pipeline, topic: &str) -> Self {
        let mut rows = Self {
            file: pipeline.path(&format!("{topic}.ndjson")),
            digests: BTreeMap::new(),
        };
        let output = rows.file.to_str().expect("a path that is text");
        let command = [
            "consume",
            "--topic",
            topic,
            "--until-caught-up",
            "--output",
            output,
        ];
        let _ = pipeline.cli().run(&command).ok();
        for row in rows.lines() {
            let mut hasher = DefaultHasher::new();
            row.to_string().hash(&mut hasher);
            let id = id_of(&row);
            let before = rows.digests.insert(id.clone(), hasher.finish());
            assert!(before.is_none(), "{id} is there twice in {topic}");
        }
        rows
    }

    /// All of them, without what may differ between runs: when a row was scored, and the name of the raw topic.
    fn lines(&self) -> impl Iterator<Item = Value> + use<> {
        let file = File::open(&self.file).expect("the file is there");
        BufReader::new(file).lines().map(|line| {
            let line = line.expect("the file can be read");
            let mut row: Value = serde_json::from_str(&line).expect("JSON");
            for changing in ["/scored_at", "/source/topic"] {
                if let Some(value) = row.pointer_mut(changing) {
                    *value = Value::Null;
                }
            }
            row
        })
    }
}

fn id_of(row: &Value) -> String {
    let id = row["transaction_id"].as_str();
    id.unwrap_or_else(|| panic!("no identifier: {row}")).to_owned()
}

/// Compares two runs row by row; fails with the first rows that differ.
fn compare(what: &str, expected: &Rows, found: &Rows) {
    let differing: BTreeSet<&String> = expected
        .digests
        .keys()
        .chain(found.digests.keys())
        .filter(|id| expected.digests.get(*id) != found.digests.get(*id))
        .collect();
    let shown: BTreeSet<&String> = differing.iter().take(3).copied().collect();
    for (run, rows) in [("undisturbed", expected), ("killed", found)] {
        if !shown.is_empty() {
            rows.lines()
                .filter(|row| shown.contains(&id_of(row)))
                .for_each(|row| say(&format!("{run}: {row}")));
        }
    }
    let rows = expected.digests.len();
    assert!(
        differing.is_empty(),
        "of {rows} {what} {} differ, see above",
        differing.len()
    );
    say(&format!("{rows} {what} are the same, row by row"));
}
