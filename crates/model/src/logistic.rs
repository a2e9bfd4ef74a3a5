//! Logistic regression with a penalty, by Newton's method.

use crate::scalar::{cross_entropy, sigmoid};

/// Steps after which the fit is given up: it takes about ten.
const MAX_STEPS: usize = 100;
/// Steps shorter than this end the fit.
const SMALL: f64 = 1e-10;
/// Below this length a whole step is safe, and the losses too close to be compared.
const NEAR: f64 = 1e-5;

/// The share of a diagonal below which what is left of it is rounding.
const SINGULAR: f64 = 1e-13;

/// What a parameter costs beside the cross-entropy: `½ × weight × (parameter − centre)²`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Penalty {
    pub(crate) centre: f64,
    pub(crate) weight: f64,
}

/// Rows to fit by: each one's logit is its offset and its numbers times the parameters.
#[derive(Clone, Debug)]
pub(crate) struct Regression<'a> {
    /// `rows × parameters`, row after row.
    pub(crate) numbers: &'a [f64],
    /// One a row.
    pub(crate) offsets: &'a [f64],
    /// 1 or 0, one a row.
    pub(crate) labels: &'a [f32],
    /// One a parameter.
    pub(crate) penalties: &'a [Penalty],
}

impl Regression<'_> {
    /// The parameters of the least penalised cross-entropy; `None` if they are not found, as where no penalty holds
    /// one that the rows leave free.
    ///
    /// # Source
    /// Newton's method with steps halved until they do not lead upwards: Boyd, Vandenberghe, "Convex Optimization"
    /// (2004), algorithm 9.5.
    pub(crate) fn fit(&self) -> Option<Vec<f64>> {
        let mut parameters: Vec<f64> = self.penalties.iter().map(|penalty| penalty.centre).collect();
        for _ in 0..MAX_STEPS {
            let (gradient, curvature) = self.derivatives(&parameters);
            let step = solve(curvature, gradient)?;
            let length = step.iter().fold(0.0_f64, |most, part| most.max(part.abs()));
            parameters = self.descend(&parameters, &step, length)?;
            if length < SMALL {
                return Some(parameters);
            }
        }
        None
    }

    fn descend(&self, from: &[f64], step: &[f64], length: f64) -> Option<Vec<f64>> {
        let after = |share: f64| -> Vec<f64> {
            from.iter()
                .zip(step)
                .map(|(at, part)| at - share * part)
                .collect()
        };
        if length < NEAR {
            return Some(after(1.0));
        }
        let loss = self.loss(from);
        let halved = std::iter::successors(Some(1.0), |share| Some(0.5 * share)).take(60);
        halved.map(after).find(|parameters| self.loss(parameters) <= loss)
    }

    /// The penalised cross-entropy, summed over the rows.
    pub(crate) fn loss(&self, parameters: &[f64]) -> f64 {
        let rows = self.rows().map(|(numbers, offset, label)| {
            let logit = offset + dot(numbers, parameters);
            cross_entropy(logit, label)
        });
        let penalties = self.penalties.iter().zip(parameters).map(|(penalty, parameter)| {
            let distance = parameter - penalty.centre;
            0.5 * penalty.weight * distance * distance
        });
        rows.sum::<f64>() + penalties.sum::<f64>()
    }

    /// The first derivatives of the loss, and the second ones, row after row.
    fn derivatives(&self, parameters: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let count = parameters.len();
        let (mut gradient, mut curvature) = (vec![0.0; count], vec![0.0; count * count]);
        for (numbers, offset, label) in self.rows() {
            let p = sigmoid(offset + dot(numbers, parameters));
            for (i, number) in numbers.iter().enumerate() {
                gradient[i] += (p - label) * number;
                for (j, other) in numbers.iter().enumerate() {
                    curvature[i * count + j] += p * (1.0 - p) * number * other;
                }
            }
        }
        for (i, (penalty, parameter)) in self.penalties.iter().zip(parameters).enumerate() {
            gradient[i] += penalty.weight * (parameter - penalty.centre);
            curvature[i * count + i] += penalty.weight;
        }
        (gradient, curvature)
    }

    fn rows(&self) -> impl Iterator<Item = (&[f64], f64, f64)> {
        let rows = self.numbers.chunks_exact(self.penalties.len());
        let rows = rows.zip(self.offsets).zip(self.labels);
        rows.map(|((numbers, &offset), &label)| (numbers, offset, f64::from(label)))
    }
}

fn dot(numbers: &[f64], parameters: &[f64]) -> f64 {
    numbers
        .iter()
        .zip(parameters)
        .map(|(number, by)| number * by)
        .sum()
}

