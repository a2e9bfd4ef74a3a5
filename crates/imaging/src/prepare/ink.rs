//! Telling ink from paper.

use crate::Image;
use crate::image::luma;

/// Below this share of a row or column, ink is dirt: one pixel in 250.
const DIRT: usize = 250;

/// Margin left around the ink, as a part of its longer side.
const MARGIN: u32 = 33;

/// Brightness levels that ink and paper must differ by on average.
const CONTRAST: u64 = 40;

/// Which pixels are ink: those on the rarer side of the threshold that parts the brightness best.
///
/// # Shape
/// One for each pixel, row by row. Nothing if the image is not ink on paper: the parts are too alike, or ink covers
/// more than two fifths.
pub(super) fn mask(image: &Image) -> Option<Vec<bool>> {
    let light: Vec<u8> = image.rgb().iter().map(|&pixel| luma(pixel)).collect();
    let mut histogram = [0_u64; 256];
    light.iter().for_each(|&value| histogram[usize::from(value)] += 1);
    let threshold = threshold(&histogram)?;
    let dark = light.iter().filter(|&&value| value <= threshold).count();
    let ink_is_dark = dark * 2 <= light.len();
    let ink = if ink_is_dark { dark } else { light.len() - dark };
    (ink * 5 <= light.len() * 2).then(|| {
        light
            .iter()
            .map(|&value| (value <= threshold) == ink_is_dark)
            .collect()
    })
}

/// The last level of the darker part.
///
/// # Source
/// N. Otsu, "A threshold selection method from gray-level histograms" (1979), equation 18.
fn threshold(histogram: &[u64; 256]) -> Option<u8> {
    let total: u64 = histogram.iter().sum();
    let sum: u64 = (0_u64..).zip(histogram).map(|(level, count)| level * count).sum();
    let (mut below, mut sum_below) = (0, 0);
    let mut best: Option<(u128, u8)> = None;
    for (level, &count) in (0_u8..=255).zip(histogram) {
        below += count;
        sum_below += count * u64::from(level);
        let above = total - below;
        if below == 0 || above == 0 || (sum - sum_below) / above < sum_below / below + CONTRAST {
            continue;
        }
        // (mean above - mean below)² below above, in units of total⁻², without division.
        let apart = u128::from((sum * below).abs_diff(sum_below * total));
        let variance = apart * apart / (u128::from(below) * u128::from(above));
        if best.is_none_or(|(most, _)| variance > most) {
            best = Some((variance, level));
        }
    }
    best.map(|(_, level)| level)
}

/// The part of the image that holds the ink, with a margin; nothing if that is nearly all of it.
pub(super) fn trim(image: &Image) -> Option<Image> {
    let mask = mask(image)?;
    let width = image.width() as usize;
    let mut columns = vec![0_usize; width];
    let rows: Vec<usize> = mask
        .chunks_exact(width)
        .map(|row| {
            columns
                .iter_mut()
                .zip(row)
                .for_each(|(count, &ink)| *count += usize::from(ink));
            row.iter().filter(|&&ink| ink).count()
        })
        .collect();
    let (left, right) = extent(&columns, rows.len())?;
    let (top, bottom) = extent(&rows, width)?;
    let margin = (right - left).max(bottom - top).div_ceil(MARGIN);
    let (left, top) = (left.saturating_sub(margin), top.saturating_sub(margin));
    let (right, bottom) = (
        (right + margin).min(image.width()),
        (bottom + margin).min(image.height()),
    );
    let kept = u64::from(right - left) * u64::from(bottom - top);
    let whole = u64::from(image.width()) * u64::from(image.height());
    (kept * 10 < whole * 9).then(|| image.crop(left, top, right - left, bottom - top))
}

/// The first and the one behind the last of the lines with more ink than dirt.
fn extent(counts: &[usize], length: usize) -> Option<(u32, u32)> {
    let inked = |count: &usize| *count * DIRT > length;
    let first = counts.iter().position(inked)?;
    let last = counts.iter().rposition(inked)?;
    Some((u32::try_from(first).ok()?, u32::try_from(last + 1).ok()?))
}
