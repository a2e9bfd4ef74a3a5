//! From bytes to the numbers that a network reads.

use serde::{Deserialize, Serialize};

use super::description::ImageShape;
use super::maps::Maps;

/// How bytes become numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Treatment {
    /// `(byte - mean) / scale`, channel by channel.
    Scale {
        /// What becomes 0.
        mean: f32,
        /// What becomes 1 more.
        scale: f32,
    },
    /// For grey crops of documents, in which a forger leaves traces of pen and paste and not of things: the image with
    /// its contrast brought to one scale, and beside it three residuals, what a pixel differs by from what its
    /// neighbours foretell.
    ///
    /// # Source
    /// Fridrich, Kodovský, "Rich Models for Steganalysis of Digital Images" (2012), figure 1: the residuals of first
    /// order to the right and downwards, and the square one of 3×3.
    Residuals,
}

/// The darkest share of pixels is ink of full weight, and above it nothing is told apart.
const INK_SHARE: f64 = 0.02;
/// Contrasts below this many grey values are noise and are not raised to full weight.
const LEAST_CONTRAST: f32 = 30.0;
/// Residuals in units of the full contrast are brought to the size of the image, and cut off.
const RESIDUAL_SCALE: f32 = 4.0;
const RESIDUAL_LIMIT: f32 = 3.0;
/// Full contrast: the distance between paper and ink.
const CONTRAST: f32 = 2.0;

impl Treatment {
    /// Channels that the network reads of images with this many.
    #[must_use]
    pub const fn channels(self, of_image: usize) -> usize {
        match self {
            Self::Scale { .. } => of_image,
            Self::Residuals => 4,
        }
    }

    /// Whether images of this shape can be treated so.
    #[must_use]
    pub fn fits(self, shape: &ImageShape) -> bool {
        match self {
            Self::Scale { mean, scale } => mean.is_finite() && scale > 0.0 && scale.is_finite(),
            Self::Residuals => shape.channels == 1,
        }
    }

    /// The numbers of images one after the other.
    pub(super) fn apply<'a>(
        self,
        images: impl ExactSizeIterator<Item = &'a [u8]>,
        shape: &ImageShape,
    ) -> Maps {
        let &ImageShape {
            height,
            width,
            channels,
        } = shape;
        let mut maps = Maps::any(images.len(), height, width, self.channels(channels));
        let numbers = maps
            .data
            .chunks_exact_mut(height * width * self.channels(channels));
        for (image, numbers) in images.zip(numbers) {
            match self {
                Self::Scale { mean, scale } => {
                    for (number, &byte) in numbers.iter_mut().zip(image) {
                        *number = (f32::from(byte) - mean) / scale;
                    }
                }
                Self::Residuals => residuals(&one_contrast(image), width, numbers),
            }
        }
        maps
    }
}

/// Paper, the middle grey, becomes 0 and ink [`CONTRAST`] below it.
fn one_contrast(image: &[u8]) -> Vec<f32> {
    let (paper, ink) = (quantile(image, 0.5), quantile(image, INK_SHARE));
    let unit = (paper - ink).max(LEAST_CONTRAST) / CONTRAST;
    image
        .iter()
        .map(|&byte| (f32::from(byte) - paper) / unit)
        .collect()
}

/// The byte that this share of all, in order, lies before.
fn quantile(image: &[u8], share: f64) -> f32 {
    let mut counts = [0; 256];
    image.iter().for_each(|&byte| counts[usize::from(byte)] += 1);
    let place = crate::scalar::floor_index(share * image.len() as f64, image.len());
    let mut before = 0;
    let found = (0..=u8::MAX).find(|&byte| {
        before += counts[usize::from(byte)];
        before > place
    });
    f32::from(found.expect("the place is one of an image's"))
}

/// Writes each pixel with its three residuals; beyond the edge the image goes on as it ends.
fn residuals(image: &[f32], width: usize, out: &mut [f32]) {
    let last = image.len() / width - 1;
    let line = |row: usize| &image[row * width..][..width];
    let (out, _) = out.as_chunks_mut::<4>();
    for (row, out) in out.chunks_exact_mut(width).enumerate() {
        let (above, here, below) = (line(row.saturating_sub(1)), line(row), line((row + 1).min(last)));
        for (column, out) in out.iter_mut().enumerate() {
            let (before, after) = (column.saturating_sub(1), (column + 1).min(width - 1));
            let (centre, right, down) = (here[column], here[after], below[column]);
            let sides = above[column] + here[before] + right + down;
            let corners = above[before] + above[after] + below[before] + below[after];
            let square = 0.5 * sides - 0.25 * corners - centre;
            *out = [
                centre,
                residual(right - centre),
                residual(down - centre),
                residual(square),
            ];
        }
    }
}

/// In units of the network, cut off.
const fn residual(value: f32) -> f32 {
    (value * RESIDUAL_SCALE / CONTRAST).clamp(-RESIDUAL_LIMIT, RESIDUAL_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrast_and_brightness_do_not_show_after_the_treatment() {
        let shape = ImageShape {
            height: 4,
            width: 6,
            channels: 1,
        };
        let dark: Vec<u8> = (0..24).map(|at| if at % 5 == 0 { 20 } else { 120 }).collect();
        let pale: Vec<u8> = dark.iter().map(|byte| byte / 2 + 100).collect();
        let treated = |image: &[u8]| Treatment::Residuals.apply([image].into_iter(), &shape);
        assert_eq!(treated(&dark), treated(&pale));
        assert_eq!(
            treated(&dark).data[..4],
            [-2.0, 3.0, 3.0, 1.0],
            "ink in the corner, paper beside it"
        );
        let even = treated(&[200; 24]);
        assert!(
            even.data.iter().all(|&x| x == 0.0),
            "an even image has no residual"
        );
    }

    #[test]
    fn the_scale_is_that_of_each_byte() {
        let shape = ImageShape {
            height: 1,
            width: 1,
            channels: 3,
        };
        let scale = Treatment::Scale {
            mean: 127.0,
            scale: 128.0,
        };
        assert_eq!(
            scale.apply([&[127_u8, 255, 0][..]].into_iter(), &shape).data,
            [0.0, 1.0, -0.992_187_5]
        );
    }
}
