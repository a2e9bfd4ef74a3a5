//! R14: rows, offset and marks in one commit, made once.

use super::*;

#[test]
fn rows_and_progress_come_together_and_are_seen_by_others() {
    let folder = Folder::new();
    let mut table = folder.table();
    assert_eq!(table.version(), 0);
    let progress = BTreeMap::from([("lake/p/0".to_owned(), 7), ("lake/q/1".to_owned(), -1)]);
    assert_eq!(
        table.append(&[rows([1, 2]), rows([3])], &progress).unwrap(),
        Appended { version: 1 }
    );
    for seen in [&table, &folder.table()] {
        assert_eq!(seen.version(), 1);
        assert_eq!(all_indices(seen), [1, 2, 3]);
        assert_eq!(seen.progress(""), progress);
        assert_eq!(seen.progress("lake/p"), at("lake/p/0", 7));
        assert_eq!(seen.progress("nobody"), BTreeMap::new());
    }
}

#[test]
fn progress_alone_is_a_commit_and_nothing_is_none() {
    let folder = Folder::new();
    let mut table = folder.table();
    assert_eq!(table.append(&[], &at("a", 1)).unwrap().version, 1);
    assert_eq!(table.append(&[rows([])], &at("a", 2)).unwrap().version, 2);
    assert_eq!(table.append(&[], &at("a", 2)).unwrap().version, 2);
    assert_eq!(table.append(&[], &BTreeMap::new()).unwrap().version, 2);
    assert_eq!(folder.table().version(), 2);
    assert_eq!(folder.data_files().len(), 0);
}

#[test]
fn a_stale_base_conflicts_over_the_same_id_and_leaves_nothing() {
    let folder = Folder::new();
    let (mut one, mut other) = (folder.table(), folder.table());
    one.append(&[rows([1])], &at("a", 1)).unwrap();
    for attempt in 0..2 {
        let mut progress = at("a", 2);
        progress.insert("b".to_owned(), 1);
        let error = other.append(&[rows([2])], &progress).unwrap_err();
        assert!(
            matches!(error, LakeError::Conflict { base: 0, .. }),
            "attempt {attempt}: {error:?}"
        );
        assert!(error.is_retryable());
    }
    assert_eq!(folder.data_files().len(), 1);
    assert_eq!(all_indices(&folder.table()), [1]);
    assert_eq!(folder.table().progress(""), at("a", 1));
    other.reload().unwrap();
    assert_eq!(other.progress(""), at("a", 1));
    other.append(&[rows([2])], &at("a", 2)).unwrap();
    assert_eq!(all_indices(&folder.table()), [1, 2]);
}

#[test]
fn different_ids_do_not_hinder_one_another() {
    let folder = Folder::new();
    let (mut one, mut other) = (folder.table(), folder.table());
    one.append(&[rows([1])], &at("a", 1)).unwrap();
    assert_eq!(other.append(&[rows([2])], &at("b", 1)).unwrap().version, 2);
    assert_eq!(one.append(&[rows([3])], &at("a", 2)).unwrap().version, 3);
    // Each commit shows its handle the others' up to itself.
    assert_eq!(
        one.progress(""),
        BTreeMap::from([("a".to_owned(), 2), ("b".to_owned(), 1)])
    );
    assert_eq!(all_indices(&one), [1, 2, 3]);
}

#[test]
fn progress_goes_neither_back_nor_nowhere() {
    let folder = Folder::new();
    let mut table = folder.table();
    table.append(&[rows([1])], &at("a", 5)).unwrap();
    let back = table.append(&[rows([2])], &at("a", 4)).unwrap_err();
    assert!(
        matches!(
            back,
            LakeError::ProgressBack {
                committed: 5,
                given: 4,
                ..
            }
        ),
        "{back:?}"
    );
    let again = table.append(&[rows([1])], &at("a", 5)).unwrap_err();
    assert!(matches!(again, LakeError::Repeated { .. }), "{again:?}");
    assert!(!again.is_retryable());
    assert_eq!(all_indices(&folder.table()), [1]);
}

