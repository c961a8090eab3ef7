"""DCGAN: convolutional networks that train as adversaries.

Radford, Metz & Chintala 2016, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
Networks", ICLR, arXiv 1511.06434.

The idea: five rules under which convolutional networks train stably as a GAN (section 3), each a setting here:

    strided convolutions instead of pooling                          --downsample strided|pool
    fractionally strided convolutions in the generator               --upsample transposed|resize|subpixel
    batch norm in both networks, not at the generator's output
      nor at the discriminator's input                               --batch-norm paper|all|none
    no fully connected hidden layers                                 --hidden 0|UNITS, --head flatten|average
    ReLU in the generator, leaky ReLU in the discriminator           --generator-activation, --discriminator-activation

`--kernel 5` with `--width 128` is the published network, `--kernel 4` with `--width 64` the common one in PyTorch.

Departures: the published code updates one network a batch, in turn (`--in-turn`); by default both are updated on
each, the generator on the fakes that the discriminator has just seen. Samples are drawn with batch-norm statistics
estimated anew from many latents, where that code takes those of the batch, so a picture depends on its own latent
alone; batch norm's epsilon is 1e-5, not 1e-8. Sizes other than 64 px are ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import ConfigDict, Field, NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from ganvas.data.options import DataOptions
from ganvas.discriminators.conv import ConvDiscriminator, NormPlaces, conv_widths
from ganvas.discriminators.shared import SharedDiscriminator, build_discriminator
from ganvas.engine.system import Batch, Preset, System, Terms, Update
from ganvas.engine.training import Training
from ganvas.losses.options import Adversarial
from ganvas.nn.dtypes import at_least_float32
from ganvas.nn.init import dcgan_init
from ganvas.nn.latent import Prior, draw, draw_once
from ganvas.nn.optim import Adams
from ganvas.nn.upsample import Upsampling, upsample

PAPER = "arXiv:1511.06434"

Activation = Literal["relu", "leaky-relu", "tanh"]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Config:
    """Networks and losses of DCGAN."""

    size: Annotated[int, Field(ge=32)] = 64
    """Side of the pictures, pixels: a power of two from 32 (64 in the paper)."""
    channels: Literal[1, 3] = 3
    """Colour channels: 3, or 1 for gray."""
    latent: PositiveInt = 100
    """Length of z."""
    prior: Literal["uniform", "normal"] = "uniform"
    """Distribution of each number of z: uniform from -1 to 1 (paper), or normal (common code)."""
    kernel: Annotated[int, Field(ge=2)] = 4
    """Side of the kernels of both networks, pixels: 5 as published, 4 in common code."""
    width: PositiveInt = 64
    """Channels at half the resolution, in both networks; they double at each further halving (128 as published)."""
    upsample: Upsampling = "transposed"
    """How the generator doubles the resolution; see `ganvas.nn.upsample`."""
    downsample: Literal["strided", "pool"] = "strided"
    """How the conv discriminator halves it: strided convolutions (paper) or max pooling."""
    batch_norm: NormPlaces = "paper"
    """Batch norm but for the generator's output and the discriminator's input (paper), everywhere, or nowhere."""
    hidden: NonNegativeInt = 0
    """Units of a fully connected hidden layer in both networks; 0 is none (paper)."""
    head: Literal["flatten", "average"] = "flatten"
    """End of the conv discriminator: a linear layer on all of its last maps (paper), or on their means."""
    generator_activation: Activation = "relu"
    """What follows the generator's hidden layers (paper: relu)."""
    discriminator_activation: Literal["leaky-relu", "relu"] = "leaky-relu"
    """What follows the conv discriminator's convolutions (paper: leaky-relu)."""
    discriminator: SharedDiscriminator = "conv"
    """The paper's, BigGAN's or U-Net GAN's; the rules above are about the paper's."""
    in_turn: bool = False
    """Update one network a step, the generator first, as the published code does; otherwise both."""
    adversarial: Adversarial = Adversarial()
    """The adversarial loss: the whole of both cross-entropies."""
    adam: Adams = Adams()
    """Adam for each network (section 4); the published code adds weight_decay 1e-5."""


