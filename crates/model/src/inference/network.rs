//! One member: its layers packed for the kernel, forwards and backwards.

use std::ops::Range;

use super::description::{EmbeddingDescription, NetworkDescription, member_name};
use super::kernel::Panels;
use super::weights::Weights;
use crate::Result;
use crate::dataset::Inputs;

#[derive(Debug)]
struct Embedding {
    codes: usize,
    width: usize,
    table: Vec<f32>,
}

impl Embedding {
    /// The numbers of a code; those of the unknown where the code is not in the table.
    fn row(&self, code: u32) -> &[f32] {
        let code = usize::try_from(code)
            .ok()
            .filter(|&code| code < self.codes)
            .unwrap_or(0);
        &self.table[code * self.width..(code + 1) * self.width]
    }
}

#[derive(Debug)]
struct Layer {
    /// Inputs to outputs, with the bias.
    forward: Panels,
    /// Outputs to inputs, without.
    backward: Panels,
}

/// A multi-layer perceptron.
#[derive(Debug)]
pub(crate) struct Network {
    input_width: usize,
    embeddings: Vec<Embedding>,
    layers: Vec<Layer>,
}

/// What a forward pass leaves behind.
#[derive(Debug, Default)]
pub(crate) struct Pass {
    rows: usize,
    /// The inputs of the first layer, row-major.
    pub(crate) input: Vec<f32>,
    /// The outputs of each layer before the activation, row-major and padded.
    pub(crate) outputs: Vec<Vec<f32>>,
    active: Vec<f32>,
}

impl Network {
    pub(crate) fn new(description: &NetworkDescription, weights: &Weights, member: usize) -> Result<Self> {
        let tables = description.embeddings.iter().enumerate();
        let layers = description.layers().into_iter().enumerate();
        Ok(Self {
            input_width: description.input_width(),
            embeddings: tables
                .map(|(at, table)| {
                    embedding(table, weights, &member_name(member, &format!("embedding.{at}")))
                })
                .collect::<Result<_>>()?,
            layers: layers
                .map(|(at, shape)| layer(shape, weights, &member_name(member, &format!("layer.{at}"))))
                .collect::<Result<_>>()?,
        })
    }

    /// Where the inputs of each category's embedding begin and end.
    pub(crate) fn embedding_spans(&self) -> Vec<Range<usize>> {
        let mut start = self.input_width - self.embeddings.iter().map(|table| table.width).sum::<usize>();
        let span = |table: &Embedding| {
            let span = start..start + table.width;
            start = span.end;
            span
        };
        self.embeddings.iter().map(span).collect()
    }

    /// Computes neighbouring rows and returns their logits in order.
    pub(crate) fn forward(&self, inputs: &Inputs, rows: Range<usize>, pass: &mut Pass) -> Vec<f32> {
        self.gather(inputs, rows, pass);
        pass.outputs.resize_with(self.layers.len(), Vec::new);
        for (at, layer) in self.layers.iter().enumerate() {
            let (before, output) = pass.outputs.split_at_mut(at);
            let output = &mut output[0];
            output.resize(pass.rows * layer.forward.padded_outputs(), 0.0);
            match before.last() {
                None => layer.forward.multiply(&pass.input, self.input_width, output),
                Some(previous) => {
                    pass.active.clear();
                    pass.active.extend(previous.iter().map(|x| x.max(0.0)));
                    layer
                        .forward
                        .multiply(&pass.active, previous.len() / pass.rows, output);
                }
            }
        }
        let last = pass.outputs.last().expect("a network has an output layer");
        last.iter().step_by(last.len() / pass.rows).copied().collect()
    }

    /// Carries multipliers from the logit back to the inputs. `slopes` multiplies those of one row by the slopes of
    /// a layer's rectifiers; it is called with the layer, the multipliers and the layer's outputs.
    ///
    /// # Shape
    /// The result has as many padded rows as the pass; the second part is their width.
    pub(crate) fn backward(
        &self,
        pass: &Pass,
        slopes: impl Fn(usize, &mut [f32], &[f32]),
    ) -> (Vec<f32>, usize) {
        let last = self.layers.len() - 1;
        // The logit is the first of the last layer's padded outputs.
        let mut width = self.layers[last].forward.padded_outputs();
        let mut multipliers = vec![0.0; pass.rows * width];
        multipliers
            .iter_mut()
            .step_by(width)
            .for_each(|logit| *logit = 1.0);
        for at in (0..=last).rev() {
            if at < last {
                let rows = multipliers
                    .chunks_exact_mut(width)
                    .zip(pass.outputs[at].chunks_exact(width));
                rows.for_each(|(multipliers, outputs)| slopes(at, multipliers, outputs));
            }
            let backward = &self.layers[at].backward;
            let mut inputs = vec![0.0; pass.rows * backward.padded_outputs()];
            backward.multiply(&multipliers, width, &mut inputs);
            (multipliers, width) = (inputs, backward.padded_outputs());
        }
        (multipliers, width)
    }

    fn gather(&self, inputs: &Inputs, rows: Range<usize>, pass: &mut Pass) {
        pass.rows = rows.len();
        pass.input.clear();
        for row in rows {
            pass.input.extend(inputs.numeric_row(row));
            for (table, &code) in self.embeddings.iter().zip(inputs.code_row(row)) {
                pass.input.extend(table.row(code));
            }
        }
    }
}

fn embedding(table: &EmbeddingDescription, weights: &Weights, name: &str) -> Result<Embedding> {
    let tensor = weights.tensor(name, &[table.codes, table.width])?;
    Ok(Embedding {
        codes: table.codes,
        width: table.width,
        table: tensor.data.clone(),
    })
}

fn layer((inputs, outputs): (usize, usize), weights: &Weights, name: &str) -> Result<Layer> {
    let weight = &weights
        .tensor(&format!("{name}.weight"), &[inputs, outputs])?
        .data;
    let bias = &weights.tensor(&format!("{name}.bias"), &[outputs])?.data;
    Ok(Layer {
        forward: Panels::new(inputs, outputs, |i, o| weight[i * outputs + o], |o| bias[o]),
        backward: Panels::new(outputs, inputs, |o, i| weight[i * outputs + o], |_| 0.0),
    })
}
