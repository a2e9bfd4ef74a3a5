//! What the columns of a text file hold: learnt from all their values.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

/// What a value, or a whole column, is; a later kind can hold those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Nothing.
    Null,
    /// True or false.
    Bool,
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// Anything.
    Text,
}

impl Kind {
    /// What holds both.
    pub(super) fn with(self, other: Self) -> Self {
        match (self, other) {
            (Self::Bool, Self::Int | Self::Float) | (Self::Int | Self::Float, Self::Bool) => Self::Text,
            _ => self.max(other),
        }
    }

    /// What a value of a CSV file is. A number that would not look the same again (`007`, `+1`) is a text: it is
    /// an identifier.
    pub(super) fn of_text(text: &str) -> Self {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let padded = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
        match text {
            "" => Self::Null,
            "true" | "false" => Self::Bool,
            _ if padded || !digits.starts_with(|c: char| c.is_ascii_digit()) => Self::Text,
            _ if text.parse::<i64>().is_ok() => Self::Int,
            _ if digits.bytes().all(|b| b.is_ascii_digit()) => Self::Text,
            _ if text.parse::<f64>().is_ok_and(f64::is_finite) => Self::Float,
            _ => Self::Text,
        }
    }

    fn data_type(self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Null | Self::Text => DataType::Utf8,
        }
    }
}

/// The columns of these names and kinds.
pub(super) fn schema<'a>(columns: impl IntoIterator<Item = (&'a str, Kind)>) -> SchemaRef {
    let field = |(name, kind): (&str, Kind)| Field::new(name, kind.data_type(), true);
    Arc::new(Schema::new(columns.into_iter().map(field).collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_numbers_only_if_they_stay_what_they_are() {
        let kinds = [
            "",
            "true",
            "-12",
            "1.50",
            "0.5",
            "1e3",
            "007",
            "+1",
            "12345678901234567890",
            "NaN",
            "x",
        ];
        let expected = [
            Kind::Null,
            Kind::Bool,
            Kind::Int,
            Kind::Float,
            Kind::Float,
            Kind::Float,
            Kind::Text,
            Kind::Text,
            Kind::Text,
            Kind::Text,
            Kind::Text,
        ];
        assert_eq!(kinds.map(Kind::of_text), expected);
    }

    #[test]
    fn a_column_holds_all_its_values() {
        assert_eq!(Kind::Int.with(Kind::Null), Kind::Int);
        assert_eq!(Kind::Int.with(Kind::Float), Kind::Float);
        assert_eq!(Kind::Bool.with(Kind::Int), Kind::Text);
        assert_eq!(Kind::Float.with(Kind::Text), Kind::Text);
    }
}
