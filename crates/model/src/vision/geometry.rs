//! Where the window of a convolution lies on its input.

/// A square window that moves over maps in steps, padded so that every step has one.
///
/// # Source
/// The padding called SAME by TensorFlow: `ceil(size / stride)` outputs, the odd line of padding after the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) input: (usize, usize),
    pub(super) output: (usize, usize),
    /// Lines of padding above and columns to the left.
    pub(super) before: (usize, usize),
}

impl Geometry {
    /// Windows over maps of this height and width.
    pub(super) const fn new(kernel: usize, stride: usize, height: usize, width: usize) -> Self {
        Self {
            kernel,
            stride,
            input: (height, width),
            output: (height.div_ceil(stride), width.div_ceil(stride)),
            before: (
                padding_before(kernel, stride, height),
                padding_before(kernel, stride, width),
            ),
        }
    }

    /// The input's height and width with padding on every side: what windows over all outputs touch.
    pub(super) const fn padded(&self) -> (usize, usize) {
        (
            (self.output.0 - 1) * self.stride + self.kernel,
            (self.output.1 - 1) * self.stride + self.kernel,
        )
    }
}

const fn padding_before(kernel: usize, stride: usize, size: usize) -> usize {
    let touched = (size.div_ceil(stride) - 1) * stride + kernel;
    touched.saturating_sub(size) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_that_of_tensorflow() {
        let before = |kernel, stride, size| Geometry::new(kernel, stride, size, size).before.0;
        assert_eq!([before(3, 1, 14), before(5, 1, 14), before(1, 1, 14)], [1, 2, 0]);
        assert_eq!([before(3, 2, 224), before(5, 2, 28), before(3, 2, 7)], [0, 1, 1]);
        let even = Geometry::new(5, 2, 28, 56);
        assert_eq!((even.output, even.padded()), ((14, 28), (31, 59)));
    }
}
