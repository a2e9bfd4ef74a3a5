//! Tests of reading and writing tables.

use arrow::array::{
    ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray,
    Float32Array, Int16Array, Int64Array, ListArray, StringArray, StructArray, TimestampMillisecondArray,
    UInt64Array,
};
use arrow::datatypes::{Int32Type, Int64Type};
use schema::Record;
use schema::mapping::Cell;

use super::*;

/// A folder of a test's own, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("riskstream-tables-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for the test");
        Self(folder)
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).expect("writes");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).expect("a batch")
}

fn json(rows: &Rows) -> Vec<String> {
    let line = |row: Row<'_>| {
        let mut bytes = Vec::new();
        row.write_json(&mut bytes).expect("a buffer takes all");
        String::from_utf8(bytes).expect("JSON is UTF-8")
    };
    rows.iter().map(line).collect()
}

fn lines(path: &Path) -> Vec<String> {
    let table = Table::open(path).expect("opens");
    table
        .batches()
        .flat_map(|b| json(&Rows::new(&b.expect("reads")).expect("readable")))
        .collect()
}

fn sample() -> RecordBatch {
    let times = TimestampMillisecondArray::from(vec![Some(0), Some(1_500), None]).with_timezone("UTC");
    let amounts = Decimal128Array::from(vec![5_716, 1, 100])
        .with_precision_and_scale(12, 2)
        .expect("fits");
    batch(vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3]))),
        ("at", Arc::new(times)),
        ("amount", Arc::new(amounts)),
        (
            "note",
            Arc::new(StringArray::from(vec![Some("a, \"b\""), None, Some("é")])),
        ),
        (
            "ok",
            Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
        ),
    ])
}

#[test]
fn every_format_gives_back_what_was_written() {
    let folder = Folder::new("formats");
    let expected = [
        r#"{"id":1,"at":"1970-01-01T00:00:00Z","amount":57.16,"note":"a, \"b\"","ok":true}"#,
        r#"{"id":2,"at":"1970-01-01T00:00:01.5Z","amount":0.01,"ok":false}"#,
        r#"{"id":3,"amount":1.0,"note":"é"}"#,
    ];
    for ending in ["parquet", "ndjson", "csv"] {
        let path = folder.0.join(format!("t.{ending}"));
        let mut sink = Sink::create(&path, sample().schema()).expect("creates");
        sink.write(&sample()).expect("writes");
        assert!(!path.exists(), "nothing is there before all is");
        assert_eq!(sink.finish().expect("finishes"), 3);
        assert_eq!(lines(&path), expected, "{ending}");
    }
    assert_eq!(
        std::fs::read_dir(&folder.0).expect("lists").count(),
        3,
        "no part is left"
    );
}

#[test]
fn an_unfinished_file_leaves_nothing_behind() {
    let folder = Folder::new("unfinished");
    let mut sink = Sink::create(&folder.0.join("t.csv"), sample().schema()).expect("creates");
    sink.write(&sample()).expect("writes");
    drop(sink);
    assert_eq!(std::fs::read_dir(&folder.0).expect("lists").count(), 0);
    assert!(Sink::create(&folder.0.join("t.txt"), sample().schema()).is_err());
}

#[test]
fn columns_of_all_kinds_become_cells() {
    let words: DictionaryArray<Int32Type> = vec![Some("x"), None].into_iter().collect();
    let inner: ArrayRef = Arc::new(Int64Array::from(vec![Some(5), Some(6)]));
    let field = Arc::new(arrow::datatypes::Field::new(
        "customer",
        arrow::datatypes::DataType::Int64,
        true,
    ));
    let group = StructArray::new(vec![field].into(), vec![inner], Some(vec![true, false].into()));
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1), Some(2)]), None]);
    let long = Decimal128Array::from(vec![123_456_789_012_345_678_901, 0]).with_precision_and_scale(30, 3);
    let rows = Rows::new(&batch(vec![
        ("word", Arc::new(words)),
        ("small", Arc::new(Int16Array::from(vec![-3, 4]))),
        ("large", Arc::new(UInt64Array::from(vec![u64::MAX, 1]))),
        ("single", Arc::new(Float32Array::from(vec![0.5, f32::NAN]))),
        ("day", Arc::new(Date32Array::from(vec![1, -1]))),
        ("long", Arc::new(long.expect("fits"))),
        ("entities", Arc::new(group)),
        ("list", Arc::new(list)),
    ]))
    .expect("readable");
    assert_eq!(
        json(&rows),
        [
            r#"{"word":"x","small":-3,"large":"18446744073709551615","single":0.5,"day":"1970-01-02T00:00:00Z","long":"123456789012345678.901","entities.customer":5,"list":"[1, 2]"}"#,
            r#"{"small":4,"large":"1","single":null,"day":"1969-12-31T00:00:00Z","long":"0.000"}"#,
        ]
    );
    let first = rows.iter().next().expect("two rows");
    assert_eq!(first.cell("entities.customer"), Some(Cell::Int(5)));
    assert_eq!(first.cell("nowhere"), None);
    assert_eq!((rows.len(), rows.place("small")), (2, Some(1)));
}

