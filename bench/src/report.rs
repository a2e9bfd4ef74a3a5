//! All outcomes, and the table made of them.

use std::fmt::Write as _;

use serde::Serialize;

use crate::args::BenchArgs;
use crate::measure::{Latency, Outcome};
use crate::subject::Subject;

/// Everything measured, as `summary.json` has it.
#[derive(Serialize)]
pub(crate) struct Report {
    partitions: i32,
    settings: Vec<String>,
    rates: Vec<u32>,
    processors: usize,
    rounds: Vec<Outcome>,
}

/// One figure of an outcome.
type Figure<'f> = &'f dyn Fn(&Outcome) -> Option<f64>;

impl Report {
    pub(crate) fn new(args: &BenchArgs) -> Self {
        Self {
            partitions: args.partitions,
            settings: args.settings.clone(),
            rates: args.rates.iter().copied().filter(|rate| *rate > 0).collect(),
            processors: std::thread::available_parallelism().map_or(0, usize::from),
            rounds: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, outcome: Outcome) {
        self.rounds.push(outcome);
    }

    /// Whether every figure counts.
    pub(crate) fn is_valid(&self) -> bool {
        self.rounds.iter().all(Outcome::is_valid)
    }

    /// The table: medians over the rounds with their range, and how riskstream stands to the bare chain.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "{} processors, {} partitions a topic",
            self.processors, self.partitions
        );
        let _ = writeln!(text, "; medians over the rounds (least–most)\n");
        for ours in Subject::ALL.into_iter().filter(|s| s.peer().is_some()) {
            let peer = ours.peer().expect("filtered by it");
            let _ = writeln!(
                text,
                "{:34}{:>26}{:>26}{:>12}",
                "",
                ours.name(),
                peer.name(),
                "ours/peer"
            );
            self.block(&mut text, ours, peer);
            text.push('\n');
        }
        if !self.is_valid() {
            text += "VOID: not every record came exactly once, or not every score was made by a model\n";
        }
        text
    }

    fn block(&self, text: &mut String, ours: Subject, peer: Subject) {
        let mut row = |name: &str, figure: Figure<'_>| {
            let (a, b) = (self.figures(ours, figure), self.figures(peer, figure));
            let ratio = median(&a)
                .zip(median(&b))
                .map_or_else(|| "–".into(), |(a, b)| format!("{:.2}", a / b));
            let _ = writeln!(text, "{name:34}{:>26}{:>26}{ratio:>12}", shown(&a), shown(&b));
        };
        row("full speed, records/s", &|o| Some(o.throughput.per_second));
        row("  per CPU second of its processes", &|o| {
            Some(o.throughput.per_cpu_second)
        });
        row("  CPU seconds of the broker", &|o| {
            o.throughput.broker_cpu_seconds
        });
        for rate in &self.rates {
            let at =
                |o: &Outcome, get: fn(&Latency) -> f64| o.latency.iter().find(|l| l.rate == *rate).map(get);
            row(&format!("{rate}/s, p50 ms"), &|o| at(o, |l| l.p50_ms));
            row(&format!("{rate}/s, p99 ms"), &|o| at(o, |l| l.p99_ms));
            row(&format!("{rate}/s, p99.9 ms"), &|o| at(o, |l| l.p999_ms));
        }
        for worker in ["ingest", "preprocess", "scorer", "chain"] {
            if self
                .rounds
                .iter()
                .any(|o| [ours, peer].contains(&o.subject) && o.peak_bytes.contains_key(worker))
            {
                let peak = |o: &Outcome| o.peak_bytes.get(worker).map(|bytes| (bytes >> 20) as f64);
                row(&format!("peak memory of {worker}, MiB"), &peak);
            }
        }
    }

    fn figures(&self, subject: Subject, figure: Figure<'_>) -> Vec<f64> {
        let mut all: Vec<f64> = self
            .rounds
            .iter()
            .filter(|o| o.subject == subject)
            .filter_map(figure)
            .collect();
        all.sort_by(f64::total_cmp);
        all
    }
}

fn median(sorted: &[f64]) -> Option<f64> {
    sorted.get(sorted.len().checked_sub(1)? / 2).copied()
}

/// The median with least and most.
pub(crate) fn shown(sorted: &[f64]) -> String {
    let number = |x: f64| {
        if x >= 1000.0 {
            format!("{x:.0}")
        } else {
            format!("{x:.1}")
        }
    };
    match (sorted, median(sorted)) {
        ([], _) | (_, None) => "–".into(),
        ([only], _) => number(*only),
        ([first, .., last], Some(median)) => {
            format!("{} ({}–{})", number(median), number(*first), number(*last))
        }
    }
}
