//! The same stream twice, once undisturbed and once with workers killed: what comes out must be the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use stream::{Outgoing, Producer, ProducerOptions, Record};
use testkit::wait_until;

use crate::pipeline::{Pipeline, Worker};
use crate::{Chance, copy_record, count_rows, read_topic, say};

const PATIENCE: Duration = Duration::from_secs(180);
/// The workers that are killed.
const WORKERS: [Worker; 3] = [Worker::Ingest, Worker::Preprocess, Worker::Scorer];
/// A small network, soon trained: what is shown does not depend on how good it is.
///
/// The stream is shorter than its event times by far, and labels are rare in it: that no more of them comes for a
/// moment must not pass as the end of history.
const SETTINGS: [(&str, &str); 7] = [
    ("ingest.order.silence", "8s"),
    ("trainer.min_transactions", "200"),
    ("trainer.min_frauds", "3"),
    ("trainer.network.optimiser.max_epochs", "2"),
    ("trainer.window", "60d"),
    ("trainer.validation_share", "0.5"),
    ("trainer.label_delay", "1d"),
];

/// How hard a trial is.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Cards in use.
    pub customers: u32,
    /// Days simulated.
    pub days: u32,
    /// How long the killed run's stream lasts.
    pub lasts: Duration,
    /// How often each worker is killed meanwhile.
    pub kills: usize,
}

/// What a run has come to.
struct Run {
    features: BTreeMap<String, Value>,
    scores: BTreeMap<String, Value>,
}

/// Runs both and compares them.
///
/// # Panics
/// If they differ.
pub fn killed_and_undisturbed(plan: &Plan) {
    let mut chance = Chance::new();
    let mut undisturbed = Pipeline::new("undisturbed", &SETTINGS);
    let file = undisturbed.simulate(plan.customers, plan.days);
    let (transactions, labels) = undisturbed.produce(&file, &[]);
    say(&format!("{transactions} transactions and {labels} labels"));
    let version = run_undisturbed(&mut undisturbed, transactions, labels);
    let expected = Run::of(&undisturbed, transactions);
    expected.check(&version);

    let mut killed = Pipeline::new("killed", &SETTINGS);
    give_models(&undisturbed, &killed);
    let records = raw_records(&undisturbed);
    run_killed(&mut killed, &undisturbed, &records, plan, &mut chance);
    killed.wait_for("features", transactions, PATIENCE);
    killed.wait_for("scores", transactions, PATIENCE);
    killed.stop_all();
    let found = Run::of(&killed, transactions);
    compare("features", &expected.features, &found.features);
    compare("scores", &expected.scores, &found.scores);
}

/// Reads all of history, trains on it, and scores all of it with that model; the model's version.
fn run_undisturbed(pipeline: &mut Pipeline, transactions: usize, labels: usize) -> String {
    pipeline.start(Worker::Ingest);
    pipeline.start(Worker::Preprocess);
    pipeline.wait_for("features", transactions, PATIENCE);
    let lake = pipeline.lake();
    wait_until("all rows in the table", PATIENCE, || {
        count_rows(&lake, "features") == transactions && count_rows(&lake, "labels") == labels
    });
    let report = pipeline
        .cli()
        .run(&["train", "--once", "--format", "json"])
        .ok()
        .json();
    pipeline.start(Worker::Scorer);
    pipeline.wait_for("scores", transactions, PATIENCE);
    pipeline.stop_all();
    report["version"]
        .as_str()
        .expect("a training names its bundle")
        .to_owned()
}

/// The same models, announced in the same words.
fn give_models(from: &Pipeline, to: &Pipeline) {
    copy_folder(&from.lake().join("models"), &to.lake().join("models"));
    let mut producer = Producer::new(&to.kafka(), ProducerOptions::default()).expect("a producer");
    for record in read_topic(&from.kafka(), &from.topic("models")) {
        producer
            .send(Outgoing {
                topic: &to.topic("models"),
                ..outgoing(&record)
            })
            .expect("it is sent");
    }
    producer.flush(PATIENCE).expect("the broker acknowledges");
}

fn outgoing(record: &Record) -> Outgoing<'_> {
    Outgoing {
        topic: "",
        partition: Some(record.partition),
        key: record.key.as_deref(),
        payload: record.payload.as_deref(),
        headers: &[],
        timestamp_us: None,
    }
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
    records: &[Record],
    plan: &Plan,
    chance: &mut Chance,
) {
    WORKERS.into_iter().for_each(|worker| pipeline.start(worker));
    let mut kills = kills(plan, records.len(), chance);
    let mut producer = Producer::new(&pipeline.kafka(), ProducerOptions::default()).expect("a producer");
    let topics = [pipeline.topic("transactions"), pipeline.topic("labels")];
    let labels = from.topic("labels");
    let began = Instant::now();
    for (nth, record) in records.iter().enumerate() {
        let share = u32::try_from(nth).expect("few records");
        let due = plan.lasts * share / u32::try_from(records.len()).expect("few records");
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
    producer.flush(PATIENCE).expect("the broker acknowledges");
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

impl Run {
    fn of(pipeline: &Pipeline, transactions: usize) -> Self {
        let features = by_transaction(pipeline.consume("features"));
        let mut scores = by_transaction(pipeline.consume("scores"));
        for score in scores.values_mut() {
            // When it was scored may differ, and the raw topic of the other run has another name.
            score["scored_at"] = Value::Null;
            score["source"]["topic"] = Value::Null;
        }
        assert_eq!(features.len(), transactions, "a feature row for each transaction");
        assert_eq!(scores.len(), transactions, "a score for each transaction");
        Self { features, scores }
    }

    /// Every score names the bundle that made it (INV-6), and no row came out of turn.
    fn check(&self, version: &str) {
        for score in self.scores.values() {
            assert_eq!(score["version"], version, "{score}");
            assert!(score["score"].is_number(), "{score}");
        }
        let late = self.features.values().filter(|row| row["late"] == true).count();
        assert_eq!(late, 0, "rows that came out of turn in an undisturbed run");
    }
}

/// Rows or scores by their transaction, each of which must be there once.
fn by_transaction(values: Vec<Value>) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for value in values {
        let id = value["transaction_id"]
            .as_str()
            .unwrap_or_else(|| panic!("no identifier: {value}"))
            .to_owned();
        assert!(!found.contains_key(&id), "{id} is there twice");
        found.insert(id, value);
    }
    found
}

/// Compares two runs row by row.
///
/// # Panics
/// With the first rows that differ.
pub fn compare(what: &str, expected: &BTreeMap<String, Value>, found: &BTreeMap<String, Value>) {
    let differing: Vec<&String> = expected
        .keys()
        .filter(|id| expected.get(*id) != found.get(*id))
        .collect();
    let extra: Vec<&String> = found.keys().filter(|id| !expected.contains_key(*id)).collect();
    let show = |id: &&&String| {
        format!(
            "undisturbed {:?}\n     killed {:?}",
            expected.get(**id),
            found.get(**id)
        )
    };
    let shown: Vec<String> = differing.iter().take(3).map(|id| show(&id)).collect();
    assert!(
        differing.is_empty() && extra.is_empty(),
        "of {} {what} {} differ and {} are too many:\n{}",
        expected.len(),
        differing.len(),
        extra.len(),
        shown.join("\n")
    );
    say(&format!("{} {what} are the same, row by row", expected.len()));
}
