//! Rows of a batch as flat records.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use arrow::util::display::array_value_to_string;
use schema::mapping::Cell;
use schema::{Record, time};

/// A batch, ready to be read row by row.
///
/// Whole numbers become 64-bit ones, times and dates instants in UTC, decimals floats as long as a float gives
/// the same decimal back (15 digits) and texts beyond, dictionaries what they stand for. Columns within a column
/// get a dot: `entities.customer`. Lists and the like are read as text.
pub(crate) struct Rows {
    names: Vec<String>,
    places: BTreeMap<String, usize>,
    columns: Vec<Column>,
    len: usize,
}

/// One row of [`Rows`].
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    rows: &'a Rows,
    at: usize,
}

enum Column {
    Bool(BooleanArray),
    Int(Int64Array),
    Float(Float64Array),
    Text(StringArray),
    Instant(TimestampMicrosecondArray),
    Other(ArrayRef),
}

impl Rows {
    /// Reads a batch.
    ///
    /// # Errors
    /// If a column's values cannot be represented, with its name.
    pub(crate) fn new(batch: &RecordBatch) -> Result<Self> {
        let mut rows = Self {
            names: Vec::new(),
            places: BTreeMap::new(),
            columns: Vec::new(),
            len: batch.num_rows(),
        };
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            rows.add(field.name().clone(), column)?;
        }
        Ok(rows)
    }

    fn add(&mut self, name: String, column: &ArrayRef) -> Result<()> {
        if let Some(group) = column.as_struct_opt() {
            for (field, inner) in group.fields().iter().zip(group.columns()) {
                // Where the group is absent, so is what lies in it.
                let inner = arrow::compute::nullif(inner, &absent(group))?;
                self.add(format!("{name}.{}", field.name()), &inner)?;
            }
            return Ok(());
        }
        let column = Column::new(column).with_context(|| format!("column {name}"))?;
        self.places.insert(name.clone(), self.columns.len());
        self.names.push(name);
        self.columns.push(column);
        Ok(())
    }

    /// The number of rows.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The names of the columns, in order.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The place of a column, to read it in every row without looking for it.
    pub(crate) fn place(&self, column: &str) -> Option<usize> {
        self.places.get(column).copied()
    }

    /// The same rows as a batch of truth values, numbers and texts alone, as CSV knows them; instants as RFC 3339.
    ///
    /// # Errors
    /// If two columns have the same name.
    pub(crate) fn plain(&self) -> Result<RecordBatch> {
        let columns = self
            .names
            .iter()
            .zip(&self.columns)
            .map(|(name, column)| (name, column.plain(self.len), true));
        Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
    }

    /// The rows, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.len).map(|at| Row { rows: self, at })
    }
}

fn absent(group: &arrow::array::StructArray) -> BooleanArray {
    (0..group.len()).map(|at| Some(group.is_null(at))).collect()
}

impl<'a> Row<'a> {
    /// The value at a place, which [`Rows::place`] gave.
    pub(crate) fn at(&self, place: usize) -> Cell<'a> {
        self.rows.columns[place].cell(self.at)
    }

    /// The bytes of a column, or nothing where it is null.
    ///
    /// # Errors
    /// If there is no such column, or it does not hold bytes.
    pub(crate) fn bytes(&self, column: &str) -> Result<Option<&'a [u8]>> {
        let place = self
            .rows
            .place(column)
            .with_context(|| format!("column {column}: missing"))?;
        let Column::Other(values) = &self.rows.columns[place] else {
            bail!("column {column}: does not hold bytes");
        };
        if values.is_null(self.at) {
            return Ok(None);
        }
        let found = match values.data_type() {
            DataType::Binary => values.as_binary::<i32>().value(self.at),
            DataType::LargeBinary => values.as_binary::<i64>().value(self.at),
            DataType::BinaryView => values.as_binary_view().value(self.at),
            DataType::FixedSizeBinary(_) => values.as_fixed_size_binary().value(self.at),
            _ => bail!("column {column}: does not hold bytes"),
        };
        Ok(Some(found))
    }

    /// Appends the row to a buffer as a flat JSON object, without the columns that hold nothing.
    ///
    /// # Errors
    /// None in practice: a buffer takes everything.
    pub(crate) fn write_json(&self, into: &mut Vec<u8>) -> Result<()> {
        into.push(b'{');
        let mut separator: &[u8] = b"";
        for (name, column) in self.rows.names.iter().zip(&self.rows.columns) {
            let cell = column.cell(self.at);
            if matches!(cell, Cell::Null) {
                continue;
            }
            into.extend_from_slice(separator);
            separator = b",";
            serde_json::to_writer(&mut *into, name)?;
            into.push(b':');
            write_cell(&cell, into)?;
        }
        into.push(b'}');
        Ok(())
    }
}

