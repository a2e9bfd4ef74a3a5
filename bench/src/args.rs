//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::chain::ChainArgs;
use crate::fold::FoldArgs;
use crate::subject::Subject;

/// Measures riskstream on this machine, beside a chain of bare Kafka clients.
#[derive(Parser)]
#[command(version, max_term_width = 110, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) bench: BenchArgs,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What the program does besides measuring.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Runs the chain of bare clients until it is killed; the benchmark starts it.
    #[command(hide = true)]
    Chain(ChainArgs),
    /// Puts a table in order for one fold of a cross-validation: what is learned from, then what is left out.
    Fold(FoldArgs),
}

/// What is measured, and how long.
#[derive(Args)]
pub(crate) struct BenchArgs {
    /// One short round.
    #[arg(long)]
    pub(crate) quick: bool,
    /// How often everything is measured, in turn [default: 3; quick: 1]
    #[arg(long, value_name = "N")]
    rounds: Option<u32>,
    /// Only these, separated by commas; everything if absent.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "SUBJECT")]
    only: Vec<Subject>,
    /// Measures document images at full speed instead of transactions.
    #[arg(long)]
    pub(crate) images: bool,
    /// With --images, about how many [default: 1500; quick: 400]
    #[arg(long, value_name = "N", requires = "images")]
    documents: Option<u32>,
    /// Transactions that go through at full speed [default: 300000; quick: 100000]
    #[arg(long, value_name = "N")]
    transactions: Option<u32>,
    /// Transactions a second at which latency is measured; 0 leaves latency out.
    #[arg(long, value_delimiter = ',', default_values_t = [1000, 3000], value_name = "N")]
    pub(crate) rates: Vec<u32>,
    /// Seconds at each rate before measuring begins [default: 15; quick: 8]
    #[arg(long, value_name = "SECONDS")]
    warm_up: Option<u64>,
    /// Seconds measured at each rate [default: 20; quick: 10]
    #[arg(long, value_name = "SECONDS")]
    measure: Option<u64>,
    /// Partitions of each topic.
    #[arg(long, default_value_t = 2, value_name = "N")]
    pub(crate) partitions: i32,
    /// A setting of riskstream, e.g. --set scorer.linger=5ms; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) settings: Vec<String>,
    /// Prints where the processor time goes: by thread, and batches a second on every hop.
    #[arg(long)]
    pub(crate) profile: bool,
    /// The riskstream to measure; built first if absent.
    #[arg(long, value_name = "FILE")]
    pub(crate) binary: Option<PathBuf>,
    /// Folder for everything that is made; emptied first.
    #[arg(long, default_value = "target/bench", value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
    /// Broker to use instead of starting one; its processor time is not known then.
    #[arg(long, env = "KAFKA_BOOTSTRAP_SERVERS", value_name = "HOST:PORT")]
    pub(crate) bootstrap_servers: Option<String>,
    /// Script that starts a broker.
    #[arg(long, default_value = "deploy/kafka/kafka", value_name = "FILE")]
    pub(crate) kafka: PathBuf,
    /// The cargo that builds riskstream.
    #[arg(long, env = "CARGO", default_value = "cargo", hide = true)]
    pub(crate) cargo: PathBuf,
}

impl BenchArgs {
    pub(crate) fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 1 } else { 3 })
    }

    pub(crate) fn transactions(&self) -> u32 {
        self.transactions
            .unwrap_or(if self.quick { 100_000 } else { 300_000 })
    }

    pub(crate) fn documents(&self) -> u32 {
        self.documents.unwrap_or(if self.quick { 400 } else { 1500 })
    }

    pub(crate) fn warm_up(&self) -> Duration {
        Duration::from_secs(self.warm_up.unwrap_or(if self.quick { 8 } else { 15 }))
    }

    pub(crate) fn measured(&self) -> Duration {
        Duration::from_secs(self.measure.unwrap_or(if self.quick { 10 } else { 20 }))
    }

    /// What is measured in a round, in this order.
    pub(crate) fn subjects(&self) -> Vec<Subject> {
        Subject::ALL
            .into_iter()
            .filter(|s| self.only.is_empty() || self.only.contains(s))
            .collect()
    }
}
