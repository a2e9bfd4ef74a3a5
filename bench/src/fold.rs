//! Tables of labelled examples, in order for one fold of a cross-validation.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{cast, concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use clap::Args;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// What is dealt out, and which part is left out.
#[derive(Args)]
pub(crate) struct FoldArgs {
    /// The table, a Parquet file.
    input: PathBuf,
    /// Where the table in its new order goes.
    output: PathBuf,
    /// Into how many parts the table is dealt.
    #[arg(long, default_value_t = 5, value_name = "N")]
    folds: u64,
    /// The part that is left out, from 0: it comes last.
    #[arg(long, default_value_t = 0, value_name = "N")]
    fold: u64,
    /// Column of which each value is in one part alone; if absent, each row is dealt by itself.
    #[arg(long, value_name = "COLUMN")]
    group: Option<String>,
    /// Column of whole numbers that holds the class.
    #[arg(long, default_value = "label", value_name = "COLUMN")]
    label: String,
    /// Classes, separated by commas, that become true in the new column `fraud`.
    #[arg(long, value_delimiter = ',', default_values_t = [1], value_name = "CLASS")]
    positive: Vec<i64>,
    /// The first rows of the table, this many; all if absent.
    #[arg(long, value_name = "N")]
    rows: Option<usize>,
}

/// Writes the table in its new order and prints how many rows come before those that are left out.
pub(crate) fn run(args: &FoldArgs) -> Result<()> {
    ensure!(
        args.fold < args.folds,
        "there is no fold {} of {}",
        args.fold,
        args.folds
    );
    let table = read(&args.input)?;
    let table = table.slice(0, args.rows.unwrap_or(usize::MAX).min(table.num_rows()));
    let labelled = with_fraud(&table, args)?;
    let (order, learned) = order(&groups(&table, args.group.as_deref())?, args.folds, args.fold);
    let ordered = take_record_batch(&labelled, &UInt32Array::from(order))?;
    let file =
        File::create(&args.output).with_context(|| format!("cannot write {}", args.output.display()))?;
    let mut writer = ArrowWriter::try_new(file, ordered.schema(), None)?;
    writer.write(&ordered)?;
    writer.close()?;
    writeln!(std::io::stdout(), "{learned}")?;
    Ok(())
}

fn read(path: &Path) -> Result<RecordBatch> {
    let cannot = || format!("cannot read {}", path.display());
    let file = File::open(path).with_context(cannot)?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).with_context(cannot)?;
    let schema = Arc::clone(reader.schema());
    let batches = reader
        .build()?
        .collect::<Result<Vec<_>, _>>()
        .with_context(cannot)?;
    Ok(concat_batches(&schema, &batches)?)
}

/// The table with a column `fraud`.
fn with_fraud(table: &RecordBatch, args: &FoldArgs) -> Result<RecordBatch> {
    let classes = cast(column(table, &args.label)?, &DataType::Int64)?;
    let classes = classes.as_primitive::<Int64Type>();
    let fraud: BooleanArray = classes
        .iter()
        .map(|class| class.map(|class| args.positive.contains(&class)))
        .collect();
    let mut fields = table.schema().fields().to_vec();
    fields.push(Arc::new(Field::new("fraud", DataType::Boolean, true)));
    let mut columns = table.columns().to_vec();
    columns.push(Arc::new(fraud) as ArrayRef);
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// The group of each row: what a column says, or its number.
fn groups(table: &RecordBatch, group: Option<&str>) -> Result<Vec<String>> {
    let Some(group) = group else {
        return Ok((0..table.num_rows()).map(|row| row.to_string()).collect());
    };
    let texts = cast(column(table, group)?, &DataType::Utf8)?;
    let texts = texts.as_string::<i32>();
    ensure!(texts.null_count() == 0, "column {group} is empty in some rows");
    Ok(texts.iter().flatten().map(str::to_owned).collect())
}

fn column<'a>(table: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    table
        .column_by_name(name)
        .with_context(|| format!("the table has no column {name}"))
}

/// The rows group by group, those of the fold's groups last, and how many come before them. Groups are in the order of
/// a hash, so that a part of the rows is a fair part of the groups, and are dealt out by turns.
fn order(groups: &[String], folds: u64, fold: u64) -> (Vec<u32>, usize) {
    let mut rows: BTreeMap<(u64, &str), Vec<u32>> = BTreeMap::new();
    for (row, group) in (0_u32..).zip(groups) {
        rows.entry((hash(group), group)).or_default().push(row);
    }
    let (mut learned, mut left_out) = (Vec::new(), Vec::new());
    for (nth, rows) in (0_u64..).zip(rows.into_values()) {
        let part = if nth % folds == fold {
            &mut left_out
        } else {
            &mut learned
        };
        part.extend(rows);
    }
    let count = learned.len();
    learned.extend(left_out);
    (learned, count)
}

/// # Source
/// G. Fowler, L. Noll, K.-P. Vo, D. Eastlake, "The FNV Non-Cryptographic Hash Algorithm": FNV-1a of 64 bits, then
/// mixed, since its upper bits hardly differ between short texts.
fn hash(text: &str) -> u64 {
    let fnv = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (fnv ^ (fnv >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ (mixed >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_left_out_once_and_with_its_group() {
        let groups: Vec<String> = (0..200).map(|row| format!("receipt {}", row / 3)).collect();
        let mut left_out = Vec::new();
        for fold in 0..5 {
            let (rows, learned) = order(&groups, 5, fold);
            assert_eq!(rows.len(), groups.len());
            let (before, after) = rows.split_at(learned);
            assert!((150..175).contains(&before.len()), "{}", before.len());
            let known = |row: &u32| {
                before
                    .iter()
                    .any(|b| groups[*b as usize] == groups[*row as usize])
            };
            assert!(!after.iter().any(known));
            left_out.extend_from_slice(after);
        }
        left_out.sort_unstable();
        assert_eq!(left_out, (0..200).collect::<Vec<u32>>());
    }
}
