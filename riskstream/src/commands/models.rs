//! Shows the models of the registry.

use std::io::Write;

use anyhow::Context;
use clap::Subcommand;
use model::{AnyManifest, Package};
use registry::Registry;
use schema::time;
use serde_json::json;

use crate::commands::Format;
use crate::config::Resolved;

/// Commands on models.
#[derive(Subcommand)]
pub(crate) enum ModelCommand {
    /// Lists models, oldest first.
    List {
        /// How to print them.
        #[arg(long, value_enum, default_value_t, env = "RISKSTREAM_FORMAT")]
        format: Format,
    },
    /// Shows everything about one model.
    Show {
        /// Its version, or as many of its first characters as tell it from others; or champion.
        version: String,
    },
}

/// Lists or shows.
pub(crate) fn run(command: &ModelCommand, resolved: &Resolved, out: &mut impl Write) -> anyhow::Result<()> {
    let registry = Registry::open(resolved.store()?);
    match command {
        ModelCommand::List { format } => list(&registry, *format, out),
        ModelCommand::Show { version } => show(&registry, version, out),
    }
}

fn list(registry: &Registry, format: Format, out: &mut impl Write) -> anyhow::Result<()> {
    let champion = registry.current(registry::CHAMPION)?.map(|a| a.version);
    for model in registry.list()? {
        let is_champion = champion.as_ref() == Some(&model.version);
        if format == Format::Json {
            let mut line = json!(model);
            line["champion"] = json!(is_champion);
            writeln!(out, "{line}")?;
            continue;
        }
        let mark = if is_champion { "*" } else { " " };
        let ap = model
            .metrics
            .get("average_precision")
            .copied()
            .unwrap_or(f64::NAN);
        let auc = model.metrics.get("auc_roc").copied().unwrap_or(f64::NAN);
        let created = time::format(model.created_at_us);
        writeln!(
            out,
            "{mark} {}  {created}  average precision {ap:.3}  AUC {auc:.3}",
            &model.version[..12]
        )?;
    }
    Ok(())
}

fn show(registry: &Registry, version: &str, out: &mut impl Write) -> anyhow::Result<()> {
    let version = if version == registry::CHAMPION {
        registry
            .current(registry::CHAMPION)?
            .context("there is no champion yet")?
            .version
    } else {
        let all = registry.list()?;
        let mut found = all
            .into_iter()
            .map(|m| m.version)
            .filter(|v| v.starts_with(version));
        let first = found
            .next()
            .with_context(|| format!("no model's version begins with {version}"))?;
        anyhow::ensure!(
            found.next().is_none(),
            "more than one model's version begins with {version}"
        );
        first
    };
    let bundle: Package<AnyManifest> = registry.load(&version)?;
    writeln!(
        out,
        "{}",
        serde_json::to_string_pretty(&json!({"version": version, "manifest": bundle.manifest}))?
    )?;
    Ok(())
}
