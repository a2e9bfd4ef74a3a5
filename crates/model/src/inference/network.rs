//! One member: its layers packed for the kernel, forwards and backwards.

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

/// What a forward pass leaves behind, one element of every row of a block together.
pub(crate) struct Pass<const R: usize> {
    blocks: usize,
    /// The inputs of the first layer.
    pub(crate) input: Vec<[f32; R]>,
    /// The outputs of each layer before the activation.
    pub(crate) outputs: Vec<Vec<[f32; R]>>,
    active: Vec<[f32; R]>,
}

impl<const R: usize> Pass<R> {
    pub(crate) fn new(network: &Network) -> Self {
        let outputs = vec![Vec::new(); network.layers.len()];
        Self {
            blocks: 0,
            input: Vec::new(),
            outputs,
            active: Vec::new(),
        }
    }
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

    pub(crate) const fn input_width(&self) -> usize {
        self.input_width
    }

    /// Where the inputs of each category's embedding begin and end.
    pub(crate) fn embedding_spans(&self) -> Vec<std::ops::Range<usize>> {
        let mut start = self.input_width - self.embeddings.iter().map(|table| table.width).sum::<usize>();
        let span = |table: &Embedding| {
            let span = start..start + table.width;
            start = span.end;
            span
        };
        self.embeddings.iter().map(span).collect()
    }

    /// Computes `blocks × R` rows from `start` on and returns their logits in order.
    pub(crate) fn forward<const R: usize>(
        &self,
        inputs: &Inputs,
        start: usize,
        blocks: usize,
        pass: &mut Pass<R>,
    ) -> Vec<f32> {
        self.gather(inputs, start, blocks, pass);
        for (at, layer) in self.layers.iter().enumerate() {
            let padded = layer.forward.padded_outputs();
            let (before, output) = pass.outputs.split_at_mut(at);
            let output = &mut output[0];
            output.resize(blocks * padded, [0.0; R]);
            match before.last() {
                None => layer.forward.multiply(&pass.input, self.input_width, output),
                Some(previous) => {
                    pass.active.clear();
                    pass.active
                        .extend(previous.iter().map(|rows| rows.map(|x| x.max(0.0))));
                    layer
                        .forward
                        .multiply(&pass.active, previous.len() / blocks, output);
                }
            }
        }
        let last = pass.outputs.last().expect("a network has an output layer");
        last.chunks_exact(last.len() / blocks)
            .flat_map(|block| block[0])
            .collect()
    }

    /// Carries multipliers from the logit back to the inputs. `slope` is called with the layer, the output and its
    /// value before the activation.
    ///
    /// # Shape
    /// The result has `blocks × padded inputs` elements; the second part is the padded width.
    pub(crate) fn backward<const R: usize>(
        &self,
        pass: &Pass<R>,
        slope: impl Fn(usize, usize, f32) -> f32,
    ) -> (Vec<[f32; R]>, usize) {
        let last = self.layers.len() - 1;
        // The logit is the first of the last layer's padded outputs.
        let mut stride = self.layers[last].forward.padded_outputs();
        let mut multipliers = vec![[0.0; R]; pass.blocks * stride];
        multipliers
            .iter_mut()
            .step_by(stride)
            .for_each(|logit| *logit = [1.0; R]);
        for at in (0..=last).rev() {
            if at < last {
                let blocks = multipliers
                    .chunks_exact_mut(stride)
                    .zip(pass.outputs[at].chunks_exact(stride));
                for (multipliers, values) in blocks {
                    for (output, (rows, values)) in multipliers.iter_mut().zip(values).enumerate() {
                        *rows = std::array::from_fn(|row| rows[row] * slope(at, output, values[row]));
                    }
                }
            }
            let backward = &self.layers[at].backward;
            let mut inputs = vec![[0.0; R]; pass.blocks * backward.padded_outputs()];
            backward.multiply(&multipliers, stride, &mut inputs);
            (multipliers, stride) = (inputs, backward.padded_outputs());
        }
        (multipliers, stride)
    }

    fn gather<const R: usize>(&self, inputs: &Inputs, start: usize, blocks: usize, pass: &mut Pass<R>) {
        pass.blocks = blocks;
        pass.input.clear();
        pass.input.resize(blocks * self.input_width, [0.0; R]);
        for (block, elements) in pass.input.chunks_exact_mut(self.input_width).enumerate() {
            for row in 0..R {
                let at = start + block * R + row;
                let embedded = self.embeddings.iter().zip(inputs.code_row(at));
                let embedded = embedded.flat_map(|(table, &code)| table.row(code));
                for (element, &x) in elements
                    .iter_mut()
                    .zip(inputs.numeric_row(at).iter().chain(embedded))
                {
                    element[row] = x;
                }
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
