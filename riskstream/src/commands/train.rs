//! Trains now what the trainer would have trained at a time.

use std::io::Write;

use anyhow::ensure;
use clap::{Args, ValueEnum};
use model::ModelKind;
use runtime::clock::SystemClock;
use runtime::telemetry::init_logs;

use crate::commands::Format;
use crate::commands::produce::instant;
use crate::config::Resolved;

/// Trains a model now, as the trainer would.
#[derive(Args)]
pub(crate) struct TrainArgs {
    /// Trains once and ends; without it, use `riskstream trainer`.
    #[arg(long, required = true)]
    pub(crate) once: bool,
    /// What to train a model of.
    #[arg(long, value_enum, default_value_t, env = "RISKSTREAM_TRAIN_MODEL")]
    pub(crate) model: Model,
    /// The time whose knowledge is trained on (RFC 3339): labels known by then, transactions a label's delay
    /// older; the newest time the tables are complete up to if absent.
    #[arg(long, env = "RISKSTREAM_TRAIN_AS_OF", value_name = "TIME", value_parser = instant)]
    pub(crate) as_of: Option<i64>,
    /// How to print the outcome.
    #[arg(long, value_enum, default_value_t, env = "RISKSTREAM_FORMAT")]
    pub(crate) format: Format,
}

/// What a model is a model of.
#[derive(Clone, Copy, Default, ValueEnum)]
pub(crate) enum Model {
    /// Transactions.
    #[default]
    Transaction,
    /// Document images.
    Image,
    /// Transactions with their images.
    Fusion,
}

/// Trains, publishes and reports.
pub(crate) fn run(args: &TrainArgs, resolved: &Resolved, out: &mut impl Write) -> anyhow::Result<()> {
    init_logs(&resolved.config.log)?;
    let store = resolved.store()?;
    let report = match args.model {
        Model::Transaction => {
            let settings = resolved.trainer(&store, ModelKind::Transaction);
            trainer::train_as_of(&settings, args.as_of, &SystemClock, &|| true)?
        }
        Model::Image | Model::Fusion => {
            ensure!(
                resolved.layout.images,
                "schema.images is false: no images come in"
            );
            if let Model::Image = args.model {
                let settings = resolved.trainer(&store, ModelKind::Image);
                trainer::train_images_as_of(&settings, args.as_of, &SystemClock, &|| true)?
            } else {
                ensure!(
                    resolved.config.sequence.is_some(),
                    "there is no [sequence]: a fusion model reads one"
                );
                let settings = resolved.trainer(&store, ModelKind::Fusion);
                trainer::train_fusion_as_of(&settings, args.as_of, &SystemClock, &|| true)?
            }
        }
    };
    match args.format {
        Format::Json => writeln!(out, "{}", serde_json::to_string(&report)?)?,
        Format::Text => write!(out, "{report}")?,
    }
    Ok(())
}
