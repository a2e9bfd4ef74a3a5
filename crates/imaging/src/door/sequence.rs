//! Which frames are decoded, and drawing them.

use super::Refusal;
use super::container::{Container, Disposal, Outline};
use super::limits::Limits;
use crate::Image;

/// Copies of the file that exist at once while it is decoded: without metadata, a frame's data, a frame's file.
const COPIES: u64 = 3;

/// The frames to decode, as many as the memory allows.
pub(super) struct Plan {
    kept: Vec<usize>,
    composed: bool,
}

impl Plan {
    /// # Errors
    /// [`Refusal::Memory`] if not even one frame can be decoded.
    pub(super) fn new(outline: &Outline, file_bytes: usize, limits: &Limits) -> Result<Self, Refusal> {
        let pixels = u64::from(outline.width) * u64::from(outline.height);
        let decoding = outline.sample_bytes + outline.decoder_bytes + pixels.div_ceil(8);
        let fixed = file_bytes as u64 * COPIES + decoding;
        let found = outline.frames.len();
        if found == 1 && !outline.is_drawn() {
            limits.check_memory(fixed)?;
            return Ok(Self {
                kept: vec![0],
                composed: false,
            });
        }
        // The canvas, and what it was before a frame that is taken back.
        let fixed = fixed + pixels * 3 * 2;
        limits.check_memory(fixed + pixels * 3)?;
        let room = (limits.max_memory_bytes - fixed) / (pixels * 3);
        let most = limits
            .frames_kept
            .max(1)
            .min(usize::try_from(room).unwrap_or(usize::MAX));
        Ok(Self {
            kept: spread(found, most),
            composed: true,
        })
    }

    pub(super) fn decode(&self, container: &dyn Container) -> Result<Vec<Image>, Refusal> {
        if !self.composed {
            return Ok(vec![container.decode(0)?.into_image()]);
        }
        let outline = container.outline();
        let mut canvas = Image::filled(outline.width, outline.height, [255; 3]);
        let mut frames = Vec::with_capacity(self.kept.len());
        for &index in &self.kept {
            let placement = outline.frames[index];
            let before = (placement.disposal == Disposal::Restore).then(|| canvas.clone());
            let samples = container.decode(index)?;
            samples.draw(&mut canvas, placement.left, placement.top, placement.over);
            frames.push(canvas.clone());
            match (placement.disposal, before) {
                (Disposal::Clear, _) => clear(&mut canvas, &placement),
                (Disposal::Restore, Some(before)) => canvas = before,
                _ => {}
            }
        }
        Ok(frames)
    }
}

fn clear(canvas: &mut Image, placement: &super::container::Placement) {
    for y in placement.top..placement.top + placement.height {
        let start = canvas.index(placement.left, y);
        canvas.rgb_mut()[start..start + placement.width as usize].fill([255; 3]);
    }
}

/// At most `most` indices below `found`: the first, the last, and others evenly between them.
fn spread(found: usize, most: usize) -> Vec<usize> {
    if found <= most {
        return (0..found).collect();
    }
    match most {
        0 => Vec::new(),
        1 => vec![0],
        _ => (0..most).map(|i| i * (found - 1) / (most - 1)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_frames_are_spread_evenly() {
        assert_eq!(spread(3, 64), [0, 1, 2]);
        assert_eq!(spread(10, 4), [0, 3, 6, 9]);
        assert_eq!(spread(1000, 1), [0]);
    }
}
