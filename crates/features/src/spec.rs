//! Feature definitions as they are written in the configuration.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The name of the numeric field every transaction has.
pub const AMOUNT: &str = "amount";

/// The sequence field that holds the seconds since the item before.
pub const SECONDS_SINCE_PREVIOUS: &str = "seconds_since_previous";

/// One feature, as written under `[[features]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureSpec {
    /// The name of the feature's column.
    pub name: String,
    /// What is computed.
    pub aggregate: Aggregate,
    /// Whose transactions are looked at (account, terminal, …); none for what the row alone decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
    /// The numeric field that is summed or taken: `amount` or a numeric attribute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The length of the window, such as `7d`.
    #[serde(default, with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    pub window: Option<Duration>,
    /// How far before the row the window ends, such as the delay of labels; none: it ends with the row.
    #[serde(default, with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    pub delay: Option<Duration>,
    /// The time zone of the calendar, by its IANA name; none: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// The first hour of the night; none: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_hour: Option<u8>,
    /// The first hour after the night; none: 7. Below `from_hour`, the night goes past midnight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_hour: Option<u8>,
}

impl FeatureSpec {
    /// A definition with nothing but its name and what is computed.
    #[must_use]
    pub fn new(name: impl Into<String>, aggregate: Aggregate) -> Self {
        Self {
            name: name.into(),
            aggregate,
            entity: None,
            field: None,
            window: None,
            delay: None,
            time_zone: None,
            from_hour: None,
            to_hour: None,
        }
    }
}

/// What a feature computes.
///
/// The first six look at the transactions of an entity in a window; the others need nothing but the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Aggregate {
    /// Transactions in the window.
    Count,
    /// The sum of a field; 0 without values.
    Sum,
    /// The mean of a field over the transactions that have it; NaN without values.
    Mean,
    /// Transactions in the window that were known as fraud at the time of the row.
    FraudCount,
    /// Known frauds over all transactions in the window; 0 without transactions.
    FraudRate,
    /// Seconds since the entity's transaction before this one; NaN if there is none within the window.
    SecondsSinceLast,
    /// 1 if the hour of the day is one of the night's, else 0.
    Night,
    /// 1 on Saturdays and Sundays, else 0.
    Weekend,
    /// The sine of the time of day, as an angle.
    HourSin,
    /// The cosine of the time of day, as an angle.
    HourCos,
    /// The amount in major units, or another numeric field, as it is; NaN if absent.
    Amount,
}

impl Aggregate {
    /// The name in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Mean => "mean",
            Self::FraudCount => "fraud_count",
            Self::FraudRate => "fraud_rate",
            Self::SecondsSinceLast => "seconds_since_last",
            Self::Night => "night",
            Self::Weekend => "weekend",
            Self::HourSin => "hour_sin",
            Self::HourCos => "hour_cos",
            Self::Amount => "amount",
        }
    }

    /// Whether it looks at the entity's transactions within a window, and so needs both.
    pub(crate) fn needs_window(self) -> bool {
        self.takes_delay() || self == Self::SecondsSinceLast
    }

    /// Whether the window may end before the row.
    pub(crate) fn takes_delay(self) -> bool {
        matches!(
            self,
            Self::Count | Self::Sum | Self::Mean | Self::FraudCount | Self::FraudRate
        )
    }

    /// Whether it cannot do without a field.
    pub(crate) fn needs_field(self) -> bool {
        matches!(self, Self::Sum | Self::Mean)
    }

    /// Whether it goes by the calendar.
    pub(crate) fn is_calendar(self) -> bool {
        matches!(self, Self::Night | Self::Weekend | Self::HourSin | Self::HourCos)
    }
}

impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The entity's most recent transactions as one tensor, as written under `[sequence]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SequenceSpec {
    /// Whose transactions; the entity of the last stage.
    pub entity: String,
    /// How many transactions at most, the row itself included.
    pub length: usize,
    /// What is kept of each: `amount`, `seconds_since_previous`, or names of features of the row.
    pub fields: Vec<String>,
    /// How far back it reaches; none: [`SequenceSpec::DEFAULT_WINDOW`].
    #[serde(default, with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    pub window: Option<Duration>,
}

impl SequenceSpec {
    /// How far back a sequence reaches unless it says otherwise: 90 days.
    pub const DEFAULT_WINDOW: Duration = Duration::from_secs(90 * 86_400);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, Serialize)]
    struct Config {
        features: Vec<FeatureSpec>,
        sequence: Option<SequenceSpec>,
    }

    #[test]
    fn definitions_read_as_they_are_written() {
        let text = r#"
            [[features]]
            name = "terminal_id_risk_30day_window"
            aggregate = "fraud_rate"
            entity = "terminal"
            window = "30d"
            delay = "7d"
            [[features]]
            name = "tx_during_night"
            aggregate = "night"
            time_zone = "Europe/Berlin"
            to_hour = 6
            [sequence]
            entity = "account"
            length = 24
            fields = ["amount", "tx_during_night"]
        "#;
        let config: Config = toml::from_str(text).unwrap();
        assert_eq!(config.features[0].window, Some(Duration::from_secs(30 * 86_400)));
        assert_eq!(config.features[0].aggregate, Aggregate::FraudRate);
        assert_eq!(config.features[1].to_hour, Some(6));
        let again: Config = toml::from_str(&toml::to_string(&config).unwrap()).unwrap();
        assert_eq!(config.features, again.features);
        assert_eq!(config.sequence, again.sequence);
    }

    #[test]
    fn unknown_keys_and_aggregates_are_refused() {
        for text in [
            "name = 'x'\naggregate = 'count'\nwindows = '1d'",
            "name = 'x'\naggregate = 'guess'",
        ] {
            assert!(toml::from_str::<FeatureSpec>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn aggregates_are_named_as_in_the_configuration() {
        use Aggregate as A;
        let all = [
            A::Count,
            A::Sum,
            A::Mean,
            A::FraudCount,
            A::FraudRate,
            A::SecondsSinceLast,
        ];
        for aggregate in all
            .into_iter()
            .chain([A::Night, A::Weekend, A::HourSin, A::HourCos, A::Amount])
        {
            let text = format!("name = 'x'\naggregate = '{aggregate}'");
            assert_eq!(toml::from_str::<FeatureSpec>(&text).unwrap().aggregate, aggregate);
        }
    }
}
