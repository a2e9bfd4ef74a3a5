//! `riskstream evaluate`: how good scores were, against what is known about the transactions or images by now.
//!
//! [`evaluate`] joins scores and labels by identifier and measures; [`report`] shows the result. Labels are read
//! with a mapping or by the names of their columns.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clap::{Args, ValueEnum};
use schema::layout::column;
use schema::{ImageMapping, Mapping, time};
use serde::Serialize;

use crate::tables::Table;

mod join;
mod labels;
mod measure;
mod report;
mod scores;

use join::Joined;
use labels::LabelReader;
pub(crate) use report::Report;

/// How a command reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON object.
    Json,
}

/// What becomes of a scored transaction that no label speaks of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Unlabelled {
    /// Nobody complained: it counts as genuine.
    #[default]
    Genuine,
    /// Nothing is known: it is left out.
    LeaveOut,
}

/// What scores are measured of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Subjects {
    /// Transactions.
    Transactions,
    /// Document images.
    Images,
}

impl Subjects {
    /// Their name, for people.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Transactions => "transactions",
            Self::Images => "images",
        }
    }

    /// The column of their identifiers.
    const fn id_column(self) -> &'static str {
        match self {
            Self::Transactions => column::TRANSACTION_ID,
            Self::Images => column::IMAGE_ID,
        }
    }
}

/// The mapping that labels are read with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LabelMapping<'a> {
    /// One of transactions.
    Transactions(&'a Mapping),
    /// One of images.
    Images(&'a ImageMapping),
}

/// Measure how good scores were: area under the ROC curve, average precision, card precision, precision and recall
/// at thresholds, calibration error.
///
/// Scores are a file written by `riskstream consume --topic scores`. Labels are any table that says which
/// transactions were frauds: with --mapping it is read as `produce` reads it, else by the names of its columns.
/// Transactions without a score (no model was there yet) are counted and left out; of several scores of one
/// transaction the latest revision counts. With --images the scores of document images are measured, in the same way.
///
/// Research usually leaves out cards that are already known as defrauded, and ranks cards day by day:
/// `--card-column customer_id --exclude-known-cards --known-since 2018-08-01 --label-delay 7d`.
#[derive(Args, Clone, Debug)]
pub(crate) struct EvaluateArgs {
    /// Scores: a .parquet, .ndjson or .csv file, or a folder of such files
    #[arg(long, env = "RISKSTREAM_EVALUATE_SCORES", value_name = "PATH")]
    pub(crate) scores: PathBuf,
    /// Labels: a .parquet, .ndjson or .csv file, or a folder of such files
    #[arg(long, env = "RISKSTREAM_EVALUATE_LABELS", value_name = "PATH")]
    pub(crate) labels: PathBuf,
    /// Measure the scores of document images, instead of those of transactions
    #[arg(long, env = "RISKSTREAM_EVALUATE_IMAGES")]
    pub(crate) images: bool,
    /// Read the labels with this mapping of the configuration: with --images, one of images
    #[arg(long, env = "RISKSTREAM_EVALUATE_MAPPING", value_name = "NAME")]
    pub(crate) mapping: Option<String>,
    /// The labels' column of identifiers; by default transaction_id, or image_id
    #[arg(long, env = "RISKSTREAM_EVALUATE_ID_COLUMN", value_name = "COLUMN")]
    pub(crate) id_column: Option<String>,
    /// The labels' column that tells frauds (1, true, fraud); by default fraud, is_fraud or label
    #[arg(long, env = "RISKSTREAM_EVALUATE_LABEL_COLUMN", value_name = "COLUMN")]
    pub(crate) label_column: Option<String>,
    /// The labels' column of the time at which a fraud became known; by default label_known_at or known_at
    #[arg(long, env = "RISKSTREAM_EVALUATE_KNOWN_AT_COLUMN", value_name = "COLUMN")]
    pub(crate) known_at_column: Option<String>,
    /// Frauds become known so long after the labels' event_time, whatever a column says
    #[arg(long, env = "RISKSTREAM_EVALUATE_LABEL_DELAY", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) label_delay: Option<Duration>,
    /// Transactions that no label speaks of
    #[arg(long, env = "RISKSTREAM_EVALUATE_UNLABELLED", value_enum, default_value_t)]
    pub(crate) unlabelled: Unlabelled,
    /// Only transactions from this time on (RFC 3339, or a date)
    #[arg(long, env = "RISKSTREAM_EVALUATE_FROM", value_name = "TIME", value_parser = instant)]
    pub(crate) from: Option<i64>,
    /// Only transactions before this time
    #[arg(long, env = "RISKSTREAM_EVALUATE_TO", value_name = "TIME", value_parser = instant)]
    pub(crate) to: Option<i64>,
    /// Precision and recall where scores of at least this flag a transaction (several: separate by commas)
    #[arg(
        long,
        env = "RISKSTREAM_EVALUATE_THRESHOLD",
        value_name = "SCORE",
        value_delimiter = ',',
        default_value = "0.1,0.5,0.9"
    )]
    pub(crate) threshold: Vec<f64>,
    /// Column (or entity) that tells cards apart, for card precision: in the labels, else in the scores
    #[arg(long, env = "RISKSTREAM_EVALUATE_CARD_COLUMN", value_name = "COLUMN")]
    pub(crate) card_column: Option<String>,
    /// How many cards a day reviewers can look at
    #[arg(
        long,
        env = "RISKSTREAM_EVALUATE_CARDS_PER_DAY",
        value_name = "K",
        default_value_t = 100
    )]
    pub(crate) cards_per_day: usize,
    /// Leave out transactions of cards of which a fraud was known before the day began (UTC)
    #[arg(
        long,
        env = "RISKSTREAM_EVALUATE_EXCLUDE_KNOWN_CARDS",
        requires = "card_column"
    )]
    pub(crate) exclude_known_cards: bool,
    /// Forget frauds that took place before this time when cards are left out
    #[arg(long, env = "RISKSTREAM_EVALUATE_KNOWN_SINCE", value_name = "TIME", value_parser = instant)]
    pub(crate) known_since: Option<i64>,
    /// How to report
    #[arg(long, env = "RISKSTREAM_EVALUATE_FORMAT", value_enum, default_value_t)]
    pub(crate) format: ReportFormat,
}

