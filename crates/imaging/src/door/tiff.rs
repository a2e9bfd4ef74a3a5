//! TIFF: a chain of directories, one a page.

use std::collections::BTreeSet;
use std::io::Cursor;

use tiff::decoder::{Decoder, Limits as DecoderLimits};
use tiff::{ColorType, TiffError};

use super::container::{Container, Disposal, Outline, Placement};
use super::ifd::{Directory, ORIENTATION, Tiff};
use super::limits::Limits;
use super::orientation::Orientation;
use super::pixels::{Layout, Samples};
use super::{Format, Refusal};

const NEW_SUBFILE_TYPE: u16 = 254;
const IMAGE_WIDTH: u16 = 256;
const IMAGE_LENGTH: u16 = 257;
const BITS_PER_SAMPLE: u16 = 258;
const COMPRESSION: u16 = 259;
const STRIP_OFFSETS: u16 = 273;
const SAMPLES_PER_PIXEL: u16 = 277;
const STRIP_BYTE_COUNTS: u16 = 279;
const TILE_WIDTH: u16 = 322;
const TILE_LENGTH: u16 = 323;
const TILE_OFFSETS: u16 = 324;
const TILE_BYTE_COUNTS: u16 = 325;

/// A thumbnail or a mask of another page.
const NO_PAGE: u32 = 1 | 4;

/// More strips or tiles than a page has: of the longest side, one for each row.
const MAX_CHUNKS: u32 = 16_384;

/// The fields that a page may have for the decoder: size, samples, compression, places of the pixels.
const FIELDS: [u16; 20] = [
    256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 322, 323, 324, 325, 338, 339,
];

/// Bytes of one field's values that the decoder may read; enough for the places of all strips.
const FIELD_BYTES: usize = MAX_CHUNKS as usize * 4;

/// No compression, Group 4, LZW, Deflate (old and new), and PackBits. JPEG inside TIFF is left out: the decoder does
/// not hold it to the size of the page.
const COMPRESSIONS: [u32; 6] = [1, 4, 5, 8, 32_946, 32_773];

/// A TIFF whose directories have been walked.
pub(super) struct TiffFile<'a> {
    bytes: &'a [u8],
    tiff: Tiff<'a>,
    outline: Outline,
    /// The directory of each page, with nothing but what its pixels need.
    directories: Vec<Vec<u8>>,
}

/// What a directory says of its page.
struct Page {
    width: u32,
    height: u32,
    orientation: Orientation,
    sample_bytes: u64,
    decoder_bytes: u64,
}

impl<'a> TiffFile<'a> {
    pub(super) fn parse(bytes: &'a [u8], limits: &Limits) -> Result<Self, Refusal> {
        let (tiff, mut next) = Tiff::open(bytes).ok_or(TRUNCATED)?;
        let (mut seen, mut directories, mut pages) = (BTreeSet::new(), Vec::new(), Vec::new());
        while next != 0 {
            if !seen.insert(next) {
                return Err(damaged("directories in a circle"));
            }
            limits.check_frames(seen.len())?;
            let directory = tiff.directory(next).ok_or(TRUNCATED)?;
            let kind = directory
                .find(NEW_SUBFILE_TYPE)
                .and_then(|field| tiff.number(field))
                .unwrap_or(0);
            if kind & NO_PAGE == 0 {
                pages.push(Page::read(bytes, tiff, &directory, limits)?);
                directories.push(cleaned(bytes, tiff, &directory)?);
            }
            next = directory.next;
        }
        let outline = outline(&pages, limits)?;
        Ok(Self {
            bytes,
            tiff,
            outline,
            directories,
        })
    }
}

/// A directory of the fields the decoder needs, each once; no other follows it.
fn cleaned(bytes: &[u8], tiff: Tiff<'_>, directory: &Directory) -> Result<Vec<u8>, Refusal> {
    let kept: Vec<_> = directory
        .fields
        .iter()
        .filter(|field| FIELDS.contains(&field.tag))
        .collect();
    let tags: BTreeSet<u16> = kept.iter().map(|field| field.tag).collect();
    if tags.len() != kept.len() || kept.iter().any(|field| field.count > MAX_CHUNKS) {
        return Err(damaged("a field twice, or of too many values"));
    }
    let count = u16::try_from(kept.len()).expect("no more than there are tags");
    let fields = kept.iter().flat_map(|field| &bytes[field.place()]).copied();
    Ok(tiff
        .short_bytes(count)
        .into_iter()
        .chain(fields)
        .chain([0; 4])
        .collect())
}

