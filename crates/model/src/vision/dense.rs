//! Convolutions over all channels, as products of matrices.
//!
//! In an image with its padding around it, a line of a window is contiguous, and the windows of one line of outputs
//! begin at even steps: they are the overlapping rows of a matrix, and need not be unrolled. Short lines go through in
//! blocks, so that weights are packed for many outputs at once; the order of additions is that of the lines.

use super::gemm::{Matrix, multiply_add};
use super::geometry::Geometry;
use super::maps::Maps;

/// Outputs in a block of lines, where a line alone is not longer.
const BLOCK: usize = 224;

/// A convolution of a square kernel with weights `kernel × kernel × inputs × outputs`.
#[derive(Clone, Copy)]
pub(super) struct Dense<'a> {
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) weights: &'a [f32],
}

impl Dense<'_> {
    fn geometry(&self, input: &Maps) -> Geometry {
        assert_eq!(input.channels, self.inputs, "the maps have the layer's channels");
        Geometry::new(self.kernel, self.stride, input.height, input.width)
    }

    /// Whether a position's output depends on that position alone.
    const fn is_pointwise(&self) -> bool {
        self.kernel == 1 && self.stride == 1
    }

    /// Inputs in a line of a window.
    const fn line(&self) -> usize {
        self.kernel * self.inputs
    }

    /// The weights of a line of the window, inputs × outputs.
    fn matrix(&self, kernel_row: usize) -> Matrix<'_> {
        let len = self.line() * self.outputs;
        let weights = &self.weights[kernel_row * len..][..len];
        Matrix::new(weights, self.line(), self.outputs)
    }

    /// The outputs; each starts at its bias, 0 where there is none.
    pub(super) fn forward(&self, input: &Maps, bias: Option<&[f32]>) -> Maps {
        let at = self.geometry(input);
        let mut out = Maps::any(input.batch, at.output.0, at.output.1, self.outputs);
        if self.is_pointwise() {
            let blocks = out.data.chunks_mut(BLOCK * self.outputs);
            blocks.for_each(|positions| begin(positions, bias));
            let input = Matrix::new(&input.data, input.positions(), self.inputs);
            multiply_add(input, self.matrix(0), &mut out.data);
            return out;
        }
        let mut padded = Padded::new(&at, self);
        for image in 0..input.batch {
            padded.load(input.image(image));
            let blocks = out.image_mut(image).chunks_mut(padded.block() * self.outputs);
            for (block, positions) in blocks.enumerate() {
                begin(positions, bias);
                for kernel_row in 0..self.kernel {
                    let count = positions.len() / self.outputs;
                    let windows = padded.windows(block, kernel_row, count);
                    multiply_add(windows, self.matrix(kernel_row), positions);
                }
            }
        }
        out
    }

    /// Adds the gradient of the weights.
    pub(super) fn backward_weights(&self, input: &Maps, gradient: &Maps, weights: &mut [f32]) {
        let at = self.geometry(input);
        if self.is_pointwise() {
            let input = Matrix::new(&input.data, input.positions(), self.inputs);
            let gradient = Matrix::new(&gradient.data, gradient.positions(), self.outputs);
            return multiply_add(input.transposed(), gradient, weights);
        }
        let mut padded = Padded::new(&at, self);
        for image in 0..input.batch {
            padded.load(input.image(image));
            let blocks = gradient.image(image).chunks(padded.block() * self.outputs);
            for (block, positions) in blocks.enumerate() {
                let count = positions.len() / self.outputs;
                let positions = Matrix::new(positions, count, self.outputs);
                let each = weights.chunks_exact_mut(self.line() * self.outputs);
                for (kernel_row, weights) in each.enumerate() {
                    let windows = padded.windows(block, kernel_row, count);
                    multiply_add(windows.transposed(), positions, weights);
                }
            }
        }
    }

    /// The gradient of the input: where windows move by one position, a convolution with the reversed kernel.
    pub(super) fn backward_input(&self, input: &Maps, gradient: &Maps) -> Maps {
        if self.is_pointwise() {
            let mut out = Maps::zeros(input.batch, input.height, input.width, input.channels);
            let gradient = Matrix::new(&gradient.data, gradient.positions(), self.outputs);
            multiply_add(gradient, self.matrix(0).transposed(), &mut out.data);
            return out;
        }
        if self.stride > 1 {
            return self.scatter(input, gradient);
        }
        let reversed = Dense {
            inputs: self.outputs,
            outputs: self.inputs,
            weights: &self.reversed(),
            ..*self
        };
        reversed.forward(gradient, None)
    }

    /// The kernel turned by half a turn, inputs and outputs exchanged.
    fn reversed(&self) -> Vec<f32> {
        let (inputs, outputs) = (self.inputs, self.outputs);
        let taps = self.weights.chunks_exact(inputs * outputs).rev();
        let exchanged = taps
            .flat_map(|tap| (0..inputs * outputs).map(move |at| tap[at % inputs * outputs + at / inputs]));
        exchanged.collect()
    }

    /// The gradient of the input as the sum of the windows that read it.
    fn scatter(&self, input: &Maps, gradient: &Maps) -> Maps {
        let at = self.geometry(input);
        let mut out = Maps::zeros(input.batch, input.height, input.width, input.channels);
        let mut padded = Padded::new(&at, self);
        let of_line = padded.block() * self.line();
        let mut windows = vec![0.0; self.kernel * of_line];
        for image in 0..input.batch {
            padded.maps.data.fill(0.0);
            let blocks = gradient.image(image).chunks(padded.block() * self.outputs);
            for (block, positions) in blocks.enumerate() {
                let count = positions.len() / self.outputs;
                let positions = Matrix::new(positions, count, self.outputs);
                windows.fill(0.0);
                for (kernel_row, windows) in windows.chunks_exact_mut(of_line).enumerate() {
                    let windows = &mut windows[..count * self.line()];
                    multiply_add(positions, self.matrix(kernel_row).transposed(), windows);
                }
                padded.add_block(block, count, &windows);
            }
            padded.store(out.image_mut(image));
        }
        out
    }
}

