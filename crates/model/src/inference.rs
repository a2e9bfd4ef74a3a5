//! The forward pass that serves: plain Rust, the same bits whatever the batch and whatever the processor (INV-5).

mod description;
mod kernel;
mod network;
mod weights;

use std::ops::Range;

pub(crate) use description::member_name;
pub use description::{Activation, EmbeddingDescription, NetworkDescription};
pub(crate) use network::{Network, Pass};
pub use weights::{Tensor, Weights};

use crate::Result;
use crate::dataset::Inputs;

/// Rows computed together; fewer of them give the same bits.
const ROWS_AT_ONCE: usize = 64;

/// The members of a network, their logits averaged.
#[derive(Debug)]
pub struct Ensemble {
    members: Vec<Network>,
}

impl Ensemble {
    /// Prepares the weights for the kernel.
    ///
    /// # Errors
    /// If a tensor is absent, has another shape than described, or holds a number that is not finite.
    pub fn new(description: &NetworkDescription, weights: &Weights) -> Result<Self> {
        description.validate()?;
        let members = (0..description.members).map(|member| Network::new(description, weights, member));
        Ok(Self {
            members: members.collect::<Result<_>>()?,
        })
    }

    /// The logit of each row.
    #[must_use]
    pub fn logits(&self, inputs: &Inputs) -> Vec<f64> {
        let mut logits = vec![0.0; inputs.len];
        for member in &self.members {
            add_logits(member, inputs, &mut logits);
        }
        let scale = self.scale();
        logits.iter_mut().for_each(|logit| *logit *= scale);
        logits
    }

    pub(crate) fn members(&self) -> &[Network] {
        &self.members
    }

    /// What one member counts.
    pub(crate) fn scale(&self) -> f64 {
        1.0 / self.members.len() as f64
    }
}

fn add_logits(network: &Network, inputs: &Inputs, logits: &mut [f64]) {
    let mut pass = Pass::default();
    for rows in spans(inputs.len) {
        let of_member = network.forward(inputs, rows.clone(), &mut pass);
        for (logit, of_member) in logits[rows].iter_mut().zip(of_member) {
            *logit += f64::from(of_member);
        }
    }
}

/// Cuts rows into spans that go through the layers together.
pub(crate) fn spans(len: usize) -> impl Iterator<Item = Range<usize>> {
    (0..len)
        .step_by(ROWS_AT_ONCE)
        .map(move |start| start..len.min(start + ROWS_AT_ONCE))
}

#[cfg(test)]
pub(crate) mod fixture {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    pub(crate) fn description(members: usize) -> NetworkDescription {
        let embedding = |name: &str, codes, width| EmbeddingDescription {
            name: name.to_owned(),
            codes,
            width,
        };
        NetworkDescription {
            numeric_width: 5,
            embeddings: vec![embedding("channel", 4, 3), embedding("country", 7, 2)],
            hidden: vec![33, 20],
            activation: Activation::Relu,
            members,
        }
    }

    pub(crate) fn weights(description: &NetworkDescription, seed: u64) -> Weights {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let shapes = description.parameters().into_iter();
        let tensors = shapes.map(|(name, shape)| {
            let data = (0..shape.iter().product())
                .map(|_| random.random_range(-0.7_f32..0.7))
                .collect();
            (name, Tensor { shape, data })
        });
        Weights::new(tensors.collect())
    }

    pub(crate) fn inputs(len: usize, seed: u64) -> Inputs {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        Inputs {
            len,
            numeric: (0..len * 5).map(|_| random.random_range(-3.0_f32..3.0)).collect(),
            numeric_width: 5,
            codes: (0..len)
                .flat_map(|_| [random.random_range(0..4), random.random_range(0..7)])
                .collect(),
            code_width: 2,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        /// INV-5
        #[test]
        fn a_row_has_the_same_logit_in_every_batch(len in 1..200_usize, seed in any::<u64>(), at in any::<prop::sample::Index>()) {
            let description = fixture::description(2);
            let ensemble = Ensemble::new(&description, &fixture::weights(&description, seed)).unwrap();
            let inputs = fixture::inputs(len, seed);
            let together = ensemble.logits(&inputs);
            let row = at.index(len);
            prop_assert_eq!(ensemble.logits(&inputs.select(&[row]))[0].to_bits(), together[row].to_bits());
            let later: Vec<usize> = (row..len).collect();
            let part = ensemble.logits(&inputs.select(&later));
            prop_assert!(part.iter().zip(&together[row..]).all(|(a, b)| a.to_bits() == b.to_bits()));
        }
    }

    #[test]
    fn members_are_averaged() {
        let both = fixture::description(2);
        let weights = fixture::weights(&both, 3);
        let inputs = fixture::inputs(9, 4);
        let alone = |member| {
            let mut logits = vec![0.0; 9];
            add_logits(
                &Network::new(&both, &weights, member).unwrap(),
                &inputs,
                &mut logits,
            );
            logits
        };
        let (first, second) = (alone(0), alone(1));
        let averaged = Ensemble::new(&both, &weights).unwrap().logits(&inputs);
        for row in 0..9 {
            assert_eq!(averaged[row], (first[row] + second[row]) * 0.5);
        }
    }

    #[test]
    fn weights_that_do_not_fit_are_refused() {
        let description = fixture::description(1);
        let wider = NetworkDescription {
            numeric_width: 6,
            ..description.clone()
        };
        let weights = fixture::weights(&description, 1);
        assert!(matches!(
            Ensemble::new(&wider, &weights),
            Err(crate::Error::Tensor { .. })
        ));
        let mut broken = fixture::weights(&description, 1).into_tensors();
        broken.get_mut("member.0.layer.1.bias").unwrap().data[3] = f32::NAN;
        assert!(matches!(
            Ensemble::new(&description, &Weights::new(broken)),
            Err(crate::Error::NotFinite { .. })
        ));
    }

    #[test]
    fn no_rows_have_no_logits() {
        let description = fixture::description(1);
        let ensemble = Ensemble::new(&description, &fixture::weights(&description, 1)).unwrap();
        assert!(ensemble.logits(&fixture::inputs(0, 0)).is_empty());
    }
}
