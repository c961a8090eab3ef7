"""Image-to-image translation with conditional adversarial networks (pix2pix).

Isola, Zhu, Zhou & Efros, "Image-to-Image Translation with Conditional Adversarial Networks" (CVPR 2017),
arXiv 1611.07004.

A generator G turns a picture x (`source`) into its counterpart y (`image`). A discriminator looks at patches of x and y
side by side and says whether y is real:

    L_cGAN = E log D(x, y) + E log(1 - D(x, G(x, z)))    (eq. 1); without x, E log D(y) + ... (eq. 2)
    L_L1   = E |y - G(x, z)|                             (eq. 3)
    G*     = arg min_G max_D L_cGAN + lambda L_L1        (eq. 4)

G maximises log D(x, G(x, z)), and D's loss is halved (section 3.3). The noise z is dropout in G, at work when it
translates as well. What the paper takes apart:

    L1; GAN; cGAN; L1 + GAN; L1 + cGAN (section 4.1)   --gan none|unconditional|conditional, --reconstruction l1|l2|none
    U-Net or encoder-decoder (section 4.2)             --no-skips
    PixelGAN, PatchGAN, ImageGAN (section 4.3)         --patch 1|16|34|70|142|286

Norms take the statistics of the batch in training and of each picture when it translates, which at the paper's batches
of one picture is the same; for larger batches there is `--norm instance`.

Departures: the discriminator's last two convolutions have stride 1, as in the published code. Convolutions before a
batch norm have no bias (that code keeps them at 0). G's loss is computed with D as it is after its update; that code
takes D's activations from before. Pictures smaller than 256 px have fewer layers, down to 1x1 all the same. Colours are
in the order red, green, blue. The published code trains at a constant rate; `--decay-from` and `--decay-steps` lower it
linearly as the authors' later code does. Colourisation is done in RGB, not in Lab.
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
from ganvas.discriminators import Condition
from ganvas.discriminators.maps import WithMaps
from ganvas.discriminators.patch import Field as PatchField
from ganvas.discriminators.patch import PatchDiscriminator
from ganvas.discriminators.shared import SharedDiscriminator, build_discriminator
from ganvas.engine.system import Batch, Preset, System, Terms, Update
from ganvas.engine.training import Training
from ganvas.errors import UserError
from ganvas.losses.options import Adversarial
from ganvas.nn.dropout import NoiseDropout, noise_from
from ganvas.nn.dtypes import at_least_float32
from ganvas.nn.init import dcgan_init
from ganvas.nn.latent import FAKE, once
from ganvas.nn.norm import OwnStatistics, PictureNorm, norm_layer
from ganvas.nn.optim import Adams

PAPER = "arXiv:1611.07004"

WIDEST = 8
"""Channels of the generator's narrowest maps, in units of the width, at most."""


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Config:
    """Networks and losses of pix2pix."""

    size: Annotated[int, Field(ge=16)] = 256
    """Side of the pictures in training, pixels: a multiple of 2 to the number of levels."""
    channels: PositiveInt = 3
    """Channels of the pictures that are drawn."""
    source_channels: PositiveInt = 3
    """Channels of the pictures that are translated."""
    width: PositiveInt = 64
    """Channels after the first convolution of both networks; they double up to eight-fold."""
    levels: NonNegativeInt = 0
    """How often the generator halves the resolution; 0: down to 1x1 (paper: 8 at 256 px)."""
    skips: bool = True
    """U-Net: each decoder layer sees the encoder's of the same size too; otherwise an encoder-decoder."""
    norm: PictureNorm = "batch"
    """In both networks: batch norm with the statistics of the batch (paper), or instance norm."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of the first three decoder layers' outputs that is dropped, as noise; 0 is none."""
    test_dropout: bool = True
    """Whether dropout is at work when translating too (paper), so that every seed gives another picture."""
    discriminator: SharedDiscriminator = "patch"
    """The paper's, or one of DCGAN, BigGAN or U-Net GAN."""
    patch: PatchField = 70
    """Side of the patch that each of the patch discriminator's logits sees, pixels."""
    gan: Literal["conditional", "unconditional", "none"] = "conditional"
    """Whether the discriminator sees the source (cGAN), does not (GAN), or there is none."""
    reconstruction: Literal["l1", "l2", "none"] = "l1"
    """Distance to the true picture: mean absolute (paper) or mean squared difference of pixels in [-1, 1]."""
    reconstruction_weight: NonNegativeFloat = 100.0
    """Weight of that distance, lambda."""
    halve: bool = True
    """Halve the discriminator's loss (section 3.3)."""
    adversarial: Adversarial = Adversarial()
    """The adversarial loss."""
    adam: Adams = Adams()
    """Adam for each network (section 3.4)."""


