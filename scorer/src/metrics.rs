//! What the scorer tells about itself.

use metrics::{counter, gauge, histogram};
use schema::{Score, SubjectKind};

/// Rows were taken, each once.
pub(crate) fn received(rows: usize) {
    counter!("riskstream_scorer_rows_received_total").increment(rows as u64);
}

/// Rows came again, and were passed over.
pub(crate) fn repeated(rows: usize) {
    counter!("riskstream_scorer_rows_repeated_total").increment(rows as u64);
}

/// Scores are committed.
pub(crate) fn written(scores: usize) {
    counter!("riskstream_scorer_scores_written_total").increment(scores as u64);
}

/// A row was scored.
pub(crate) fn scored(score: &Score, latency_seconds: Option<f64>) {
    let subject = match score.subject {
        SubjectKind::Transaction => "transaction",
        SubjectKind::Image => "image",
    };
    let decision = score.decision.name();
    counter!("riskstream_scorer_decisions_total", "subject" => subject, "decision" => decision).increment(1);
    if let Some(seconds) = latency_seconds {
        histogram!("riskstream_scorer_latency_seconds", "subject" => subject).record(seconds);
    }
}

/// A batch was scored and committed.
#[expect(clippy::cast_precision_loss, reason = "a histogram")]
pub(crate) fn batch(rows: usize, scoring_seconds: f64, commit_seconds: f64) {
    histogram!("riskstream_scorer_batch_rows").record(rows as f64);
    histogram!("riskstream_scorer_scoring_seconds").record(scoring_seconds);
    histogram!("riskstream_scorer_commit_seconds").record(commit_seconds);
}

/// Another model is in use.
pub(crate) fn swapped(alias: &str) {
    counter!("riskstream_scorer_model_swaps_total", "alias" => alias.to_owned()).increment(1);
    gauge!("riskstream_scorer_model_ready", "alias" => alias.to_owned()).set(1.0);
}

/// An announced model was refused.
pub(crate) fn refused(alias: &str) {
    counter!("riskstream_scorer_models_refused_total", "alias" => alias.to_owned()).increment(1);
}
