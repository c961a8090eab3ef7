"""Photographs at several times their resolution (SRResNet and SRGAN).

Ledig, Theis, Huszar, Caballero, Cunningham, Acosta, Aitken, Tejani, Totz, Wang & Shi, "Photo-Realistic Single Image
Super-Resolution Using a Generative Adversarial Network" (CVPR 2017), arXiv 1609.04802v5.

A generator G enlarges a small picture I^LR (`source`) r times; I^HR (`image`) is what it was made from. A discriminator
D tells photographs from enlargements:

    min_G max_D  E log D(I^HR) + E log(1 - D(G(I^LR)))                                            (eq. 2)
    l^SR      = l_X + 1e-3 l_Gen, l_X one of:                                                      (eq. 3)
    l_MSE     = 1 / (r^2 W H) sum_xy (I^HR_xy - G(I^LR)_xy)^2                                      (eq. 4)
    l_VGG/i.j = 1 / (W_ij H_ij) sum_xy (phi_ij(I^HR)_xy - phi_ij(G(I^LR))_xy)^2                    (eq. 5)
    l_Gen     = -log D(G(I^LR)), here a mean over the batch                                        (eq. 6)

phi_ij are the features of VGG19 after the activation of the j-th convolution before the i-th pooling. Squares are
summed over channels, as the equations have it, not averaged. SRResNet is G by l_X alone; SRGAN goes on from it:

    ganvas train srgan srresnet-mse --data photos/ --out runs/srresnet
    ganvas train srgan srgan-vgg54 --data photos/ --out runs/srgan --init-from runs/srresnet

What the paper's table compares are the presets srresnet-mse, srresnet-vgg22, srgan-mse, srgan-vgg22 and srgan-vgg54.

Departures: kernels before a pixel shuffle start as those of a nearest-neighbour enlargement (`--upsample subpixel`,
Aitken et al. 2017), which leaves no checkerboard; the paper does not say how they start. G's own pictures of a step
serve both updates, where the paper's alternation does not say whether they are drawn anew. Small versions are made by
the antialiased bicubic kernel alone; the paper's text also names a Gaussian filter, `--blur`. There are no convolutions
of D with a bias before a batch norm. The batch norms of D see real and generated pictures in one batch each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import AfterValidator, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from ganvas.data.options import DataOptions
from ganvas.discriminators import Condition, Verdict
from ganvas.discriminators.shared import SharedDiscriminator, build_discriminator
from ganvas.engine.system import Batch, Preset, System, Terms, Update
from ganvas.engine.training import Training
from ganvas.errors import UserError
from ganvas.losses.options import Adversarial
from ganvas.losses.perceptual import VGG, Colours, Network, difference
from ganvas.nn.dtypes import at_least_float32
from ganvas.nn.latent import FAKE, once
from ganvas.nn.layers import Conv2d
from ganvas.nn.optim import Adams
from ganvas.nn.prelu import PReLU
from ganvas.nn.upsample import Upsampling, upsample

PAPER = "arXiv:1609.04802"

WIDTHS = (1, 1, 2, 2, 4, 4, 8, 8)
"""Channels of the discriminator's convolutions, in units of its width; every second has stride 2 (figure 4)."""

SCORED = ("super-resolution",)
"""What runs are watched by: PSNR first."""

