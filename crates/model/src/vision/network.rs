//! Layers put together: a network that learns, and the network that scores.

use std::collections::BTreeMap;

use super::description::{ImageNetwork, Pooling};
use super::images::Images;
use super::layer::{Decay, FoldedLayer, Layer, LayerTrace, WantsInput};
use super::linear::Linear;
use super::maps::Maps;
use super::memory::Reuse;
use super::parameter::Parameter;
use super::pooling::{self, Pooled};
use crate::Result;
use crate::inference::Weights;

/// Layers whose last output may have the first one's input added.
#[derive(Clone, Debug)]
struct Unit<L> {
    layers: Vec<L>,
    skip: bool,
}

/// A network that can learn.
#[derive(Clone, Debug)]
pub(super) struct Network {
    description: ImageNetwork,
    units: Vec<Unit<Layer>>,
    head: Linear,
}

/// What the backward pass has to know of the forward pass.
#[derive(Debug)]
pub(super) struct Trace {
    /// The first unit that was not frozen.
    first: usize,
    /// The input of each unit from there on, then the last one's output.
    inputs: Vec<Maps>,
    layers: Vec<Vec<LayerTrace>>,
    pooled: Pooled,
    /// The pooled rows with some numbers dropped.
    rows: Vec<f32>,
    /// What each number of a row was multiplied by; empty where none was dropped.
    kept: Vec<f32>,
    /// The head's outputs, `batch × outputs`.
    pub(super) outputs: Vec<f32>,
}

impl Network {
    /// A network that has learned nothing. Draws in the order of the layers, each number within ±1.
    pub(super) fn random(description: &ImageNetwork, bias: f32, mut uniform: impl FnMut() -> f32) -> Self {
        let units = description.units().into_iter();
        let units = units.map(|unit| Unit {
            layers: unit
                .layers
                .into_iter()
                .map(|shape| Layer::random(shape, &mut uniform))
                .collect(),
            skip: unit.skip,
        });
        let units = units.collect();
        let head = Linear::random(description.embedding_width(), description.outputs, bias, uniform);
        Self {
            description: description.clone(),
            units,
            head,
        }
    }

    /// A network of stored weights.
    ///
    /// # Errors
    /// If the description cannot be computed, or the weights do not fit it.
    pub(super) fn load(description: &ImageNetwork, weights: &Weights) -> Result<Self> {
        description.validate()?;
        let units = description.units().into_iter();
        let units = units.map(|unit| {
            let layers = unit.layers.into_iter();
            Ok(Unit {
                layers: layers
                    .map(|shape| Layer::load(shape, weights))
                    .collect::<Result<_>>()?,
                skip: unit.skip,
            })
        });
        let (width, outputs) = (description.embedding_width(), description.outputs);
        Ok(Self {
            units: units.collect::<Result<_>>()?,
            head: Linear::load(description.head_name(), width, outputs, weights)?,
            description: description.clone(),
        })
    }

    /// The same layers under a new head for images of another size.
    pub(super) fn with_head(
        mut self,
        description: &ImageNetwork,
        bias: f32,
        uniform: impl FnMut() -> f32,
    ) -> Self {
        self.head = Linear::random(description.embedding_width(), description.outputs, bias, uniform);
        self.description = description.clone();
        self
    }

    /// The weights of every layer, by name.
    pub(super) fn store(&self) -> Weights {
        let mut tensors = BTreeMap::new();
        for layer in self.units.iter().flat_map(|unit| &unit.layers) {
            layer.store(&mut tensors);
        }
        self.head.store(self.description.head_name(), &mut tensors);
        Weights::new(tensors)
    }

    /// How many units there are to freeze.
    pub(super) fn units(&self) -> usize {
        self.units.len()
    }

