"""GAN: two multilayer perceptrons play the first adversarial game.

Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville & Bengio 2014, "Generative Adversarial Nets",
NIPS, arXiv 1406.2661; networks and schedules of its published configuration for MNIST.

The idea: a generator turns noise into pictures, a discriminator tells them from real ones, and each is trained
against the other (eq. 1). For a fixed generator the best discriminator is p_data / (p_data + p_g) (proposition 1),
and against that the generator minimises 2 JSD(p_data, p_g) - log 4, which is least where p_g = p_data (theorem 1).

Two ways for the generator to learn: minimise log(1 - D(G(z))), whose gradient vanishes when the discriminator is
sure (`--objective minimax`), or maximise log D(G(z)), whose does not (the default; section 3, last paragraph).

The paper's Algorithm 1 makes k discriminator steps, then one of the generator, each with fresh noise
(`--order alternating`). Its published code takes both gradients on the same noise before either network moves
(`--order simultaneous`, the default).

`density1d` is the game of Figure 1 on numbers instead of pictures: `ganvas train gan density1d --data normal1d`.

Departures: pictures are in [-1, 1] outside the networks and in [0, 1] inside, as published, where the output is a
sigmoid. The first output bias is the logit of the mean of ten batches, not of the whole data. Weights have no
limit on the norm of their columns.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from pydantic import ConfigDict, NonNegativeFloat, PositiveInt
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
from ganvas.nn.init import start_at_mean, uniform_init
from ganvas.nn.latent import Prior, draw, draw_once
from ganvas.nn.maxout import Maxout
from ganvas.nn.optim import Adams, Descent, chosen

PAPER = "arXiv:1406.2661"

Activation = Literal["relu", "sigmoid", "tanh"]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Config:
    """Networks and losses of the first GAN."""

    size: PositiveInt = 28
    """Side of the pictures, pixels; 1 for numbers instead of pictures, as in density1d."""
    channels: Literal[1, 2, 3] = 1
    """Colour channels: 3, or 1 for gray; of numbers, how many there are in a point."""
    latent: PositiveInt = 100
    """Length of z."""
    prior: Literal["uniform", "normal"] = "uniform"
    """Distribution of each number of z: uniform from -sqrt(3) to sqrt(3), or normal; both of variance 1."""
    generator_layers: tuple[PositiveInt, ...] = (1200, 1200)
    """Units of the generator's hidden layers."""
    generator_activations: tuple[Activation, ...] = ("relu", "relu")
    """What follows each of them."""
    output: Literal["sigmoid", "tanh", "linear"] = "sigmoid"
    """What ends the generator."""
    generator_weights: NonNegativeFloat = 0.05
    """The generator's first weights are uniform up to this size, its biases 0. 0: PyTorch's own choice."""
    discriminator: Literal["maxout", "conv", "resnet", "unet"] = "maxout"
    """The paper's maxout network, or one of those of DCGAN, BigGAN and U-Net GAN."""
    maxout_units: tuple[PositiveInt, ...] = (240, 240)
    """Units of the maxout discriminator's hidden layers."""
    maxout_pieces: PositiveInt = 5
    """Linear functions a maxout unit chooses among."""
    input_dropout: Probability = 0.2
    """Share of the maxout discriminator's inputs that are set to 0."""
    hidden_dropout: Probability = 0.5
    """The same of its hidden units."""
    discriminator_weights: NonNegativeFloat = 0.005
    """The maxout discriminator's first weights are uniform up to this size, its biases 0. 0: PyTorch's own choice."""
    width: PositiveInt = 64
    """Channels of the conv, resnet or unet discriminator's first layer."""
    order: Literal["simultaneous", "alternating"] = "simultaneous"
    """Both gradients on the same noise before either network moves (published code), or one after the other."""
    discriminator_steps: PositiveInt = 1
    """Discriminator updates for each of the generator's, k in Algorithm 1; above 1 they alternate."""
    optimizer: Literal["sgd", "adam"] = "sgd"
    """Gradient descent with momentum as published, or Adam."""
    adversarial: Adversarial = Adversarial()
    """The adversarial loss: eq. 1, or section 3's last paragraph."""
    descent: Descent = Descent()
    """Gradient descent (published configuration)."""
    adam: Adams = Adams()
    """Adam for each network."""


