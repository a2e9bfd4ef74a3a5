//! Matrix multiplication with one order of additions.
//!
//! Each output starts at its bias and adds the inputs' products in the order of the inputs, a multiplication and an
//! addition each and never a fused one. Vector instructions run over outputs and rows only, so width, batch and
//! processor change no bit.

/// Rows computed together: with [`LANES`] their sums fill half of the sixteen registers of AVX2.
const ROWS: usize = 4;
/// Outputs in a panel.
const LANES: usize = 16;

type Lanes = [f32; LANES];

/// A matrix cut into panels of [`LANES`] outputs, each panel in the order of the inputs.
#[derive(Debug)]
pub(super) struct Panels {
    inputs: usize,
    weights: Vec<Lanes>,
    bias: Vec<Lanes>,
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

    /// Multiplies rows.
    ///
    /// # Shape
    /// `input`: rows × `stride`, of which the first `inputs` are read; `output`: rows × padded outputs.
    pub(super) fn multiply(&self, input: &[f32], stride: usize, output: &mut [f32]) {
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
fn multiply_avx2(panels: &Panels, input: &[f32], stride: usize, output: &mut [f32]) {
    multiply_portable(panels, input, stride, output);
}

/// The loops, compiled once for every instruction set: panels outside, so that one stays in the first cache while
/// the rows pass.
#[inline(always)]
fn multiply_portable(panels: &Panels, input: &[f32], stride: usize, output: &mut [f32]) {
    let padded = panels.padded_outputs();
    let rows = output.len() / padded;
    let together = rows - rows % ROWS;
    let weights = panels.weights.chunks_exact(panels.inputs);
    for (at, (weights, bias)) in weights.zip(&panels.bias).enumerate() {
        let place = Place {
            stride,
            padded,
            start: at * LANES,
        };
        for row in (0..together).step_by(ROWS) {
            multiply_rows::<ROWS>(
                weights,
                bias,
                &input[row * stride..],
                &mut output[row * padded..],
                &place,
            );
        }
        for row in together..rows {
            multiply_rows::<1>(
                weights,
                bias,
                &input[row * stride..],
                &mut output[row * padded..],
                &place,
            );
        }
    }
}

/// Where rows begin, and where a panel's outputs begin in a row.
struct Place {
    stride: usize,
    padded: usize,
    start: usize,
}

/// One panel for the first `R` rows. Loops by index: with iterators over both dimensions the sums leave the registers.
#[inline(always)]
fn multiply_rows<const R: usize>(
    weights: &[Lanes],
    bias: &Lanes,
    input: &[f32],
    output: &mut [f32],
    at: &Place,
) {
    let rows: [&[f32]; R] = std::array::from_fn(|row| &input[row * at.stride..][..weights.len()]);
    let mut sums = [*bias; R];
    for (input, weights) in weights.iter().enumerate() {
        for row in 0..R {
            let value = rows[row][input];
            for lane in 0..LANES {
                sums[row][lane] += value * weights[lane];
            }
        }
    }
    for row in 0..R {
        output[row * at.padded + at.start..][..LANES].copy_from_slice(&sums[row]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(seed: usize) -> f32 {
        crate::scalar::narrow(((seed * 2_654_435_761) % 1_000_003) as f64 / 500_001.5 - 1.0)
    }

    #[test]
    fn panels_multiply_like_the_plain_loop_bit_for_bit() {
        let (rows, inputs, outputs, stride) = (7, 37, 41, 48);
        let panels = Panels::new(inputs, outputs, |i, o| number(i * 100 + o), |o| number(o + 9_000));
        let input: Vec<f32> = (0..rows * stride).map(|i| number(i * 7 + 50_000)).collect();
        let mut output = vec![f32::NAN; rows * panels.padded_outputs()];
        panels.multiply(&input, stride, &mut output);
        let mut portable = output.clone();
        multiply_portable(&panels, &input, stride, &mut portable);
        assert_eq!(output, portable, "every instruction set gives the same bits");
        for (row, o) in (0..rows).flat_map(|row| (0..outputs).map(move |o| (row, o))) {
            let mut sum = number(o + 9_000);
            for i in 0..inputs {
                sum += input[row * stride + i] * number(i * 100 + o);
            }
            assert_eq!(output[row * panels.padded_outputs() + o].to_bits(), sum.to_bits());
        }
    }
}