/// Every position starts at the bias, at 0 where there is none.
fn begin(positions: &mut [f32], bias: Option<&[f32]>) {
    let Some(bias) = bias else {
        return positions.fill(0.0);
    };
    let mut done = bias.len();
    positions[..done].copy_from_slice(bias);
    while done < positions.len() {
        let more = done.min(positions.len() - done);
        positions.copy_within(..more, done);
        done += more;
    }
}

/// An image with zeros around it.
struct Padded {
    at: Geometry,
    channels: usize,
    /// One image.
    maps: Maps,
    /// Lines of outputs in a block.
    lines: usize,
    /// Where the windows of a block begin, from its first one on.
    starts: Vec<usize>,
}

impl Padded {
    fn new(at: &Geometry, layer: &Dense<'_>) -> Self {
        let (height, width) = at.padded();
        let lines = (BLOCK / at.output.1).max(1);
        let step = at.stride * layer.inputs;
        let starts = (0..lines).flat_map(|line| (0..at.output.1).map(move |at| (line * width + at) * step));
        Self {
            at: *at,
            channels: layer.inputs,
            maps: Maps::zeros(1, height, width, layer.inputs),
            lines,
            starts: starts.collect(),
        }
    }

    /// Outputs in a block; the last one may have fewer.
    const fn block(&self) -> usize {
        self.starts.len()
    }

    /// Copies an image; what lies around it was zero and stays so.
    fn load(&mut self, image: &[f32]) {
        let (start, len) = self.inner();
        let lines = image.chunks_exact(self.at.input.1 * self.channels);
        for (to, line) in self.lines().zip(lines) {
            to[start..start + len].copy_from_slice(&line[..len]);
        }
    }

    /// Copies the image out of what lies around it.
    fn store(&mut self, image: &mut [f32]) {
        let (start, len) = self.inner();
        let lines = image.chunks_exact_mut(self.at.input.1 * self.channels);
        for (from, line) in self.lines().zip(lines) {
            line[..len].copy_from_slice(&from[start..start + len]);
        }
    }

    /// The lines on which the image lies.
    fn lines(&mut self) -> impl Iterator<Item = &mut [f32]> {
        let (_, width) = self.at.padded();
        self.maps
            .data
            .chunks_exact_mut(width * self.channels)
            .skip(self.at.before.0)
    }