class Generator(nn.Module):
    """z to a picture through hidden layers.

    Args:
        config: See `Config`.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.shape = (config.channels, config.size, config.size)
        self.activations, self.ending = config.generator_activations, config.output
        sides = [config.latent, *config.generator_layers]
        self.hidden = nn.ModuleList(nn.Linear(inputs, outputs) for inputs, outputs in pairwise(sides))
        self.output = nn.Linear(sides[-1], math.prod(self.shape))
        uniform_init(self, config.generator_weights)

    def forward(self, z: Float[Tensor, "B Z"], label: None = None) -> Float[Tensor, "B C H W"]:
        """Pictures in (-1, 1); numbers of any size where the output is linear."""
        h = z
        for layer, activation in zip(self.hidden, self.activations, strict=True):
            h = getattr(torch, activation)(layer(h))
        h = at_least_float32(self.output(h))
        if self.ending != "linear":  # 2 sigmoid(h) - 1 = tanh(h / 2)
            h = torch.tanh(h / 2 if self.ending == "sigmoid" else h)
        return h.view(z.shape[0], *self.shape)


class MaxoutDiscriminator(nn.Module):
    """Maxout layers with dropout, then one logit.

    Args:
        config: See `Config`.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.from_zero = config.output == "sigmoid"
        self.input_dropout, self.hidden_dropout = config.input_dropout, config.hidden_dropout
        sides = [config.channels * config.size**2, *config.maxout_units]
        pieces = config.maxout_pieces
        self.hidden = nn.ModuleList(Maxout(inputs, outputs, pieces) for inputs, outputs in pairwise(sides))
        self.output = nn.Linear(sides[-1], 1)
        uniform_init(self, config.discriminator_weights)

    def forward(self, images: Float[Tensor, "B C H W"], condition: Condition | None = None) -> Verdict:
        """One logit a picture, head `image` (B,); features are the hidden layers'."""
        h = images.flatten(1)
        if self.from_zero:
            h = (h + 1) / 2
        h = F.dropout(h, self.input_dropout, self.training)  # also while the generator learns, as published
        features = []
        for layer in self.hidden:
            h = F.dropout(layer(h), self.hidden_dropout, self.training)
            features.append(h)
        return Verdict({"image": self.output(h).squeeze(1)}, tuple(features))


