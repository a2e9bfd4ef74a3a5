//! Chance, drawn the same way on every machine.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a stream of chance is used for: each use has its own, so that one never shifts another.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub(super) enum Use {
    /// Towns and terminals.
    World = 1,
    /// Who a customer is.
    Customer = 2,
    /// Where a customer travels.
    Trip = 3,
    /// What a customer buys on a day.
    Day = 4,
    /// What fraudsters do on a day.
    Fraud = 5,
    /// Which documents of a day are photographed or scanned, and what becomes of each.
    Document = 6,
    /// What a merchant's receipts look like.
    Merchant = 7,
    /// What a customer's cheques look like, and the customer's hand.
    Chequebook = 8,
}

/// A source of chance.
///
/// Everything is made from the generator's 64-bit words here, and logarithms come from `libm`: neither a new
/// release of a library nor another platform's arithmetic changes a simulated row.
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    /// The stream for this use of a seed; `who` and `when` tell apart whom it is about and in which span of time.
    pub(super) fn new(seed: u64, purpose: Use, who: u64, when: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&(purpose as u64).to_le_bytes());
        key[16..24].copy_from_slice(&when.to_le_bytes());
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream(who);
        Self(rng)
    }

    /// Any 64-bit number.
    pub(super) fn word(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number in [0, 1).
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a float exactly")]
    pub(super) fn unit(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number in [low, high).
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// A whole number below `n`, which is at least 1.
    #[expect(clippy::cast_possible_truncation, reason = "the result is below n")]
    pub(super) fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.word()) * n as u128) >> 64) as usize
    }

    /// A whole number from `low` to `high`, both included.
    pub(super) fn count(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// A whole number from 0 to one below `n`; 0 if there is none.
    pub(super) fn whole_below(&mut self, n: i32) -> i32 {
        i32::try_from(self.below(usize::try_from(n).unwrap_or(0))).unwrap_or(0)
    }

    /// A byte below `n`, which is at least 1.
    pub(super) fn byte_below(&mut self, n: u8) -> u8 {
        u8::try_from(self.below(usize::from(n))).unwrap_or(0)
    }

    /// One of several things, of which there is at least one.
    pub(super) fn pick<T: Copy>(&mut self, things: &[T]) -> T {
        things[self.below(things.len())]
    }

    /// Whether something of this probability happens.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A standard normal number.
    ///
    /// # Source
    /// Box and Muller (1958), the cosine half.
    pub(super) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * libm::log(1.0 - self.unit())).sqrt();
        radius * libm::cos(std::f64::consts::TAU * self.unit())
    }

    /// A log-normal number of this median and deviation of its logarithm.
    pub(super) fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        median * libm::exp(sigma * self.normal())
    }

    /// An exponential number of this mean.
    pub(super) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * libm::log(1.0 - self.unit())
    }

    /// A Poisson number of this mean, which is small.
    pub(super) fn poisson(&mut self, mean: f64) -> usize {
        let limit = libm::exp(-mean);
        let (mut n, mut product) = (0, self.unit());
        while product > limit {
            n += 1;
            product *= self.unit();
        }
        n
    }
}

/// Things with weights, to draw from.
#[derive(Clone, Debug, Default)]
pub(super) struct Urn {
    items: Vec<u32>,
    cumulative: Vec<f64>,
}

impl Urn {
    /// Puts a thing in.
    pub(super) fn add(&mut self, item: u32, weight: f64) {
        self.items.push(item);
        self.cumulative.push(self.total() + weight);
    }

    /// The sum of the weights.
    pub(super) fn total(&self) -> f64 {
        self.cumulative.last().copied().unwrap_or(0.0)
    }

    /// Draws a thing and leaves it in.
    pub(super) fn draw(&self, dice: &mut Dice) -> u32 {
        let at = dice.unit() * self.total();
        let place = self.cumulative.partition_point(|&c| c <= at);
        self.items[place.min(self.items.len() - 1)]
    }

    /// What is in it.
    pub(super) fn items(&self) -> &[u32] {
        &self.items
    }
}

/// The whole number nearest to a number of ordinary size.
#[expect(
    clippy::cast_possible_truncation,
    reason = "money and times of a simulation are far below 2^63"
)]
pub(super) fn whole(x: f64) -> i64 {
    x.round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dice() -> Dice {
        Dice::new(1, Use::Day, 0, 0)
    }

    fn mean(draw: impl FnMut(usize) -> f64) -> f64 {
        (0..20_000).map(draw).sum::<f64>() / 20_000.0
    }

    #[test]
    fn streams_are_repeatable_and_apart() {
        let first = |seed, purpose, who, when| Dice::new(seed, purpose, who, when).word();
        let base = first(1, Use::Day, 2, 3);
        assert_eq!(base, first(1, Use::Day, 2, 3));
        for other in [
            first(2, Use::Day, 2, 3),
            first(1, Use::Trip, 2, 3),
            first(1, Use::Day, 3, 3),
        ] {
            assert_ne!(base, other);
        }
        assert_ne!(base, first(1, Use::Day, 2, 4));
    }

    #[test]
    fn distributions_have_their_means() {
        let mut d = dice();
        assert!((mean(|_| d.unit()) - 0.5).abs() < 0.01);
        assert!(mean(|_| d.normal()).abs() < 0.03);
        assert!((mean(|_| d.normal().powi(2)) - 1.0).abs() < 0.04);
        assert!((mean(|_| d.exponential(3.0)) - 3.0).abs() < 0.1);
        assert!((mean(|_| f64::from(u32::try_from(d.poisson(2.5)).expect("small"))) - 2.5).abs() < 0.05);
    }

    #[test]
    fn an_urn_follows_its_weights() {
        let mut urn = Urn::default();
        urn.add(7, 1.0);
        urn.add(9, 3.0);
        let mut d = dice();
        let share = mean(|_| if urn.draw(&mut d) == 9 { 1.0 } else { 0.0 });
        assert!((share - 0.75).abs() < 0.02, "{share}");
    }
}
