//! Document images: files under their hash, and what preparation has made of them.

use bytes::Bytes;
use imaging::{DocumentKind, Frame, Image, Limits, PREPARATION, admit, prepare};

use crate::error::Result;
use crate::store::Store;

/// The images of a store. Everything is written once and never changed, since its name says what it holds: below
/// `images/` the files by their SHA-256, below `prepared/` the pixels that networks read, by the version of the rules, frame and kind as well.
#[derive(Clone, Debug)]
pub struct Images {
    store: Store,
}

impl Images {
    /// The images in this store.
    #[must_use]
    pub fn open(store: Store) -> Self {
        Self { store }
    }

    /// Keeps an admitted file under its hash, in hexadecimal.
    ///
    /// # Errors
    /// What the store says.
    pub fn keep(&self, sha256: &str, file: Vec<u8>) -> Result<()> {
        self.store.put_if_absent(&file_path(sha256), file).map(|_| ())
    }

    /// Keeps what preparation has made of a file.
    ///
    /// # Errors
    /// What the store says.
    pub fn keep_prepared(&self, sha256: &str, kind: DocumentKind, prepared: Image) -> Result<()> {
        let frame = Frame {
            height: prepared.height(),
            width: prepared.width(),
        };
        let path = prepared_path(sha256, kind, frame);
        self.store
            .put_if_absent(&path, prepared.into_pixels())
            .map(|_| ())
    }

    /// A file, or nothing where there is none.
    ///
    /// # Errors
    /// What the store says.
    pub fn file(&self, sha256: &str) -> Result<Option<Bytes>> {
        self.store.get(&file_path(sha256))
    }

    /// What preparation makes of a file: as it was kept, or made again where that is not there, for a frame that has
    /// been changed since. Nothing where there is no such file.
    ///
    /// # Shape
    /// `height × width × 3` bytes of the frame.
    ///
    /// # Errors
    /// What the store says.
    pub fn prepared(&self, sha256: &str, kind: DocumentKind, frame: Frame) -> Result<Option<Bytes>> {
        let kept = self.store.get(&prepared_path(sha256, kind, frame))?;
        if kept.as_ref().is_some_and(|pixels| pixels.len() == frame.bytes()) {
            return Ok(kept);
        }
        let Some(file) = self.file(sha256)? else {
            return Ok(None);
        };
        // What is kept has passed the door, whose limits may have been wider than the default.
        let Ok(admitted) = admit(&file, &WIDE) else {
            return Ok(None);
        };
        let prepared = prepare(&admitted.frames[0], kind, frame);
        self.keep_prepared(sha256, kind, prepared.clone())?;
        Ok(Some(prepared.into_pixels().into()))
    }
}

/// Limits that let in whatever the door has let in before.
const WIDE: Limits = Limits {
    max_bytes: usize::MAX,
    max_pixels: u64::MAX,
    max_side: u32::MAX,
    frames_kept: 1,
    max_frames: usize::MAX,
    max_memory_bytes: u64::MAX,
    max_metadata_bytes: usize::MAX,
};

fn file_path(sha256: &str) -> String {
    format!("images/{}/{sha256}", shelf(sha256))
}

fn prepared_path(sha256: &str, kind: DocumentKind, frame: Frame) -> String {
    let Frame { height, width } = frame;
    format!(
        "prepared/v{PREPARATION}/{height}x{width}/{}/{}/{sha256}",
        kind.name(),
        shelf(sha256)
    )
}

/// Files are spread over folders by the first two digits of their hash.
fn shelf(sha256: &str) -> &str {
    sha256.get(..2).unwrap_or(sha256)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const FRAME: Frame = Frame {
        height: 20,
        width: 30,
    };

    #[test]
    fn what_was_prepared_is_what_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let images = Images::open(Store::open(folder.path().to_str().unwrap()).unwrap());
        let image = Image::filled(50, 40, [200, 180, 160]);
        let admitted = admit(&image.to_png(), &Limits::default()).unwrap();
        let name = "ab12";
        images.keep(name, admitted.stored).unwrap();
        let other = images.prepared("cd34", DocumentKind::Other, FRAME).unwrap();
        assert_eq!(other, None, "there is no such file");
        let made = images
            .prepared(name, DocumentKind::Other, FRAME)
            .unwrap()
            .unwrap();
        let expected = prepare(&image, DocumentKind::Other, FRAME);
        assert_eq!(made, expected.pixels());
        images
            .keep_prepared(name, DocumentKind::Other, Image::filled(30, 20, [0; 3]))
            .unwrap();
        let again = images
            .prepared(name, DocumentKind::Other, FRAME)
            .unwrap()
            .unwrap();
        assert_eq!(again, made, "what is kept is never changed");
    }
}
