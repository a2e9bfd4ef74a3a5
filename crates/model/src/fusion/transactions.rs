//! What a fusion model reads.

use super::sequence::SequenceScale;
use crate::dataset::Inputs;
use crate::training::check_lengths;
use crate::vision::{FusionInputs, ImageScorer, Images};
use crate::{Error, Result, Rows};

/// Transactions with what belongs to them.
#[derive(Clone, Copy, Debug)]
pub struct FusionRows<'a> {
    /// Raw features, those of a transaction's image among them.
    pub rows: &'a Rows,
    /// The transactions before each one, flat steps of one width, the latest last; empty where there is none.
    pub sequences: &'a [Vec<f32>],
    /// Images, in red, green and blue also for a grey network; none at all is well.
    pub images: &'a Images,
    /// Which of the images belongs to each transaction, if one does.
    pub image_of: &'a [Option<usize>],
}

/// Images and sequences as a fusion network reads them.
pub(super) struct Encoded {
    images: Vec<Option<Vec<f32>>>,
    sequences: Vec<Vec<f32>>,
}

impl FusionRows<'_> {
    /// Whether there is one entry a row, and every image and step is whole.
    pub(super) fn check(&self, step_width: usize) -> Result<()> {
        let rows = self.rows.len();
        check_lengths(
            rows,
            &[
                ("sequences", self.sequences.len()),
                ("images of rows", self.image_of.len()),
            ],
        )?;
        if self.image_of.iter().flatten().any(|&at| at >= self.images.len()) {
            return Err(Error::Inconsistent {
                reason: "a row names an image that is not there",
            });
        }
        let steps = self.sequences.iter().map(Vec::len);
        match steps.into_iter().find(|steps| !steps.is_multiple_of(step_width)) {
            None => Ok(()),
            Some(found) => Err(Error::Length {
                name: "a sequence".to_owned(),
                found,
                expected: found.next_multiple_of(step_width),
            }),
        }
    }

    /// Looks at each image once.
    pub(super) fn encode(&self, network: &ImageScorer, scale: &SequenceScale) -> Result<Encoded> {
        let embeddings = network.embeddings(self.images)?;
        let width = network.network().embedding_width();
        let of_image = |at: usize| embeddings[at * width..(at + 1) * width].to_vec();
        Ok(Encoded {
            images: self.image_of.iter().map(|image| image.map(of_image)).collect(),
            sequences: self.sequences.iter().map(|steps| scale.apply(steps)).collect(),
        })
    }
}

impl Encoded {
    pub(super) fn with<'a>(&'a self, rows: &'a Inputs) -> FusionInputs<'a> {
        FusionInputs {
            images: &self.images,
            rows,
            sequences: &self.sequences,
        }
    }
}
