//! Augmentation: the same document as other cameras, scanners and hands would have given it.
//!
//! What happens to an image is drawn first, as a [`Recipe`] of numbers, and then done. So a training can be repeated
//! from its seeds, and any of its images can be made again from its source.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::door::lossy_copy;
use crate::prepare::{ground, resize};
use crate::warp::{Projection, to_byte, warp};
use crate::{DocumentKind, Image};

/// Best quality of a JPEG: above it next to nothing is lost.
const BEST_JPEG: u8 = 95;

/// How much may happen to an image. A step whose most is nothing does not happen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augmentation {
    /// Probability of each kind of step, 0 to 1.
    pub probability: f64,
    /// Largest rotation to either side, degrees.
    pub max_rotation_degrees: f64,
    /// Largest part of a side that is cut off at either end.
    pub max_crop: f64,
    /// Largest change of the size, as a part of it.
    pub max_scale: f64,
    /// Largest shift to either side, as a part of the side.
    pub max_shift: f64,
    /// Largest displacement of a corner, as a part of the side.
    pub max_perspective: f64,
    /// Largest change of brightness, levels of 255.
    pub max_brightness: f64,
    /// Largest change of contrast, as a part of it.
    pub max_contrast: f64,
    /// Most passes of the blur; each adds 1/2 to the variance, in pixels².
    pub max_blur_passes: u32,
    /// Largest standard deviation of the noise, levels of 255.
    pub max_noise: f64,
    /// Lowest quality of a JPEG, 1 to 95; above that images are not saved as JPEG.
    pub min_jpeg_quality: u8,
}

impl Default for Augmentation {
    fn default() -> Self {
        Self {
            probability: 0.5,
            max_rotation_degrees: 4.0,
            max_crop: 0.05,
            max_scale: 0.2,
            max_shift: 0.05,
            max_perspective: 0.04,
            max_brightness: 30.0,
            max_contrast: 0.25,
            max_blur_passes: 3,
            max_noise: 10.0,
            min_jpeg_quality: 40,
        }
    }
}

/// One thing done to an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Exchange left and right.
    Mirror,
    /// Keep a part, in pixels.
    Crop {
        /// First column kept.
        left: u32,
        /// First row kept.
        top: u32,
        /// Columns kept.
        width: u32,
        /// Rows kept.
        height: u32,
    },
    /// Change the size, in pixels.
    Scale {
        /// New width.
        width: u32,
        /// New height.
        height: u32,
    },
    /// Move by whole pixels, so that each stays what it is; where something comes in, the edge goes on as it was.
    Shift {
        /// Columns to the right.
        right: i32,
        /// Rows down.
        down: i32,
    },
    /// Turn about the centre.
    Rotate {
        /// Degrees counterclockwise.
        degrees: f64,
    },
    /// Look from elsewhere.
    Perspective {
        /// Where the corners come from, in pixels: upper left, upper right, lower right, lower left.
        corners: [[f64; 2]; 4],
    },
    /// Change the tone: contrast about the middle grey, then brightness.
    Tone {
        /// Levels added.
        brightness: f64,
        /// Factor of the contrast.
        contrast: f64,
    },
    /// Blur: in each pass a pixel becomes the binomial mean (1, 2, 1) / 4 of itself and its neighbours, both ways.
    Blur {
        /// Passes.
        passes: u32,
    },
    /// Add Gaussian noise, for each sample its own.
    Noise {
        /// Standard deviation in levels.
        deviation: f64,
        /// Seed of the noise.
        seed: u64,
    },
    /// Save as JPEG and read again.
    Jpeg {
        /// Quality, 1 to 100.
        quality: u8,
    },
}

/// All that is done to an image, in order. Applied to the same source, it gives the same pixels on every machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Recipe {
    /// The steps.
    pub steps: Vec<Step>,
}

/// Draws a recipe from a seed and applies it.
///
/// A document with text is never mirrored: mirrored text does not occur.
#[must_use]
pub fn augment(image: &Image, kind: DocumentKind, settings: &Augmentation, seed: u64) -> (Image, Recipe) {
    let recipe = Recipe::draw(image.width(), image.height(), kind, settings, seed);
    (recipe.apply(image), recipe)
}

impl Recipe {
    /// Draws what to do to an image of a size.
    #[must_use]
    pub fn draw(width: u32, height: u32, kind: DocumentKind, settings: &Augmentation, seed: u64) -> Self {
        let mut draw = Draw {
            random: ChaCha8Rng::seed_from_u64(seed),
            settings,
            width,
            height,
        };
        let mirror = (kind == DocumentKind::Other && draw.happens()).then_some(Step::Mirror);
        let geometry = [
            draw.crop(),
            draw.scale(),
            draw.shift(),
            draw.perspective(),
            draw.rotation(),
        ];
        let tone = [draw.tone(), draw.blur(), draw.noise(), draw.jpeg()];
        Self {
            steps: mirror
                .into_iter()
                .chain(geometry.into_iter().chain(tone).flatten())
                .collect(),
        }
    }

