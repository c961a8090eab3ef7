"""Conditional GAN: the class is given to both networks, so that it can be asked for.

Mirza & Osindero 2014, "Conditional Generative Adversarial Nets", arXiv 1411.1784; and the convolutional form of
Radford et al. 2016 (arXiv 1511.06434, published code for MNIST).

The idea: the game of GAN with both networks conditioned on y (eq. 2); here y is a class, one-hot.

* `--network mlp`: noise and class pass through layers of their own before they are joined (section 4.1);
* `--network conv`: the class is joined to the input of every layer, as maps of its own where that is a picture.

`ganvas sample RUN --class NAME` draws one class; `--balance` draws all classes equally often in training.

Departures: pictures are in [-1, 1] outside the networks and in [0, 1] inside. The conv form updates both networks on
each batch by default; its published code one at a time, in turn (`--in-turn`). Its samples are drawn with batch-norm
statistics estimated anew, not with those of the batch. First weights of the mlp form, which the paper does not
state, its output bias and the halved loss of its discriminator are those of GAN's published code.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from pydantic import ConfigDict, Field, NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from ganvas.data.options import DataOptions
from ganvas.discriminators import Condition, Verdict
from ganvas.discriminators.shared import build_discriminator
from ganvas.engine.system import Batch, Preset, System, Terms, Update
from ganvas.engine.training import Training
from ganvas.errors import UserError
from ganvas.losses.adversarial import Probability
from ganvas.losses.options import Adversarial
from ganvas.nn.dtypes import at_least_float32
from ganvas.nn.init import dcgan_init, start_at_mean, uniform_init
from ganvas.nn.latent import Prior, class_condition, count_classes, draw, draw_once
from ganvas.nn.maxout import Maxout
from ganvas.nn.optim import Adams, Descent, chosen

PAPER = "arXiv:1411.1784"


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Config:
    """Networks and losses of conditional GAN."""

    network: Literal["mlp", "conv"] = "conv"
    """Multilayer perceptrons (the paper), or convolutions with the class at every layer."""
    size: Annotated[int, Field(ge=4)] = 28
    """Side of the pictures, pixels; of conv a multiple of 4."""
    channels: Literal[1, 3] = 1
    """Colour channels: 3, or 1 for gray."""
    classes: NonNegativeInt | Literal["auto"] = "auto"
    """Number of classes; `auto` is as many as the data has."""
    latent: PositiveInt = 100
    """Length of z."""
    units: Annotated[int, Field(ge=24)] = 1200
    """Of mlp: units of the joint layer, of which 1/6 come from z and 5/6 from the class (1200); the discriminator's
    layers have 1/5 (picture, joint) and 1/24 (class) as many maxout units."""
    maxout_pieces: tuple[PositiveInt, PositiveInt, PositiveInt] = (5, 5, 4)
    """Of mlp: linear functions a maxout unit chooses among, in the layers of picture, class and both."""
    dropout: Probability = 0.5
    """Of mlp: share of hidden units that are set to 0, in both networks."""
    width: PositiveInt = 64
    """Of conv: channels at half the resolution, 2 times as many at a quarter, 16 times as many units before them.
    Of resnet and unet: channels of the first block."""
    discriminator: Literal["own", "conv", "resnet", "unet"] = "own"
    """The one that belongs to the network, or those of DCGAN, BigGAN and U-Net GAN with the class projected."""
    in_turn: bool = False
    """Update one network a step, the generator first, as the published code of conv does; otherwise both."""
    optimizer: Literal["sgd", "adam"] = "adam"
    """Gradient descent with momentum (paper), or Adam (conv)."""
    adversarial: Adversarial = Adversarial()
    """The adversarial loss (eq. 2)."""
    descent: Descent = Descent()
    """Gradient descent (section 4.1)."""
    adam: Adams = Adams()
    """Adam for each network; the published code of conv adds weight_decay 2.5e-5."""


class MLPGenerator(nn.Module):
    """z and class to hidden layers of their own, joined, to a picture (section 4.1).

    Args:
        config: See `Config`.
        classes: Number of classes.
    """

    def __init__(self, config: Config, classes: int) -> None:
        super().__init__()
        self.shape = (config.channels, config.size, config.size)
        self.dropout = config.dropout
        units = config.units
        self.from_z = nn.Linear(config.latent, units // 6)
        self.from_label = nn.Linear(classes, units - units // 6)
        self.joint = nn.Linear(units, units)
        self.output = nn.Linear(units, config.channels * config.size**2)
        uniform_init(self, 0.05)

    def forward(self, z: Float[Tensor, "B Z"], label: Int[Tensor, "B"]) -> Float[Tensor, "B C H W"]:
        """Pictures G(z | y) in (-1, 1)."""
        y = F.one_hot(label, self.from_label.in_features).to(z.dtype)
        h = torch.cat([F.relu(self.from_z(z)), F.relu(self.from_label(y))], 1)
        h = F.dropout(h, self.dropout, self.training)
        h = F.dropout(F.relu(self.joint(h)), self.dropout, self.training)
        # 2 sigmoid(h) - 1 = tanh(h / 2)
        return torch.tanh(at_least_float32(self.output(h)) / 2).view(z.shape[0], *self.shape)


class MLPDiscriminator(nn.Module):
    """Maxout layers of picture and class, joined in a third (section 4.1).

    Args:
        config: See `Config`.
        classes: Number of classes.
    """

    def __init__(self, config: Config, classes: int) -> None:
        super().__init__()
        self.dropout = config.dropout
        of_image, of_label = config.units // 5, config.units // 24
        pieces = config.maxout_pieces
        self.from_image = Maxout(config.channels * config.size**2, of_image, pieces[0])
        self.from_label = Maxout(classes, of_label, pieces[1])
        self.joint = Maxout(of_image + of_label, of_image, pieces[2])
        self.output = nn.Linear(of_image, 1)
        uniform_init(self, 0.005)

    def forward(self, images: Float[Tensor, "B C H W"], condition: Condition | None = None) -> Verdict:
        """One logit a picture, head `image` (B,); features are the hidden layers'."""
        label = given_label(condition)
        both = torch.cat([self.from_image((images.flatten(1) + 1) / 2), self.from_label(label)], 1)
        both = F.dropout(both, self.dropout, self.training)
        joint = F.dropout(self.joint(both), self.dropout, self.training)
        return Verdict({"image": self.output(joint).squeeze(1)}, (both, joint))


