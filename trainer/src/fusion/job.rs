//! One training of a model of transactions with their images.

use std::ops::ControlFlow;
use std::time::Instant;

use model::dataset::TimeSplit;
use model::fusion::{FusionBundle, FusionBundleRequest, FusionRows, FusionScorer, train_fusion_bundle};
use model::metrics::average_precision;
use model::{Bundle, ImageBundle, ModelKind, Provenance, Scorer};
use registry::{CHAMPION, FUSION_CHAMPION, IMAGE_CHAMPION};
use runtime::clock::Clock;
use schema::time;
use tracing::{debug, info};

use super::dataset::Dataset;
use crate::config::Settings;
use crate::error::TrainerError;
use crate::outcome::{Outcome, Report, decide};
use crate::run::newest;

/// Of the frauds with an image that are asked for, one in so many has to be in the validation part.
const VALIDATION_ONE_IN: usize = 10;

/// Trains with what was known at a time (the newest one that the tables are complete up to, if none is given),
/// publishes the bundle, and announces it: as champion if it passes the gate, as challenger if not. `go_on` is asked
/// after every pass over the rows; where it says no, the training is given up.
///
/// # Errors
/// [`TrainerError::TooFewImages`] if there is too little to train on, [`TrainerError::NoImageModel`] while there is no
/// model of images whose network could look at them; what the lake, the network or the broker says.
pub fn train_fusion_as_of(
    settings: &Settings,
    as_of_us: Option<i64>,
    clock: &dyn Clock,
    go_on: &dyn Fn() -> bool,
) -> Result<Report, TrainerError> {
    let began = Instant::now();
    let Some(as_of_us) = as_of_us.map_or_else(|| newest(settings), |at| Ok(Some(at)))? else {
        return Err(TrainerError::TooFewImages { images: 0, frauds: 0 });
    };
    let announced = settings.registry.current(IMAGE_CHAMPION)?;
    let announced = announced.ok_or(TrainerError::NoImageModel)?;
    let image: ImageBundle = settings.registry.load(&announced.version)?;
    let data = Dataset::read(settings, as_of_us)?;
    let split = TimeSplit::last_share(&data.event_time_us, settings.section.validation_share);
    check(settings, &data, &split)?;
    let (examples, frauds) = (data.frauds.len(), data.frauds.iter().filter(|f| **f).count());
    info!(
        as_of = time::format(as_of_us),
        examples, frauds, "training on transactions with images"
    );
    let bundle = fit(settings, &data, &split, &image, (as_of_us, go_on))?;
    let outcome = gate(settings, &data, &split, &bundle)?;
    let report = Report {
        model: ModelKind::Fusion,
        version: settings.registry.publish(&bundle)?,
        as_of: time::format(as_of_us),
        examples,
        frauds,
        validation: bundle.manifest.metrics.values.clone(),
        outcome,
        seconds: began.elapsed().as_secs_f64(),
    };
    decide(settings, &report, clock.now_us())?;
    Ok(report)
}

/// Refuses a set that is too small.
fn check(settings: &Settings, data: &Dataset, split: &TimeSplit) -> Result<(), TrainerError> {
    let section = &settings.section.fusion;
    let frauds = |part: &[usize]| {
        let found = |row: &&usize| data.image_of[**row].is_some() && data.frauds[**row];
        part.iter().filter(found).count()
    };
    let images = data.image_of.iter().flatten().count();
    let (train, validation) = (frauds(&split.train), frauds(&split.validation));
    let enough = images >= section.min_images
        && train + validation >= section.min_frauds
        && validation >= section.min_frauds.div_ceil(VALIDATION_ONE_IN)
        && train > 0;
    if enough {
        Ok(())
    } else {
        Err(TrainerError::TooFewImages {
            images,
            frauds: train + validation,
        })
    }
}

