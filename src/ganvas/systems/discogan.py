"""Unpaired translation in both directions at once (DiscoGAN).

Kim, Cha, Kim, Lee & Kim, "Learning to Discover Cross-Domain Relations with Generative Adversarial Networks" (ICML
2017), arXiv 1703.05192.

Two sets of pictures, A (`source`) and B (`image`), of which nobody says what belongs to what. G_AB and G_BA translate,
D_B and D_A judge, and what is translated there and back must be what it was:

    L_CONST_A = d(G_BA(G_AB(x_A)), x_A)                              (eq. 3)
    L_GAN_B   = E -log D_B(G_AB(x_A))                                (eq. 4)
    L_G       = L_GAN_B + L_CONST_A + L_GAN_A + L_CONST_B            (eq. 7)
    L_D       = L_D_A + L_D_B, each E -log D(x) + E -log(1 - D(G(.)))  (eq. 8)

`--model gan` is one direction without reconstruction and `--model recongan` with it (L_GAN_B + L_CONST_A, section 2.3):
what the paper compares with, and both collapse, many modes of A onto one of B. On points instead of pictures:
`ganvas train discogan mixtures2d --data mixtures2d:close` (section 4.1).

The published code does what the paper does not say, and that is left to be asked for:

    features of D matched as well, 0.1 GAN + 0.9 FM                  --gan-weight 0.1 --feature-matching 0.9
    (1 - r)(...) + r L_CONST, r = 0.01 for 10,000 steps, then 0.5    --mixing code
    D in one step of three, the generators in the other two          --schedule code
    weight decay 1e-5                                                --weight-decay 1e-5
    no pair ever seen together, where there are pairs                --halves

The preset `edges2shoes64` is all of it.

Departures: discriminators see pictures in [-1, 1], not [0, 1]; the distance d is in units of [0, 1], as published.
Translations are made with batch-norm statistics kept in training, where the published code takes those of the batch.
The paper gives the mixtures' networks three and five linear layers but not their widths.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Literal, cast

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from pydantic import ConfigDict, NonNegativeFloat, NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from ganvas.data.options import DataOptions
from ganvas.discriminators import Condition, Verdict
from ganvas.discriminators.conv import ConvDiscriminator
from ganvas.discriminators.shared import SharedDiscriminator, build_discriminator
from ganvas.engine.system import Batch, Preset, System, Terms, Update
from ganvas.engine.training import Training
from ganvas.errors import UserError
from ganvas.losses.adversarial import AdversarialLoss, Probability
from ganvas.losses.options import Adversarial
from ganvas.nn.dtypes import at_least_float32
from ganvas.nn.init import default_init
from ganvas.nn.latent import once
from ganvas.nn.optim import Adams

PAPER = "arXiv:1703.05192"

HALVINGS = 4
"""How often a generator halves the resolution before it doubles it again."""

DISTANCES = {"mse": F.mse_loss, "l1": F.l1_loss, "huber": F.smooth_l1_loss}


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Config:
    """Networks and losses of DiscoGAN."""

    size: PositiveInt = 64
    """Side of the pictures, pixels: a power of two from 16 (64 in the paper); 1 for points instead of pictures."""
    channels: PositiveInt = 3
    """Channels of the pictures of B; of points, coordinates."""
    source_channels: PositiveInt = 3
    """Channels of the pictures of A; of points, coordinates."""
    width: PositiveInt = 64
    """Channels after the first convolution of all networks; of points, units of every hidden layer."""
    bottleneck: NonNegativeInt = 0
    """Channels of one more layer down to 1x1 in the generators (100 in the code for cars, faces, chairs); 0: none."""
    discriminator: SharedDiscriminator = "conv"
    """The paper's, which is DCGAN's, or one of BigGAN, U-Net GAN or pix2pix."""
    model: Literal["discogan", "recongan", "gan"] = "discogan"
    """Both directions, or one with reconstruction, or one without (figures 2 and 3 of the paper)."""
    distance: Literal["mse", "l1", "huber"] = "mse"
    """d, between a picture and what comes back, pixels in [0, 1]; numbers as they are for points."""
    reconstruction_weight: NonNegativeFloat = 1.0
    """Weight of the reconstructions beside the adversarial loss (paper: 1); not with mixing code."""
    gan_weight: NonNegativeFloat = 1.0
    """Weight of the generators' adversarial loss (paper: 1; code: 0.1, and 0.9 of feature matching)."""
    mixing: Literal["paper", "code"] = "paper"
    """Losses added (eq. 7), or (1 - r) adversarial and r reconstruction as in the published code."""
    first_rate: Probability = 0.01
    """r at first, with mixing code (0.9 in its angle tasks)."""
    rate: Probability = 0.5
    """r afterwards, with mixing code."""
    rate_steps: NonNegativeInt = 10_000
    """Steps that r stays at first, with mixing code."""
    schedule: Literal["paper", "code"] = "paper"
    """Discriminators and generators in every step, or discriminators in one of three and generators in the others."""
    adversarial: Adversarial = Adversarial()
    """The adversarial loss, the same for both discriminators."""
    adam: Adams = Adams()
    """Adam for both generators and for both discriminators."""


