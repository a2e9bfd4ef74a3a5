//! WebP, still and animated: a RIFF file whose chunks hold VP8 or VP8L pictures.

mod lossless;

use std::io::Cursor;
use std::ops::Range;

use image_webp::{DecodingError, WebPDecoder};

use super::bytes::{le16, le24, le32};
use super::container::{Container, Disposal, Outline, Placement};
use super::limits::Limits;
use super::orientation::Orientation;
use super::pixels::{Layout, Samples};
use super::{Format, Refusal};

/// Bits of the first byte of VP8X.
const ANIMATION: u8 = 0x02;
const ALPHA: u8 = 0x10;

/// What the decoder reserves for the partitions of a VP8 picture, whatever they hold: their sizes have 24 bits.
const PARTITION_BYTES: u64 = 16 * 1024 * 1024;

/// What the prefix codes of a lossless picture may take; those of common encoders stay far below.
const CODE_BYTES: u64 = 16 * 1024 * 1024;

/// A WebP whose chunks have been walked.
pub(super) struct WebP<'a> {
    bytes: &'a [u8],
    outline: Outline,
    pictures: Vec<Picture>,
    stripped: Vec<u8>,
}

/// The chunks of one picture, headers included.
#[derive(Clone)]
struct Picture {
    alpha: Option<Range<usize>>,
    data: Range<usize>,
    lossless: bool,
    width: u32,
    height: u32,
    /// Whether the decoder gives an alpha channel.
    has_alpha: bool,
}

struct Chunk {
    kind: [u8; 4],
    content: Range<usize>,
    whole: Range<usize>,
}

impl<'a> WebP<'a> {
    pub(super) fn parse(bytes: &'a [u8], limits: &Limits) -> Result<Self, Refusal> {
        let length = to_usize(le32(bytes, 4).ok_or(TRUNCATED)?);
        let bytes = length
            .checked_add(8)
            .and_then(|end| bytes.get(..end))
            .ok_or(TRUNCATED)?;
        let first = chunk(bytes, 12)?;
        if &first.kind == b"VP8X" {
            return Self::extended(bytes, &first, limits);
        }
        let picture = picture(bytes, 12..first.whole.end, limits)?;
        let frames = vec![Placement::whole(picture.width, picture.height)];
        let mut stripped = begin();
        stripped.extend_from_slice(&bytes[first.whole]);
        Ok(Self::new(
            bytes,
            (picture.width, picture.height),
            Orientation::default(),
            vec![picture],
            frames,
            stripped,
        ))
    }

    fn extended(bytes: &'a [u8], first: &Chunk, limits: &Limits) -> Result<Self, Refusal> {
        let content = &bytes[first.content.clone()];
        let (Some(width), Some(height)) = (le24(content, 4), le24(content, 7)) else {
            return Err(damaged("a short header"));
        };
        let (width, height) = (width + 1, height + 1);
        limits.check_size(width, height)?;
        let mut walk = Walk {
            bytes,
            size: (width, height),
            animated: content[0] & ANIMATION != 0,
            orientation: Orientation::default(),
            pictures: Vec::new(),
            frames: Vec::new(),
            stripped: begin(),
            still: None,
        };
        push_chunk(
            &mut walk.stripped,
            *b"VP8X",
            &[&[content[0] & (ANIMATION | ALPHA)], &content[1..10]].concat(),
        );
        let mut at = first.whole.end;
        while at < bytes.len() {
            let chunk = chunk(bytes, at)?;
            at = chunk.whole.end;
            walk.take(&chunk, limits)?;
        }
        walk.finish(limits)
    }

    fn new(
        bytes: &'a [u8],
        (width, height): (u32, u32),
        orientation: Orientation,
        pictures: Vec<Picture>,
        frames: Vec<Placement>,
        mut stripped: Vec<u8>,
    ) -> Self {
        let length =
            u32::try_from(stripped.len() - 8).expect("no longer than the file, whose length is limited");
        stripped[4..8].copy_from_slice(&length.to_le_bytes());
        let most = |bytes: fn(&Picture) -> u64| pictures.iter().map(bytes).max().unwrap_or(0);
        let outline = Outline {
            width,
            height,
            orientation,
            frames,
            sample_bytes: most(Picture::sample_bytes),
            decoder_bytes: most(Picture::decoder_bytes),
        };
        Self {
            bytes,
            outline,
            pictures,
            stripped,
        }
    }
}

impl Container for WebP<'_> {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    fn decode(&self, index: usize) -> Result<Samples, Refusal> {
        let picture = &self.pictures[index];
        picture.check_codes(self.bytes)?;
        let mut decoder = WebPDecoder::new(Cursor::new(picture.file(self.bytes))).map_err(undecodable)?;
        let (width, height) = (picture.width, picture.height);
        if decoder.dimensions() != (width, height) || decoder.has_alpha() != picture.has_alpha {
            return Err(damaged("a picture that contradicts its header"));
        }
        let layout = if picture.has_alpha {
            Layout::Rgba
        } else {
            Layout::Rgb
        };
        let mut buffer = Samples::buffer(width, height, layout.channels());
        decoder.read_image(&mut buffer).map_err(undecodable)?;
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

