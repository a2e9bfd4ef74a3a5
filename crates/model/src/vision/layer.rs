//! A convolution with batch norm and rectifier: in training with the batch's statistics, in scoring as one
//! convolution.

use super::batch_norm::{self, NORM_EPSILON, Normalised};
use super::dense::Dense;
use super::depthwise::Depthwise;
use super::maps::Maps;
use super::parameter::Parameter;
use crate::inference::{Tensor, Weights};
use crate::scalar::narrow;
use crate::{Error, Result};

/// The function after a layer: a clamp in every case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activation {
    /// The value itself.
    None,
    /// `max(x, 0)`
    Relu,
    /// `min(max(x, 0), 6)`
    Relu6,
}

impl Activation {
    /// The values that pass unchanged and pass their gradient on.
    pub(super) const fn bounds(self) -> (f32, f32) {
        match self {
            Self::None => (f32::NEG_INFINITY, f32::INFINITY),
            Self::Relu => (0.0, f32::INFINITY),
            Self::Relu6 => (0.0, 6.0),
        }
    }
}

/// Which channels an output reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mixing {
    /// All.
    Dense,
    /// The one of its own number.
    Depthwise,
}

/// What a layer looks like and what its tensors are called.
#[derive(Clone, Debug)]
pub(super) struct LayerShape {
    pub(super) convolution: String,
    pub(super) norm: String,
    pub(super) mixing: Mixing,
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) activation: Activation,
}

impl LayerShape {
    /// Inputs of a window.
    pub(super) const fn window(&self) -> usize {
        let taps = self.kernel * self.kernel;
        match self.mixing {
            Mixing::Dense => taps * self.inputs,
            Mixing::Depthwise => taps,
        }
    }

    /// The shape of the stored kernel: outputs first, as PyTorch has it.
    fn stored_shape(&self) -> [usize; 4] {
        let inputs = match self.mixing {
            Mixing::Dense => self.inputs,
            Mixing::Depthwise => 1,
        };
        [self.outputs, inputs, self.kernel, self.kernel]
    }

    fn norm_tensor(&self, part: &str) -> String {
        format!("{}.{part}", self.norm)
    }
}

/// A layer that can learn.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub(super) shape: LayerShape,
    /// `kernel × kernel × inputs × outputs`, or `kernel × kernel × channels` where each is on its own.
    pub(super) kernel: Parameter,
    pub(super) scale: Parameter,
    pub(super) shift: Parameter,
    pub(super) running_mean: Vec<f32>,
    pub(super) running_variance: Vec<f32>,
}

/// What the backward pass has to know of the forward pass.
#[derive(Debug)]
pub(super) struct LayerTrace {
    normalised: Normalised,
    pub(super) output: Maps,
}

impl Layer {
    /// A layer that has learned nothing: random weights, a norm that changes nothing.
    ///
    /// # Source
    /// He, Zhang, Ren, Sun, "Delving Deep into Rectifiers" (2015), equation 10, as a uniform distribution of that
    /// variance.
    pub(super) fn random(shape: LayerShape, mut uniform: impl FnMut() -> f32) -> Self {
        let range = narrow(libm::sqrt(6.0 / shape.window() as f64));
        let count = shape.window() * shape.outputs;
        let outputs = shape.outputs;
        Self {
            kernel: Parameter::new((0..count).map(|_| range * uniform()).collect()),
            scale: Parameter::new(vec![1.0; outputs]),
            shift: Parameter::new(vec![0.0; outputs]),
            running_mean: vec![0.0; outputs],
            running_variance: vec![1.0; outputs],
            shape,
        }
    }

