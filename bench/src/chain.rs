//! The peer: a chain of bare rdkafka clients with no work in it, consume → produce, hop after hop.
//!
//! It has as many hops as riskstream: the first packs events of 256 bytes into batches, two pass batches on, the last
//! sends one event a message, in transactions or not. Whatever riskstream needs beyond it is the price of its work.

mod frame;
mod hop;
mod outlet;

use std::path::Path;
use std::process::Command;

use anyhow::anyhow;
use clap::Args;

use crate::args::BenchArgs;
use crate::broker::Broker;
use crate::process::Worker;
use crate::subject::Delivery;
use crate::system::System;
use crate::traffic::{Payload, Traffic};
use hop::{Hop, Role};

/// Arguments of the process that is the chain.
#[derive(Args)]
pub(crate) struct ChainArgs {
    /// host:port
    #[arg(long)]
    servers: String,
    /// Prefix of its topics.
    #[arg(long)]
    prefix: String,
    #[arg(long)]
    partitions: i32,
    #[arg(long, value_enum)]
    delivery: Delivery,
}

/// The topics from the raw one to the last.
fn topics(prefix: &str) -> Vec<String> {
    ["raw", "hop-1", "hop-2", "hop-3", "out"]
        .iter()
        .map(|name| format!("{prefix}.{name}"))
        .collect()
}

/// Topics with events in the raw one.
pub(crate) fn lay_out(
    args: &BenchArgs,
    broker: &Broker,
    prefix: String,
) -> anyhow::Result<(System, Traffic)> {
    let topics = topics(&prefix);
    crate::topics::create(broker.servers(), &topics, args.partitions)?;
    let traffic = Traffic::new(broker.servers(), &topics[0], Payload::Bytes)?;
    traffic.fill(args.transactions())?;
    let system = System {
        input: topics[0].clone(),
        inner: (1..4)
            .map(|hop| (format!("hop-{hop}"), topics[hop].clone()))
            .collect(),
        output: topics[4].clone(),
        partitions: args.partitions,
        workers: Vec::new(),
        records: args.transactions(),
        prefix,
    };
    Ok((system, traffic))
}

/// Starts the process that is the chain.
pub(crate) fn start(
    broker: &Broker,
    delivery: Delivery,
    system: &mut System,
    folder: &Path,
) -> anyhow::Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["chain", "--servers", broker.servers(), "--prefix", &system.prefix]);
    command.args([
        "--partitions",
        &system.partitions.to_string(),
        "--delivery",
        delivery.name(),
    ]);
    system.workers.push(Worker::start("chain", &mut command, folder)?);
    Ok(())
}

/// Runs the chain, a thread a hop, until it is killed.
pub(crate) fn run(args: &ChainArgs) -> anyhow::Result<()> {
    let topics = topics(&args.prefix);
    let hops = topics.windows(2).zip(1..).map(|(pair, place)| Hop {
        name: format!("{}-hop-{place}", args.prefix),
        servers: args.servers.clone(),
        input: pair[0].clone(),
        output: pair[1].clone(),
        partitions: args.partitions,
        role: match place {
            1 => Role::First,
            4 => Role::Last,
            _ => Role::Middle,
        },
        delivery: if place == 4 {
            args.delivery
        } else {
            Delivery::Idempotent
        },
    });
    let (ended, end) = std::sync::mpsc::channel();
    for (hop, place) in hops.zip(1..) {
        let ended = ended.clone();
        std::thread::Builder::new()
            .name(format!("hop-{place}"))
            .spawn(move || {
                // Nobody listens any more once one hop has failed.
                let _ = ended.send(hop.run());
            })?;
    }
    end.recv().map_err(|_| anyhow!("all hops have panicked"))?
}
