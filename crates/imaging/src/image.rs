//! Pixels.

use std::fmt;

use image::RgbImage;

/// An image: RGB, 8 bits a sample, without alpha.
///
/// # Shape
/// `height × width × 3` bytes, row by row, in each row pixel by pixel, in each pixel red, green, blue.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

impl Image {
    /// An image of these pixels.
    ///
    /// # Panics
    /// If a side is zero, or there are not `height × width × 3` bytes.
    #[must_use]
    pub fn new(width: u32, height: u32, pixels: Vec<u8>) -> Self {
        assert!(width > 0 && height > 0, "an image of {width} × {height} pixels");
        assert_eq!(
            pixels.len(),
            width as usize * height as usize * 3,
            "bytes of the pixels"
        );
        Self {
            width,
            height,
            pixels,
        }
    }

    /// An image of one colour.
    ///
    /// # Panics
    /// If a side is zero.
    #[must_use]
    pub fn filled(width: u32, height: u32, colour: [u8; 3]) -> Self {
        Self::new(width, height, colour.repeat(width as usize * height as usize))
    }

    /// Pixels in a row.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The bytes, in the order of the type's shape.
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The bytes, without copying.
    #[must_use]
    pub fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }

    /// The pixels one by one, row by row.
    #[must_use]
    pub fn rgb(&self) -> &[[u8; 3]] {
        self.pixels.as_chunks().0
    }

    pub(crate) fn rgb_mut(&mut self) -> &mut [[u8; 3]] {
        self.pixels.as_chunks_mut().0
    }

    /// The place of a pixel in [`rgb`](Self::rgb).
    pub(crate) fn index(&self, x: u32, y: u32) -> usize {
        y as usize * self.width as usize + x as usize
    }

    /// A part of the image, which must lie within it.
    pub(crate) fn crop(&self, left: u32, top: u32, width: u32, height: u32) -> Self {
        let rows = (top..top + height).map(|y| self.index(left, y));
        let pixels = rows.flat_map(|start| self.rgb()[start..start + width as usize].as_flattened());
        Self::new(width, height, pixels.copied().collect())
    }

    pub(crate) fn into_buffer(self) -> RgbImage {
        RgbImage::from_raw(self.width, self.height, self.pixels).expect("checked when it was made")
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Image({} × {})", self.width, self.height)
    }
}

impl From<RgbImage> for Image {
    fn from(buffer: RgbImage) -> Self {
        let (width, height) = buffer.dimensions();
        Self::new(width, height, buffer.into_raw())
    }
}

/// The brightness of a pixel, 0 to 255, in integers so that every machine agrees.
///
/// # Source
/// ITU-R BT.601, section 2.5.1.
pub(crate) fn luma([red, green, blue]: [u8; 3]) -> u8 {
    let sum = u32::from(red) * 299 + u32::from(green) * 587 + u32::from(blue) * 114;
    u8::try_from((sum + 500) / 1000).expect("an average of bytes is a byte")
}
