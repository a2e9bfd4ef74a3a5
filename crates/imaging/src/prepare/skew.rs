//! By how much the lines of a document are turned.

use super::{ink, reduce};
use crate::Image;

/// Longest side of the image the skew is estimated on, in pixels.
const LONGEST: u32 = 600;

/// Largest skew looked for, in degrees; documents turned further are not crooked but upside down or on their side.
const LARGEST_DEGREES: i32 = 10;

/// Smallest skew worth another interpolation, in degrees.
const SMALLEST_DEGREES: f64 = 0.4;

/// The least height and width of an image whose lines are looked for, in pixels: in a smaller one, a cut-out with a few
/// digits, say, no line is long enough to be told from the slant of letters, and turning would only blur.
const LEAST_SIDE: u32 = 96;

/// How much sharper the lines must become.
const GAIN: f64 = 1.15;

/// By how many degrees the lines of a document rise to the right; nothing if straightening would not help.
///
/// The angle is the one whose projection of the ink along the lines changes most from line to line.
///
/// # Source
/// W. Postl, "Detection of linear oblique structures and skew scan in digitized documents" (1986): the sum of squared
/// differences of the projection profile. First in steps of a degree, then of a tenth.
#[must_use]
pub fn skew_degrees(image: &Image) -> Option<f64> {
    if image.width().min(image.height()) < LEAST_SIDE {
        return None;
    }
    let small = reduce(image, LONGEST);
    let mask = ink::mask(&small)?;
    let width = small.width() as usize;
    let inked: Vec<(f64, f64)> = (mask.iter().enumerate())
        .filter(|(_, ink)| **ink)
        .map(|(index, _)| ((index % width) as f64, (index / width) as f64))
        .collect();
    let lines = f64::from(small.width() + small.height());
    let sharpness = |tenths: i32| sharpness(&inked, f64::from(tenths) / 10.0, lines);
    let sharpest = |steps: &mut dyn Iterator<Item = i32>| {
        let scored = steps.map(|tenths| (sharpness(tenths), tenths));
        scored.fold(
            (f64::MIN, 0),
            |best, next| if next.0 > best.0 { next } else { best },
        )
    };
    let (_, coarse) = sharpest(&mut (-LARGEST_DEGREES..=LARGEST_DEGREES).map(|degrees| degrees * 10));
    let (best, tenths) = sharpest(&mut (coarse - 9..=coarse + 9));
    let degrees = f64::from(tenths) / 10.0;
    (degrees.abs() >= SMALLEST_DEGREES && best > sharpness(0) * GAIN).then_some(degrees)
}

/// How much the ink along lines of an angle changes from line to line.
fn sharpness(inked: &[(f64, f64)], degrees: f64, lines: f64) -> f64 {
    let (sin, cos) = libm::sincos(degrees.to_radians());
    // Lines are counted from an offset that makes all of them positive.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let line = |(x, y): &(f64, f64)| (y * cos + x * sin + lines).round() as usize;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let mut profile = vec![0_i64; 3 * lines as usize + 2];
    inked.iter().for_each(|place| profile[line(place)] += 1);
    let change: i64 = profile
        .windows(2)
        .map(|pair| (pair[1] - pair[0]) * (pair[1] - pair[0]))
        .sum();
    change as f64
}