/// A walk through the chunks behind VP8X.
struct Walk<'a> {
    bytes: &'a [u8],
    size: (u32, u32),
    animated: bool,
    orientation: Orientation,
    pictures: Vec<Picture>,
    frames: Vec<Placement>,
    stripped: Vec<u8>,
    /// The chunks of the picture of a file that is not animated.
    still: Option<Range<usize>>,
}

impl<'a> Walk<'a> {
    fn take(&mut self, chunk: &Chunk, limits: &Limits) -> Result<(), Refusal> {
        match &chunk.kind {
            b"ANIM" if self.animated => self.stripped.extend_from_slice(&self.bytes[chunk.whole.clone()]),
            b"ANMF" if self.animated => self.frame(chunk, limits)?,
            b"ALPH" | b"VP8 " | b"VP8L" if !self.animated => {
                self.stripped.extend_from_slice(&self.bytes[chunk.whole.clone()]);
                let start = self.still.as_ref().map_or(chunk.whole.start, |range| range.start);
                self.still = Some(start..chunk.whole.end);
            }
            b"EXIF" => self.orientation = Orientation::from_exif(&self.bytes[chunk.content.clone()]),
            _ => {}
        }
        Ok(())
    }

    fn frame(&mut self, chunk: &Chunk, limits: &Limits) -> Result<(), Refusal> {
        limits.check_frames(self.frames.len() + 1)?;
        let header = self.bytes[chunk.content.clone()]
            .get(..16)
            .ok_or(damaged("a short frame"))?;
        let field = |at| le24(header, at).ok_or(damaged("a short frame"));
        let placement = Placement {
            left: field(0)? * 2,
            top: field(3)? * 2,
            width: field(6)? + 1,
            height: field(9)? + 1,
            over: header[15] & 2 == 0,
            disposal: if header[15] & 1 == 1 {
                Disposal::Clear
            } else {
                Disposal::Keep
            },
        };
        if !placement.fits(self.size.0, self.size.1) {
            return Err(damaged("a frame outside the canvas"));
        }
        let picture = picture(self.bytes, chunk.content.start + 16..chunk.content.end, limits)?;
        if (picture.width, picture.height) != (placement.width, placement.height) {
            return Err(damaged("a picture that contradicts its frame"));
        }
        let content = [header, &picture.chunks(self.bytes)].concat();
        push_chunk(&mut self.stripped, *b"ANMF", &content);
        self.frames.push(placement);
        self.pictures.push(picture);
        Ok(())
    }

    fn finish(mut self, limits: &Limits) -> Result<WebP<'a>, Refusal> {
        if !self.animated {
            let picture = picture(self.bytes, self.still.ok_or(damaged("no picture"))?, limits)?;
            if (picture.width, picture.height) != self.size {
                return Err(damaged("a picture that contradicts its canvas"));
            }
            self.frames = vec![Placement::whole(picture.width, picture.height)];
            self.pictures = vec![picture];
        }
        if self.frames.is_empty() {
            return Err(damaged("an animation without frames"));
        }
        Ok(WebP::new(
            self.bytes,
            self.size,
            self.orientation,
            self.pictures,
            self.frames,
            self.stripped,
        ))
    }
}

/// The picture in a range of chunks; others than its own are passed over.
fn picture(bytes: &[u8], range: Range<usize>, limits: &Limits) -> Result<Picture, Refusal> {
    let (mut alpha, mut at) = (None, range.start);
    while at < range.end {
        let chunk = chunk(&bytes[..range.end], at)?;
        at = chunk.whole.end;
        let content = &bytes[chunk.content.clone()];
        let (width, height, lossless, has_alpha) = match &chunk.kind {
            b"ALPH" if alpha.is_none() => {
                alpha = Some(chunk.whole);
                continue;
            }
            b"VP8 " => {
                let (width, height) = lossy_size(content)?;
                (width, height, false, alpha.is_some())
            }
            b"VP8L" if alpha.is_none() => {
                let (width, height, has_alpha) = lossless_size(content)?;
                (width, height, true, has_alpha)
            }
            b"ALPH" | b"VP8L" => return Err(damaged("alpha twice")),
            _ => continue,
        };
        limits.check_size(width, height)?;
        return Ok(Picture {
            alpha,
            data: chunk.whole,
            lossless,
            width,
            height,
            has_alpha,
        });
    }
    Err(damaged("no picture"))
}

/// # Source
/// RFC 6386, section 9.1.
fn lossy_size(content: &[u8]) -> Result<(u32, u32), Refusal> {
    let (Some(width), Some(height)) = (le16(content, 6), le16(content, 8)) else {
        return Err(TRUNCATED);
    };
    let (width, height) = (u32::from(width & 0x3FFF), u32::from(height & 0x3FFF));
    if content[0] & 1 == 1 || content[3..6] != [0x9D, 0x01, 0x2A] || width == 0 || height == 0 {
        return Err(damaged("no VP8 picture"));
    }
    Ok((width, height))
}

