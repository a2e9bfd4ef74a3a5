//! PNG and APNG: chunks, each with its checksum.

use std::io::{Cursor, Read};
use std::ops::Range;

use flate2::read::ZlibDecoder;

use super::bytes::be32;
use super::container::{Container, Disposal, Outline, Placement};
use super::limits::Limits;
use super::orientation::Orientation;
use super::pixels::{Layout, Samples};
use super::{Format, Refusal};

pub(super) const SIGNATURE: &[u8; 8] = b"\x89PNG\r\n\x1a\n";

/// A PNG whose chunks have been walked.
pub(super) struct Png<'a> {
    bytes: &'a [u8],
    outline: Outline,
    header: Header,
    /// Palette and transparency, as chunks.
    tables: Vec<u8>,
    /// Where the chunks of each frame lie.
    regions: Vec<Range<usize>>,
    stripped: Vec<u8>,
}

/// The fields of IHDR.
#[derive(Clone, Copy)]
struct Header {
    width: u32,
    height: u32,
    bit_depth: u8,
    colour: u8,
    interlaced: bool,
}

struct Chunk<'a> {
    kind: [u8; 4],
    content: &'a [u8],
    whole: Range<usize>,
}

/// A walk through the chunks.
struct Walk<'a> {
    bytes: &'a [u8],
    header: Header,
    tables: Vec<u8>,
    stripped: Vec<u8>,
    orientation: Orientation,
    metadata_left: usize,
    declared: Option<usize>,
    frames: Vec<(Placement, Range<usize>)>,
    /// The placement of the frame whose data come next.
    next: Option<Placement>,
    still: bool,
}

impl<'a> Png<'a> {
    pub(super) fn parse(bytes: &'a [u8], limits: &Limits) -> Result<Self, Refusal> {
        let first = chunk(bytes, SIGNATURE.len())?;
        let header = Header::read(&first, limits)?;
        let mut walk = Walk {
            bytes,
            header,
            tables: Vec::new(),
            stripped: Vec::with_capacity(bytes.len()),
            orientation: Orientation::default(),
            metadata_left: limits.max_metadata_bytes,
            declared: None,
            frames: Vec::new(),
            next: None,
            still: false,
        };
        walk.stripped.extend_from_slice(&bytes[..first.whole.end]);
        let mut at = first.whole.end;
        loop {
            let chunk = chunk(bytes, at)?;
            at = chunk.whole.end;
            if &chunk.kind == b"IEND" {
                walk.stripped.extend_from_slice(&bytes[chunk.whole]);
                return walk.finish();
            }
            walk.take(&chunk, limits)?;
        }
    }

    /// A frame as a file of its own, with nothing but what its pixels need.
    fn frame(&self, index: usize) -> Result<Vec<u8>, Refusal> {
        let placement = &self.outline.frames[index];
        let region = self.regions[index].clone();
        let mut file = Vec::with_capacity(region.len() + self.tables.len() + 64);
        file.extend_from_slice(SIGNATURE);
        push_chunk(
            &mut file,
            *b"IHDR",
            &self.header.sized(placement.width, placement.height),
        );
        file.extend_from_slice(&self.tables);
        let mut data = Vec::with_capacity(region.len());
        let mut at = region.start;
        while at < region.end {
            let chunk = chunk(self.bytes, at)?;
            at = chunk.whole.end;
            match &chunk.kind {
                b"IDAT" => data.extend_from_slice(chunk.content),
                b"fdAT" => data.extend_from_slice(chunk.content.get(4..).ok_or(damaged("a short frame"))?),
                _ => {}
            }
        }
        let header = Header {
            width: placement.width,
            height: placement.height,
            ..self.header
        };
        header.check_inflation(&data)?;
        push_chunk(&mut file, *b"IDAT", &data);
        push_chunk(&mut file, *b"IEND", &[]);
        Ok(file)
    }
}

