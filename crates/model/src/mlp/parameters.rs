//! The parameters of one member: their start, and their way in and out of candle.

use std::collections::BTreeMap;

use candle_core::{Device, Var};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::inference::{NetworkDescription, Tensor};
use crate::{Error, Result};

/// The numbers of a category start within this distance from 0.
const EMBEDDING_RANGE: f32 = 0.3;

/// Parameters in the order of their names.
pub(super) struct Parameters {
    vars: BTreeMap<String, Var>,
}

impl Parameters {
    /// Draws parameters in the order of their names. The unknown category starts at 0, between all others.
    ///
    /// # Source
    /// Weights before a rectifier: He, Zhang, Ren, Sun, "Delving Deep into Rectifiers" (2015), equation 10, as a
    /// uniform distribution of that variance.
    pub(super) fn random(
        description: &NetworkDescription,
        output_bias: f32,
        random: &mut ChaCha8Rng,
        device: &Device,
    ) -> Result<Self> {
        let output = description.hidden.len();
        let mut tensors = BTreeMap::new();
        for (name, shape) in description.member_parameters() {
            let count: usize = shape.iter().product();
            let mut uniform = |range: f32| (0..count).map(|_| random.random_range(-range..range)).collect();
            let data: Vec<f32> = if name.starts_with("embedding") {
                let mut table: Vec<f32> = uniform(EMBEDDING_RANGE);
                table[..shape[1]].fill(0.0);
                table
            } else if name.ends_with("weight") {
                let gain = if name == format!("layer.{output}.weight") {
                    1.0
                } else {
                    6.0
                };
                uniform(crate::scalar::narrow(libm::sqrt(gain / shape[0] as f64)))
            } else if name == format!("layer.{output}.bias") {
                vec![output_bias; count]
            } else {
                vec![0.0; count]
            };
            tensors.insert(name, Tensor { shape, data });
        }
        Self::from_tensors(description, &tensors, device)
    }

    /// Parameters that start from these tensors.
    pub(super) fn from_tensors(
        description: &NetworkDescription,
        tensors: &BTreeMap<String, Tensor>,
        device: &Device,
    ) -> Result<Self> {
        let vars = description.member_parameters().into_iter().map(|(name, shape)| {
            let tensor = tensors.get(&name).filter(|tensor| tensor.shape == shape);
            let tensor = tensor.ok_or_else(|| Error::Tensor {
                name: name.clone(),
                shape: shape.clone(),
            })?;
            Ok((name, Var::from_vec(tensor.data.clone(), shape, device)?))
        });
        Ok(Self {
            vars: vars.collect::<Result<_>>()?,
        })
    }

    /// Copies the parameters out.
    pub(super) fn to_tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        let tensors = self.vars.iter().map(|(name, var)| {
            let data = var.as_tensor().flatten_all()?.to_vec1()?;
            Ok((
                name.clone(),
                Tensor {
                    shape: var.dims().to_vec(),
                    data,
                },
            ))
        });
        tensors.collect()
    }

    /// The parameter of that name.
    pub(super) fn get(&self, name: &str) -> &candle_core::Tensor {
        self.vars
            .get(name)
            .expect("a network asks only for parameters of its own description")
            .as_tensor()
    }

    /// The parameters in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.vars.iter().map(|(name, var)| (name.as_str(), var))
    }
}
