//! Encoding the kept frames where the file itself cannot be kept.

use std::io::Write;

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};

use super::limits::Limits;
use super::{Refusal, jpeg};
use crate::Image;

/// What the encoder takes beside its output.
const ENCODER_BYTES: u64 = 1024 * 1024;

/// The frames as a PNG, or as an APNG if they are several.
///
/// # Errors
/// [`Refusal::Memory`] if frames and file together exceed the memory allowed.
pub(super) fn png(frames: &[Image], limits: &Limits) -> Result<Vec<u8>, Refusal> {
    let frame_bytes = frames[0].pixels().len() as u64;
    // Of a sequence, the encoder holds a whole compressed frame.
    let held = if frames.len() > 1 { frame_bytes * 2 } else { 0 };
    let spent = frame_bytes * frames.len() as u64 + held + ENCODER_BYTES;
    let room = limits.max_memory_bytes.saturating_sub(spent);
    let mut output = Bounded::new(room.min(largest(frames)));
    let refusal = Refusal::Memory {
        needed: limits.max_memory_bytes + 1,
        limit: limits.max_memory_bytes,
    };
    // Nothing but the bounded output can fail: the sizes are those of images.
    write(frames, &mut output).map_err(|_| refusal)?;
    Ok(output.bytes)
}

/// Bytes of the largest file that frames can become: the encoder may make some ten bits of eight.
fn largest(frames: &[Image]) -> u64 {
    let pixels = |frame: &Image| frame.pixels().len() as u64 + u64::from(frame.height());
    frames.iter().map(|frame| pixels(frame) * 3 / 2 + 64 * 1024).sum()
}

fn write(frames: &[Image], output: &mut Bounded) -> Result<(), png::EncodingError> {
    let mut encoder = png::Encoder::new(output, frames[0].width(), frames[0].height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::Fast);
    if let [frame] = frames {
        let mut writer = encoder.write_header()?;
        let mut stream = writer.stream_writer()?;
        stream.write_all(frame.pixels())?;
        stream.finish()?;
        return writer.finish();
    }
    encoder.set_animated(u32::try_from(frames.len()).expect("no more than are kept"), 0)?;
    let mut writer = encoder.write_header()?;
    for frame in frames {
        writer.write_image_data(frame.pixels())?;
    }
    writer.finish()
}

/// The image as a PNG.
pub(super) fn whole_png(image: &Image) -> Vec<u8> {
    let mut output = Bounded {
        bytes: Vec::new(),
        limit: usize::MAX,
    };
    write(std::slice::from_ref(image), &mut output).expect("memory takes whatever the encoder writes");
    output.bytes
}

/// The image as a JPEG.
///
/// # Panics
/// If a side is longer than the 65,535 pixels that a JPEG can have.
pub(super) fn whole_jpeg(image: &Image, quality: u8) -> Vec<u8> {
    let mut file = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut file, quality);
    encoder
        .write_image(
            image.pixels(),
            image.width(),
            image.height(),
            ExtendedColorType::Rgb8,
        )
        .expect("memory takes whatever the encoder writes");
    file
}

/// The image as JPEG artefacts leave it.
///
/// # Panics
/// If a side is longer than the 65,535 pixels that a JPEG can have.
pub(crate) fn lossy_copy(image: &Image, quality: u8) -> Image {
    let (width, height) = (image.width(), image.height());
    let pixels = jpeg::decode(&whole_jpeg(image, quality), width, height)
        .expect("what has just been encoded can be decoded");
    Image::new(width, height, pixels)
}

/// Memory that ends where the memory allowed ends. It is reserved at once, because growing would for a moment take as
/// much again; what is not written is not touched either.
struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
}

impl Bounded {
    fn new(limit: u64) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Self {
            bytes: Vec::with_capacity(limit),
            limit,
        }
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if bytes.len() > self.limit - self.bytes.len() {
            return Err(std::io::ErrorKind::OutOfMemory.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
