//! Numbers for tests, and the check that gradients are slopes.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::maps::Maps;
use super::network::Network;
use super::{ImageModel, ImageNetwork, ImageRecord, ImageShape, SmallCnn, Treatment};
use crate::calibration::Calibration;

/// Draws within ±1.
pub(super) fn uniform(seed: u64) -> impl FnMut() -> f32 {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    move || random.random_range(-1.0_f32..1.0)
}

pub(super) fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut uniform = uniform(seed);
    (0..count).map(|_| uniform()).collect()
}

pub(super) fn maps(batch: usize, height: usize, width: usize, channels: usize, seed: u64) -> Maps {
    let data = numbers(batch * height * width * channels, seed);
    Maps {
        batch,
        height,
        width,
        channels,
        data,
    }
}

/// A network that has learned nothing.
pub(crate) fn model() -> ImageModel {
    let input = ImageShape {
        height: 8,
        width: 9,
        channels: 1,
    };
    let network = ImageNetwork::small(input, Treatment::Residuals, SmallCnn::default());
    ImageModel {
        weights: Network::random(&network, 0.0, uniform(3)).store(),
        record: ImageRecord {
            network,
            calibration: Calibration::Identity,
        },
    }
}

/// Checks a gradient against the change of `outputs · weights` when an input moves.
pub(super) fn slope(gradient: &[f32], inputs: &[f32], outputs: impl Fn(&[f32]) -> Vec<f32>, weights: &[f32]) {
    let value = |inputs: &[f32]| -> f64 {
        let each = outputs(inputs).into_iter().zip(weights);
        each.map(|(output, &weight)| f64::from(output) * f64::from(weight))
            .sum()
    };
    assert_eq!(gradient.len(), inputs.len());
    let scale = gradient.iter().fold(0.0_f32, |max, x| max.max(x.abs()));
    for at in (0..inputs.len()).step_by(inputs.len().div_ceil(40)) {
        let moved = |by: f32| {
            let mut inputs = inputs.to_vec();
            inputs[at] += by;
            value(&inputs)
        };
        let step = 1.0 / 256.0;
        let slope = (moved(step) - moved(-step)) / (2.0 * f64::from(step));
        let found = f64::from(gradient[at]);
        assert!(
            (slope - found).abs() < 2e-3 * f64::from(scale) + 1e-4,
            "at {at}: the slope is {slope}, the gradient {found}"
        );
    }
}
