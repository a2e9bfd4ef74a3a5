//! Reads a topic, decoded: users' topics record by record, internal ones row by row, each row once.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use arrow::array::RecordBatch;
use arrow::json::LineDelimitedWriter;
use clap::Args;
use eventlog::{Marks, Message};
use schema::EventColumns;
use schema::layout::column;
use serde_json::{Value, json};
use stream::{Consumer, Polled, Record, StartOffset, TopicPartition};

use crate::config::Resolved;
use crate::tables::{Format as TableFormat, Sink, Table};

const WAIT: Duration = Duration::from_millis(100);
const MAX_RECORDS: usize = 5_000;
const MAX_BYTES: usize = 64 << 20;
const BROKER_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads a topic, decoded.
#[derive(Args)]
pub(crate) struct ConsumeArgs {
    /// scores, features, events, dead-letters, models, transactions, labels, or the name of a topic.
    #[arg(
        long,
        env = "RISKSTREAM_CONSUME_TOPIC",
        default_value = "scores",
        value_name = "NAME"
    )]
    pub(crate) topic: String,
    /// File to write, .ndjson, .csv or .parquet; standard output if absent.
    #[arg(long, env = "RISKSTREAM_CONSUME_OUTPUT", value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Stops at the end of the topic as it is when it gets there.
    #[arg(long, env = "RISKSTREAM_CONSUME_UNTIL_CAUGHT_UP")]
    pub(crate) until_caught_up: bool,
    /// Stops after so many records or rows.
    #[arg(long, env = "RISKSTREAM_CONSUME_COUNT", value_name = "N")]
    pub(crate) count: Option<usize>,
    /// Stops after this time in any case.
    #[arg(long, env = "RISKSTREAM_CONSUME_TIMEOUT", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Option<Duration>,
}

/// Reads until told to stop.
pub(crate) fn run(args: &ConsumeArgs, resolved: &Resolved, out: &mut impl Write) -> anyhow::Result<()> {
    let Some(output) = &args.output else {
        return consume(args, resolved, out).map(|_| ());
    };
    if TableFormat::of(output)? == TableFormat::Ndjson {
        let mut file = BufWriter::new(File::create(output).with_context(|| output.display().to_string())?);
        consume(args, resolved, &mut file)?;
        return Ok(file.flush()?);
    }
    let lines = output.with_extension("part.ndjson");
    let mut file = BufWriter::new(File::create(&lines).with_context(|| lines.display().to_string())?);
    let count = consume(args, resolved, &mut file)?;
    file.flush()?;
    let converted = if count == 0 {
        Ok(())
    } else {
        convert(&lines, output)
    };
    std::fs::remove_file(&lines)?;
    converted
}

fn convert(lines: &Path, output: &Path) -> anyhow::Result<()> {
    let table = Table::open(lines)?;
    let mut sink = Sink::create(output, table.schema().clone())?;
    for batch in table.batches() {
        sink.write(&batch?)?;
    }
    sink.finish()?;
    Ok(())
}