impl Container for Png<'_> {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    fn decode(&self, index: usize) -> Result<Samples, Refusal> {
        let Placement { width, height, .. } = self.outline.frames[index];
        let file = self.frame(index)?;
        let limits = png::Limits {
            bytes: to_usize(self.outline.decoder_bytes),
        };
        let mut decoder = png::Decoder::new_with_limits(Cursor::new(&file), limits);
        decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
        let mut reader = decoder.read_info().map_err(undecodable)?;
        let layout = match reader.output_color_type() {
            (png::ColorType::Grayscale, png::BitDepth::Eight) => Layout::Grey,
            (png::ColorType::GrayscaleAlpha, png::BitDepth::Eight) => Layout::GreyAlpha,
            (png::ColorType::Rgb, png::BitDepth::Eight) => Layout::Rgb,
            (png::ColorType::Rgba, png::BitDepth::Eight) => Layout::Rgba,
            _ => return Err(damaged("an unknown colour type")),
        };
        let mut buffer = Samples::buffer(width, height, layout.channels());
        reader.next_frame(&mut buffer).map_err(undecodable)?;
        reader.finish().map_err(undecodable)?;
        Ok(Samples {
            width,
            height,
            layout,
            buffer,
        })
    }

    fn into_stripped(self: Box<Self>) -> Option<Vec<u8>> {
        Some(self.stripped)
    }
}

impl<'a> Walk<'a> {
    fn take(&mut self, chunk: &Chunk<'a>, limits: &Limits) -> Result<(), Refusal> {
        match &chunk.kind {
            b"PLTE" | b"tRNS" if self.frames.is_empty() && self.tables.len() < 4096 => {
                self.tables.extend_from_slice(&self.bytes[chunk.whole.clone()]);
            }
            b"IDAT" => self.image_data(chunk)?,
            b"acTL" if self.frames.is_empty() => {
                let declared = be32(chunk.content, 0).ok_or(damaged("a short animation header"))?;
                limits.check_frames(to_usize(u64::from(declared)))?;
                self.declared = Some(to_usize(u64::from(declared)));
            }
            b"fcTL" => {
                self.next = Some(self.placement(chunk.content)?);
                limits.check_frames(self.frames.len() + 1)?;
            }
            b"fdAT" => self.frame_data(chunk)?,
            // How the samples are meant to look; nothing about who made them, where or when.
            b"gAMA" | b"cHRM" | b"sRGB" | b"sBIT" | b"pHYs" => {}
            b"eXIf" => {
                self.orientation = Orientation::from_exif(chunk.content);
                return Ok(());
            }
            b"zTXt" | b"iCCP" => return self.metadata(after_zeros(chunk.content, 1, 1), limits),
            b"iTXt" => return self.metadata(international(chunk.content), limits),
            kind if kind[0].is_ascii_lowercase() => return Ok(()),
            _ => return Err(damaged("an unexpected chunk")),
        }
        self.stripped.extend_from_slice(&self.bytes[chunk.whole.clone()]);
        Ok(())
    }

    fn placement(&self, content: &[u8]) -> Result<Placement, Refusal> {
        let field = |at| be32(content, at).ok_or(damaged("a short frame header"));
        let &[dispose, blend] = content.get(24..26).ok_or(damaged("a short frame header"))? else {
            return Err(damaged("a short frame header"));
        };
        let disposal = match dispose {
            0 => Disposal::Keep,
            1 => Disposal::Clear,
            _ => Disposal::Restore,
        };
        let (width, height, left, top) = (field(4)?, field(8)?, field(12)?, field(16)?);
        let placement = Placement {
            left,
            top,
            width,
            height,
            over: blend == 1,
            disposal,
        };
        if !placement.fits(self.header.width, self.header.height) {
            return Err(damaged("a frame outside the canvas"));
        }
        Ok(placement)
    }

    /// Data of the image that every viewer shows; where it is no part of the animation, it counts as a frame as well.
    fn image_data(&mut self, chunk: &Chunk<'_>) -> Result<(), Refusal> {
        if !self.still {
            if !self.frames.is_empty() {
                return Err(damaged("image data behind a frame"));
            }
            self.still = true;
            let Header { width, height, .. } = self.header;
            if self.next.is_none() {
                self.declared = self.declared.map(|frames| frames + 1);
            }
            let placement = self.next.take().unwrap_or(Placement::whole(width, height));
            if (placement.width, placement.height) != (width, height) {
                return Err(damaged("a first frame that is not the canvas"));
            }
            self.frames.push((placement, chunk.whole.clone()));
            return Ok(());
        }
        self.extend(chunk)
    }

