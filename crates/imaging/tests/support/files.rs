//! Files that tests build: good ones, and ones made to do harm.

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::ZlibEncoder;

/// Pixels like a page: white, with lines of dark strokes, and a coloured corner.
pub(crate) fn page(width: u32, height: u32) -> Vec<u8> {
    let mut pixels = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let stroke = y % 12 < 5 && (x * 7 + y / 12 * 13) % 11 < 4;
            let corner = x < width / 5 && y < height / 5;
            pixels.extend(match (stroke, corner) {
                (true, _) => [20, 24, 30],
                (false, true) => [200, 90, (x % 200) as u8],
                _ => [250, 249, 245],
            });
        }
    }
    pixels
}

pub(crate) fn jpeg(width: u32, height: u32, quality: u8) -> Vec<u8> {
    let mut file = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut file, quality);
    image::ImageEncoder::write_image(
        encoder,
        &page(width, height),
        width,
        height,
        image::ExtendedColorType::Rgb8,
    )
    .unwrap();
    file
}

pub(crate) fn png(width: u32, height: u32) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder
        .write_header()
        .unwrap()
        .write_image_data(&page(width, height))
        .unwrap();
    file
}

pub(crate) fn apng(width: u32, height: u32, frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_animated(frames.len() as u32, 0).unwrap();
    let mut writer = encoder.write_header().unwrap();
    frames
        .iter()
        .for_each(|frame| writer.write_image_data(frame).unwrap());
    writer.finish().unwrap();
    file
}

pub(crate) fn deflated(content: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn png_chunk(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let body = [kind, content].concat();
    let sum = crc32fast::hash(&body);
    [
        &(content.len() as u32).to_be_bytes()[..],
        &body,
        &sum.to_be_bytes(),
    ]
    .concat()
}

/// A PNG of one byte a pixel whose image data are given.
pub(crate) fn raw_png(width: u32, height: u32, before: &[Vec<u8>], data: &[u8]) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    file.extend(png_chunk(b"IHDR", &header));
    before.iter().for_each(|chunk| file.extend_from_slice(chunk));
    file.extend(png_chunk(b"IDAT", data));
    file.extend(png_chunk(b"IEND", &[]));
    file
}

/// The image data of an empty grey PNG.
pub(crate) fn blank(width: u32, height: u32) -> Vec<u8> {
    deflated(&vec![0; (width as usize + 1) * height as usize])
}

/// An empty interlaced PNG of one byte a pixel. Which pixels belong to a pass is read off the table of the standard.
pub(crate) fn interlaced_png(width: u32, height: u32) -> Vec<u8> {
    const PASSES: [&[u8; 8]; 8] = [
        b"16462646",
        b"77777777",
        b"56565656",
        b"77777777",
        b"36463646",
        b"77777777",
        b"56565656",
        b"77777777",
    ];
    let mut data = Vec::new();
    for pass in b'1'..=b'7' {
        for y in 0..height as usize {
            let pixels = (0..width as usize)
                .filter(|x| PASSES[y % 8][x % 8] == pass)
                .count();
            let row = if pixels > 0 { pixels + 1 } else { 0 };
            data.resize(data.len() + row, 0);
        }
    }
    let mut file = raw_png(width, height, &[], &deflated(&data));
    file[28] = 1;
    let sum = crc32fast::hash(&file[12..29]);
    file[29..33].copy_from_slice(&sum.to_be_bytes());
    file
}

/// The same PNG with further chunks behind its header.
pub(crate) fn with_chunks(png: &[u8], chunks: &[Vec<u8>]) -> Vec<u8> {
    [&png[..33], &chunks.concat(), &png[33..]].concat()
}

/// An EXIF block that names an orientation, and the maker of a camera.
pub(crate) fn exif(orientation: u8) -> Vec<u8> {
    let mut block = b"II*\0\x08\0\0\0\x02\0".to_vec();
    block.extend([0x0F, 1, 2, 0, 4, 0, 0, 0, b'A', b'c', b'm', b'e']);
    block.extend([0x12, 1, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0]);
    block.extend([0; 4]);
    block
}

pub(crate) fn jpeg_segment(marker: u8, content: &[u8]) -> Vec<u8> {
    [
        &[0xFF, marker][..],
        &(content.len() as u16 + 2).to_be_bytes(),
        content,
    ]
    .concat()
}