class ConvGenerator(nn.Module):
    """Two linear layers and two that double the resolution, the class at the input of each (Radford et al., code).

    Args:
        config: See `Config`.
        classes: Number of classes.
    """

    def __init__(self, config: Config, classes: int) -> None:
        super().__init__()
        width, side = config.width, config.size // 4
        self.classes = classes
        self.maps = (2 * width, side, side)
        self.linear1 = nn.Linear(config.latent + classes, 16 * width, bias=False)
        self.linear2 = nn.Linear(16 * width + classes, 2 * width * side**2, bias=False)
        self.up1 = nn.ConvTranspose2d(2 * width + classes, width, 5, 2, 2, output_padding=1, bias=False)
        self.up2 = nn.ConvTranspose2d(width + classes, config.channels, 5, 2, 2, output_padding=1, bias=False)
        self.norm1 = nn.BatchNorm1d(16 * width, affine=False)
        self.norm2 = nn.BatchNorm1d(2 * width * side**2, affine=False)
        self.norm3 = nn.BatchNorm2d(width, affine=False)
        dcgan_init(self)

    def forward(self, z: Float[Tensor, "B Z"], label: Int[Tensor, "B"]) -> Float[Tensor, "B C H W"]:
        """Pictures G(z | y) in (-1, 1)."""
        y = F.one_hot(label, self.classes).to(z.dtype)
        h = F.relu(self.norm1(self.linear1(join(z, y))))
        h = F.relu(self.norm2(self.linear2(join(h, y)))).view(z.shape[0], *self.maps)
        h = F.relu(self.norm3(self.up1(join(h, y))))
        return torch.tanh(at_least_float32(self.up2(join(h, y))) / 2)  # 2 sigmoid(h) - 1


