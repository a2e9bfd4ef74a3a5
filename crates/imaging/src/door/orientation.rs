//! How a camera was held, and turning pixels upright in place.

use super::ifd::{ORIENTATION, Tiff};
use crate::Image;

/// What has to be done to the stored pixels to see them upright: first exchange rows and columns, then mirror.
///
/// # Source
/// TIFF 6.0, field 274; EXIF 2.32, table 6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Orientation {
    pub(super) transpose: bool,
    pub(super) mirror_columns: bool,
    pub(super) mirror_rows: bool,
}

impl Orientation {
    /// The orientation of a field's value; values that do not exist are upright.
    pub(super) fn from_field(value: u32) -> Self {
        let (transpose, mirror_columns, mirror_rows) = match value {
            2 => (false, true, false),
            3 => (false, true, true),
            4 => (false, false, true),
            5 => (true, false, false),
            6 => (true, true, false),
            7 => (true, true, true),
            8 => (true, false, true),
            _ => (false, false, false),
        };
        Self {
            transpose,
            mirror_columns,
            mirror_rows,
        }
    }

    /// The orientation that EXIF data name; damaged EXIF data name none, as every viewer has it.
    pub(super) fn from_exif(bytes: &[u8]) -> Self {
        let bytes = bytes.strip_prefix(b"Exif\0\0").unwrap_or(bytes);
        let value = Tiff::open(bytes).and_then(|(tiff, first)| {
            let directory = tiff.directory(first)?;
            tiff.number(directory.find(ORIENTATION)?)
        });
        Self::from_field(value.unwrap_or(1))
    }

    pub(super) fn is_upright(self) -> bool {
        self == Self::default()
    }

    /// Turns an image upright; takes one bit of memory a pixel.
    pub(super) fn apply(self, image: Image) -> Image {
        let (mut width, mut height) = (image.width(), image.height());
        let mut pixels = image.into_pixels();
        let rgb = pixels.as_chunks_mut::<3>().0;
        if self.transpose {
            transpose(rgb, width as usize, height as usize);
            (width, height) = (height, width);
        }
        if self.mirror_columns {
            rgb.chunks_exact_mut(width as usize).for_each(<[_]>::reverse);
        }
        if self.mirror_rows {
            mirror_rows(rgb, width as usize);
        }
        Image::new(width, height, pixels)
    }
}

fn mirror_rows(rgb: &mut [[u8; 3]], width: usize) {
    let height = rgb.len() / width;
    let (upper, lower) = rgb.split_at_mut(height / 2 * width);
    for (above, below) in upper
        .chunks_exact_mut(width)
        .zip(lower.chunks_exact_mut(width).rev())
    {
        above.swap_with_slice(below);
    }
}

/// Exchanges rows and columns cycle by cycle: a second buffer would double the memory of the commonest photograph.
fn transpose(rgb: &mut [[u8; 3]], width: usize, height: usize) {
    let target = |index: usize| index % width * height + index / width;
    let mut moved = vec![0_u64; rgb.len().div_ceil(64)];
    for start in 0..rgb.len() {
        if moved[start / 64] >> (start % 64) & 1 == 1 {
            continue;
        }
        let (mut index, mut carried) = (start, rgb[start]);
        loop {
            index = target(index);
            std::mem::swap(&mut carried, &mut rgb[index]);
            moved[index / 64] |= 1 << (index % 64);
            if index == start {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pixel(image: &Image, x: u32, y: u32) -> u8 {
        image.pixels()[((y * image.width() + x) * 3) as usize]
    }

    proptest! {
        #[test]
        fn every_orientation_is_turned_upright(width in 1_u32..9, height in 1_u32..9, value in 1_u32..9) {
            let pixels = (0..width * height).flat_map(|i| [i as u8; 3]).collect();
            let image = Image::new(width, height, pixels);
            let upright = Orientation::from_field(value).apply(image.clone());
            for y in 0..height {
                for x in 0..width {
                    // Where EXIF puts the first row and the first column.
                    let (right, bottom) = (width - 1 - x, height - 1 - y);
                    let (to_x, to_y) = match value {
                        1 => (x, y),
                        2 => (right, y),
                        3 => (right, bottom),
                        4 => (x, bottom),
                        5 => (y, x),
                        6 => (bottom, x),
                        7 => (bottom, right),
                        _ => (y, right),
                    };
                    prop_assert_eq!(pixel(&upright, to_x, to_y), pixel(&image, x, y));
                }
            }
        }
    }

    #[test]
    fn damaged_exif_is_upright() {
        for bytes in [
            &b""[..],
            b"Exif\0\0",
            b"II*\0\x08\0\0\0",
            b"MM\0*\xff\xff\xff\xff",
        ] {
            assert!(Orientation::from_exif(bytes).is_upright());
        }
    }
}
