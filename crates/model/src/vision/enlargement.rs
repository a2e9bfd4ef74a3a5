//! Maps made larger before the first layer, for networks that were trained on larger things.

use super::maps::Maps;

/// The maps at `times` their height and width, interpolated linearly; beyond the edge they go on as they end.
///
/// A number keeps its value in the upper left place of its `times × times`.
pub(super) fn enlarged(maps: Maps, times: usize) -> Maps {
    if times == 1 {
        return maps;
    }
    let (height, width) = (times * maps.height, times * maps.width);
    let mut large = Maps {
        batch: maps.batch,
        height,
        width,
        channels: maps.channels,
        data: Vec::with_capacity(times * times * maps.data.len()),
    };
    for image in 0..maps.batch {
        let values = maps.image(image);
        for (line, column) in (0..height).flat_map(|line| (0..width).map(move |column| (line, column))) {
            let ([top, bottom], down) = between(line, times, maps.height);
            let ([left, right], along) = between(column, times, maps.width);
            for channel in 0..maps.channels {
                let at = |line: usize, column: usize| {
                    values[(line * maps.width + column) * maps.channels + channel]
                };
                let upper = mixed(at(top, left), at(top, right), along);
                let lower = mixed(at(bottom, left), at(bottom, right), along);
                large.data.push(mixed(upper, lower, down));
            }
        }
    }
    large
}

/// The sums over the `times × times` places that each number was enlarged to.
pub(super) fn gathered(maps: &Maps, times: usize) -> Maps {
    let (height, width) = (maps.height / times, maps.width / times);
    let mut small = Maps::zeros(maps.batch, height, width, maps.channels);
    for image in 0..maps.batch {
        let values = maps.image(image).chunks_exact(maps.channels);
        let sums = small.image_mut(image);
        for (at, values) in values.enumerate() {
            let place = at / maps.width / times * width + at % maps.width / times;
            let sums = &mut sums[place * maps.channels..][..maps.channels];
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
    }
    small
}

/// The places that a place of the larger map lies between, and how far it is from the first one.
fn between(place: usize, times: usize, length: usize) -> ([usize; 2], f32) {
    let first = place / times;
    let part = (place % times) as f32 / times as f32;
    ([first, (first + 1).min(length - 1)], part)
}

fn mixed(first: f32, second: f32, part: f32) -> f32 {
    first + (second - first) * part
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vision::fixture::maps;

    #[test]
    fn between_numbers_lies_their_mean_and_beyond_the_edge_the_last() {
        let two = Maps {
            batch: 1,
            height: 1,
            width: 2,
            channels: 2,
            data: vec![0.0, 8.0, 4.0, 0.0],
        };
        let large = enlarged(two, 2);
        assert_eq!((large.height, large.width, large.channels), (2, 4, 2));
        let line = [0.0, 8.0, 2.0, 4.0, 4.0, 0.0, 4.0, 0.0];
        assert_eq!(large.data, [line, line].concat());
    }

    #[test]
    fn numbers_keep_their_place_and_none_is_lost() {
        let small = maps(2, 3, 4, 2, 5);
        let large = enlarged(small.clone(), 3);
        let even = Maps {
            data: vec![1.0; large.data.len()],
            ..large.clone()
        };
        assert!(gathered(&even, 3).data.iter().all(|&sum| sum == 9.0));
        for (image, line, column) in [(0, 0, 0), (1, 2, 3), (1, 1, 2)] {
            let of = |maps: &Maps, line: usize, column: usize| {
                let at = (line * maps.width + column) * maps.channels;
                maps.image(image)[at..at + maps.channels].to_vec()
            };
            assert_eq!(of(&large, 3 * line, 3 * column), of(&small, line, column));
        }
    }
}
