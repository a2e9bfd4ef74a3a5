//! The tables and files of a run.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::Path;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, TimestampMicrosecondType};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::{read_table, say, scan_table};

/// How long a transaction waits for its image: the default.
const JOIN_WINDOW_US: i64 = 30_000_000;
/// Rows of each run that are shown where tables differ.
const SHOWN: usize = 3;

/// How many images come after their transaction while that waits for them, by the tables of both.
pub(super) fn revisions(lake: &Path) -> usize {
    let columns = ["entity_customer", "transaction_id", "event_time"];
    let read = |table: &str| {
        let mut events: Vec<((String, String), i64)> = Vec::new();
        for batch in read_table(lake, table, &columns) {
            let [accounts, ids] = [0, 1].map(|place| batch.column(place).as_string::<i32>());
            let times = batch.column(2).as_primitive::<TimestampMicrosecondType>();
            events.extend((0..batch.num_rows()).map(|row| {
                let key = (accounts.value(row).to_owned(), ids.value(row).to_owned());
                (key, times.value(row))
            }));
        }
        events
    };
    if !lake.join("tables/images").exists() {
        return 0;
    }
    let transactions: HashMap<_, _> = read("events").into_iter().collect();
    let waited = |(key, at_us): &(_, i64)| {
        let since_us = transactions.get(key)?;
        Some((0..=JOIN_WINDOW_US).contains(&(at_us - since_us)))
    };
    read("images")
        .iter()
        .filter_map(waited)
        .filter(|waited| *waited)
        .count()
}

/// The rows of a table as texts, one after the other.
fn rows(lake: &Path, table: &str) -> impl Iterator<Item = String> {
    let of_batch = |batch: RecordBatch| {
        let options = FormatOptions::new().with_null("null");
        let schema = batch.schema();
        let columns: Vec<ArrayFormatter<'_>> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options).expect("a column of texts and numbers"))
            .collect();
        let row = |row: usize| {
            let named = schema.fields().iter().zip(&columns);
            let cells: Vec<String> = named
                .map(|(field, column)| format!("{}={}", field.name(), column.value(row)))
                .collect();
            cells.join(" ")
        };
        (0..batch.num_rows()).map(row).collect::<Vec<String>>()
    };
    scan_table(lake, table).flat_map(of_batch)
}

fn digest(of: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// Compares a table of two runs row by row, in whatever order; fails with the first rows that differ.
pub(super) fn compare_tables(table: &str, undisturbed: &Path, killed: &Path) {
    let lakes = [("undisturbed", undisturbed), ("killed", killed)];
    let digests = lakes.map(|(_, lake)| {
        let mut digests: Vec<u64> = rows(lake, table).map(|row| digest(&row)).collect();
        digests.sort_unstable();
        digests
    });
    if digests[0] != digests[1] {
        for (nth, (run, lake)) in lakes.iter().enumerate() {
            let other: BTreeSet<u64> = digests[1 - nth].iter().copied().collect();
            let differing = rows(lake, table).filter(|row| !other.contains(&digest(row)));
            differing
                .take(SHOWN)
                .for_each(|row| say(&format!("{run}: {row}")));
        }
        let counts = digests.map(|digests| digests.len());
        panic!("the tables {table}, of {counts:?} rows, differ, see above");
    }
    say(&format!(
        "{} rows of the table {table} are the same",
        digests[0].len()
    ));
}

/// The files of images and what was prepared from them are the same, by name and bytes. Of a write that a kill cuts short
/// a file may be left that no reader of the store sees: so many at most, and none where nothing was killed.
pub(super) fn compare_objects(undisturbed: &Path, killed: &Path, cut_short: usize) {
    let [(expected, none), (found, left)] = [undisturbed, killed].map(|lake| {
        let mut files = BTreeMap::new();
        for folder in ["images", "prepared"] {
            add_files(&lake.join(folder), lake, &mut files);
        }
        let (seen, unseen): (BTreeMap<_, _>, BTreeMap<_, _>) =
            files.into_iter().partition(|(name, _)| !is_unfinished(name));
        (seen, unseen.len())
    });
    let differing: Vec<&String> = expected
        .keys()
        .chain(found.keys())
        .filter(|name| expected.get(*name) != found.get(*name))
        .collect();
    assert!(
        differing.is_empty(),
        "files differ, are missing or left over: {differing:?}"
    );
    assert!(
        none == 0 && left <= cut_short,
        "{none} and {left} files of writes that were cut short"
    );
    say(&format!(
        "{} files of images are the same, {left} writes were cut short",
        expected.len()
    ));
}

/// Whether the store is still writing a file of this name, or was when it was killed: it has a number after the last `#`.
fn is_unfinished(name: &str) -> bool {
    let number = name.rsplit_once('#').map(|(_, number)| number);
    number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The files below a folder with a digest of what is in them.
fn add_files(folder: &Path, lake: &Path, files: &mut BTreeMap<String, u64>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.map(|entry| entry.expect("the folder can be read")) {
        let path = entry.path();
        if path.is_dir() {
            add_files(&path, lake, files);
        } else {
            let name = path
                .strip_prefix(lake)
                .expect("it lies there")
                .display()
                .to_string();
            files.insert(name, digest(&fs::read(&path).expect("the file can be read")));
        }
    }
}

/// However often trainers were killed, no version of an image is there twice for one time of training.
pub(super) fn versions_are_there_once(lake: &Path) {
    if !lake.join("tables/training_images").exists() {
        return;
    }
    let mut seen = BTreeSet::new();
    for batch in read_table(lake, "training_images", &["as_of", "image_id", "version"]) {
        let times = batch.column(0).as_primitive::<TimestampMicrosecondType>();
        let ids = batch.column(1).as_string::<i32>();
        let versions = batch.column(2).as_primitive::<Int32Type>();
        for row in 0..batch.num_rows() {
            let version = (times.value(row), ids.value(row).to_owned(), versions.value(row));
            assert!(seen.insert(version.clone()), "{version:?} is there twice");
        }
    }
    say(&format!("{} versions of images were learned from", seen.len()));
}