    /// Does what the recipe says.
    ///
    /// # Panics
    /// If a step does not fit the image: a crop outside it, a size of zero, a JPEG of more than 65,535 pixels a side.
    #[must_use]
    pub fn apply(&self, image: &Image) -> Image {
        self.steps
            .iter()
            .fold(image.clone(), |image, step| step.apply(&image))
    }
}

/// Drawing steps for an image whose size changes on the way.
struct Draw<'a> {
    random: ChaCha8Rng,
    settings: &'a Augmentation,
    width: u32,
    height: u32,
}

impl Draw<'_> {
    fn happens(&mut self) -> bool {
        self.random.random::<f64>() < self.settings.probability
    }

    /// Evenly from `-most` to `most`.
    fn within(&mut self, most: f64) -> f64 {
        (self.random.random::<f64>() * 2.0 - 1.0) * most
    }

    /// Evenly from 0 to `most`, `most` included.
    fn up_to(&mut self, most: u32) -> u32 {
        self.random.random_range(0..=most)
    }

    fn crop(&mut self) -> Option<Step> {
        let most = self.settings.max_crop;
        let (width, height) = (self.width, self.height);
        (most > 0.0 && self.happens()).then(|| {
            let [columns, rows] = [width, height].map(|side| part(side, most).min((side - 1) / 2));
            let (left, right) = (self.up_to(columns), self.up_to(columns));
            let (top, bottom) = (self.up_to(rows), self.up_to(rows));
            (self.width, self.height) = (width - left - right, height - top - bottom);
            Step::Crop {
                left,
                top,
                width: self.width,
                height: self.height,
            }
        })
    }

    fn scale(&mut self) -> Option<Step> {
        let most = self.settings.max_scale;
        (most > 0.0 && self.happens()).then(|| {
            let factor = 1.0 + self.within(most);
            (self.width, self.height) = (part(self.width, factor).max(1), part(self.height, factor).max(1));
            Step::Scale {
                width: self.width,
                height: self.height,
            }
        })
    }

    fn shift(&mut self) -> Option<Step> {
        let most = self.settings.max_shift;
        (most > 0.0 && self.happens()).then(|| {
            let [right, down] = [self.width, self.height].map(|side| {
                let most = part(side, most).min(side - 1);
                // At most twice an image's side, which is far from the end of the range.
                self.up_to(2 * most).cast_signed() - most.cast_signed()
            });
            Step::Shift { right, down }
        })
    }

    fn perspective(&mut self) -> Option<Step> {
        let most = self.settings.max_perspective;
        (most > 0.0 && self.happens()).then(|| {
            let (width, height) = (f64::from(self.width), f64::from(self.height));
            let corners = [[0.0, 0.0], [width, 0.0], [width, height], [0.0, height]];
            Step::Perspective {
                corners: corners
                    .map(|[x, y]| [x + self.within(most) * width, y + self.within(most) * height]),
            }
        })
    }

    fn rotation(&mut self) -> Option<Step> {
        let degrees = self.settings.max_rotation_degrees;
        (degrees > 0.0 && self.happens()).then(|| Step::Rotate {
            degrees: self.within(degrees),
        })
    }

    fn tone(&mut self) -> Option<Step> {
        let Augmentation {
            max_brightness,
            max_contrast,
            ..
        } = *self.settings;
        let something = max_brightness > 0.0 || max_contrast > 0.0;
        (something && self.happens()).then(|| Step::Tone {
            brightness: self.within(max_brightness),
            contrast: 1.0 + self.within(max_contrast),
        })
    }

    fn blur(&mut self) -> Option<Step> {
        let most = self.settings.max_blur_passes;
        (most > 0 && self.happens()).then(|| Step::Blur {
            passes: 1 + self.up_to(most - 1),
        })
    }

    fn noise(&mut self) -> Option<Step> {
        let most = self.settings.max_noise;
        (most > 0.0 && self.happens()).then(|| Step::Noise {
            deviation: self.within(most).abs(),
            seed: self.random.next_u64(),
        })
    }

    fn jpeg(&mut self) -> Option<Step> {
        let worst = self.settings.min_jpeg_quality.max(1);
        (worst <= BEST_JPEG && self.happens()).then(|| Step::Jpeg {
            quality: self.random.random_range(worst..=BEST_JPEG),
        })
    }
}