fn write_cell(cell: &Cell<'_>, into: &mut Vec<u8>) -> Result<()> {
    Ok(match cell {
        Cell::Null => serde_json::to_writer(into, &()),
        Cell::Bool(yes) => serde_json::to_writer(into, yes),
        Cell::Int(n) => serde_json::to_writer(into, n),
        Cell::Float(x) => serde_json::to_writer(into, x),
        Cell::Text(text) => serde_json::to_writer(into, text),
        Cell::Instant(at_us) => serde_json::to_writer(into, &time::format(*at_us)),
    }?)
}

impl Record for Row<'_> {
    fn cell(&self, column: &str) -> Option<Cell<'_>> {
        self.rows.place(column).map(|place| self.at(place))
    }
}

impl Column {
    fn new(array: &ArrayRef) -> Result<Self> {
        let instant = |zone| DataType::Timestamp(TimeUnit::Microsecond, zone);
        Ok(match array.data_type() {
            DataType::Boolean => Self::Bool(array.as_boolean().clone()),
            DataType::Int64 => Self::Int(array.as_primitive().clone()),
            DataType::Float64 => Self::Float(array.as_primitive().clone()),
            DataType::Utf8 => Self::Text(array.as_string().clone()),
            kind if kind.is_signed_integer() || kind.is_unsigned_integer() => Self::whole(array)?,
            DataType::Float16 | DataType::Float32 => {
                Self::Float(to::<Float64Type>(array, &DataType::Float64)?)
            }
            DataType::LargeUtf8 | DataType::Utf8View => Self::text(array)?,
            DataType::Timestamp(_, zone) => {
                Self::Instant(to::<TimestampMicrosecondType>(array, &instant(zone.clone()))?)
            }
            DataType::Date32 | DataType::Date64 => {
                Self::Instant(to::<TimestampMicrosecondType>(array, &instant(None))?)
            }
            DataType::Decimal128(digits, _) | DataType::Decimal256(digits, _) if *digits > 15 => {
                Self::text(array)?
            }
            DataType::Decimal32(..)
            | DataType::Decimal64(..)
            | DataType::Decimal128(..)
            | DataType::Decimal256(..) => Self::Float(to::<Float64Type>(array, &DataType::Float64)?),
            DataType::Dictionary(_, values) => Self::new(&cast(array, values)?)?,
            DataType::Null => Self::text(array)?,
            _ => Self::Other(array.clone()),
        })
    }

    /// Whole numbers; unsigned ones beyond 64-bit signed ones make the column one of texts.
    fn whole(array: &ArrayRef) -> Result<Self> {
        let numbers = to::<Int64Type>(array, &DataType::Int64)?;
        if numbers.null_count() > array.null_count() {
            Self::text(array)
        } else {
            Ok(Self::Int(numbers))
        }
    }

    fn text(array: &ArrayRef) -> Result<Self> {
        Ok(Self::Text(cast(array, &DataType::Utf8)?.as_string().clone()))
    }

    fn cell(&self, at: usize) -> Cell<'_> {
        match self {
            _ if self.is_null(at) => Cell::Null,
            Self::Bool(values) => Cell::Bool(values.value(at)),
            Self::Int(values) => Cell::Int(values.value(at)),
            Self::Float(values) => Cell::Float(values.value(at)),
            Self::Text(values) => Cell::Text(Cow::Borrowed(values.value(at))),
            Self::Instant(values) => Cell::Instant(values.value(at)),
            Self::Other(values) => {
                array_value_to_string(values, at).map_or(Cell::Null, |t| Cell::Text(t.into()))
            }
        }
    }

    fn plain(&self, len: usize) -> ArrayRef {
        let texts = || {
            let text = |at| match self.cell(at) {
                Cell::Instant(at_us) => Some(time::format(at_us)),
                Cell::Text(text) => Some(text.into_owned()),
                _ => None,
            };
            (0..len).map(text).collect::<StringArray>()
        };
        match self {
            Self::Bool(values) => Arc::new(values.clone()),
            Self::Int(values) => Arc::new(values.clone()),
            Self::Float(values) => Arc::new(values.clone()),
            Self::Text(values) => Arc::new(values.clone()),
            Self::Instant(_) | Self::Other(_) => Arc::new(texts()),
        }
    }

    fn is_null(&self, at: usize) -> bool {
        match self {
            Self::Bool(values) => values.is_null(at),
            Self::Int(values) => values.is_null(at),
            Self::Float(values) => values.is_null(at),
            Self::Text(values) => values.is_null(at),
            Self::Instant(values) => values.is_null(at),
            Self::Other(values) => values.is_null(at),
        }
    }
}

fn to<T: arrow::datatypes::ArrowPrimitiveType>(
    array: &ArrayRef,
    kind: &DataType,
) -> Result<arrow::array::PrimitiveArray<T>> {
    Ok(cast(array, kind)?.as_primitive::<T>().clone())
}
