//! What a camera or a scanner makes of a page.

use imaging::{Image, Recipe, Step};

use super::page::{Cell, Page};
use super::{byte, pixel};
use crate::simulate::random::Dice;

/// Share of the pages that lie crooked.
const CROOKED: f64 = 0.3;
/// By how many degrees they do at most.
const MAX_DEGREES: f64 = 1.8;
/// Standard deviation of a sensor's noise in levels: from, to.
const NOISE: (f64, f64) = (4.0, 7.0);
/// Share of the light that is missing at the darkest edge, at most.
const SHADE: f64 = 0.2;
/// Share of the pages that were folded, and by how much of the light one side of the fold is darker at most.
const FOLDED: f64 = 0.5;
const MAX_FOLD: f64 = 0.09;
/// Quality of the JPEG that the camera writes: from, to.
const CAMERA_QUALITY: (usize, usize) = (82, 95);

/// A page as it was scanned.
#[derive(Clone, Debug)]
pub(super) struct Scan {
    /// Its pixels, of the page's size.
    pub(super) image: Image,
    /// By how much it was turned counterclockwise.
    degrees: f64,
}

/// Scans a page: a lens, a crooked hand, uneven light, a noisy sensor, a JPEG.
pub(super) fn scan(dice: &mut Dice, page: &Page) -> Scan {
    let degrees = if dice.chance(CROOKED) {
        dice.between(-MAX_DEGREES, MAX_DEGREES)
    } else {
        0.0
    };
    let mut steps = vec![Step::Blur { passes: 1 }];
    if degrees != 0.0 {
        steps.push(Step::Rotate { degrees });
    }
    let seen = Recipe { steps }.apply(&page.image());
    let developed = Recipe {
        steps: vec![
            Step::Noise {
                deviation: dice.between(NOISE.0, NOISE.1),
                seed: dice.word(),
            },
            Step::Jpeg {
                quality: quality(dice, CAMERA_QUALITY),
            },
        ],
    };
    Scan {
        image: developed.apply(&lit(dice, &seen)),
        degrees,
    }
}

/// A quality within limits.
pub(super) fn quality(dice: &mut Dice, (low, high): (usize, usize)) -> u8 {
    u8::try_from(dice.count(low, high)).unwrap_or(u8::MAX).min(100)
}

/// The light that falls on a page, from 0 to 1, at places from 0 to 1 across and down.
struct Light {
    shade: f64,
    across: f64,
    down: f64,
    spot: (f64, f64),
    fold: Option<Fold>,
}

/// A page that was folded lies a little steeper on one side of the fold.
struct Fold {
    lying: bool,
    at: f64,
    darker: f64,
}

impl Light {
    fn new(dice: &mut Dice) -> Self {
        Self {
            shade: dice.between(0.0, SHADE),
            across: dice.between(-1.0, 1.0),
            down: dice.between(-1.0, 1.0),
            spot: (dice.unit(), dice.unit()),
            fold: dice.chance(FOLDED).then(|| Fold {
                lying: dice.chance(0.6),
                at: dice.between(0.2, 0.8),
                darker: dice.between(-MAX_FOLD, MAX_FOLD),
            }),
        }
    }

    fn at(&self, x: f64, y: f64) -> f64 {
        let slope = (self.across * (x - 0.5) + self.down * (y - 0.5)).abs().min(1.0);
        let (dx, dy) = (x - self.spot.0, y - self.spot.1);
        let far = (dx * dx + dy * dy).min(1.0);
        let light = 1.0 - self.shade * (0.6 * slope + 0.4 * far);
        match &self.fold {
            Some(fold) => light * fold.light(if fold.lying { y } else { x }),
            None => light,
        }
    }
}

impl Fold {
    /// Paper does not fold sharply: the light changes over a tenth of the page.
    fn light(&self, at: f64) -> f64 {
        let beyond = ((at - self.at) * 10.0 + 0.5).clamp(0.0, 1.0);
        1.0 - self.darker.abs() * if self.darker > 0.0 { beyond } else { 1.0 - beyond }
    }
}

/// The image in uneven light.
fn lit(dice: &mut Dice, image: &Image) -> Image {
    let light = Light::new(dice);
    let (width, height) = (f64::from(image.width()), f64::from(image.height()));
    let places = (0..image.height()).flat_map(|y| (0..image.width()).map(move |x| (x, y)));
    let pixels = image.rgb().iter().zip(places).flat_map(|(colour, (x, y))| {
        let light = light.at(f64::from(x) / width, f64::from(y) / height);
        colour.map(|level| byte(f64::from(level) * light))
    });
    Image::new(image.width(), image.height(), pixels.collect())
}

impl Scan {
    /// Where a rectangle of the page lies in the scan, upright, to the pixel.
    pub(super) fn place(&self, cell: Cell) -> Cell {
        let centre = |start: i32, length: i32| f64::from(start) + f64::from(length) / 2.0;
        let middle = [self.image.width(), self.image.height()].map(|side| f64::from(side) / 2.0);
        let (dx, dy) = (
            centre(cell.left, cell.width) - middle[0],
            centre(cell.top, cell.height) - middle[1],
        );
        let (sin, cos) = libm::sincos(self.degrees.to_radians());
        let (x, y) = (middle[0] + cos * dx + sin * dy, middle[1] + cos * dy - sin * dx);
        Cell {
            left: pixel(x - f64::from(cell.width) / 2.0),
            top: pixel(y - f64::from(cell.height) / 2.0),
            ..cell
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::random::Use;

    #[test]
    fn a_mark_is_found_where_it_is_said_to_lie() {
        let mut crooked = 0;
        for seed in 0..40 {
            let mut page = Page::new(120, 180, [245; 3]);
            let mark = Cell {
                left: 100,
                top: 160,
                width: 8,
                height: 8,
            };
            page.fill(mark, [20; 3]);
            let scan = scan(&mut Dice::new(seed, Use::Document, 0, 0), &page);
            crooked += usize::from(scan.degrees.abs() > 1.0);
            let found = Page::of(&scan.image);
            let dark = scan
                .place(mark)
                .wider(-2)
                .places()
                .all(|place| found.at(place).is_some_and(|c| c[0] < 110));
            assert!(dark, "turned by {} degrees", scan.degrees);
        }
        assert!(crooked > 0, "some lie crooked");
    }
}
