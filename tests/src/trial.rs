//! The same stream twice, once undisturbed and once with workers killed: what comes out must be the same.

mod lake;
mod run;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use schema::time;
use serde_json::Value;
use stream::{Producer, ProducerOptions, Record};
use testkit::wait_until;

use crate::pipeline::{Pipeline, Sent, Worker};
use crate::{Chance, copy_record, count_rows, handbook, pack_file, read_topic, say};
use lake::{compare_objects, compare_tables, revisions, versions_are_there_once};
use run::{Expected, Run, compare};

/// The workers that are killed.
const WORKERS: [Worker; 4] = [
    Worker::Ingest,
    Worker::Preprocess,
    Worker::Scorer,
    Worker::Trainer,
];
/// Threads of one ingest that write images: the default.
const WRITERS: usize = 2;
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
/// A short stream has few frauds, and its images are small.
const SIMULATED: [(&str, &str); 18] = [
    ("trainer.min_transactions", "200"),
    ("trainer.min_frauds", "3"),
    ("trainer.window", "60d"),
    ("trainer.validation_share", "0.5"),
    ("trainer.label_delay", "1d"),
    ("preprocess.images.frame.height", "48"),
    ("preprocess.images.frame.width", "48"),
    ("trainer.images.min_images", "30"),
    ("trainer.images.min_frauds", "3"),
    ("trainer.images.validation_share", "0.5"),
    ("trainer.images.label_delay", "1d"),
    ("trainer.images.network", "small"),
    (
        "trainer.images.small.blocks",
        "[{ outputs = 8, stride = 2 }, { outputs = 16, stride = 2 }]",
    ),
    (
        "trainer.images.training.stages",
        "[{ unfrozen = \"all\", max_epochs = 2, learning_rate = 6e-3, rate_decay = 1.0 }]",
    ),
    ("trainer.images.max_repeats", "2"),
    ("trainer.fusion.min_images", "30"),
    ("trainer.fusion.min_frauds", "1"),
    ("trainer.fusion.network.optimiser.max_epochs", "2"),
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
        /// Documents a day that belong to transactions.
        documents_a_day: u32,
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

    /// Puts it on the topics; how much that is.
    fn produce(&self, pipeline: &Pipeline) -> Sent {
        let text = |path: &Path| path.display().to_string();
        match self {
            Self::Simulated {
                customers,
                days,
                documents_a_day,
            } => {
                let (transactions, images) = pipeline.simulate_documents(*customers, *days, *documents_a_day);
                pipeline.sent(&["--input", &text(&transactions), "--images", &text(&images)])
            }
            Self::Pack(folder) => {
                let stream = text(&pack_file(folder, "raw_stream"));
                pipeline.sent(&["--input", &stream, "--mapping", "handbook"])
            }
        }
    }

    /// The topics of its raw records, by their keys in the configuration.
    fn topics(&self) -> &'static [&'static str] {
        match self {
            Self::Simulated { .. } => &["transactions", "labels", "images"],
            Self::Pack(_) => &["transactions", "labels"],
        }
    }

    /// The kinds of models that score it.
    fn models(&self) -> &'static [&'static str] {
        match self {
            Self::Simulated { .. } => &["transaction", "image"],
            Self::Pack(_) => &["transaction"],
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
    let sent = plan.stream.produce(&undisturbed);
    say(&format!("{sent:?}"));
    let expected = run_undisturbed(&mut undisturbed, plan, sent);
    let first = Run::of(&undisturbed, &expected);
    first.check(&expected);

    let mut killed = plan.stream.pipeline("killed");
    give_models(&undisturbed, &killed, plan);
    let records = raw_records(&undisturbed, &plan.stream);
    run_killed(&mut killed, records, plan, &mut chance);
    killed.wait_for("features", expected.rows(), plan.patience);
    killed.wait_for("scores", expected.rows(), plan.patience);
    wait_for_tables(&killed, &expected, plan.patience);
    wait_until("a challenger of each kind", plan.patience, || {
        let models = models(&killed);
        let of_kind = |kind: &&str| models.iter().filter(|model| model["kind"] == **kind).count();
        plan.stream.models().iter().all(|kind| of_kind(kind) > 1)
    });
    killed.stop_all();
    let second = Run::of(&killed, &expected);
    compare("features", &first.features, &second.features);
    compare("scores", &first.scores, &second.scores);
    for table in expected.tables() {
        compare_tables(table, &undisturbed.lake(), &killed.lake());
    }
    compare_objects(&undisturbed.lake(), &killed.lake(), plan.kills * WRITERS);
    versions_are_there_once(&killed.lake());
    for model in models(&killed) {
        let version = model["version"].as_str().expect("a model has a version");
        let _ = killed.cli().run(&["model", "show", version]).ok();
    }
}

/// Reads all of history, trains on a part of it, and scores all of it with these models.
fn run_undisturbed(pipeline: &mut Pipeline, plan: &Plan, sent: Sent) -> Expected {
    pipeline.start(Worker::Ingest);
    pipeline.start(Worker::Preprocess);
    let mut expected = Expected {
        sent,
        revisions: 0,
        versions: BTreeMap::new(),
    };
    pipeline.wait_for("features", expected.rows(), plan.patience);
    let lake = pipeline.lake();
    wait_until("all events in their tables", plan.patience, || {
        count_rows(&lake, "events") == sent.transactions && count_rows(&lake, "images") == sent.images
    });
    expected.revisions = revisions(&lake);
    wait_for_tables(pipeline, &expected, plan.patience);
    for model in plan.stream.models() {
        let as_of = plan.stream.as_of();
        let command = [
            "train", "--once", "--model", model, "--as-of", &as_of, "--format", "json",
        ];
        let report = pipeline.cli().run(&command).ok().json();
        let version = report["version"].as_str().expect("a training names its bundle");
        expected.versions.insert(*model, version.to_owned());
    }
    pipeline.start(Worker::Scorer);
    pipeline.wait_for("scores", expected.rows(), plan.patience);
    pipeline.stop_all();
    expected
}

fn wait_for_tables(pipeline: &Pipeline, expected: &Expected, patience: Duration) {
    let lake = pipeline.lake();
    for table in expected.tables() {
        let rows = expected.rows_of(table);
        wait_until(&format!("{rows} rows in {table}"), patience, || {
            count_rows(&lake, table) >= rows
        });
    }
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

/// What was produced, with the keys of its topics, in the order in which it was: by event time over all partitions.
fn raw_records(pipeline: &Pipeline, stream: &Stream) -> Vec<(&'static str, Record)> {
    let of_topic = |key: &&'static str| {
        let key = *key;
        let records = read_topic(&pipeline.kafka(), &pipeline.topic(key));
        records.into_iter().map(move |record| (key, record))
    };
    let mut records: Vec<_> = stream.topics().iter().flat_map(of_topic).collect();
    records.sort_by_cached_key(|(_, record)| (time_us(record), record.partition, record.offset));
    records
}

/// When a raw record takes place: an image tells it in a header.
fn time_us(record: &Record) -> i64 {
    let told = record.header("event_time").map_or_else(
        || {
            let payload = record.payload.as_deref().unwrap_or_default();
            let value: Value = serde_json::from_slice(payload).expect("JSON");
            value.get("known_at").unwrap_or(&value["event_time"]).clone()
        },
        |header| Value::String(String::from_utf8_lossy(header).into_owned()),
    );
    let text = || time::parse(told.as_str()?);
    let time = told.as_i64().map(|ms| ms * 1_000).or_else(text);
    time.unwrap_or_else(|| panic!("no time: {told}"))
}

/// Streams the records at an even rate, and kills workers at random places of the stream.
fn run_killed(pipeline: &mut Pipeline, records: Vec<(&str, Record)>, plan: &Plan, chance: &mut Chance) {
    WORKERS.into_iter().for_each(|worker| pipeline.start(worker));
    let mut kills = kills(plan, records.len(), chance);
    let mut producer = Producer::new(&pipeline.kafka(), ProducerOptions::default()).expect("a producer");
    let topics = plan.stream.topics().iter().map(|key| (*key, pipeline.topic(key)));
    let topics: BTreeMap<&str, String> = topics.collect();
    let began = Instant::now();
    let pace = plan.lasts.as_secs_f64() / records.len().max(1) as f64;
    for (nth, (key, record)) in records.iter().enumerate() {
        let due = Duration::from_secs_f64(pace * nth as f64);
        // The rate of the stream, not a wait for anything.
        std::thread::sleep(due.saturating_sub(began.elapsed()));
        copy_record(&mut producer, record, &topics[key]);
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