    /// Where a line of the image begins in a line of this, and how much of it has room.
    fn inner(&self) -> (usize, usize) {
        let (_, width) = self.at.padded();
        let columns = self.at.input.1.min(width - self.at.before.1);
        (self.at.before.1 * self.channels, columns * self.channels)
    }

    /// One line of the windows of so many outputs of a block.
    fn windows(&self, block: usize, kernel_row: usize, count: usize) -> Matrix<'_> {
        let line = self.at.kernel * self.channels;
        let data = &self.maps.data[self.line_start(block * self.lines, kernel_row)..];
        Matrix::listed(data, &self.starts[..count], line)
    }

    /// Adds to the windows of so many outputs of a block, line by line of the outputs; given are those of each line of
    /// the kernel.
    fn add_block(&mut self, block: usize, count: usize, windows: &[f32]) {
        let len = self.at.output.1 * self.at.kernel * self.channels;
        let of_line = windows.len() / self.at.kernel;
        for line in 0..count / self.at.output.1 {
            for (kernel_row, windows) in windows.chunks_exact(of_line).enumerate() {
                let row = block * self.lines + line;
                self.add(row, kernel_row, &windows[line * len..][..len]);
            }
        }
    }

    /// Adds to one line of the windows of one line of outputs.
    fn add(&mut self, row: usize, kernel_row: usize, windows: &[f32]) {
        let (start, step) = (self.line_start(row, kernel_row), self.at.stride * self.channels);
        let line = self.at.kernel * self.channels;
        for (column, window) in windows.chunks_exact(line).enumerate() {
            let to = &mut self.maps.data[start + column * step..][..line];
            to.iter_mut().zip(window).for_each(|(to, value)| *to += value);
        }
    }

    fn line_start(&self, row: usize, kernel_row: usize) -> usize {
        let (_, width) = self.at.padded();
        (row * self.at.stride + kernel_row) * width * self.channels
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vision::fixture::{maps, numbers, slope};

    /// Kernel, stride and height; tall ones go through in several blocks, the last of them not whole.
    const CASES: [(usize, usize, usize); 6] = [
        (1, 1, 7),
        (3, 1, 7),
        (3, 2, 7),
        (5, 2, 7),
        (3, 1, 90),
        (3, 2, 171),
    ];

    #[test]
    fn a_convolution_is_the_sum_over_its_windows() {
        for (kernel, stride, height) in CASES {
            let weights = numbers(kernel * kernel * 3 * 4, 1);
            let layer = Dense {
                kernel,
                stride,
                inputs: 3,
                outputs: 4,
                weights: &weights,
            };
            let input = maps(2, height, 6, 3, 2);
            let out = layer.forward(&input, Some(&[0.5; 4]));
            let at = Geometry::new(kernel, stride, height, 6);
            let (b, y, x, o) = (1, at.output.0 - 1, 0, 2);
            let mut sum = 0.5_f32;
            for (ky, kx, c) in
                (0..kernel).flat_map(|ky| (0..kernel).flat_map(move |kx| (0..3).map(move |c| (ky, kx, c))))
            {
                let (line, column) = (y * stride + ky, x * stride + kx);
                if let (Some(line), Some(column)) =
                    (line.checked_sub(at.before.0), column.checked_sub(at.before.1))
                    && line < height
                    && column < 6
                {
                    let value = input.image(b)[(line * 6 + column) * 3 + c];
                    sum = value.mul_add(weights[((ky * kernel + kx) * 3 + c) * 4 + o], sum);
                }
            }
            assert_eq!(
                out.image(b)[(y * at.output.1 + x) * 4 + o].to_bits(),
                sum.to_bits()
            );
        }
    }

    #[test]
    fn gradients_are_slopes() {
        for (kernel, stride, height) in CASES {
            let weights = numbers(kernel * kernel * 3 * 4, 1);
            let layer = Dense {
                kernel,
                stride,
                inputs: 3,
                outputs: 4,
                weights: &weights,
            };
            let input = maps(2, height, 6, 3, 2);
            let shape = layer.forward(&input, None);
            let gradient = maps(2, shape.height, shape.width, 4, 3);
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
                |weights| Dense { weights, ..layer }.forward(&input, None).data.clone(),
                &gradient.data,
            );
        }
    }
}
