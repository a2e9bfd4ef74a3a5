//! Models that look at images: trained from the tables, scoring, explained.

#![allow(clippy::unwrap_used, reason = "in a test a failure is the message")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::Int32Type;
use imaging::{Frame, Image, Limits, Recipe, admit, centre};
use serde_json::{Value, json};
use testkit::wait_until;
use tests::{Pipeline, Raw, Worker, count_rows, read_table, send};

const PATIENCE: Duration = Duration::from_secs(120);
/// 2025-01-01, where simulations start.
const START_MS: i64 = 1_735_689_600_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const FRAME: Frame = Frame {
    height: 48,
    width: 48,
};
/// Models that are soon trained on few examples.
const SETTINGS: [(&str, &str); 11] = [
    ("preprocess.images.frame.height", "48"),
    ("preprocess.images.frame.width", "48"),
    ("trainer.label_delay", "1d"),
    ("trainer.min_transactions", "100"),
    ("trainer.min_frauds", "10"),
    ("trainer.images.label_delay", "1d"),
    ("trainer.images.min_images", "100"),
    ("trainer.images.network", "small"),
    (
        "trainer.images.small.blocks",
        "[{ outputs = 8, stride = 2 }, { outputs = 16, stride = 2 }, { outputs = 32, stride = 2 }]",
    ),
    ("trainer.fusion.min_images", "100"),
    ("trainer.fusion.min_frauds", "10"),
];

/// A pipeline of models of images that learn in so many passes.
fn pipeline(name: &str, passes: u32) -> Pipeline {
    let stage =
        format!("[{{ unfrozen = \"all\", max_epochs = {passes}, learning_rate = 6e-3, rate_decay = 1.0 }}]");
    let stage = ("trainer.images.training.stages", stage.as_str());
    Pipeline::new(name, &[&SETTINGS[..], &[stage]].concat())
}

