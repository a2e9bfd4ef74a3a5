//! Sightings: which images have been seen before, nearly alike, and with which other accounts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xxhash_rust::xxh3::xxh3_128;

use crate::PerceptualHash;

/// Bits by which two hashes may differ and still be found.
pub const MAX_RADIUS: u32 = 3;

/// Bands of a hash. Of hashes that differ in at most three bits, one of four bands is equal.
const BANDS: usize = 4;

/// What is remembered, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SightingLimits {
    /// Microseconds after which a sighting is forgotten; nothing is by age if there is none.
    pub window_us: Option<i64>,
    /// Sightings remembered; beyond them the oldest is forgotten.
    pub max_sightings: usize,
}

impl Default for SightingLimits {
    fn default() -> Self {
        Self {
            window_us: None,
            max_sightings: 1_000_000,
        }
    }
}

/// What was seen of an image before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeenBefore {
    /// Sightings of images nearly alike.
    pub count: u64,
    /// Accounts among them, other than the one asking.
    pub other_accounts: u64,
    /// The earliest of them, microseconds since the Unix epoch.
    pub first_seen_us: Option<i64>,
}

/// One sighting. The order is that of time, so that the oldest are forgotten first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Sighting {
    at_us: i64,
    hash: PerceptualHash,
    /// Hash of the account's token, 128 bits.
    account: u128,
    /// Tells apart sightings that are alike in all else.
    number: u64,
}

/// An index of perceptual hashes that finds those within [`MAX_RADIUS`] bits, and no others.
///
/// A query looks only at hashes that share a band of 16 bits with the one asked for, and at their sightings.
/// Serialised, it is its limits and its sightings in their order: equal indexes give equal bytes.
///
/// # Source
/// M. Norouzi, A. Punjani, D. Fleet, "Fast exact search in Hamming space with multi-index hashing" (2014), section 3.
#[derive(Clone, Debug, Default)]
pub struct Sightings {
    limits: SightingLimits,
    newest_us: Option<i64>,
    inserted: u64,
    sightings: BTreeSet<Sighting>,
    /// Sightings of each hash by time.
    by_hash: HashMap<PerceptualHash, BTreeMap<(i64, u64), u128>>,
    /// The hashes that have a band's value.
    bands: [HashMap<u16, Vec<PerceptualHash>>; BANDS],
}

impl Sightings {
    /// An empty index.
    #[must_use]
    pub fn new(limits: SightingLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// How many sightings are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sightings.len()
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sightings.is_empty()
    }

    /// Remembers that an account showed an image, and forgets what the limits say.
    ///
    /// # Units
    /// Microseconds since the Unix epoch. Sightings may come in any order; one that is too old is not remembered.
    pub fn insert(&mut self, hash: PerceptualHash, account: &str, at_us: i64) {
        let sighting = Sighting {
            at_us,
            hash,
            account: xxh3_128(account.as_bytes()),
            number: self.inserted,
        };
        self.inserted += 1;
        self.newest_us = self.newest_us.max(Some(at_us));
        self.add(sighting);
        self.forget();
    }

    /// What was seen within `radius` bits of an image until a time, that time included.
    ///
    /// # Panics
    /// If the radius is more than [`MAX_RADIUS`]: the index would not find everything.
    #[must_use]
    pub fn seen_before(&self, hash: PerceptualHash, account: &str, at_us: i64, radius: u32) -> SeenBefore {
        assert!(
            radius <= MAX_RADIUS,
            "a radius of {radius} is more than the index is exact for"
        );
        let account = xxh3_128(account.as_bytes());
        let start = self
            .limits
            .window_us
            .map_or(i64::MIN, |window| at_us.saturating_sub(window).saturating_add(1));
        let (mut seen, mut others) = (SeenBefore::default(), BTreeSet::new());
        if start > at_us {
            return seen;
        }
        for near in self.near(hash, radius) {
            for (&(time, _), &who) in self.by_hash[&near].range((start, 0)..=(at_us, u64::MAX)) {
                seen.count += 1;
                seen.first_seen_us = Some(seen.first_seen_us.map_or(time, |first| first.min(time)));
                if who != account {
                    others.insert(who);
                }
            }
        }
        seen.other_accounts = others.len() as u64;
        seen
    }