    /// A layer of stored weights.
    ///
    /// # Errors
    /// If a tensor is absent, has another shape, or holds what is not a finite number, or a variance is below 0.
    pub(super) fn load(shape: LayerShape, weights: &Weights) -> Result<Self> {
        let stored = weights.tensor(&format!("{}.weight", shape.convolution), &shape.stored_shape())?;
        let norm = |part: &str| {
            let tensor = weights.tensor(&shape.norm_tensor(part), &[shape.outputs])?;
            Ok::<_, Error>(tensor.data.clone())
        };
        let (running_mean, running_variance) = (norm("running_mean")?, norm("running_var")?);
        if running_variance.iter().any(|&variance| variance < 0.0) {
            return Err(Error::NotFinite {
                what: format!("the deviation of {}", shape.norm),
            });
        }
        Ok(Self {
            kernel: Parameter::new(exchange(&stored.data, shape.outputs)),
            scale: Parameter::new(norm("weight")?),
            shift: Parameter::new(norm("bias")?),
            running_mean,
            running_variance,
            shape,
        }
        .inputs_innermost())
    }

    /// Stored kernels are `inputs × kernel × kernel` for each output; in memory the inputs come after the taps.
    fn inputs_innermost(mut self) -> Self {
        let taps = self.shape.kernel * self.shape.kernel;
        let outputs = self.shape.outputs;
        let inputs = self.shape.window() / taps;
        self.kernel.value = move_blocks(&self.kernel.value, inputs, taps, outputs);
        self
    }

    /// The stored form of every tensor.
    pub(super) fn store(&self, tensors: &mut std::collections::BTreeMap<String, Tensor>) {
        let shape = &self.shape;
        let taps = shape.kernel * shape.kernel;
        let inputs = shape.window() / taps;
        let kernel = move_blocks(&self.kernel.value, taps, inputs, shape.outputs);
        let mut insert = |name: String, shape: &[usize], data: Vec<f32>| {
            let shape = shape.to_vec();
            tensors.insert(name, Tensor { shape, data });
        };
        insert(
            format!("{}.weight", shape.convolution),
            &shape.stored_shape(),
            exchange(&kernel, shape.window()),
        );
        for (part, values) in [
            ("weight", &self.scale.value),
            ("bias", &self.shift.value),
            ("running_mean", &self.running_mean),
            ("running_var", &self.running_variance),
        ] {
            insert(shape.norm_tensor(part), &[shape.outputs], values.clone());
        }
    }

    /// The layer's output with the batch's statistics, which move the running ones.
    pub(super) fn forward(&mut self, input: &Maps, momentum: f32) -> LayerTrace {
        let maps = convolve(&self.shape, &self.kernel.value, input, None);
        let statistics = batch_norm::statistics(&maps);
        statistics.update(&mut self.running_mean, &mut self.running_variance, momentum);
        let normalised = Normalised::new(maps, &statistics);
        let output = normalised.output(&self.scale.value, &self.shift.value, self.shape.activation);
        LayerTrace { normalised, output }
    }

    /// Adds the gradients of the parameters and returns that of the input, if it is wanted.
    pub(super) fn backward(
        &mut self,
        input: &Maps,
        trace: &LayerTrace,
        mut gradient: Maps,
        wants_input: WantsInput,
    ) -> Option<Maps> {
        trace.normalised.backward(
            &mut gradient,
            &mut self.scale,
            &mut self.shift,
            self.shape.activation,
        );
        let weights = &mut self.kernel.gradient;
        match self.shape.mixing {
            Mixing::Dense => {
                dense(&self.shape, &self.kernel.value).backward_weights(input, &gradient, weights)
            }
            Mixing::Depthwise => {
                depthwise(&self.shape, &self.kernel.value).backward_weights(input, &gradient, weights);
            }
        }
        match wants_input {
            WantsInput::No => None,
            WantsInput::Yes => Some(gradient_of_input(
                &self.shape,
                &self.kernel.value,
                input,
                &gradient,
            )),
        }
    }