#[test]
fn files_without_a_commit_are_not_rows() {
    let folder = Folder::new();
    let mut table = folder.table();
    table.append(&[rows([1])], &at("a", 1)).unwrap();
    std::fs::copy(
        &folder.data_files()[0],
        folder.path().join("part-of-a-killed-writer.parquet"),
    )
    .unwrap();
    assert_eq!(all_indices(&folder.table()), [1]);
}

#[test]
fn racing_creators_make_one_table_and_lose_nothing() {
    let folder = Folder::new();
    let writers = 6;
    std::thread::scope(|scope| {
        for writer in 0..writers {
            let folder = &folder;
            scope.spawn(move || {
                let mut table = folder.table();
                for round in 0..3 {
                    table
                        .append(&[rows([writer * 10 + round])], &at(&format!("w{writer}"), round))
                        .unwrap();
                }
            });
        }
    });
    let table = folder.table();
    assert_eq!(table.version(), 18);
    assert_eq!(
        all_indices(&table),
        (0..writers)
            .flat_map(|w| (0..3).map(move |r| w * 10 + r))
            .collect::<Vec<_>>()
    );
    assert_eq!(table.progress("w").len(), 6);
    let first = std::fs::read_to_string(folder.path().join("_delta_log/00000000000000000000.json")).unwrap();
    assert_eq!(first.matches("\"metaData\"").count(), 1);
    let later = std::fs::read_to_string(folder.path().join("_delta_log/00000000000000000001.json")).unwrap();
    assert_eq!(later.matches("\"metaData\"").count(), 0);
}

/// A zombie and its successors, all believing to own the same id: each row is there once.
#[test]
fn racing_owners_of_one_id_take_each_index_once() {
    let folder = Folder::new();
    folder.table();
    let last = 20;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let folder = &folder;
            scope.spawn(move || {
                let mut table = folder.table();
                loop {
                    let next = table.progress("a").get("a").map_or(0, |at| at + 1);
                    if next > last {
                        break;
                    }
                    match table.append(&[rows([next])], &at("a", next)) {
                        Ok(_) => {}
                        Err(LakeError::Conflict { .. }) => table.reload().unwrap(),
                        Err(error) => panic!("{error:?}"),
                    }
                }
            });
        }
    });
    assert_eq!(all_indices(&folder.table()), (0..=last).collect::<Vec<_>>());
    assert_eq!(folder.data_files().len(), usize::try_from(last + 1).unwrap());
}

#[test]
fn checkpoints_bound_what_loading_reads() {
    let folder = Folder::new();
    let mut behind = folder.table();
    let mut table = folder.table();
    // One id is in no commit after the checkpoint.
    table.append(&[rows([0])], &at("early", 5)).unwrap();
    for index in 1..130 {
        let app_id = format!("app{}", index % 7);
        table.append(&[rows([index])], &at(&app_id, index)).unwrap();
    }
    let log = folder.path().join("_delta_log");
    assert!(log.join("00000000000000000099.checkpoint.parquet").exists());
    // Commits before the checkpoint are not needed any more.
    for version in 0..99 {
        std::fs::remove_file(log.join(format!("{version:020}.json"))).unwrap();
    }
    let fresh = folder.table();
    assert_eq!(fresh.progress(""), table.progress(""));
    assert_eq!(fresh.progress("").len(), 8);
    assert_eq!(fresh.progress("early"), at("early", 5));
    assert_eq!(all_indices(&fresh), (0..130).collect::<Vec<_>>());
    // A handle from before that cannot know what it missed: it may not commit, but can catch up.
    let error = behind.append(&[rows([1_000])], &at("other", 1)).unwrap_err();
    assert!(matches!(error, LakeError::Conflict { .. }), "{error:?}");
    behind.reload().unwrap();
    assert_eq!(behind.progress(""), table.progress(""));
    behind.append(&[rows([1_000])], &at("other", 1)).unwrap();
}