/// A part of a length, rounded.
fn part(length: u32, factor: f64) -> u32 {
    // Not negative, and images are far from the end of the range; beyond it the cast stops at its ends.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let part = (f64::from(length) * factor).round() as u32;
    part
}

impl Step {
    fn apply(&self, image: &Image) -> Image {
        let (width, height) = (image.width(), image.height());
        match *self {
            Self::Mirror => mirrored(image),
            Self::Crop {
                left,
                top,
                width,
                height,
            } => image.crop(left, top, width, height),
            Self::Scale { width, height } => resize(image, width, height),
            Self::Shift { right, down } => shifted(image, right, down),
            Self::Rotate { degrees } => {
                let projection = Projection::rotation(degrees, image, width, height);
                warp(image, &projection, width, height, ground(image))
            }
            Self::Perspective { corners } => {
                let projection = Projection::of_corners(corners, width, height);
                warp(image, &projection, width, height, ground(image))
            }
            Self::Tone { brightness, contrast } => mapped(image, |sample| {
                (f64::from(sample) - 127.5) * contrast + 127.5 + brightness
            }),
            Self::Blur { passes } => (0..passes).fold(image.clone(), |image, _| blurred(&image)),
            Self::Noise { deviation, seed } => {
                let mut random = ChaCha8Rng::seed_from_u64(seed);
                mapped(image, |sample| {
                    f64::from(sample) + deviation * gaussian(&mut random)
                })
            }
            Self::Jpeg { quality } => lossy_copy(image, quality),
        }
    }
}

fn mirrored(image: &Image) -> Image {
    let mut mirrored = image.clone();
    mirrored
        .rgb_mut()
        .chunks_exact_mut(image.width() as usize)
        .for_each(<[_]>::reverse);
    mirrored
}

fn shifted(image: &Image, right: i32, down: i32) -> Image {
    let from = |to: u32, by: i32, length: u32| {
        let from = (i64::from(to) - i64::from(by)).clamp(0, i64::from(length) - 1);
        u32::try_from(from).expect("within the image")
    };
    let (width, height) = (image.width(), image.height());
    let rows = (0..height).map(|y| from(y, down, height));
    let pixel = |(x, y): (u32, u32)| image.rgb()[image.index(from(x, right, width), y)];
    let pixels = rows.flat_map(|y| (0..width).map(move |x| (x, y))).flat_map(pixel);
    Image::new(width, height, pixels.collect())
}

fn mapped(image: &Image, mut sample: impl FnMut(u8) -> f64) -> Image {
    let pixels = image.pixels().iter().map(|&value| to_byte(sample(value)));
    Image::new(image.width(), image.height(), pixels.collect())
}

/// A standard normal number.
///
/// # Source
/// G. Box, M. Muller, "A note on the generation of random normal deviates" (1958).
fn gaussian(random: &mut impl Rng) -> f64 {
    // 1 - u is never zero.
    let radius = libm::sqrt(-2.0 * libm::log(1.0 - random.random::<f64>()));
    radius * libm::cos(std::f64::consts::TAU * random.random::<f64>())
}

fn blurred(image: &Image) -> Image {
    let (width, height) = (image.width(), image.height());
    let mut blurred = image.clone();
    for y in 0..height {
        for x in 0..width {
            let columns = [x.saturating_sub(1), x, (x + 1).min(width - 1)];
            let rows = [y.saturating_sub(1), y, (y + 1).min(height - 1)];
            let around = rows.map(|y| columns.map(|x| image.rgb()[image.index(x, y)]));
            let index = blurred.index(x, y);
            blurred.rgb_mut()[index] = std::array::from_fn(|channel| binomial(&around, channel));
        }
    }
    blurred
}

