//! NDJSON files: one object a line. Objects within it become columns with a dot, lists become their JSON text.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, RecordBatch, RecordBatchOptions, StringBuilder,
};
use arrow::datatypes::{DataType, SchemaRef};
use serde_json::{Map, Value};

use super::Batches;
use super::kinds::{self, Kind};

type Object = Map<String, Value>;

/// The columns of files that belong together; a line need not have them all.
pub(super) fn inspect(files: &[PathBuf]) -> Result<SchemaRef> {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut found: Vec<(String, Kind)> = Vec::new();
    for file in files {
        for object in objects(file)? {
            visit(
                &object?,
                &mut String::new(),
                &mut |name, value| match places.get(name) {
                    Some(&place) => found[place].1 = found[place].1.with(kind(value)),
                    None => {
                        places.insert(name.to_owned(), found.len());
                        found.push((name.to_owned(), kind(value)));
                    }
                },
            );
        }
    }
    let columns = found.iter().map(|(name, kind)| (name.as_str(), *kind));
    Ok(kinds::schema(columns))
}

/// The rows of a file, in these columns.
pub(super) fn read(file: &Path, schema: &SchemaRef, batch_rows: usize) -> Result<Batches> {
    let mut objects = objects(file)?;
    let schema = Arc::clone(schema);
    let mut next = move || -> Result<Option<RecordBatch>> {
        let mut columns: Vec<Column> = schema
            .fields()
            .iter()
            .map(|f| Column::new(f.data_type()))
            .collect();
        let mut rows = 0;
        for object in objects.by_ref().take(batch_rows) {
            let object = object?;
            for (column, field) in columns.iter_mut().zip(schema.fields()) {
                column.push(look_up(&object, field.name()));
            }
            rows += 1;
        }
        let arrays = columns.iter_mut().map(Column::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), arrays, &options)?;
        Ok((rows > 0).then_some(batch))
    };
    Ok(Box::new(std::iter::from_fn(move || next().transpose())))
}

fn objects(file: &Path) -> Result<impl Iterator<Item = Result<Object>> + Send + use<>> {
    let place = file.display().to_string();
    let mut reader = BufReader::with_capacity(1 << 20, File::open(file).with_context(|| place.clone())?);
    let (mut line, mut number) = (String::new(), 0_u64);
    Ok(std::iter::from_fn(move || {
        loop {
            line.clear();
            number += 1;
            match reader.read_line(&mut line) {
                Ok(0) => return None,
                Ok(_) if line.trim().is_empty() => {}
                Ok(_) => {
                    return Some(
                        serde_json::from_str(&line).with_context(|| format!("{place}, line {number}")),
                    );
                }
                Err(error) => return Some(Err(error).with_context(|| format!("{place}, line {number}"))),
            }
        }
    }))
}

fn visit(object: &Object, prefix: &mut String, found: &mut impl FnMut(&str, &Value)) {
    for (name, value) in object {
        let length = prefix.len();
        prefix.push_str(name);
        if let Value::Object(inner) = value {
            prefix.push('.');
            visit(inner, prefix, found);
        } else {
            found(prefix, value);
        }
        prefix.truncate(length);
    }
}

/// The value of a column, wherever the dots of its name may lie.
fn look_up<'a>(object: &'a Object, name: &str) -> Option<&'a Value> {
    match object.get(name) {
        Some(Value::Object(_)) | None => name.match_indices('.').find_map(|(dot, _)| {
            let inner = object.get(&name[..dot])?.as_object()?;
            look_up(inner, &name[dot + 1..])
        }),
        value => value,
    }
}

fn kind(value: &Value) -> Kind {
    match value {
        Value::Null => Kind::Null,
        Value::Bool(_) => Kind::Bool,
        Value::Number(n) if n.is_i64() => Kind::Int,
        // A whole number too large for 64 bits is an identifier, and would be another one as a float.
        Value::Number(n) if n.is_u64() => Kind::Text,
        Value::Number(_) => Kind::Float,
        Value::String(_) | Value::Array(_) | Value::Object(_) => Kind::Text,
    }
}

enum Column {
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Text(StringBuilder),
}

impl Column {
    fn new(kind: &DataType) -> Self {
        match kind {
            DataType::Boolean => Self::Bool(BooleanBuilder::new()),
            DataType::Int64 => Self::Int(Int64Builder::new()),
            DataType::Float64 => Self::Float(Float64Builder::new()),
            _ => Self::Text(StringBuilder::new()),
        }
    }

    fn push(&mut self, value: Option<&Value>) {
        match (self, value) {
            (Self::Bool(column), value) => column.append_option(value.and_then(Value::as_bool)),
            (Self::Int(column), value) => column.append_option(value.and_then(Value::as_i64)),
            (Self::Float(column), value) => column.append_option(value.and_then(Value::as_f64)),
            (Self::Text(column), None | Some(Value::Null)) => column.append_null(),
            (Self::Text(column), Some(Value::String(text))) => column.append_value(text),
            (Self::Text(column), Some(other)) => column.append_value(other.to_string()),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Bool(column) => Arc::new(column.finish()),
            Self::Int(column) => Arc::new(column.finish()),
            Self::Float(column) => Arc::new(column.finish()),
            Self::Text(column) => Arc::new(column.finish()),
        }
    }
}
