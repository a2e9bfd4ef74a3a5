//! Arrow schemas against Delta schemas.
//!
//! The two name the element of a list differently; everything else that a table can hold here is the same in both.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use deltalake::kernel::StructField;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;

use crate::error::{LakeError, Result};

/// The Delta fields of these columns.
pub(super) fn to_delta(table: &str, fields: &[FieldRef]) -> Result<Vec<StructField>> {
    let convert = |field: &FieldRef| {
        let unsupported = || LakeError::UnsupportedType {
            table: table.to_owned(),
            column: field.name().clone(),
            data_type: field.data_type().clone(),
        };
        if !can_be_stored(field.data_type()) {
            return Err(unsupported());
        }
        let bare = Field::new(field.name(), field.data_type().clone(), field.is_nullable());
        (&bare).try_into_kernel().map_err(|_| unsupported())
    };
    fields.iter().map(convert).collect()
}

/// Whether a type comes back from a table as it went in: Delta has no unsigned numbers, no finer or coarser
/// instants than microseconds, and no dictionaries.
fn can_be_stored(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::Binary | DataType::Boolean | DataType::Date32 => true,
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => true,
        DataType::Float32 | DataType::Float64 => true,
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) => zone.as_ref() == "UTC",
        DataType::List(item) => can_be_stored(item.data_type()),
        _ => false,
    }
}

/// Whether two types are the same, the name of a list's element apart.
fn same_type(one: &DataType, other: &DataType) -> bool {
    match (one, other) {
        (DataType::List(one), DataType::List(other)) => {
            one.is_nullable() == other.is_nullable() && same_type(one.data_type(), other.data_type())
        }
        _ => one == other,
    }
}

/// The columns that a table has yet to get, each nullable.
///
/// # Errors
/// [`LakeError::ColumnConflict`] for the first column with another type, or one that must not be null in the table
/// and may be in the rows.
pub(super) fn missing(table: &str, existing: &Schema, wanted: &Schema) -> Result<Vec<FieldRef>> {
    let mut missing = Vec::new();
    for field in wanted.fields() {
        match existing.field_with_name(field.name()) {
            Err(_) => missing.push(Arc::new(field.as_ref().clone().with_nullable(true))),
            Ok(column) => {
                let same = same_type(column.data_type(), field.data_type());
                if !same || (field.is_nullable() && !column.is_nullable()) {
                    return Err(column_conflict(table, column, field));
                }
            }
        }
    }
    Ok(missing)
}

/// The table's columns in the types they were asked for: those of `existing`, in its order.
pub(super) fn view(existing: &Schema, wanted: &Schema) -> SchemaRef {
    let fields = existing.fields().iter().map(|column| {
        let asked = wanted.field_with_name(column.name()).map(Field::data_type);
        Field::new(
            column.name(),
            asked.unwrap_or(column.data_type()).clone(),
            column.is_nullable(),
        )
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Rows to be written, under the target's columns; what can be null may be missing.
pub(super) fn conform(table: &str, rows: &RecordBatch, target: &SchemaRef) -> Result<RecordBatch> {
    for field in rows.schema_ref().fields() {
        match target.field_with_name(field.name()) {
            Err(_) => return Err(column_error(table, field.name(), "the table does not have it")),
            Ok(column) if !same_type(column.data_type(), field.data_type()) => {
                return Err(column_conflict(table, column, field));
            }
            Ok(_) => {}
        }
    }
    project(table, rows, target)
}

/// Rows under the target's columns: cast where the representation differs, null where they are missing.
pub(super) fn project(table: &str, rows: &RecordBatch, target: &SchemaRef) -> Result<RecordBatch> {
    let column = |field: &FieldRef| -> Result<ArrayRef> {
        match rows.column_by_name(field.name()) {
            Some(array) if array.data_type() == field.data_type() => Ok(array.clone()),
            Some(array) => cast(array, field.data_type()).map_err(|source| LakeError::Rows {
                table: table.to_owned(),
                source,
            }),
            None if field.is_nullable() => Ok(new_null_array(field.data_type(), rows.num_rows())),
            None => Err(column_error(
                table,
                field.name(),
                "it is missing and must not be null",
            )),
        }
    };
    let columns = target.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(target.clone(), columns, &options).map_err(|source| LakeError::Rows {
        table: table.to_owned(),
        source,
    })
}

pub(super) fn column_error(table: &str, column: &str, reason: &'static str) -> LakeError {
    LakeError::Column {
        table: table.to_owned(),
        column: column.to_owned(),
        reason,
    }
}

fn column_conflict(table: &str, existing: &Field, given: &Field) -> LakeError {
    let describe = |field: &Field| {
        let null = if field.is_nullable() {
            "nullable"
        } else {
            "never null"
        };
        format!("{} ({null})", field.data_type())
    };
    LakeError::ColumnConflict {
        table: table.to_owned(),
        column: existing.name().clone(),
        existing: describe(existing),
        given: describe(given),
    }
}