    /// The forward pass of a step. Units before `first` are frozen: they score and keep their statistics. The others
    /// normalise by the batch, and their running statistics move by a share `momentum` towards it.
    pub(super) fn forward(
        &mut self,
        input: Maps,
        first: usize,
        momentum: f32,
        kept: impl FnOnce(usize) -> Vec<f32>,
    ) -> Trace {
        let frozen = self.units[..first].iter().map(Unit::fold);
        let mut maps = frozen.fold(input, |maps, unit| unit.forward(maps));
        let (mut inputs, mut layers) = (Vec::new(), Vec::new());
        for unit in &mut self.units[first..] {
            let (traces, output) = unit.forward_training(&maps, momentum);
            inputs.push(std::mem::replace(&mut maps, output));
            layers.push(traces);
        }
        let pooled = pooling::forward(self.description.pooling, &maps);
        inputs.push(maps);
        let kept = kept(pooled.rows.len());
        let rows = multiplied(&pooled.rows, &kept);
        Trace {
            first,
            inputs,
            layers,
            outputs: self.head.forward(&rows),
            pooled,
            rows,
            kept,
        }
    }

    /// Adds the gradients of all parameters that are not frozen.
    pub(super) fn backward(&mut self, trace: &Trace, gradient: &[f32]) {
        let rows = multiplied(&self.head.backward(&trace.rows, gradient), &trace.kept);
        if trace.first == self.units.len() {
            return;
        }
        let last = trace.inputs.last().expect("the last unit's output is there");
        let mut gradient = pooling::backward(self.description.pooling, last, &trace.pooled, &rows);
        let units = self.units[trace.first..].iter_mut().zip(&trace.layers);
        for (at, (unit, layers)) in units.enumerate().rev() {
            let wants = if at == 0 { WantsInput::No } else { WantsInput::Yes };
            match unit.backward(&trace.inputs[at], layers, gradient, wants) {
                Some(of_input) => gradient = of_input,
                None => return,
            }
        }
    }

    /// Every parameter in one order, with the unit it belongs to; the head's counts as the one after the last.
    pub(super) fn parameters_mut(&mut self) -> Vec<(usize, &mut Parameter, Decay)> {
        let head = self.units.len();
        let mut all = Vec::new();
        for (at, unit) in self.units.iter_mut().enumerate() {
            for layer in &mut unit.layers {
                all.extend(
                    layer
                        .parameters_mut()
                        .map(|(parameter, decay)| (at, parameter, decay)),
                );
            }
        }
        all.push((head, &mut self.head.weights, Decay::Yes));
        all.push((head, &mut self.head.bias, Decay::No));
        all
    }

    /// The network as it scores.
    pub(super) fn fold(&self) -> Folded {
        Folded {
            description: self.description.clone(),
            units: self.units.iter().map(Unit::fold).collect(),
            pooling: self.description.pooling,
            head: self.head.clone(),
        }
    }
}

fn multiplied(rows: &[f32], kept: &[f32]) -> Vec<f32> {
    if kept.is_empty() {
        return rows.to_vec();
    }
    rows.iter().zip(kept).map(|(value, kept)| value * kept).collect()
}

impl Unit<Layer> {
    fn fold(&self) -> Unit<FoldedLayer> {
        Unit {
            layers: self.layers.iter().map(Layer::fold).collect(),
            skip: self.skip,
        }
    }

    fn forward_training(&mut self, input: &Maps, momentum: f32) -> (Vec<LayerTrace>, Maps) {
        let mut traces: Vec<LayerTrace> = Vec::with_capacity(self.layers.len());
        for layer in &mut self.layers {
            let before = traces.last().map_or(input, |trace| &trace.output);
            let trace = layer.forward(before, momentum);
            traces.push(trace);
        }
        let last = traces.last_mut().expect("a unit has a layer");
        let mut output = std::mem::take(&mut last.output);
        if self.skip {
            output.add(input);
        }
        (traces, output)
    }

