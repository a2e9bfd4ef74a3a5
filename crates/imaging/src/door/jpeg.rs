//! JPEG: segments, then one image.

mod bits;
mod entropy;

use std::ops::Range;

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::bytes::be16;
use super::container::{Container, Outline, Placement};
use super::limits::Limits;
use super::orientation::Orientation;
use super::pixels::{Layout, Samples};
use super::{Format, Refusal};
use entropy::Checker;

const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;
const APP0: u8 = 0xE0;
const APP1: u8 = 0xE1;
const APP14: u8 = 0xEE;
const PROGRESSIVE: u8 = 0xC2;

/// More scans than any encoder writes; each costs a pass over the image.
const MAX_SCANS: usize = 100;

/// A JPEG whose segments have been walked.
pub(super) struct Jpeg {
    outline: Outline,
    stripped: Vec<u8>,
}

/// What the frame header says.
struct Frame {
    width: u32,
    height: u32,
    progressive: bool,
    /// Horizontal and vertical sampling factor of each component.
    sampling: Vec<(u64, u64)>,
}

/// The segments of a file, one after the other.
struct Segments<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// A walk through the segments.
struct Walk<'a> {
    segments: Segments<'a>,
    stripped: Vec<u8>,
    orientation: Orientation,
    frame: Option<Frame>,
    scans: usize,
    /// Whether the first scan holds all components.
    interleaved: bool,
}

impl Jpeg {
    /// Reads the entropy-coded data from beginning to end.
    fn check(&self) -> Result<(), Refusal> {
        let mut checker = Checker::default();
        let mut segments = Segments {
            bytes: &self.stripped,
            at: 2,
        };
        loop {
            let marker = segments.marker()?;
            if marker == EOI {
                return checker.finish().map_err(damaged);
            }
            let payload = segments.payload()?;
            let content = &self.stripped[payload];
            if marker == SOS {
                let data = segments.entropy_coded()?;
                checker.scan(content, &self.stripped[data]).map_err(damaged)?;
            } else {
                checker.segment(marker, content).map_err(damaged)?;
            }
        }
    }

    pub(super) fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, Refusal> {
        let mut walk = Walk {
            segments: Segments { bytes, at: 2 },
            stripped: Vec::with_capacity(bytes.len()),
            orientation: Orientation::default(),
            frame: None,
            scans: 0,
            interleaved: true,
        };
        walk.stripped.extend([0xFF, SOI]);
        while walk.segment(limits)? {}
        let frame = walk.frame.ok_or(damaged("no frame header"))?;
        if walk.scans == 0 {
            return Err(damaged("no scan"));
        }
        let outline = Outline {
            width: frame.width,
            height: frame.height,
            orientation: walk.orientation,
            decoder_bytes: frame.decoder_bytes(walk.interleaved),
            sample_bytes: u64::from(frame.width) * u64::from(frame.height) * 3,
            frames: vec![Placement::whole(frame.width, frame.height)],
        };
        Ok(Self {
            outline,
            stripped: walk.stripped,
        })
    }
}

/// The pixels of a JPEG of a size.
pub(super) fn decode(file: &[u8], width: u32, height: u32) -> Result<Vec<u8>, DecodeErrors> {
    // The portable code gives the same pixels on every machine, and nothing unsafe meets hostile bytes.
    let options = DecoderOptions::default()
        .set_use_unsafe(false)
        .set_strict_mode(true)
        .set_max_width(width as usize)
        .set_max_height(height as usize)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut buffer = Samples::buffer(width, height, 3);
    JpegDecoder::new_with_options(ZCursor::new(file), options).decode_into(&mut buffer)?;
    Ok(buffer)
}

impl Container for Jpeg {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    fn decode(&self, _: usize) -> Result<Samples, Refusal> {
        self.check()?;
        let Outline { width, height, .. } = self.outline;
        let buffer = decode(&self.stripped, width, height).map_err(|cause| Refusal::Undecodable {
            format: Format::Jpeg,
            source: Box::new(cause),
        })?;
        Ok(Samples {
            width,
            height,
            layout: Layout::Rgb,
            buffer,
        })
    }

    fn into_stripped(self: Box<Self>) -> Option<Vec<u8>> {
        Some(self.stripped)
    }
}

impl Segments<'_> {
    /// The next marker; it may be filled up with any number of `FF`.
    fn marker(&mut self) -> Result<u8, Refusal> {
        if *self.bytes.get(self.at).ok_or(TRUNCATED)? != 0xFF {
            return Err(damaged("a segment with a false length"));
        }
        let fill = self.bytes[self.at..]
            .iter()
            .take_while(|&&byte| byte == 0xFF)
            .count();
        self.at += fill + 1;
        self.bytes.get(self.at - 1).copied().ok_or(TRUNCATED)
    }

    fn payload(&mut self) -> Result<Range<usize>, Refusal> {
        let length = usize::from(be16(self.bytes, self.at).ok_or(TRUNCATED)?);
        let end = self.at + length;
        if length < 2 {
            return Err(damaged("a segment with a false length"));
        }
        if end > self.bytes.len() {
            return Err(TRUNCATED);
        }
        let payload = self.at + 2..end;
        self.at = end;
        Ok(payload)
    }

    /// The data behind a scan header, up to the next marker that is no restart.
    fn entropy_coded(&mut self) -> Result<Range<usize>, Refusal> {
        let ends = |pair: &[u8]| pair[0] == 0xFF && !matches!(pair[1], 0 | 0xD0..=0xD7 | 0xFF);
        let length = self.bytes[self.at..].windows(2).position(ends).ok_or(TRUNCATED)?;
        self.at += length;
        Ok(self.at - length..self.at)
    }
}

