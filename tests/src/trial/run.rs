//! The rows and scores of a run.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use serde_json::Value;

use crate::pipeline::{Pipeline, Sent};
use crate::say;

/// The number that rows of images have as their kind.
const IMAGE: i64 = schema::Kind::Image as i64;

/// What a run must come to.
pub(super) struct Expected {
    /// What was produced.
    pub(super) sent: Sent,
    /// Transactions whose image came after them.
    pub(super) revisions: usize,
    /// The model of each kind that scores.
    pub(super) versions: BTreeMap<&'static str, String>,
}

impl Expected {
    /// Rows, and scores: of transactions, of their revisions, of images.
    pub(super) fn rows(&self) -> usize {
        self.sent.transactions + self.revisions + self.sent.images
    }

    /// The tables of the log and of its rows.
    pub(super) fn tables(&self) -> Vec<&'static str> {
        let images = (self.sent.images > 0).then_some("images");
        ["events", "labels", "features"]
            .into_iter()
            .chain(images)
            .collect()
    }

    /// How many rows one of them has.
    pub(super) fn rows_of(&self, table: &str) -> usize {
        match table {
            "labels" => self.sent.labels + self.sent.image_labels,
            "features" => self.sent.transactions + self.revisions,
            "images" => self.sent.images,
            _ => self.sent.transactions,
        }
    }
}

/// What a run has come to.
pub(super) struct Run {
    pub(super) features: Rows,
    pub(super) scores: Rows,
}

impl Run {
    pub(super) fn of(pipeline: &Pipeline, expected: &Expected) -> Self {
        let run = Self {
            features: Rows::read(pipeline, "features"),
            scores: Rows::read(pipeline, "scores"),
        };
        for (what, rows) in [("rows", &run.features), ("scores", &run.scores)] {
            assert_eq!(rows.digests.len(), expected.rows(), "{what}");
        }
        run
    }

    /// Every score names the bundle that made it (INV-6), and no row came out of turn.
    pub(super) fn check(&self, expected: &Expected) {
        for score in self.scores.lines() {
            let kind = score["subject"].as_str().unwrap_or_default();
            let version = expected.versions.get(kind).map(String::as_str);
            assert_eq!(score["version"].as_str(), version, "{score}");
            assert!(score["score"].is_number(), "{score}");
        }
        let late = self.features.lines().filter(|row| row["late"] == true).count();
        assert_eq!(late, 0, "rows that came out of turn in an undisturbed run");
    }
}

/// Rows or scores by what they are of, each of which must be there once. Millions of them are not held in memory, but
/// a digest of each.
pub(super) struct Rows {
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

/// An image, or a revision of a transaction.
fn id_of(row: &Value) -> String {
    let text = |name: &str| row.get(name).and_then(Value::as_str);
    let image = text("subject") == Some("image") || row.get("kind").and_then(Value::as_i64) == Some(IMAGE);
    let id = text(if image { "image_id" } else { "transaction_id" });
    let id = id.unwrap_or_else(|| panic!("no identifier: {row}"));
    let revision = row.get("revision").filter(|_| !image);
    format!("{id}/{}", revision.unwrap_or(&Value::Null))
}

/// Compares two runs row by row; fails with the first rows that differ.
pub(super) fn compare(what: &str, expected: &Rows, found: &Rows) {
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
