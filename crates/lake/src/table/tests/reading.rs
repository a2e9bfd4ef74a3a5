//! What is read is what was written, no more than the range, and no file that cannot matter.

use super::*;

fn range(from_us: i64, to_us: i64) -> Option<TimeRange<'static>> {
    Some(TimeRange {
        column: "event_time",
        from_us,
        to_us,
    })
}

#[test]
fn a_time_range_is_exact_to_the_microsecond() {
    let folder = Folder::new();
    let mut table = folder.table();
    // The log cuts 1,999 to 1 ms; a reader who takes that for the greatest value loses the row.
    table
        .append(&[rows([1_000, 1_500, 1_999])], &BTreeMap::new())
        .unwrap();
    table.append(&[rows([-2_001, -1])], &BTreeMap::new()).unwrap();
    let read = |from_us, to_us| indices(&table.read(None, range(from_us, to_us)).unwrap());
    assert_eq!(read(1_999, 2_000), [1_999]);
    assert_eq!(read(1_000, 1_999), [1_000, 1_500]);
    assert_eq!(read(-2_001, -2_000), [-2_001]);
    assert_eq!(read(-1, 1_001), [-1, 1_000]);
    assert_eq!(read(0, 1_000), [0_i64; 0]);
    assert_eq!(read(i64::MIN, i64::MAX), [-2_001, -1, 1_000, 1_500, 1_999]);
    let day = 86_400_000_000;
    assert_eq!(read(day, i64::MAX), [0_i64; 0]);
}

#[test]
fn files_outside_the_range_are_not_opened() {
    let folder = Folder::new();
    let mut table = folder.table();
    table.append(&[rows([1_000_000])], &BTreeMap::new()).unwrap();
    let old = folder.data_files();
    table.append(&[rows([9_000_000])], &BTreeMap::new()).unwrap();
    std::fs::remove_file(&old[0]).unwrap();
    assert_eq!(
        indices(&table.read(None, range(9_000_000, 9_000_001)).unwrap()),
        [9_000_000]
    );
    let error = table.read(None, range(0, 2_000_000)).unwrap_err();
    assert!(matches!(error, LakeError::File { .. }), "{error:?}");
    assert_eq!(table.scan(None, None).unwrap().filter(Result::is_err).count(), 1);
}

#[test]
fn columns_come_in_the_order_asked_for_without_those_of_the_range() {
    let folder = Folder::new();
    let mut table = folder.table();
    table.append(&[rows(0..50_000)], &BTreeMap::new()).unwrap();
    let both = table.read(Some(&["event_time", "index"]), None).unwrap();
    assert_eq!(both[0].schema().field(0).name(), "event_time");
    assert_eq!(both.iter().map(RecordBatch::num_rows).sum::<usize>(), 50_000);
    let one = table.read(Some(&["index"]), range(10, 40_000)).unwrap();
    assert_eq!(one[0].num_columns(), 1);
    assert_eq!(indices(&one), (10..40_000).collect::<Vec<_>>());
    let none: usize = table
        .read(Some(&[]), range(10, 15))
        .unwrap()
        .iter()
        .map(RecordBatch::num_rows)
        .sum();
    assert_eq!(none, 5);
    let numbers = TimeRange {
        column: "index",
        from_us: 3,
        to_us: 5,
    };
    assert_eq!(indices(&table.read(None, Some(numbers)).unwrap()), [3, 4]);
    assert!(
        matches!(table.read(Some(&["amount"]), None), Err(LakeError::Column { column, .. }) if column == "amount")
    );
}

#[test]
fn large_appends_are_read_whole_and_by_row_group() {
    let folder = Folder::new();
    let mut table = folder.table();
    table
        .append(&[rows(0..200_000), rows(200_000..400_000)], &at("a", 1))
        .unwrap();
    assert_eq!(all_indices(&table), (0..400_000).collect::<Vec<_>>());
    assert_eq!(
        indices(&table.read(None, range(131_070, 131_080)).unwrap()),
        (131_070..131_080).collect::<Vec<_>>()
    );
}

#[test]
fn an_earlier_version_is_read_as_it_was() {
    let folder = Folder::new();
    let mut table = folder.table();
    for index in 0..4 {
        table.append(&[rows([index])], &at("a", index)).unwrap();
    }
    assert_eq!(indices(&table.read_at(2, None, None).unwrap()), [0, 1]);
    assert_eq!(indices(&table.read_at(4, None, range(1, 3)).unwrap()), [1, 2]);
    assert_eq!(indices(&table.read_at(0, None, None).unwrap()), [0_i64; 0]);
    assert!(table.read_at(5, None, None).is_err());
    assert!(table.read_at(-1, None, None).is_err());
    assert_eq!(table.version(), 4);
}
