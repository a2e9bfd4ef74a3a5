//! Heat maps over images: where what was found lies.

use crate::Image;
use crate::image::luma;

/// Radius within which heat is averaged: single pixels are too small to be seen.
const RADIUS: usize = 2;
/// The share of pixels whose heat is shown at full strength.
const FULL_SHARE: f64 = 0.01;
/// What is left of the image under full heat.
const LEFT: f32 = 0.25;
/// The colours of what speaks for and against.
const FOR: [f32; 3] = [214.0, 30.0, 30.0];
const AGAINST: [f32; 3] = [30.0, 80.0, 214.0];

/// The image in grey with heat over it: red above 0, blue below, as strong as it is great.
///
/// # Shape
/// One value a pixel, row by row.
///
/// # Panics
/// If there is not one value a pixel.
#[must_use]
pub fn heat(image: &Image, values: &[f32]) -> Image {
    assert_eq!(values.len(), image.rgb().len(), "one value a pixel");
    let smooth = smoothed(values, image.width() as usize);
    let full = full(&smooth);
    let mut shown = image.clone();
    for (pixel, value) in shown.rgb_mut().iter_mut().zip(&smooth) {
        let grey = f32::from(luma(*pixel));
        let strength = (value.abs() / full).min(1.0) * (1.0 - LEFT);
        let colour = if *value > 0.0 { FOR } else { AGAINST };
        *pixel = colour.map(|channel| to_byte(grey * (1.0 - strength) + channel * strength));
    }
    shown
}

/// The mean around each value; beyond the edge there is nothing.
fn smoothed(values: &[f32], width: usize) -> Vec<f32> {
    let height = values.len() / width;
    let mean = |(row, column): (usize, usize)| {
        let rows = row.saturating_sub(RADIUS)..(row + RADIUS + 1).min(height);
        let columns = column.saturating_sub(RADIUS)..(column + RADIUS + 1).min(width);
        let count = rows.len() * columns.len();
        let around = rows.flat_map(|row| columns.clone().map(move |column| values[row * width + column]));
        around.sum::<f32>() / count as f32
    };
    (0..height)
        .flat_map(|row| (0..width).map(move |column| (row, column)))
        .map(mean)
        .collect()
}

/// The heat that is shown at full strength; above 0 also where all is cold.
fn full(values: &[f32]) -> f32 {
    let mut sizes: Vec<f32> = values.iter().map(|value| value.abs()).collect();
    sizes.sort_unstable_by(f32::total_cmp);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let at = (sizes.len() as f64 * (1.0 - FULL_SHARE)) as usize;
    sizes
        .get(at.min(sizes.len().saturating_sub(1)))
        .copied()
        .unwrap_or(0.0)
        .max(f32::MIN_POSITIVE)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn to_byte(value: f32) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_speaks_for_is_red_and_what_speaks_against_is_blue() {
        let image = Image::filled(40, 20, [200; 3]);
        let mut values = vec![0.0; 800];
        values[10 * 40 + 8] = 5.0;
        values[10 * 40 + 30] = -5.0;
        let shown = heat(&image, &values);
        let at = |x, y| shown.rgb()[shown.index(x, y)];
        let ([red, _, blue], [_, _, other_blue]) = (at(8, 10), at(30, 10));
        assert!(red > 150 && blue < 100 && other_blue > 150);
        assert_eq!(at(20, 2), [200; 3], "where it is cold the image is as it was");
    }

    #[test]
    fn a_cold_image_is_only_grey() {
        let image = Image::filled(4, 4, [200, 100, 0]);
        let shown = heat(&image, &[0.0; 16]);
        assert!(shown.rgb().iter().all(|[r, g, b]| r == g && g == b));
    }
}
