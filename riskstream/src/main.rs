//! Real-time risk scoring on Kafka: the one binary.

mod commands;
mod config;
mod evaluate;
mod simulate;
mod tables;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use runtime::config::{Loaded, Override};

use crate::commands::{consume, demo, explain, images, models, produce, topics, train, up};
use crate::config::{Config, Resolved};
use crate::evaluate::{LabelMapping, Subjects};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Real-time risk scoring on Kafka.
///
/// Transactions, images and fraud labels go in by Kafka topics; explained risk scores come out milliseconds later,
/// from neural networks that retrain themselves on the labels.
#[derive(Parser)]
#[command(version, max_term_width = 110)]
struct Cli {
    /// Configuration file (TOML); what it leaves out keeps its default.
    #[arg(long, short, global = true, env = "RISKSTREAM_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Broker to use, host:port; overrides kafka.bootstrap_servers.
    #[arg(
        long,
        global = true,
        env = "KAFKA_BOOTSTRAP_SERVERS",
        value_name = "HOST:PORT"
    )]
    bootstrap_servers: Option<String>,
    /// Sets any key of the configuration, e.g. --set scorer.delivery=idempotent; may be repeated.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", value_parser = key_value)]
    settings: Vec<(String, String)>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs all four workers in one process.
    Up(up::UpArgs),
    /// Runs the worker that cleans what comes in.
    Ingest,
    /// Runs the worker that turns events into features and writes the lake.
    Preprocess,
    /// Runs the worker that trains and publishes models.
    Trainer,
    /// Runs the worker that scores.
    Scorer,
    /// Creates or lists topics.
    #[command(subcommand)]
    Topics(topics::TopicsCommand),
    /// Writes a reproducible stream of card transactions with frauds and labels.
    Simulate(simulate::SimulateArgs),
    /// Looks at images of documents.
    #[command(subcommand)]
    Images(images::ImagesCommand),
    /// Sends a table of transactions, and the labels in it, to the raw topics in time order.
    Produce(produce::ProduceArgs),
    /// Reads a topic, decoded.
    Consume(consume::ConsumeArgs),
    /// Trains a model now, as the trainer would.
    Train(train::TrainArgs),
    /// Measures scores against labels.
    Evaluate(evaluate::EvaluateArgs),
    /// Shows what a model of images makes of an image, and where in it.
    Explain(explain::ExplainArgs),
    /// Shows what models there are, and imports what models of images start from.
    #[command(subcommand)]
    Model(models::ModelCommand),
    /// Checks or shows the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Shows the whole loop on simulated data: produce, score, train while streaming, evaluate.
    Demo(demo::DemoArgs),
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Checks the configuration and reports every problem with its place.
    Check,
    /// Prints the configuration in force, each value with its origin.
    Show {
        /// Prints the commented default instead.
        #[arg(long)]
        default: bool,
        /// How to print it.
        #[arg(long, value_enum, default_value_t)]
        format: commands::Format,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli, &mut std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // The chain is printed once, here and nowhere else.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli, out: &mut impl Write) -> anyhow::Result<()> {
    match cli.command {
        Command::Simulate(args) => return simulate::run(&args, out),
        Command::Config(ConfigCommand::Show { default: true, .. }) => {
            return Ok(out.write_all(config::DEFAULT.as_bytes())?);
        }
        _ => {}
    }
    let loaded = load(&cli)?;
    match cli.command {
        Command::Config(command) => config_command(&command, &loaded, out),
        command => with_config(command, Resolved::new(loaded.config)?, out),
    }
}

fn with_config(command: Command, resolved: Resolved, out: &mut impl Write) -> anyhow::Result<()> {
    match command {
        Command::Up(args) => up::run(&resolved, up::Workers::ALL, args.create_topics),
        Command::Ingest => up::run(&resolved, up::Workers::INGEST, false),
        Command::Preprocess => up::run(&resolved, up::Workers::PREPROCESS, false),
        Command::Trainer => up::run(&resolved, up::Workers::TRAINER, false),
        Command::Scorer => up::run(&resolved, up::Workers::SCORER, false),
        Command::Topics(command) => topics::run(&command, &resolved, out),
        Command::Produce(args) => produce::run(&args, &resolved, out),
        Command::Consume(args) => consume::run(&args, &resolved, out),
        Command::Train(args) => train::run(&args, &resolved, out),
        Command::Images(command) => {
            let handling = images::Handling {
                frame: resolved.config.preprocess.images.frame,
                augmentation: resolved.config.trainer.images.augmentation.clone(),
            };
            images::run(&command, &handling, out)
        }
        Command::Explain(args) => explain::run(&args, &resolved, out),
        Command::Model(command) => models::run(&command, &resolved, out),
        Command::Demo(args) => demo::run(&args, resolved, out),
        Command::Evaluate(args) => {
            let named = |name: &String| match args.subjects() {
                Subjects::Transactions => resolved.mapping(name).map(LabelMapping::Transactions),
                Subjects::Images => resolved.image_mapping(name).map(LabelMapping::Images),
            };
            let mapping = args.mapping.as_ref().map(named).transpose()?;
            evaluate::run(&args, mapping, out)
        }
        Command::Simulate(_) | Command::Config(_) => {
            unreachable!("these need no configuration and have returned")
        }
    }
}

fn load(cli: &Cli) -> anyhow::Result<Loaded<Config>> {
    let mut overrides: Vec<Override> = Vec::new();
    if let Some(servers) = &cli.bootstrap_servers {
        overrides.push(flag("--bootstrap-servers", "kafka.bootstrap_servers", servers));
    }
    overrides.extend(cli.settings.iter().map(|(key, value)| flag("--set", key, value)));
    config::read(cli.config.as_deref(), overrides)
}

fn flag(flag: &str, key: &str, value: &str) -> Override {
    Override {
        flag: flag.to_owned(),
        key: key.to_owned(),
        value: value.to_owned(),
    }
}

fn config_command(
    command: &ConfigCommand,
    loaded: &Loaded<Config>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Check => {
            if let Some(problem) = loaded.config.token_key_problem() {
                writeln!(out, "note: {problem}; ingest does not start without it")?;
            }
            writeln!(out, "the configuration is valid")?;
        }
        ConfigCommand::Show {
            format: commands::Format::Json,
            ..
        } => {
            let settings: Vec<_> = loaded.settings();
            writeln!(out, "{}", serde_json::to_string_pretty(&settings)?)?;
        }
        ConfigCommand::Show { .. } => write!(out, "{}", loaded.to_toml())?,
    }
    Ok(())
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("wants KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |e: &std::io::Error| e.kind() == std::io::ErrorKind::BrokenPipe;
    error
        .chain()
        .any(|cause| cause.downcast_ref::<std::io::Error>().is_some_and(broken))
}
