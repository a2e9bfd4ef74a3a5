//! Scalar functions whose results do not depend on the machine's C library.

/// Narrows to the precision of the network.
#[expect(
    clippy::cast_possible_truncation,
    reason = "rounding to f32 is what is asked for"
)]
pub(crate) const fn narrow(value: f64) -> f32 {
    value as f32
}

/// The index that `position` rounds down to, at most `len - 1`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the slice before"
)]
pub(crate) fn floor_index(position: f64, len: usize) -> usize {
    let last = len.saturating_sub(1);
    position.clamp(0.0, last as f64) as usize
}

/// `1 / (1 + e^-x)`, without overflow on either side.
pub(crate) fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + libm::exp(-x))
    } else {
        let e = libm::exp(x);
        e / (1.0 + e)
    }
}

/// The inverse of [`sigmoid`].
pub(crate) fn logit(probability: f64) -> f64 {
    libm::log(probability) - libm::log1p(-probability)
}

/// Binary cross-entropy of a logit, stable on both sides: `max(x,0) - x*y + ln(1 + e^-|x|)`.
pub(crate) fn cross_entropy(logit: f64, label: f64) -> f64 {
    logit.max(0.0) - logit * label + libm::log1p(libm::exp(-logit.abs()))
}

/// The share of a standard normal distribution below `z`.
pub(crate) fn normal_cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2)
}

/// The inverse of [`normal_cdf`] on ±6, by bisection: it is used only while fitting.
pub(crate) fn normal_quantile(share: f64) -> f64 {
    let (mut low, mut high) = (-6.0_f64, 6.0_f64);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if normal_cdf(middle) < share {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// The value at a share of the way through sorted values; `None` if there are none.
pub(crate) fn sorted_quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    Some(sorted[floor_index(share * last as f64 + 0.5, sorted.len())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sigmoid_and_logit_are_inverses_and_finite_far_out() {
        for x in [-30.0, -3.0, 0.0, 0.5, 12.0] {
            assert!((logit(sigmoid(x)) - x).abs() < 1e-3, "at {x}");
        }
        assert!(sigmoid(-800.0) >= 0.0 && sigmoid(800.0) <= 1.0);
    }

    #[test]
    fn cross_entropy_is_finite_where_the_naive_form_is_not() {
        assert!(cross_entropy(17.0, 1.0) < 1e-7);
        assert!((cross_entropy(-1000.0, 1.0) - 1000.0).abs() < 1e-9);
    }

    /// `scipy.stats.norm.ppf([0.5, 0.975, 0.001])`
    #[test]
    fn normal_quantiles_match_the_tables() {
        assert!(normal_quantile(0.5).abs() < 1e-12);
        assert!((normal_quantile(0.975) - 1.959_963_984_540_054).abs() < 1e-9);
        assert!((normal_quantile(0.001) + 3.090_232_306_167_813).abs() < 1e-9);
    }
}