/// The solution of `matrix × x = right` by Cholesky's factors; `None` where the matrix is not positive definite.
fn solve(mut matrix: Vec<f64>, mut right: Vec<f64>) -> Option<Vec<f64>> {
    let count = right.len();
    for i in 0..count {
        for j in 0..=i {
            let done: f64 = (0..j)
                .map(|k| matrix[i * count + k] * matrix[j * count + k])
                .sum();
            let rest = matrix[i * count + j] - done;
            matrix[i * count + j] = if j < i {
                rest / matrix[j * count + j]
            } else if rest > SINGULAR * matrix[i * count + i] && rest.is_finite() {
                rest.sqrt()
            } else {
                return None;
            };
        }
        let done: f64 = (0..i).map(|k| matrix[i * count + k] * right[k]).sum();
        right[i] = (right[i] - done) / matrix[i * count + i];
    }
    for i in (0..count).rev() {
        let done: f64 = (i + 1..count).map(|k| matrix[k * count + i] * right[k]).sum();
        right[i] = (right[i] - done) / matrix[i * count + i];
    }
    Some(right)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::metrics::fixture::{LABELS, SCORES};
    use crate::scalar::logit;
    use proptest::prelude::*;

    fn free(count: usize) -> Vec<Penalty> {
        vec![
            Penalty {
                centre: 0.0,
                weight: 0.0
            };
            count
        ]
    }

    /// ```python
    /// from sklearn.linear_model import LogisticRegression
    /// LogisticRegression(C=np.inf, tol=1e-12).fit(np.log(s / (1 - s)).reshape(-1, 1), y)
    /// ```
    #[test]
    fn without_a_penalty_it_is_logistic_regression() {
        let numbers: Vec<f64> = SCORES.iter().flat_map(|&score| [1.0, logit(score)]).collect();
        let regression = Regression {
            numbers: &numbers,
            offsets: &[0.0; 20],
            labels: &LABELS,
            penalties: &free(2),
        };
        let found = regression.fit().unwrap();
        assert!((found[0] + 0.516_921).abs() < 1e-6, "{found:?}");
        assert!((found[1] - 0.774_787).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn what_has_no_optimum_is_not_fitted() {
        let apart = Regression {
            numbers: &[1.0, -1.0, 1.0, 1.0],
            offsets: &[0.0; 2],
            labels: &[0.0, 1.0],
            penalties: &free(2),
        };
        assert_eq!(apart.fit(), None);
        let twice_the_same = Regression {
            numbers: &[1.0, 1.0, 1.0, 1.0],
            labels: &[1.0, 0.0],
            ..apart
        };
        assert_eq!(twice_the_same.fit(), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        /// The loss is convex: where no step of a fine grid around a point leads down, it is the optimum.
        #[test]
        fn the_fit_is_the_optimum_that_a_search_finds(
            rows in proptest::collection::vec((-9.0..9.0_f64, 0.0..15.0_f64, any::<bool>(), -2.0..2.0_f64), 3..80),
            weight in 0.01..2.0_f64,
        ) {
            let numbers: Vec<f64> = rows.iter().flat_map(|row| [1.0, row.0, row.1]).collect();
            let offsets: Vec<f64> = rows.iter().map(|row| row.3).collect();
            let labels: Vec<f32> = rows.iter().map(|row| if row.2 { 1.0 } else { 0.0 }).collect();
            let penalties = [0.0, 1.0, 0.0].map(|centre| Penalty { centre, weight });
            let regression = Regression { numbers: &numbers, offsets: &offsets, labels: &labels, penalties: &penalties };
            let found = regression.fit().unwrap();
            prop_assert_eq!(&regression.fit().unwrap(), &found);
            let searched = search(&regression);
            for (found, searched) in found.iter().zip(&searched) {
                prop_assert!((found - searched).abs() < 1e-4, "{} {}", found, searched);
            }
        }
    }

    /// Pattern search: tries a step each way along each pair of axes, and halves it where none leads down.
    fn search(regression: &Regression<'_>) -> Vec<f64> {
        let directions: Vec<[f64; 3]> = (0..27)
            .map(|at| [at / 9, at / 3 % 3, at % 3].map(|digit| f64::from(digit) - 1.0))
            .collect();
        let (mut at, mut step) = (vec![0.0; 3], 1.0);
        let mut loss = regression.loss(&at);
        while step > 1e-8 {
            let moved = directions.iter().map(|direction| -> Vec<f64> {
                at.iter()
                    .zip(direction)
                    .map(|(at, part)| at + step * part)
                    .collect()
            });
            let best = moved
                .map(|point| (regression.loss(&point), point))
                .min_by(|a, b| a.0.total_cmp(&b.0))
                .unwrap();
            if best.0 < loss {
                (loss, at) = best;
            } else {
                step *= 0.5;
            }
        }
        at
    }
}
