//! Versioned, checksummed state of stage partitions (R11).

mod format;

use sha2::{Digest, Sha256};

use self::format::Header;
use crate::error::Result;
use crate::store::Store;

/// How many snapshots stay of each partition and fingerprint.
const KEPT: usize = 3;
const FOLDER: &str = "snapshots";
const SUFFIX: &str = ".snapshot";

/// The snapshots in a store, below `snapshots/<stage>/<partition>/`.
///
/// A snapshot is a commit: whoever stores one has to know that everything sent before it is acknowledged (R11).
/// Any stored one will do, whoever wrote it: the state is a function of the log up to the position (INV-3).
#[derive(Clone, Debug)]
pub struct Snapshots {
    store: Store,
}

/// A partition's state, as it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Offset of the input, next to read.
    pub position: i64,
    /// The state.
    pub payload: Vec<u8>,
}

/// What an object's name says of the snapshot in it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stored {
    path: String,
    position: i64,
    tag: String,
    last_modified_us: i64,
}

impl Snapshots {
    /// The snapshots of this store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Stores a partition's state at a position of its input, and prunes: of this fingerprint the newest three
    /// stay, of all others together as many.
    ///
    /// The fingerprint tells states apart that cannot stand for one another: definitions, layout, topic.
    ///
    /// # Errors
    /// What writing says. That old ones could not be pruned is logged only.
    pub fn put(
        &self,
        stage: &str,
        partition: i32,
        position: i64,
        fingerprint: &str,
        payload: &[u8],
    ) -> Result<()> {
        let header = Header::new(stage, partition, position, fingerprint);
        let path = format!(
            "{}/{position:020}-{}{SUFFIX}",
            folder(stage, partition),
            tag(fingerprint)
        );
        self.store.put(&path, header.seal(payload)?)?;
        if let Err(error) = self.prune(stage, partition, fingerprint) {
            tracing::warn!(
                stage,
                partition,
                error = &error as &dyn std::error::Error,
                "old snapshots stay"
            );
        }
        Ok(())
    }

    /// The newest snapshot that is whole and of this fingerprint.
    ///
    /// One that is damaged is reported as a warning, and the one before it is used.
    ///
    /// # Errors
    /// What listing and reading say.
    pub fn latest(&self, stage: &str, partition: i32, fingerprint: &str) -> Result<Option<Snapshot>> {
        let mut stored = self.stored(stage, partition)?;
        stored.retain(|s| s.tag == tag(fingerprint));
        stored.sort_by_key(|s| std::cmp::Reverse(s.position));
        for candidate in stored {
            let Some(bytes) = self.store.get(&candidate.path)? else {
                continue;
            };
            match Header::new(stage, partition, candidate.position, fingerprint).open(&bytes) {
                Ok(payload) => {
                    return Ok(Some(Snapshot {
                        position: candidate.position,
                        payload,
                    }));
                }
                Err(reason) => {
                    tracing::warn!(stage, partition, path = candidate.path, %reason, "snapshot skipped");
                }
            }
        }
        Ok(None)
    }

    fn stored(&self, stage: &str, partition: i32) -> Result<Vec<Stored>> {
        let listed = self.store.list(&folder(stage, partition))?;
        let parse = |path: &str| {
            let name = path.rsplit('/').next()?.strip_suffix(SUFFIX)?;
            let (position, tag) = name.rsplit_once('-')?;
            Some((position.parse().ok()?, tag.to_owned()))
        };
        Ok(listed
            .into_iter()
            .filter_map(|object| {
                let (position, tag) = parse(&object.path)?;
                Some(Stored {
                    path: object.path,
                    position,
                    tag,
                    last_modified_us: object.last_modified_us,
                })
            })
            .collect())
    }

    fn prune(&self, stage: &str, partition: i32, fingerprint: &str) -> Result<()> {
        let (mut own, mut others): (Vec<_>, Vec<_>) = self
            .stored(stage, partition)?
            .into_iter()
            .partition(|s| s.tag == tag(fingerprint));
        own.sort_by_key(|s| std::cmp::Reverse(s.position));
        // Positions of other fingerprints may count something else; their age is what can be compared.
        others.sort_by_key(|s| std::cmp::Reverse(s.last_modified_us));
        for old in own.iter().skip(KEPT).chain(others.iter().skip(KEPT)) {
            self.store.delete(&old.path)?;
        }
        Ok(())
    }
}

