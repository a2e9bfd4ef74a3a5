//! Perceptual hashes: 64 bits that stay nearly the same when an image is saved again, scaled or brightened.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Image;
use crate::image::luma;

/// Side of the small grey image.
const SIDE: usize = 32;

/// Frequencies kept in each direction; the constant one is left out, so overall brightness does not count.
const FREQUENCIES: usize = 8;

/// `cos(n π / 64)` in units of 2⁻¹⁴, for n from 0 to 32.
///
/// # Source
/// `[round(math.cos(n * math.pi / 64) * 2**14) for n in range(33)]`
const COSINES: [i64; 33] = [
    16384, 16364, 16305, 16207, 16069, 15893, 15679, 15426, 15137, 14811, 14449, 14053, 13623, 13160, 12665,
    12140, 11585, 11003, 10394, 9760, 9102, 8423, 7723, 7005, 6270, 5520, 4756, 3981, 3196, 2404, 1606, 804,
    0,
];

/// A 64-bit perceptual hash.
///
/// Images that look alike differ in few bits; of unrelated images about 32 bits differ. Half of the bits lie above the
/// median, so distances are even unless coefficients are equal. All images of one colour have the hash 0.
///
/// Everything is computed in integers, so the same pixels have the same hash on every machine.
///
/// # Source
/// C. Zauner, "Implementation and benchmarking of perceptual image hash functions" (2010), section 3.2.1: the discrete
/// cosine transform of a 32 × 32 grey image, its 8 × 8 lowest frequencies without the constant row and column, each
/// compared with their median. The image is reduced by averaging areas instead of a 7 × 7 mean filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PerceptualHash(pub u64);

impl PerceptualHash {
    /// The hash of an image. Bit 63 is the lowest frequency in both directions; bits go row by row.
    #[must_use]
    pub fn of(image: &Image) -> Self {
        let coefficients = transform(&shrink(image));
        let mut sorted = coefficients;
        sorted.sort_unstable();
        let median = sorted[31].midpoint(sorted[32]);
        let bits = coefficients
            .iter()
            .fold(0, |bits, &c| bits << 1 | u64::from(c > median));
        Self(bits)
    }

    /// How many bits differ, 0 to 64.
    #[must_use]
    pub fn distance(self, other: Self) -> u32 {
        (self.0 ^ other.0).count_ones()
    }
}

impl fmt::Display for PerceptualHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The average brightness of each of 32 × 32 equal areas, in units of 2⁻⁸.
///
/// # Exactness
/// A pixel counts in an area by the part of it that lies there. In units of a 32nd of a pixel these parts are whole
/// numbers, so the sums are exact: at most 32² × 255 × pixels, below 2⁶⁴ for any image that fits in memory.
fn shrink(image: &Image) -> [[i64; SIDE]; SIDE] {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let mut sums = [[0_u64; SIDE]; SIDE];
    for (y, row) in image.rgb().chunks_exact(width).enumerate() {
        let mut sum = [0_u64; SIDE];
        for (x, &pixel) in row.iter().enumerate() {
            let light = u64::from(luma(pixel));
            overlaps(x, width, |cell, part| sum[cell] += light * part);
        }
        overlaps(y, height, |cell, part| {
            sums[cell]
                .iter_mut()
                .zip(sum)
                .for_each(|(total, sum)| *total += sum * part);
        });
    }
    let area = width as u64 * height as u64;
    sums.map(|row| row.map(|sum| (sum * 256 / area).cast_signed()))
}

/// The areas that a pixel lies in, each with the part of it there, in 32nds.
fn overlaps(position: usize, length: usize, mut each: impl FnMut(usize, u64)) {
    let (start, end) = (position * SIDE, (position + 1) * SIDE);
    for cell in start / length..=(end - 1) / length {
        let part = end.min((cell + 1) * length) - start.max(cell * length);
        each(cell, part as u64);
    }
}

/// The 8 × 8 lowest frequencies, row by row, not normalised: only their order counts.
fn transform(light: &[[i64; SIDE]; SIDE]) -> [i64; FREQUENCIES * FREQUENCIES] {
    let rows = light.map(|row| std::array::from_fn(|f| project(&row, f + 1)));
    std::array::from_fn(|i| {
        let column: [i64; SIDE] = std::array::from_fn(|y| {
            let row: [i64; FREQUENCIES] = rows[y];
            row[i % FREQUENCIES]
        });
        project(&column, i / FREQUENCIES + 1)
    })
}

/// `Σ value(x) cos((2x + 1) f π / 64)`
fn project(values: &[i64; SIDE], frequency: usize) -> i64 {
    let terms = values
        .iter()
        .enumerate()
        .map(|(x, value)| value * cosine((2 * x + 1) * frequency));
    terms.sum()
}

