//! Admission: what must be true of a file before anything else looks at it as an image.
//!
//! A file is walked first: its structure must be whole, and the size, the number of frames and the memory that
//! decoding takes must lie within the [`Limits`]. Only then are pixels decoded, and strictly: a file whose pixels are
//! damaged or end too early is refused. The decoders see nothing but what the walk has kept, so nothing hidden in
//! metadata reaches them.

mod bytes;
mod container;
mod encode;
mod ifd;
mod jpeg;
mod limits;
mod orientation;
mod pixels;
mod png;
mod refusal;
mod sequence;
mod tiff;
mod webp;

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Image, PerceptualHash};
use container::Container;
pub(crate) use encode::lossy_copy;
pub use limits::Limits;
pub use refusal::Refusal;
use sequence::Plan;

/// A format that is admitted. It is known by its first bytes alone, never by a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// JPEG, baseline or progressive.
    Jpeg,
    /// PNG or APNG.
    Png,
    /// TIFF 6.0 of one page or many.
    Tiff,
    /// WebP, still or animated.
    WebP,
}

impl Format {
    /// The format that bytes begin like.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0xFF, 0xD8, 0xFF, ..] => Some(Self::Jpeg),
            _ if bytes.starts_with(png::SIGNATURE) => Some(Self::Png),
            [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => Some(Self::Tiff),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::WebP),
            _ => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::Tiff => "TIFF",
            Self::WebP => "WebP",
        })
    }
}

/// An image that was admitted.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// Format of the original file.
    pub format: Format,
    /// Pixels in a row, turned upright.
    pub width: u32,
    /// Rows, turned upright.
    pub height: u32,
    /// Frames that the file has.
    pub frames_found: usize,
    /// The frames kept: one of a still image; of a sequence the first, the last, and others evenly between them.
    ///
    /// # Shape
    /// Each is `height × width × 3`. Transparent pixels lie over white paper, smaller pages of a TIFF at the upper left
    /// of it. Where a sequence has more frames than are kept, those that build on one another build on the kept ones.
    pub frames: Vec<Image>,
    /// The file to be kept: it shows the same frames, upright, and nothing but the pixels and how to show them.
    ///
    /// JPEG, PNG and WebP lose their metadata without being decoded: EXIF, XMP, comments, texts, thumbnails, colour
    /// profiles, unknown chunks, and whatever follows the end. TIFF, and whatever has to be turned upright, becomes a
    /// PNG of the frames kept, an APNG if they are several.
    pub stored: Vec<u8>,
    /// SHA-256 of the file as it came.
    pub original_sha256: [u8; 32],
    /// SHA-256 of [`stored`](Self::stored).
    pub stored_sha256: [u8; 32],
    /// Perceptual hash of the first frame.
    pub phash: PerceptualHash,
}

impl Image {
    /// The image as a PNG file.
    #[must_use]
    pub fn to_png(&self) -> Vec<u8> {
        encode::whole_png(self)
    }

    /// The image as a JPEG file of a quality from 1 to 100.
    ///
    /// # Panics
    /// If a side is longer than the 65,535 pixels that a JPEG can have.
    #[must_use]
    pub fn to_jpeg(&self, quality: u8) -> Vec<u8> {
        encode::whole_jpeg(self, quality)
    }
}

/// Admits a file as an image, or says why not.
///
/// # Errors
/// A [`Refusal`]: the file is no image of a known format, breaks its format, or exceeds a limit. Nothing is decoded
/// unless all limits hold.
pub fn admit(bytes: &[u8], limits: &Limits) -> Result<Admitted, Refusal> {
    limits.check_bytes(bytes.len())?;
    let format = Format::of(bytes).ok_or(Refusal::Unrecognised)?;
    let container: Box<dyn Container + '_> = match format {
        Format::Jpeg => Box::new(jpeg::Jpeg::parse(bytes, limits)?),
        Format::Png => Box::new(png::Png::parse(bytes, limits)?),
        Format::Tiff => Box::new(tiff::TiffFile::parse(bytes, limits)?),
        Format::WebP => Box::new(webp::WebP::parse(bytes, limits)?),
    };
    let outline = container.outline();
    let frames_found = outline.frames.len();
    let orientation = outline.orientation;
    let plan = Plan::new(outline, bytes.len(), limits)?;
    let frames = plan.decode(container.as_ref())?;
    let frames: Vec<Image> = frames.into_iter().map(|frame| orientation.apply(frame)).collect();
    let stripped = container.into_stripped().filter(|_| orientation.is_upright());
    let stored = match stripped {
        Some(stripped) => stripped,
        None => encode::png(&frames, limits)?,
    };
    Ok(Admitted {
        format,
        width: frames[0].width(),
        height: frames[0].height(),
        frames_found,
        original_sha256: Sha256::digest(bytes).into(),
        stored_sha256: Sha256::digest(&stored).into(),
        phash: PerceptualHash::of(&frames[0]),
        frames,
        stored,
    })
}
