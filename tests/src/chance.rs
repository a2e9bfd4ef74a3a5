//! Chance with a seed that can be given again.

use std::hash::{BuildHasher, RandomState};

use crate::{parameter, say};

/// The variable that gives the seed of a run that failed.
const VARIABLE: &str = "RISKSTREAM_TEST_SEED";

/// A stream of chance.
#[derive(Debug)]
pub struct Chance(u64);

impl Chance {
    /// Starts at the seed that `RISKSTREAM_TEST_SEED` gives, or anywhere; the seed is printed.
    ///
    /// # Panics
    /// If the variable holds something else than a number.
    #[must_use]
    pub fn new() -> Self {
        let given = parameter(VARIABLE).map(|seed| seed.parse().expect("RISKSTREAM_TEST_SEED is a number"));
        let seed = given.unwrap_or_else(|| RandomState::new().hash_one(std::process::id()));
        say(&format!("{VARIABLE}={seed}"));
        Self(seed)
    }

    /// The next number below `bound`.
    ///
    /// # Source
    /// SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
    ///
    /// # Panics
    /// If `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % bound as u64).expect("below a bound that fits")
    }
}

impl Default for Chance {
    fn default() -> Self {
        Self::new()
    }
}
