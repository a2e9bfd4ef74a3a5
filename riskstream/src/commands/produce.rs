//! Sends tables to the raw topics in time order, as a payment system would have.

mod documents;
mod outlet;
mod pace;
mod stream_of;
mod transactions;

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use schema::time;
use serde::Serialize;
use stream::{Compression, ProducerOptions};

use crate::commands::Format;
use crate::config::Resolved;
use outlet::Outlet;
use pace::Pace;
use stream_of::{Interval, Source};

/// The mapping of transactions, where none is named.
const MAPPING: &str = "simulated";
/// The mapping of images, where none is named.
const IMAGE_MAPPING: &str = "simulated_images";

/// Sends tables of transactions and of document images, and the labels in them, to the raw topics in time order.
#[derive(Args)]
pub(crate) struct ProduceArgs {
    /// Transactions: a Parquet, CSV or NDJSON file, or a folder of them.
    #[arg(
        long,
        env = "RISKSTREAM_PRODUCE_INPUT",
        required_unless_present = "images",
        value_name = "FILE|FOLDER"
    )]
    pub(crate) input: Option<PathBuf>,
    /// Document images: a table that holds them or names their files, or a folder of both.
    #[arg(long, env = "RISKSTREAM_PRODUCE_IMAGES", value_name = "FILE|FOLDER")]
    pub(crate) images: Option<PathBuf>,
    /// Mapping of the configuration that says which column is what: of transactions (simulated if absent), or of images
    /// where there is nothing else (simulated_images).
    #[arg(long, env = "RISKSTREAM_PRODUCE_MAPPING", value_name = "NAME")]
    pub(crate) mapping: Option<String>,
    /// The mapping of images, where transactions are sent as well.
    #[arg(
        long,
        env = "RISKSTREAM_PRODUCE_IMAGE_MAPPING",
        requires = "images",
        value_name = "NAME"
    )]
    pub(crate) image_mapping: Option<String>,
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
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Sent {
    /// Transactions.
    pub(crate) transactions: u64,
    /// Labels of transactions.
    pub(crate) labels: u64,
    /// Document images.
    pub(crate) images: u64,
    /// Labels of images.
    pub(crate) image_labels: u64,
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
                images,
                image_labels,
                seconds,
            } = sent;
            let mut parts = Vec::new();
            if args.input.is_some() {
                parts.push(format!("{transactions} transactions and {labels} labels"));
            }
            if args.images.is_some() {
                parts.push(format!("{images} images and {image_labels} labels of images"));
            }
            writeln!(out, "{} sent in {seconds:.1} s", parts.join(", "))?;
        }
    }
    Ok(())
}

/// Sends the tables; everything is acknowledged by the broker when it returns.
///
/// # Errors
/// A row that the mapping cannot read, or that the broker would not take, by its number; what the broker says.
pub(crate) fn produce(args: &ProduceArgs, resolved: &Resolved) -> anyhow::Result<Sent> {
    let interval = Interval {
        from_us: args.from.unwrap_or(i64::MIN),
        to_us: args.to.unwrap_or(i64::MAX),
    };
    let (rows, events) = stream_of::merge(sources(args, resolved, interval)?, interval);
    let options = ProducerOptions {
        compression: Compression::Lz4,
        linger: if args.rate.is_some() || args.speedup.is_some() {
            Duration::from_millis(1)
        } else {
            Duration::from_millis(20)
        },
        ..ProducerOptions::default()
    };
    let mut outlet = Outlet::open(resolved, options, args.images.is_some())?;
    let bar = progress_bar(rows);
    let mut pace = Pace::new(args.rate, args.speedup);
    let began = Instant::now();
    for timed in events {
        let timed = timed?;
        let is_label = timed.what.is_label();
        if is_label && args.no_labels {
            continue;
        }
        pace.wait(timed.at_us);
        outlet.send(&timed.what)?;
        bar.inc(u64::from(!is_label));
    }
    let mut sent = outlet.finish()?;
    bar.finish_and_clear();
    sent.seconds = began.elapsed().as_secs_f64();
    Ok(sent)
}

/// The tables that are to be sent.
fn sources(args: &ProduceArgs, resolved: &Resolved, interval: Interval) -> anyhow::Result<Vec<Source>> {
    let mut sources = Vec::new();
    if let Some(input) = &args.input {
        let mapping = resolved.mapping(args.mapping.as_deref().unwrap_or(MAPPING))?;
        let max_amount = resolved.config.ingest.limits.max_amount;
        sources.push(transactions::open(input, mapping, max_amount, interval)?);
    }
    if let Some(images) = &args.images {
        ensure!(
            resolved.layout.images,
            "no images come in here: schema.images of the configuration is false"
        );
        let mapping = resolved.image_mapping(image_mapping(args)?)?;
        sources.push(documents::open(images, mapping, interval)?);
    }
    Ok(sources)
}

/// The name of the mapping of images: where nothing else is sent, --mapping is theirs.
fn image_mapping(args: &ProduceArgs) -> anyhow::Result<&str> {
    let alone = args.mapping.as_deref().filter(|_| args.input.is_none());
    let named = args.image_mapping.as_deref();
    ensure!(
        alone.is_none() || named.is_none(),
        "images alone have one mapping: name it with --mapping or --image-mapping, not with both"
    );
    Ok(named.or(alone).unwrap_or(IMAGE_MAPPING))
}

fn progress_bar(rows: u64) -> ProgressBar {
    let style = "{wide_bar} {human_pos} of {human_len}, {per_sec}, {eta} left";
    ProgressBar::new(rows).with_style(ProgressStyle::with_template(style).expect("the template is right"))
}

pub(crate) fn instant(text: &str) -> Result<i64, String> {
    time::parse(text).ok_or_else(|| "not an RFC 3339 time, such as 2025-01-31T00:00:00Z".to_owned())
}
