//! What a fusion network reads and looks like.

use serde::{Deserialize, Serialize};

use crate::dataset::Inputs;
use crate::inference::EmbeddingDescription;
use crate::{Error, Result};

/// The shape of a fusion network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FusionNetwork {
    /// Numbers in an image's embedding.
    pub image_width: usize,
    /// Numbers it is brought to.
    pub image_hidden: usize,
    /// Numeric inputs of a transaction.
    pub numeric_width: usize,
    /// One table a categorical feature, in the order of the codes.
    pub embeddings: Vec<EmbeddingDescription>,
    /// Numbers in a step of the sequence before a transaction.
    pub step_width: usize,
    /// Numbers the sequence is brought to.
    pub step_hidden: usize,
    /// The widths of the hidden layers over all three.
    pub hidden: Vec<usize>,
}

impl FusionNetwork {
    /// Inputs of the first hidden layer.
    #[must_use]
    pub fn joined_width(&self) -> usize {
        let tables: usize = self.embeddings.iter().map(|table| table.width).sum();
        self.image_hidden + self.numeric_width + tables + self.step_hidden
    }

    /// Inputs and outputs of the layers over all three.
    pub(super) fn layers(&self) -> Vec<(usize, usize)> {
        let inputs = std::iter::once(self.joined_width()).chain(self.hidden.iter().copied());
        let outputs = self.hidden.iter().copied().chain(std::iter::once(1));
        inputs.zip(outputs).collect()
    }

    /// Refuses a network with an empty part.
    ///
    /// # Errors
    /// [`Error::Inconsistent`].
    pub fn validate(&self) -> Result<()> {
        let widths = [
            self.image_width,
            self.image_hidden,
            self.step_width,
            self.step_hidden,
        ];
        let tables = self
            .embeddings
            .iter()
            .flat_map(|table| [table.codes, table.width]);
        let mut all = widths
            .into_iter()
            .chain(tables)
            .chain(self.hidden.iter().copied());
        if all.all(|width| width > 0) {
            Ok(())
        } else {
            Err(Error::Inconsistent {
                reason: "a part of the fusion network has no width",
            })
        }
    }
}

/// What a fusion network reads, one entry a transaction in each part.
#[derive(Clone, Copy, Debug)]
pub struct FusionInputs<'a> {
    /// The embedding of the transaction's image, if it has one.
    pub images: &'a [Option<Vec<f32>>],
    /// Its encoded features.
    pub rows: &'a Inputs,
    /// The encoded transactions before it, step after step, the latest last; empty where there is none.
    pub sequences: &'a [Vec<f32>],
}

impl FusionInputs<'_> {
    /// Whether every part has the length and the width that a network reads.
    pub(super) fn check(&self, network: &FusionNetwork) -> Result<()> {
        let length = |name: &str, found, expected| {
            let error = Error::Length {
                name: name.to_owned(),
                found,
                expected,
            };
            if found == expected { Ok(()) } else { Err(error) }
        };
        length("images", self.images.len(), self.rows.len)?;
        length("sequences", self.sequences.len(), self.rows.len)?;
        length("numeric inputs", self.rows.numeric_width, network.numeric_width)?;
        length("category codes", self.rows.code_width, network.embeddings.len())?;
        for image in self.images.iter().flatten() {
            length("an image's embedding", image.len(), network.image_width)?;
        }
        for steps in self.sequences {
            length(
                "a sequence",
                steps.len(),
                steps.len().next_multiple_of(network.step_width),
            )?;
        }
        for (at, table) in network.embeddings.iter().enumerate() {
            let codes = self.rows.codes.iter().skip(at).step_by(network.embeddings.len());
            if codes.copied().any(|code| code as usize >= table.codes) {
                return Err(Error::Inconsistent {
                    reason: "a category has a code that the fusion network does not know",
                });
            }
        }
        Ok(())
    }
}
