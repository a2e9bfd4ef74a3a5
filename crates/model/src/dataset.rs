//! Tables of encoded rows in plain memory, and splits of them by time.

use crate::{Error, Result};

/// Encoded rows, ready for the network.
///
/// # Shape
/// Both matrices are row-major with `len` rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inputs {
    /// How many rows.
    pub len: usize,
    /// The numeric inputs, `len × numeric_width`.
    pub numeric: Vec<f32>,
    /// Numeric inputs in a row.
    pub numeric_width: usize,
    /// The category codes, `len × code_width`; 0 is unknown.
    pub codes: Vec<u32>,
    /// Category codes in a row.
    pub code_width: usize,
}

impl Inputs {
    /// The numeric inputs of one row.
    #[must_use]
    pub fn numeric_row(&self, row: usize) -> &[f32] {
        &self.numeric[row * self.numeric_width..(row + 1) * self.numeric_width]
    }

    /// The category codes of one row.
    #[must_use]
    pub fn code_row(&self, row: usize) -> &[u32] {
        &self.codes[row * self.code_width..(row + 1) * self.code_width]
    }

    /// The rows at these indices, in their order.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        Self {
            len: indices.len(),
            numeric: indices
                .iter()
                .flat_map(|&row| self.numeric_row(row))
                .copied()
                .collect(),
            numeric_width: self.numeric_width,
            codes: indices
                .iter()
                .flat_map(|&row| self.code_row(row))
                .copied()
                .collect(),
            code_width: self.code_width,
        }
    }
}

/// Encoded rows with what is known of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// What the network reads.
    pub inputs: Inputs,
    /// What it should say, 0 or 1.
    pub labels: Vec<f32>,
    /// How much each row counts.
    pub weights: Vec<f32>,
}

impl Table {
    /// A table in which every list has one entry a row.
    ///
    /// # Errors
    /// If the lengths differ.
    pub fn new(inputs: Inputs, labels: Vec<f32>, weights: Vec<f32>) -> Result<Self> {
        for (name, found) in [("labels", labels.len()), ("weights", weights.len())] {
            if found != inputs.len {
                return Err(Error::Length {
                    name: name.to_owned(),
                    found,
                    expected: inputs.len,
                });
            }
        }
        Ok(Self {
            inputs,
            labels,
            weights,
        })
    }

    /// Rows with a positive label.
    #[must_use]
    pub fn positives(&self) -> usize {
        self.labels.iter().filter(|&&label| is_positive(label)).count()
    }
}

/// Whether a label says fraud.
#[must_use]
pub fn is_positive(label: f32) -> bool {
    label >= 0.5
}

/// Which rows to learn from and which, later in time, to stop, calibrate and measure by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeSplit {
    /// The earlier rows, in time order.
    pub train: Vec<usize>,
    /// The later rows, in time order.
    pub validation: Vec<usize>,
}

impl TimeSplit {
    /// Rows before the boundary train, the others validate.
    #[must_use]
    pub fn at(times_us: &[i64], boundary_us: i64) -> Self {
        let mut order: Vec<usize> = (0..times_us.len()).collect();
        order.sort_by_key(|&row| (times_us[row], row));
        let validation = order.split_off(order.partition_point(|&row| times_us[row] < boundary_us));
        Self {
            train: order,
            validation,
        }
    }

    /// The last `share` of the rows validates; rows of one instant stay together, in the later part.
    #[must_use]
    pub fn last_share(times_us: &[i64], share: f64) -> Self {
        let mut sorted = times_us.to_vec();
        sorted.sort_unstable();
        let from = crate::scalar::floor_index((1.0 - share) * sorted.len() as f64, sorted.len());
        Self::at(times_us, sorted.get(from).copied().unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_split_keeps_time_order_and_instants_together() {
        let times = [50, 10, 40, 40, 20, 30];
        let split = TimeSplit::last_share(&times, 0.5);
        assert_eq!(split.train, [1, 4, 5]);
        assert_eq!(split.validation, [2, 3, 0]);
        assert_eq!(TimeSplit::last_share(&times, 0.34).validation, [2, 3, 0]);
        assert_eq!(TimeSplit::at(&times, 10).train, Vec::<usize>::new());
        assert_eq!(TimeSplit::last_share(&[], 0.5).validation, Vec::<usize>::new());
    }

    #[test]
    fn selecting_keeps_rows_whole() {
        let inputs = Inputs {
            len: 2,
            numeric: vec![1.0, 2.0, 3.0, 4.0],
            numeric_width: 2,
            codes: vec![7, 8],
            code_width: 1,
        };
        let picked = inputs.select(&[1, 0, 1]);
        assert_eq!(picked.numeric, [3.0, 4.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(picked.codes, [8, 7, 8]);
        assert!(Table::new(inputs, vec![0.0], vec![1.0, 1.0]).is_err());
    }
}
