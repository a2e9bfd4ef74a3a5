//! Any small image through hash, preparation and augmentation: no panic, and the same twice.

#![no_main]

use imaging::{Augmentation, DocumentKind, Frame, Image, PerceptualHash, augment, prepare};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, u8, u8, u64, Vec<u8>)| {
    let (width, height, kind, seed, bytes) = input;
    let (width, height) = (u32::from(width) + 1, u32::from(height) + 1);
    let mut pixels = bytes;
    pixels.resize(width as usize * height as usize * 3, 200);
    let image = Image::new(width, height, pixels);
    let kind = DocumentKind::ALL[usize::from(kind) % DocumentKind::ALL.len()];
    let _ = PerceptualHash::of(&image);
    let frame = Frame {
        height: 64,
        width: 48,
    };
    assert_eq!(prepare(&image, kind, frame), prepare(&image, kind, frame));
    let (augmented, recipe) = augment(&image, kind, &Augmentation::default(), seed);
    assert_eq!(recipe.apply(&image), augmented);
});