fn fit(
    settings: &Settings,
    data: &Dataset,
    split: &TimeSplit,
    image: &ImageBundle,
    (as_of_us, go_on): (i64, &dyn Fn() -> bool),
) -> Result<FusionBundle, TrainerError> {
    let labels = labels(data, 0..data.frauds.len());
    let request = FusionBundleRequest {
        schema: &data.schema,
        data: data.data(),
        step_width: settings.step_width,
        image,
        labels: &labels,
        times_us: &data.event_time_us,
        split,
        settings: &settings.section.fusion.network,
        // The same data at the same time gives the same bundle.
        seed: as_of_us.unsigned_abs(),
        provenance: Provenance {
            table_versions: data.versions.iter().map(|(n, v)| ((*n).to_owned(), *v)).collect(),
            code_version: env!("CARGO_PKG_VERSION").to_owned(),
            created_at_us: as_of_us,
        },
    };
    let trained = train_fusion_bundle(&request, &mut |epoch| {
        debug!(?epoch, "epoch");
        if go_on() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    if go_on() {
        Ok(trained.bundle)
    } else {
        Err(TrainerError::Stopped)
    }
}

/// Holds a challenger against the champion, on the validation rows that have an image: against the fusion champion, or,
/// where there is none, against the model of transactions that has scored such rows so far.
fn gate(
    settings: &Settings,
    data: &Dataset,
    split: &TimeSplit,
    challenger: &FusionBundle,
) -> Result<Outcome, TrainerError> {
    let rows = split.validation.iter().copied();
    let rows: Vec<usize> = rows.filter(|&row| data.image_of[row].is_some()).collect();
    let Some(champion) = of_champion(settings, data, &rows)? else {
        return Ok(Outcome::First);
    };
    let labels = labels(data, rows.iter().copied());
    let precision = |probabilities: &[f64]| average_precision(probabilities, &labels).unwrap_or(0.0);
    let own = precision(&fused(challenger, data, &rows)?);
    Ok(Outcome::of(
        own,
        precision(&champion),
        settings.section.gate_tolerance,
    ))
}

/// What the champion says of rows; nothing where there is none, or it cannot read them.
fn of_champion(
    settings: &Settings,
    data: &Dataset,
    rows: &[usize],
) -> Result<Option<Vec<f64>>, TrainerError> {
    let registry = &settings.registry;
    if let Some(announced) = registry.current(FUSION_CHAMPION)? {
        let champion: FusionBundle = registry.load(&announced.version)?;
        let fits = champion.manifest.feature_schema.sha256 == data.schema.hash()
            && FusionScorer::new(&champion)?.input() == data.images.shape();
        return fits.then(|| fused(&champion, data, rows)).transpose();
    }
    let Some(announced) = registry.current(CHAMPION)? else {
        return Ok(None);
    };
    let champion: Bundle = registry.load(&announced.version)?;
    let scorer = Scorer::new(&champion)?;
    let rows = data.rows.select(rows);
    let fits = scorer.check_schema(rows.names()).is_ok();
    Ok(fits.then(|| scorer.probabilities(&rows)).transpose()?)
}

fn fused(bundle: &FusionBundle, data: &Dataset, rows: &[usize]) -> Result<Vec<f64>, TrainerError> {
    let images: Vec<usize> = rows.iter().filter_map(|&row| data.image_of[row]).collect();
    let sequences: Vec<Vec<f32>> = rows.iter().map(|&row| data.sequences[row].clone()).collect();
    let image_of: Vec<Option<usize>> = (0..rows.len()).map(Some).collect();
    let scored = FusionScorer::new(bundle)?.score(&FusionRows {
        rows: &data.rows.select(rows),
        sequences: &sequences,
        images: &data.images.select(&images),
        image_of: &image_of,
    })?;
    Ok(scored.into_iter().map(|row| row.probability).collect())
}

fn labels(data: &Dataset, rows: impl Iterator<Item = usize>) -> Vec<f32> {
    rows.map(|row| f32::from(u8::from(data.frauds[row]))).collect()
}
