//! The rounds, and the table made of them.

use std::fmt::Write as _;

use serde::Serialize;

use super::Outcome;
use crate::args::BenchArgs;
use crate::report::shown;

/// Everything measured, as `images.json` has it.
#[derive(Serialize)]
pub(crate) struct ImageReport {
    partitions: i32,
    settings: Vec<String>,
    processors: usize,
    rounds: Vec<Outcome>,
}

impl ImageReport {
    pub(super) fn new(args: &BenchArgs) -> Self {
        Self {
            partitions: args.partitions,
            settings: args.settings.clone(),
            processors: std::thread::available_parallelism().map_or(0, usize::from),
            rounds: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, outcome: Outcome) {
        self.rounds.push(outcome);
    }

    /// Whether every figure counts.
    pub(crate) fn is_valid(&self) -> bool {
        self.rounds.iter().all(Outcome::is_valid)
    }

    /// The table: medians over the rounds with their range.
    pub(crate) fn text(&self) -> String {
        let images = self.rounds.first().map_or(0, |round| round.images);
        let mut text = format!(
            "{} processors, {} partitions a topic, {images} images, load average {}; medians over the rounds (least–most)\n\n",
            self.processors,
            self.partitions,
            self.figure(|o| Some(o.load_average)),
        );
        let mut row = |name: &str, figure: String| {
            let _ = writeln!(text, "{name:44}{figure:>26}");
        };
        row(
            "images/s from raw topic to score",
            self.figure(|o| Some(o.per_second)),
        );
        row(
            "  per CPU second of all workers",
            self.figure(|o| Some(o.per_cpu_second)),
        );
        for worker in ["ingest", "preprocess", "scorer"] {
            let rate = |o: &Outcome| o.cpu_seconds.get(worker).map(|cpu| f64::from(o.images) / cpu);
            row(&format!("  per CPU second of {worker}"), self.figure(rate));
        }
        row(
            "  CPU seconds of the broker",
            self.figure(|o| o.broker_cpu_seconds),
        );
        for worker in ["ingest", "preprocess", "scorer"] {
            let peak = |o: &Outcome| o.peak_bytes.get(worker).map(|bytes| (bytes >> 20) as f64);
            row(&format!("peak memory of {worker}, MiB"), self.figure(peak));
        }
        if !self.is_valid() {
            text += "VOID: not every image was scored exactly once, by a model\n";
        }
        text
    }

    fn figure(&self, figure: impl Fn(&Outcome) -> Option<f64>) -> String {
        let mut all: Vec<f64> = self.rounds.iter().filter_map(figure).collect();
        all.sort_by(f64::total_cmp);
        shown(&all)
    }
}
