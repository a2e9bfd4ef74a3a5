//! Amounts: decimals as users write them, integers in minor units inside.

use std::str::FromStr;

use iso_currency::Currency;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::reject::{Reason, Reject};

/// Floating-point noise, in minor units, that is rounded away: 57.160000000000004 means 57.16.
const NOISE: Decimal = Decimal::from_parts(1, 0, 0, false, 4);

/// Reads an ISO 4217 code.
///
/// # Errors
/// [`Reason::UnknownCurrency`] for anything else.
pub fn currency(code: &str) -> Result<Currency, Reject> {
    Currency::from_code(code).ok_or_else(|| {
        Reject::new(
            Reason::UnknownCurrency,
            format!("{code:?} is not an ISO 4217 currency code"),
        )
    })
}

/// The number of decimals of a currency; none for those that have no minor unit.
#[must_use]
pub fn decimals(currency: Currency) -> u32 {
    u32::from(currency.exponent().unwrap_or(0))
}

/// Turns a decimal text ("12.34", "1e3") into minor units of a currency.
///
/// # Units
/// The result counts the currency's smallest unit (cents for EUR, yen for JPY).
///
/// # Errors
/// [`Reason::InvalidAmount`] if it is not a decimal number, negative, above `max_major`, or has more decimals
/// than the currency.
pub fn to_minor(text: &str, currency: Currency, max_major: i64) -> Result<i64, Reject> {
    let invalid = |why: &str| Reject::new(Reason::InvalidAmount, format!("amount {}: {why}", shown(text)));
    let amount = Decimal::from_str(text)
        .or_else(|_| Decimal::from_scientific(text))
        .map_err(|_| invalid("not a decimal number"))?;
    if amount.is_sign_negative() && !amount.is_zero() {
        return Err(invalid("negative"));
    }
    if amount > Decimal::from(max_major) {
        return Err(invalid("above the configured maximum"));
    }
    let scale = Decimal::from(10_i64.pow(decimals(currency)));
    let minor = amount.checked_mul(scale).ok_or_else(|| invalid("too large"))?;
    let whole = minor.round();
    if (minor - whole).abs() > NOISE {
        return Err(invalid("more decimals than the currency has"));
    }
    whole.to_i64().ok_or_else(|| invalid("too large"))
}

/// Writes minor units as a decimal text with the currency's number of decimals.
#[must_use]
pub fn to_text(amount_minor: i64, currency: Currency) -> String {
    Decimal::new(amount_minor, decimals(currency)).to_string()
}

/// The start of a text from outside, safe to put into a message.
fn shown(text: &str) -> String {
    text.chars().take(40).filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn euros(text: &str) -> Result<i64, Reason> {
        to_minor(text, Currency::EUR, 1_000_000).map_err(|r| r.reason)
    }

    #[test]
    fn decimals_follow_the_currency() {
        assert_eq!(euros("57.16"), Ok(5716));
        assert_eq!(
            euros("57.160000000000004"),
            Ok(5716),
            "floating-point noise is rounded away"
        );
        assert_eq!(euros("1e3"), Ok(100_000));
        assert_eq!(euros("0"), Ok(0));
        assert_eq!(to_minor("500", Currency::JPY, 1_000_000).ok(), Some(500));
        assert_eq!(to_text(5716, Currency::EUR), "57.16");
        assert_eq!(to_text(500, Currency::JPY), "500");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "-1", "1000001", "12.345", "NaN", "inf", "", "1e99", "12,50", "0x10",
        ] {
            assert_eq!(euros(text), Err(Reason::InvalidAmount), "{text}");
        }
    }
}
