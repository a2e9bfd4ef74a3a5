//! Preparation: from a document image of any size to the square that a network takes.
//!
//! The order is: trim the empty margin, reduce to a few times the square, remove specks, straighten and trim what that
//! has freed, and fit into the square. Each is left out where it does not belong to the kind of document, or does not help. Everything is exact
//! arithmetic in a fixed order: the same pixels give the same pixels on every machine. Turning bytes into the numbers
//! of a network is the network's matter.

mod ink;
mod skew;
mod specks;

use image::imageops::{self, FilterType};
use serde::{Deserialize, Serialize};

use crate::Image;
use crate::warp::{Projection, warp};

pub use skew::skew_degrees;

/// Side of the square that most pretrained networks take, in pixels.
pub const DEFAULT_SIDE: u32 = 224;

/// How many times the square's side a working image may have. More costs time and adds nothing that is still seen.
const WORKING_SIDES: u32 = 4;

/// What kind of document an image shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentKind {
    /// A cheque: lines of text and handwriting on paper, wide.
    Cheque,
    /// A receipt: lines of text on paper, tall.
    Receipt,
    /// An identity document, mostly photographed: text, a portrait, a patterned ground.
    IdDocument,
    /// A signature alone on paper.
    Signature,
    /// Anything else.
    Other,
}

impl DocumentKind {
    /// Every kind, in the order of its definition.
    pub const ALL: [Self; 5] = [
        Self::Cheque,
        Self::Receipt,
        Self::IdDocument,
        Self::Signature,
        Self::Other,
    ];

    /// Its name, as records carry it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cheque => "cheque",
            Self::Receipt => "receipt",
            Self::IdDocument => "id_document",
            Self::Signature => "signature",
            Self::Other => "other",
        }
    }

    /// Whether the document is ink on paper, whose empty margin says nothing.
    fn is_on_paper(self) -> bool {
        matches!(self, Self::Cheque | Self::Receipt | Self::Signature)
    }

    /// Whether its lines are level when it lies straight. Signatures rise and fall as their writer pleases.
    fn has_level_lines(self) -> bool {
        matches!(self, Self::Cheque | Self::Receipt)
    }
}

/// Prepares an image for a network.
///
/// # Shape
/// The result is `side × side × 3`. The document keeps its proportions; what it leaves free has the median colour.
///
/// # Panics
/// If the side is zero.
#[must_use]
pub fn prepare(image: &Image, kind: DocumentKind, side: u32) -> Image {
    assert!(side > 0, "a square without pixels");
    let paper = ground(image);
    let trimmed = trim(image, kind);
    let reduced = reduce(
        trimmed.as_ref().unwrap_or(image),
        side.saturating_mul(WORKING_SIDES),
    );
    let clean = specks::remove(&reduced).unwrap_or(reduced);
    let skew = if kind.has_level_lines() {
        skew_degrees(&clean)
    } else {
        None
    };
    let Some(degrees) = skew else {
        return fit(&clean, side, paper);
    };
    let straight = straighten(&clean, degrees, paper);
    fit(trim(&straight, kind).as_ref().unwrap_or(&straight), side, paper)
}

fn trim(image: &Image, kind: DocumentKind) -> Option<Image> {
    if kind.is_on_paper() {
        ink::trim(image)
    } else {
        None
    }
}

/// The image with its longer side cut down to a length; a smaller image stays as it is.
pub(crate) fn reduce(image: &Image, longest: u32) -> Image {
    if image.width().max(image.height()) <= longest {
        return image.clone();
    }
    let (width, height) = fitted(image, longest);
    resize(image, width, height)
}

/// Averages when reducing, interpolates linearly when enlarging.
pub(crate) fn resize(image: &Image, width: u32, height: u32) -> Image {
    imageops::resize(&image.clone().into_buffer(), width, height, FilterType::Triangle).into()
}

/// The size an image has when its longer side has a length.
fn fitted(image: &Image, longest: u32) -> (u32, u32) {
    let (width, height) = (u64::from(image.width()), u64::from(image.height()));
    let long = width.max(height);
    let scaled = |side: u64| {
        let rounded = (side * u64::from(longest) + long / 2) / long;
        u32::try_from(rounded).expect("no longer than the longest").max(1)
    };
    (scaled(width), scaled(height))
}

fn straighten(image: &Image, degrees: f64, paper: [u8; 3]) -> Image {
    let projection = Projection::rotation(-degrees, image, image.width(), image.height());
    warp(image, &projection, image.width(), image.height(), paper)
}

/// The image in the middle of a square of paper.
fn fit(image: &Image, side: u32, paper: [u8; 3]) -> Image {
    let (width, height) = fitted(image, side);
    let scaled = resize(image, width, height);
    let mut square = Image::filled(side, side, paper);
    let (left, top) = ((side - width) / 2, (side - height) / 2);
    for y in 0..height {
        let (to, from) = (square.index(left, top + y), scaled.index(0, y));
        square.rgb_mut()[to..to + width as usize].copy_from_slice(&scaled.rgb()[from..from + width as usize]);
    }
    square
}

/// The median of each channel: the colour of the paper, where most of the image is paper.
pub(crate) fn ground(image: &Image) -> [u8; 3] {
    let mut histograms = [[0_usize; 256]; 3];
    for pixel in image.rgb() {
        histograms
            .iter_mut()
            .zip(pixel)
            .for_each(|(counts, &value)| counts[usize::from(value)] += 1);
    }
    histograms.map(|counts| {
        let half = image.rgb().len() / 2;
        let mut below = 0;
        let reached = |(_, count): &(u8, usize)| {
            below += count;
            below > half
        };
        (0..=u8::MAX)
            .zip(counts)
            .find(reached)
            .map_or(u8::MAX, |(value, _)| value)
    })
}

#[cfg(test)]
mod tests;