impl<'a> Walk<'a> {
    /// Takes one segment; whether another follows.
    fn segment(&mut self, limits: &Limits) -> Result<bool, Refusal> {
        let marker = self.segments.marker()?;
        if marker == EOI {
            self.stripped.extend([0xFF, EOI]);
            return Ok(false);
        }
        let payload = self.segments.payload()?;
        let content = &self.segments.bytes[payload];
        match marker {
            0xC0..=0xC2 => self.frame_header(marker, content, limits)?,
            0xC4 | 0xDB | 0xDD => {}
            SOS => return self.scan(content).map(|()| true),
            APP0 if content.starts_with(b"JFIF\0") && content.len() >= 14 => {
                // The thumbnail behind these is another picture.
                let header = [&content[..12], &[0, 0]].concat();
                self.keep(marker, &header);
                return Ok(true);
            }
            APP14 if content.starts_with(b"Adobe") && content.len() >= 12 => {
                self.keep(marker, &content[..12]);
                return Ok(true);
            }
            APP1 if content.starts_with(b"Exif\0\0") => {
                self.orientation = Orientation::from_exif(content);
                return Ok(true);
            }
            0xE0..=0xEF | 0xFE => return Ok(true),
            0xC3 | 0xC5..=0xCF | 0xDC | 0xDE | 0xDF => {
                return Err(Refusal::Unsupported {
                    format: Format::Jpeg,
                    what: "an uncommon coding process",
                });
            }
            _ => return Err(damaged("an unknown segment")),
        }
        self.keep(marker, content);
        Ok(true)
    }

    fn keep(&mut self, marker: u8, content: &[u8]) {
        let length = u16::try_from(content.len() + 2).expect("no longer than it was");
        self.stripped.extend([0xFF, marker]);
        self.stripped.extend(length.to_be_bytes());
        self.stripped.extend_from_slice(content);
    }

    fn frame_header(&mut self, marker: u8, content: &[u8], limits: &Limits) -> Result<(), Refusal> {
        let &[bits, _, _, _, _, count, ref components @ ..] = content else {
            return Err(damaged("a short frame header"));
        };
        let (height, width) = (be16(content, 1).unwrap_or(0), be16(content, 3).unwrap_or(0));
        let (width, height) = (u32::from(width), u32::from(height));
        if self.frame.is_some() {
            return Err(damaged("two frame headers"));
        }
        if bits != 8 || height == 0 {
            let what = "samples of other than 8 bits, or a height that is declared late";
            return Err(Refusal::Unsupported {
                format: Format::Jpeg,
                what,
            });
        }
        if width == 0 {
            return Err(damaged("no width"));
        }
        limits.check_size(width, height)?;
        let components = components.chunks_exact(3);
        let sampling: Vec<_> = components
            .map(|c| (u64::from(c[1] >> 4), u64::from(c[1] & 15)))
            .collect();
        if sampling.len() != usize::from(count) || !matches!(sampling.len(), 1 | 3 | 4) {
            return Err(damaged("a wrong number of components"));
        }
        if sampling
            .iter()
            .any(|&(h, v)| !(1..=4).contains(&h) || !(1..=4).contains(&v))
        {
            return Err(damaged("impossible sampling factors"));
        }
        self.frame = Some(Frame {
            width,
            height,
            progressive: marker == PROGRESSIVE,
            sampling,
        });
        Ok(())
    }

    /// Takes a scan with its entropy-coded data.
    fn scan(&mut self, header: &'a [u8]) -> Result<(), Refusal> {
        let frame = self
            .frame
            .as_ref()
            .ok_or(damaged("a scan before the frame header"))?;
        if self.scans == 0 {
            self.interleaved = header
                .first()
                .is_some_and(|&n| usize::from(n) == frame.sampling.len());
        }
        self.scans += 1;
        if self.scans > MAX_SCANS {
            return Err(Refusal::Unsupported {
                format: Format::Jpeg,
                what: "more than 100 scans",
            });
        }
        self.keep(SOS, header);
        let data = self.segments.entropy_coded()?;
        self.stripped.extend_from_slice(&self.segments.bytes[data]);
        Ok(())
    }
}

impl Frame {
    /// What decoder and checker hold beside the output: where scans follow one another, two bytes for each coefficient
    /// of the image and a bit for whether it is known; otherwise rows.
    fn decoder_bytes(&self, interleaved: bool) -> u64 {
        let most = |factor: fn(&(u64, u64)) -> u64| self.sampling.iter().map(factor).max().unwrap_or(1);
        let (widest, highest) = (most(|s| s.0), most(|s| s.1));
        let columns = u64::from(self.width).div_ceil(8 * widest);
        let rows = u64::from(self.height).div_ceil(8 * highest);
        let samples = self.sampling.iter().map(|(h, v)| h * v * 64).sum::<u64>();
        let whole = if self.progressive || !interleaved {
            rows * columns * samples * 9 / 4
        } else {
            0
        };
        whole + columns * samples * 16 * widest * highest + 1024 * 1024
    }
}

const TRUNCATED: Refusal = Refusal::Truncated { format: Format::Jpeg };

const fn damaged(what: &'static str) -> Refusal {
    Refusal::Damaged {
        format: Format::Jpeg,
        what,
    }
}