class Generator(nn.Module):
    """Down to a sixteenth of the resolution and up again (section 3.1).

    Args:
        config: See `Config`.
        inputs: Channels of the pictures that it takes.
        outputs: Of those that it gives.

    Raises:
        UserError: With a bottleneck, a size other than 64.
    """

    def __init__(self, config: Config, inputs: int, outputs: int) -> None:
        super().__init__()
        widths = [config.width << level for level in range(HALVINGS)]
        layers: list[nn.Module] = [nn.Conv2d(inputs, widths[0], 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)]
        for below, above in itertools.pairwise(widths):
            layers += [nn.Conv2d(below, above, 4, 2, 1, bias=False), nn.BatchNorm2d(above)]
            layers += [nn.LeakyReLU(0.2, inplace=True)]
        if config.bottleneck:
            if config.size != 64:
                raise UserError(f"the bottleneck is made for pictures of 64 px, not {config.size}: give --bottleneck 0")
            layers += [nn.Conv2d(widths[-1], config.bottleneck, 4, 1, 0, bias=False), nn.BatchNorm2d(config.bottleneck)]
            layers += [nn.LeakyReLU(0.2, inplace=True)]
            layers += [nn.ConvTranspose2d(config.bottleneck, widths[-1], 4, 1, 0, bias=False)]
            layers += [nn.BatchNorm2d(widths[-1]), nn.ReLU(inplace=True)]
        for above, below in itertools.pairwise(widths[::-1]):
            layers += [nn.ConvTranspose2d(above, below, 4, 2, 1, bias=False), nn.BatchNorm2d(below)]
            layers += [nn.ReLU(inplace=True)]
        layers += [nn.ConvTranspose2d(widths[0], outputs, 4, 2, 1, bias=False)]
        self.layers = nn.Sequential(*layers)

    def forward(self, pictures: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H W"]:
        """Pictures in (-1, 1); in [0, 1] within, as published, where the output is a sigmoid."""
        return 2 * torch.sigmoid(at_least_float32(self.layers((pictures + 1) / 2))) - 1


class PointGenerator(nn.Module):
    """Three linear layers, for points (section 4.1).

    Args:
        width: Units of the hidden layers.
        inputs: Coordinates of the points that it takes.
        outputs: Of those that it gives.
    """

    def __init__(self, width: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, outputs)
        )

    def forward(self, points: Float[Tensor, "B C 1 1"]) -> Float[Tensor, "B D 1 1"]:
        """Points of the other mixture."""
        return at_least_float32(self.layers(points.flatten(1)))[:, :, None, None]


class PointDiscriminator(nn.Module):
    """Five linear layers, for points (section 4.1).

    Args:
        width: Units of the hidden layers.
        inputs: Coordinates of a point.
    """

    def __init__(self, width: int, inputs: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(size, width) for size in [inputs, width, width, width])
        self.head = nn.Linear(width, 1)

    def forward(self, points: Float[Tensor, "B C 1 1"], condition: Condition | None = None) -> Verdict:
        """Head `image` (B,); features are the activations."""
        h = points.flatten(1)
        features = []
        for layer in self.layers:
            h = F.relu(layer(h))
            features.append(h)
        return Verdict({"image": self.head(h).squeeze(1)}, tuple(features))


