//! Sends a table to the raw topics in time order, as a payment system would have.

mod stream_of;

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use schema::{Event, json, time};
use serde::Serialize;
use stream::{Compression, Outgoing, Producer, ProducerOptions};

use crate::commands::Format;
use crate::config::Resolved;
use stream_of::{Interval, Timed};

/// How long the last acknowledgements may take.
const FLUSH: Duration = Duration::from_secs(60);

/// Sends a table of transactions, and the labels in it, to the raw topics in time order.
#[derive(Args)]
pub(crate) struct ProduceArgs {
    /// Parquet, CSV or NDJSON file, or a folder of them.
    #[arg(long, env = "RISKSTREAM_PRODUCE_INPUT", value_name = "FILE|FOLDER")]
    pub(crate) input: PathBuf,
    /// Mapping of the configuration that says which column is what.
    #[arg(
        long,
        env = "RISKSTREAM_PRODUCE_MAPPING",
        default_value = "simulated",
        value_name = "NAME"
    )]
    pub(crate) mapping: String,
    /// Sends only what takes place (a label: becomes known) from this time on (RFC 3339).
    #[arg(long, env = "RISKSTREAM_PRODUCE_FROM", value_name = "TIME", value_parser = instant)]
    pub(crate) from: Option<i64>,
    /// Sends only what takes place (a label: becomes known) before this time (RFC 3339).
    #[arg(long, env = "RISKSTREAM_PRODUCE_TO", value_name = "TIME", value_parser = instant)]
    pub(crate) to: Option<i64>,
    /// Records a second; as fast as possible if neither this nor a speedup is given.
    #[arg(
        long,
        env = "RISKSTREAM_PRODUCE_RATE",
        conflicts_with = "speedup",
        value_name = "N"
    )]
    pub(crate) rate: Option<f64>,
    /// So many times as fast as the times in the table.
    #[arg(long, env = "RISKSTREAM_PRODUCE_SPEEDUP", value_name = "X")]
    pub(crate) speedup: Option<f64>,
    /// Leaves labels out.
    #[arg(long, env = "RISKSTREAM_PRODUCE_NO_LABELS")]
    pub(crate) no_labels: bool,
    /// How to print what was sent.
    #[arg(long, value_enum, default_value_t, env = "RISKSTREAM_FORMAT")]
    pub(crate) format: Format,
}

/// What was sent.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Sent {
    /// Transactions.
    pub(crate) transactions: u64,
    /// Labels.
    pub(crate) labels: u64,
    /// How long it took.
    pub(crate) seconds: f64,
}

/// Sends and reports.
pub(crate) fn run(args: &ProduceArgs, resolved: &Resolved, out: &mut impl Write) -> anyhow::Result<()> {
    let sent = produce(args, resolved)?;
    match args.format {
        Format::Json => writeln!(out, "{}", serde_json::to_string(&sent)?)?,
        Format::Text => {
            let Sent {
                transactions,
                labels,
                seconds,
            } = sent;
            writeln!(
                out,
                "{transactions} transactions and {labels} labels sent in {seconds:.1} s"
            )?;
        }
    }
    Ok(())
}

/// Sends the table; everything is acknowledged by the broker when it returns.
///
/// # Errors
/// A row that the mapping cannot read, by its number; what the broker says.
pub(crate) fn produce(args: &ProduceArgs, resolved: &Resolved) -> anyhow::Result<Sent> {
    let mapping = resolved.mapping(&args.mapping)?;
    let interval = Interval {
        from_us: args.from.unwrap_or(i64::MIN),
        to_us: args.to.unwrap_or(i64::MAX),
    };
    let max_amount = resolved.config.ingest.limits.max_amount;
    let (rows, events) = stream_of::open(&args.input, mapping, max_amount, interval)?;
    let options = ProducerOptions {
        compression: Compression::Lz4,
        linger: if args.rate.is_some() || args.speedup.is_some() {
            Duration::from_millis(1)
        } else {
            Duration::from_millis(20)
        },
        ..ProducerOptions::default()
    };
    let mut producer = Producer::new(&resolved.kafka, options)?;
    let topics = &resolved.config.topics;
    let bar = progress_bar(rows);
    let mut pace = Pace::new(args.rate, args.speedup);
    let mut sent = Sent {
        transactions: 0,
        labels: 0,
        seconds: 0.0,
    };
    let began = Instant::now();
    for timed in events {
        let Timed { at_us, event } = timed?;
        let (topic, id) = match &event {
            Event::Transaction(t) => (&topics.transactions, &t.transaction_id),
            Event::Label(_) if args.no_labels => continue,
            Event::Label(l) => (&topics.labels, &l.subject.id().to_owned()),
            Event::Image(_) => unreachable!("a mapping makes transactions and labels"),
        };
        pace.wait(at_us);
        let payload = json::encode(&event);
        producer.send(Outgoing {
            topic,
            partition: None,
            key: Some(id.as_bytes()),
            payload: Some(&payload),
            headers: &[],
            timestamp_us: None,
        })?;
        if matches!(event, Event::Transaction(_)) {
            sent.transactions += 1;
            bar.inc(1);
        } else {
            sent.labels += 1;
        }
    }
    producer.flush(FLUSH)?;
    bar.finish_and_clear();
    sent.seconds = began.elapsed().as_secs_f64();
    Ok(sent)
}

fn progress_bar(rows: u64) -> ProgressBar {
    let style = "{wide_bar} {human_pos} of {human_len} transactions, {per_sec}, {eta} left";
    ProgressBar::new(rows).with_style(ProgressStyle::with_template(style).expect("the template is right"))
}

/// Holds records back until their time has come.
enum Pace {
    Free,
    Rate {
        every: Duration,
        next: Instant,
    },
    Speedup {
        factor: f64,
        began: Instant,
        first_us: Option<i64>,
    },
}

impl Pace {
    fn new(rate: Option<f64>, speedup: Option<f64>) -> Self {
        match (rate, speedup) {
            (Some(rate), _) => Self::Rate {
                every: Duration::from_secs_f64(1.0 / rate.max(1e-6)),
                next: Instant::now(),
            },
            (None, Some(factor)) => Self::Speedup {
                factor,
                began: Instant::now(),
                first_us: None,
            },
            (None, None) => Self::Free,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a waiting time")]
    fn wait(&mut self, at_us: i64) {
        let due = match self {
            Self::Free => return,
            Self::Rate { every, next } => {
                let due = *next;
                *next += *every;
                due
            }
            Self::Speedup {
                factor,
                began,
                first_us,
            } => {
                let first_us = *first_us.get_or_insert(at_us);
                *began + Duration::from_secs_f64(((at_us - first_us) as f64 / 1e6 / *factor).max(0.0))
            }
        };
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

pub(crate) fn instant(text: &str) -> Result<i64, String> {
    time::parse(text).ok_or_else(|| "not an RFC 3339 time, such as 2025-01-31T00:00:00Z".to_owned())
}
