//! Feature rows from record batches: the same way for training and for scoring.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type};

use crate::{Column, Error, FeatureKind, FeatureSchema, Result, Rows};

impl Rows {
    /// The features of a schema from the columns of a batch; nulls become NaN and `None`.
    ///
    /// # Errors
    /// [`Error::MissingFeatures`] listing the columns that the batch lacks, [`Error::WrongKind`] for one of
    /// another type.
    pub fn from_batch(batch: &RecordBatch, schema: &FeatureSchema) -> Result<Self> {
        let names = batch.schema();
        schema.check(names.fields().iter().map(|f| f.name().as_str()))?;
        let mut rows = Self::new(batch.num_rows());
        for feature in schema.features() {
            let values = batch.column_by_name(&feature.name).expect("checked just before");
            let column = match feature.kind {
                FeatureKind::Numeric => numeric(values.as_ref(), &feature.name)?,
                FeatureKind::Categorical => categorical(values.as_ref(), &feature.name)?,
            };
            rows.insert(feature.name.clone(), column)?;
        }
        Ok(rows)
    }
}

fn numeric(values: &dyn Array, name: &str) -> Result<Column> {
    let wrong = || Error::WrongKind {
        name: name.to_owned(),
        expected: "numeric",
    };
    let values = values.as_primitive_opt::<Float64Type>().ok_or_else(wrong)?;
    Ok(Column::Numeric(
        values.iter().map(|v| v.unwrap_or(f64::NAN)).collect(),
    ))
}

fn categorical(values: &dyn Array, name: &str) -> Result<Column> {
    if values.data_type() != &DataType::Utf8 {
        return Err(Error::WrongKind {
            name: name.to_owned(),
            expected: "categorical",
        });
    }
    Ok(Column::Categorical(
        values
            .as_string::<i32>()
            .iter()
            .map(|v| v.map(str::to_owned))
            .collect(),
    ))
}