fn folder(stage: &str, partition: i32) -> String {
    format!("{FOLDER}/{stage}/{partition}")
}

/// A short form of the fingerprint, fit for a name; the whole one is in the header.
fn tag(fingerprint: &str) -> String {
    hex::encode(&Sha256::digest(fingerprint.as_bytes())[..8])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn snapshots() -> (tempfile::TempDir, Store, Snapshots) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().to_str().unwrap()).unwrap();
        (folder, store.clone(), Snapshots::new(store))
    }

    fn paths(store: &Store) -> Vec<String> {
        store
            .list("snapshots")
            .unwrap()
            .into_iter()
            .map(|o| o.path)
            .collect()
    }

    #[test]
    fn the_newest_position_is_restored_and_three_are_kept() {
        let (_folder, store, snapshots) = snapshots();
        assert_eq!(snapshots.latest("terminal", 3, "f").unwrap(), None);
        for position in [5, 90, 1_000, 70, 2_000] {
            let state = format!("state at {position} ").repeat(100);
            snapshots
                .put("terminal", 3, position, "f", state.as_bytes())
                .unwrap();
        }
        let latest = snapshots.latest("terminal", 3, "f").unwrap().unwrap();
        assert_eq!(
            latest,
            Snapshot {
                position: 2_000,
                payload: "state at 2000 ".repeat(100).into_bytes()
            }
        );
        assert_eq!(paths(&store).len(), 3);
        assert_eq!(snapshots.latest("terminal", 4, "f").unwrap(), None);
        assert_eq!(snapshots.latest("account", 3, "f").unwrap(), None);
    }

    #[test]
    fn a_damaged_snapshot_is_skipped_for_the_one_before() {
        let (_folder, store, snapshots) = snapshots();
        for position in [1, 2, 3] {
            snapshots
                .put("s", 0, position, "f", format!("state {position}").as_bytes())
                .unwrap();
        }
        let written = paths(&store);
        let mut newest = store.get(&written[2]).unwrap().unwrap().to_vec();
        let middle = newest.len() / 2;
        newest[middle] ^= 1;
        store.put(&written[2], newest).unwrap();
        assert_eq!(
            snapshots.latest("s", 0, "f").unwrap().unwrap().payload,
            b"state 2"
        );
        let second = store.get(&written[1]).unwrap().unwrap();
        store.put(&written[1], second.slice(..second.len() - 1)).unwrap();
        assert_eq!(
            snapshots.latest("s", 0, "f").unwrap().unwrap().payload,
            b"state 1"
        );
        store.put(&written[0], "").unwrap();
        assert_eq!(snapshots.latest("s", 0, "f").unwrap(), None);
    }

    #[test]
    fn a_snapshot_under_another_name_is_not_taken() {
        let (_folder, store, snapshots) = snapshots();
        snapshots.put("s", 0, 7, "f", b"state").unwrap();
        let bytes = store.get(&paths(&store)[0]).unwrap().unwrap();
        store
            .put(&paths(&store)[0].replace("0007-", "0008-"), bytes.clone())
            .unwrap();
        store
            .put(&paths(&store)[0].replace("s/0/", "s/1/"), bytes)
            .unwrap();
        assert_eq!(snapshots.latest("s", 0, "f").unwrap().unwrap().position, 7);
        assert_eq!(snapshots.latest("s", 1, "f").unwrap(), None);
    }

    #[test]
    fn fingerprints_do_not_stand_for_one_another_and_old_ones_go() {
        let (_folder, store, snapshots) = snapshots();
        for fingerprint in ["a", "b", "c", "d", "e"] {
            snapshots
                .put("s", 0, 10, fingerprint, fingerprint.as_bytes())
                .unwrap();
        }
        assert_eq!(paths(&store).len(), 4);
        assert_eq!(snapshots.latest("s", 0, "e").unwrap().unwrap().payload, b"e");
        assert_eq!(snapshots.latest("s", 0, "d").unwrap().unwrap().payload, b"d");
        assert_eq!(snapshots.latest("s", 0, "z").unwrap(), None);
    }
}
