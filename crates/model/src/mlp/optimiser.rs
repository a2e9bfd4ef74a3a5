//! Adam with decoupled weight decay.

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};

use super::OptimiserSettings;
use super::parameters::Parameters;
use crate::{Error, Result};

const FIRST_DECAY: f64 = 0.9;
const SECOND_DECAY: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// The running moments of one parameter's gradient.
struct Moments {
    first: Tensor,
    second: Tensor,
}

/// Adam with decoupled weight decay over parameters in the order of their names; biases do not decay.
///
/// # Source
/// Loshchilov, Hutter, "Decoupled Weight Decay Regularization" (2019), algorithm 2.
pub(super) struct AdamW {
    moments: Vec<Moments>,
    weight_decay: f64,
    gradient_clip: f64,
    first_power: f64,
    second_power: f64,
}

impl AdamW {
    pub(super) fn new(parameters: &Parameters, settings: &OptimiserSettings) -> Result<Self> {
        let zeros = |var: &Var| var.as_tensor().zeros_like();
        let moments = parameters.iter().map(|(_, var)| {
            Ok(Moments {
                first: zeros(var)?,
                second: zeros(var)?,
            })
        });
        Ok(Self {
            moments: moments.collect::<Result<_>>()?,
            weight_decay: settings.weight_decay,
            gradient_clip: settings.gradient_clip,
            first_power: 1.0,
            second_power: 1.0,
        })
    }

    /// One step against the gradients.
    ///
    /// # Errors
    /// If a parameter has no gradient.
    pub(super) fn step(&mut self, parameters: &Parameters, gradients: &GradStore, rate: f64) -> Result<()> {
        let gradients = in_order(parameters, gradients)?;
        let scale = self.clip_scale(&gradients)?;
        self.first_power *= FIRST_DECAY;
        self.second_power *= SECOND_DECAY;
        for (((name, var), gradient), moments) in parameters.iter().zip(&gradients).zip(&mut self.moments) {
            let gradient = gradient.affine(scale, 0.0)?;
            moments.first = ((&moments.first * FIRST_DECAY)? + (&gradient * (1.0 - FIRST_DECAY))?)?;
            moments.second = ((&moments.second * SECOND_DECAY)? + (gradient.sqr()? * (1.0 - SECOND_DECAY))?)?;
            let length = ((&moments.second / (1.0 - self.second_power))?.sqrt()? + EPSILON)?;
            let step = ((&moments.first * (rate / (1.0 - self.first_power)))? / length)?;
            let decay = if name.ends_with("bias") {
                0.0
            } else {
                self.weight_decay
            };
            let kept = (var.as_tensor().detach() * (1.0 - rate * decay))?;
            var.set(&(kept - step)?)?;
        }
        Ok(())
    }

    /// What shortens the gradient over all parameters to the greatest length allowed.
    fn clip_scale(&self, gradients: &[Tensor]) -> Result<f64> {
        if self.gradient_clip == 0.0 {
            return Ok(1.0);
        }
        let mut squares = 0.0;
        for gradient in gradients {
            squares += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
        }
        let length = libm::sqrt(squares);
        Ok(if length > self.gradient_clip {
            self.gradient_clip / length
        } else {
            1.0
        })
    }
}

/// The gradients of all parameters, cut off from the graph they were computed in.
fn in_order(parameters: &Parameters, gradients: &GradStore) -> Result<Vec<Tensor>> {
    let each = parameters.iter().map(|(name, var)| {
        let gradient = gradients.get(var.as_tensor()).map(Tensor::detach);
        gradient.ok_or_else(|| Error::NoGradient {
            name: name.to_owned(),
        })
    });
    each.collect()
}