    /// The same function of one input as in scoring: the running statistics become part of the kernel.
    pub(super) fn fold(&self) -> FoldedLayer {
        let gain: Vec<f32> = self
            .running_variance
            .iter()
            .zip(&self.scale.value)
            .map(|(&variance, &scale)| {
                narrow(f64::from(scale) / libm::sqrt(f64::from(variance) + NORM_EPSILON))
            })
            .collect();
        let kernel = self.kernel.value.chunks_exact(self.shape.outputs);
        let bias = self.running_mean.iter().zip(&self.shift.value).zip(&gain);
        FoldedLayer {
            kernel: kernel
                .flat_map(|outputs| outputs.iter().zip(&gain).map(|(weight, gain)| weight * gain))
                .collect(),
            bias: bias.map(|((mean, shift), gain)| shift - mean * gain).collect(),
            shape: self.shape.clone(),
        }
    }

    /// The parameters in one order.
    pub(super) fn parameters_mut(&mut self) -> [(&mut Parameter, Decay); 3] {
        [
            (&mut self.kernel, Decay::Yes),
            (&mut self.scale, Decay::No),
            (&mut self.shift, Decay::No),
        ]
    }
}

/// Whether the gradient of a layer's input is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WantsInput {
    Yes,
    No,
}

/// Whether a parameter shrinks while it learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decay {
    Yes,
    No,
}

/// A layer as it scores.
#[derive(Clone, Debug)]
pub(super) struct FoldedLayer {
    shape: LayerShape,
    kernel: Vec<f32>,
    bias: Vec<f32>,
}

impl FoldedLayer {
    pub(super) fn forward(&self, input: &Maps) -> Maps {
        let mut out = convolve(&self.shape, &self.kernel, input, Some(&self.bias));
        batch_norm::clamp(&mut out.data, self.shape.activation.bounds());
        out
    }

    /// The gradient of the input from that of the output.
    pub(super) fn backward_input(&self, input: &Maps, output: &Maps, mut gradient: Maps) -> Maps {
        let (low, high) = self.shape.activation.bounds();
        for (gradient, &output) in gradient.data.iter_mut().zip(&output.data) {
            if output <= low || output >= high {
                *gradient = 0.0;
            }
        }
        gradient_of_input(&self.shape, &self.kernel, input, &gradient)
    }
}

fn gradient_of_input(shape: &LayerShape, kernel: &[f32], input: &Maps, gradient: &Maps) -> Maps {
    match shape.mixing {
        Mixing::Dense => dense(shape, kernel).backward_input(input, gradient),
        Mixing::Depthwise => depthwise(shape, kernel).backward_input(input, gradient),
    }
}

fn convolve(shape: &LayerShape, kernel: &[f32], input: &Maps, bias: Option<&[f32]>) -> Maps {
    match shape.mixing {
        Mixing::Dense => dense(shape, kernel).forward(input, bias),
        Mixing::Depthwise => depthwise(shape, kernel).forward(input, bias),
    }
}

const fn dense<'a>(shape: &LayerShape, weights: &'a [f32]) -> Dense<'a> {
    Dense {
        kernel: shape.kernel,
        stride: shape.stride,
        inputs: shape.inputs,
        outputs: shape.outputs,
        weights,
    }
}

const fn depthwise<'a>(shape: &LayerShape, weights: &'a [f32]) -> Depthwise<'a> {
    Depthwise {
        kernel: shape.kernel,
        stride: shape.stride,
        channels: shape.outputs,
        weights,
    }
}

/// Rows become columns: a matrix of `rows` rows, transposed.
fn exchange(values: &[f32], rows: usize) -> Vec<f32> {
    let columns = values.len() / rows;
    (0..values.len())
        .map(|at| values[at % rows * columns + at / rows])
        .collect()
}

/// Blocks of `len` numbers in a matrix of blocks, `rows × columns`, transposed.
fn move_blocks(values: &[f32], rows: usize, columns: usize, len: usize) -> Vec<f32> {
    (0..columns)
        .flat_map(|column| (0..rows).map(move |row| (row * columns + column) * len))
        .flat_map(|start| values[start..start + len].iter().copied())
        .collect()
}
