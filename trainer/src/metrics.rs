//! What the trainer tells about itself.

use metrics::{counter, gauge, histogram};
use model::ModelKind;

/// A training ended.
pub(crate) fn trained(model: ModelKind, seconds: f64, promoted: bool) {
    let outcome = if promoted { "promoted" } else { "kept" };
    let model = model.to_string();
    counter!("riskstream_trainer_trainings_total", "model" => model.clone(), "outcome" => outcome)
        .increment(1);
    histogram!("riskstream_trainer_training_seconds", "model" => model).record(seconds);
}

/// A training failed.
pub(crate) fn failed(model: ModelKind) {
    let model = model.to_string();
    counter!("riskstream_trainer_trainings_total", "model" => model, "outcome" => "failed").increment(1);
}

/// Quality on the validation part.
pub(crate) fn quality(model: ModelKind, average_precision: f64, auc_roc: f64) {
    let model = model.to_string();
    gauge!("riskstream_trainer_average_precision", "model" => model.clone()).set(average_precision);
    gauge!("riskstream_trainer_auc_roc", "model" => model).set(auc_roc);
}
