//! A page that is printed and written on.

use std::convert::Infallible;

use embedded_graphics::Drawable;
use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Point, Size};
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use embedded_graphics::text::{Baseline, Text};
use imaging::Image;

/// Characters as pixels, all of one width.
pub(super) type Font = &'static MonoFont<'static>;

/// Red, green, blue.
pub(super) type Colour = [u8; 3];

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    /// Its first column.
    pub(super) left: i32,
    /// Its first row.
    pub(super) top: i32,
    /// Its columns.
    pub(super) width: i32,
    /// Its rows.
    pub(super) height: i32,
}

impl Cell {
    /// Its pixels, row by row.
    pub(super) fn places(self) -> impl Iterator<Item = (i32, i32)> {
        let columns = self.left..self.left + self.width;
        (self.top..self.top + self.height).flat_map(move |y| columns.clone().map(move |x| (x, y)))
    }

    /// The same with a margin of so many pixels.
    pub(super) fn wider(self, margin: i32) -> Self {
        Self {
            left: self.left - margin,
            top: self.top - margin,
            width: self.width + 2 * margin,
            height: self.height + 2 * margin,
        }
    }

    /// Whether a pixel lies in it.
    pub(super) fn holds(self, (x, y): (i32, i32)) -> bool {
        (self.left..self.left + self.width).contains(&x) && (self.top..self.top + self.height).contains(&y)
    }
}

/// Text at a place.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// The text, of ASCII characters alone.
    pub(super) text: String,
    /// Its first column.
    pub(super) left: i32,
    /// Its first row.
    pub(super) top: i32,
    /// Its characters.
    pub(super) font: Font,
}

impl Run {
    /// Where the character at a place stands, or would stand: before the text too, and behind it.
    pub(super) fn cell(&self, place: i32) -> Cell {
        Cell {
            left: self.left + place * advance(self.font),
            top: self.top,
            width: advance(self.font),
            height: height(self.font),
        }
    }
}

/// Columns that a character takes.
pub(super) fn advance(font: Font) -> i32 {
    (font.character_size.width + font.character_spacing).cast_signed()
}

/// Rows that a character takes.
pub(super) fn height(font: Font) -> i32 {
    font.character_size.height.cast_signed()
}

/// Columns that a text takes.
pub(super) fn width(font: Font, text: &str) -> i32 {
    advance(font) * i32::try_from(text.len()).unwrap_or(i32::MAX / 64)
}

/// A page, and what is printed on it.
#[derive(Clone, Debug)]
pub(super) struct Page {
    width: i32,
    pixels: Vec<Colour>,
    runs: Vec<Run>,
}

impl Page {
    /// An empty page.
    pub(super) fn new(width: i32, height: i32, paper: Colour) -> Self {
        let pixels = usize::try_from(width * height).unwrap_or(0);
        Self {
            width,
            pixels: vec![paper; pixels],
            runs: Vec::new(),
        }
    }

    /// An image to draw on.
    pub(super) fn of(image: &Image) -> Self {
        Self {
            width: image.width().cast_signed(),
            pixels: image.rgb().to_vec(),
            runs: Vec::new(),
        }
    }

    /// Its pixels as an image.
    pub(super) fn image(&self) -> Image {
        let [width, height] = [self.width, self.height()].map(i32::cast_unsigned);
        Image::new(width, height, self.pixels.as_flattened().to_vec())
    }

    /// Its columns.
    pub(super) const fn width(&self) -> i32 {
        self.width
    }

    /// Its rows.
    pub(super) fn height(&self) -> i32 {
        i32::try_from(self.pixels.len()).unwrap_or(i32::MAX) / self.width
    }

    /// All text that was printed.
    pub(super) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Cuts off all below a row.
    pub(super) fn cut(&mut self, height: i32) {
        let kept = usize::try_from(height * self.width).unwrap_or(0);
        self.pixels.truncate(kept);
    }

    /// The colour of a pixel; none outside.
    pub(super) fn at(&self, place: (i32, i32)) -> Option<Colour> {
        self.index(place).map(|index| self.pixels[index])
    }

    /// Colours a pixel; nothing happens outside.
    pub(super) fn set(&mut self, place: (i32, i32), colour: Colour) {
        if let Some(index) = self.index(place) {
            self.pixels[index] = colour;
        }
    }

    /// Makes ink cover a part of a pixel, 0 to 255 of 255.
    pub(super) fn ink(&mut self, place: (i32, i32), ink: Colour, cover: u8) {
        if let Some(under) = self.at(place) {
            let mixed = std::array::from_fn(|c| {
                let (ink, under, cover) = (u16::from(ink[c]), u16::from(under[c]), u16::from(cover));
                u8::try_from((ink * cover + under * (255 - cover) + 127) / 255).unwrap_or(u8::MAX)
            });
            self.set(place, mixed);
        }
    }

    /// Colours a rectangle.
    pub(super) fn fill(&mut self, cell: Cell, colour: Colour) {
        for place in cell.places() {
            self.set(place, colour);
        }
    }

    /// Prints a text, and returns where it stands.
    pub(super) fn print(&mut self, font: Font, ink: Colour, (left, top): (i32, i32), text: &str) -> Run {
        let style = MonoTextStyle::new(font, Rgb888::new(ink[0], ink[1], ink[2]));
        let Ok(_) = Text::with_baseline(text, Point::new(left, top), style, Baseline::Top).draw(self);
        let run = Run {
            text: text.to_owned(),
            left,
            top,
            font,
        };
        self.runs.push(run.clone());
        run
    }

    fn index(&self, (x, y): (i32, i32)) -> Option<usize> {
        let inside = (0..self.width).contains(&x) && y >= 0;
        let index = usize::try_from(y * self.width + x).ok()?;
        (inside && index < self.pixels.len()).then_some(index)
    }
}

impl OriginDimensions for Page {
    fn size(&self) -> Size {
        Size::new(self.width.cast_unsigned(), self.height().cast_unsigned())
    }
}

impl DrawTarget for Page {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(Point { x, y }, colour) in pixels {
            self.set((x, y), [colour.r(), colour.g(), colour.b()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_graphics::mono_font::ascii::FONT_6X10;

    #[test]
    fn what_is_printed_stands_in_its_cells_alone() {
        let mut page = Page::new(40, 20, [255; 3]);
        let run = page.print(&FONT_6X10, [0; 3], (8, 4), "18");
        let inked = |cell: Cell| cell.places().filter(|&p| page.at(p) == Some([0; 3])).count();
        let [one, eight] = [0, 1].map(|place| inked(run.cell(place)));
        let whole = Cell {
            left: 0,
            top: 0,
            width: 40,
            height: 20,
        };
        assert!(one > 5 && eight > one, "{one} and {eight}");
        assert_eq!(inked(whole), one + eight);
    }

    #[test]
    fn nothing_is_drawn_outside() {
        let mut page = Page::new(10, 10, [9; 3]);
        page.print(&FONT_6X10, [0; 3], (-30, -3), "far away");
        page.ink((10, 0), [0; 3], 255);
        page.set((0, 10), [0; 3]);
        assert_eq!((page.width(), page.height()), (10, 10));
        assert_eq!(page.at((0, 9)), Some([9; 3]));
        assert_eq!(page.at((-1, 2)), None);
    }
}
