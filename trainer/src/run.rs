//! The schedule: when a training is due, train; whatever comes of it, go on.

use std::collections::BTreeSet;
use std::time::Instant;

use lake::Table;
use model::ModelKind;
use runtime::Shutdown;
use runtime::clock::{Clock, micros};
use runtime::health::Component;
use schema::layout::progress_id;
use tracing::{error, info};

use crate::config::{Schedule, Settings};
use crate::dataset::{features_table, labels_table};
use crate::error::TrainerError;
use crate::fusion::train_fusion_as_of;
use crate::images::{images_table, train_images_as_of};
use crate::job::train_as_of;
use crate::metrics;
use crate::outcome::tell_again;

/// Runs the trainer until it is asked to stop; a training under way is given up.
///
/// # Errors
/// If the lake or the registry cannot be used. A training that fails is reported and not tried again before the
/// next one is due.
pub fn run(
    settings: &Settings,
    shutdown: &Shutdown,
    health: &Component,
    clock: &dyn Clock,
) -> Result<(), TrainerError> {
    tell_again(settings)?;
    health.ready(true);
    let mut last_us = last_training(settings)?;
    let mut tables = tables(settings)?;
    while !shutdown.wait(settings.section.poll_interval) {
        health.progress();
        let Some(due_us) = due(settings, &mut tables, clock)? else {
            continue;
        };
        if last_us.is_some_and(|last| due_us <= last) {
            continue;
        }
        last_us = Some(due_us);
        let go_on = || {
            health.progress();
            !shutdown.is_requested()
        };
        attempt(settings, due_us, clock, &go_on);
    }
    Ok(())
}

fn attempt(settings: &Settings, as_of_us: i64, clock: &dyn Clock, go_on: &dyn Fn() -> bool) {
    let began = Instant::now();
    let model = settings.model;
    let trained = match model {
        ModelKind::Transaction => train_as_of(settings, Some(as_of_us), clock, go_on),
        ModelKind::Image => train_images_as_of(settings, Some(as_of_us), clock, go_on),
        ModelKind::Fusion => train_fusion_as_of(settings, Some(as_of_us), clock, go_on),
    };
    match trained {
        Ok(report) => {
            metrics::trained(model, began.elapsed().as_secs_f64(), report.is_promoted());
            info!(%model, version = report.version, seconds = began.elapsed().as_secs(), outcome = ?report.outcome, "trained");
        }
        Err(TrainerError::Stopped) => info!("training given up"),
        Err(TrainerError::TooFew { transactions, frauds }) => {
            info!(transactions, frauds, "too little to train on yet");
        }
        Err(TrainerError::TooFewImages { images, frauds }) => {
            info!(%model, images, frauds, "too little to train on yet");
        }
        Err(TrainerError::NoImageModel) => info!(%model, "no model of images to build on yet"),
        Err(error) => {
            metrics::failed(model);
            error!(%model, error = &error as &dyn std::error::Error, "training failed");
        }
    }
}

/// The newest time at which a training is due: the last multiple of `every`.
fn due(settings: &Settings, tables: &mut [Table], clock: &dyn Clock) -> Result<Option<i64>, TrainerError> {
    let now_us = match settings.section.schedule {
        Schedule::Clock => Some(clock.now_us()),
        Schedule::EventTime => {
            tables.iter_mut().try_for_each(Table::reload)?;
            complete_up_to(settings, tables)
        }
    };
    let every = match settings.model {
        ModelKind::Image => settings.section.images.every,
        ModelKind::Transaction | ModelKind::Fusion => settings.section.every,
    };
    let every_us = micros(every).max(1);
    Ok(now_us.map(|now_us| now_us.div_euclid(every_us) * every_us))
}

/// The tables that a model is trained from.
fn tables(settings: &Settings) -> Result<Vec<Table>, TrainerError> {
    let mut tables = vec![labels_table(settings)?];
    if settings.model != ModelKind::Image {
        tables.push(features_table(settings)?);
    }
    if settings.model != ModelKind::Transaction {
        tables.push(images_table(settings)?);
    }
    Ok(tables)
}

/// The newest time whose knowledge can be trained on: all tables are complete up to it.
pub(crate) fn newest(settings: &Settings) -> Result<Option<i64>, TrainerError> {
    Ok(complete_up_to(settings, &tables(settings)?))
}

/// The event time up to which all partitions of the log are in all of these tables: a training that labels are missing
/// from would be another one when it is tried again.
fn complete_up_to(settings: &Settings, tables: &[Table]) -> Option<i64> {
    let of_table = |table: &Table| {
        let progress = table.progress("");
        let watermarks = (0..settings.partitions)
            .map(|partition| progress.get(&progress_id(partition, "watermark")).copied());
        watermarks.collect::<Option<Vec<_>>>()?.into_iter().min()
    };
    let complete = tables.iter().map(of_table).collect::<Option<Vec<_>>>()?;
    complete.into_iter().min()
}

/// When the newest model was trained that the gate has decided on. One without a decision was cut short: it is trained
/// again, to the same bundle.
fn last_training(settings: &Settings) -> Result<Option<i64>, TrainerError> {
    let audit = settings.registry.audit()?;
    let decided: BTreeSet<&str> = audit
        .iter()
        .map(|announcement| announcement.version.as_str())
        .collect();
    let models = settings.registry.list()?.into_iter();
    Ok(models
        .filter(|model| model.kind == settings.model && decided.contains(model.version.as_str()))
        .map(|model| model.created_at_us)
        .max())
}
