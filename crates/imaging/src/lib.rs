//! Document images: admission, perceptual hashes, preparation and augmentation, without I/O.
//!
//! [`admit`] is the door: nothing else in the system looks at a file that has not passed it. What it gives are plain
//! pixels, a file without metadata that is safe to keep, and a [`PerceptualHash`].

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_sign_loss)
)]

mod augment;
pub mod door;
mod hash;
mod heat;
mod image;
mod prepare;
mod sheet;
mod sightings;
mod warp;

pub use augment::{Augmentation, Recipe, Step, augment};
pub use door::{Admitted, Format, Limits, Refusal, admit};
pub use hash::PerceptualHash;
pub use heat::heat;
pub use image::Image;
pub use prepare::{DocumentKind, Frame, PREPARATION, centre, prepare, skew_degrees};
pub use sheet::sheet;
pub use sightings::{MAX_RADIUS, SeenBefore, SightingLimits, Sightings};
