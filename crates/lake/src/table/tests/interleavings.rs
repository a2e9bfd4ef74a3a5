//! Two handles take turns in any order; a simple account of who knew what says which commits must be made.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    /// This handle appends so many rows and moves these ids (a bit each).
    Append {
        handle: usize,
        ids: u8,
        rows: i64,
    },
    Reload {
        handle: usize,
    },
    /// The handle's process dies; a new one opens the table.
    Restart {
        handle: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..2_usize, 1..8_u8, 0..3_i64).prop_map(|(handle, ids, rows)| Step::Append { handle, ids, rows }),
        2 => (0..2_usize).prop_map(|handle| Step::Reload { handle }),
        1 => (0..2_usize).prop_map(|handle| Step::Restart { handle }),
    ]
}

/// What the table must hold.
#[derive(Default)]
struct Account {
    progress: BTreeMap<String, i64>,
    rows: Vec<i64>,
    known: [BTreeMap<String, i64>; 2],
    next_row: i64,
}

impl Account {
    /// The ids' versions after a handle's next append, by what it knows.
    fn next(&self, handle: usize, ids: u8) -> BTreeMap<String, i64> {
        let chosen = (0..3)
            .filter(|bit| ids >> bit & 1 == 1)
            .map(|bit| format!("id{bit}"));
        chosen
            .map(|id| (id.clone(), self.known[handle].get(&id).map_or(0, |at| at + 1)))
            .collect()
    }

    fn append(&mut self, handle: usize, table: &mut Table, ids: u8, count: i64) {
        let moved = self.next(handle, ids);
        let overtaken = moved
            .keys()
            .any(|id| self.known[handle].get(id) != self.progress.get(id));
        let new: Vec<i64> = (self.next_row..self.next_row + count).collect();
        self.next_row += count;
        match table.append(&[rows(new.clone())], &moved) {
            Ok(_) => {
                assert!(!overtaken, "a commit that had to conflict was made");
                self.rows.extend(new);
                self.progress.extend(moved);
                self.known[handle] = self.progress.clone();
            }
            Err(LakeError::Conflict { .. }) => assert!(overtaken, "a commit conflicted over nothing"),
            Err(error) => panic!("{error:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn each_row_is_there_once_whoever_wrote_when(steps in proptest::collection::vec(step(), 1..14)) {
        let folder = Folder::new();
        let mut tables = [folder.table(), folder.table()];
        let mut account = Account::default();
        for step in steps {
            match step {
                Step::Append { handle, ids, rows } => account.append(handle, &mut tables[handle], ids, rows),
                Step::Reload { handle } => {
                    tables[handle].reload().unwrap();
                    account.known[handle] = account.progress.clone();
                }
                Step::Restart { handle } => {
                    tables[handle] = folder.table();
                    account.known[handle] = account.progress.clone();
                }
            }
        }
        for (handle, table) in tables.iter().enumerate() {
            prop_assert_eq!(table.progress(""), account.known[handle].clone());
        }
        prop_assert_eq!(folder.table().progress(""), account.progress);
        prop_assert_eq!(all_indices(&folder.table()), account.rows);
    }
}