/// Trains a model of this kind with what was known at a time.
fn train(pipeline: &Pipeline, model: &str, as_of: &str) -> Value {
    let command = [
        "train", "--once", "--model", model, "--as-of", as_of, "--format", "json",
    ];
    pipeline.cli().run(&command).ok().json()
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

fn reasons(score: &Value) -> &[Value] {
    score["reasons"].as_array().unwrap()
}

/// A score by a model has its version, a decision by its thresholds, and says what raised it, if anything did.
fn check_score(score: &Value, model: &Value, alias: &str) {
    assert_eq!(text(score, "model"), alias, "{score}");
    assert_eq!(score["version"], model["version"], "{score}");
    let probability = score["score"].as_f64().unwrap();
    let by = &score["decided_by"];
    assert_eq!(by["kind"], "thresholds", "{score}");
    let [review, decline] = ["review", "decline"].map(|name| by[name].as_f64().unwrap());
    let decision = match probability {
        p if p >= decline => "decline",
        p if p >= review => "review",
        _ => "approve",
    };
    assert_eq!(text(score, "decision"), decision, "{score}");
    for reason in reasons(score) {
        assert!(reason["contribution"].as_f64().unwrap() > 0.0, "{score}");
        assert!(!text(reason, "text").is_empty(), "{score}");
    }
}

/// A model of images learns from simulated documents, scores later ones, and explains itself.
#[test]
fn a_model_of_images_is_trained_once_and_scores_later_images() {
    let mut pipeline = pipeline("image-model", 2);
    let (_, images) = pipeline.simulate_documents(60, 20, 20);
    let images = images.to_str().unwrap();
    let as_of = "2025-01-16T00:00:00Z";
    let workers = [Worker::Ingest, Worker::Preprocess];
    workers.into_iter().for_each(|worker| pipeline.start(worker));
    let earlier = pipeline.sent(&["--images", images, "--to", as_of]);
    let lake = pipeline.lake();
    wait_until("images and labels in their tables", PATIENCE, || {
        count_rows(&lake, "images") == earlier.images && count_rows(&lake, "labels") == earlier.image_labels
    });
    // Tables that stand still: what a model was trained on is part of its version.
    pipeline.stop_all();

    let picture = pipeline.path("explained.png");
    let refused = explain(&pipeline, images, &picture);
    assert!(refused.contains("there is no model of images yet"), "{refused}");
    let model = train(&pipeline, "image", as_of);
    let rows = count_versions(&lake);
    let again = train(&pipeline, "image", as_of);
    assert_eq!(
        model["version"], again["version"],
        "the same data, the same bundle"
    );
    let models = pipeline.cli().run(&["model", "list", "--format", "json"]).ok();
    assert_eq!(models.lines().len(), 1);
    assert_eq!(count_versions(&lake), rows, "no row is written twice");
    train_on_more_versions(&pipeline, as_of);
    assert!(count_versions(&lake) > rows);
    let learned = check_versions(&lake);
    check_pictures(&pipeline, &learned, &picture);

    [&workers[..], &[Worker::Scorer]]
        .concat()
        .into_iter()
        .for_each(|worker| pipeline.start(worker));
    let later = pipeline.sent(&["--images", images, "--from", as_of]);
    assert!(later.images > 50, "{later:?}");
    pipeline.wait_for("scores", earlier.images + later.images, PATIENCE);
    pipeline.stop_all();
    let scores = pipeline.consume("scores");
    let later_scores: Vec<&Value> = scores
        .iter()
        .filter(|score| text(score, "event_time") >= as_of)
        .collect();
    assert_eq!(later_scores.len(), later.images);
    for score in &later_scores {
        check_score(score, &model, "image-champion");
        assert_eq!(text(score, "subject"), "image", "{score}");
        let named = |reason: &Value| {
            let feature = text(reason, "feature");
            feature == "image" || feature.starts_with("image_seen_")
        };
        assert!(reasons(score).iter().all(named), "{score}");
    }
    assert!(later_scores.iter().any(|score| !reasons(score).is_empty()));
}

/// The same images and one version more of each, to another model, which the gate keeps out.
fn train_on_more_versions(pipeline: &Pipeline, as_of: &str) {
    let settings = ["trainer.images.variants=4", "trainer.gate_tolerance=-1"];
    let settings = settings.map(|setting| ["--set", setting]).concat();
    let command = ["train", "--once", "--model", "image", "--as-of", as_of];
    let _ = pipeline.cli().run(&[&command[..], &settings].concat()).ok();
}

/// What `explain` says against an image that it cannot explain.
fn explain(pipeline: &Pipeline, image: &str, output: &Path) -> String {
    let command = ["explain", "--image", image, "--output", output.to_str().unwrap()];
    let output = pipeline.cli().run(&command);
    assert!(!output.success, "{image} is explained");
    output.stderr
}

fn count_versions(lake: &Path) -> usize {
    let rows = read_table(lake, "training_images", &["version"]);
    rows.iter().map(arrow::array::RecordBatch::num_rows).sum()
}

/// A version of an image: what was done to it, and its pixels.
type Version = (Recipe, Vec<u8>);

/// The table `training_images` holds what its recipes say, and more versions of the rarer class; the images with their
/// versions.
fn check_versions(lake: &Path) -> BTreeMap<String, BTreeMap<i32, Version>> {
    let mut images: BTreeMap<String, BTreeMap<i32, Version>> = BTreeMap::new();
    let mut frauds: BTreeMap<String, bool> = BTreeMap::new();
    let columns = ["image_id", "version", "fraud", "recipe", "image_pixels"];
    for batch in read_table(lake, "training_images", &columns) {
        let [ids, recipes] = [0, 3].map(|place| batch.column(place).as_string::<i32>());
        let versions = batch.column(1).as_primitive::<Int32Type>();
        let (fraud, pixels) = (batch.column(2).as_boolean(), batch.column(4).as_binary::<i32>());
        for row in 0..batch.num_rows() {
            let version = (
                serde_json::from_str(recipes.value(row)).unwrap(),
                pixels.value(row).to_vec(),
            );
            let id = ids.value(row).to_owned();
            frauds.insert(id.clone(), fraud.value(row));
            let before = images.entry(id).or_default().insert(versions.value(row), version);
            assert!(before.is_none(), "{} is there twice", ids.value(row));
        }
    }
    let mut most = [0, 0];
    let mut altered = 0;
    for (id, versions) in &images {
        let prepared = Image::new(FRAME.width, FRAME.height, versions[&0].1.clone());
        for (number, (recipe, pixels)) in versions {
            let made = centre(&recipe.apply(&prepared), FRAME);
            assert!(
                made.pixels() == pixels,
                "version {number} of {id} is not what {recipe:?} makes"
            );
            altered += usize::from(made != prepared);
        }
        let most = &mut most[usize::from(frauds[id])];
        *most = versions.len().max(*most);
    }
    assert!(
        altered > images.len(),
        "{altered} altered versions of {} images",
        images.len()
    );
    assert!(
        most[1] > most[0],
        "{most:?} versions of genuine images and of frauds"
    );
    images
}

/// `explain` draws an image that came in, and a file, as prepared and with what moved the score; and says what it cannot.
fn check_pictures(pipeline: &Pipeline, learned: &BTreeMap<String, BTreeMap<i32, Version>>, picture: &Path) {
    let (id, versions) = learned.first_key_value().unwrap();
    let file = pipeline.path("document.png");
    fs::write(&file, page(1, true).to_png()).unwrap();
    for image in [id.as_str(), file.to_str().unwrap()] {
        let output = picture.to_str().unwrap();
        let command = [
            "explain", "--image", image, "--output", output, "--format", "json",
        ];
        let said = pipeline.cli().run(&command).ok().json();
        assert!((0.0..=1.0).contains(&said["score"].as_f64().unwrap()), "{said}");
        let drawn = admit(&fs::read(picture).unwrap(), &Limits::default()).unwrap();
        // Two frames with a gap of four pixels between and around them.
        let (width, height) = (2 * FRAME.width + 12, FRAME.height + 8);
        assert_eq!((drawn.width, drawn.height), (width, height), "{image}");
        let left: Vec<u8> = (4..4 + FRAME.height)
            .flat_map(|y| (4..4 + FRAME.width).map(move |x| (y * width + x) as usize))
            .flat_map(|at| drawn.frames[0].rgb()[at])
            .collect();
        assert_eq!(
            left == versions[&0].1,
            image == id,
            "{image} is drawn as it was prepared"
        );
    }
    let refused = explain(pipeline, "nobody", picture);
    assert!(
        refused.contains("nobody is neither a file nor an image"),
        "{refused}"
    );
}

/// Chance without a generator: a number that belongs to another.
///
/// # Source
/// The finaliser of SplitMix64, as in [`tests::Chance`].
fn scattered(number: u32) -> u32 {
    let mut mixed = u64::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    u32::try_from((mixed ^ (mixed >> 31)) >> 40).unwrap()
}

/// A page with lines that no other number gives, and a black square on it if it is forged.
fn page(number: u32, forged: bool) -> Image {
    let (width, height, side) = (96, 96, 40);
    let (left, top) = (
        scattered(number) % (width - side),
        scattered(number + 1_000) % (height - side),
    );
    let mut pixels = Vec::new();
    for y in 0..height {
        let ends = 20 + scattered(number * 97 + y / 8) % 70;
        for x in 0..width {
            let line = y % 8 == 3 && (8..ends).contains(&x);
            let square = forged && (left..left + side).contains(&x) && (top..top + side).contains(&y);
            pixels.extend(
                [if square {
                    0
                } else if line {
                    120
                } else {
                    235
                }; 3],
            );
        }
    }
    Image::new(width, height, pixels)
}

/// Transactions an hour apart, whose images alone tell which of them is a fraud.
struct Payments {
    transactions: Vec<Raw>,
    images: Vec<Raw>,
    labels: Vec<Raw>,
    frauds: BTreeMap<String, bool>,
}

impl Payments {
    fn of(days: u32) -> Self {
        let mut all = Self {
            transactions: Vec::new(),
            images: Vec::new(),
            labels: Vec::new(),
            frauds: BTreeMap::new(),
        };
        for number in 0..days * 24 {
            all.add(number);
        }
        all
    }

    fn add(&mut self, number: u32) {
        let (id, account) = (format!("t{number}"), format!("c{}", number % 31));
        let at_ms = START_MS + i64::from(number) * HOUR_MS;
        let fraud = scattered(number + 7).is_multiple_of(4);
        let amount = format!("{}.50", 1 + scattered(number + 3) % 200);
        self.transactions
            .push(Raw::transaction(&id, &account, at_ms, &amount));
        let image = format!("i{number}");
        let file = page(number, fraud).to_png();
        self.images
            .push(Raw::image(&image, &account, at_ms + 5_000, "receipt", file).of(&id));
        for subject in [json!({"transaction_id": id}), json!({"image_id": image})] {
            let mut label = json!({
                "label": if fraud { "fraud" } else { "genuine" }, "known_at": at_ms + HOUR_MS, "source": "analyst",
                "entities": {"customer": account, "card": "4000001234567899", "terminal": "t"},
            });
            let fields = label.as_object_mut().unwrap();
            fields.extend(subject.as_object().unwrap().clone());
            self.labels.push(Raw::json(&label));
        }
        self.frauds.insert(id, fraud);
    }
}

/// The share of pairs of a fraud and a genuine transaction whose scores are in that order.
fn auc(scores: &[(f64, bool)]) -> f64 {
    let of = |fraud: bool| {
        scores
            .iter()
            .filter(move |(_, is)| *is == fraud)
            .map(|(score, _)| *score)
    };
    let pairs = of(true).flat_map(|fraud| of(false).map(move |genuine| fraud.total_cmp(&genuine)));
    let (mut won, mut all) = (0.0, 0.0);
    for order in pairs {
        won += match order {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        };
        all += 1.0;
    }
    won / all
}

/// A transaction is scored by its features first, and with its image as soon as that is there.
#[test]
fn a_fusion_model_tells_frauds_by_their_images() {
    let mut pipeline = pipeline("fusion", 12);
    let payments = Payments::of(20);
    let count = payments.transactions.len();
    send(&pipeline, "transactions", &payments.transactions);
    send(&pipeline, "images", &payments.images);
    send(&pipeline, "labels", &payments.labels);
    let workers = [Worker::Ingest, Worker::Preprocess];
    workers.into_iter().for_each(|worker| pipeline.start(worker));
    let lake = pipeline.lake();
    wait_until("all in their tables", PATIENCE, || {
        let rows = ["features", "images", "labels"].map(|table| count_rows(&lake, table));
        rows == [2 * count, count, 2 * count]
    });
    let as_of_ms = START_MS + 15 * DAY_MS;
    let as_of = schema::time::format(as_of_ms * 1_000);
    let models = ["transaction", "image", "fusion"].map(|model| train(&pipeline, model, &as_of));
    let [by_features, _, fused] = &models;
    pipeline.start(Worker::Scorer);
    pipeline.wait_for("scores", 3 * count, PATIENCE);
    pipeline.stop_all();

    let mut scored = [Vec::new(), Vec::new()];
    let scores = pipeline.consume("scores");
    for score in scores
        .iter()
        .filter(|score| text(score, "subject") == "transaction")
    {
        let revision = usize::try_from(score["revision"].as_u64().unwrap()).unwrap();
        let (model, alias) = [(by_features, "champion"), (fused, "fusion-champion")][revision];
        check_score(score, model, alias);
        assert_eq!(score["image_id"].is_string(), revision == 1, "{score}");
        if text(score, "event_time") >= as_of.as_str() {
            let fraud = payments.frauds[text(score, "transaction_id")];
            scored[revision].push((score["score"].as_f64().unwrap(), fraud));
        }
    }
    let later = count * 5 / 20;
    assert_eq!([scored[0].len(), scored[1].len()], [later, later]);
    let measured = [auc(&scored[0]), auc(&scored[1])];
    tests::say(&format!("AUC without and with images: {measured:.3?}"));
    assert!(measured[1] > 0.9, "AUC {measured:?} without and with images");
    assert!(
        measured[0] < 0.7,
        "the features tell nothing, but AUC {measured:?}"
    );
}
