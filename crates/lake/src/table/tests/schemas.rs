//! Types come back as they went in, and a table grows columns but changes none.

use arrow::array::{
    Array, BooleanArray, Float64Array, Int8Array, Int32Array, ListArray, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::Float32Type;

use super::*;

fn full_schema() -> SchemaRef {
    let item = Arc::new(Field::new("item", DataType::Float32, false));
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Utf8, false),
        Field::new("index", DataType::Int64, false),
        Field::new("kind", DataType::Int32, true),
        Field::new("small", DataType::Int8, true),
        Field::new("amount", DataType::Float64, true),
        Field::new("late", DataType::Boolean, true),
        Field::new("event_time", instant(), true),
        Field::new("recent_sequence", DataType::List(item), true),
    ]))
}

fn full_rows() -> RecordBatch {
    let item = Arc::new(Field::new("item", DataType::Float32, false));
    let sequence = ListArray::from_iter_primitive::<Float32Type, _, _>([
        Some(vec![Some(0.1), Some(-0.0)]),
        Some(vec![]),
        None,
    ]);
    let sequence = ListArray::new(
        item,
        sequence.offsets().clone(),
        sequence.values().clone(),
        sequence.nulls().cloned(),
    );
    let times = [Some(1_522_540_800_000_001), Some(-1), None];
    RecordBatch::try_new(
        full_schema(),
        vec![
            Arc::new(StringArray::from(vec!["a", "ü", ""])),
            Arc::new(Int64Array::from(vec![i64::MIN, 0, i64::MAX])),
            Arc::new(Int32Array::from(vec![Some(i32::MIN), Some(1), None])),
            Arc::new(Int8Array::from(vec![Some(-128), Some(127), None])),
            Arc::new(Float64Array::from(vec![Some(0.1), Some(f64::INFINITY), None])),
            Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
            Arc::new(TimestampMicrosecondArray::from(times.to_vec()).with_timezone("UTC")),
            Arc::new(sequence),
        ],
    )
    .unwrap()
}

#[test]
fn every_type_comes_back_as_it_went_in() {
    let folder = Folder::new();
    let mut table = Table::open_or_create(&folder.store(), NAME, full_schema()).unwrap();
    table.append(&[full_rows()], &at("a", 1)).unwrap();
    let again = Table::open_or_create(&folder.store(), NAME, full_schema()).unwrap();
    assert_eq!(again.version(), 1);
    assert_eq!(again.schema(), full_schema());
    assert_eq!(again.read(None, None).unwrap(), [full_rows()]);
    let dated = again.read(
        None,
        Some(TimeRange {
            column: "event_time",
            from_us: i64::MIN,
            to_us: i64::MAX,
        }),
    );
    assert_eq!(dated.unwrap(), [full_rows().slice(0, 2)]);
}

#[test]
fn types_that_would_change_are_refused_by_name() {
    let folder = Folder::new();
    let others = [
        DataType::UInt8,
        DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
        DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::new_list(DataType::UInt64, true),
        DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
    ];
    for data_type in others {
        let schema = Arc::new(Schema::new(vec![Field::new("odd", data_type.clone(), true)]));
        let error = Table::open_or_create(&folder.store(), NAME, schema).unwrap_err();
        assert!(
            matches!(&error, LakeError::UnsupportedType { column, .. } if column == "odd"),
            "{error:?}"
        );
    }
}

