//! Preparation: from a document image of any size to the frame that a network takes.
//!
//! The order is: trim the empty margin, reduce to a few times the frame, remove specks, straighten and trim what that
//! has freed, and fit into the frame. Each is left out where it does not belong to the kind of document, or does not
//! help. What fits into the frame keeps its pixels and its margin: an image is never enlarged, and straightening
//! interpolates, which blurs the traces that an alteration has left. Everything is exact arithmetic in a fixed order:
//! the same pixels give the same pixels on every machine. Turning bytes into the numbers of a network is the network's
//! matter.

mod ink;
mod skew;
mod specks;

use image::imageops::{self, FilterType};
use serde::{Deserialize, Serialize};

use crate::Image;
use crate::warp::{Projection, warp};

pub use skew::skew_degrees;

/// Version of the rules below: raise it when the same file becomes other pixels. What was prepared under another one is
/// prepared anew.
pub const PREPARATION: u32 = 1;

/// How many times the frame's longer side a working image may have. More costs time and adds nothing that is still seen.
const WORKING_SIDES: u32 = 4;

/// The size of a prepared image, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frame {
    /// Rows.
    pub height: u32,
    /// Pixels in a row.
    pub width: u32,
}

impl Frame {
    /// Bytes of an image of this size, three a pixel.
    #[must_use]
    pub const fn bytes(self) -> usize {
        self.height as usize * self.width as usize * 3
    }
}

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

    /// The kind of a name, as [`name`](Self::name) has it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
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
/// The result is `height × width × 3` of the frame. The document keeps its proportions; beyond its edges it goes on as it
/// ends.
///
/// # Panics
/// If a side of the frame is zero.
#[must_use]
pub fn prepare(image: &Image, kind: DocumentKind, frame: Frame) -> Image {
    assert!(frame.bytes() > 0, "a frame without pixels");
    if fitted(image, frame) == (image.width(), image.height()) {
        return fit(specks::remove(image).as_ref().unwrap_or(image), frame);
    }
    let trimmed = trim(image, kind);
    let longest = frame.height.max(frame.width).saturating_mul(WORKING_SIDES);
    let reduced = reduce(trimmed.as_ref().unwrap_or(image), longest);
    let clean = specks::remove(&reduced).unwrap_or(reduced);
    let skew = if kind.has_level_lines() {
        skew_degrees(&clean)
    } else {
        None
    };
    let Some(degrees) = skew else {
        return fit(&clean, frame);
    };
    let straight = straighten(&clean, degrees, ground(image));
    fit(trim(&straight, kind).as_ref().unwrap_or(&straight), frame)
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
    let square = Frame {
        height: longest,
        width: longest,
    };
    let (width, height) = fitted(image, square);
    resize(image, width, height)
}

/// Averages when reducing, interpolates linearly when enlarging.
pub(crate) fn resize(image: &Image, width: u32, height: u32) -> Image {
    imageops::resize(&image.clone().into_buffer(), width, height, FilterType::Triangle).into()
}

/// The largest size of the image's proportions that fits into a frame; its own where it fits as it is.
fn fitted(image: &Image, frame: Frame) -> (u32, u32) {
    let (width, height) = (u64::from(image.width()), u64::from(image.height()));
    let (most_width, most_height) = (u64::from(frame.width), u64::from(frame.height));
    if width <= most_width && height <= most_height {
        return (image.width(), image.height());
    }
    let scaled = |side: u64, most: u64, long: u64| {
        let rounded = (side * most + long / 2) / long;
        u32::try_from(rounded).expect("no longer than the frame").max(1)
    };
    if width * most_height >= height * most_width {
        (frame.width, scaled(height, most_width, width))
    } else {
        (scaled(width, most_height, height), frame.height)
    }
}

fn straighten(image: &Image, degrees: f64, paper: [u8; 3]) -> Image {
    let projection = Projection::rotation(-degrees, image, image.width(), image.height());
    warp(image, &projection, image.width(), image.height(), paper)
}

/// The middle of an image in a frame: what is beyond it is cut off, and beyond its edges it goes on as it ends. For
/// what has changed its size after it was prepared; its pixels stay as they are.
///
/// # Panics
/// If a side of the frame is zero.
#[must_use]
pub fn centre(image: &Image, frame: Frame) -> Image {
    let (width, height) = (image.width().min(frame.width), image.height().min(frame.height));
    let (left, top) = ((image.width() - width) / 2, (image.height() - height) / 2);
    fit(&image.crop(left, top, width, height), frame)
}

/// The image in the middle of a frame; beyond its edges it goes on as it ends, so that they are none to a network.
fn fit(image: &Image, frame: Frame) -> Image {
    let (width, height) = fitted(image, frame);
    let scaled = if (width, height) == (image.width(), image.height()) {
        image.clone()
    } else {
        resize(image, width, height)
    };
    let (left, top) = ((frame.width - width) / 2, (frame.height - height) / 2);
    let rows = (0..frame.height).map(|y| y.saturating_sub(top).min(height - 1));
    let pixels = rows.flat_map(|y| {
        let columns = (0..frame.width).map(|x| x.saturating_sub(left).min(width - 1));
        columns
            .flat_map(|x| scaled.rgb()[scaled.index(x, y)])
            .collect::<Vec<u8>>()
    });
    Image::new(frame.width, frame.height, pixels.collect())
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
