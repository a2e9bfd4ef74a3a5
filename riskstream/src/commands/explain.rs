//! Shows what a model of images makes of an image, and where in it.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use arrow::array::{Array, AsArray, RecordBatch};
use clap::Args;
use imaging::{DocumentKind, Frame, Image, admit, heat, prepare, sheet};
use lake::Table;
use model::vision::{HeatMap, Images};
use model::{Column, ImageRiskScorer, ImageScored, Rows};
use registry::{IMAGE_CHAMPION, Registry};
use schema::layout::column;
use serde::Serialize;

use crate::commands::Format;
use crate::config::Resolved;

/// Shows what a model of images makes of an image, and where in it.
#[derive(Args)]
pub(crate) struct ExplainArgs {
    /// File of an image, or the identifier of one that came in.
    #[arg(long, env = "RISKSTREAM_EXPLAIN_IMAGE", value_name = "FILE|ID")]
    image: String,
    /// What a file shows: cheque, receipt, `id_document`, signature, other.
    #[arg(long, env = "RISKSTREAM_EXPLAIN_KIND", default_value = "other", value_name = "KIND", value_parser = kind)]
    kind: DocumentKind,
    /// Version of the model; the champion if absent.
    #[arg(long, env = "RISKSTREAM_EXPLAIN_VERSION", value_name = "VERSION")]
    version: Option<String>,
    /// PNG to write: the prepared image, and beside it what raised its score in red and lowered it in blue.
    #[arg(long, short, env = "RISKSTREAM_EXPLAIN_OUTPUT", value_name = "FILE")]
    output: PathBuf,
    /// How to print the score and what it rests on.
    #[arg(long, value_enum, default_value_t, env = "RISKSTREAM_FORMAT")]
    format: Format,
}

fn kind(name: &str) -> Result<DocumentKind, String> {
    let kinds = || DocumentKind::ALL.map(DocumentKind::name).join(", ");
    DocumentKind::named(name).ok_or_else(|| format!("none of {}", kinds()))
}

/// What is printed.
#[derive(Serialize)]
struct Explanation {
    image: String,
    version: String,
    score: f64,
    /// By how much each part moved the logit, against a usual image.
    contributions: Vec<(String, f32)>,
    output: PathBuf,
}

/// An image as a model reads it, with what is known of it.
struct Subject {
    prepared: Image,
    /// Of each feature; missing where the image is a file that never came in.
    facts: Vec<(String, f64)>,
}

/// Explains and writes the picture.
pub(crate) fn run(args: &ExplainArgs, resolved: &Resolved, out: &mut impl Write) -> anyhow::Result<()> {
    let registry = Registry::open(resolved.store()?);
    let version = match &args.version {
        Some(version) => version.clone(),
        None => {
            let champion = registry.current(IMAGE_CHAMPION)?;
            champion.context("there is no model of images yet")?.version
        }
    };
    let scorer = ImageRiskScorer::new(&registry.load(&version)?)?;
    let subject = subject(args, resolved, &scorer)?;
    let images = Images::new(scorer.input(), subject.prepared.pixels().to_vec())?;
    let scored = scorer.score(&images, &rows(&scorer, &subject.facts)?)?;
    let ImageScored {
        probability,
        contributions,
        ..
    } = scored.into_iter().next().context("one image has one score")?;
    let HeatMap { values, .. } = scorer.heat_map(&images, 0)?;
    let picture = sheet(&[subject.prepared.clone(), heat(&subject.prepared, &values)], 2);
    std::fs::write(&args.output, picture.to_png())
        .with_context(|| format!("{} cannot be written", args.output.display()))?;
    let names = scorer.contribution_names().map(str::to_owned);
    let explanation = Explanation {
        image: args.image.clone(),
        version,
        score: probability,
        contributions: names.zip(contributions).collect(),
        output: args.output.clone(),
    };
    print(&explanation, args.format, out)
}

fn print(explanation: &Explanation, format: Format, out: &mut impl Write) -> anyhow::Result<()> {
    if format == Format::Json {
        writeln!(out, "{}", serde_json::to_string(explanation)?)?;
        return Ok(());
    }
    writeln!(out, "image    {}", explanation.image)?;
    writeln!(out, "model    {}", explanation.version)?;
    writeln!(out, "score    {:.3}", explanation.score)?;
    for (name, by) in &explanation.contributions {
        writeln!(out, "         {by:+.2}  {name}")?;
    }
    writeln!(out, "picture  {}", explanation.output.display())?;
    Ok(())
}

fn subject(args: &ExplainArgs, resolved: &Resolved, scorer: &ImageRiskScorer) -> anyhow::Result<Subject> {
    let input = scorer.input();
    let frame = Frame {
        height: u32::try_from(input.height)?,
        width: u32::try_from(input.width)?,
    };
    let path = Path::new(&args.image);
    if path.is_file() {
        let file = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let admitted = admit(&file, &resolved.config.ingest.images.limits);
        let admitted = admitted.with_context(|| format!("{} is refused", path.display()))?;
        return Ok(Subject {
            prepared: prepare(&admitted.frames[0], args.kind, frame),
            facts: Vec::new(),
        });
    }
    let (row, at) = find(resolved, &args.image)?;
    let text = |name: &str| row[name].as_string::<i32>().value(at).to_owned();
    let kind = DocumentKind::named(&text(column::IMAGE_KIND)).unwrap_or(args.kind);
    let images = lake::Images::open(resolved.store()?);
    let pixels = images.prepared(&text(column::IMAGE_SHA256), kind, frame)?;
    let pixels = pixels.context("the file of the image is gone")?;
    let fact = |name: &str| {
        let values = row
            .column_by_name(name)?
            .as_primitive_opt::<arrow::datatypes::Float64Type>()?;
        values.is_valid(at).then(|| (name.to_owned(), values.value(at)))
    };
    let features = scorer.schema().features().iter();
    Ok(Subject {
        prepared: Image::new(frame.width, frame.height, pixels.to_vec()),
        facts: features.filter_map(|feature| fact(&feature.name)).collect(),
    })
}

/// The row of an image that came in.
fn find(resolved: &Resolved, id: &str) -> anyhow::Result<(RecordBatch, usize)> {
    let store = resolved.store()?;
    let table = Table::open_or_create(&store, "tables/images", resolved.layout.images_schema())?;
    for batch in table.scan(None, None)? {
        let batch = batch?;
        let ids = batch[column::IMAGE_ID].as_string::<i32>();
        if let Some(row) = (0..batch.num_rows()).find(|row| ids.value(*row) == id) {
            return Ok((batch, row));
        }
    }
    bail!("{id} is neither a file nor an image in the table of images");
}

/// The features that a model reads, as one row.
fn rows(scorer: &ImageRiskScorer, facts: &[(String, f64)]) -> anyhow::Result<Rows> {
    let mut rows = Rows::new(1);
    for feature in scorer.schema().features() {
        let known = facts.iter().find(|(name, _)| *name == feature.name);
        let value = known.map_or(f64::NAN, |(_, value)| *value);
        rows.insert(feature.name.as_str(), Column::Numeric(vec![value]))?;
    }
    Ok(rows)
}