    fn near(&self, hash: PerceptualHash, radius: u32) -> BTreeSet<PerceptualHash> {
        let buckets = bands(hash)
            .into_iter()
            .zip(&self.bands)
            .filter_map(|(value, band)| band.get(&value));
        buckets
            .flatten()
            .copied()
            .filter(|other| hash.distance(*other) <= radius)
            .collect()
    }

    fn add(&mut self, sighting: Sighting) {
        let Sighting {
            at_us,
            hash,
            account,
            number,
        } = sighting;
        self.sightings.insert(sighting);
        let of_hash = self.by_hash.entry(hash).or_default();
        if of_hash.is_empty() {
            for (value, band) in bands(hash).into_iter().zip(&mut self.bands) {
                band.entry(value).or_default().push(hash);
            }
        }
        of_hash.insert((at_us, number), account);
    }

    fn forget(&mut self) {
        while let Some(oldest) = self.sightings.first().copied() {
            let age_us = self
                .newest_us
                .unwrap_or(oldest.at_us)
                .saturating_sub(oldest.at_us);
            let old = self.limits.window_us.is_some_and(|window| age_us >= window);
            if !old && self.sightings.len() <= self.limits.max_sightings {
                return;
            }
            self.remove(oldest);
        }
    }

    fn remove(&mut self, sighting: Sighting) {
        let Sighting {
            at_us, hash, number, ..
        } = sighting;
        self.sightings.remove(&sighting);
        let Some(of_hash) = self.by_hash.get_mut(&hash) else {
            return;
        };
        of_hash.remove(&(at_us, number));
        if !of_hash.is_empty() {
            return;
        }
        self.by_hash.remove(&hash);
        for (value, band) in bands(hash).into_iter().zip(&mut self.bands) {
            if let Some(hashes) = band.get_mut(&value) {
                hashes.retain(|other| *other != hash);
                if hashes.is_empty() {
                    band.remove(&value);
                }
            }
        }
    }
}

fn bands(hash: PerceptualHash) -> [u16; BANDS] {
    let bytes = hash.0.to_be_bytes();
    std::array::from_fn(|band| u16::from_be_bytes([bytes[2 * band], bytes[2 * band + 1]]))
}

/// What a snapshot holds.
#[derive(Serialize, Deserialize)]
struct Snapshot {
    limits: SightingLimits,
    newest_us: Option<i64>,
    inserted: u64,
    sightings: Vec<Sighting>,
}

