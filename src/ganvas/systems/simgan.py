"""Refining simulated pictures until they look real, with their annotations kept (SimGAN).

Shrivastava, Pfister, Tuzel, Susskind, Wang & Webb, "Learning from Simulated and Unsupervised Images through Adversarial
Training" (CVPR 2017), arXiv 1612.07828.

A refiner R changes a simulated picture x (`source`), of which everything is known, so that a discriminator D takes it
for one of the real pictures y (`image`), of which nothing is:

    L_D(phi)   = -sum log D(R(x)) - sum log(1 - D(y))                       (eq. 2), D the probability of `refined`
    L_R(theta) = -sum log(1 - D(R(x))) + lambda |psi(R(x)) - psi(x)|_1      (eq. 1, 3, 4)

psi is the identity or a map of features (`--regularise`). D is fully convolutional and judges patches, so that what it
asks for is the same everywhere in the picture (section 2.2). It is shown refined pictures of the past as well
(`--history`, section 2.3). Algorithm 1: R learns to change nothing (`--refiner-warmup` steps), then D alone
(`--discriminator-warmup`), then K_g updates of R and K_d of D a step (`--refiner-updates`, `--discriminator-updates`).
Train it on two sides, such as `--data fonts-digits::digits:train`, refine with `ganvas translate`, and test people with
`ganvas turing`.

Departures: logits stand for `real`, as everywhere here; the paper's D is one minus that, and its losses are the same.
The two-channel softmax of a patch is the sigmoid of the difference of its channels. Losses are means over patches and
pixels, not sums, so lambda is larger than for sums (the paper gives neither lambda nor the size of the history). R ends
in a tanh, as in the common port; with `--residual` its last layer adds to the picture instead. The first updates of R
and of D in a step share a batch of simulated and real pictures, where Algorithm 1 draws anew. Pictures are square: the
paper's 35 x 55 eyes are 55 x 55 in the preset `gaze`; `ganvas translate` takes any size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from ganvas.data.options import DataOptions
from ganvas.discriminators import Condition, Verdict
from ganvas.discriminators.shared import SharedDiscriminator, build_discriminator
from ganvas.engine.system import Batch, Preset, System, Terms, Update
from ganvas.engine.training import Training
from ganvas.errors import UserError
from ganvas.losses.options import Adversarial
from ganvas.nn.dtypes import at_least_float32
from ganvas.nn.optim import Adams, Descent, chosen

PAPER = "arXiv:1612.07828"

RATES = Adams(generator_rate=1e-3, discriminator_rate=1e-3)


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Config:
    """Networks and losses of SimGAN."""

    size: Annotated[int, Field(ge=16)] = 56
    """Side of the pictures in training, pixels."""
    channels: PositiveInt = 1
    """Channels of the real pictures, and of the refined."""
    source_channels: PositiveInt = 1
    """Channels of the simulated pictures: as many."""
    width: PositiveInt = 64
    """Channels within the refiner."""
    blocks: PositiveInt = 4
    """Residual blocks of the refiner (4 for eyes, 10 for hands)."""
    kernel: Literal[3, 5, 7] = 3
    """Side of the refiner's kernels, pixels (3 for eyes, 7 for hands)."""
    residual: bool = False
    """Add the refiner's output to the picture instead of putting it in its place."""
    discriminator: Literal["local", SharedDiscriminator] = "local"
    """The paper's, or one of DCGAN, BigGAN, U-Net GAN or pix2pix."""
    layout: Literal["gaze", "hands"] = "gaze"
    """Kernels and strides of the local discriminator: those for eyes, or those for hands of 224 px."""
    regularise: Literal["identity", "mean", "derivatives"] = "identity"
    """psi: the picture, the mean of its channels, or its differences from pixel to pixel (section 2.1)."""
    regularisation: NonNegativeFloat = 0.1
    """Weight of the self-regularisation, lambda, on a mean over pixels in [-1, 1]; the paper names none."""
    refiner_warmup: NonNegativeInt = 1000
    """Steps in which the refiner learns from self-regularisation alone."""
    discriminator_warmup: NonNegativeInt = 200
    """Steps after those in which the discriminator alone learns."""
    refiner_updates: PositiveInt = 2
    """K_g, updates of the refiner a step (2 in the first version of the paper, 50 for eyes in the last)."""
    discriminator_updates: PositiveInt = 1
    """K_d, updates of the discriminator a step."""
    adversarial: Adversarial = Adversarial(history=1280)
    """The adversarial loss, with its history of refined pictures; the paper does not say how many."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """Gradient descent (paper) or Adam (common ports)."""
    descent: Descent = Descent()
    """Settings of gradient descent."""
    adam: Adams = RATES
    """Settings of Adam."""


class Refiner(nn.Module):
    """A residual network that keeps the resolution (section 3.1, appendix).

    Args:
        config: See `Config`.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.residual = config.residual
        self.first = nn.Conv2d(config.channels, config.width, config.kernel, padding=config.kernel // 2)
        self.blocks = nn.ModuleList(ResidualBlock(config.width, config.kernel) for _ in range(config.blocks))
        self.last = nn.Conv2d(config.width, config.channels, 1)

    def forward(self, source: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Refined pictures in [-1, 1]."""
        h = F.relu(self.first(source), inplace=True)
        for block in self.blocks:
            h = block(h)
        change = at_least_float32(self.last(h))
        return (source + change).clamp(-1, 1) if self.residual else torch.tanh(change)


class ResidualBlock(nn.Module):
    """Two convolutions around which the input goes.

    Args:
        width: Channels.
        kernel: Side of the kernels, pixels.
    """

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, kernel, padding=kernel // 2)
        self.second = nn.Conv2d(width, width, kernel, padding=kernel // 2)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """ReLU of the sum."""
        return F.relu(x + self.second(F.relu(self.first(x), inplace=True)), inplace=True)


class LocalDiscriminator(nn.Module):
    """Fully convolutional: a logit for each patch (section 2.2, appendix).

    Args:
        channels: Of the pictures.
        layout: See `Config.layout`.
    """

    def __init__(self, channels: int, layout: Literal["gaze", "hands"]) -> None:
        super().__init__()
        if layout == "gaze":
            layers = [
                nn.Conv2d(channels, 96, 3, 2, 1), nn.ReLU(), nn.Conv2d(96, 64, 3, 2, 1), nn.ReLU(),
                nn.MaxPool2d(3, 1, 1), nn.Conv2d(64, 32, 3, 1, 1), nn.ReLU(),
            ]  # fmt: skip
        else:
            layers = [
                nn.Conv2d(channels, 96, 7, 4, 3), nn.ReLU(), nn.Conv2d(96, 64, 5, 2, 2), nn.ReLU(),
                nn.MaxPool2d(3, 2, 1), nn.Conv2d(64, 32, 3, 2, 1), nn.ReLU(),
            ]  # fmt: skip
        self.layers = nn.Sequential(*layers, nn.Conv2d(32, 32, 1), nn.ReLU())
        self.head = nn.Conv2d(32, 2, 1)

    def forward(self, images: Float[Tensor, "B C H W"], condition: Condition | None = None) -> Verdict:
        """Head `patch` (B, 1, h, w), larger where a patch looks more real; features are the last before it."""
        h = self.layers(images)
        refined, real = self.head(h).chunk(2, 1)
        return Verdict({"patch": real - refined}, (h,))


class SimGAN(System):
    """The refiner against a local discriminator with a memory."""

    needs = frozenset({"source", "image"})
    sides = "unpaired"

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        if config.channels != config.source_channels:
            raise UserError(
                f"a refiner keeps the channels: --source-channels is {config.source_channels} and --channels "
                f"{config.channels}; give the same"
            )
        if config.regularise == "mean" and config.channels == 1:
            raise UserError("the mean of one channel is the picture itself: give --regularise identity")
        self.rates = chosen(config.optimizer, config.descent, config.adam, usual=RATES)
        self.generator = Refiner(config)
        if config.discriminator == "local":
            self.discriminator = LocalDiscriminator(config.channels, config.layout)
        else:
            self.discriminator = build_discriminator(
                config.discriminator, config.size, channels=config.channels, width=config.width
            )
        self.adversarial = config.adversarial.loss(self.discriminator)

    def updates(self, step: int) -> Iterable[Update]:
        """Algorithm 1, the warm-up of each network before it."""
        config = self.config
        judge = Update("discriminator", (self.discriminator,), partial(self.discriminator_loss, step=step))
        if step < config.refiner_warmup:
            yield Update("generator", (self.generator,), self.warmup_loss)
        elif step < config.refiner_warmup + config.discriminator_warmup:
            yield judge
        else:
            refiner = self.generator_loss
            yield Update("generator", (self.generator,), refiner, repeats=config.refiner_updates)
            yield Update(judge.name, judge.networks, judge.loss, repeats=config.discriminator_updates)

    def warmup_loss(self, batch: Batch) -> Terms:
        """Self-regularisation alone, whatever its weight later."""
        refined = self.generator(batch["source"])
        return {"regularisation": self.distance(refined, batch["source"])}

    def discriminator_loss(self, batch: Batch, step: int) -> Terms:
        """Eq. 2."""
        with torch.no_grad():  # the refiner has moved since it last saw this batch
            refined = self.generator(batch["source"])
        return self.adversarial.discriminator_terms(batch["image"], refined, step=step)

    def generator_loss(self, batch: Batch) -> Terms:
        """Eq. 4."""
        refined = self.generator(batch["source"])
        terms = self.adversarial.generator_terms(refined, real=batch["image"])
        if self.config.regularisation:
            distance = self.distance(refined, batch["source"])
            terms["regularisation"] = self.config.regularisation * distance  # eq. 3
        return terms

    def distance(self, refined: Tensor, source: Tensor) -> Tensor:
        """|psi(R(x)) - psi(x)|_1, a mean over pixels."""
        if self.config.regularise == "identity":
            return F.l1_loss(refined, source)
        difference = refined - source  # psi is linear
        if self.config.regularise == "mean":
            return difference.mean(1).abs().mean()
        return difference.diff(dim=2).abs().mean() + difference.diff(dim=3).abs().mean()

    def prepare_sampling(self) -> None:
        """Nothing: the refiner keeps no statistics."""

    def translate(
        self, source: Float[Tensor, "B C H W"], seeds: Sequence[int], direction: str = "AtoB"
    ) -> Float[Tensor, "B C H W"]:
        """R(x); nothing is drawn at random."""
        pictures: Tensor = self.generator(source)
        return pictures


SYSTEM = SimGAN

# The paper's gradient descent: a constant rate, no momentum.
_DESCENT = Descent(rate=1e-3, rate_divisor=1, momentum=0, final_momentum=0, momentum_steps=0)

PRESETS = {
    "smoke": Preset(
        Config(
            size=32,
            channels=3,
            source_channels=3,
            width=4,
            blocks=1,
            refiner_warmup=1,
            discriminator_warmup=0,
            adversarial=Adversarial(history=4),
        ),
        Training(steps=4, batch=4, ema=0.9, log_every=1, grid_every=2, checkpoint_every=2, grid_images=4),
        DataOptions(),
    ),
    "demo": Preset(
        Config(size=32, width=16, refiner_warmup=200, discriminator_warmup=50, regularisation=1.0),
        Training(steps=1500, batch=32, ema=0.99, log_every=50, grid_every=250, checkpoint_every=500, grid_images=16),
        DataOptions(flip=False),
    ),
    # Section 3.1, with K_g as published last; lambda, the history and the steps are not in the paper.
    "gaze": Preset(
        Config(size=55, refiner_updates=50, optimizer="sgd", descent=_DESCENT, adversarial=Adversarial(history=25_600)),
        Training(steps=10_000, batch=512, ema=0.0, checkpoint_every=500, grid_every=500),
        DataOptions(flip=False),
    ),
    # Section 3.2: depth pictures of hands.
    "hands": Preset(
        Config(size=224, kernel=7, blocks=10, layout="hands", optimizer="sgd", descent=_DESCENT),
        Training(steps=10_000, batch=32, ema=0.0, checkpoint_every=500, grid_every=500, grid_images=16),
        DataOptions(flip=False),
    ),
}
