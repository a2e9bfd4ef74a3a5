//! What the demo has shown.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use model::metrics::{auc_roc, average_precision};
use registry::Registry;
use schema::{Cell, Record};
use serde::Serialize;

use super::collect::Collected;
use crate::config::Resolved;
use crate::tables::{Rows, Table};

/// Latencies of the first seconds are left out: the pipeline is settling from full speed to live traffic.
const SETTLING_SHARE: usize = 3;

/// The demo's summary, as `summary.json` has it.
#[derive(Serialize)]
pub(super) struct Report {
    transactions: u64,
    scores: u64,
    duplicates: u64,
    models: u64,
    scored_by_a_model: u64,
    auc_roc: Option<f64>,
    average_precision: Option<f64>,
    images: u64,
    image_scores: u64,
    images_scored_by_a_model: u64,
    image_auc_roc: Option<f64>,
    image_average_precision: Option<f64>,
    /// Scores of transactions whose image came after them.
    revisions: u64,
    throughput_per_s: Option<f64>,
    latency_ms: Latency,
}

#[derive(Serialize)]
struct Latency {
    p50: Option<i64>,
    p99: Option<i64>,
}

/// What was simulated.
pub(super) struct Tables {
    pub(super) transactions: PathBuf,
    pub(super) images: PathBuf,
}

/// What went in, and how fast at full speed.
pub(super) struct Produced {
    pub(super) transactions: u64,
    pub(super) images: u64,
    pub(super) throughput: Option<f64>,
}

/// Scores with what the simulation knows.
struct Judged {
    scores: Vec<f64>,
    frauds: Vec<f32>,
}

impl Judged {
    /// The scores of those whose identifiers are in a column of a table.
    fn new(table: &Path, id: &str, scored: &BTreeMap<String, Option<f64>>) -> anyhow::Result<Self> {
        let (mut scores, mut frauds) = (Vec::new(), Vec::new());
        for batch in Table::open(table)?.select(&[id, "fraud"]).batches() {
            for row in Rows::new(&batch?)?.iter() {
                let id = match row.cell(id) {
                    Some(Cell::Text(id)) => id.into_owned(),
                    Some(Cell::Int(id)) => id.to_string(),
                    _ => continue,
                };
                if let Some(Some(score)) = scored.get(&id) {
                    scores.push(*score);
                    let fraud = matches!(row.cell("fraud"), Some(Cell::Int(1) | Cell::Bool(true)));
                    frauds.push(f32::from(u8::from(fraud)));
                }
            }
        }
        Ok(Self { scores, frauds })
    }

    fn auc_roc(&self) -> Option<f64> {
        auc_roc(&self.scores, &self.frauds)
    }

    fn average_precision(&self) -> Option<f64> {
        average_precision(&self.scores, &self.frauds)
    }
}

impl Latency {
    /// Without the first ones, while the pipeline is settling.
    fn of(latency_ms: &[i64]) -> Self {
        let mut settled = latency_ms[latency_ms.len() / SETTLING_SHARE..].to_vec();
        settled.sort_unstable();
        Self {
            p50: percentile(&settled, 50),
            p99: percentile(&settled, 99),
        }
    }

    fn text(&self) -> String {
        let ms = |x: Option<i64>| x.map_or_else(|| "–".to_owned(), |x| x.to_string());
        format!("p50 {} ms, p99 {} ms", ms(self.p50), ms(self.p99))
    }
}

/// Holds the scores against the simulation's truth.
pub(super) fn make(
    resolved: &Resolved,
    tables: &Tables,
    collected: &Collected,
    produced: Produced,
) -> anyhow::Result<Report> {
    let judged = Judged::new(&tables.transactions, "transaction_id", &collected.scores)?;
    let images = Judged::new(&tables.images, "image_id", &collected.image_scores)?;
    Ok(Report {
        transactions: produced.transactions,
        scores: collected.scores.len() as u64,
        duplicates: collected.duplicates,
        models: Registry::open(resolved.store()?).list()?.len() as u64,
        scored_by_a_model: judged.scores.len() as u64,
        auc_roc: judged.auc_roc(),
        average_precision: judged.average_precision(),
        images: produced.images,
        image_scores: collected.image_scores.len() as u64,
        images_scored_by_a_model: images.scores.len() as u64,
        image_auc_roc: images.auc_roc(),
        image_average_precision: images.average_precision(),
        revisions: collected.revisions,
        throughput_per_s: produced.throughput.map(f64::round),
        latency_ms: Latency::of(&collected.latency_ms),
    })
}

fn percentile(sorted: &[i64], percent: usize) -> Option<i64> {
    sorted
        .get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1)))
        .copied()
}

impl Report {
    /// Every transaction and every image has one score, and some of them come from models trained on the way.
    pub(super) fn is_complete(&self) -> bool {
        self.scores == self.transactions
            && self.image_scores == self.images
            && self.duplicates == 0
            && self.scored_by_a_model > 0
            && self.images_scored_by_a_model > 0
    }

    /// The summary for people.
    pub(super) fn text(&self, folder: &Path) -> String {
        let mut text = String::new();
        let number = |x: Option<f64>| x.map_or_else(|| "–".to_owned(), |x| format!("{x:.3}"));
        let rows = [
            ("transactions produced", self.transactions.to_string()),
            (
                "scores consumed",
                format!("{} ({} twice)", self.scores, self.duplicates),
            ),
            ("models trained while streaming", self.models.to_string()),
            (
                "transactions scored by a model",
                self.scored_by_a_model.to_string(),
            ),
            ("AUC ROC of those", number(self.auc_roc)),
            ("average precision of those", number(self.average_precision)),
            (
                "images produced and scored",
                format!("{} and {}", self.images, self.image_scores),
            ),
            (
                "images scored by a model",
                self.images_scored_by_a_model.to_string(),
            ),
            ("AUC ROC of those", number(self.image_auc_roc)),
            ("average precision of those", number(self.image_average_precision)),
            (
                "scored again with a later image",
                format!("{} transactions", self.revisions),
            ),
            (
                "throughput at full speed",
                self.throughput_per_s
                    .map_or_else(|| "–".to_owned(), |x| format!("{x:.0} transactions/s")),
            ),
            ("latency at the live rate", self.latency_ms.text()),
        ];
        for (name, value) in rows {
            let _ = writeln!(text, "{name:32} {value}");
        }
        let folder = folder.display();
        let _ = writeln!(
            text,
            "\nThe tables (Delta) are in {folder}/lake/tables, the models in {folder}/lake/models,"
        );
        let _ = writeln!(text, "this summary in {folder}/summary.json.");
        text
    }
}
