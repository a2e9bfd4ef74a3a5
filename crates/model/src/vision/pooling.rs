//! From maps to one row of numbers for each image.

use super::description::Pooling;
use super::maps::Maps;

/// Pooled maps, and where the greatest values stood.
#[derive(Debug)]
pub(super) struct Pooled {
    /// `batch × width`
    pub(super) rows: Vec<f32>,
    /// `batch × channels`: the position of each map's greatest value; empty where it is not asked for.
    greatest: Vec<usize>,
}

/// Pools each image's maps.
pub(super) fn forward(pooling: Pooling, maps: &Maps) -> Pooled {
    let width = pooling.width(maps.channels);
    let mut pooled = Pooled {
        rows: Vec::with_capacity(maps.batch * width),
        greatest: Vec::new(),
    };
    for image in 0..maps.batch {
        pooled.rows.extend(means(maps, image));
        if pooling == Pooling::MeanMax {
            let positions = greatest(maps, image);
            let values = maps.image(image);
            let greatest = positions.iter().enumerate();
            pooled
                .rows
                .extend(greatest.map(|(channel, position)| values[position * maps.channels + channel]));
            pooled.greatest.extend(positions);
        }
    }
    pooled
}

/// The gradient of the maps from that of the rows.
pub(super) fn backward(pooling: Pooling, maps: &Maps, pooled: &Pooled, gradient: &[f32]) -> Maps {
    let mut out = Maps::any(maps.batch, maps.height, maps.width, maps.channels);
    let (channels, positions) = (maps.channels, maps.height * maps.width);
    let share = 1.0 / positions as f32;
    for (image, gradient) in gradient.chunks_exact(pooling.width(channels)).enumerate() {
        let to = out.image_mut(image);
        for position in to.chunks_exact_mut(channels) {
            for (to, gradient) in position.iter_mut().zip(gradient) {
                *to = gradient * share;
            }
        }
        if pooling == Pooling::MeanMax {
            let greatest = &pooled.greatest[image * channels..][..channels];
            for (channel, position) in greatest.iter().enumerate() {
                to[position * channels + channel] += gradient[channels + channel];
            }
        }
    }
    out
}

fn means(maps: &Maps, image: usize) -> Vec<f32> {
    let mut sums = vec![0.0_f32; maps.channels];
    for position in maps.image(image).chunks_exact(maps.channels) {
        for (sum, value) in sums.iter_mut().zip(position) {
            *sum += value;
        }
    }
    let share = 1.0 / (maps.height * maps.width) as f32;
    sums.iter_mut().for_each(|sum| *sum *= share);
    sums
}

/// The first position of each map's greatest value.
fn greatest(maps: &Maps, image: usize) -> Vec<usize> {
    let values = maps.image(image);
    let mut found: Vec<(f32, usize)> = values[..maps.channels].iter().map(|&value| (value, 0)).collect();
    for (at, position) in values.chunks_exact(maps.channels).enumerate() {
        for (best, &value) in found.iter_mut().zip(position) {
            if value > best.0 {
                *best = (value, at);
            }
        }
    }
    found.into_iter().map(|(_, position)| position).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vision::fixture::{maps, numbers, slope};

    #[test]
    fn means_and_greatest_values_are_those_of_each_map() {
        let maps = Maps {
            batch: 1,
            height: 1,
            width: 3,
            channels: 2,
            data: vec![1.0, -1.0, 5.0, -4.0, 0.0, -1.0],
        };
        assert_eq!(forward(Pooling::Mean, &maps).rows, [2.0, -2.0]);
        assert_eq!(forward(Pooling::MeanMax, &maps).rows, [2.0, -2.0, 5.0, -1.0]);
    }

    #[test]
    fn gradients_are_slopes() {
        for pooling in [Pooling::Mean, Pooling::MeanMax] {
            let maps = maps(2, 3, 4, 3, 1);
            let gradient = numbers(2 * pooling.width(3), 2);
            let of_maps = backward(pooling, &maps, &forward(pooling, &maps), &gradient);
            slope(
                &of_maps.data,
                &maps.data,
                |data| forward(pooling, &maps.with(data)).rows,
                &gradient,
            );
        }
    }
}