    fn backward(
        &mut self,
        input: &Maps,
        traces: &[LayerTrace],
        gradient: Maps,
        wants: WantsInput,
    ) -> Option<Maps> {
        let past = (self.skip && wants == WantsInput::Yes).then(|| gradient.clone());
        let mut gradient = gradient;
        for (at, layer) in self.layers.iter_mut().enumerate().rev() {
            let before = if at == 0 { input } else { &traces[at - 1].output };
            let wants = if at == 0 { wants } else { WantsInput::Yes };
            gradient = layer.backward(before, &traces[at], gradient, wants)?;
        }
        if let Some(past) = past {
            gradient.add(&past);
        }
        Some(gradient)
    }
}

impl Unit<FoldedLayer> {
    fn forward(&self, input: Maps) -> Maps {
        let (first, rest) = self.layers.split_first().expect("a unit has a layer");
        let mut maps = first.forward(&input);
        for layer in rest {
            maps = layer.forward(&maps);
        }
        if self.skip {
            maps.add(&input);
        }
        maps
    }
}

impl Unit<FoldedLayer> {
    /// The output of each layer.
    fn outputs(&self, input: &Maps) -> Vec<Maps> {
        let mut outputs: Vec<Maps> = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            let output = layer.forward(outputs.last().unwrap_or(input));
            outputs.push(output);
        }
        outputs
    }

    /// The output of the unit from that of its layers.
    fn close(&self, outputs: &[Maps], input: &Maps) -> Maps {
        let mut output = outputs.last().expect("a unit has a layer").clone();
        if self.skip {
            output.add(input);
        }
        output
    }

    /// The gradient of the input.
    fn backward(&self, input: &Maps, outputs: &[Maps], gradient: Maps) -> Maps {
        let past = self.skip.then(|| gradient.clone());
        let mut gradient = gradient;
        for (at, layer) in self.layers.iter().enumerate().rev() {
            let before = if at == 0 { input } else { &outputs[at - 1] };
            gradient = layer.backward_input(before, &outputs[at], gradient);
        }
        if let Some(past) = past {
            gradient.add(&past);
        }
        gradient
    }
}

/// A network as it scores: one image at a time, so that an image's numbers are the same in every batch (INV-5).
#[derive(Clone, Debug)]
pub(super) struct Folded {
    pub(super) description: ImageNetwork,
    units: Vec<Unit<FoldedLayer>>,
    pooling: Pooling,
    head: Linear,
}

impl Folded {
    /// The row that each image is pooled to, one after the other.
    ///
    /// # Errors
    /// If the images have another shape than the network reads.
    pub(super) fn embeddings(&self, images: &Images) -> Result<Vec<f32>> {
        images.check_shape(&self.description.input)?;
        let _reuse = Reuse::begin();
        let numbers = |image| images.numbers(&[image], &self.description);
        Ok((0..images.len())
            .flat_map(|image| self.embedding(numbers(image)))
            .collect())
    }

    /// The head's outputs for rows of embeddings.
    pub(super) fn outputs(&self, embeddings: &[f32]) -> Vec<f32> {
        self.head.forward(embeddings)
    }

    /// How much the first output rises with each number of an image.
    pub(super) fn slopes(&self, image: Maps) -> Maps {
        let mut inputs = vec![image];
        let mut outputs: Vec<Vec<Maps>> = Vec::new();
        for unit in &self.units {
            let input = inputs.last().expect("it begins with the image");
            let of_layers = unit.outputs(input);
            inputs.push(unit.close(&of_layers, input));
            outputs.push(of_layers);
        }
        let maps = inputs.last().expect("it begins with the image");
        let pooled = pooling::forward(self.pooling, maps);
        let mut first = vec![0.0; self.description.outputs];
        first[0] = 1.0;
        let rows = self.head.clone().backward(&pooled.rows, &first);
        let mut slopes = pooling::backward(self.pooling, maps, &pooled, &rows);
        for ((unit, input), outputs) in self.units.iter().zip(&inputs).zip(&outputs).rev() {
            slopes = unit.backward(input, outputs, slopes);
        }
        slopes
    }

    pub(super) fn embedding(&self, image: Maps) -> Vec<f32> {
        let maps = self.units.iter().fold(image, |maps, unit| unit.forward(maps));
        pooling::forward(self.pooling, &maps).rows
    }
}
