//! Genuine documents that are shown again, as if they were another account's.

use imaging::{Image, Limits, PerceptualHash, Recipe, Step, admit};

use super::scan::quality;
use super::{QUALITY, Way};
use crate::simulate::random::Dice;

/// Bits by which the perceptual hash of a document shown again differs at most.
pub(super) const NEAR_BITS: u32 = 3;
/// How often a milder change is tried before the file is left as it is.
const ATTEMPTS: u32 = 4;

/// A file made from another one, and how: milder than was meant, or not changed at all, where the change would show
/// in the perceptual hash.
pub(super) fn reuse(dice: &mut Dice, file: &[u8], way: Way) -> (Vec<u8>, Way) {
    let Ok(original) = admit(file, &Limits::default()) else {
        return (file.to_owned(), Way::SameFile);
    };
    for attempt in 0..ATTEMPTS {
        let changed = match way {
            Way::SameFile => break,
            Way::Resaved => original.frames[0].clone(),
            Way::Cropped => cropped(dice, &original.frames[0], 3 - attempt.min(2)),
            Way::Brightened => brightened(dice, &original.frames[0], 12.0 / f64::from(attempt + 1)),
        };
        let file = changed.to_jpeg(quality(dice, QUALITY));
        if hash(&file).is_some_and(|hash| hash.distance(original.phash) <= NEAR_BITS) {
            return (file, way);
        }
    }
    (file.to_owned(), Way::SameFile)
}

fn hash(file: &[u8]) -> Option<PerceptualHash> {
    admit(file, &Limits::default())
        .ok()
        .map(|admitted| admitted.phash)
}

/// Without at most so many rows and columns at each edge, and without one of them at least.
fn cropped(dice: &mut Dice, image: &Image, most: u32) -> Image {
    let most = most as usize;
    let [left, right, top, bottom] = [(0, most), (0, most), (0, most), (1, most)]
        .map(|(low, high)| u32::try_from(dice.count(low, high)).unwrap_or(1));
    changed(
        image,
        Step::Crop {
            left,
            top,
            width: image.width() - left - right,
            height: image.height() - top - bottom,
        },
    )
}

fn brightened(dice: &mut Dice, image: &Image, most: f64) -> Image {
    let brightness = dice.between(0.5 * most, most) * if dice.chance(0.5) { 1.0 } else { -1.0 };
    let contrast = 1.0 + 0.06 * dice.between(-1.0, 1.0);
    changed(image, Step::Tone { brightness, contrast })
}

fn changed(image: &Image, step: Step) -> Image {
    Recipe { steps: vec![step] }.apply(image)
}
