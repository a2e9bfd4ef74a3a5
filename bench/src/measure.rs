//! One subject through all its measurements: full speed first, then live traffic at each rate.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::args::BenchArgs;
use crate::arrivals::{Arrival, Arrivals};
use crate::broker::Broker;
use crate::pipeline::Workshop;
use crate::subject::Subject;
use crate::system::{Meter, System};
use crate::traffic::{Sent, Traffic};

/// How long nothing may come before a run is given up.
const STALLED: Duration = Duration::from_secs(60);
/// After full speed: sources notice that they are caught up, tables are written.
const SETTLE: Duration = Duration::from_secs(8);
/// How long the last records of live traffic may take.
const STRAGGLERS: Duration = Duration::from_secs(20);

/// Everything measured of one subject in one round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) subject: Subject,
    pub(crate) throughput: Throughput,
    pub(crate) latency: Vec<Latency>,
    /// Highest resident memory of each process, over all of it.
    pub(crate) peak_bytes: BTreeMap<String, u64>,
    /// The share of scores that a model made, among those looked at; none for a bare chain.
    pub(crate) scored_by_model: Option<f64>,
}

/// Full speed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Throughput {
    pub(crate) records: u32,
    pub(crate) duplicates: u64,
    /// Between the record that made 5 % and the one that made 95 %.
    pub(crate) per_second: f64,
    /// From the start of the processes to the last record.
    pub(crate) seconds: f64,
    pub(crate) per_cpu_second: f64,
    pub(crate) cpu_seconds: BTreeMap<String, f64>,
    pub(crate) broker_cpu_seconds: Option<f64>,
    pub(crate) threads: BTreeMap<String, BTreeMap<String, f64>>,
}

/// Live traffic at one rate; milliseconds from the intended time of sending to the consumer's hands.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Latency {
    pub(crate) rate: u32,
    pub(crate) sent: u32,
    pub(crate) missing: u64,
    pub(crate) duplicates: u64,
    pub(crate) measured: u64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
    pub(crate) max_ms: f64,
    /// How late the generator sent a record at worst; part of the latency.
    pub(crate) worst_send_delay_ms: f64,
    /// Processor seconds a second, by process.
    pub(crate) cores: BTreeMap<String, f64>,
    /// Processor seconds a second, by process and thread.
    pub(crate) threads: BTreeMap<String, BTreeMap<String, f64>>,
    /// Records a second on the topics in between: batches.
    pub(crate) batches_per_second: BTreeMap<String, f64>,
}

impl Outcome {
    /// Whether every record came exactly once, and every score looked at was made by a model.
    pub(crate) fn is_valid(&self) -> bool {
        self.throughput.duplicates == 0
            && self.latency.iter().all(|l| l.missing == 0 && l.duplicates == 0)
            && self.scored_by_model.is_none_or(|share| share >= 1.0)
    }

    /// In one line.
    pub(crate) fn line(&self) -> String {
        let mut line = format!("{:.0}/s at full speed", self.throughput.per_second);
        for l in &self.latency {
            line += &format!(
                "; {}/s: p50 {:.1}, p99 {:.1}, p99.9 {:.1} ms",
                l.rate, l.p50_ms, l.p99_ms, l.p999_ms
            );
        }
        if self.is_valid() {
            line
        } else {
            format!("{line}; VOID: not every record came exactly once, by a model")
        }
    }
}

/// Measures a subject on topics of its own.
pub(crate) fn measure(
    args: &BenchArgs,
    broker: &Broker,
    workshop: &mut Workshop<'_>,
    subject: Subject,
) -> anyhow::Result<Outcome> {
    let (mut system, traffic) = workshop.lay_out(subject)?;
    let mut arrivals = Arrivals::start(broker.servers(), &system.output, system.partitions)?;
    let before = system.meter(broker)?;
    let began = Instant::now();
    workshop.start(subject, &mut system)?;
    let throughput = full_speed(broker, &mut system, &mut arrivals, (&before, began))?;
    let mut latency = Vec::new();
    for (run, rate) in (1..).zip(args.rates.iter().copied().filter(|rate| *rate > 0)) {
        std::thread::sleep(SETTLE);
        latency.push(live(
            args,
            broker,
            (&mut system, &traffic),
            &mut arrivals,
            (run, rate),
        )?);
    }
    let peak_bytes = system
        .meter(broker)?
        .workers
        .into_iter()
        .map(|(name, usage)| (name, usage.peak_bytes))
        .collect();
    let scored_by_model = subject.peer().and(arrivals.share_by_model());
    system.stop(broker)?;
    Ok(Outcome {
        subject,
        throughput,
        latency,
        peak_bytes,
        scored_by_model,
    })
}