/// Which topic a name stands for, and how its records are decoded.
fn topic(resolved: &Resolved, name: &str) -> (String, Decode) {
    let topics = &resolved.config.topics;
    match name {
        "scores" => (topics.scores.clone(), Decode::Json),
        "models" => (topics.models.clone(), Decode::Json),
        "transactions" => (topics.transactions.clone(), Decode::Json),
        "labels" => (topics.labels.clone(), Decode::Json),
        "dead-letters" => (topics.dead_letters.clone(), Decode::Letter),
        "features" => (topics.features.clone(), Decode::Rows),
        "events" => (resolved.events_topic(), Decode::Rows),
        other if other == topics.dead_letters => (other.to_owned(), Decode::Letter),
        other if other == topics.features => (other.to_owned(), Decode::Rows),
        other
            if resolved
                .config
                .preprocess
                .stages
                .iter()
                .any(|e| topics.events_of(e) == other) =>
        {
            (other.to_owned(), Decode::Rows)
        }
        other => (other.to_owned(), Decode::Json),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Decode {
    Json,
    Letter,
    Rows,
}

/// Reads and writes lines of JSON; how many records or rows.
pub(crate) fn consume(
    args: &ConsumeArgs,
    resolved: &Resolved,
    out: &mut impl Write,
) -> anyhow::Result<usize> {
    let (topic, decode) = topic(resolved, &args.topic);
    let mut reader = Reader::open(resolved, &topic)?;
    let mut marks: BTreeMap<i32, Marks> = BTreeMap::new();
    let deadline = args.timeout.map(|t| Instant::now() + t);
    let mut count = 0;
    loop {
        for record in reader.poll()? {
            let left = args.count.map_or(usize::MAX, |most| most - count);
            count += match decode {
                Decode::Json => write_json(&record, out)?,
                Decode::Letter => write_letter(&record, out)?,
                Decode::Rows => write_rows(&record, marks.entry(record.partition).or_default(), left, out)?,
            };
            if args.count.is_some_and(|most| count >= most) {
                return Ok(count);
            }
        }
        if args.until_caught_up && reader.caught_up()? || deadline.is_some_and(|d| Instant::now() >= d) {
            return Ok(count);
        }
    }
}

/// Reads all partitions of a topic from the beginning, committed records only.
pub(crate) struct Reader {
    consumer: Consumer,
    partitions: Vec<TopicPartition>,
}

impl Reader {
    pub(crate) fn open(resolved: &Resolved, topic: &str) -> anyhow::Result<Self> {
        let described = stream::Topics::new(&resolved.kafka)?.describe(topic);
        let count = described
            .with_context(|| format!("{topic} cannot be read; `riskstream topics create` makes it"))?
            .partitions;
        let partitions: Vec<TopicPartition> = (0..count).map(|p| TopicPartition::new(topic, p)).collect();
        let starts: Vec<_> = partitions
            .iter()
            .map(|p| (p.clone(), StartOffset::Beginning))
            .collect();
        Ok(Self {
            consumer: Consumer::attach(&resolved.kafka, starts)?,
            partitions,
        })
    }

    pub(crate) fn poll(&mut self) -> anyhow::Result<Vec<Record>> {
        match self.consumer.poll(WAIT, MAX_RECORDS, MAX_BYTES)? {
            Polled::Records(records) => Ok(records),
            Polled::Assigned(_) | Polled::Revoked(_) => Ok(Vec::new()),
        }
    }

    /// Whether everything that is committed now has been read.
    pub(crate) fn caught_up(&mut self) -> anyhow::Result<bool> {
        let ends = self.consumer.end_offsets(&self.partitions, BROKER_TIMEOUT)?;
        let positions = self.partitions.iter().map(|p| self.consumer.position(p));
        Ok(positions
            .zip(ends)
            .all(|(position, end)| position.is_some_and(|p| p >= end) || end == 0))
    }
}

fn write_json(record: &Record, out: &mut impl Write) -> anyhow::Result<usize> {
    let payload = record.payload.as_deref().unwrap_or(b"null");
    match serde_json::from_slice::<Value>(payload) {
        Ok(value) => writeln!(out, "{value}")?,
        Err(_) => writeln!(
            out,
            "{}",
            json!({"undecodable": String::from_utf8_lossy(payload)})
        )?,
    }
    Ok(1)
}

/// A dead letter: its provenance, and the original bytes as text where they are one, in hexadecimal digits else.
fn write_letter(record: &Record, out: &mut impl Write) -> anyhow::Result<usize> {
    let payload = record.payload.as_deref().unwrap_or_default();
    let mut line: serde_json::Map<String, Value> = record
        .headers
        .iter()
        .map(|(name, value)| {
            (
                name.clone(),
                Value::String(String::from_utf8_lossy(value).into_owned()),
            )
        })
        .collect();
    match std::str::from_utf8(payload) {
        Ok(text) => line.insert("payload".into(), json!(text)),
        Err(_) => line.insert("payload_hex".into(), json!(hex(payload))),
    };
    writeln!(out, "{}", Value::Object(line))?;
    Ok(1)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The rows of an internal record that have not been there before (R5).
fn write_rows(
    record: &Record,
    marks: &mut Marks,
    most: usize,
    out: &mut impl Write,
) -> anyhow::Result<usize> {
    let rows = rows_once(record, marks)?;
    let mut rows = rows.slice(0, rows.num_rows().min(most));
    if let Ok(pixels) = rows.schema().index_of(column::IMAGE_PIXELS) {
        // Nobody reads a hundred thousand numbers; the image is the file under its hash.
        let _ = rows.remove_column(pixels);
    }
    let mut writer = LineDelimitedWriter::new(out);
    writer.write(&rows)?;
    writer.finish()?;
    Ok(rows.num_rows())
}

/// Decodes a record of an internal topic, without the rows that `marks` have (R5).
pub(crate) fn rows_once(record: &Record, marks: &mut Marks) -> anyhow::Result<RecordBatch> {
    let (header, rows) = Message::decode(record.header(eventlog::HEADER), record.payload.as_deref())?;
    let first = marks.take(
        &header.writer,
        header.index_before,
        EventColumns::of(&rows)?.index.values(),
    )?;
    Ok(rows.slice(first, rows.num_rows() - first))
}
