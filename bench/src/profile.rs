//! Where the processor time goes, for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::measure::Outcome;

/// Less than this share of all is not listed.
const LEAST: f64 = 0.005;

/// Processor time by thread and batches by hop, for full speed and each rate.
pub(crate) fn text(outcome: &Outcome) -> String {
    let mut text = String::from("where the time goes\n");
    let full = &outcome.throughput;
    let _ = writeln!(
        text,
        "  full speed, CPU seconds: broker {:.1}",
        full.broker_cpu_seconds.unwrap_or(f64::NAN)
    );
    list(&mut text, &full.threads);
    for latency in &outcome.latency {
        let _ = writeln!(text, "  {}/s, cores: {}", latency.rate, inline(&latency.cores));
        list(&mut text, &latency.threads);
        let _ = writeln!(
            text,
            "    batches a second: {}",
            inline(&latency.batches_per_second)
        );
        let delay = latency.worst_send_delay_ms;
        let _ = writeln!(text, "    the generator was at most {delay:.1} ms late");
    }
    for (name, bytes) in &outcome.peak_bytes {
        let _ = writeln!(text, "  peak memory of {name}: {} MiB", bytes >> 20);
    }
    text
}

fn list(text: &mut String, workers: &BTreeMap<String, BTreeMap<String, f64>>) {
    let total: f64 = workers.values().flat_map(BTreeMap::values).sum();
    for (worker, threads) in workers {
        let busy = threads.iter().filter(|(_, cpu)| **cpu >= LEAST * total);
        let busy: BTreeMap<String, f64> = busy.map(|(name, cpu)| (name.clone(), *cpu)).collect();
        let sum: f64 = threads.values().sum();
        let _ = writeln!(text, "    {worker:10} {sum:8.3}: {}", inline(&busy));
    }
}

fn inline(values: &BTreeMap<String, f64>) -> String {
    let values = values.iter().map(|(name, value)| format!("{name} {value:.3}"));
    values.collect::<Vec<_>>().join(", ")
}
