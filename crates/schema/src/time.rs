//! Instants as microseconds since the Unix epoch, UTC.

use jiff::Timestamp;

/// Microseconds in a second.
pub const SECOND_US: i64 = 1_000_000;
/// Microseconds in a day.
pub const DAY_US: i64 = 86_400 * SECOND_US;

/// Reads an RFC 3339 instant, or an ISO 8601 one with a space for the `T` and no zone, which is taken as UTC.
///
/// # Units
/// Microseconds since the Unix epoch; finer digits are cut off.
#[must_use]
pub fn parse(text: &str) -> Option<i64> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at.as_microsecond());
    }
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_microsecond())
}

/// Writes an instant as RFC 3339 in UTC, with as many digits of the second as it needs.
///
/// # Units
/// `at_us` in microseconds since the Unix epoch; outside the years −9999 to 9999 it is written as that number.
#[must_use]
pub fn format(at_us: i64) -> String {
    Timestamp::from_microsecond(at_us).map_or_else(|_| at_us.to_string(), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for text in [
            "2018-04-01T00:00:00Z",
            "1969-12-31T23:59:59.5Z",
            "2025-02-28T12:00:00.000001Z",
        ] {
            assert_eq!(format(parse(text).expect("valid")), text);
        }
    }

    #[test]
    fn offsets_and_missing_zones_are_understood() {
        assert_eq!(parse("2025-01-01T01:00:00+01:00"), parse("2025-01-01 00:00:00"));
        assert_eq!(parse("2025-13-01T00:00:00Z"), None);
        assert_eq!(parse("yesterday"), None);
    }
}