/// # Source
/// WebP lossless bitstream specification, section 3.
fn lossless_size(content: &[u8]) -> Result<(u32, u32, bool), Refusal> {
    let fields = le32(content, 1).ok_or(TRUNCATED)?;
    if content[0] != 0x2F || fields >> 29 != 0 {
        return Err(damaged("no VP8L picture"));
    }
    Ok((
        (fields & 0x3FFF) + 1,
        (fields >> 14 & 0x3FFF) + 1,
        fields >> 28 & 1 == 1,
    ))
}

impl Picture {
    /// The chunks alone.
    fn chunks(&self, bytes: &[u8]) -> Vec<u8> {
        let alpha = self.alpha.clone().map_or(&[][..], |range| &bytes[range]);
        [alpha, &bytes[self.data.clone()]].concat()
    }

    /// The picture as a file of its own.
    fn file(&self, bytes: &[u8]) -> Vec<u8> {
        let mut file = begin();
        if self.alpha.is_some() {
            let [width, height] = [self.width, self.height].map(|side| (side - 1).to_le_bytes());
            push_chunk(
                &mut file,
                *b"VP8X",
                &[&[ALPHA, 0, 0, 0], &width[..3], &height[..3]].concat(),
            );
        }
        file.extend(self.chunks(bytes));
        let length = u32::try_from(file.len() - 8).expect("no longer than the file, whose length is limited");
        file[4..8].copy_from_slice(&length.to_le_bytes());
        file
    }

    /// Whether the prefix codes of a lossless picture, or of a compressed alpha channel, keep to what is allowed.
    fn check_codes(&self, bytes: &[u8]) -> Result<(), Refusal> {
        // Behind the chunk's header lie signature and size of a picture, or the flags of an alpha channel.
        let lossless = self.lossless.then(|| &bytes[self.data.start + 13..self.data.end]);
        let alpha = self.alpha.clone().map(|range| &bytes[range.start + 8..range.end]);
        let alpha = alpha
            .and_then(|chunk| chunk.split_first())
            .filter(|(flags, _)| **flags & 3 == 1);
        for data in lossless.into_iter().chain(alpha.map(|(_, data)| data)) {
            let needed = lossless::code_bytes(data, self.width, self.height, CODE_BYTES).map_err(damaged)?;
            if needed > CODE_BYTES {
                return Err(Refusal::Memory {
                    needed,
                    limit: CODE_BYTES,
                });
            }
        }
        Ok(())
    }

    fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    fn sample_bytes(&self) -> u64 {
        self.pixels() * if self.has_alpha { 4 } else { 3 }
    }

    /// What the decoder takes beside the samples: planes of a lossy picture; of a lossless one, and of a compressed
    /// alpha channel, ARGB, transforms and tables.
    fn decoder_bytes(&self) -> u64 {
        let padded = u64::from(self.width.next_multiple_of(16)) * u64::from(self.height.next_multiple_of(16));
        let alpha = if self.alpha.is_some() {
            self.pixels() * 7 + CODE_BYTES
        } else {
            0
        };
        let data = if self.lossless {
            self.pixels() * 5 + CODE_BYTES
        } else {
            padded * 2 + PARTITION_BYTES
        };
        alpha + data + 1024 * 1024
    }
}

fn begin() -> Vec<u8> {
    b"RIFF\0\0\0\0WEBP".to_vec()
}

fn chunk(bytes: &[u8], at: usize) -> Result<Chunk, Refusal> {
    let kind = *bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .ok_or(TRUNCATED)?;
    let length = to_usize(le32(bytes, at + 4).ok_or(TRUNCATED)?);
    let start = at + 8;
    let end = start
        .checked_add(length)
        .filter(|&end| end <= bytes.len())
        .ok_or(TRUNCATED)?;
    // Chunks begin at even places; the padding of the last one is often left out.
    let next = (end + length % 2).min(bytes.len());
    Ok(Chunk {
        kind,
        content: start..end,
        whole: at..next,
    })
}

fn push_chunk(file: &mut Vec<u8>, kind: [u8; 4], content: &[u8]) {
    let length = u32::try_from(content.len()).expect("no longer than the file, whose length is limited");
    file.extend(kind);
    file.extend(length.to_le_bytes());
    file.extend_from_slice(content);
    if content.len() % 2 == 1 {
        file.push(0);
    }
}

fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

const TRUNCATED: Refusal = Refusal::Truncated { format: Format::WebP };

const fn damaged(what: &'static str) -> Refusal {
    Refusal::Damaged {
        format: Format::WebP,
        what,
    }
}

fn undecodable(cause: DecodingError) -> Refusal {
    Refusal::Undecodable {
        format: Format::WebP,
        source: Box::new(cause),
    }
}
