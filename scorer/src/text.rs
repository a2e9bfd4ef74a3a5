//! Reasons in plain language.

use model::FeatureKind;
use serde_json::Value;

/// What a feature did to a score, in a sentence.
pub(crate) fn reason(feature: &str, kind: FeatureKind, value: &Value, contribution: f32) -> String {
    let name = spoken(feature);
    let effect = effect(contribution);
    match (kind, value) {
        (_, Value::Null) => format!("{name} is unknown: {effect}"),
        (FeatureKind::Categorical, Value::String(text)) => format!("{name} is {text}: {effect}"),
        (_, Value::Number(number)) => format!(
            "{name} is {}: {effect}",
            shown(number.as_f64().unwrap_or(f64::NAN))
        ),
        (_, other) => format!("{name} is {other}: {effect}"),
    }
}

/// What a part of the input that has no single value did to a score, in a sentence.
pub(crate) fn whole(part: &str, contribution: f32) -> String {
    format!("{part} {}", effect(contribution))
}

fn effect(contribution: f32) -> &'static str {
    match contribution {
        c if c >= 1.0 => "raises the risk strongly",
        c if c > 0.0 => "raises the risk",
        c if c <= -1.0 => "lowers the risk strongly",
        _ => "lowers the risk",
    }
}

fn spoken(feature: &str) -> String {
    let name = feature.strip_prefix("attribute_").unwrap_or(feature);
    name.replace('_', " ")
}

fn shown(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reasons_read_like_sentences() {
        let say = |value: &Value, contribution| {
            reason("customer_count_1d", FeatureKind::Numeric, value, contribution)
        };
        assert_eq!(
            say(&json!(12.0), 1.5),
            "customer count 1d is 12: raises the risk strongly"
        );
        assert_eq!(
            say(&json!(0.126), -0.2),
            "customer count 1d is 0.13: lowers the risk"
        );
        assert_eq!(
            say(&Value::Null, 0.2),
            "customer count 1d is unknown: raises the risk"
        );
        let text = reason(
            "attribute_channel",
            FeatureKind::Categorical,
            &json!("online"),
            0.2,
        );
        assert_eq!(text, "channel is online: raises the risk");
        assert_eq!(
            whole("the image itself", -1.5),
            "the image itself lowers the risk strongly"
        );
    }
}