ANYWHERE = AfterValidator(lambda path: path and path.expanduser().absolute())
"""A file that is found when the run is resumed from elsewhere."""


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Config:
    """Networks and losses of SRResNet and SRGAN."""

    size: Annotated[int, Field(ge=8)] = 96
    """Side of the high-resolution crops in training, pixels: a multiple of the scale."""
    channels: Literal[1, 3] = 3
    """Channels of the pictures: 1 (gray) or 3 (colour)."""
    source_channels: Literal[1, 3] = 3
    """Channels of the small pictures: as many."""
    scale: Literal[2, 3, 4, 8] = 4
    """By how much height and width grow, r."""
    width: PositiveInt = 64
    """Channels within the generator, and after the discriminator's first convolution."""
    blocks: PositiveInt = 16
    """Residual blocks of the generator, B."""
    upsample: Upsampling = "subpixel"
    """How the generator raises the resolution: by pixel shuffles (paper), or as `ganvas.nn.upsample` says."""
    content: Literal["mse", "vgg"] = "mse"
    """l_X: squared differences of pixels in [-1, 1] (eq. 4), or of VGG's features (eq. 5)."""
    content_weight: NonNegativeFloat = 1.0
    """Weight of l_X."""
    vgg: Network = "vgg19"
    """Which VGG (paper: vgg19)."""
    vgg_layer: tuple[int, int] = (5, 4)
    """i and j: the j-th convolution before the i-th pooling, such as 2 2 or 5 4."""
    vgg_activation: Literal["after", "before"] = "after"
    """Features after the activation (paper), or before it (ESRGAN)."""
    vgg_divisor: PositiveFloat = 12.75
    """Features are divided by this, so that l_VGG is of the size of l_MSE (section 3.2); 1 for others' weights."""
    vgg_weights: Annotated[Path | None, ANYWHERE] = None
    """A file with VGG's weights: safetensors or a state dict with torchvision's names. None: downloaded once."""
    vgg_colours: Colours = "auto"
    """What they take: torchvision's normalised RGB, or Caffe's BGR; auto: as the file says, else torchvision's."""
    total_variation: NonNegativeFloat = 0.0
    """Weight of the total variation (2e-8 in SRResNet-VGG22, section 3.2)."""
    adversarial_weight: NonNegativeFloat = 1e-3
    """Weight of l_Gen; 0 is SRResNet, without a discriminator."""
    discriminator: Literal["strided", SharedDiscriminator] = "strided"
    """The paper's, or one of DCGAN, BigGAN, U-Net GAN or pix2pix."""
    adversarial: Adversarial = Adversarial()
    """The adversarial loss."""
    adam: Adams = Adams(generator_rate=1e-4, discriminator_rate=1e-4, beta1=0.9)
    """Adam for each network (section 3.2)."""


class Block(nn.Module):
    """A residual block (figure 4).

    Args:
        width: Channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1), nn.BatchNorm2d(width), PReLU(),
            nn.Conv2d(width, width, 3, 1, 1), nn.BatchNorm2d(width),
        )  # fmt: skip

    def forward(self, x: Float[Tensor, "B W h w"]) -> Float[Tensor, "B W h w"]:
        """Adds what the layers find."""
        return x + self.layers(x)


class Generator(nn.Module):
    """SRResNet (figure 4): residual blocks at the small size, then the resolution is raised.

    Args:
        config: See `Config`.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.width
        self.first = nn.Sequential(nn.Conv2d(config.source_channels, width, 9, 1, 4), PReLU())
        self.blocks = nn.Sequential(*(Block(width) for _ in range(config.blocks)))
        self.last = nn.Sequential(nn.Conv2d(width, width, 3, 1, 1), nn.BatchNorm2d(width))
        self.factors = {2: [2], 3: [3], 4: [2, 2], 8: [2, 2, 2]}[config.scale]
        raised: list[nn.Module] = []
        for factor in self.factors:
            raised += [upsample(config.upsample, width, width, factor=factor, bias=True), PReLU()]
        self.raised = nn.Sequential(*raised)
        self.output = Conv2d(width, config.channels, 9)

    def forward(self, source: Float[Tensor, "B C h w"]) -> Float[Tensor, "B C H W"]:
        """Pictures `scale` times as high and wide, float32, about in [-1, 1]: there is no last activation."""
        x = self.first((source + 1) / 2)  # small pictures in [0, 1] (section 3.2)
        x = x + self.last(self.blocks(x))
        *lower, enlarge, activation = self.raised
        for layer in lower:
            x = layer(x)
        if isinstance(enlarge, nn.Sequential):
            # One slope for all channels: the activation may come before the shuffle, which the last layer takes in.
            x = self.output.shuffled(activation(enlarge[0](x)), self.factors[-1])
        else:
            x = self.output(activation(enlarge(x)))
        return at_least_float32(x)