class Generator(nn.Module):
    """z to 4x4 maps, then doubled to a picture (fig. 1).

    Args:
        config: See `Config`.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.widest, *widths = conv_widths(config.size, config.width)[::-1]
        normed, bias = config.batch_norm != "none", config.batch_norm == "none"

        def norm(layer: nn.BatchNorm1d | nn.BatchNorm2d, wanted: bool = True) -> nn.Module:
            return layer if normed and wanted else nn.Identity()

        self.hidden = None
        if config.hidden:
            self.hidden = nn.Sequential(
                nn.Linear(config.latent, config.hidden, bias=bias),
                norm(nn.BatchNorm1d(config.hidden)),
                activation(config.generator_activation),
            )
        self.start = nn.Linear(config.hidden or config.latent, self.widest * 4 * 4, bias=bias)
        # The published code normalises each unit here, the common one each map.
        self.per_unit = config.kernel % 2 == 1
        self.norm = norm(nn.BatchNorm1d(self.widest * 4 * 4) if self.per_unit else nn.BatchNorm2d(self.widest))
        self.activation = activation(config.generator_activation)
        layers: list[nn.Module] = []
        inputs = self.widest
        for outputs in widths:
            layers += [
                upsample(config.upsample, inputs, outputs, config.kernel, bias=bias),
                norm(nn.BatchNorm2d(outputs)),
                activation(config.generator_activation),
            ]
            inputs = outputs
        layers += [
            upsample(config.upsample, inputs, config.channels, config.kernel, bias=bias),
            norm(nn.BatchNorm2d(config.channels), config.batch_norm == "all"),
        ]
        self.layers = nn.Sequential(*layers)
        dcgan_init(self)

    def forward(self, z: Float[Tensor, "B Z"], label: None = None) -> Float[Tensor, "B C H W"]:
        """Pictures in (-1, 1)."""
        h = self.start(z if self.hidden is None else self.hidden(z))
        if self.per_unit:
            h = self.norm(h)
        h = h.view(z.shape[0], self.widest, 4, 4).contiguous(memory_format=torch.channels_last)
        if not self.per_unit:
            h = self.norm(h)
        return torch.tanh(at_least_float32(self.layers(self.activation(h))))


def activation(name: Activation) -> nn.Module:
    """An activation as a layer."""
    layers = {"relu": nn.ReLU(inplace=True), "leaky-relu": nn.LeakyReLU(0.2, inplace=True), "tanh": nn.Tanh()}
    return layers[name]


class DCGAN(System):
    """The generator above against a discriminator, the paper's by default."""

    prior: Prior

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.rates = config.adam
        self.prior = Prior(config.latent, config.prior)
        self.generator = Generator(config)
        if config.discriminator == "conv":
            self.discriminator = ConvDiscriminator(
                config.size, channels=config.channels, width=config.width, kernel=config.kernel,
                batch_norm=config.batch_norm, downsample=config.downsample,
                activation=config.discriminator_activation, head=config.head, hidden=config.hidden,
            )  # fmt: skip
        else:
            self.discriminator = build_discriminator(
                config.discriminator, config.size, channels=config.channels, width=config.width
            )
        self.adversarial = config.adversarial.loss(self.discriminator)

    def updates(self, step: int) -> Iterable[Update]:
        """The discriminator, then the generator; or in even steps the one, in odd steps the other."""
        if not self.config.in_turn or step % 2:
            yield Update("discriminator", (self.discriminator,), partial(self.discriminator_loss, step=step))
        if not self.config.in_turn or not step % 2:
            yield Update("generator", (self.generator,), self.generator_loss)

    def discriminator_loss(self, batch: Batch, step: int) -> Terms:
        """E -log D(x) + E -log(1 - D(G(z)))."""
        if self.config.in_turn:
            with torch.no_grad():
                fake = draw(self.generator, batch, self.prior)
        else:
            fake = draw_once(self.generator, batch, self.prior)
        return self.adversarial.discriminator_terms(batch["image"], fake, step=step)

    def generator_loss(self, batch: Batch) -> Terms:
        """E -log D(G(z))."""
        return self.adversarial.generator_terms(draw_once(self.generator, batch, self.prior), real=batch["image"])


SYSTEM = DCGAN

PRESETS = {
    "smoke": Preset(
        Config(size=32, latent=8, width=4),
        Training(steps=4, batch=4, ema=0.9, log_every=1, grid_every=2, checkpoint_every=2, grid_images=4),
        DataOptions(),
    ),
    "demo": Preset(
        Config(size=32, width=32),
        Training(steps=3000, batch=32, ema=0.995, log_every=50, grid_every=500, checkpoint_every=500),
        DataOptions(),
    ),
    # Section 4.1: five epochs of three million pictures, one network updated a batch.
    "lsun64": Preset(
        Config(kernel=5, width=128, in_turn=True),
        Training(steps=120_000, batch=128, ema=0.0, checkpoint_every=5_000, grid_every=5_000),
        DataOptions(flip=False),
    ),
    # Section 4.2 and the published script: 25 epochs of 350,000 faces.
    "faces64": Preset(
        Config(kernel=5, width=128, in_turn=True, adam=Adams(weight_decay=1e-5)),
        Training(steps=68_000, batch=128, ema=0.0, checkpoint_every=5_000, grid_every=5_000),
        DataOptions(flip=False),
    ),
    # The networks and settings that most PyTorch code calls DCGAN.
    "common64": Preset(
        Config(prior="normal"),
        Training(steps=40_000, batch=128, ema=0.0, checkpoint_every=2_000, grid_every=2_000),
        DataOptions(flip=False),
    ),
}