fn binomial(around: &[[[u8; 3]; 3]; 3], channel: usize) -> u8 {
    let weighted = |[a, b, c]: [u32; 3]| a + 2 * b + c;
    let row = |row: &[[u8; 3]; 3]| weighted(row.map(|pixel| u32::from(pixel[channel])));
    let sum = weighted([row(&around[0]), row(&around[1]), row(&around[2])]);
    u8::try_from((sum + 8) / 16).expect("an average of bytes is a byte")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn image(width: u32, height: u32) -> Image {
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let pixel = |(x, y): (u32, u32)| [(x * 5 % 256) as u8, (y * 7 % 256) as u8, ((x * y) % 256) as u8];
        Image::new(width, height, pixels.flat_map(pixel).collect())
    }

    /// Every step may happen, and none has anything to do.
    fn nothing() -> Augmentation {
        Augmentation {
            probability: 1.0,
            max_rotation_degrees: 0.0,
            max_crop: 0.0,
            max_scale: 0.0,
            max_shift: 0.0,
            max_perspective: 0.0,
            max_brightness: 0.0,
            max_contrast: 0.0,
            max_blur_passes: 0,
            max_noise: 0.0,
            min_jpeg_quality: 96,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn a_recipe_is_complete(seed: u64, width in 1_u32..80, height in 1_u32..80, kind in 0_usize..5) {
            let (source, kind) = (image(width, height), DocumentKind::ALL[kind]);
            let (augmented, recipe) = augment(&source, kind, &Augmentation::default(), seed);
            let written = serde_json::to_string(&recipe).unwrap();
            let read: Recipe = serde_json::from_str(&written).unwrap();
            prop_assert_eq!(read.apply(&source), augmented);
        }

        #[test]
        fn documents_with_text_are_never_mirrored(seed: u64, kind in 0_usize..4) {
            let recipe = Recipe::draw(60, 40, DocumentKind::ALL[kind], &Augmentation::default(), seed);
            prop_assert!(!recipe.steps.contains(&Step::Mirror));
        }
    }

    #[test]
    fn augmented_pixels_never_change() {
        let settings = Augmentation {
            probability: 1.0,
            max_shift: 0.0,
            ..Augmentation::default()
        };
        let (augmented, recipe) = augment(&image(64, 48), DocumentKind::Other, &settings, 7);
        assert_eq!(recipe.steps.len(), 9);
        let sum = crc32fast::hash(augmented.pixels());
        assert_eq!(
            sum, 1_612_531_329,
            "the pixels of a recipe are part of what a training says it was given"
        );
    }

    #[test]
    fn nothing_happens_at_probability_zero() {
        let settings = Augmentation {
            probability: 0.0,
            ..Augmentation::default()
        };
        let (augmented, recipe) = augment(&image(30, 20), DocumentKind::Other, &settings, 1);
        assert_eq!((augmented, recipe), (image(30, 20), Recipe::default()));
    }

    #[test]
    fn a_step_whose_most_is_nothing_does_not_happen() {
        let (_, recipe) = augment(&image(30, 20), DocumentKind::Cheque, &nothing(), 1);
        assert_eq!(recipe, Recipe::default());
    }

    #[test]
    fn a_shift_keeps_pixels_and_goes_on_as_the_edge_was() {
        let source = image(6, 4);
        let shifted = Step::Shift { right: 2, down: -1 }.apply(&source);
        let at = |image: &Image, x, y| image.rgb()[image.index(x, y)];
        for (x, y) in (0..6).flat_map(|x| (0..4).map(move |y| (x, y))) {
            assert_eq!(at(&shifted, x, y), at(&source, x.max(2) - 2, (y + 1).min(3)));
        }
    }

    #[test]
    fn shifts_go_to_all_sides_as_far_as_they_may() {
        let settings = Augmentation {
            probability: 1.0,
            max_shift: 0.1,
            ..nothing()
        };
        let steps = (0..500).map(|seed| {
            let recipe = Recipe::draw(60, 20, DocumentKind::Receipt, &settings, seed);
            match recipe.steps[..] {
                [Step::Shift { right, down }] => (right, down),
                ref other => panic!("{other:?}"),
            }
        });
        let (right, down): (Vec<_>, Vec<_>) = steps.unzip();
        let ends = |moved: &[i32]| (*moved.iter().min().unwrap(), *moved.iter().max().unwrap());
        assert_eq!((ends(&right), ends(&down)), ((-6, 6), (-2, 2)));
    }

    #[test]
    fn noise_has_the_deviation_it_says() {
        let grey = Image::filled(200, 200, [128; 3]);
        let noisy = Step::Noise {
            deviation: 8.0,
            seed: 3,
        }
        .apply(&grey);
        let squares = noisy
            .pixels()
            .iter()
            .map(|&p| (f64::from(p) - 128.0) * (f64::from(p) - 128.0));
        let deviation = (squares.sum::<f64>() / 120_000.0).sqrt();
        assert!((deviation - 8.0).abs() < 0.1, "{deviation}");
    }

    #[test]
    fn blur_keeps_what_is_even_and_spreads_a_point() {
        let even = Image::filled(9, 9, [77; 3]);
        assert_eq!(blurred(&even), even);
        let mut point = Image::filled(9, 9, [0; 3]);
        point.rgb_mut()[40] = [160; 3];
        let spread = blurred(&point);
        assert_eq!([40, 41, 50].map(|index| spread.rgb()[index][0]), [40, 20, 10]);
    }
}
