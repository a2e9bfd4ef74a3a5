//! Creates topics with their settings, and says which are there.

use std::io::Write;

use anyhow::bail;
use clap::Subcommand;
use stream::{Outcome, Topics};
use tracing::info;

use crate::commands::Format;
use crate::config::Resolved;

/// Commands on topics.
#[derive(Subcommand)]
pub(crate) enum TopicsCommand {
    /// Creates every topic that is missing, with its settings; the others are left as they are.
    Create {
        /// How to print what was done.
        #[arg(long, value_enum, default_value_t, env = "RISKSTREAM_FORMAT")]
        format: Format,
    },
}

/// Creates topics and reports each.
pub(crate) fn run(command: &TopicsCommand, resolved: &Resolved, out: &mut impl Write) -> anyhow::Result<()> {
    let TopicsCommand::Create { format } = command;
    let outcomes = create(resolved)?;
    for (topic, outcome) in outcomes {
        match format {
            Format::Text => writeln!(out, "{topic}: {}", said(&outcome))?,
            Format::Json => writeln!(
                out,
                "{}",
                serde_json::json!({"topic": topic, "outcome": said(&outcome)})
            )?,
        }
    }
    Ok(())
}

/// Creates every topic that is missing.
///
/// # Errors
/// If one is there with another number of partitions: the log's numbers go by it (R15).
pub(crate) fn create(resolved: &Resolved) -> anyhow::Result<Vec<(String, Outcome)>> {
    let specs = resolved.topics();
    let outcomes = Topics::new(&resolved.kafka)?.create(&specs)?;
    let outcomes: Vec<_> = specs.into_iter().map(|spec| spec.name).zip(outcomes).collect();
    let wrong: Vec<String> = outcomes
        .iter()
        .filter(|(_, outcome)| matches!(outcome, Outcome::PartitionsDiffer { .. }))
        .map(|(topic, outcome)| format!("{topic}: {}", said(outcome)))
        .collect();
    if !wrong.is_empty() {
        bail!(
            "topics are there with other numbers of partitions, which the log's numbers go by; \
             set topics.partitions to match or use other topic names: {}",
            wrong.join("; ")
        );
    }
    for (topic, outcome) in &outcomes {
        info!(topic, outcome = said(outcome), "topic");
    }
    Ok(outcomes)
}

fn said(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Created => "created".to_owned(),
        Outcome::Existed => "there already".to_owned(),
        Outcome::PartitionsDiffer { want, have } => format!("there with {have} partitions instead of {want}"),
        Outcome::SettingDiffers { key, want, have } => format!("there with {key}={have} instead of {want}"),
    }
}