class ConvDiscriminator(nn.Module):
    """Two strided convolutions and two linear layers, the class at the input of each (Radford et al., code).

    Args:
        config: See `Config`.
        classes: Number of classes.
    """

    def __init__(self, config: Config, classes: int) -> None:
        super().__init__()
        width, side = config.width, config.size // 4
        self.down1 = nn.Conv2d(config.channels + classes, width, 5, 2, 2, bias=False)
        self.down2 = nn.Conv2d(width + classes, 2 * width, 5, 2, 2, bias=False)
        self.linear = nn.Linear(2 * width * side**2 + classes, 16 * width, bias=False)
        self.output = nn.Linear(16 * width + classes, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(2 * width, affine=False)
        self.norm3 = nn.BatchNorm1d(16 * width, affine=False)
        dcgan_init(self)

    def forward(self, images: Float[Tensor, "B C H W"], condition: Condition | None = None) -> Verdict:
        """One logit a picture, head `image` (B,); features are the hidden layers', fine to coarse."""
        label = given_label(condition)
        h1 = F.leaky_relu(self.down1(join((images + 1) / 2, label)), 0.2)
        h2 = F.leaky_relu(self.norm2(self.down2(join(h1, label))), 0.2)
        h3 = F.leaky_relu(self.norm3(self.linear(join(h2.flatten(1), label))), 0.2)
        return Verdict({"image": self.output(join(h3, label)).squeeze(1)}, (h1, h2, h3))


def join(h: Float[Tensor, "B C *space"], label: Float[Tensor, "B K"]) -> Float[Tensor, "B C+K *space"]:
    """The class after the features, the same at every position."""
    tiled = label.reshape(*label.shape, *[1] * (h.ndim - 2)).expand(-1, -1, *h.shape[2:])
    return torch.cat([h, tiled.to(h.dtype)], 1)


def given_label(condition: Condition | None) -> Float[Tensor, "B K"]:
    """The one-hot class of a condition.

    Raises:
        ValueError: There is none.
    """
    if condition is None or condition.vector is None:
        raise ValueError("this discriminator is conditional: it needs Condition(vector=...)")
    return condition.vector


class CGAN(System):
    """A conditional generator against a conditional discriminator."""

    prior: Prior

    needs = frozenset({"image", "label"})

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.classes = count_classes(config.classes)
        if self.classes < 2:
            raise UserError("a conditional GAN tells classes apart: give data with two or more, and --classes auto")
        if config.network == "conv" and config.size % 4:
            raise UserError(f"the conv network halves the picture twice: --size is a multiple of 4, not {config.size}")
        self.rates = chosen(config.optimizer, config.descent, config.adam)
        if config.network == "mlp":  # uniform in the unit hypercube (section 4.1)
            self.prior = Prior(config.latent, "uniform", 0.5, 0.5)
            self.generator = MLPGenerator(config, self.classes)
        else:
            self.prior = Prior(config.latent, "uniform")
            self.generator = ConvGenerator(config, self.classes)
        if config.discriminator == "own":
            network = MLPDiscriminator if config.network == "mlp" else ConvDiscriminator
            self.discriminator = network(config, self.classes)
        else:
            self.discriminator = build_discriminator(
                config.discriminator, config.size, channels=config.channels, width=config.width, classes=self.classes
            )
        # GAN's published code, whose descent the mlp form shares, halves the discriminator's loss.
        weight = 0.5 if config.network == "mlp" else 1.0
        self.adversarial = config.adversarial.loss(self.discriminator, discriminator_weight=weight)

    def begin(self, batches: Iterable[Batch]) -> None:
        """The mlp generator starts from the mean picture."""
        if isinstance(self.generator, MLPGenerator):
            start_at_mean(self.generator.output, batches)

    def updates(self, step: int) -> Iterable[Update]:
        """The discriminator, then the generator; or in even steps the one, in odd steps the other."""
        if not self.config.in_turn or step % 2:
            yield Update("discriminator", (self.discriminator,), partial(self.discriminator_loss, step=step))
        if not self.config.in_turn or not step % 2:
            yield Update("generator", (self.generator,), self.generator_loss)

    def discriminator_loss(self, batch: Batch, step: int) -> Terms:
        """Eq. 2: E -log D(x | y) + E -log(1 - D(G(z | y) | y))."""
        if self.config.in_turn:
            with torch.no_grad():
                fake = draw(self.generator, batch, self.prior, self.classes)
        else:
            fake = draw_once(self.generator, batch, self.prior, self.classes)
        condition = class_condition(batch, self.classes)
        return self.adversarial.discriminator_terms(batch["image"], fake, condition, step=step)

    def generator_loss(self, batch: Batch) -> Terms:
        """E -log D(G(z | y) | y)."""
        fake = draw_once(self.generator, batch, self.prior, self.classes)
        return self.adversarial.generator_terms(fake, class_condition(batch, self.classes), real=batch["image"])


SYSTEM = CGAN

PRESETS = {
    "smoke": Preset(
        Config(size=32, channels=3, classes=3, latent=8, width=4),
        Training(steps=4, batch=4, ema=0.9, log_every=1, grid_every=2, checkpoint_every=2, grid_images=4),
        DataOptions(flip=False),
    ),
    "smoke-mlp": Preset(
        Config(network="mlp", size=32, channels=3, classes=3, latent=8, units=48, width=4),
        Training(steps=4, batch=4, ema=0.9, log_every=1, grid_every=2, checkpoint_every=2, grid_images=4),
        DataOptions(flip=False),
    ),
    "demo": Preset(
        Config(width=32),
        Training(steps=3000, batch=64, ema=0.995, log_every=100, grid_every=500, checkpoint_every=500),
        DataOptions(flip=False),
    ),
    # Section 4.1.
    "mnist-mlp": Preset(
        Config(network="mlp", optimizer="sgd", descent=Descent(rate_divisor=1.00004)),
        Training(steps=250_000, batch=100, ema=0.0, checkpoint_every=5_000, grid_every=5_000),
        DataOptions(flip=False),
    ),
    # Radford et al.'s published code: 100 epochs at one rate, 100 in which it falls to 0, of 50,000 / 128 steps.
    "mnist-conv": Preset(
        Config(in_turn=True, adam=Adams(weight_decay=2.5e-5, decay_from=39_000, decay_steps=39_000)),
        Training(steps=78_000, batch=128, ema=0.0, checkpoint_every=2_000, grid_every=2_000),
        DataOptions(flip=False),
    ),
}
