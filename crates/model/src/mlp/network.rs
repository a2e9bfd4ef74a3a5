//! The forward pass as a candle graph, for gradients.

use candle_core::{DType, Device, Result, Tensor};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::parameters::Parameters;
use crate::dataset::{Table, is_positive};
use crate::inference::NetworkDescription;
use crate::scalar::narrow;

/// Rows on the device.
pub(super) struct Batch {
    /// `[rows, numeric_width]`
    numeric: Tensor,
    /// `[rows]` for each category.
    codes: Vec<Tensor>,
    /// `[rows]`
    pub(super) labels: Tensor,
    /// `[rows]`: what each row counts, its class included.
    pub(super) weights: Tensor,
}

impl Batch {
    pub(super) fn new(table: &Table, rows: &[usize], positive_weight: f64, device: &Device) -> Result<Self> {
        let inputs = table.inputs.select(rows);
        let (count, code_width) = (rows.len(), inputs.code_width);
        let code = |at: usize| {
            inputs
                .codes
                .iter()
                .skip(at)
                .step_by(code_width)
                .copied()
                .collect::<Vec<u32>>()
        };
        let labels: Vec<f32> = rows.iter().map(|&row| table.labels[row]).collect();
        let class = |label: f32| {
            if is_positive(label) {
                narrow(positive_weight)
            } else {
                1.0
            }
        };
        let weights = rows
            .iter()
            .map(|&row| table.weights[row] * class(table.labels[row]))
            .collect();
        Ok(Self {
            codes: (0..code_width)
                .map(|at| Tensor::from_vec(code(at), count, device))
                .collect::<Result<_>>()?,
            numeric: Tensor::from_vec(inputs.numeric, (count, inputs.numeric_width), device)?,
            labels: Tensor::from_vec(labels, count, device)?,
            weights: Tensor::from_vec(weights, count, device)?,
        })
    }
}

/// One member on the device.
pub(super) struct Mlp<'a> {
    pub(super) parameters: &'a Parameters,
    pub(super) description: &'a NetworkDescription,
}

impl Mlp<'_> {
    /// The logits `[rows]`, with a share of the hidden values dropped and the rest scaled up.
    pub(super) fn forward_training(
        &self,
        batch: &Batch,
        dropout: f64,
        random: &mut ChaCha8Rng,
    ) -> Result<Tensor> {
        self.forward(batch, |hidden| {
            if dropout > 0.0 {
                hidden * keep_mask(hidden, dropout, random)?
            } else {
                Ok(hidden.clone())
            }
        })
    }

    /// The logits `[rows]`, with `after` applied to every hidden layer.
    pub(super) fn forward(
        &self,
        batch: &Batch,
        mut after: impl FnMut(&Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let (rows, _) = batch.numeric.dims2()?;
        let ones = Tensor::ones((rows, 1), DType::F32, batch.numeric.device())?;
        let mut values = self.inputs(batch)?;
        for at in 0..self.description.hidden.len() {
            values = after(&self.layer(at, &values, &ones)?.relu()?)?;
        }
        self.layer(self.description.hidden.len(), &values, &ones)?
            .squeeze(1)
    }

    /// `values × weight + ones × bias`. The product with a column of ones stands in for a broadcast, whose gradient
    /// candle sums many times slower than it multiplies.
    fn layer(&self, at: usize, values: &Tensor, ones: &Tensor) -> Result<Tensor> {
        let weight = self.parameters.get(&format!("layer.{at}.weight"));
        let bias = self.parameters.get(&format!("layer.{at}.bias")).unsqueeze(0)?;
        values.matmul(weight)? + ones.matmul(&bias)?
    }

    fn inputs(&self, batch: &Batch) -> Result<Tensor> {
        let mut parts = vec![batch.numeric.clone()];
        for (at, codes) in batch.codes.iter().enumerate() {
            parts.push(
                self.parameters
                    .get(&format!("embedding.{at}"))
                    .index_select(codes, 0)?,
            );
        }
        if parts.len() == 1 {
            Ok(parts.remove(0))
        } else {
            Tensor::cat(&parts, 1)
        }
    }
}

/// 0 for a share of the values, and for the others what keeps their mean.
fn keep_mask(like: &Tensor, dropout: f64, random: &mut ChaCha8Rng) -> Result<Tensor> {
    let dropped_below = crate::scalar::floor_index(dropout * 65_536.0, 65_536);
    let kept = narrow(65_536.0 / (65_536 - dropped_below) as f64);
    let mut bytes = vec![0; 2 * like.elem_count()];
    random.fill_bytes(&mut bytes);
    let (pairs, _) = bytes.as_chunks::<2>();
    let mask = pairs.iter().map(|pair| {
        if usize::from(u16::from_le_bytes(*pair)) < dropped_below {
            0.0
        } else {
            kept
        }
    });
    Tensor::from_vec(mask.collect::<Vec<f32>>(), like.shape(), like.device())
}
