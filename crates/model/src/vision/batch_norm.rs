//! Batch norm over positions, with the rectifier that follows it.
//!
//! # Source
//! Ioffe, Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift"
//! (2015), algorithm 1 and the gradients after it. As in PyTorch, the batch is normalised with its biased variance
//! and the running variance follows the unbiased one.

use super::layer::Activation;
use super::maps::Maps;
use super::parameter::Parameter;
use super::simd::{Kernel, dispatch};
use crate::scalar::narrow;

/// Added to variances before the root: that of the pretrained network.
pub(super) const NORM_EPSILON: f64 = 1e-3;

/// Positions summed in single precision before their sum is added in double.
const POSITIONS: usize = 128;

/// The mean and the biased variance of each channel over a batch.
#[derive(Clone, Debug)]
pub(super) struct Statistics {
    mean: Vec<f64>,
    variance: Vec<f64>,
    positions: usize,
}

impl Statistics {
    /// Moves running statistics by a share `momentum` towards these.
    pub(super) fn update(&self, mean: &mut [f32], variance: &mut [f32], momentum: f32) {
        let unbiased = self.positions as f64 / self.positions.saturating_sub(1).max(1) as f64;
        let moved = |old: &mut f32, new: f64| *old += momentum * (narrow(new) - *old);
        for (old, &new) in mean.iter_mut().zip(&self.mean) {
            moved(old, new);
        }
        for (old, &new) in variance.iter_mut().zip(&self.variance) {
            moved(old, new * unbiased);
        }
    }
}

/// The statistics of maps, each channel's sums taken from its first value on so that they do not cancel.
pub(super) fn statistics(maps: &Maps) -> Statistics {
    let (channels, positions) = (maps.channels, maps.positions());
    let start = maps.data[..channels].to_vec();
    let (mut sums, mut squares) = (vec![0.0; channels], vec![0.0; channels]);
    dispatch(Moments {
        data: &maps.data,
        start: &start,
        sums: &mut sums,
        squares: &mut squares,
    });
    let count = positions as f64;
    let offsets = sums.iter().map(|sum| sum / count);
    let mean = offsets
        .clone()
        .zip(&start)
        .map(|(offset, &start)| f64::from(start) + offset);
    let variance = offsets
        .zip(&squares)
        .map(|(offset, square)| (square / count - offset * offset).max(0.0));
    Statistics {
        mean: mean.collect(),
        variance: variance.collect(),
        positions,
    }
}

struct Moments<'a> {
    data: &'a [f32],
    start: &'a [f32],
    sums: &'a mut [f64],
    squares: &'a mut [f64],
}

impl Kernel for Moments<'_> {
    #[inline(always)]
    fn run<const VECTORS: usize, const TILE: usize>(self) {
        let channels = self.start.len();
        let (mut sums, mut squares) = (vec![0.0_f32; channels], vec![0.0_f32; channels]);
        for block in self.data.chunks(POSITIONS * channels) {
            for position in block.chunks_exact(channels) {
                let values = position.iter().zip(self.start);
                for ((value, start), (sum, square)) in values.zip(sums.iter_mut().zip(&mut squares)) {
                    let value = value - start;
                    *sum += value;
                    *square += value * value;
                }
            }
            flush(&mut sums, self.sums);
            flush(&mut squares, self.squares);
        }
    }
}

fn flush(of_block: &mut [f32], sums: &mut [f64]) {
    for (sum, of_block) in sums.iter_mut().zip(of_block) {
        *sum += f64::from(std::mem::take(of_block));
    }
}

/// Maps with mean 0 and variance 1 in each channel.
#[derive(Debug)]
pub(super) struct Normalised {
    maps: Maps,
    /// One over the deviation of each channel before.
    inverse: Vec<f32>,
}

impl Normalised {
    pub(super) fn new(mut maps: Maps, statistics: &Statistics) -> Self {
        let inverse: Vec<f32> = statistics
            .variance
            .iter()
            .map(|variance| narrow(1.0 / libm::sqrt(variance + NORM_EPSILON)))
            .collect();
        let mean: Vec<f32> = statistics.mean.iter().map(|&mean| narrow(mean)).collect();
        dispatch(Standardise {
            data: &mut maps.data,
            mean: &mean,
            inverse: &inverse,
        });
        Self { maps, inverse }
    }

    /// Scaled, shifted and rectified.
    pub(super) fn output(&self, scale: &[f32], shift: &[f32], activation: Activation) -> Maps {
        let Maps {
            batch,
            height,
            width,
            channels,
            ..
        } = self.maps;
        let mut output = Maps::any(batch, height, width, channels);
        dispatch(Rectify {
            from: &self.maps.data,
            to: &mut output.data,
            scale,
            shift,
            bounds: activation.bounds(),
        });
        output
    }

