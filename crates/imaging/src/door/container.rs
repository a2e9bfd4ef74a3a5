//! What the door knows of a file before it decodes any pixel.

use super::Refusal;
use super::orientation::Orientation;
use super::pixels::Samples;

/// A file whose structure has been walked and found within the limits.
pub(super) trait Container {
    fn outline(&self) -> &Outline;

    /// Decodes the frame of an index, and no other.
    fn decode(&self, index: usize) -> Result<Samples, Refusal>;

    /// The file without metadata, where that needs no decoding.
    fn into_stripped(self: Box<Self>) -> Option<Vec<u8>>;
}

/// What the headers say.
pub(super) struct Outline {
    /// Pixels in a row of the canvas, as stored.
    pub(super) width: u32,
    /// Rows of the canvas, as stored.
    pub(super) height: u32,
    pub(super) orientation: Orientation,
    pub(super) frames: Vec<Placement>,
    /// Bytes of the buffer for the samples of the largest frame.
    pub(super) sample_bytes: u64,
    /// Bytes that the decoder of a frame takes beside that buffer, at most.
    pub(super) decoder_bytes: u64,
}

impl Outline {
    /// Whether frames are drawn on a canvas: some frame is not simply all of it.
    pub(super) fn is_drawn(&self) -> bool {
        self.frames
            .iter()
            .any(|frame| frame.pixels() != u64::from(self.width) * u64::from(self.height))
    }
}

/// Where and how a frame is drawn on the canvas.
#[derive(Clone, Copy)]
pub(super) struct Placement {
    pub(super) left: u32,
    pub(super) top: u32,
    pub(super) width: u32,
    pub(super) height: u32,
    /// Whether transparent pixels let the canvas through, or replace it.
    pub(super) over: bool,
    pub(super) disposal: Disposal,
}

/// What becomes of a frame's place before the next frame is drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Disposal {
    Keep,
    Clear,
    Restore,
}

impl Placement {
    /// A frame that is all of the canvas.
    pub(super) fn whole(width: u32, height: u32) -> Self {
        Self {
            left: 0,
            top: 0,
            width,
            height,
            over: false,
            disposal: Disposal::Keep,
        }
    }

    /// Whether the frame lies on a canvas of this size and has pixels at all.
    pub(super) fn fits(&self, width: u32, height: u32) -> bool {
        let within = |start: u32, length: u32, whole: u32| {
            length > 0 && start.checked_add(length).is_some_and(|end| end <= whole)
        };
        within(self.left, self.width, width) && within(self.top, self.height, height)
    }

    pub(super) fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}
