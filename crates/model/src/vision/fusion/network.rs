//! The layers of a fusion network, forward and backward.

use std::collections::BTreeMap;

use super::description::{FusionInputs, FusionNetwork};
use crate::Result;
use crate::dataset::Inputs;
use crate::inference::{Tensor, Weights};
use crate::vision::layer::Decay;
use crate::vision::linear::Linear;
use crate::vision::parameter::Parameter;

/// The numbers of tables and of the missing image start within this distance from 0; at 0 itself the rectifier after
/// them would pass no gradient on.
const TABLE_RANGE: f32 = 0.3;

/// A fusion network that can learn and score.
#[derive(Clone, Debug)]
pub(super) struct Network {
    description: FusionNetwork,
    /// Stands in for the embedding of an image that is not there.
    missing: Parameter,
    image: Linear,
    tables: Vec<Parameter>,
    step: Linear,
    layers: Vec<Linear>,
}

/// What the backward pass has to know of the forward pass.
pub(super) struct Trace {
    images: Vec<f32>,
    image_hidden: Vec<f32>,
    steps: Vec<f32>,
    step_hidden: Vec<f32>,
    /// The input of each layer over all three, then the logits.
    values: Vec<Vec<f32>>,
    /// What each number of the first of them was multiplied by; empty where none was dropped.
    kept: Vec<f32>,
}

impl Trace {
    /// The joined rows.
    pub(super) fn joined(&self) -> &[f32] {
        &self.values[0]
    }

    pub(super) fn logits(&self) -> &[f32] {
        self.values.last().expect("a network has a layer")
    }
}

impl Network {
    /// A network that has learned nothing. Draws in one order, each number within ±1.
    pub(super) fn random(description: &FusionNetwork, bias: f32, mut uniform: impl FnMut() -> f32) -> Self {
        let last = description.hidden.len();
        let mut table = |count| Parameter::new((0..count).map(|_| TABLE_RANGE * uniform()).collect());
        let missing = table(description.image_width);
        let tables = description.embeddings.iter();
        let tables = tables.map(|of| table(of.codes * of.width)).collect();
        let mut linear = |inputs, outputs, bias| Linear::random(inputs, outputs, bias, &mut uniform);
        let image = linear(description.image_width, description.image_hidden, 0.0);
        let step = linear(description.step_width, description.step_hidden, 0.0);
        let layers = description.layers().into_iter().enumerate();
        let layers = layers
            .map(|(at, (inputs, outputs))| linear(inputs, outputs, if at == last { bias } else { 0.0 }));
        Self {
            layers: layers.collect(),
            missing,
            image,
            tables,
            step,
            description: description.clone(),
        }
    }

    /// A network of stored weights.
    ///
    /// # Errors
    /// If the description is empty, or the weights do not fit it.
    pub(super) fn load(description: &FusionNetwork, weights: &Weights) -> Result<Self> {
        description.validate()?;
        let plain = |name: &str, shape: &[usize]| {
            let tensor = weights.tensor(name, shape)?;
            Ok::<_, crate::Error>(Parameter::new(tensor.data.clone()))
        };
        let linear = |name: &str, inputs, outputs| Linear::load(name, inputs, outputs, weights);
        let tables = description.embeddings.iter().enumerate();
        let layers = description.layers().into_iter().enumerate();
        Ok(Self {
            missing: plain("missing", &[description.image_width])?,
            image: linear("image", description.image_width, description.image_hidden)?,
            tables: tables
                .map(|(at, table)| plain(&format!("embedding.{at}"), &[table.codes, table.width]))
                .collect::<Result<_>>()?,
            step: linear("step", description.step_width, description.step_hidden)?,
            layers: layers
                .map(|(at, (inputs, outputs))| linear(&format!("layer.{at}"), inputs, outputs))
                .collect::<Result<_>>()?,
            description: description.clone(),
        })
    }

    /// The weights, by name.
    pub(super) fn store(&self) -> Weights {
        let mut tensors = BTreeMap::new();
        let plain = |shape: Vec<usize>, parameter: &Parameter| Tensor {
            shape,
            data: parameter.value.clone(),
        };
        tensors.insert(
            "missing".to_owned(),
            plain(vec![self.description.image_width], &self.missing),
        );
        for (at, (table, values)) in self.description.embeddings.iter().zip(&self.tables).enumerate() {
            tensors.insert(
                format!("embedding.{at}"),
                plain(vec![table.codes, table.width], values),
            );
        }
        self.image.store("image", &mut tensors);
        self.step.store("step", &mut tensors);
        for (at, layer) in self.layers.iter().enumerate() {
            layer.store(&format!("layer.{at}"), &mut tensors);
        }
        Weights::new(tensors)
    }

    /// Every parameter in one order.
    pub(super) fn parameters_mut(&mut self) -> Vec<(&mut Parameter, Decay)> {
        let mut all = vec![(&mut self.missing, Decay::No)];
        all.extend(self.tables.iter_mut().map(|table| (table, Decay::Yes)));
        for layer in [&mut self.image, &mut self.step]
            .into_iter()
            .chain(&mut self.layers)
        {
            all.push((&mut layer.weights, Decay::Yes));
            all.push((&mut layer.bias, Decay::No));
        }
        all
    }

