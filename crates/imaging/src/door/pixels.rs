//! From the samples of a decoder to RGB.

use crate::Image;

/// The samples of a pixel, 8 bits each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    Grey,
    GreyAlpha,
    Rgb,
    Rgba,
    Cmyk,
}

impl Layout {
    pub(super) const fn channels(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::GreyAlpha => 2,
            Self::Rgb => 3,
            Self::Rgba | Self::Cmyk => 4,
        }
    }

    fn rgba(self, samples: &[u8]) -> [u8; 4] {
        match (self, samples) {
            (Self::Grey, &[grey]) => [grey, grey, grey, 255],
            (Self::GreyAlpha, &[grey, alpha]) => [grey, grey, grey, alpha],
            (Self::Rgb, &[red, green, blue]) => [red, green, blue, 255],
            (Self::Rgba, &[red, green, blue, alpha]) => [red, green, blue, alpha],
            (Self::Cmyk, &[cyan, magenta, yellow, black]) => {
                let light = |ink: u8| mix(255 - ink, 0, 255 - black);
                [light(cyan), light(magenta), light(yellow), 255]
            }
            _ => unreachable!("as many samples as channels"),
        }
    }
}

/// A decoded frame before it is RGB. The buffer has room for three bytes a pixel even where the samples are fewer.
pub(super) struct Samples {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) layout: Layout,
    pub(super) buffer: Vec<u8>,
}

impl Samples {
    /// A buffer of zeros for a frame.
    pub(super) fn buffer(width: u32, height: u32, channels: usize) -> Vec<u8> {
        vec![0; width as usize * height as usize * channels.max(3)]
    }

    /// The pixels over white paper, in the same buffer.
    pub(super) fn into_image(mut self) -> Image {
        let pixels = self.width as usize * self.height as usize;
        let channels = self.layout.channels();
        let mut convert = |index: usize| {
            let [red, green, blue, alpha] = self
                .layout
                .rgba(&self.buffer[index * channels..(index + 1) * channels]);
            let rgb = [red, green, blue].map(|sample| mix(sample, 255, alpha));
            self.buffer[index * 3..index * 3 + 3].copy_from_slice(&rgb);
        };
        // What is written never overtakes what is still to be read.
        match channels {
            3 => {}
            1 | 2 => (0..pixels).rev().for_each(&mut convert),
            _ => (0..pixels).for_each(&mut convert),
        }
        self.buffer.truncate(pixels * 3);
        self.buffer.shrink_to_fit();
        Image::new(self.width, self.height, self.buffer)
    }

    /// Draws the frame on a canvas that is white where nothing is: over what is there, or in its place.
    pub(super) fn draw(&self, canvas: &mut Image, left: u32, top: u32, over: bool) {
        let channels = self.layout.channels();
        let width = self.width as usize;
        for (y, row) in (0..self.height).zip(self.buffer.chunks_exact(width * channels)) {
            let start = canvas.index(left, top + y);
            let target = &mut canvas.rgb_mut()[start..start + width];
            for (pixel, samples) in target.iter_mut().zip(row.chunks_exact(channels)) {
                let [red, green, blue, alpha] = self.layout.rgba(samples);
                let below = if over { *pixel } else { [255; 3] };
                *pixel = [
                    mix(red, below[0], alpha),
                    mix(green, below[1], alpha),
                    mix(blue, below[2], alpha),
                ];
            }
        }
    }
}

/// `above` at the given opacity over `below`, rounded to nearest.
fn mix(above: u8, below: u8, alpha: u8) -> u8 {
    let sum = u32::from(above) * u32::from(alpha) + u32::from(below) * (255 - u32::from(alpha));
    u8::try_from((sum + 127) / 255).expect("an average of bytes is a byte")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layout_becomes_rgb_in_place_as_on_a_canvas() {
        let layouts = [
            Layout::Grey,
            Layout::GreyAlpha,
            Layout::Rgb,
            Layout::Rgba,
            Layout::Cmyk,
        ];
        for layout in layouts {
            let mut buffer = Samples::buffer(5, 3, layout.channels());
            for (index, byte) in buffer.iter_mut().enumerate().take(15 * layout.channels()) {
                *byte = (index * 37 % 256) as u8;
            }
            let samples = Samples {
                width: 5,
                height: 3,
                layout,
                buffer,
            };
            let mut canvas = Image::filled(7, 4, [255; 3]);
            samples.draw(&mut canvas, 1, 1, false);
            let image = samples.into_image();
            for y in 0..3 {
                let row = canvas.index(1, y + 1);
                assert_eq!(canvas.rgb()[row..row + 5], image.rgb()[image.index(0, y)..][..5]);
            }
        }
    }

    #[test]
    fn transparent_ink_is_paper() {
        assert_eq!(Layout::Rgba.rgba(&[1, 2, 3, 0]), [1, 2, 3, 0]);
        assert_eq!(
            (mix(1, 255, 0), mix(1, 255, 255), mix(0, 255, 128)),
            (255, 1, 127)
        );
    }
}
