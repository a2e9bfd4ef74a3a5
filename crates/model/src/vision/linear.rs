//! A linear layer over rows.

use super::gemm::{Matrix, multiply_add};
use super::parameter::Parameter;
use crate::Result;
use crate::inference::{Tensor, Weights};
use crate::scalar::narrow;
use std::collections::BTreeMap;

/// `rows × weights + bias`
#[derive(Clone, Debug)]
pub(super) struct Linear {
    inputs: usize,
    outputs: usize,
    /// `inputs × outputs`
    pub(super) weights: Parameter,
    pub(super) bias: Parameter,
}

impl Linear {
    /// A layer that has learned nothing, with this bias.
    pub(super) fn random(inputs: usize, outputs: usize, bias: f32, mut uniform: impl FnMut() -> f32) -> Self {
        let range = narrow(libm::sqrt(1.0 / inputs as f64));
        let weights = (0..inputs * outputs).map(|_| range * uniform()).collect();
        Self {
            inputs,
            outputs,
            weights: Parameter::new(weights),
            bias: Parameter::new(vec![bias; outputs]),
        }
    }

    /// Reads the layer of that name, stored outputs first as PyTorch has it.
    ///
    /// # Errors
    /// If a tensor is absent, has another shape, or holds what is not a finite number.
    pub(super) fn load(name: &str, inputs: usize, outputs: usize, weights: &Weights) -> Result<Self> {
        let stored = weights.tensor(&format!("{name}.weight"), &[outputs, inputs])?;
        let bias = weights.tensor(&format!("{name}.bias"), &[outputs])?;
        let value = (0..inputs * outputs)
            .map(|at| stored.data[at % outputs * inputs + at / outputs])
            .collect();
        Ok(Self {
            inputs,
            outputs,
            weights: Parameter::new(value),
            bias: Parameter::new(bias.data.clone()),
        })
    }

    /// The stored form.
    pub(super) fn store(&self, name: &str, tensors: &mut BTreeMap<String, Tensor>) {
        let (inputs, outputs) = (self.inputs, self.outputs);
        let data = (0..inputs * outputs)
            .map(|at| self.weights.value[at % inputs * outputs + at / inputs])
            .collect();
        tensors.insert(
            format!("{name}.weight"),
            Tensor {
                shape: vec![outputs, inputs],
                data,
            },
        );
        tensors.insert(
            format!("{name}.bias"),
            Tensor {
                shape: vec![outputs],
                data: self.bias.value.clone(),
            },
        );
    }

    pub(super) fn forward(&self, rows: &[f32]) -> Vec<f32> {
        let count = rows.len() / self.inputs;
        let mut out = self.bias.value.repeat(count);
        let rows = Matrix::new(rows, count, self.inputs);
        multiply_add(rows, self.matrix(), &mut out);
        out
    }

    /// Adds the gradients of the parameters and returns that of the rows.
    pub(super) fn backward(&mut self, rows: &[f32], gradient: &[f32]) -> Vec<f32> {
        let count = rows.len() / self.inputs;
        let of_out = Matrix::new(gradient, count, self.outputs);
        let rows = Matrix::new(rows, count, self.inputs).transposed();
        multiply_add(rows, of_out, &mut self.weights.gradient);
        for of_row in gradient.chunks_exact(self.outputs) {
            for (sum, value) in self.bias.gradient.iter_mut().zip(of_row) {
                *sum += value;
            }
        }
        self.slopes(gradient)
    }

    /// The gradient of the rows alone.
    pub(super) fn slopes(&self, gradient: &[f32]) -> Vec<f32> {
        let count = gradient.len() / self.outputs;
        let mut out = vec![0.0; count * self.inputs];
        let of_out = Matrix::new(gradient, count, self.outputs);
        multiply_add(of_out, self.matrix().transposed(), &mut out);
        out
    }

    fn matrix(&self) -> Matrix<'_> {
        Matrix::new(&self.weights.value, self.inputs, self.outputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vision::fixture::{numbers, slope, uniform};

    #[test]
    fn gradients_are_slopes() {
        let layer = Linear::random(5, 3, 0.2, uniform(1));
        let (rows, gradient) = (numbers(4 * 5, 2), numbers(4 * 3, 3));
        let mut learned = layer.clone();
        let of_rows = learned.backward(&rows, &gradient);
        slope(&of_rows, &rows, |rows| layer.forward(rows), &gradient);
        let with = |weights: &[f32], bias: &[f32]| Linear {
            weights: Parameter::new(weights.to_vec()),
            bias: Parameter::new(bias.to_vec()),
            ..layer
        };
        slope(
            &learned.weights.gradient,
            &layer.weights.value,
            |weights| with(weights, &layer.bias.value).forward(&rows),
            &gradient,
        );
        slope(
            &learned.bias.gradient,
            &layer.bias.value,
            |bias| with(&layer.weights.value, bias).forward(&rows),
            &gradient,
        );
    }
}