class StridedDiscriminator(nn.Module):
    """The paper's discriminator of photographs and enlargements (figure 4), for crops of any size.

    Args:
        size: Side of the pictures, pixels.
        channels: Of the pictures.
        width: Channels after the first convolution.
    """

    def __init__(self, size: int, *, channels: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = channels
        for number, times in enumerate(WIDTHS):
            outputs, stride = times * width, 1 + number % 2
            layers.append(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=not number))
            layers += [nn.BatchNorm2d(outputs)] if number else []
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            inputs, size = outputs, -(-size // stride)
        self.layers = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Linear(inputs * size**2, 16 * width), nn.LeakyReLU(0.2), nn.Linear(16 * width, 1))

    def forward(self, images: Float[Tensor, "B C H W"], condition: Condition | None = None) -> Verdict:
        """Head `image` (B,); features are those after each activation of the convolutions."""
        features: list[Tensor] = []
        x = images
        for layer in self.layers:
            x = layer(x)
            if isinstance(layer, nn.LeakyReLU):
                features.append(x)
        return Verdict({"image": self.head(x.flatten(1)).squeeze(1)}, tuple(features))


class SRGAN(System):
    """SRResNet, alone or against a discriminator."""

    needs = frozenset({"source", "image"})
    sides = "paired"

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.scale = config.scale
        self.rates = config.adam
        if config.size % config.scale:
            raise UserError(f"--size {config.size} is not a multiple of --scale {config.scale}")
        if config.channels != config.source_channels:
            raise UserError("small and large pictures have the same channels: give --channels and --source-channels")
        if not (config.content_weight or config.adversarial_weight):
            raise UserError("--content-weight 0 and --adversarial-weight 0 leave nothing to learn: give one of the two")
        self.generator = Generator(config)
        self.discriminator = nn.Identity()
        self.seen: dict[torch.device, VGG] = {}
        if config.content == "vgg":
            with torch.device("meta"):
                VGG(config.vgg).place(config.vgg_layer)
        if not config.adversarial_weight:
            if config.adversarial != Adversarial():
                raise UserError("with --adversarial-weight 0 there is no adversarial loss: leave its settings out")
            return
        if config.discriminator == "strided":
            self.discriminator = StridedDiscriminator(config.size, channels=config.channels, width=config.width)
        else:
            self.discriminator = build_discriminator(
                config.discriminator, config.size, channels=config.channels, width=config.width
            )
        self.adversarial = config.adversarial.loss(self.discriminator, generator_weight=config.adversarial_weight)

    def optimizers(self) -> dict[str, Optimizer]:
        """Adam for each network. VGG is loaded here, so that missing weights are told before training."""
        if self.config.content == "vgg":
            self.features()
        return super().optimizers()

    def updates(self, step: int) -> Iterable[Update]:
        """The discriminator, if there is one, then the generator on the same enlargements."""
        if self.config.adversarial_weight:
            yield Update("discriminator", (self.discriminator,), partial(self.discriminator_loss, step=step))
        yield Update("generator", (self.generator,), self.generator_loss)

    def draw(self, batch: Batch) -> Float[Tensor, "B C H W"]:
        """G(I^LR), once a step."""
        return once(batch, FAKE, self.generator, lambda: self.generator(batch["source"]))

    def discriminator_loss(self, batch: Batch, step: int) -> Terms:
        """Eq. 2."""
        return self.adversarial.discriminator_terms(batch["image"], self.draw(batch), step=step)

    def generator_loss(self, batch: Batch) -> Terms:
        """Eq. 3."""
        fake, image = self.draw(batch), batch["image"]
        terms: Terms = {}
        if self.config.content_weight:
            terms[self.config.content] = self.config.content_weight * self.content_loss(fake, image)
        if self.config.adversarial_weight:
            terms |= self.adversarial.generator_terms(fake, real=image)
        if self.config.total_variation:
            terms["total_variation"] = self.config.total_variation * total_variation(fake)
        return terms

    def content_loss(self, fake: Float[Tensor, "B C H W"], image: Float[Tensor, "B C H W"]) -> Float[Tensor, ""]:
        """Eq. 4 or 5."""
        if self.config.content == "mse":
            return difference(fake, image)
        vgg, layers, after = self.features(), [self.config.vgg_layer], self.config.vgg_activation == "after"
        with torch.no_grad():
            (wanted,) = vgg(image, layers, after_activation=after)
        (found,) = vgg(fake, layers, after_activation=after)
        return difference(found, wanted) / self.config.vgg_divisor**2

    def features(self) -> VGG:
        """VGG, which is no part of the system: it does not learn, and no checkpoint needs it.

        Raises:
            UserError: Its weights cannot be had.
        """
        device = next(self.generator.parameters()).device
        if device not in self.seen:
            config = self.config
            self.seen[device] = VGG.load(config.vgg, config.vgg_weights, config.vgg_colours).to(device)
        return self.seen[device]

    def prepare_sampling(self) -> None:
        """Nothing: the statistics of training are those of small photographs."""

    def translate(
        self, source: Float[Tensor, "B C h w"], seeds: Sequence[int], direction: str = "AtoB"
    ) -> Float[Tensor, "B C H W"]:
        """G(I^LR), cut off where it leaves [-1, 1]."""
        pictures: Tensor = self.generator(source)
        return pictures.clamp(-1, 1)


