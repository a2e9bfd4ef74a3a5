//! Convolutions over all channels, as products of matrices.

use super::gemm::{Matrix, multiply_add};
use super::geometry::Geometry;
use super::maps::Maps;

/// Numbers of unrolled windows held at a time: they stay in the second cache until they are multiplied.
const UNROLLED: usize = 1 << 16;

/// A convolution of a square kernel with weights `kernel × kernel × inputs × outputs`.
#[derive(Clone, Copy)]
pub(super) struct Dense<'a> {
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) weights: &'a [f32],
}

/// Rows of one image's outputs that are computed together.
struct Rows {
    from: usize,
    to: usize,
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

    /// Inputs of a window.
    const fn window(&self) -> usize {
        self.kernel * self.kernel * self.inputs
    }

    fn matrix(&self) -> Matrix<'_> {
        Matrix::new(self.weights, self.window(), self.outputs)
    }

    /// The outputs; each starts at its bias, 0 where there is none.
    pub(super) fn forward(&self, input: &Maps, bias: Option<&[f32]>) -> Maps {
        let at = self.geometry(input);
        let mut out = Maps::zeros(input.batch, at.output.0, at.output.1, self.outputs);
        if let Some(bias) = bias {
            out.data
                .chunks_exact_mut(self.outputs)
                .for_each(|position| position.copy_from_slice(bias));
        }
        if self.is_pointwise() {
            let input = Matrix::new(&input.data, input.positions(), self.inputs);
            multiply_add(input, self.matrix(), &mut out.data);
            return out;
        }
        let line = at.output.1 * self.outputs;
        let mut windows = Vec::new();
        for image in 0..input.batch {
            for rows in self.row_blocks(&at) {
                unroll(input.image(image), self.inputs, &at, &rows, &mut windows);
                let windows = Matrix::new(&windows, (rows.to - rows.from) * at.output.1, self.window());
                let out = &mut out.image_mut(image)[rows.from * line..rows.to * line];
                multiply_add(windows, self.matrix(), out);
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
        let line = at.output.1 * self.outputs;
        let mut windows = Vec::new();
        for image in 0..input.batch {
            for rows in self.row_blocks(&at) {
                unroll(input.image(image), self.inputs, &at, &rows, &mut windows);
                let positions = (rows.to - rows.from) * at.output.1;
                let windows = Matrix::new(&windows, positions, self.window());
                let gradient = &gradient.image(image)[rows.from * line..rows.to * line];
                let gradient = Matrix::new(gradient, positions, self.outputs);
                multiply_add(windows.transposed(), gradient, weights);
            }
        }
    }

    /// The gradient of the input.
    pub(super) fn backward_input(&self, input: &Maps, gradient: &Maps) -> Maps {
        let at = self.geometry(input);
        let mut out = Maps::zeros(input.batch, input.height, input.width, input.channels);
        if self.is_pointwise() {
            let gradient = Matrix::new(&gradient.data, gradient.positions(), self.outputs);
            multiply_add(gradient, self.matrix().transposed(), &mut out.data);
            return out;
        }
        let line = at.output.1 * self.outputs;
        let mut windows = Vec::new();
        for image in 0..input.batch {
            for rows in self.row_blocks(&at) {
                let positions = (rows.to - rows.from) * at.output.1;
                let gradient = &gradient.image(image)[rows.from * line..rows.to * line];
                let gradient = Matrix::new(gradient, positions, self.outputs);
                windows.clear();
                windows.resize(positions * self.window(), 0.0);
                multiply_add(gradient, self.matrix().transposed(), &mut windows);
                roll_up(&windows, self.inputs, &at, &rows, out.image_mut(image));
            }
        }
        out
    }

    fn row_blocks(&self, at: &Geometry) -> impl Iterator<Item = Rows> + use<> {
        let (height, width) = at.output;
        let step = (UNROLLED / (width * self.window())).max(1);
        (0..height).step_by(step).map(move |from| Rows {
            from,
            to: height.min(from + step),
        })
    }
}

/// The part of a window's line that lies on the input: the first column of the window, the first of the input, how
/// many.
fn overlap(at: &Geometry, output_column: usize) -> (usize, usize, usize) {
    let start = output_column * at.stride;
    let skipped = at.before.1.saturating_sub(start);
    let first = (start + skipped) - at.before.1;
    let end = (start + at.kernel).saturating_sub(at.before.1).min(at.input.1);
    (skipped, first, end.saturating_sub(first))
}

/// The line of the input that a line of a window lies on, if it is not padding.
fn input_line(at: &Geometry, output_row: usize, kernel_row: usize) -> Option<usize> {
    (output_row * at.stride + kernel_row)
        .checked_sub(at.before.0)
        .filter(|&line| line < at.input.0)
}

/// Writes the windows of some rows of outputs one below the other, zeros where they lie on padding.
fn unroll(image: &[f32], channels: usize, at: &Geometry, rows: &Rows, windows: &mut Vec<f32>) {
    let line_len = at.kernel * channels;
    windows.clear();
    windows.resize((rows.to - rows.from) * at.output.1 * at.kernel * line_len, 0.0);
    let lines = windows.chunks_exact_mut(line_len);
    for_each_line(at, rows, lines, |line, input_line, (skipped, first, count)| {
        let from = (input_line * at.input.1 + first) * channels;
        line[skipped * channels..][..count * channels].copy_from_slice(&image[from..][..count * channels]);
    });
}

/// Adds the gradients of windows to the input they were unrolled from.
fn roll_up(windows: &[f32], channels: usize, at: &Geometry, rows: &Rows, image: &mut [f32]) {
    let lines = windows.chunks_exact(at.kernel * channels);
    for_each_line(at, rows, lines, |line, input_line, (skipped, first, count)| {
        let to = (input_line * at.input.1 + first) * channels;
        let to = &mut image[to..][..count * channels];
        for (sum, value) in to.iter_mut().zip(&line[skipped * channels..]) {
            *sum += value;
        }
    });
}

/// Visits the lines of windows that lie on the input.
fn for_each_line<L>(
    at: &Geometry,
    rows: &Rows,
    mut lines: impl Iterator<Item = L>,
    mut visit: impl FnMut(L, usize, (usize, usize, usize)),
) {
    for row in rows.from..rows.to {
        for column in 0..at.output.1 {
            let overlap = overlap(at, column);
            for kernel_row in 0..at.kernel {
                let line = lines.next().expect("there is a line for each row of each window");
                if let Some(input_line) = input_line(at, row, kernel_row) {
                    visit(line, input_line, overlap);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vision::fixture::{maps, numbers, slope};

    #[test]
    fn a_convolution_is_the_sum_over_its_windows() {
        for (kernel, stride) in [(1, 1), (3, 1), (3, 2), (5, 2)] {
            let weights = numbers(kernel * kernel * 3 * 4, 1);
            let layer = Dense {
                kernel,
                stride,
                inputs: 3,
                outputs: 4,
                weights: &weights,
            };
            let input = maps(2, 7, 6, 3, 2);
            let out = layer.forward(&input, Some(&[0.5; 4]));
            let at = Geometry::new(kernel, stride, 7, 6);
            let (b, y, x, o) = (1, at.output.0 - 1, 0, 2);
            let mut sum = 0.5_f32;
            for (ky, kx, c) in
                (0..kernel).flat_map(|ky| (0..kernel).flat_map(move |kx| (0..3).map(move |c| (ky, kx, c))))
            {
                let (line, column) = (y * stride + ky, x * stride + kx);
                if let (Some(line), Some(column)) =
                    (line.checked_sub(at.before.0), column.checked_sub(at.before.1))
                    && line < 7
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
        for (kernel, stride) in [(1, 1), (3, 1), (3, 2), (5, 2)] {
            let weights = numbers(kernel * kernel * 3 * 4, 1);
            let layer = Dense {
                kernel,
                stride,
                inputs: 3,
                outputs: 4,
                weights: &weights,
            };
            let input = maps(2, 7, 6, 3, 2);
            let shape = layer.forward(&input, None);
            let gradient = maps(2, shape.height, shape.width, 4, 3);
            let mut of_weights = vec![0.0; weights.len()];
            layer.backward_weights(&input, &gradient, &mut of_weights);
            let of_input = layer.backward_input(&input, &gradient);
            slope(
                &of_input.data,
                &input.data,
                |data| {
                    layer
                        .forward(
                            &Maps {
                                data: data.to_vec(),
                                ..input.clone()
                            },
                            None,
                        )
                        .data
                },
                &gradient.data,
            );
            slope(
                &of_weights,
                &weights,
                |weights| Dense { weights, ..layer }.forward(&input, None).data,
                &gradient.data,
            );
        }
    }
}
