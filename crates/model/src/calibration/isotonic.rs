//! Calibration by a rising curve of straight pieces.

use serde::{Deserialize, Serialize};

use super::Platt;
use crate::dataset::is_positive;
use crate::scalar::logit;

/// A block of neighbouring rows that share one frequency.
#[derive(Clone, Copy)]
struct Block {
    logits: f64,
    rows: f64,
    positives: f64,
}

impl Block {
    fn frequency(&self) -> f64 {
        self.positives / self.rows
    }

    fn merge(&mut self, other: &Self) {
        self.logits += other.logits;
        self.rows += other.rows;
        self.positives += other.positives;
    }
}

/// The calibrated logit at knots, straight in between and with the slope of a logistic curve beyond, so that no two
/// scores become one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Isotonic {
    /// Rising logits: the middles of the blocks.
    pub knots: Vec<f64>,
    /// The calibrated logit at each knot, rising too.
    pub calibrated: Vec<f64>,
    /// The slope before the first and after the last knot.
    pub outer_slope: f64,
}

impl Isotonic {
    /// Pools adjacent violators and puts a knot at the middle of each block.
    #[must_use]
    pub fn fit(logits: &[f64], labels: &[f32]) -> Self {
        let blocks = pool_adjacent_violators(logits, labels);
        let mut frequencies: Vec<f64> = blocks.iter().map(Block::frequency).collect();
        keep_off_the_ends(&blocks, &mut frequencies);
        Self {
            knots: blocks.iter().map(|block| block.logits / block.rows).collect(),
            calibrated: frequencies.into_iter().map(logit).collect(),
            outer_slope: Platt::fit(logits, labels).slope,
        }
    }

    /// The calibrated logit.
    #[must_use]
    pub fn calibrate(&self, logit: f64) -> f64 {
        let right = self.knots.partition_point(|&knot| knot <= logit);
        let (Some(first), Some(last)) = (self.knots.first(), self.knots.last()) else {
            return logit;
        };
        if right == 0 {
            return self.calibrated[0] - self.outer_slope * (first - logit);
        }
        if right == self.knots.len() {
            return self.calibrated[right - 1] + self.outer_slope * (logit - last);
        }
        let (low, high) = (self.calibrated[right - 1], self.calibrated[right]);
        let share = (logit - self.knots[right - 1]) / (self.knots[right] - self.knots[right - 1]);
        // Rounding must not carry a point past the knot after it.
        (low + share * (high - low)).clamp(low, high)
    }
}

/// Blocks of strictly rising frequency; rows of equal logit stay together.
fn pool_adjacent_violators(logits: &[f64], labels: &[f32]) -> Vec<Block> {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_unstable_by(|&a, &b| logits[a].total_cmp(&logits[b]));
    let mut blocks: Vec<Block> = Vec::new();
    let mut last = f64::NAN;
    for row in order {
        let block = Block {
            logits: logits[row],
            rows: 1.0,
            positives: f64::from(u8::from(is_positive(labels[row]))),
        };
        match blocks.last_mut() {
            Some(top) if logits[row] == last => top.merge(&block),
            _ => {
                pool(&mut blocks);
                blocks.push(block);
            }
        }
        last = logits[row];
    }
    pool(&mut blocks);
    blocks
}

/// Merges the last block into those before it until the frequencies rise.
fn pool(blocks: &mut Vec<Block>) {
    while let [.., before, top] = blocks.as_mut_slice() {
        if before.frequency() < top.frequency() {
            break;
        }
        let merged = *top;
        before.merge(&merged);
        blocks.pop();
    }
}

/// A block without frauds does not mean that there can be none: its frequency becomes that of half a fraud in one
/// more row, or half its neighbour's if that is less. The same at the other end.
fn keep_off_the_ends(blocks: &[Block], frequencies: &mut [f64]) {
    let neighbour = frequencies.get(1).copied().unwrap_or(1.0);
    if let (Some(block), Some(first)) = (blocks.first(), frequencies.first_mut())
        && *first == 0.0
    {
        *first = (0.5 / (block.rows + 1.0)).min(0.5 * neighbour);
    }
    let neighbour = frequencies
        .len()
        .checked_sub(2)
        .map_or(0.0, |before| frequencies[before]);
    if let (Some(block), Some(last)) = (blocks.last(), frequencies.last_mut())
        && *last == 1.0
    {
        *last = 1.0 - (0.5 / (block.rows + 1.0)).min(0.5 * (1.0 - neighbour));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::fixture::{LABELS, SCORES};
    use crate::scalar::sigmoid;

    /// `sklearn.isotonic.IsotonicRegression().fit(s, y).y_thresholds_` has the levels 0, .4545, .5 and 1.
    #[test]
    fn blocks_have_the_frequencies_of_isotonic_regression() {
        let found: Vec<f64> = pool_adjacent_violators(&SCORES, &LABELS)
            .iter()
            .map(Block::frequency)
            .collect();
        assert_eq!(found, [0.0, 5.0 / 11.0, 0.5, 1.0]);
    }

    #[test]
    fn the_middle_of_a_block_gets_its_frequency() {
        let fitted = Isotonic::fit(&SCORES, &LABELS);
        let middle = fitted.knots[1];
        assert!((sigmoid(fitted.calibrate(middle)) - 5.0 / 11.0).abs() < 1e-9);
        assert!(fitted.calibrated.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(fitted.calibrated.iter().all(|x| x.is_finite()));
    }
}