/// The same JPEG with further segments behind its beginning.
pub(crate) fn with_segments(jpeg: &[u8], segments: &[Vec<u8>]) -> Vec<u8> {
    [&jpeg[..2], &segments.concat(), &jpeg[2..]].concat()
}

pub(crate) fn riff_chunk(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let padding = &[0][..content.len() % 2];
    [kind, &(content.len() as u32).to_le_bytes()[..], content, padding].concat()
}

pub(crate) fn riff(chunks: &[Vec<u8>]) -> Vec<u8> {
    riff_chunk(b"RIFF", &[b"WEBP", &chunks.concat()[..]].concat())
}

/// The VP8L chunk of a page.
pub(crate) fn vp8l(width: u32, height: u32) -> Vec<u8> {
    let mut file = Vec::new();
    image_webp::WebPEncoder::new(&mut file)
        .encode(&page(width, height), width, height, image_webp::ColorType::Rgb8)
        .unwrap();
    file.split_off(12)
}

/// The VP8 chunk of 2 × 2 red pixels.
pub(crate) fn vp8() -> Vec<u8> {
    let content = [
        0xD0, 0x01, 0x00, 0x9D, 0x01, 0x2A, 0x02, 0x00, 0x02, 0x00, 0x02, 0x00, 0x34, 0x25, 0xA0, 0x02, 0x74,
        0xBA, 0x01, 0xF8, 0x00, 0x03, 0xB0, 0x00, 0xFE, 0xF0, 0xC4, 0x0B, 0xFF, 0x20, 0xB9, 0x61, 0x75, 0xC8,
        0xD7, 0xFF, 0x20, 0x3F, 0xE4, 0x07, 0xFC, 0x80, 0xFF, 0xF8, 0xF2, 0x00, 0x00, 0x00,
    ];
    riff_chunk(b"VP8 ", &content)
}

pub(crate) fn webp(width: u32, height: u32) -> Vec<u8> {
    riff(&[vp8l(width, height)])
}

pub(crate) fn vp8x(flags: u8, width: u32, height: u32) -> Vec<u8> {
    let sides = [(width - 1).to_le_bytes(), (height - 1).to_le_bytes()];
    riff_chunk(
        b"VP8X",
        &[&[flags, 0, 0, 0], &sides[0][..3], &sides[1][..3]].concat(),
    )
}

/// An animated WebP of equal frames.
pub(crate) fn animated_webp(width: u32, height: u32, frames: usize) -> Vec<u8> {
    let sides = [(width - 1).to_le_bytes(), (height - 1).to_le_bytes()];
    let header = [&[0; 6][..], &sides[0][..3], &sides[1][..3], &[10, 0, 0, 0]].concat();
    let frame = riff_chunk(b"ANMF", &[header, vp8l(width, height)].concat());
    let mut chunks = vec![vp8x(2, width, height), riff_chunk(b"ANIM", &[0; 6])];
    chunks.resize(frames + 2, frame);
    riff(&chunks)
}

pub(crate) fn tiff(pages: &[(u32, u32)]) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let mut encoder = tiff::encoder::TiffEncoder::new(&mut file).unwrap();
    for &(width, height) in pages {
        encoder
            .write_image::<tiff::encoder::colortype::RGB8>(width, height, &page(width, height))
            .unwrap();
    }
    file.into_inner()
}

/// A grey TIFF of one strip whose directory leads back to itself.
pub(crate) fn cyclic_tiff() -> Vec<u8> {
    let mut file = b"II*\0\x08\0\0\0\x08\0".to_vec();
    let fields = [
        (256, 2),
        (257, 2),
        (258, 8),
        (259, 1),
        (262, 1),
        (273, 0),
        (278, 2),
        (279, 4),
    ];
    for (tag, value) in fields {
        file.extend(u16::to_le_bytes(tag));
        file.extend([3, 0, 1, 0, 0, 0]);
        file.extend(u32::to_le_bytes(value));
    }
    file.extend([8, 0, 0, 0]);
    file
}

/// A grey TIFF whose field of the compression has 589,825 values instead of one.
pub(crate) fn crowded_tiff() -> Vec<u8> {
    let mut file = cyclic_tiff();
    let end = file.len() - 4;
    file[end..].fill(0);
    file[50..54].copy_from_slice(&589_825_u32.to_le_bytes());
    // The first of them is the number 1 in the count of another field.
    file[54..58].copy_from_slice(&26_u32.to_le_bytes());
    file
}