impl Serialize for Sightings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let snapshot = Snapshot {
            limits: self.limits.clone(),
            newest_us: self.newest_us,
            inserted: self.inserted,
            sightings: self.sightings.iter().copied().collect(),
        };
        snapshot.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Sightings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let snapshot = Snapshot::deserialize(deserializer)?;
        let mut sightings = Self::new(snapshot.limits);
        (sightings.newest_us, sightings.inserted) = (snapshot.newest_us, snapshot.inserted);
        snapshot
            .sightings
            .into_iter()
            .for_each(|sighting| sightings.add(sighting));
        Ok(sightings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Sightings in a list, searched from beginning to end.
    #[derive(Default)]
    struct BruteForce(Vec<(u64, String, i64)>);

    impl BruteForce {
        fn seen_before(&self, hash: u64, account: &str, from_us: i64, to_us: i64, radius: u32) -> SeenBefore {
            let near = |s: &&(u64, String, i64)| {
                (s.0 ^ hash).count_ones() <= radius && s.2 > from_us && s.2 <= to_us
            };
            let seen: Vec<_> = self.0.iter().filter(near).collect();
            let others: BTreeSet<_> = seen.iter().map(|s| &s.1).filter(|who| *who != account).collect();
            SeenBefore {
                count: seen.len() as u64,
                other_accounts: others.len() as u64,
                first_seen_us: seen.iter().map(|s| s.2).min(),
            }
        }
    }

    /// Hashes near a few centres, so that many are within the radius and many just outside.
    fn hash() -> impl Strategy<Value = u64> {
        let flips = prop::collection::vec(0_u32..64, 0..5);
        (0_u64..3, flips).prop_map(|(centre, flips)| {
            flips
                .into_iter()
                .fold(centre.wrapping_mul(0x9E37_79B9_7F4A_7C15), |hash, bit| {
                    hash ^ 1 << bit
                })
        })
    }

    fn sighting() -> impl Strategy<Value = (u64, String, i64)> {
        (hash(), 0..4, 0_i64..50).prop_map(|(hash, account, at_us)| (hash, format!("tok_{account}"), at_us))
    }

    proptest! {
        #[test]
        fn it_finds_what_brute_force_finds(
            all in prop::collection::vec(sighting(), 0..80), asked in sighting(), radius in 0..=MAX_RADIUS,
        ) {
            let mut index = Sightings::default();
            for (hash, account, at_us) in &all {
                index.insert(PerceptualHash(*hash), account, *at_us);
            }
            let (hash, account, at_us) = asked;
            let expected = BruteForce(all).seen_before(hash, &account, i64::MIN, at_us, radius);
            prop_assert_eq!(index.seen_before(PerceptualHash(hash), &account, at_us, radius), expected);
        }

        #[test]
        fn within_the_window_nothing_is_missed(
            mut all in prop::collection::vec(sighting(), 0..80), asked in hash(), window_us in 1_i64..30,
        ) {
            all.sort_by_key(|sighting| sighting.2);
            let mut index = Sightings::new(SightingLimits { window_us: Some(window_us), ..SightingLimits::default() });
            for (hash, account, at_us) in &all {
                index.insert(PerceptualHash(*hash), account, *at_us);
                prop_assert!(index.sightings.iter().all(|s| s.at_us > at_us - window_us));
            }
            let now = all.last().map_or(0, |sighting| sighting.2);
            let expected = BruteForce(all).seen_before(asked, "", now - window_us, now, 3);
            prop_assert_eq!(index.seen_before(PerceptualHash(asked), "", now, 3), expected);
        }

        #[test]
        fn a_snapshot_goes_on_alike(
            all in prop::collection::vec(sighting(), 0..60), more in prop::collection::vec(sighting(), 0..60),
        ) {
            let limits = SightingLimits { window_us: Some(30), max_sightings: 40 };
            let mut index = Sightings::new(limits);
            all.iter().for_each(|(hash, account, at_us)| index.insert(PerceptualHash(*hash), account, *at_us));
            let bytes = postcard::to_stdvec(&index).unwrap();
            let mut restored: Sightings = postcard::from_bytes(&bytes).unwrap();
            for (hash, account, at_us) in &more {
                index.insert(PerceptualHash(*hash), account, *at_us);
                restored.insert(PerceptualHash(*hash), account, *at_us);
            }
            prop_assert_eq!(postcard::to_stdvec(&index).unwrap(), postcard::to_stdvec(&restored).unwrap());
            prop_assert_eq!(&index.by_hash, &restored.by_hash);
        }
    }

    #[test]
    fn memory_is_that_of_the_sightings_remembered() {
        let mut index = Sightings::new(SightingLimits {
            window_us: None,
            max_sightings: 10,
        });
        for i in 0..1000 {
            index.insert(PerceptualHash(i * 7919), "tok", i as i64);
        }
        assert_eq!(index.len(), 10);
        assert_eq!(index.by_hash.len(), 10);
        assert!(
            index
                .bands
                .iter()
                .all(|band| band.values().map(Vec::len).sum::<usize>() == 10)
        );
    }

    #[test]
    #[should_panic(expected = "radius of 4")]
    fn a_radius_it_is_not_exact_for_is_refused() {
        let _ = Sightings::default().seen_before(PerceptualHash(0), "", 0, 4);
    }
}