class GAN(System):
    """The generator above against a discriminator, the maxout network by default."""

    prior: Prior
    generator: Generator

    def __init__(self, config: Config) -> None:
        super().__init__()
        if len(config.generator_layers) != len(config.generator_activations):
            raise UserError(
                f"--generator-activations names {len(config.generator_activations)} activations for "
                f"{len(config.generator_layers)} --generator-layers: give one for each"
            )
        if config.order == "simultaneous" and config.discriminator_steps > 1:
            raise UserError("several --discriminator-steps need --order alternating: simultaneous makes one of each")
        self.config = config
        self.rates = chosen(config.optimizer, config.descent, config.adam)
        self.prior = Prior(config.latent, config.prior, math.sqrt(3) if config.prior == "uniform" else 1.0)
        self.generator = Generator(config)
        if config.discriminator == "maxout":
            self.discriminator = MaxoutDiscriminator(config)
        else:
            self.discriminator = build_discriminator(
                config.discriminator, config.size, channels=config.channels, width=config.width
            )
        # The published code halves the discriminator's loss, not the generator's.
        self.adversarial = config.adversarial.loss(self.discriminator, discriminator_weight=0.5)

    def begin(self, batches: Iterable[Batch]) -> None:
        """The generator starts from the mean picture: its output bias is the logit of it (published code)."""
        if self.generator.ending == "sigmoid":
            start_at_mean(self.generator.output, batches)

    def updates(self, step: int) -> Iterable[Update | tuple[Update, ...]]:
        """Algorithm 1: k times the discriminator, then the generator; or both at once."""
        discriminator_loss = partial(self.discriminator_loss, step=step)
        discriminator = Update(
            "discriminator", (self.discriminator,), discriminator_loss, self.config.discriminator_steps
        )
        generator = Update("generator", (self.generator,), self.generator_loss)
        if self.config.order == "simultaneous":
            yield discriminator, generator
        else:
            yield discriminator
            yield generator

    def draw(self, batch: Batch) -> Float[Tensor, "B C H W"]:
        """Fakes: fresh ones for every update of Algorithm 1, the same ones for both where they are simultaneous."""
        if self.config.order == "simultaneous":
            return draw_once(self.generator, batch, self.prior)
        return draw(self.generator, batch, self.prior)

    def discriminator_loss(self, batch: Batch, step: int) -> Terms:
        """Half of E -log D(x) + E -log(1 - D(G(z))), the negative of eq. 1."""
        return self.adversarial.discriminator_terms(batch["image"], self.draw(batch), step=step)

    def generator_loss(self, batch: Batch) -> Terms:
        """E -log D(G(z)) (section 3), or E log(1 - D(G(z))) (eq. 1)."""
        return self.adversarial.generator_terms(self.draw(batch), real=batch["image"])

    def picture(self, data: Any) -> UInt8[np.ndarray, "H W C"] | None:
        """Figure 1, where samples are single numbers: p_data, p_g, D, the best D, and where each z goes."""
        if self.config.size > 1 or self.config.channels > 1:
            return None
        from ganvas.viz.density import density_picture

        return density_picture(self.generator, self.discriminator, self.prior, data)


SYSTEM = GAN

PRESETS = {
    "smoke": Preset(
        Config(
            size=32, channels=3, latent=8, generator_layers=(16, 16), generator_weights=0, maxout_units=(8, 8),
            maxout_pieces=2, discriminator_weights=0, width=4,
        ),
        Training(steps=4, batch=4, ema=0.9, log_every=1, grid_every=2, checkpoint_every=2, grid_images=4),
        DataOptions(flip=False),
    ),
    "demo": Preset(
        Config(),  # the published descent: with Adam at 2e-4 the same networks draw one or two digits
        Training(steps=6000, batch=100, ema=0.995, log_every=100, grid_every=500, checkpoint_every=1000),
        DataOptions(flip=False),
    ),
    # The published configuration (mnist.yaml): batches of 100 of the first 50,000 pictures.
    "mnist": Preset(
        Config(),
        Training(steps=250_000, batch=100, ema=0.0, checkpoint_every=5_000, grid_every=5_000),
        DataOptions(flip=False),
    ),
    # The published fully connected configuration for CIFAR-10.
    "cifar10": Preset(
        Config(
            size=32, channels=3, generator_layers=(8000, 8000), generator_activations=("relu", "sigmoid"),
            output="linear", maxout_units=(1600, 1600), descent=Descent(rate=0.025),
        ),
        Training(steps=250_000, batch=100, ema=0.0, checkpoint_every=5_000, grid_every=5_000),
        DataOptions(flip=False),
    ),
    # Figure 1. The paper publishes no configuration for it: two hidden layers on each side.
    "density1d": Preset(
        Config(
            size=1, channels=1, latent=1, prior="normal", generator_layers=(32, 32),
            generator_activations=("tanh", "tanh"), output="linear", generator_weights=0, maxout_units=(32, 32),
            maxout_pieces=4, input_dropout=0, hidden_dropout=0, discriminator_weights=0, order="alternating",
            discriminator_steps=3, optimizer="adam", adam=Adams(generator_rate=1e-3, discriminator_rate=2e-3),
        ),
        Training(
            steps=3000, batch=256, precision="fp32", ema=0.99, log_every=100, grid_every=100, checkpoint_every=1000,
            score_every=0,
        ),
        DataOptions(flip=False),
    ),
}  # fmt: skip
