"""How fast PyTorch trains and scores the image networks of crates/model on one thread: one line of JSON.

usage: torch_images.py efficientnet_lite0|small SIDE BATCH STEPS

The counterpart of crates/model/examples/network_speed.rs: the same networks, images of the same size, the same step
from the bytes of a batch to the changed weights, in seconds of the processor. Both memory formats are measured, and
the faster one counts.
"""

import json
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

SCORED = 16
# Repetitions, kernel, first stride, expansion and outputs of each stage of EfficientNet-Lite0.
STAGES = [
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
]
SMALL = [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (96, 2)]


class Layer(nn.Module):
    """A convolution, its norm, and a rectifier."""

    def __init__(self, inputs, outputs, kernel=1, stride=1, groups=1, activation=None):
        super().__init__()
        # Padding of both sides alike makes maps of the same sizes as the project's, without a copy of the input.
        self.convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3)
        self.activation = activation or nn.Identity()

    def forward(self, maps):
        return self.activation(self.norm(self.convolution(maps)))

    def fold(self):
        self.convolution = fuse_conv_bn_eval(self.convolution, self.norm)
        self.norm = nn.Identity()


class Residual(nn.Module):
    """A block that widens, convolves each channel on its own, and narrows."""

    def __init__(self, inputs, outputs, kernel, stride, expansion):
        super().__init__()
        inner = inputs * expansion
        layers = [Layer(inputs, inner, activation=nn.ReLU6(inplace=True))] if expansion > 1 else []
        layers += [
            Layer(inner, inner, kernel, stride, groups=inner, activation=nn.ReLU6(inplace=True)),
            Layer(inner, outputs),
        ]
        self.layers = nn.Sequential(*layers)
        self.skip = stride == 1 and inputs == outputs

    def forward(self, maps):
        return maps + self.layers(maps) if self.skip else self.layers(maps)


class EfficientNetLite0(nn.Module):
    """The pretrained network's shape, with one output."""

    channels = 3

    def __init__(self):
        super().__init__()
        units = [Layer(3, 32, 3, 2, activation=nn.ReLU6(inplace=True))]
        inputs = 32
        for repeats, kernel, first_stride, expansion, outputs in STAGES:
            for repeat in range(repeats):
                units.append(Residual(inputs, outputs, kernel, 1 if repeat else first_stride, expansion))
                inputs = outputs
        units.append(Layer(inputs, 1280, activation=nn.ReLU6(inplace=True)))
        self.units = nn.Sequential(*units)
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(1280, 1)

    def forward(self, pixels):
        maps = self.units((pixels.float() - 127) / 128)
        return self.head(self.dropout(maps.mean((2, 3)))).squeeze(1)


class Small(nn.Module):
    """The chain of convolutions for grey documents, behind its residuals."""

    channels = 1

    def __init__(self):
        super().__init__()
        inputs = [4] + [outputs for outputs, _ in SMALL]
        layers = [Layer(i, o, 3, s, activation=nn.ReLU(inplace=True)) for i, (o, s) in zip(inputs, SMALL)]
        self.units = nn.Sequential(*layers)
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(2 * inputs[-1], 1)

    def forward(self, pixels):
        maps = self.units(residuals(pixels))
        rows = torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1)
        return self.head(self.dropout(rows)).squeeze(1)


def residuals(pixels):
    """Treatment::Residuals: one contrast, and beside the image three residuals."""
    ordered = pixels.flatten(1).sort(1).values.float()
    count = ordered.shape[1]
    paper, ink = (ordered[:, int(share * count)].view(-1, 1, 1, 1) for share in (0.5, 0.02))
    image = (pixels.float() - paper) / ((paper - ink).clamp(min=30) / 2)
    around = nn.functional.pad(image, (1, 1, 1, 1), mode="replicate")
    height, width = image.shape[2:]
    at = lambda line, column: around[:, :, line : line + height, column : column + width]
    sides = at(0, 1) + at(1, 0) + at(1, 2) + at(2, 1)
    corners = at(0, 0) + at(0, 2) + at(2, 0) + at(2, 2)
    square = 0.5 * sides - 0.25 * corners - image
    kept = [(value * 2).clamp(-3, 3) for value in (at(1, 2) - image, at(2, 1) - image, square)]
    return torch.cat([image, *kept], 1)


def learn(network, side, batch, steps):
    """Images a second; the first step warms up."""
    network.train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=6e-3, weight_decay=1e-2, fused=True)
    labels = (torch.arange(batch) % 2).float()
    seconds = []
    for _ in range(steps + 1):
        pixels = torch.randint(0, 256, (batch, network.channels, side, side), dtype=torch.uint8)
        pixels = pixels.contiguous(memory_format=network.format)
        began = time.process_time()
        loss = nn.functional.binary_cross_entropy_with_logits(network(pixels), labels)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        seconds.append(time.process_time() - began)
    return batch / statistics.median(seconds[1:])


def score(network, side):
    """Images a second, one after the other, norms folded into convolutions."""
    network.eval()
    for layer in network.modules():
        if isinstance(layer, Layer):
            layer.fold()
    pixels = torch.randint(0, 256, (1, network.channels, side, side), dtype=torch.uint8)
    pixels = pixels.contiguous(memory_format=network.format)
    seconds = []
    with torch.inference_mode():
        for _ in range(SCORED + 1):
            began = time.process_time()
            network(pixels)
            seconds.append(time.process_time() - began)
    return 1 / statistics.median(seconds[1:])


def main():
    name, side, batch, steps = sys.argv[1], *map(int, sys.argv[2:])
    torch.set_num_threads(1)
    torch.manual_seed(1)
    learned, scored = [], []
    for memory_format in (torch.contiguous_format, torch.channels_last):
        network = {"efficientnet_lite0": EfficientNetLite0, "small": Small}[name]()
        network = network.to(memory_format=memory_format)
        network.format = memory_format
        parameters = sum(parameter.numel() for parameter in network.parameters())
        learned.append(learn(network, side, batch, steps))
        scored.append(score(network, side))
    report = {
        "network": name,
        "parameters": parameters,
        "train_images_per_second": max(learned),
        "score_images_per_second": max(scored),
    }
    print(json.dumps(report))


main()
