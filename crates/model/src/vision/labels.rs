//! The labels that image and fusion networks learn from.

use crate::dataset::is_positive;
use crate::{Error, Result};

/// Checks that there is a label for each input, and that both parts name inputs and hold both classes.
///
/// `nothing_there` is what to say of an index without an input.
pub(super) fn check(
    labels: &[f32],
    inputs: usize,
    [train, validation]: [&[usize]; 2],
    nothing_there: &'static str,
) -> Result<()> {
    if labels.len() != inputs {
        return Err(Error::Length {
            name: "labels".to_owned(),
            found: labels.len(),
            expected: inputs,
        });
    }
    for (part, indices) in [("training", train), ("validation", validation)] {
        if indices.iter().any(|&at| at >= inputs) {
            return Err(Error::Inconsistent {
                reason: nothing_there,
            });
        }
        let (rows, positives) = (indices.len(), positives(labels, indices));
        if positives == 0 || positives == rows {
            return Err(Error::TooFewRows {
                part,
                rows,
                positives,
            });
        }
    }
    Ok(())
}

/// The labels at these indices.
pub(super) fn select(labels: &[f32], indices: &[usize]) -> Vec<f32> {
    indices.iter().map(|&at| labels[at]).collect()
}

/// How many labels at these indices say fraud.
pub(super) fn positives(labels: &[f32], indices: &[usize]) -> usize {
    indices.iter().filter(|&&at| is_positive(labels[at])).count()
}
