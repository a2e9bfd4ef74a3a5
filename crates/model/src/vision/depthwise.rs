//! Convolutions of each channel on its own.
//!
//! Sixteen channels at a time are copied into a padded plane, in which every window is contiguous line by line; the
//! kernels then know no edges and read memory in order.

use super::geometry::Geometry;
use super::maps::Maps;
use super::simd::{Kernel, LANES, Lanes, dispatch, unrolled};

/// A convolution of a square kernel of 3 or 5 with weights `kernel × kernel × channels`.
#[derive(Clone, Copy)]
pub(super) struct Depthwise<'a> {
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) channels: usize,
    pub(super) weights: &'a [f32],
}

impl Depthwise<'_> {
    fn geometry(&self, input: &Maps) -> Geometry {
        assert_eq!(
            input.channels, self.channels,
            "the maps have the layer's channels"
        );
        Geometry::new(self.kernel, self.stride, input.height, input.width)
    }

    /// The outputs; each starts at its bias, 0 where there is none.
    pub(super) fn forward(&self, input: &Maps, bias: Option<&[f32]>) -> Maps {
        let at = self.geometry(input);
        let mut out = Maps::any(input.batch, at.output.0, at.output.1, self.channels);
        let mut plane = Plane::new(at.padded());
        for group in groups(self.channels) {
            let taps = self.taps(group, |tap| tap);
            let start = bias.map_or([0.0; LANES], |bias| {
                lanes(&bias[group.start..group.start + group.len])
            });
            for image in 0..input.batch {
                plane.load(input, image, group, (at.before, 1));
                let to = out.image_mut(image);
                dispatch(Forward {
                    plane: &plane,
                    taps: &taps,
                    at: &at,
                    start,
                    group,
                    out: to,
                });
            }
        }
        out
    }

    /// Adds the gradient of the weights.
    pub(super) fn backward_weights(&self, input: &Maps, gradient: &Maps, weights: &mut [f32]) {
        let at = self.geometry(input);
        let mut plane = Plane::new(at.padded());
        let mut outputs = Plane::new(at.output);
        for group in groups(self.channels) {
            let mut taps = vec![[0.0; LANES]; self.kernel * self.kernel];
            for image in 0..input.batch {
                plane.load(input, image, group, (at.before, 1));
                outputs.load(gradient, image, group, ((0, 0), 1));
                dispatch(BackwardWeights {
                    plane: &plane,
                    gradient: &outputs,
                    at: &at,
                    taps: &mut taps,
                });
            }
            for (tap, sums) in taps.iter().enumerate() {
                let to = &mut weights[tap * self.channels + group.start..][..group.len];
                to.iter_mut().zip(sums).for_each(|(to, sum)| *to += sum);
            }
        }
    }

    /// The gradient of the input: the gradient of the outputs, spread out to the input's steps, under the reversed
    /// kernel.
    pub(super) fn backward_input(&self, input: &Maps, gradient: &Maps) -> Maps {
        let at = self.geometry(input);
        let mut out = Maps::any(input.batch, input.height, input.width, input.channels);
        let (height, width) = (input.height + self.kernel - 1, input.width + self.kernel - 1);
        let before = (self.kernel - 1 - at.before.0, self.kernel - 1 - at.before.1);
        let reversed = Geometry {
            stride: 1,
            output: at.input,
            ..at
        };
        let last = self.kernel * self.kernel - 1;
        let mut plane = Plane::new((height, width));
        for group in groups(self.channels) {
            let taps = self.taps(group, |tap| last - tap);
            for image in 0..input.batch {
                plane.load(gradient, image, group, (before, self.stride));
                dispatch(Forward {
                    plane: &plane,
                    taps: &taps,
                    at: &reversed,
                    start: [0.0; LANES],
                    group,
                    out: out.image_mut(image),
                });
            }
        }
        out
    }

    fn taps(&self, group: Group, order: impl Fn(usize) -> usize) -> Vec<Lanes> {
        (0..self.kernel * self.kernel)
            .map(|tap| lanes(&self.weights[order(tap) * self.channels + group.start..][..group.len]))
            .collect()
    }
}

/// Channels that are computed together.
#[derive(Clone, Copy)]
struct Group {
    start: usize,
    len: usize,
}