    /// Adds the gradients of scale and shift, and turns the gradient of the output into that of the maps before they
    /// were normalised.
    pub(super) fn backward(
        &self,
        gradient: &mut Maps,
        scale: &mut Parameter,
        shift: &mut Parameter,
        activation: Activation,
    ) {
        let channels = self.maps.channels;
        let (mut of_scale, mut of_shift) = (vec![0.0; channels], vec![0.0; channels]);
        dispatch(Mask {
            normalised: &self.maps.data,
            gradient: &mut gradient.data,
            scale: &scale.value,
            shift: &shift.value,
            bounds: activation.bounds(),
            of_scale: &mut of_scale,
            of_shift: &mut of_shift,
        });
        for (parameter, sums) in [(&mut *scale, &of_scale), (&mut *shift, &of_shift)] {
            let sums = sums.iter().map(|&sum| narrow(sum));
            parameter
                .gradient
                .iter_mut()
                .zip(sums)
                .for_each(|(to, sum)| *to += sum);
        }
        let count = self.maps.positions() as f64;
        let mean = |sums: &[f64]| sums.iter().map(|&sum| narrow(sum / count)).collect::<Vec<f32>>();
        let gain: Vec<f32> = self
            .inverse
            .iter()
            .zip(&scale.value)
            .map(|(a, b)| a * b)
            .collect();
        dispatch(Centre {
            normalised: &self.maps.data,
            gradient: &mut gradient.data,
            gain: &gain,
            along: &mean(&of_scale),
            mean: &mean(&of_shift),
        });
    }
}

struct Standardise<'a> {
    data: &'a mut [f32],
    mean: &'a [f32],
    inverse: &'a [f32],
}

impl Kernel for Standardise<'_> {
    #[inline(always)]
    fn run<const VECTORS: usize, const TILE: usize>(self) {
        let channels = self.mean.len();
        for position in self.data.chunks_exact_mut(channels) {
            let channels = position.iter_mut().zip(self.mean.iter().zip(self.inverse));
            for (value, (mean, inverse)) in channels {
                *value = (*value - mean) * inverse;
            }
        }
    }
}

struct Rectify<'a> {
    from: &'a [f32],
    to: &'a mut [f32],
    scale: &'a [f32],
    shift: &'a [f32],
    bounds: (f32, f32),
}

impl Kernel for Rectify<'_> {
    #[inline(always)]
    fn run<const VECTORS: usize, const TILE: usize>(self) {
        let (channels, (low, high)) = (self.scale.len(), self.bounds);
        let positions = self.from.chunks_exact(channels);
        for (from, to) in positions.zip(self.to.chunks_exact_mut(channels)) {
            let parameters = self.scale.iter().zip(self.shift);
            for ((from, to), (scale, shift)) in from.iter().zip(to).zip(parameters) {
                *to = rectified(from * scale + shift, low, high);
            }
        }
    }
}

/// Takes the gradient away where the rectifier is flat, and sums it up.
struct Mask<'a> {
    normalised: &'a [f32],
    gradient: &'a mut [f32],
    scale: &'a [f32],
    shift: &'a [f32],
    bounds: (f32, f32),
    of_scale: &'a mut [f64],
    of_shift: &'a mut [f64],
}

impl Kernel for Mask<'_> {
    #[inline(always)]
    fn run<const VECTORS: usize, const TILE: usize>(self) {
        let (channels, (low, high)) = (self.scale.len(), self.bounds);
        let (mut along, mut sums) = (vec![0.0_f32; channels], vec![0.0_f32; channels]);
        let blocks = self.normalised.chunks(POSITIONS * channels);
        for (values, gradients) in blocks.zip(self.gradient.chunks_mut(POSITIONS * channels)) {
            let positions = values
                .chunks_exact(channels)
                .zip(gradients.chunks_exact_mut(channels));
            for (values, gradients) in positions {
                let parameters = self.scale.iter().zip(self.shift);
                let totals = along.iter_mut().zip(&mut sums);
                let channels = values.iter().zip(gradients).zip(parameters.zip(totals));
                for ((value, gradient), ((scale, shift), (along, sum))) in channels {
                    let before = value * scale + shift;
                    let passed = *gradient;
                    let passed = if (before > low) & (before < high) {
                        passed
                    } else {
                        0.0
                    };
                    *gradient = passed;
                    *along += passed * value;
                    *sum += passed;
                }
            }
            flush(&mut along, self.of_scale);
            flush(&mut sums, self.of_shift);
        }
    }
}

/// Takes away what of the gradient would move the batch's mean and variance.
struct Centre<'a> {
    normalised: &'a [f32],
    gradient: &'a mut [f32],
    gain: &'a [f32],
    along: &'a [f32],
    mean: &'a [f32],
}

impl Kernel for Centre<'_> {
    #[inline(always)]
    fn run<const VECTORS: usize, const TILE: usize>(self) {
        let channels = self.gain.len();
        let positions = self.normalised.chunks_exact(channels);
        for (values, gradients) in positions.zip(self.gradient.chunks_exact_mut(channels)) {
            let parameters = self.gain.iter().zip(self.mean.iter().zip(self.along));
            for ((value, gradient), (gain, (mean, along))) in values.iter().zip(gradients).zip(parameters) {
                *gradient = gain * (*gradient - mean - value * along);
            }
        }
    }
}

/// Cuts values off at both bounds.
pub(super) fn clamp(values: &mut [f32], bounds: (f32, f32)) {
    dispatch(Clamp { values, bounds });
}

struct Clamp<'a> {
    values: &'a mut [f32],
    bounds: (f32, f32),
}

impl Kernel for Clamp<'_> {
    #[inline(always)]
    fn run<const VECTORS: usize, const TILE: usize>(self) {
        let (low, high) = self.bounds;
        if low == f32::NEG_INFINITY {
            return;
        }
        for value in self.values {
            *value = rectified(*value, low, high);
        }
    }
}

/// The value between the bounds; what is no number stays so.
#[inline(always)]
const fn rectified(value: f32, low: f32, high: f32) -> f32 {
    let above = if low > value { low } else { value };
    if high < above { high } else { above }
}
