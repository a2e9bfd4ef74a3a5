//! Measures riskstream on this machine, beside a chain of bare clients: throughput, latency, processor time, memory.
//!
//! `README.md` beside it tells what each figure is.

mod args;
mod arrivals;
mod broker;
mod chain;
mod fold;
mod images;
mod measure;
mod pipeline;
mod process;
mod profile;
mod report;
mod subject;
mod system;
mod topics;
mod traffic;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::args::{BenchArgs, Cli, Command};
use crate::broker::Broker;
use crate::pipeline::Workshop;
use crate::report::Report;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Some(Command::Chain(args)) => chain::run(&args).map(|()| true),
        Some(Command::Fold(args)) => fold::run(&args).map(|()| true),
        None => bench(&cli.bench),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs all rounds and reports; says whether every figure counts.
fn bench(args: &BenchArgs) -> anyhow::Result<bool> {
    let binary = pipeline::binary(args)?;
    let broker = Broker::start(args)?;
    let mut workshop = Workshop::new(args, &broker, binary)?;
    if args.images {
        let report = images::bench(args, &broker, &mut workshop)?;
        publish(args, "images.json", &report, &report.text())?;
        return Ok(report.is_valid());
    }
    workshop.prepare()?;
    let mut report = Report::new(args);
    for round in 1..=args.rounds() {
        for subject in args.subjects() {
            say(&format!("round {round} of {}: {}", args.rounds(), subject.name()));
            let outcome = measure::measure(args, &broker, &mut workshop, subject)?;
            say(&outcome.line());
            if args.profile {
                say(&profile::text(&outcome));
            }
            report.add(outcome);
        }
    }
    publish(args, "summary.json", &report, &report.text())?;
    Ok(report.is_valid())
}

/// Prints a table, and writes everything measured to a file.
fn publish(args: &BenchArgs, name: &str, report: &impl serde::Serialize, table: &str) -> anyhow::Result<()> {
    let file = args.folder.join(name);
    std::fs::write(&file, serde_json::to_vec_pretty(report)?)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{table}\nEverything measured is in {}.", file.display())?;
    Ok(())
}

/// Tells what is under way.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "bench: {text}");
}
