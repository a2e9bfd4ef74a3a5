//! One training of a model of images.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Instant;

use model::dataset::TimeSplit;
use model::image::{ImageBundleRequest, ImageBundleStart};
use model::metrics::average_precision;
use model::vision::{Backbone, ImageNetwork, ImageShape, ImageTrainingSettings, Treatment};
use model::{ImageBundle, ImageRiskScorer, ModelKind, Provenance, train_image_bundle};
use runtime::clock::Clock;
use schema::time;
use tracing::{debug, info};

use super::augmentation::Versions;
use super::config::ImageNetworkKind;
use super::dataset::{Dataset, shape};
use crate::config::Settings;
use crate::error::TrainerError;
use crate::outcome::{Outcome, Report, decide};
use crate::run::newest;

/// Trains with what was known at a time (the newest one that the tables are complete up to, if none is given),
/// publishes the bundle, and announces it: as champion if it passes the gate, as challenger if not. `go_on` is asked
/// after every pass over the images; where it says no, the training is given up.
///
/// # Errors
/// [`TrainerError::TooFewImages`] if there is too little to train on; what the lake, the network or the broker says.
pub fn train_images_as_of(
    settings: &Settings,
    as_of_us: Option<i64>,
    clock: &dyn Clock,
    go_on: &dyn Fn() -> bool,
) -> Result<Report, TrainerError> {
    let began = Instant::now();
    let Some(as_of_us) = as_of_us.map_or_else(|| newest(settings), |at| Ok(Some(at)))? else {
        return Err(TrainerError::TooFewImages { images: 0, frauds: 0 });
    };
    let section = &settings.section.images;
    let data = Dataset::read(settings, as_of_us)?;
    let (images, frauds) = (data.ids.len(), data.frauds.iter().filter(|f| **f).count());
    let split = TimeSplit::last_share(&data.event_time_us, section.validation_share);
    let both = |part: &[usize]| {
        let frauds = part.iter().filter(|&&at| data.frauds[at]).count();
        frauds > 0 && frauds < part.len()
    };
    let enough = images >= section.min_images && frauds >= section.min_frauds;
    if !enough || !both(&split.train) || !both(&split.validation) {
        return Err(TrainerError::TooFewImages { images, frauds });
    }
    info!(
        as_of = time::format(as_of_us),
        images, frauds, "training on images"
    );
    let bundle = fit(settings, &data, &split, (as_of_us, go_on))?;
    let outcome = gate(settings, &data, &split, &bundle)?;
    let report = Report {
        model: ModelKind::Image,
        version: settings.registry.publish(&bundle)?,
        as_of: time::format(as_of_us),
        examples: images,
        frauds,
        validation: bundle.manifest.metrics.values.clone(),
        outcome,
        seconds: began.elapsed().as_secs_f64(),
    };
    decide(settings, &report, clock.now_us())?;
    Ok(report)
}

/// The network that learns, and the weights that it starts from.
struct Start {
    network: ImageNetwork,
    backbone: Option<Backbone>,
    training: ImageTrainingSettings,
}

impl Start {
    fn new(settings: &Settings) -> Result<Self, TrainerError> {
        let section = &settings.section.images;
        let backbone = match section.network {
            ImageNetworkKind::Small => None,
            ImageNetworkKind::Auto => settings.registry.backbone()?,
            ImageNetworkKind::EfficientnetLite0 => {
                Some(settings.registry.backbone()?.ok_or(TrainerError::NoBackbone)?)
            }
        };
        let ImageShape { height, width, .. } = shape(settings);
        let training = section.training.clone();
        Ok(if backbone.is_some() {
            Self {
                network: ImageNetwork::efficientnet_lite0(height, width, 1).enlarged(section.enlargement),
                training: training.unwrap_or_else(ImageTrainingSettings::fine_tuning),
                backbone,
            }
        } else {
            let grey = ImageShape {
                height,
                width,
                channels: 1,
            };
            Self {
                network: ImageNetwork::small(grey, Treatment::Residuals, section.small.clone()),
                training: training.unwrap_or_default(),
                backbone,
            }
        })
    }
}

fn fit(
    settings: &Settings,
    data: &Dataset,
    split: &TimeSplit,
    (as_of_us, go_on): (i64, &dyn Fn() -> bool),
) -> Result<ImageBundle, TrainerError> {
    // The same data at the same time gives the same bundle.
    let seed = as_of_us.unsigned_abs();
    let start = Start::new(settings)?;
    let versions = Versions::new(settings, data, &split.train, seed);
    versions.write(settings, as_of_us, &split.train)?;
    let labels: Vec<f32> = data
        .frauds
        .iter()
        .map(|fraud| f32::from(u8::from(*fraud)))
        .collect();
    let table_versions = data.versions.iter().map(|(n, v)| ((*n).to_owned(), *v)).collect();
    let request = ImageBundleRequest {
        network: &start.network,
        start: start
            .backbone
            .as_ref()
            .map_or(ImageBundleStart::Random, ImageBundleStart::Backbone),
        images: &data.pixels,
        labels: &labels,
        schema: &data.schema,
        features: &data.features,
        times_us: &data.event_time_us,
        split: &TimeSplit {
            train: versions.pass(&split.train),
            validation: split.validation.clone(),
        },
        settings: &start.training,
        thresholds: settings.section.images.thresholds,
        seed,
        provenance: Provenance {
            table_versions,
            code_version: env!("CARGO_PKG_VERSION").to_owned(),
            created_at_us: as_of_us,
        },
    };
    let mut learned: BTreeMap<(usize, usize), u32> = BTreeMap::new();
    let mut version = |pass: usize, at: usize, _: &[u8]| {
        let nth = learned.entry((pass, at)).or_default();
        let version = versions.nth(at, pass, *nth);
        *nth += 1;
        versions.pixels(at, version)
    };
    let trained = train_image_bundle(&request, &mut version, &mut |epoch| {
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

/// Holds a challenger against the champion on the same validation images.
fn gate(
    settings: &Settings,
    data: &Dataset,
    split: &TimeSplit,
    challenger: &ImageBundle,
) -> Result<Outcome, TrainerError> {
    let Some(announced) = settings.registry.current(registry::IMAGE_CHAMPION)? else {
        return Ok(Outcome::First);
    };
    let champion = ImageRiskScorer::new(&settings.registry.load(&announced.version)?)?;
    if champion.input() != shape(settings) {
        // The frame has changed: the champion cannot score these images, so the challenger takes its place.
        return Ok(Outcome::First);
    }
    let own = challenger
        .manifest
        .metrics
        .values
        .get("average_precision")
        .copied()
        .unwrap_or(0.0);
    let labels: Vec<f32> = split
        .validation
        .iter()
        .map(|at| f32::from(u8::from(data.frauds[*at])))
        .collect();
    let scored = champion.score(
        &data.pixels.select(&split.validation),
        &data.features.select(&split.validation),
    )?;
    let probabilities: Vec<f64> = scored.iter().map(|image| image.probability).collect();
    let champion = average_precision(&probabilities, &labels).unwrap_or(0.0);
    Ok(Outcome::of(own, champion, settings.section.gate_tolerance))
}