fn cosine(angle: usize) -> i64 {
    match angle % 128 {
        n @ 0..=32 => COSINES[n],
        n @ 33..=64 => -COSINES[64 - n],
        n @ 65..=96 => -COSINES[n - 64],
        n => COSINES[128 - n],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::imageops::{FilterType, resize};
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Soft blots on paper, a picture of its own for each seed.
    fn picture(seed: u64) -> Image {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let blots: Vec<[f64; 4]> = (0..12).map(|_| random.random()).collect();
        let light = |x: u32, y: u32| {
            let blot = |&[left, top, size, depth]: &[f64; 4]| {
                let (dx, dy) = (f64::from(x) / 160.0 - left, f64::from(y) / 120.0 - top);
                depth * 90.0 * libm::exp(-(dx * dx + dy * dy) / (0.01 + size * 0.03))
            };
            (200.0 - blots.iter().map(blot).sum::<f64>()).max(20.0) as u8
        };
        let pixels = (0..120).flat_map(|y| (0..160).map(move |x| (x, y)));
        Image::new(160, 120, pixels.flat_map(|(x, y)| [light(x, y); 3]).collect())
    }

    fn distance(first: &Image, second: &Image) -> u32 {
        PerceptualHash::of(first).distance(PerceptualHash::of(second))
    }

    fn saved_again(image: &Image, quality: u8) -> Image {
        let mut file = Vec::new();
        let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut file, quality);
        encoder.encode_image(&image.clone().into_buffer()).unwrap();
        crate::admit(&file, &crate::Limits::default())
            .unwrap()
            .frames
            .remove(0)
    }

    fn brightened(image: &Image, add: i16) -> Image {
        let pixels = image
            .pixels()
            .iter()
            .map(|&p| (i16::from(p) + add).clamp(0, 255) as u8);
        Image::new(image.width(), image.height(), pixels.collect())
    }

    #[test]
    fn hashes_never_change() {
        let found: Vec<String> = (0..3)
            .map(|seed| PerceptualHash::of(&picture(seed)).to_string())
            .collect();
        assert_eq!(
            found,
            ["4aa2922d4d6a337f", "036e957ae0bcce91", "4f5aa5a4c228d72f"],
            "hashes are stored: they are part of the contract"
        );
    }

    #[test]
    fn images_of_one_colour_have_no_bit() {
        for side in [1, 31, 32, 33, 500] {
            assert_eq!(
                PerceptualHash::of(&Image::filled(side, 3, [7, 200, 9])),
                PerceptualHash(0)
            );
        }
    }

    #[test]
    fn cosines_are_those_of_the_definition() {
        for angle in 0..300 {
            let exact = libm::cos(angle as f64 * std::f64::consts::PI / 64.0) * 16384.0;
            assert!((cosine(angle) as f64 - exact).abs() <= 0.5, "{angle}");
        }
    }

    #[test]
    fn areas_are_exact() {
        let shrunk = shrink(&Image::filled(37, 53, [100; 3]));
        assert!(shrunk.iter().flatten().all(|&light| light == 100 * 256));
    }

    #[test]
    fn a_picture_saved_again_is_mostly_within_three_bits() {
        let near = |seed: &u64| distance(&picture(*seed), &saved_again(&picture(*seed), 75)) <= 3;
        assert!((0..100).filter(near).count() >= 90);
    }

    #[test]
    fn unrelated_pictures_differ_in_many_bits() {
        let pictures: Vec<_> = (0..40).map(picture).collect();
        let pairs = pictures
            .iter()
            .enumerate()
            .flat_map(|(i, a)| pictures[..i].iter().map(move |b| (a, b)));
        let distances: Vec<u32> = pairs.map(|(a, b)| distance(a, b)).collect();
        assert!(distances.iter().all(|&d| d > 6), "{:?}", distances.iter().min());
        let mean = f64::from(distances.iter().sum::<u32>()) / distances.len() as f64;
        assert!((mean - 32.0).abs() < 3.0, "{mean}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn saving_scaling_and_brightness_change_few_bits(
            seed: u64, quality in 50_u8..=95, scale in 0.5_f64..2.0, add in -15_i16..15,
        ) {
            let image = picture(seed);
            prop_assert!(distance(&image, &saved_again(&image, quality)) <= 8);
            prop_assert!(distance(&image, &brightened(&image, add)) <= 8);
            let (width, height) = ((160.0 * scale) as u32, (120.0 * scale) as u32);
            let scaled = resize(&image.clone().into_buffer(), width, height, FilterType::Triangle).into();
            prop_assert!(distance(&image, &scaled) <= 8);
        }

        #[test]
        fn distance_is_a_metric(a: u64, b: u64, c: u64) {
            let [a, b, c] = [a, b, c].map(PerceptualHash);
            prop_assert_eq!(a.distance(a), 0);
            prop_assert_eq!(a.distance(b), b.distance(a));
            prop_assert!(a.distance(c) <= a.distance(b) + b.distance(c));
        }
    }
}