    fn frame_data(&mut self, chunk: &Chunk<'_>) -> Result<(), Refusal> {
        match self.next.take() {
            Some(placement) => self.frames.push((placement, chunk.whole.clone())),
            None => self.extend(chunk)?,
        }
        Ok(())
    }

    fn extend(&mut self, chunk: &Chunk<'_>) -> Result<(), Refusal> {
        let (_, region) = self
            .frames
            .last_mut()
            .ok_or(damaged("frame data before the image"))?;
        let kind = &self.bytes[region.start + 4..region.start + 8];
        if kind != chunk.kind {
            return Err(damaged("data that belong to no frame"));
        }
        region.end = chunk.whole.end;
        Ok(())
    }

    /// Inflates metadata that are dropped anyway, to notice a file made to exhaust whoever reads them.
    fn metadata(&mut self, compressed: Option<&[u8]>, limits: &Limits) -> Result<(), Refusal> {
        let inflated = compressed.map_or(0, |data| inflate(data, self.metadata_left as u64 + 1).0);
        let left = self.metadata_left.checked_sub(to_usize(inflated));
        self.metadata_left = left.ok_or(Refusal::Metadata {
            limit: limits.max_metadata_bytes,
        })?;
        Ok(())
    }

    fn finish(self) -> Result<Png<'a>, Refusal> {
        if !self.still {
            return Err(damaged("no image data"));
        }
        if self.next.is_some()
            || self
                .declared
                .is_some_and(|declared| declared != self.frames.len())
        {
            return Err(damaged("another number of frames than declared"));
        }
        let (frames, regions): (Vec<_>, Vec<_>) = self.frames.into_iter().unzip();
        let Header { width, height, .. } = self.header;
        let outline = Outline {
            width,
            height,
            orientation: self.orientation,
            frames,
            sample_bytes: u64::from(width) * u64::from(height) * self.header.samples(&self.tables),
            decoder_bytes: u64::from(width) * 64 + 1024 * 1024,
        };
        let (bytes, header, tables, stripped) = (self.bytes, self.header, self.tables, self.stripped);
        Ok(Png {
            bytes,
            outline,
            header,
            tables,
            regions,
            stripped,
        })
    }
}

impl Header {
    fn read(chunk: &Chunk<'_>, limits: &Limits) -> Result<Self, Refusal> {
        let &[_, _, _, _, _, _, _, _, bit_depth, colour, 0, 0, interlace @ 0..=1] = chunk.content else {
            return Err(damaged("no proper header"));
        };
        let depths: &[u8] = match colour {
            0 => &[1, 2, 4, 8, 16],
            3 => &[1, 2, 4, 8],
            2 | 4 | 6 => &[8, 16],
            _ => &[],
        };
        let (width, height) = (
            be32(chunk.content, 0).unwrap_or(0),
            be32(chunk.content, 4).unwrap_or(0),
        );
        if &chunk.kind != b"IHDR" || !depths.contains(&bit_depth) || width == 0 || height == 0 {
            return Err(damaged("no proper header"));
        }
        limits.check_size(width, height)?;
        Ok(Self {
            width,
            height,
            bit_depth,
            colour,
            interlaced: interlace == 1,
        })
    }

    /// The content of IHDR for another size.
    fn sized(self, width: u32, height: u32) -> Vec<u8> {
        let rest = [self.bit_depth, self.colour, 0, 0, u8::from(self.interlaced)];
        [&width.to_be_bytes()[..], &height.to_be_bytes(), &rest].concat()
    }

    /// Samples a pixel once the palette is applied, for which there is room.
    fn samples(self, tables: &[u8]) -> u64 {
        if self.colour == 6 || !tables.is_empty() {
            4
        } else {
            3
        }
    }