#[test]
fn a_column_is_what_all_its_lines_say() {
    let folder = Folder::new("lines");
    let text = "{\"a\":null,\"b\":1}\n\n{\"a\":0.5,\"b\":\"x\",\"e\":{\"c\":[1,{\"d\":2}]}}\n{\"a\":2,\"b\":true,\"f.g\":3}\n";
    let expected = [
        r#"{"b":"1"}"#,
        r#"{"a":0.5,"b":"x","e.c":"[1,{\"d\":2}]"}"#,
        r#"{"a":2.0,"b":"true","f.g":3}"#,
    ];
    assert_eq!(lines(&folder.file("t.ndjson", text)), expected);
}

#[test]
fn a_csv_file_keeps_identifiers_as_they_are() {
    let folder = Folder::new("csv");
    let path = folder.file("t.csv", "id,zip,x\n1,01234,\n2,99999,1.5\n");
    assert_eq!(
        lines(&path),
        [r#"{"id":1,"zip":"01234"}"#, r#"{"id":2,"zip":"99999","x":1.5}"#]
    );
}

#[test]
fn a_folder_is_read_in_the_order_of_names_and_columns_can_be_selected() {
    let folder = Folder::new("folder");
    folder.file("b.csv", "id,x\n2,b\n");
    folder.file("a.csv", "id,x\n1,a\n");
    folder.file("README.md", "not a table");
    assert_eq!(lines(&folder.0), [r#"{"id":1,"x":"a"}"#, r#"{"id":2,"x":"b"}"#]);
    let selected = Table::open(&folder.0).expect("opens").select(&["x", "absent"]);
    assert_eq!(selected.schema().fields().len(), 1);
    let first = selected.batches().next().expect("two files").expect("reads");
    assert_eq!(first["x"].as_string::<i32>().value(0), "a");

    folder.file("c.csv", "id,y\n3,c\n");
    let error = Table::open(&folder.0).expect_err("another column");
    assert!(error.to_string().contains("c.csv"), "{error}");
    folder.file("d.ndjson", "{}");
    assert!(
        Table::open(&folder.0)
            .expect_err("another format")
            .to_string()
            .contains("d.ndjson")
    );
}

#[test]
fn what_cannot_be_read_is_named() {
    let folder = Folder::new("broken");
    let error = Table::open(&folder.file("t.ndjson", "{\"a\":1}\n{\"a\":\n")).expect_err("broken");
    assert!(format!("{error:#}").contains("t.ndjson, line 2"), "{error:#}");
    assert!(
        Table::open(&folder.0.join("absent.csv"))
            .expect_err("absent")
            .to_string()
            .contains("no such file")
    );
    let empty = Folder::new("empty");
    assert!(
        Table::open(&empty.0)
            .expect_err("empty")
            .to_string()
            .contains("no .parquet")
    );
}

#[test]
fn rows_are_picked_by_their_numbers_over_all_files() {
    let folder = Folder::new("pick");
    for (name, first) in [("a", 0), ("b", 3), ("c", 6)] {
        let numbers: Vec<i64> = (first..first + 3).collect();
        let bytes: Vec<Vec<u8>> = numbers
            .iter()
            .map(|n| vec![u8::try_from(*n).expect("small"); 4])
            .collect();
        let batch = batch(vec![
            ("n", Arc::new(Int64Array::from(numbers))),
            ("file", Arc::new(BinaryArray::from_iter_values(bytes))),
        ]);
        let mut sink =
            Sink::create(&folder.0.join(format!("{name}.parquet")), batch.schema()).expect("creates");
        sink.write(&batch).expect("writes");
        sink.finish().expect("finishes");
    }
    let table = Table::open(&folder.0).expect("opens");
    let picked = |rows: &[u64]| -> Vec<u8> {
        let batches = table.pick(rows).expect("picks");
        let rows: Vec<Rows> = batches.iter().map(|b| Rows::new(b).expect("readable")).collect();
        let first = |row: Row<'_>| row.bytes("file").expect("bytes").expect("not null")[0];
        rows.iter()
            .flat_map(|rows| rows.iter().map(first).collect::<Vec<_>>())
            .collect()
    };
    assert_eq!(picked(&[1, 2, 7]), [1, 2, 7]);
    assert_eq!(picked(&[8]), [8]);
    assert!(picked(&[]).is_empty());
    assert!(table.pick(&[2, 9]).is_err());
    assert_eq!(table.rows_within(0).expect("tells"), 1);
    assert_eq!(table.rows_within(u64::MAX).expect("tells"), Table::BATCH_ROWS);
    let batches: Vec<_> = table.clone().with_batch_rows(2).batches().collect();
    assert_eq!(batches.len(), 6, "two rows at a time, file by file");
    let rows = Rows::new(batches[0].as_ref().expect("reads")).expect("readable");
    let row = rows.iter().next().expect("two rows");
    assert!(row.bytes("n").is_err() && row.bytes("nowhere").is_err());
}
