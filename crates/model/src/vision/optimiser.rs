//! Adam with decoupled weight decay, over plain memory.

use super::layer::Decay;
use super::parameter::Parameter;
use super::simd::{Kernel, dispatch};
use crate::scalar::narrow;

const FIRST_DECAY: f64 = 0.9;
const SECOND_DECAY: f64 = 0.999;
const EPSILON: f32 = 1e-8;

/// A parameter and how it learns in a step.
pub(super) struct Learning<'a> {
    pub(super) parameter: &'a mut Parameter,
    pub(super) decay: Decay,
    pub(super) rate: f64,
}

/// Adam with decoupled weight decay over parameters in one order; gradients start again from 0 after a step.
///
/// # Source
/// Loshchilov, Hutter, "Decoupled Weight Decay Regularization" (2019), algorithm 2.
pub(super) struct AdamW {
    weight_decay: f64,
    gradient_clip: f64,
    /// The running moments of each parameter's gradient, made at the first step.
    moments: Vec<[Vec<f32>; 2]>,
    first_power: f64,
    second_power: f64,
}

impl AdamW {
    /// `gradient_clip` is the greatest length of the gradient over all parameters; 0 lets any pass.
    pub(super) const fn new(weight_decay: f64, gradient_clip: f64) -> Self {
        Self {
            weight_decay,
            gradient_clip,
            moments: Vec::new(),
            first_power: 1.0,
            second_power: 1.0,
        }
    }

    /// One step against the gradients. The parameters are the same ones in every step.
    pub(super) fn step(&mut self, mut learning: Vec<Learning<'_>>) {
        let scale = self.clip_scale(&learning);
        self.first_power *= FIRST_DECAY;
        self.second_power *= SECOND_DECAY;
        for (
            at,
            Learning {
                parameter,
                decay,
                rate,
            },
        ) in learning.iter_mut().enumerate()
        {
            if at == self.moments.len() {
                let zeros = vec![0.0; parameter.value.len()];
                self.moments.push([zeros.clone(), zeros]);
            }
            let kept = match decay {
                Decay::Yes => 1.0 - *rate * self.weight_decay,
                Decay::No => 1.0,
            };
            let [first, second] = &mut self.moments[at];
            dispatch(Step {
                values: &mut parameter.value,
                gradients: &mut parameter.gradient,
                first,
                second,
                scale: narrow(scale),
                rate: narrow(*rate / (1.0 - self.first_power)),
                second_scale: narrow(1.0 / (1.0 - self.second_power)),
                kept: narrow(kept),
            });
        }
    }

    /// What shortens the gradient to the greatest length allowed.
    fn clip_scale(&self, learning: &[Learning<'_>]) -> f64 {
        if self.gradient_clip == 0.0 {
            return 1.0;
        }
        let gradients = learning.iter().flat_map(|learning| &learning.parameter.gradient);
        let length = libm::sqrt(gradients.map(|&x| f64::from(x) * f64::from(x)).sum());
        if length > self.gradient_clip {
            self.gradient_clip / length
        } else {
            1.0
        }
    }
}

struct Step<'a> {
    values: &'a mut [f32],
    gradients: &'a mut [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
    scale: f32,
    rate: f32,
    second_scale: f32,
    kept: f32,
}

impl Kernel for Step<'_> {
    #[inline(always)]
    fn run<const VECTORS: usize, const TILE: usize>(self) {
        let (first_decay, second_decay) = (narrow(FIRST_DECAY), narrow(SECOND_DECAY));
        let each = self.values.iter_mut().zip(self.gradients);
        for ((value, gradient), (first, second)) in each.zip(self.first.iter_mut().zip(self.second)) {
            let scaled = std::mem::take(gradient) * self.scale;
            *first = *first * first_decay + scaled * (1.0 - first_decay);
            *second = *second * second_decay + scaled * scaled * (1.0 - second_decay);
            let length = (*second * self.second_scale).sqrt() + EPSILON;
            *value = *value * self.kept - self.rate * *first / length;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ```python
    /// def run(p, decay, rate=.1):
    ///     m = v = 0
    ///     for t in (1, 2, 3):
    ///         g = 3 * p * p; m = .9 * m + .1 * g; v = .999 * v + .001 * g * g
    ///         p = p * (1 - rate * decay) - rate * (m / (1 - .9**t)) / ((v / (1 - .999**t))**.5 + 1e-8)
    ///     return p
    /// run(1., 0), run(-1.5, .5)
    /// ```
    #[test]
    fn the_optimiser_follows_its_source() {
        let mut parameters =
            [(1.0, Decay::No), (-1.5, Decay::Yes)].map(|(p, decay)| (Parameter::new(vec![p]), decay));
        let mut optimiser = AdamW::new(0.5, 0.0);
        for _ in 0..3 {
            for (parameter, _) in &mut parameters {
                parameter.gradient[0] += 3.0 * parameter.value[0] * parameter.value[0];
            }
            let learning = parameters.iter_mut().map(|(parameter, decay)| Learning {
                parameter,
                decay: *decay,
                rate: 0.1,
            });
            optimiser.step(learning.collect());
        }
        let [first, second] = parameters.map(|(parameter, _)| parameter.value[0]);
        assert!(
            (first - 0.704_153_8).abs() < 1e-5 && (second + 1.571_569_4).abs() < 1e-5,
            "{first} {second}"
        );
    }

    #[test]
    fn long_gradients_are_shortened_together() {
        let mut parameters = [3.0, 4.0].map(|_| Parameter::new(vec![0.0]));
        let optimiser = AdamW::new(0.0, 1.0);
        let mut each = parameters.iter_mut().zip([3.0, 4.0]);
        let learning = each.by_ref().map(|(parameter, gradient)| {
            parameter.gradient[0] = gradient;
            Learning {
                parameter,
                decay: Decay::No,
                rate: 0.1,
            }
        });
        assert_eq!(optimiser.clip_scale(&learning.collect::<Vec<_>>()), 0.2);
    }
}