fn groups(channels: usize) -> impl Iterator<Item = Group> {
    (0..channels).step_by(LANES).map(move |start| Group {
        start,
        len: LANES.min(channels - start),
    })
}

fn lanes(values: &[f32]) -> Lanes {
    std::array::from_fn(|lane| values.get(lane).copied().unwrap_or(0.0))
}

/// A group's values at every position of one image, with zeros around them.
struct Plane {
    width: usize,
    values: Vec<Lanes>,
}

impl Plane {
    fn new((height, width): (usize, usize)) -> Self {
        Self {
            width,
            values: vec![[0.0; LANES]; height * width],
        }
    }

    /// Copies a group of an image to these steps. What lies between and around was zero and stays so.
    fn load(&mut self, maps: &Maps, image: usize, group: Group, (before, step): ((usize, usize), usize)) {
        dispatch(Load {
            plane: self,
            maps,
            image,
            group,
            before,
            step,
        });
    }

    #[inline(always)]
    fn line(&self, row: usize, column: usize, len: usize) -> &[Lanes] {
        &self.values[row * self.width + column..][..len]
    }
}

struct Load<'a> {
    plane: &'a mut Plane,
    maps: &'a Maps,
    image: usize,
    group: Group,
    before: (usize, usize),
    step: usize,
}

impl Kernel for Load<'_> {
    #[inline(always)]
    fn run<const VECTORS: usize, const TILE: usize>(self) {
        let Self {
            plane, maps, group, ..
        } = self;
        let from = maps.image(self.image).chunks_exact(maps.width * maps.channels);
        let to = plane.values.chunks_exact_mut(plane.width);
        for (from, to) in from.zip(to.skip(self.before.0).step_by(self.step)) {
            let to = to[self.before.1..].iter_mut().step_by(self.step);
            for (to, from) in to.zip(from.chunks_exact(maps.channels)) {
                match from[group.start..].first_chunk() {
                    Some(whole) if group.len == LANES => *to = *whole,
                    _ => to[..group.len].copy_from_slice(&from[group.start..][..group.len]),
                }
            }
        }
    }
}

#[inline(always)]
fn fuse(left: &Lanes, right: &Lanes, sums: &mut Lanes) {
    for lane in 0..LANES {
        sums[lane] = left[lane].mul_add(right[lane], sums[lane]);
    }
}

struct Forward<'a> {
    plane: &'a Plane,
    taps: &'a [Lanes],
    at: &'a Geometry,
    start: Lanes,
    group: Group,
    out: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    #[inline(always)]
    fn run<const VECTORS: usize, const TILE: usize>(self) {
        match (self.at.kernel, self.at.stride) {
            (3, 1) => self.lines::<3, 1, TILE>(),
            (3, 2) => self.lines::<3, 2, TILE>(),
            (5, 1) => self.lines::<5, 1, TILE>(),
            (5, 2) => self.lines::<5, 2, TILE>(),
            other => unreachable!("no depthwise kernel of size and stride {other:?} is described"),
        }
    }
}

impl Forward<'_> {
    #[inline(always)]
    fn lines<const K: usize, const S: usize, const TILE: usize>(mut self) {
        let (height, width) = self.at.output;
        for row in 0..height {
            if width >= TILE {
                self.line::<K, S, TILE>(row, width);
            } else if width >= 4 {
                self.line::<K, S, 4>(row, width);
            } else {
                self.line::<K, S, 1>(row, width);
            }
        }
    }

    /// One line of outputs in tiles; the last one goes back over outputs that are done where they do not divide it.
    #[inline(always)]
    fn line<const K: usize, const S: usize, const TILE: usize>(&mut self, row: usize, width: usize) {
        let channels = self.out.len() / (self.at.output.0 * width);
        for column in (0..width).step_by(TILE) {
            let column = column.min(width - TILE);
            let sums = self.tile::<K, S, TILE>(row, column);
            for (tile, sums) in sums.iter().enumerate() {
                let to = (row * width + column + tile) * channels + self.group.start;
                match self.out[to..].first_chunk_mut() {
                    Some(whole) if self.group.len == LANES => *whole = *sums,
                    _ => self.out[to..][..self.group.len].copy_from_slice(&sums[..self.group.len]),
                }
            }
        }
    }

    #[inline(always)]
    fn tile<const K: usize, const S: usize, const TILE: usize>(
        &self,
        row: usize,
        column: usize,
    ) -> [Lanes; TILE] {
        let mut sums = [self.start; TILE];
        for kernel_row in 0..K {
            let line = self
                .plane
                .line(row * S + kernel_row, column * S, (TILE - 1) * S + K);
            let taps = &self.taps[kernel_row * K..][..K];
            for tap in 0..K {
                unrolled::<TILE>(
                    #[inline(always)]
                    |tile| fuse(&line[tile * S + tap], &taps[tap], &mut sums[tile]),
                );
            }
        }
        sums
    }
}