impl EvaluateArgs {
    /// What is measured.
    pub(crate) const fn subjects(&self) -> Subjects {
        if self.images {
            Subjects::Images
        } else {
            Subjects::Transactions
        }
    }
}

/// Measures scores against labels. `mapping` is the one that `args.mapping` names.
///
/// # Errors
/// If a file cannot be read, a column is missing, or no label belongs to any score.
pub(crate) fn evaluate(args: &EvaluateArgs, mapping: Option<LabelMapping<'_>>) -> Result<Report> {
    let scores = Table::open(&args.scores).context("cannot read the scores")?;
    let labels = Table::open(&args.labels).context("cannot read the labels")?;
    let reader = LabelReader::new(args, mapping, &labels)?;
    let card_in_scores = args.card_column.as_deref().filter(|_| reader.card.is_none());
    let scored = scores::read(args, &scores, card_in_scores)?;
    let joined = Joined::new(scored, &labels.select(&reader.columns()), &reader)?;
    measure::measure(args, &joined)
}

/// Runs the command. `mapping` is the one that `args.mapping` names.
///
/// # Errors
/// If a file cannot be read, a column is missing, or no label belongs to any score.
pub(crate) fn run(
    args: &EvaluateArgs,
    mapping: Option<LabelMapping<'_>>,
    out: &mut impl Write,
) -> Result<()> {
    let report = evaluate(args, mapping)?;
    match args.format {
        ReportFormat::Text => report.write(out)?,
        ReportFormat::Json => writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?,
    }
    Ok(())
}

fn instant(text: &str) -> Result<i64> {
    time::parse(text).ok_or_else(|| anyhow!("not a time such as 2025-01-31T12:00:00Z or 2025-01-31"))
}

#[cfg(test)]
mod tests;
