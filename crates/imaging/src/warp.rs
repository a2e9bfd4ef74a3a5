//! Looking at an image through a projection.

use crate::Image;

/// Where in the source the pixels of the result come from: a projective map of the plane.
///
/// # Shape
/// The rows of a 3 × 3 matrix. Coordinates are pixels; the centre of the first pixel is (0.5, 0.5).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Projection([[f64; 3]; 3]);

impl Projection {
    /// The map that turns the content counterclockwise, about the centre of the source, which becomes that of the
    /// result.
    pub(crate) fn rotation(degrees: f64, source: &Image, width: u32, height: u32) -> Self {
        let (sin, cos) = libm::sincos(degrees.to_radians());
        let centre = |width: u32, height: u32| (f64::from(width) / 2.0, f64::from(height) / 2.0);
        let (from, to) = (centre(source.width(), source.height()), centre(width, height));
        Self([
            [cos, -sin, from.0 - cos * to.0 + sin * to.1],
            [sin, cos, from.1 - sin * to.0 - cos * to.1],
            [0.0, 0.0, 1.0],
        ])
    }

    /// The map that takes the corners of a result to corners of the source: upper left, upper right, lower right,
    /// lower left.
    ///
    /// # Source
    /// P. Heckbert, "Fundamentals of texture mapping and image warping" (1989), section 2.2.3.
    pub(crate) fn of_corners(corners: [[f64; 2]; 4], width: u32, height: u32) -> Self {
        let [[x0, y0], [x1, y1], [x2, y2], [x3, y3]] = corners;
        let (dx1, dx2, sx) = (x1 - x2, x3 - x2, x0 - x1 + x2 - x3);
        let (dy1, dy2, sy) = (y1 - y2, y3 - y2, y0 - y1 + y2 - y3);
        let determinant = dx1 * dy2 - dx2 * dy1;
        let g = (sx * dy2 - dx2 * sy) / determinant;
        let h = (dx1 * sy - sx * dy1) / determinant;
        // From the unit square, scaled from the pixels of the result.
        let (w, v) = (f64::from(width), f64::from(height));
        Self([
            [(x1 - x0 + g * x1) / w, (x3 - x0 + h * x3) / v, x0],
            [(y1 - y0 + g * y1) / w, (y3 - y0 + h * y3) / v, y0],
            [g / w, h / v, 1.0],
        ])
    }

    fn source_of(&self, x: u32, y: u32) -> (f64, f64) {
        let (x, y) = (f64::from(x) + 0.5, f64::from(y) + 0.5);
        let row = |[a, b, c]: [f64; 3]| a * x + b * y + c;
        let [u, v, w] = self.0.map(row);
        (u / w - 0.5, v / w - 0.5)
    }
}

/// The image through a projection, interpolated linearly; outside it everything has the colour given.
pub(crate) fn warp(
    image: &Image,
    projection: &Projection,
    width: u32,
    height: u32,
    outside: [u8; 3],
) -> Image {
    let mut result = Image::filled(width, height, outside);
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    for (pixel, (x, y)) in result.rgb_mut().iter_mut().zip(places) {
        *pixel = sample(image, projection.source_of(x, y), outside);
    }
    result
}

fn sample(image: &Image, (x, y): (f64, f64), outside: [u8; 3]) -> [u8; 3] {
    let (left, top) = (x.floor(), y.floor());
    let (right_part, lower_part) = (x - left, y - top);
    let at = |dx: f64, dy: f64| {
        let (x, y) = (left + dx, top + dy);
        let inside = x >= 0.0 && y >= 0.0 && x < f64::from(image.width()) && y < f64::from(image.height());
        // A float in the range of the sides is cut off to a whole number on purpose.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        if inside {
            image.rgb()[image.index(x as u32, y as u32)]
        } else {
            outside
        }
    };
    let corners = [at(0.0, 0.0), at(1.0, 0.0), at(0.0, 1.0), at(1.0, 1.0)];
    std::array::from_fn(|channel| {
        let [a, b, c, d] = corners.map(|corner| f64::from(corner[channel]));
        let upper = a + (b - a) * right_part;
        let lower = c + (d - c) * right_part;
        to_byte(upper + (lower - upper) * lower_part)
    })
}

/// The nearest byte.
pub(crate) fn to_byte(value: f64) -> u8 {
    // In range, and rounded before.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let byte = value.clamp(0.0, 255.0).round() as u8;
    byte
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradient() -> Image {
        let pixels =
            (0..40_u32).flat_map(|y| (0..60_u32).flat_map(move |x| [(x * 4) as u8, (y * 6) as u8, 9]));
        Image::new(60, 40, pixels.collect())
    }

    #[test]
    fn nothing_changes_without_a_turn() {
        let image = gradient();
        let still = Projection::rotation(0.0, &image, 60, 40);
        assert_eq!(warp(&image, &still, 60, 40, [0; 3]), image);
        let corners = [[0.0, 0.0], [60.0, 0.0], [60.0, 40.0], [0.0, 40.0]];
        assert_eq!(
            warp(&image, &Projection::of_corners(corners, 60, 40), 60, 40, [0; 3]),
            image
        );
    }

    #[test]
    fn a_quarter_turn_is_counterclockwise() {
        let image = gradient();
        let turned = warp(
            &image,
            &Projection::rotation(90.0, &image, 40, 60),
            40,
            60,
            [0; 3],
        );
        assert_eq!(turned.rgb()[turned.index(0, 59)], image.rgb()[0]);
        assert_eq!(turned.rgb()[0], image.rgb()[59]);
    }

    #[test]
    fn corners_come_from_where_they_are_said_to() {
        let corners = [[10.0, 5.0], [50.0, 0.0], [60.0, 40.0], [0.0, 30.0]];
        let projection = Projection::of_corners(corners, 20, 10);
        for ((x, y), expected) in [(0.0, 0.0), (20.0, 0.0), (20.0, 10.0), (0.0, 10.0)]
            .into_iter()
            .zip(corners)
        {
            let [u, v, w] = projection.0.map(|[a, b, c]| a * x + b * y + c);
            assert!((u / w - expected[0]).abs() < 1e-9 && (v / w - expected[1]).abs() < 1e-9);
        }
    }
}
