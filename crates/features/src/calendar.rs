//! Local time: the hour and the weekday of an instant.

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

const SECONDS_PER_DAY: i64 = 86_400;

/// A time zone; UTC goes without a look into any table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Zone(Option<TimeZone>);

/// The hours of a night: from one (included) to the other (excluded), past midnight if they fall.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Night {
    pub(crate) from_hour: u8,
    pub(crate) to_hour: u8,
}

impl Zone {
    /// The zone with an IANA name, from the rules compiled in; none if there is no such zone.
    pub(crate) fn named(name: &str) -> Option<Self> {
        if name == "UTC" {
            return Some(Self(None));
        }
        TimeZoneDatabase::bundled()
            .get(name)
            .ok()
            .map(|zone| Self(Some(zone)))
    }

    /// Seconds since the epoch as the clocks on the wall count them.
    fn wall_seconds(&self, time_us: i64) -> i64 {
        let seconds = time_us.div_euclid(1_000_000);
        let Some(zone) = &self.0 else { return seconds };
        let bound = if time_us < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        };
        let instant = Timestamp::from_microsecond(time_us).unwrap_or(bound);
        seconds + i64::from(zone.to_offset(instant).seconds())
    }

    /// Whether the instant falls into the night.
    pub(crate) fn is_night(&self, time_us: i64, night: Night) -> bool {
        let hour = self.wall_seconds(time_us).rem_euclid(SECONDS_PER_DAY) / 3600;
        let (from, to) = (i64::from(night.from_hour), i64::from(night.to_hour));
        if from <= to {
            (from..to).contains(&hour)
        } else {
            hour >= from || hour < to
        }
    }

    /// Whether the instant falls on a Saturday or a Sunday.
    pub(crate) fn is_weekend(&self, time_us: i64) -> bool {
        // 1970-01-01 was a Thursday: counted from there, Saturday is day 2 of the week.
        matches!(
            self.wall_seconds(time_us)
                .div_euclid(SECONDS_PER_DAY)
                .rem_euclid(7),
            2 | 3
        )
    }

    /// The time of day as an angle, midnight at zero.
    pub(crate) fn day_angle(&self, time_us: i64) -> f64 {
        let second = self.wall_seconds(time_us).rem_euclid(SECONDS_PER_DAY);
        second as f64 / SECONDS_PER_DAY as f64 * std::f64::consts::TAU
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::Weekday;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_calendar_of_2018_04_01() {
        let sunday_midnight = 1_522_540_800_000_000;
        let zone = Zone::named("UTC").unwrap();
        let night = Night {
            from_hour: 0,
            to_hour: 7,
        };
        assert!(zone.is_weekend(sunday_midnight) && zone.is_weekend(sunday_midnight - 1));
        assert!(!zone.is_weekend(sunday_midnight + 86_400_000_000));
        assert!(
            zone.is_night(sunday_midnight + 7 * 3_600_000_000 - 1, night),
            "06:59:59.999999 is night"
        );
        assert!(!zone.is_night(sunday_midnight + 7 * 3_600_000_000, night));
    }

    #[test]
    fn unknown_zones_are_none() {
        assert!(Zone::named("Mars/Olympus").is_none());
        assert!(Zone::named("Europe/Berlin").is_some());
    }

    proptest! {
        /// The civil calendar of `jiff` is the oracle.
        #[test]
        fn local_time_agrees_with_the_civil_calendar(
            time_us in -4_000_000_000_000_000_i64..8_000_000_000_000_000,
            name in prop::sample::select(vec!["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"]),
            from_hour in 0_u8..24,
            to_hour in 0_u8..=24,
        ) {
            let zone = Zone::named(name).unwrap();
            let rules = TimeZoneDatabase::bundled().get(name).unwrap();
            let civil = Timestamp::from_microsecond(time_us).unwrap().to_zoned(rules);
            let weekend = matches!(civil.weekday(), Weekday::Saturday | Weekday::Sunday);
            prop_assert_eq!(zone.is_weekend(time_us), weekend);
            let hour = civil.hour() as u8;
            let night = if from_hour <= to_hour {
                hour >= from_hour && hour < to_hour
            } else {
                hour >= from_hour || hour < to_hour
            };
            prop_assert_eq!(zone.is_night(time_us, Night { from_hour, to_hour }), night);
            let second = i32::from(civil.hour()) * 3600 + i32::from(civil.minute()) * 60 + i32::from(civil.second());
            let angle = f64::from(second) / 86_400.0 * std::f64::consts::TAU;
            prop_assert!((zone.day_angle(time_us) - angle).abs() < 1e-12);
        }

        #[test]
        fn any_instant_has_a_local_time(time_us in any::<i64>()) {
            let zone = Zone::named("Europe/Berlin").unwrap();
            prop_assert!((0.0..std::f64::consts::TAU).contains(&zone.day_angle(time_us)));
        }
    }
}