    /// Bytes of the filtered rows.
    ///
    /// # Source
    /// PNG third edition, sections 7.2, 8.1 (Adam7) and 9.
    fn inflated_bytes(self) -> u64 {
        let channels = [1, 0, 3, 1, 2, 0, 4][usize::from(self.colour)];
        let bits = channels * u64::from(self.bit_depth);
        let pass = |width: u64, height: u64| {
            if width == 0 {
                0
            } else {
                height * (1 + (width * bits).div_ceil(8))
            }
        };
        let (width, height) = (u64::from(self.width), u64::from(self.height));
        if !self.interlaced {
            return pass(width, height);
        }
        let passes = [
            (0, 8, 0, 8),
            (4, 8, 0, 8),
            (0, 4, 4, 8),
            (2, 4, 0, 4),
            (0, 2, 2, 4),
            (1, 2, 0, 2),
            (0, 1, 1, 2),
        ];
        let count = |length: u64, start: u64, step: u64| length.saturating_sub(start).div_ceil(step);
        passes
            .map(|(x, dx, y, dy)| pass(count(width, x, dx), count(height, y, dy)))
            .iter()
            .sum()
    }

    /// Whether the data inflate to just what the header declares; decoders look no further than they need.
    fn check_inflation(self, data: &[u8]) -> Result<(), Refusal> {
        let declared = self.inflated_bytes();
        match inflate(data, declared + 1) {
            (inflated, _) if inflated > declared => Err(Refusal::Inflation { declared }),
            (inflated, Ok(())) if inflated == declared => Ok(()),
            (_, Err(cause)) => Err(Refusal::Undecodable {
                format: Format::Png,
                source: Box::new(cause),
            }),
            _ => Err(damaged("fewer pixels than declared")),
        }
    }
}

/// The chunk at a place, if its checksum is right.
fn chunk(bytes: &[u8], at: usize) -> Result<Chunk<'_>, Refusal> {
    let length = to_usize(u64::from(be32(bytes, at).ok_or(TRUNCATED)?));
    let end = at
        .checked_add(length)
        .and_then(|end| end.checked_add(12))
        .ok_or(TRUNCATED)?;
    let whole = bytes.get(at..end).ok_or(TRUNCATED)?;
    let sum = be32(whole, length + 8).ok_or(TRUNCATED)?;
    if crc32fast::hash(&whole[4..length + 8]) != sum {
        return Err(damaged("a chunk with a wrong checksum"));
    }
    let kind = *whole[4..].first_chunk().ok_or(TRUNCATED)?;
    Ok(Chunk {
        kind,
        content: &whole[8..length + 8],
        whole: at..end,
    })
}

fn push_chunk(file: &mut Vec<u8>, kind: [u8; 4], content: &[u8]) {
    let length = u32::try_from(content.len()).expect("no longer than the file, whose length is limited");
    file.extend(length.to_be_bytes());
    let start = file.len();
    file.extend(kind);
    file.extend_from_slice(content);
    let sum = crc32fast::hash(&file[start..]);
    file.extend(sum.to_be_bytes());
}

/// Inflates until an end, an error, or the limit; keeps nothing but the count.
fn inflate(data: &[u8], limit: u64) -> (u64, std::io::Result<()>) {
    let mut reader = ZlibDecoder::new(data).take(limit);
    let mut window = vec![0; 32 * 1024];
    let mut inflated = 0;
    loop {
        match reader.read(&mut window) {
            Ok(0) => return (inflated, Ok(())),
            Ok(count) => inflated += count as u64,
            Err(cause) => return (inflated, Err(cause)),
        }
    }
}

/// What follows a number of zero-ended texts and of single bytes.
fn after_zeros(content: &[u8], texts: usize, bytes: usize) -> Option<&[u8]> {
    let mut rest = content;
    for _ in 0..texts {
        let end = rest.iter().position(|&byte| byte == 0)?;
        rest = &rest[end + 1..];
    }
    rest.get(bytes..)
}

/// The compressed text of an iTXt chunk, if it is compressed.
fn international(content: &[u8]) -> Option<&[u8]> {
    let flags = after_zeros(content, 1, 0)?;
    if flags.first() != Some(&1) {
        return None;
    }
    after_zeros(flags.get(2..)?, 2, 0)
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

const TRUNCATED: Refusal = Refusal::Truncated { format: Format::Png };

const fn damaged(what: &'static str) -> Refusal {
    Refusal::Damaged {
        format: Format::Png,
        what,
    }
}

fn undecodable(cause: png::DecodingError) -> Refusal {
    Refusal::Undecodable {
        format: Format::Png,
        source: Box::new(cause),
    }
}