fn full_speed(
    broker: &Broker,
    system: &mut System,
    arrivals: &mut Arrivals,
    (before, began): (&Meter, Instant),
) -> anyhow::Result<Throughput> {
    let records = system.records;
    wait(system, arrivals, 0, records, STALLED)?;
    let after = system.meter(broker)?;
    let mut came = arrivals.take(0)?;
    came.sort_by_key(|a| a.at);
    let mut numbers: Vec<u32> = came.iter().map(|a| a.number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let (at_5, at_95) = (came[came.len() / 20].at, came[came.len() * 19 / 20].at);
    let cpu_seconds = spent(before, &after, 1.0);
    Ok(Throughput {
        records,
        duplicates: (came.len() - numbers.len()) as u64,
        per_second: (came.len() * 9 / 10) as f64 / (at_95 - at_5).as_secs_f64(),
        seconds: (came[came.len() - 1].at - began).as_secs_f64(),
        per_cpu_second: f64::from(records) / cpu_seconds.values().sum::<f64>(),
        broker_cpu_seconds: after
            .broker
            .zip(before.broker)
            .map(|(a, b)| a.cpu_seconds - b.cpu_seconds),
        threads: threads(before, &after, 1.0),
        cpu_seconds,
    })
}

fn live(
    args: &BenchArgs,
    broker: &Broker,
    (system, traffic): (&mut System, &Traffic),
    arrivals: &mut Arrivals,
    (run, rate): (u32, u32),
) -> anyhow::Result<Latency> {
    let (warm_up, measured) = (args.warm_up(), args.measured());
    let (sent, before, after, seconds) = std::thread::scope(|scope| {
        let sender = scope.spawn(|| traffic.run(run, rate, warm_up + measured));
        std::thread::sleep(warm_up);
        let (before, began) = (system.meter(broker)?, Instant::now());
        std::thread::sleep(measured.saturating_sub(began.elapsed()));
        let (after, seconds) = (system.meter(broker)?, began.elapsed().as_secs_f64());
        let sent: Sent = sender
            .join()
            .map_err(|_| anyhow::anyhow!("the generator has panicked"))??;
        anyhow::Ok((sent, before, after, seconds))
    })?;
    // What is missing then is told in the figures.
    let _ = wait(system, arrivals, run, sent.count, STRAGGLERS);
    system.check()?;
    let came = arrivals.take(run)?;
    let first = u32::try_from(warm_up.as_secs()).unwrap_or(u32::MAX) * rate;
    let (histogram, missing, duplicates) = delays(&came, &sent, first)?;
    let ms = |us: u64| us as f64 / 1e3;
    let mut cores = spent(&before, &after, seconds);
    cores.insert(
        "bench".into(),
        (after.bench.cpu_seconds - before.bench.cpu_seconds) / seconds,
    );
    if let (Some(a), Some(b)) = (after.broker, before.broker) {
        cores.insert("broker".into(), (a.cpu_seconds - b.cpu_seconds) / seconds);
    }
    let batches = after
        .records
        .iter()
        .map(|(topic, n)| (topic.clone(), (n - before.records[topic]) as f64 / seconds));
    Ok(Latency {
        rate,
        sent: sent.count,
        missing,
        duplicates,
        measured: histogram.len(),
        p50_ms: ms(histogram.value_at_quantile(0.5)),
        p99_ms: ms(histogram.value_at_quantile(0.99)),
        p999_ms: ms(histogram.value_at_quantile(0.999)),
        max_ms: ms(histogram.max()),
        worst_send_delay_ms: sent.worst_delay.as_secs_f64() * 1e3,
        batches_per_second: batches.collect(),
        threads: threads(&before, &after, seconds),
        cores,
    })
}

/// Delays (µs) of the records from `first` on, how many of all never came, and how many came again.
fn delays(came: &[Arrival], sent: &Sent, first: u32) -> anyhow::Result<(Histogram<u64>, u64, u64)> {
    let mut histogram = Histogram::<u64>::new_with_bounds(1, 600_000_000, 3).context("a histogram")?;
    let mut seen = vec![false; sent.count as usize];
    let mut duplicates = 0;
    for arrival in came {
        let slot = seen
            .get_mut(arrival.number as usize)
            .context("a record that was never sent")?;
        duplicates += u64::from(std::mem::replace(slot, true));
        if arrival.number >= first {
            let delay = arrival
                .at
                .saturating_duration_since(sent.schedule.due(arrival.number));
            histogram.saturating_record(u64::try_from(delay.as_micros()).unwrap_or(u64::MAX).max(1));
        }
    }
    let missing = seen.iter().filter(|seen| !**seen).count() as u64;
    Ok((histogram, missing, duplicates))
}

/// Waits until as many records of a run have come, and fails when none has come for a while.
pub(crate) fn wait(
    system: &mut System,
    arrivals: &Arrivals,
    run: u32,
    want: u32,
    patience: Duration,
) -> anyhow::Result<()> {
    let (mut have, mut since) = (0, Instant::now());
    while have < want as usize {
        system.check()?;
        let count = arrivals.count(run);
        if count > have {
            (have, since) = (count, Instant::now());
        } else if since.elapsed() > patience {
            bail!("only {have} of {want} records have come, and none for {patience:?}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Processor seconds between two moments, by process, over a number of seconds.
pub(crate) fn spent(before: &Meter, after: &Meter, seconds: f64) -> BTreeMap<String, f64> {
    let used = |name: &str| before.workers.get(name).map_or(0.0, |usage| usage.cpu_seconds);
    let workers = after.workers.iter();
    workers
        .map(|(name, usage)| (name.clone(), (usage.cpu_seconds - used(name)) / seconds))
        .collect()
}

fn threads(before: &Meter, after: &Meter, seconds: f64) -> BTreeMap<String, BTreeMap<String, f64>> {
    let used = |worker: &str, thread: &str| {
        before
            .threads
            .get(worker)
            .and_then(|threads| threads.get(thread))
            .copied()
            .unwrap_or_default()
    };
    let mut all = BTreeMap::new();
    for (worker, threads) in &after.threads {
        let share = |(name, cpu): (&String, &f64)| (name.clone(), (cpu - used(worker, name)) / seconds);
        all.insert(worker.clone(), threads.iter().map(share).collect());
    }
    all
}