#[test]
fn new_columns_are_added_and_old_rows_lack_them() {
    let folder = Folder::new();
    let mut table = folder.table();
    table.append(&[rows([1])], &at("a", 1)).unwrap();
    let mut fields = simple_schema().fields().to_vec();
    fields.insert(1, Arc::new(Field::new("score", DataType::Float64, false)));
    let wider = Arc::new(Schema::new(fields));
    let mut widened = Table::open_or_create(&folder.store(), NAME, wider.clone()).unwrap();
    let score = widened.schema().field_with_name("score").unwrap().clone();
    assert!(score.is_nullable());
    assert_eq!(widened.progress(""), at("a", 1));
    // The handle from before does not know the column: it has to reload first.
    let error = table.append(&[rows([2])], &at("b", 1)).unwrap_err();
    assert!(matches!(error, LakeError::Conflict { .. }), "{error:?}");
    table.reload().unwrap();
    table.append(&[rows([2])], &at("b", 1)).unwrap();
    widened.reload().unwrap();
    let given = rows([3]);
    let columns = vec![
        given.column(0).clone(),
        Arc::new(Float64Array::from(vec![0.5])),
        given.column(1).clone(),
    ];
    widened
        .append(&[RecordBatch::try_new(wider, columns).unwrap()], &at("a", 2))
        .unwrap();
    let read = widened.read(None, None).unwrap();
    assert_eq!(indices(&read), [1, 2, 3]);
    assert_eq!(
        read.iter()
            .map(|batch| batch["score"].null_count())
            .sum::<usize>(),
        2
    );
    assert_eq!(indices(&widened.read_at(1, None, None).unwrap()), [1]);
}

#[test]
fn a_column_of_another_type_is_refused_by_name() {
    let folder = Folder::new();
    let mut table = folder.table();
    let other = Arc::new(Schema::new(vec![Field::new("index", DataType::Utf8, false)]));
    let error = Table::open_or_create(&folder.store(), NAME, other.clone()).unwrap_err();
    assert!(
        matches!(&error, LakeError::ColumnConflict { column, .. } if column == "index"),
        "{error:?}"
    );
    assert!(
        error
            .to_string()
            .contains("Int64 (never null), not Utf8 (never null)"),
        "{error}"
    );
    let batch = RecordBatch::try_new(other, vec![Arc::new(StringArray::from(vec!["1"]))]).unwrap();
    assert!(matches!(
        table.append(&[batch], &at("a", 1)),
        Err(LakeError::ColumnConflict { .. })
    ));
    assert_eq!(folder.table().version(), 0);
}

#[test]
fn rows_with_strange_or_missing_columns_are_refused_by_name() {
    let folder = Folder::new();
    let mut table = folder.table();
    let strange = Arc::new(Schema::new(vec![Field::new("strange", DataType::Int64, false)]));
    let batch = RecordBatch::try_new(strange, vec![Arc::new(Int64Array::from(vec![1]))]).unwrap();
    let error = table.append(&[batch], &at("a", 1)).unwrap_err();
    assert!(
        matches!(&error, LakeError::Column { column, .. } if column == "strange"),
        "{error:?}"
    );
    let error = table
        .append(&[rows([1]).project(&[0]).unwrap()], &at("a", 1))
        .unwrap_err();
    assert!(
        matches!(&error, LakeError::Column { column, .. } if column == "event_time"),
        "{error:?}"
    );
    assert_eq!(table.progress(""), BTreeMap::new());
}

#[test]
fn instants_have_statistics_in_the_log_even_in_wide_tables() {
    let folder = Folder::new();
    let mut fields: Vec<_> = (0..60)
        .map(|i| Field::new(format!("f{i}"), DataType::Float64, true))
        .collect();
    fields.extend(simple_schema().fields().iter().map(|f| f.as_ref().clone()));
    let mut table = Table::open_or_create(&folder.store(), NAME, Arc::new(Schema::new(fields))).unwrap();
    table
        .append(&[rows([1_000_000, 2_500_000])], &at("a", 1))
        .unwrap();
    let log = std::fs::read_to_string(folder.path().join("_delta_log/00000000000000000001.json")).unwrap();
    assert!(
        log.contains("1970-01-01T00:00:01Z") && log.contains("1970-01-01T00:00:02.500Z"),
        "{log}"
    );
    assert!(!log.contains("f59"), "{log}");
}
