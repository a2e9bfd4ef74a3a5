//! Shows the models of the registry, and imports what they start from.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Subcommand;
use model::{AnyManifest, Package, PackageManifest};
use registry::{ALIASES, ModelSummary, Registry};
use schema::time;
use serde_json::json;

use crate::commands::Format;
use crate::config::Resolved;

/// Commands on models.
#[derive(Subcommand)]
pub(crate) enum ModelCommand {
    /// Lists models, oldest first; a star marks the champion of each kind.
    List {
        /// How to print them.
        #[arg(long, value_enum, default_value_t, env = "RISKSTREAM_FORMAT")]
        format: Format,
    },
    /// Shows everything about one model.
    Show {
        /// Its version, or as many of its first characters as tell it from others; or an alias, as champion or
        /// image-champion.
        version: String,
    },
    /// Checks and stores a pretrained network, from which models of images start from then on.
    ImportBackbone {
        /// The weights of EfficientNet-Lite0, a safetensors file.
        file: PathBuf,
    },
}

/// Lists, shows or imports.
pub(crate) fn run(command: &ModelCommand, resolved: &Resolved, out: &mut impl Write) -> anyhow::Result<()> {
    let registry = Registry::open(resolved.store()?);
    match command {
        ModelCommand::List { format } => list(&registry, *format, out),
        ModelCommand::Show { version } => show(&registry, version, out),
        ModelCommand::ImportBackbone { file } => import_backbone(&registry, file, out),
    }
}

fn list(registry: &Registry, format: Format, out: &mut impl Write) -> anyhow::Result<()> {
    for model in registry.list()? {
        let champion = registry.current(registry::champion(model.kind))?;
        let is_champion = champion.is_some_and(|champion| champion.version == model.version);
        if format == Format::Json {
            let mut line = json!(model);
            line["champion"] = json!(is_champion);
            writeln!(out, "{line}")?;
        } else {
            writeln!(out, "{}", line(&model, is_champion))?;
        }
    }
    Ok(())
}

fn line(model: &ModelSummary, is_champion: bool) -> String {
    let measure = |name: &str| model.metrics.get(name).copied().unwrap_or(f64::NAN);
    format!(
        "{} {}  {:<11}  {}  average precision {:.3}  AUC {:.3}",
        if is_champion { "*" } else { " " },
        &model.version[..12],
        model.kind,
        time::format(model.created_at_us),
        measure("average_precision"),
        measure("auc_roc"),
    )
}

/// The version that an alias stands for, or whose first characters are given.
fn find(registry: &Registry, named: &str) -> anyhow::Result<String> {
    if ALIASES.iter().any(|(alias, _)| *alias == named) {
        let announced = registry.current(named)?;
        return Ok(announced
            .with_context(|| format!("there is no {named} yet"))?
            .version);
    }
    let all = registry.list()?.into_iter().map(|model| model.version);
    let mut found = all.filter(|version| version.starts_with(named));
    let first = found
        .next()
        .with_context(|| format!("no model's version begins with {named}"))?;
    anyhow::ensure!(
        found.next().is_none(),
        "more than one model's version begins with {named}"
    );
    Ok(first)
}

fn show(registry: &Registry, named: &str, out: &mut impl Write) -> anyhow::Result<()> {
    let version = find(registry, named)?;
    let bundle: Package<AnyManifest> = registry.load(&version)?;
    let shown = json!({"version": version, "kind": bundle.manifest.kind(), "manifest": bundle.manifest});
    writeln!(out, "{}", serde_json::to_string_pretty(&shown)?)?;
    Ok(())
}

fn import_backbone(registry: &Registry, file: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let name = registry
        .import_backbone(bytes)
        .with_context(|| format!("cannot import {}", file.display()))?;
    writeln!(out, "{name}")?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use model::ModelKind;

    #[test]
    fn a_line_shows_the_kind_and_the_champion() {
        let model = ModelSummary {
            version: "0123456789abcdef".to_owned(),
            kind: ModelKind::Image,
            created_at_us: 0,
            metrics: [("average_precision".to_owned(), 0.5)].into(),
            measured_from_us: 0,
            measured_to_us: 0,
            parent: None,
            training_from_us: 0,
            training_to_us: 0,
        };
        let created = time::format(0);
        assert_eq!(
            line(&model, true),
            format!("* 0123456789ab  image        {created}  average precision 0.500  AUC NaN")
        );
    }

    #[test]
    fn aliases_without_a_model_and_unknown_versions_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::open(lake::Store::open(folder.path().to_str().unwrap()).unwrap());
        let refused = |named| find(&registry, named).unwrap_err().to_string();
        assert_eq!(refused("fusion-champion"), "there is no fusion-champion yet");
        assert_eq!(refused("00ff"), "no model's version begins with 00ff");
    }

    #[test]
    fn a_file_that_is_no_backbone_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::open(lake::Store::open(folder.path().to_str().unwrap()).unwrap());
        let file = folder.path().join("cat.gif");
        let refused = || {
            format!(
                "{:#}",
                import_backbone(&registry, &file, &mut Vec::new()).unwrap_err()
            )
        };
        assert!(refused().starts_with(&format!("cannot read {}", file.display())));
        std::fs::write(&file, "GIF89a").unwrap();
        assert!(refused().starts_with(&format!(
            "cannot import {}: the file is not the pretrained network",
            file.display()
        )));
    }
}