struct BackwardWeights<'a> {
    plane: &'a Plane,
    gradient: &'a Plane,
    at: &'a Geometry,
    taps: &'a mut [Lanes],
}

impl Kernel for BackwardWeights<'_> {
    #[inline(always)]
    fn run<const VECTORS: usize, const TILE: usize>(self) {
        match (self.at.kernel, self.at.stride) {
            (3, 1) => self.sum::<3, 1>(),
            (3, 2) => self.sum::<3, 2>(),
            (5, 1) => self.sum::<5, 1>(),
            (5, 2) => self.sum::<5, 2>(),
            other => unreachable!("no depthwise kernel of size and stride {other:?} is described"),
        }
    }
}

impl BackwardWeights<'_> {
    #[inline(always)]
    fn sum<const K: usize, const S: usize>(self) {
        let (height, width) = self.at.output;
        for (kernel_row, taps) in self.taps.chunks_exact_mut(K).enumerate() {
            let mut sums = [[0.0; LANES]; K];
            sums.copy_from_slice(taps);
            for row in 0..height {
                let gradient = self.gradient.line(row, 0, width);
                let line = self.plane.line(row * S + kernel_row, 0, (width - 1) * S + K);
                for column in 0..width {
                    let window = &line[column * S..][..K];
                    unrolled::<K>(
                        #[inline(always)]
                        |tap| fuse(&window[tap], &gradient[column], &mut sums[tap]),
                    );
                }
            }
            taps.copy_from_slice(&sums);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vision::dense::Dense;
    use crate::vision::fixture::{maps, numbers, slope};

    /// The same convolution over all channels, with zeros between different ones.
    fn spread(weights: &[f32], channels: usize) -> Vec<f32> {
        let each = weights.chunks_exact(channels).flat_map(|tap| {
            (0..channels).flat_map(move |input| {
                (0..channels).map(move |output| if input == output { tap[input] } else { 0.0 })
            })
        });
        each.collect()
    }

    #[test]
    fn each_channel_is_convolved_alone() {
        for (kernel, stride, channels, width) in [(3, 1, 16, 9), (3, 2, 24, 20), (5, 1, 5, 3), (5, 2, 33, 12)]
        {
            let weights = numbers(kernel * kernel * channels, 1);
            let input = maps(2, 7, width, channels, 2);
            let bias = numbers(channels, 3);
            let layer = Depthwise {
                kernel,
                stride,
                channels,
                weights: &weights,
            };
            let all = spread(&weights, channels);
            let dense = Dense {
                kernel,
                stride,
                inputs: channels,
                outputs: channels,
                weights: &all,
            };
            assert_eq!(
                layer.forward(&input, Some(&bias)),
                dense.forward(&input, Some(&bias))
            );
        }
    }

    #[test]
    fn gradients_are_slopes() {
        for (kernel, stride, channels, width) in [(3, 1, 5, 9), (3, 2, 18, 7), (5, 1, 5, 3), (5, 2, 3, 10)] {
            let weights = numbers(kernel * kernel * channels, 1);
            let layer = Depthwise {
                kernel,
                stride,
                channels,
                weights: &weights,
            };
            let input = maps(2, 6, width, channels, 2);
            let shape = layer.forward(&input, None);
            let gradient = maps(2, shape.height, shape.width, channels, 3);
            let mut of_weights = vec![0.0; weights.len()];
            layer.backward_weights(&input, &gradient, &mut of_weights);
            let of_input = layer.backward_input(&input, &gradient);
            slope(
                &of_input.data,
                &input.data,
                |data| layer.forward(&input.with(data), None).data.clone(),
                &gradient.data,
            );
            slope(
                &of_weights,
                &weights,
                |weights| Depthwise { weights, ..layer }.forward(&input, None).data.clone(),
                &gradient.data,
            );
        }
    }
}
