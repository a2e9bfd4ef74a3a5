//! Specks: single pixels that differ from all around them, as old scanners and fax lines leave them.

use crate::Image;
use crate::image::luma;

/// Brightness levels by which a speck differs from each of its neighbours.
const DIFFERENCE: u8 = 48;

/// Specks worth a filter: one pixel in so many.
const ONE_IN: usize = 500;

/// The image with each pixel replaced by the median of the 3 × 3 around it; nothing if there are hardly any specks,
/// since the filter blurs what is thin.
pub(super) fn remove(image: &Image) -> Option<Image> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    if width < 3 || height < 3 || specks(image, width) * ONE_IN < width * height {
        return None;
    }
    let mut clean = image.clone();
    for y in 0..height {
        for x in 0..width {
            let rows = [y.saturating_sub(1), y, (y + 1).min(height - 1)];
            let columns = [x.saturating_sub(1), x, (x + 1).min(width - 1)];
            let around = rows.map(|y| columns.map(|x| image.rgb()[y * width + x]));
            clean.rgb_mut()[y * width + x] = std::array::from_fn(|channel| {
                let mut values = std::array::from_fn::<u8, 9, _>(|i| around[i / 3][i % 3][channel]);
                *values.select_nth_unstable(4).1
            });
        }
    }
    Some(clean)
}

fn specks(image: &Image, width: usize) -> usize {
    let light: Vec<u8> = image.rgb().iter().map(|&pixel| luma(pixel)).collect();
    let rows: Vec<&[u8]> = light.chunks_exact(width).collect();
    let in_rows = |three: &[&[u8]]| {
        let speck = |x: &usize| {
            let around = [-1_isize, 0, 1].map(|dx| x.wrapping_add_signed(dx));
            let neighbours = three.iter().flat_map(|row| around.map(|x| row[x]));
            let centre = three[1][*x];
            let (mut low, mut high) = (u8::MAX, u8::MIN);
            for (index, value) in neighbours.enumerate() {
                if index != 4 {
                    (low, high) = (low.min(value), high.max(value));
                }
            }
            centre >= high.saturating_add(DIFFERENCE) && high < 255 - DIFFERENCE
                || low >= centre.saturating_add(DIFFERENCE) && centre < 255 - DIFFERENCE
        };
        (1..width - 1).filter(speck).count()
    };
    rows.windows(3).map(in_rows).sum()
}