/// The pages on a canvas of the longest sides among them.
fn outline(pages: &[Page], limits: &Limits) -> Result<Outline, Refusal> {
    let orientation = pages.first().ok_or(damaged("no page"))?.orientation;
    if pages.iter().any(|page| page.orientation != orientation) {
        return Err(Refusal::Unsupported {
            format: Format::Tiff,
            what: "pages turned differently",
        });
    }
    let most = |bytes: fn(&Page) -> u64| pages.iter().map(bytes).max().unwrap_or(0);
    let side = |length: fn(&Page) -> u32| pages.iter().map(length).max().unwrap_or(0);
    let (width, height) = (side(|page| page.width), side(|page| page.height));
    limits.check_size(width, height)?;
    let placed = |page: &Page| Placement {
        disposal: Disposal::Clear,
        ..Placement::whole(page.width, page.height)
    };
    Ok(Outline {
        width,
        height,
        orientation,
        frames: pages.iter().map(placed).collect(),
        sample_bytes: most(|page| page.sample_bytes),
        decoder_bytes: most(|page| page.decoder_bytes),
    })
}

impl Page {
    fn read(bytes: &[u8], tiff: Tiff<'_>, directory: &Directory, limits: &Limits) -> Result<Self, Refusal> {
        let find = |tag| directory.find(tag).and_then(|field| tiff.number(field));
        let (Some(width @ 1..), Some(height @ 1..)) = (find(IMAGE_WIDTH), find(IMAGE_LENGTH)) else {
            return Err(damaged("a page without a size"));
        };
        limits.check_size(width, height)?;
        if !COMPRESSIONS.contains(&find(COMPRESSION).unwrap_or(1)) {
            return Err(Refusal::Unsupported {
                format: Format::Tiff,
                what: "an uncommon compression",
            });
        }
        let samples = u64::from(find(SAMPLES_PER_PIXEL).unwrap_or(1));
        let bits = u64::from(find(BITS_PER_SAMPLE).unwrap_or(1));
        if samples > 5 || !matches!(bits, 1 | 8 | 16) {
            return Err(Refusal::Unsupported {
                format: Format::Tiff,
                what: "uncommon samples",
            });
        }
        check_chunks(bytes, tiff, directory)?;
        let pixels = u64::from(width) * u64::from(height);
        let decoded = pixels * samples * bits.div_ceil(8);
        let tile = find(TILE_WIDTH).unwrap_or(width).max(width).saturating_add(1024);
        if find(TILE_LENGTH).unwrap_or(1) > limits.max_side || tile > limits.max_side.saturating_add(1024) {
            return Err(damaged("a tile larger than any page"));
        }
        Ok(Self {
            width,
            height,
            orientation: Orientation::from_field(find(ORIENTATION).unwrap_or(1)),
            sample_bytes: pixels * 3,
            decoder_bytes: decoded + u64::from(tile) * samples * bits + 40 * FIELD_BYTES as u64,
        })
    }
}

/// Whether the strips or tiles lie within the file.
fn check_chunks(bytes: &[u8], tiff: Tiff<'_>, directory: &Directory) -> Result<(), Refusal> {
    let numbers = |tags: [u16; 2]| {
        let field = tags
            .iter()
            .find_map(|&tag| directory.find(tag))
            .ok_or(damaged("a page without pixels"))?;
        tiff.all_numbers(field, MAX_CHUNKS).ok_or(TRUNCATED)
    };
    let offsets = numbers([STRIP_OFFSETS, TILE_OFFSETS])?;
    let lengths = numbers([STRIP_BYTE_COUNTS, TILE_BYTE_COUNTS])?;
    if offsets.len() != lengths.len() {
        return Err(damaged("strips without a place or a length"));
    }
    let within = |(&offset, &length)| u64::from(offset) + u64::from(length) <= bytes.len() as u64;
    if !offsets.iter().zip(&lengths).all(within) {
        return Err(TRUNCATED);
    }
    Ok(())
}