    /// The forward pass of some rows; `kept` multiplies the inputs of the layers over all three, if it is not empty.
    pub(super) fn forward(&self, inputs: &FusionInputs<'_>, rows: &[usize], kept: Vec<f32>) -> Trace {
        let image = |&row: &usize| inputs.images[row].as_deref().unwrap_or(&self.missing.value);
        let images: Vec<f32> = rows.iter().flat_map(image).copied().collect();
        let steps: Vec<f32> = rows
            .iter()
            .flat_map(|&row| &inputs.sequences[row])
            .copied()
            .collect();
        let (image_hidden, step_hidden) = (
            rectified(self.image.forward(&images)),
            rectified(self.step.forward(&steps)),
        );
        let mut joined = self.join(inputs, rows, &image_hidden, &step_hidden);
        joined
            .iter_mut()
            .zip(&kept)
            .for_each(|(value, kept)| *value *= kept);
        let mut values = vec![joined];
        for (at, layer) in self.layers.iter().enumerate() {
            let out = layer.forward(&values[at]);
            let is_last = at + 1 == self.layers.len();
            values.push(if is_last { out } else { rectified(out) });
        }
        Trace {
            images,
            image_hidden,
            steps,
            step_hidden,
            values,
            kept,
        }
    }

    /// Image, numbers, categories and sequence of each row, side by side.
    fn join(&self, inputs: &FusionInputs<'_>, rows: &[usize], image: &[f32], steps: &[f32]) -> Vec<f32> {
        let description = &self.description;
        let mut joined = Vec::with_capacity(rows.len() * description.joined_width());
        let mut steps = steps.chunks_exact(description.step_hidden);
        for (&row, image) in rows.iter().zip(image.chunks_exact(description.image_hidden)) {
            joined.extend(image);
            joined.extend(self.features(inputs.rows, row));
            let mut mean = vec![0.0; description.step_hidden];
            let count = self.steps(inputs, row);
            for step in steps.by_ref().take(count) {
                mean.iter_mut().zip(step).for_each(|(sum, value)| *sum += value);
            }
            joined.extend(mean.into_iter().map(|sum| sum / count.max(1) as f32));
        }
        joined
    }

    /// Numbers and categories of a row, as they lie behind the image in a joined row.
    pub(super) fn features(&self, rows: &Inputs, row: usize) -> Vec<f32> {
        let mut features = rows.numeric_row(row).to_vec();
        let tables = self.description.embeddings.iter().zip(&self.tables);
        for ((table, values), &code) in tables.zip(rows.code_row(row)) {
            features.extend(&values.value[code as usize * table.width..][..table.width]);
        }
        features
    }

    /// What each layer gives for one joined row, before its rectifier; the logit is the last.
    pub(super) fn outputs(&self, joined: &[f32]) -> Vec<Vec<f32>> {
        let mut outputs: Vec<Vec<f32>> = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            let output = match outputs.last() {
                None => layer.forward(joined),
                Some(before) => layer.forward(&rectified(before.clone())),
            };
            outputs.push(output);
        }
        outputs
    }

    /// The layers over all three.
    pub(super) fn layers(&self) -> &[Linear] {
        &self.layers
    }

    fn steps(&self, inputs: &FusionInputs<'_>, row: usize) -> usize {
        inputs.sequences[row].len() / self.description.step_width
    }

    /// Adds the gradients of all parameters.
    pub(super) fn backward(
        &mut self,
        inputs: &FusionInputs<'_>,
        rows: &[usize],
        trace: &Trace,
        gradient: &[f32],
    ) {
        let mut gradient = gradient.to_vec();
        for (at, layer) in self.layers.iter_mut().enumerate().rev() {
            gradient = layer.backward(&trace.values[at], &gradient);
            if at > 0 {
                mask(&mut gradient, &trace.values[at]);
            }
        }
        gradient
            .iter_mut()
            .zip(&trace.kept)
            .for_each(|(value, kept)| *value *= kept);
        let (mut of_image, mut of_steps) = self.part(inputs, rows, &gradient);
        mask(&mut of_image, &trace.image_hidden);
        mask(&mut of_steps, &trace.step_hidden);
        self.step.backward(&trace.steps, &of_steps);
        let of_images = self.image.backward(&trace.images, &of_image);
        let each = rows
            .iter()
            .zip(of_images.chunks_exact(self.description.image_width));
        for (_, gradient) in each.filter(|(row, _)| inputs.images[**row].is_none()) {
            add(&mut self.missing.gradient, gradient);
        }
    }

    /// Takes the gradient of joined rows apart: what goes to the tables is added there, that of the image's and the
    /// steps' rows is returned.
    fn part(&mut self, inputs: &FusionInputs<'_>, rows: &[usize], gradient: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let (mut of_image, mut of_steps) = (Vec::new(), Vec::new());
        let width = self.description.joined_width();
        for (&row, gradient) in rows.iter().zip(gradient.chunks_exact(width)) {
            let (image, rest) = gradient.split_at(self.description.image_hidden);
            of_image.extend(image);
            let mut rest = &rest[self.description.numeric_width..];
            let tables = self.description.embeddings.iter().zip(&mut self.tables);
            for ((table, values), &code) in tables.zip(inputs.rows.code_row(row)) {
                let (of_table, after) = rest.split_at(table.width);
                add(
                    &mut values.gradient[code as usize * table.width..][..table.width],
                    of_table,
                );
                rest = after;
            }
            let count = self.steps(inputs, row);
            for _ in 0..count {
                of_steps.extend(rest.iter().map(|value| value / count as f32));
            }
        }
        (of_image, of_steps)
    }
}

fn rectified(mut values: Vec<f32>) -> Vec<f32> {
    values.iter_mut().for_each(|value| *value = value.max(0.0));
    values
}

/// Takes the gradient away where the rectifier gave 0.
fn mask(gradient: &mut [f32], values: &[f32]) {
    for (gradient, &value) in gradient.iter_mut().zip(values) {
        if value <= 0.0 {
            *gradient = 0.0;
        }
    }
}

fn add(sums: &mut [f32], values: &[f32]) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
}
