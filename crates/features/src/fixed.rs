//! Fixed-point numbers: the form in which windows take and sum numeric fields.
//!
//! # Units
//! Every value counts millionths of the field's own unit: 10.25 EUR is 10,250,000, whatever the decimals of
//! the currency, so that a mean over amounts is in major units and sums are exact.

/// Decimals of the fixed point.
pub const DECIMALS: u32 = 6;

/// Stands for a value that is absent: sums and means leave it out, and it reads as NaN.
pub const MISSING: i64 = i64::MIN;

const UNIT: f64 = 1_000_000.0;

/// The fixed point of an amount in minor units of a currency with that many decimals.
///
/// [`MISSING`] where it does not fit: more than six decimals, or above about 9 million million major units.
#[must_use]
pub fn from_minor(amount_minor: i64, decimals: u32) -> i64 {
    DECIMALS
        .checked_sub(decimals)
        .and_then(|shift| 10_i64.checked_pow(shift))
        .and_then(|scale| amount_minor.checked_mul(scale))
        .unwrap_or(MISSING)
}

/// The fixed point nearest to a number; [`MISSING`] for NaN and for what does not fit.
#[must_use]
pub fn from_f64(value: f64) -> i64 {
    let scaled = (value * UNIT).round();
    // NaN fails both comparisons; 2^63 itself does not fit.
    if scaled > -9.2e18 && scaled < 9.2e18 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "whole and within the range of an i64"
        )]
        return scaled as i64;
    }
    MISSING
}

/// The number a fixed-point value stands for; NaN for [`MISSING`].
#[must_use]
pub fn to_f64(value: i64) -> f64 {
    if value == MISSING {
        f64::NAN
    } else {
        value as f64 / UNIT
    }
}

/// The number a sum of fixed-point values stands for.
pub(crate) fn sum_to_f64(total: i128) -> f64 {
    total as f64 / UNIT
}

/// The mean of `count` fixed-point values; NaN if there are none.
pub(crate) fn mean(total: i128, count: u32) -> f64 {
    if count == 0 {
        f64::NAN
    } else {
        total as f64 / (f64::from(count) * UNIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minor_units_become_millionths_of_the_major_unit() {
        assert_eq!(from_minor(1025, 2), 10_250_000);
        assert_eq!(from_minor(1025, 0), 1_025_000_000);
        assert_eq!(from_minor(-1, 6), -1);
        assert_eq!(from_minor(1, 7), MISSING);
        assert_eq!(from_minor(i64::MAX, 2), MISSING);
    }

    #[test]
    fn numbers_come_back() {
        assert_eq!(from_f64(57.160_000_000_000_004), 57_160_000);
        assert_eq!(to_f64(from_f64(-0.1)), -0.1);
        assert_eq!(
            [f64::NAN, f64::INFINITY, 1e13, -1e300].map(from_f64),
            [MISSING; 4]
        );
        assert!(to_f64(MISSING).is_nan());
    }

    #[test]
    fn means_divide_at_the_end_only() {
        assert_eq!(
            mean(i128::from(from_minor(1025, 2) + from_minor(2075, 2)), 2),
            15.5
        );
        assert!(mean(0, 0).is_nan());
    }
}
