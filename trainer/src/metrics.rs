//! What the trainer tells about itself.

use metrics::{counter, gauge, histogram};

/// A training ended.
pub(crate) fn trained(seconds: f64, promoted: bool) {
    let outcome = if promoted { "promoted" } else { "kept" };
    counter!("riskstream_trainer_trainings_total", "outcome" => outcome).increment(1);
    histogram!("riskstream_trainer_training_seconds").record(seconds);
}

/// A training failed.
pub(crate) fn failed() {
    counter!("riskstream_trainer_trainings_total", "outcome" => "failed").increment(1);
}

/// Quality on the validation part.
pub(crate) fn quality(average_precision: f64, auc_roc: f64) {
    gauge!("riskstream_trainer_average_precision").set(average_precision);
    gauge!("riskstream_trainer_auc_roc").set(auc_roc);
}