class DiscoGAN(System):
    """Two generators, or one, against a discriminator of what each gives."""

    needs = frozenset({"source", "image"})
    sides = "unpaired"
    generator: nn.ModuleDict
    discriminator: nn.ModuleDict

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.rates = config.adam
        if config.mixing == "code" and config.reconstruction_weight != 1:
            raise UserError("with --mixing code the reconstruction weighs r: give --first-rate and --rate instead")
        if config.model == "gan" and config.mixing == "code":
            raise UserError("--model gan has no reconstruction to be mixed in: give --mixing paper")
        # A is the source's side, B the image's.
        channels = {"A": config.source_channels, "B": config.channels}
        both = config.model == "discogan"
        self.directions = ("AtoB", "BtoA") if both else ("AtoB",)
        ways = (
            ("AtoB",) if config.model == "gan" else ("AtoB", "BtoA")
        )  # recongan needs the way back, nothing judges it
        self.generator = nn.ModuleDict({way: _generator(config, channels[way[0]], channels[way[-1]]) for way in ways})
        judged = ("A", "B") if both else ("B",)
        self.discriminator = nn.ModuleDict({side: _discriminator(config, channels[side]) for side in judged})
        self.adversarial = nn.ModuleDict(
            {
                side: config.adversarial.loss(network, discriminator_weight=0.5, generator_weight=config.gan_weight)
                for side, network in self.discriminator.items()
            }
        )
        self.multiple = 1 if config.size == 1 else config.size if config.bottleneck else 2**HALVINGS

    def updates(self, step: int) -> Iterable[Update]:
        """The discriminators and the generators; or the ones in every third step and the others in between."""
        alone = self.config.schedule == "code"
        if not alone or step % 3 == 0:
            yield Update("discriminator", (self.discriminator,), partial(self.discriminator_loss, step=step))
        if not alone or step % 3:
            yield Update("generator", (self.generator,), partial(self.generator_loss, step=step))

    def draw(self, batch: Batch, way: str) -> Tensor:
        """G_AB(x_A) or G_BA(x_B), once a step."""
        given = batch["source" if way[0] == "A" else "image"]
        return once(batch, way, self.generator, lambda: self.generator[way](given))

    def loss(self, side: str) -> AdversarialLoss:
        """The adversarial loss of a side."""
        return cast(AdversarialLoss, self.adversarial[side])

    def discriminator_loss(self, batch: Batch, step: int) -> Terms:
        """L_D, each half of it halved as in the published code."""
        terms: Terms = {}
        for way in self.directions:
            side = way[-1]
            real = batch["source" if side == "A" else "image"]
            # In the published schedule the generators do not move in this step: no graph is needed.
            with torch.set_grad_enabled(self.config.schedule == "paper"):
                fake = self.draw(batch, way)
            found = self.loss(side).discriminator_terms(real, fake, step=step)
            terms |= {f"{side}_{name}": term for name, term in found.items()}
        return terms

    def generator_loss(self, batch: Batch, step: int) -> Terms:
        """L_G (eq. 7), or as the published code mixes it."""
        config = self.config
        r = config.first_rate if step < config.rate_steps else config.rate
        adversarial, reconstruction = (1 - r, r) if config.mixing == "code" else (1.0, config.reconstruction_weight)
        terms: Terms = {}
        for way in self.directions:
            side, start = way[-1], batch["source" if way[0] == "A" else "image"]
            fake = self.draw(batch, way)
            real = batch["source" if side == "A" else "image"]
            found = self.loss(side).generator_terms(fake, real=real)
            terms |= {f"{side}_{name}": adversarial * term for name, term in found.items()}
            if config.model != "gan":
                back = self.generator[f"{side}to{way[0]}"](fake)
                terms[f"{way[0]}_reconstruction"] = reconstruction * self.distance(back, start)  # eq. 3
        return terms

    def distance(self, back: Tensor, start: Tensor) -> Tensor:
        """d, of pixels in [0, 1]; of points as they are."""
        scale = 1.0 if self.config.size == 1 else 0.5
        return DISTANCES[self.config.distance](back * scale, start * scale)

    def prepare_sampling(self) -> None:
        """Nothing: the statistics of batch norm are those kept in training."""

    def translate(self, source: Tensor, seeds: Sequence[int], direction: str = "AtoB") -> Tensor:
        """G_AB(x_A) or G_BA(x_B); nothing is drawn at random."""
        pictures: Tensor = self.generator[direction](source)
        return pictures

    def picture(self, data: Any) -> UInt8[np.ndarray, "H W C"] | None:
        """Where samples are points: where each mode of A goes among those of B, and what D_B says (figure 4)."""
        if self.config.size > 1 or self.config.channels != 2 or self.config.source_channels != 2:
            return None
        from ganvas.viz.mixtures import mixtures_picture

        return mixtures_picture(self.generator["AtoB"], self.discriminator["B"], data.source, data.target)