impl Container for TiffFile<'_> {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    fn decode(&self, index: usize) -> Result<Samples, Refusal> {
        let Placement { width, height, .. } = self.outline.frames[index];
        // The page becomes the first and only one; its directory lies behind the file, at an even place.
        let directory = &self.directories[index];
        let mut file = Vec::with_capacity(self.bytes.len() + 1 + directory.len());
        file.extend_from_slice(self.bytes);
        file.resize(self.bytes.len().next_multiple_of(2), 0);
        let place = u32::try_from(file.len()).map_err(|_| damaged("more than 4 GiB"))?;
        file[4..8].copy_from_slice(&self.tiff.long_bytes(place));
        file.extend_from_slice(directory);
        let mut limits = DecoderLimits::default();
        limits.decoding_buffer_size = usize::try_from(self.outline.decoder_bytes).unwrap_or(usize::MAX);
        limits.intermediate_buffer_size = self.bytes.len();
        limits.ifd_value_size = FIELD_BYTES;
        let mut decoder = Decoder::new(Cursor::new(file))
            .map_err(undecodable)?
            .with_limits(limits);
        if decoder.dimensions().map_err(undecodable)? != (width, height) {
            return Err(damaged("a page that contradicts its size"));
        }
        let colour = decoder.colortype().map_err(undecodable)?;
        let (layout, bits) = layout(colour)?;
        let mut decoded = decoder.read_image().map_err(undecodable)?;
        let planes = decoder.image_buffer_layout().map_err(undecodable)?.planes;
        if planes > 1 {
            return Err(Refusal::Unsupported {
                format: Format::Tiff,
                what: "samples in planes",
            });
        }
        let samples = decoded.as_buffer(0);
        let mut buffer = Samples::buffer(width, height, layout.channels());
        copy(
            samples.as_bytes(),
            bits,
            width as usize * layout.channels(),
            &mut buffer,
        );
        Ok(Samples {
            width,
            height,
            layout,
            buffer,
        })
    }

    fn into_stripped(self: Box<Self>) -> Option<Vec<u8>> {
        None
    }
}

fn layout(colour: ColorType) -> Result<(Layout, u8), Refusal> {
    let found = match colour {
        ColorType::Gray(bits @ (1 | 8 | 16)) => (Layout::Grey, bits),
        ColorType::GrayA(bits @ (8 | 16)) => (Layout::GreyAlpha, bits),
        ColorType::RGB(bits @ (8 | 16)) => (Layout::Rgb, bits),
        ColorType::RGBA(bits @ (8 | 16)) => (Layout::Rgba, bits),
        ColorType::CMYK(bits @ (8 | 16)) => (Layout::Cmyk, bits),
        _ => {
            return Err(Refusal::Unsupported {
                format: Format::Tiff,
                what: "uncommon colours",
            });
        }
    };
    Ok(found)
}

/// Brings samples of 1, 8 or 16 bits to 8; rows begin at whole bytes.
fn copy(from: &[u8], bits: u8, row_samples: usize, to: &mut [u8]) {
    let row_bytes = (row_samples * usize::from(bits)).div_ceil(8);
    for (row, target) in from.chunks_exact(row_bytes).zip(to.chunks_exact_mut(row_samples)) {
        match bits {
            1 => (0..row_samples).for_each(|x| target[x] = (row[x / 8] >> (7 - x % 8) & 1) * 255),
            8 => target.copy_from_slice(row),
            // The decoder gives the machine's byte order.
            _ => target
                .iter_mut()
                .zip(row.as_chunks::<2>().0)
                .for_each(|(sample, &pair)| {
                    *sample = u16::from_ne_bytes(pair).to_be_bytes()[0];
                }),
        }
    }
}

const TRUNCATED: Refusal = Refusal::Truncated { format: Format::Tiff };

const fn damaged(what: &'static str) -> Refusal {
    Refusal::Damaged {
        format: Format::Tiff,
        what,
    }
}

fn undecodable(cause: TiffError) -> Refusal {
    match cause {
        TiffError::UnsupportedError(_) => Refusal::Unsupported {
            format: Format::Tiff,
            what: "a layout that the decoder does not know",
        },
        cause => Refusal::Undecodable {
            format: Format::Tiff,
            source: Box::new(cause),
        },
    }
}