class Generator(nn.Module):
    """U-Net or encoder-decoder (appendix 6.1.1).

    Args:
        config: See `Config`.

    Raises:
        UserError: The size cannot be halved so often.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.levels = levels_of(config)
        self.skips = config.skips
        widths = [min(2**level, WIDEST) * config.width for level in range(self.levels)]
        bias = config.norm != "batch"

        def norm(channels: int) -> nn.Module:
            return OwnStatistics(channels) if config.norm == "batch" else norm_layer(config.norm, channels)

        self.encoder = nn.ModuleList()
        inputs = config.source_channels
        for level, outputs in enumerate(widths):
            layers: list[nn.Module] = [nn.LeakyReLU(0.2)] if level else []
            layers.append(nn.Conv2d(inputs, outputs, 4, 2, 1, bias=bias))
            # A norm of a single position would leave nothing of it.
            layers += [norm(outputs)] if 0 < level < self.levels - 1 else []
            self.encoder.append(nn.Sequential(*layers))
            inputs = outputs
        self.decoder = nn.ModuleList()
        for level, outputs in enumerate(widths[-2::-1]):
            layers = [nn.ReLU(inplace=True), nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=bias), norm(outputs)]
            layers += [NoiseDropout(config.dropout)] if config.dropout and level < 3 else []
            self.decoder.append(nn.Sequential(*layers))
            inputs = outputs * (2 if config.skips else 1)
        last = nn.ConvTranspose2d(inputs, config.channels, 4, 2, 1)
        self.decoder.append(nn.Sequential(nn.ReLU(inplace=True), last))
        dcgan_init(self)

    def forward(self, source: Float[Tensor, "B S H W"]) -> Float[Tensor, "B C H W"]:
        """Pictures in (-1, 1); H and W are multiples of 2 ** levels."""
        h = source
        kept = []
        for layer in self.encoder:
            h = layer(h)
            kept.append(h)
        kept.pop()
        for number, layer in enumerate(self.decoder):
            if number and self.skips:
                h = torch.cat([h, kept.pop()], 1)
            h = layer(h)
        return torch.tanh(at_least_float32(h))


def levels_of(config: Config) -> int:
    """How often the generator halves the resolution.

    Raises:
        UserError: The size cannot be halved so often.
    """
    levels = config.levels or config.size.bit_length() - 1
    if levels < 2 or config.size % 2**levels:
        hint = "a power of two, or --levels with fewer" if not config.levels else f"a multiple of {2**levels}"
        raise UserError(f"pictures of {config.size} px cannot be halved {levels} times: give --size {hint}")
    return levels


class Pix2Pix(System):
    """The generator above against a discriminator of pairs."""

    needs = frozenset({"source", "image"})
    sides = "paired"

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.rates = config.adam
        self.generator = Generator(config)
        self.multiple = 2**self.generator.levels
        self.discriminator = nn.Identity()
        if config.gan == "none":
            if config.reconstruction == "none":
                raise UserError("--gan none and --reconstruction none leave nothing to learn: give one of the two")
            if config.adversarial != Adversarial():
                raise UserError("with --gan none there is no adversarial loss: leave its settings as they are")
            return
        if config.gan == "conditional" and "translation" in config.adversarial.diffaugment:
            raise UserError("translation would move pictures away from their sources: give --diffaugment color,cutout")
        channels = config.channels + (config.source_channels if config.gan == "conditional" else 0)
        if config.discriminator == "patch":
            network: nn.Module = PatchDiscriminator(
                config.size, channels=channels, width=config.width, field=config.patch, norm=config.norm
            )
        else:
            network = build_discriminator(config.discriminator, config.size, channels=channels, width=config.width)
        self.discriminator = WithMaps(network) if config.gan == "conditional" else network
        self.adversarial = config.adversarial.loss(
            self.discriminator, discriminator_weight=0.5 if config.halve else 1.0
        )

    def updates(self, step: int) -> Iterable[Update]:
        """The discriminator, if there is one, then the generator on the same translations."""
        if self.config.gan != "none":
            yield Update("discriminator", (self.discriminator,), partial(self.discriminator_loss, step=step))
        yield Update("generator", (self.generator,), self.generator_loss)

    def draw(self, batch: Batch) -> Float[Tensor, "B C H W"]:
        """G(x, z), once a step."""
        return once(batch, FAKE, self.generator, lambda: self.generator(batch["source"]))

    def condition(self, batch: Batch) -> Condition | None:
        """x, where the discriminator sees it."""
        return Condition(maps=batch["source"]) if self.config.gan == "conditional" else None

    def discriminator_loss(self, batch: Batch, step: int) -> Terms:
        """Eq. 1 or 2, halved."""
        fake = self.draw(batch)
        return self.adversarial.discriminator_terms(batch["image"], fake, self.condition(batch), step=step)

    def generator_loss(self, batch: Batch) -> Terms:
        """Eq. 4."""
        fake, image = self.draw(batch), batch["image"]
        terms: Terms = {}
        if self.config.gan != "none":
            terms |= self.adversarial.generator_terms(fake, self.condition(batch), real=image)
        if self.config.reconstruction != "none":
            distance = F.l1_loss if self.config.reconstruction == "l1" else F.mse_loss
            terms[self.config.reconstruction] = self.config.reconstruction_weight * distance(fake, image)  # eq. 3
        return terms

    def prepare_sampling(self) -> None:
        """Nothing: the norms take the statistics of what is translated."""

    def translate(
        self, source: Float[Tensor, "B S H W"], seeds: Sequence[int], direction: str = "AtoB"
    ) -> Float[Tensor, "B C H W"]:
        """G(x, z), the dropout drawn from the seeds."""
        if not self.config.test_dropout:
            pictures: Tensor = self.generator(source)
            return pictures
        with noise_from(self.generator, seeds):
            pictures = self.generator(source)
        return pictures


SYSTEM = Pix2Pix


def _paper(images: int, epochs: int, batch: int, *, jitter: bool = True, **changes: object) -> Preset:
    """One of the paper's data sets (appendix 6.2): 286 px cut to 256 and mirrored, but where there is no jitter."""
    return Preset(
        Config(**changes),  # type: ignore[arg-type]
        Training(
            steps=images * epochs // batch, batch=batch, ema=0.0, checkpoint_every=5_000, grid_every=5_000,
            grid_images=16, log_every=100,
        ),
        DataOptions(load_size=286 if jitter else 0, flip=jitter),
    )  # fmt: skip