def _generator(config: Config, inputs: int, outputs: int) -> nn.Module:
    if config.size == 1:
        return PointGenerator(config.width, inputs, outputs)
    if config.size % 2**HALVINGS:
        raise UserError(f"the generators halve the size four times: give a multiple of 16 px, not {config.size}")
    return Generator(config, inputs, outputs)


def _discriminator(config: Config, channels: int) -> nn.Module:
    if config.size == 1:
        return PointDiscriminator(config.width, channels)
    if config.discriminator == "conv":
        network = ConvDiscriminator(config.size, channels=channels, width=config.width)
        default_init(network)  # PyTorch's own, as in the published code, not DCGAN's
        return network
    return build_discriminator(config.discriminator, config.size, channels=channels, width=config.width)


SYSTEM = DiscoGAN


def _code(**changes: Any) -> Config:
    """What the published code adds to the paper."""
    return Config(gan_weight=0.1, mixing="code", schedule="code", adam=Adams(weight_decay=1e-5), **changes)


PRESETS = {
    "smoke": Preset(
        Config(size=32, width=4),
        Training(steps=4, batch=4, ema=0.9, log_every=1, grid_every=2, checkpoint_every=2, grid_images=4),
        DataOptions(),
    ),
    "smoke-code": Preset(
        Config(
            size=32,
            width=4,
            gan_weight=0.1,
            mixing="code",
            schedule="code",
            rate_steps=1,
            adversarial=Adversarial(feature_matching=0.9),
        ),
        Training(steps=4, batch=4, ema=0.0, log_every=1, grid_every=2, checkpoint_every=2, grid_images=4),
        DataOptions(),
    ),
    "demo": Preset(
        Config(size=32, width=32, reconstruction_weight=100.0),
        Training(steps=2500, batch=32, ema=0.0, log_every=50, grid_every=500, checkpoint_every=500, grid_images=16),
        DataOptions(halves=True),
    ),
    # Figure 4: five modes of A, ten of B.
    "mixtures2d": Preset(
        Config(size=1, channels=2, source_channels=2, width=128),
        Training(
            steps=5000,
            batch=256,
            ema=0.0,
            precision="fp32",
            score_every=0,
            log_every=100,
            grid_every=500,
            checkpoint_every=1000,
            grid_images=16,
        ),
        DataOptions(),
    ),
    "edges2shoes64": Preset(
        _code(adversarial=Adversarial(feature_matching=0.9)),
        Training(steps=100_000, batch=64, ema=0.0, checkpoint_every=5_000, grid_every=5_000, log_every=100),
        DataOptions(flip=False, halves=True),
    ),
    # Angles: later features, reconstruction first, and a layer down to 1x1.
    "car2car64": Preset(
        _code(
            bottleneck=100,
            first_rate=0.9,
            rate=0.9,
            adversarial=Adversarial(feature_matching=0.9, first_matched=3),
        ),
        Training(steps=100_000, batch=64, ema=0.0, checkpoint_every=5_000, grid_every=5_000, log_every=100),
        DataOptions(flip=False),
    ),
    # The paper's losses alone, as published in it: batches of 200.
    "celeba64": Preset(
        Config(adam=Adams(weight_decay=1e-4)),
        Training(steps=100_000, batch=200, ema=0.0, checkpoint_every=5_000, grid_every=5_000, log_every=100),
        DataOptions(flip=False),
    ),
}
