//! Matrix multiplication with one order of additions.
//!
//! Each output starts at its bias and adds the inputs' products in the order of the inputs, a multiplication and an
//! addition each and never a fused one. Vector instructions run over outputs and rows only, so width, batch and
//! processor change no bit.

/// Rows in a block: with [`LANES`] they fill the sixteen registers of AVX2 halfway, the rest hides latency.
pub(super) const ROWS: usize = 4;
/// Outputs in a panel.
const LANES: usize = 16;

/// A matrix cut into panels of [`LANES`] outputs, each panel in the order of the inputs.
#[derive(Debug)]
pub(super) struct Panels {
    inputs: usize,
    weights: Vec<[f32; LANES]>,
    bias: Vec<[f32; LANES]>,
}

impl Panels {
    /// Packs a matrix given by its element at (input, output).
    pub(super) fn new(
        inputs: usize,
        outputs: usize,
        weight: impl Fn(usize, usize) -> f32,
        bias: impl Fn(usize) -> f32,
    ) -> Self {
        let panel = |start: usize, value: &dyn Fn(usize) -> f32| {
            std::array::from_fn(|lane| {
                if start + lane < outputs {
                    value(start + lane)
                } else {
                    0.0
                }
            })
        };
        let starts = (0..outputs).step_by(LANES);
        let weights = starts
            .clone()
            .flat_map(|start| (0..inputs).map(move |input| (start, input)))
            .map(|(start, input)| panel(start, &|output| weight(input, output)))
            .collect();
        Self {
            inputs,
            weights,
            bias: starts.map(|start| panel(start, &bias)).collect(),
        }
    }

    /// Outputs with the padding of the last panel.
    pub(super) const fn padded_outputs(&self) -> usize {
        self.bias.len() * LANES
    }

    /// Multiplies `blocks` blocks of rows.
    ///
    /// # Shape
    /// `input`: blocks × `stride`, of which the first `inputs` are read; `output`: blocks × padded outputs. An
    /// element holds one value of each row of its block.
    pub(super) fn multiply<const R: usize>(
        &self,
        input: &[[f32; R]],
        stride: usize,
        output: &mut [[f32; R]],
    ) {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor was just asked whether it has AVX2; the function asks for nothing else.
            #[allow(unsafe_code)]
            return unsafe { multiply_avx2(self, input, stride, output) };
        }
        multiply_portable(self, input, stride, output);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn multiply_avx2<const R: usize>(
    panels: &Panels,
    input: &[[f32; R]],
    stride: usize,
    output: &mut [[f32; R]],
) {
    multiply_portable(panels, input, stride, output);
}

/// The loops, compiled once for every instruction set: panels outside, so that one stays in the first cache while
/// the blocks pass.
#[inline(always)]
fn multiply_portable<const R: usize>(
    panels: &Panels,
    input: &[[f32; R]],
    stride: usize,
    output: &mut [[f32; R]],
) {
    let padded = panels.padded_outputs();
    let weights = panels.weights.chunks_exact(panels.inputs);
    for (at, (weights, bias)) in weights.zip(&panels.bias).enumerate() {
        for (input, output) in input.chunks_exact(stride).zip(output.chunks_exact_mut(padded)) {
            let sums = multiply_panel(weights, bias, input);
            for (lane, output) in output[at * LANES..(at + 1) * LANES].iter_mut().enumerate() {
                *output = std::array::from_fn(|row| sums[row][lane]);
            }
        }
    }
}

#[inline(always)]
fn multiply_panel<const R: usize>(
    weights: &[[f32; LANES]],
    bias: &[f32; LANES],
    input: &[[f32; R]],
) -> [[f32; LANES]; R] {
    let mut sums = [*bias; R];
    for (weights, values) in weights.iter().zip(input) {
        for (sums, value) in sums.iter_mut().zip(values) {
            for (sum, weight) in sums.iter_mut().zip(weights) {
                *sum += value * weight;
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(seed: usize) -> f32 {
        crate::scalar::narrow(((seed * 2_654_435_761) % 1_000_003) as f64 / 500_001.5 - 1.0)
    }

    #[test]
    fn panels_multiply_like_the_plain_loop_bit_for_bit() {
        let (inputs, outputs, stride) = (37, 41, 48);
        let panels = Panels::new(inputs, outputs, |i, o| number(i * 100 + o), |o| number(o + 9_000));
        let input: Vec<[f32; 4]> = (0..2 * stride)
            .map(|i| std::array::from_fn(|row| number(i * 7 + row + 50_000)))
            .collect();
        let mut output = vec![[f32::NAN; 4]; 2 * panels.padded_outputs()];
        panels.multiply(&input, stride, &mut output);
        let mut portable = output.clone();
        multiply_portable(&panels, &input, stride, &mut portable);
        assert_eq!(output, portable, "every instruction set gives the same bits");
        for (block, row, o) in
            (0..2).flat_map(|b| (0..4).flat_map(move |r| (0..outputs).map(move |o| (b, r, o))))
        {
            let mut sum = number(o + 9_000);
            for i in 0..inputs {
                sum += input[block * stride + i][row] * number(i * 100 + o);
            }
            assert_eq!(
                output[block * panels.padded_outputs() + o][row].to_bits(),
                sum.to_bits()
            );
        }
    }
}