PRESETS = {
    "smoke": Preset(
        Config(size=32, width=4, patch=16),
        Training(steps=4, batch=4, ema=0.9, log_every=1, grid_every=2, checkpoint_every=2, grid_images=4),
        DataOptions(),
    ),
    "smoke-instance": Preset(
        Config(size=32, width=4, patch=1, norm="instance", skips=False, gan="unconditional", reconstruction="l2"),
        Training(steps=4, batch=4, ema=0.9, log_every=1, grid_every=2, checkpoint_every=2, grid_images=4),
        DataOptions(),
    ),
    # The rate is that of experiments/pix2pix.toml: the paper's draws no colour in so few steps.
    "demo": Preset(
        Config(
            size=64,
            width=32,
            norm="instance",
            patch=34,
            adam=Adams(generator_rate=5e-4, discriminator_rate=5e-4, decay_from=1000, decay_steps=1000),
        ),
        Training(steps=2000, batch=8, ema=0.99, log_every=50, grid_every=500, checkpoint_every=500, grid_images=16),
        DataOptions(load_size=72),
    ),
    "facades256": _paper(400, 200, 1),
    "maps256": _paper(1_096, 200, 1),
    "cityscapes256": _paper(2_975, 200, 1),
    "edges2shoes256": _paper(50_000, 15, 4, jitter=False, source_channels=1),
    "edges2handbags256": _paper(137_000, 15, 4, source_channels=1),
    "day2night256": _paper(17_823, 17, 4),
    "colorization256": _paper(1_200_000, 6, 4, source_channels=1),
}
