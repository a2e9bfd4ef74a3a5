//! Contact sheets: many images on one, to be looked at.

use crate::Image;

/// Pixels between images, and around them.
const GAP: u32 = 4;

const GROUND: [u8; 3] = [96; 3];

/// The images in rows of `columns`, each at the upper left of a cell as large as the largest of them.
///
/// # Panics
/// If there are no images or no columns.
#[must_use]
pub fn sheet(images: &[Image], columns: u32) -> Image {
    assert!(
        !images.is_empty() && columns > 0,
        "{} images in {columns} columns",
        images.len()
    );
    let count = u32::try_from(images.len()).expect("images that fit in memory");
    let columns = columns.min(count);
    let side = |length: fn(&Image) -> u32| images.iter().map(length).max().unwrap_or(1) + GAP;
    let (width, height) = (side(Image::width), side(Image::height));
    let rows = count.div_ceil(columns);
    let mut sheet = Image::filled(columns * width + GAP, rows * height + GAP, GROUND);
    for (cell, image) in (0..count).zip(images) {
        let (left, top) = (cell % columns * width + GAP, cell / columns * height + GAP);
        for (y, row) in (top..).zip(image.rgb().chunks_exact(image.width() as usize)) {
            let start = sheet.index(left, y);
            sheet.rgb_mut()[start..start + row.len()].copy_from_slice(row);
        }
    }
    sheet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_lie_in_their_cells() {
        let images = [
            Image::filled(3, 2, [1; 3]),
            Image::filled(2, 5, [2; 3]),
            Image::filled(1, 1, [3; 3]),
        ];
        let sheet = sheet(&images, 2);
        assert_eq!((sheet.width(), sheet.height()), (18, 22));
        let at = |x, y| sheet.rgb()[sheet.index(x, y)][0];
        assert_eq!(
            [
                at(4, 4),
                at(6, 5),
                at(7, 4),
                at(11, 4),
                at(12, 8),
                at(4, 13),
                at(0, 0)
            ],
            [1, 1, 96, 2, 2, 3, 96]
        );
    }

    #[test]
    fn a_sheet_as_png_is_the_sheet() {
        let sheet = sheet(&[Image::filled(30, 20, [1, 2, 3])], 9);
        let admitted = crate::admit(&sheet.to_png(), &crate::Limits::default()).unwrap();
        assert_eq!(admitted.frames, [sheet]);
    }
}
