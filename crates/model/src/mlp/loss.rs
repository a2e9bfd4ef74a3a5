//! Losses as candle graphs.

use candle_core::{Result, Tensor};

/// The weighted mean of the cross-entropy `max(x,0) - x*y + ln(1 + e^-|x|)`.
///
/// The form that candle offers takes logarithms of a sigmoid and is no number from logit 17 on.
///
/// # Shape
/// All three `[rows]`.
pub(super) fn binary_cross_entropy(logits: &Tensor, labels: &Tensor, weights: &Tensor) -> Result<Tensor> {
    let softplus = (logits.abs()?.neg()?.exp()? + 1.0)?.log()?;
    let each = ((logits.relu()? - (logits * labels)?)? + softplus)?;
    (each * weights)?.mean_all()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    /// ```python
    /// x = torch.tensor([-40., -3., -.5, .5, 3., 17., 40.], requires_grad=True)
    /// y = torch.tensor([0., 1., 0., 1., 1., 1., 0.])
    /// torch.nn.functional.binary_cross_entropy_with_logits(x, y, reduction="sum").backward()
    /// ```
    /// The gradient is `sigmoid(x) - y`.
    #[test]
    fn loss_and_gradient_are_right_where_the_naive_form_is_no_number() {
        let logits = [-40.0_f32, -3.0, -0.5, 0.5, 3.0, 17.0, 40.0];
        let labels = [0.0_f32, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0];
        let x = Var::new(&logits, &Device::Cpu).unwrap();
        let y = Tensor::new(&labels, &Device::Cpu).unwrap();
        let weights = Tensor::new(&[1.0_f32, 1.0, 1.0, 2.0, 1.0, 1.0, 1.0], &Device::Cpu).unwrap();
        let loss = binary_cross_entropy(x.as_tensor(), &y, &weights).unwrap();
        let each = |i: usize| crate::scalar::cross_entropy(f64::from(logits[i]), f64::from(labels[i]));
        let expected = ((0..7).map(each).sum::<f64>() + each(3)) / 7.0;
        assert!((f64::from(loss.to_scalar::<f32>().unwrap()) - expected).abs() < 1e-5);
        let gradients = loss.backward().unwrap();
        let found: Vec<f32> = gradients.get(x.as_tensor()).unwrap().to_vec1().unwrap();
        for (i, &gradient) in found.iter().enumerate() {
            let weight = if i == 3 { 2.0 } else { 1.0 };
            let right = weight * (crate::scalar::sigmoid(f64::from(logits[i])) - f64::from(labels[i])) / 7.0;
            assert!(
                (f64::from(gradient) - right).abs() < 1e-7,
                "at {}: {gradient} is not {right}",
                logits[i]
            );
        }
    }
}