SYSTEM = SRGAN


def total_variation(images: Float[Tensor, "B C H W"]) -> Float[Tensor, ""]:
    """The length of the gradient, a mean over places and pictures, summed over channels (section 3.2)."""
    down = F.pad(images.diff(dim=2), (0, 0, 0, 1))
    across = F.pad(images.diff(dim=3), (0, 1))
    # The root has no finite slope at 0, where neighbours are equal.
    return (at_least_float32(down).square() + at_least_float32(across).square() + 1e-8).sqrt().sum(1).mean()


def _paper(steps: int, **changes: object) -> Preset:
    """A column of the paper's table: 96 px crops, 16 a batch (section 3.2)."""
    return Preset(
        Config(**changes),  # type: ignore[arg-type]
        Training(
            steps=steps, batch=16, ema=0.0, checkpoint_every=10_000, grid_every=10_000, grid_images=16, log_every=100,
            score_metrics=SCORED,
        ),
        DataOptions(fit="tiles", load_size=256),
    )  # fmt: skip


def _gan(**changes: object) -> Preset:
    """SRGAN: 1e5 steps, and as many at a tenth of the rate."""
    rates = Adams(generator_rate=1e-4, discriminator_rate=1e-4, beta1=0.9, drop_at=100_000)
    return _paper(200_000, adam=rates, **changes)


_SMOKE = Training(steps=4, batch=4, ema=0.9, log_every=1, grid_every=2, checkpoint_every=2, grid_images=4)
_DEMO = Training(
    steps=6000, batch=8, ema=0.0, log_every=100, grid_every=1500, checkpoint_every=1000, grid_images=16,
    score_metrics=SCORED,
)  # fmt: skip

PRESETS = {
    "smoke": Preset(Config(size=32, width=4, blocks=1), _SMOKE, DataOptions(fit="tiles")),
    "smoke-resnet": Preset(
        Config(size=32, width=4, blocks=1, scale=2, adversarial_weight=0.0, upsample="resize", total_variation=1e-4),
        _SMOKE,
        DataOptions(fit="tiles"),
    ),
    # Narrower than the paper's, at five times its rate, and many small steps: minutes on two cores.
    "demo": Preset(
        Config(
            size=64,
            width=32,
            blocks=8,
            adversarial_weight=0.0,
            adam=Adams(generator_rate=5e-4, discriminator_rate=1e-4, beta1=0.9, drop_at=4800),
        ),
        _DEMO,
        DataOptions(fit="tiles", load_size=256),
    ),
    "srresnet-mse": _paper(1_000_000, adversarial_weight=0.0),
    "srresnet-vgg22": _paper(
        1_000_000, adversarial_weight=0.0, content="vgg", vgg_layer=(2, 2), total_variation=2e-8
    ),
    "srgan-mse": _gan(),
    "srgan-vgg22": _gan(content="vgg", vgg_layer=(2, 2)),
    "srgan-vgg54": _gan(content="vgg", vgg_layer=(5, 4)),
}  # fmt: skip
