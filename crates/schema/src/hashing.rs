//! Stable hashes: the same text gives the same number on every machine and in every release.

use xxhash_rust::xxh3::{Xxh3, xxh3_64, xxh3_128};

/// The hash under which state remembers an identifier: XXH3, 128 bits.
///
/// Two of a billion identifiers share one with a probability of about 10⁻²¹.
#[must_use]
pub fn identity(id: &str) -> u128 {
    xxh3_128(id.as_bytes())
}

/// The hash of several parts, none of which can run into its neighbour.
#[must_use]
pub fn identity_of(parts: &[&[u8]]) -> u128 {
    let mut hash = Xxh3::new();
    for part in parts {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.digest128()
}

/// The partition of an internal topic that an entity's events go to.
///
/// It is part of the log's numbers (R15): it may never change for a topic that holds data.
///
/// # Panics
/// If `partitions` is zero.
#[must_use]
pub fn partition_of(entity: &str, partitions: usize) -> usize {
    assert!(partitions > 0, "a topic has at least one partition");
    let bucket = xxh3_64(entity.as_bytes()) % partitions as u64;
    usize::try_from(bucket).expect("below a usize")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_never_change() {
        let found: Vec<usize> = ["", "4711", "customer-1", "ü"]
            .iter()
            .map(|e| partition_of(e, 12))
            .collect();
        assert_eq!(
            found,
            [10, 9, 8, 10],
            "the partition of an entity is part of the log's numbers"
        );
    }

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(identity_of(&[b"ab", b"c"]), identity_of(&[b"a", b"bc"]));
    }
}
