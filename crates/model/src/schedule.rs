//! The learning rate of each step.

/// What a [`Schedule`] runs through.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    /// The rate at its highest.
    pub(crate) highest: f64,
    /// The share of all steps over which it rises from 0.
    pub(crate) warmup_share: f64,
    /// The rate at the last step, as a share of the highest.
    pub(crate) final_share: f64,
}

/// A linear rise, then a cosine's fall.
pub(crate) struct Schedule {
    step: usize,
    warmup_steps: usize,
    steps: usize,
    highest: f64,
    last: f64,
}

impl Schedule {
    /// The rates of this many steps.
    pub(crate) fn new(rates: &Rates, steps: usize) -> Self {
        Self {
            step: 0,
            warmup_steps: crate::scalar::floor_index(rates.warmup_share * steps as f64, steps + 1),
            steps,
            highest: rates.highest,
            last: rates.highest * rates.final_share,
        }
    }

    /// The rate of the next step, counted from the first.
    pub(crate) fn next_rate(&mut self) -> f64 {
        self.step += 1;
        if self.step <= self.warmup_steps {
            return self.highest * self.step as f64 / self.warmup_steps as f64;
        }
        let falling = (self.steps - self.warmup_steps).max(1) as f64;
        let through = ((self.step - self.warmup_steps) as f64 / falling).min(1.0);
        let height = 0.5 * (1.0 + libm::cos(std::f64::consts::PI * through));
        self.last + (self.highest - self.last) * height
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_then_falls_to_its_last() {
        let rates = Rates {
            highest: 0.1,
            warmup_share: 0.1,
            final_share: 0.1,
        };
        let mut schedule = Schedule::new(&rates, 100);
        let rates: Vec<f64> = (0..105).map(|_| schedule.next_rate()).collect();
        assert!((rates[0] - 0.01).abs() < 1e-12 && (rates[9] - 0.1).abs() < 1e-12);
        assert!(rates[9..100].windows(2).all(|pair| pair[0] > pair[1]));
        assert!((rates[99] - 0.01).abs() < 1e-12 && rates[104] == rates[99]);
    }
}
