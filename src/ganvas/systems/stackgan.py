"""StackGAN: pictures drawn from captions in stages, each sharper than the one before.

Zhang, Xu, Li, Zhang, Wang, Huang & Metaxas 2017, "StackGAN: Text to Photo-realistic Image Synthesis with Stacked
Generative Adversarial Networks", ICCV, arXiv 1612.03242.

The idea: stage I draws a small picture from caption and noise; stage II is given that picture and the caption again,
and draws a large one. What a caption says is not one point: a condition c ~ N(mu(t), sigma(t)^2) is drawn from a normal
that the caption determines (conditioning augmentation, section 3.1), kept near N(0, I) by its KL divergence.

`--sizes 64` trains stage I, `--sizes 64 256 --init-from STAGE_I` stage II on it, frozen; `--sizes 32 64 128` goes on
from a run of `--sizes 32 64` in the same way.

Departures: the conditions are drawn from the whole normal, where the published code cuts it off at two sigma; the
weight of the KL divergence is the paper's 1, the code's is 2. Embedded captions are scaled so that their mean square
over the data is 1. The discriminator's fakes are the generator's of the same step, where the code draws them anew.
Frozen stages normalise by the statistics of the batch in training, and samples are drawn with statistics estimated
anew. More than two stages, and other sizes than 64 and 256, are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import pairwise
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from ganvas.data.options import DataOptions
from ganvas.discriminators import Condition
from ganvas.discriminators.shared import SharedDiscriminator, build_discriminator
from ganvas.discriminators.text import TextDiscriminator
from ganvas.engine.system import Batch, Preset, System, Terms, Update
from ganvas.engine.training import Training
from ganvas.errors import UserError
from ganvas.losses.adversarial import Probability
from ganvas.losses.options import Adversarial
from ganvas.nn.dtypes import at_least_float32
from ganvas.nn.init import dcgan_init
from ganvas.nn.latent import FAKE, Prior, once
from ganvas.nn.layers import Conv2d
from ganvas.nn.optim import Adams
from ganvas.nn.residual import Bottleneck
from ganvas.nn.text import Standing, count_of, mismatched, tiled
from ganvas.nn.upsample import ResizeConv

PAPER = "arXiv:1612.03242"

Side = Annotated[int, Field(ge=32)]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "leaky-relu": partial(F.leaky_relu, negative_slope=0.2),
    "relu": F.relu,
    "none": lambda h: h,
}


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Config:
    """Networks and losses of StackGAN."""

    sizes: tuple[Side, ...] = (64,)
    """Sides of the pictures of each stage, pixels, powers of two from 32: the last stage is trained, those before it
    are taken from the run that it goes on from (64 and 256 in the paper)."""
    channels: Literal[1, 3] = 3
    """Colour channels: 3, or 1 for gray."""
    embedding: PositiveInt | Literal["auto"] = "auto"
    """Length of an embedded caption; `auto` is what the data's encoder gives (1024 in the paper)."""
    condition: PositiveInt = 128
    """Length of c, what a generator is given of the caption."""
    augment_condition: bool = True
    """Conditioning augmentation: draw c around what the caption says (section 3.1); otherwise c is just that."""
    condition_activation: Literal["leaky-relu", "relu", "none"] = "leaky-relu"
    """What follows the layer that gives mu and log sigma (published code: leaky-relu, of both)."""
    kl_weight: NonNegativeFloat = 1.0
    """Weight of the KL divergence, lambda (paper: 1; published code: 2)."""
    latent: PositiveInt = 100
    """Length of z, which stage I alone is given."""
    width: PositiveInt = 128
    """Channels of the generators: stage I's at half its resolution, later stages' at that of their input."""
    discriminator_width: PositiveInt = 64
    """Channels of the discriminator after its first layer; they double at each further one."""
    text_units: PositiveInt = 128
    """What the discriminator compresses a caption to."""
    residual_blocks: NonNegativeInt = 4
    """Of stages after the first (4, and 2 for pictures of 128 px)."""
    discriminator: Literal["own"] | SharedDiscriminator = "own"
    """The paper's, or those of DCGAN, BigGAN, U-Net GAN and pix2pix with the caption projected."""
    mismatched: Probability = 0.5
    """Share of mismatched pairs in what the discriminator rejects; 0 shows it none."""
    adversarial: Adversarial = Adversarial()
    """The adversarial loss of every stage."""
    adam: Adams = Adams()
    """Adam for each network; halve_every is 100 epochs in the paper."""

    @property
    def size(self) -> int:
        """Side of the pictures of the stage that is trained."""
        return self.sizes[-1]


class ConditioningAugmentation(nn.Module):
    """c = mu(t) + sigma(t) * epsilon (section 3.1).

    Args:
        embedding: Length of an embedded caption.
        config: See `Config`.
    """

    def __init__(self, embedding: int, config: Config) -> None:
        super().__init__()
        self.augments = config.augment_condition
        self.activation = ACTIVATIONS[config.condition_activation]
        self.layer = nn.Linear(embedding, config.condition * (2 if self.augments else 1))

    def forward(
        self, text: Float[Tensor, "B E"], epsilon: Float[Tensor, "B C"]
    ) -> tuple[Float[Tensor, "B C"], Float[Tensor, ""]]:
        """The condition, and the KL divergence of its distribution from N(0, I), a mean over batch and dimensions."""
        found = self.activation(at_least_float32(self.layer(text)))
        if not self.augments:
            return found, found.new_zeros(())
        mean, log_sigma = found.chunk(2, 1)
        return mean + log_sigma.exp() * epsilon, kl_divergence(mean, log_sigma)


def kl_divergence(mean: Float[Tensor, "B C"], log_sigma: Float[Tensor, "B C"]) -> Float[Tensor, ""]:
    """KL(N(mean, sigma^2) || N(0, 1)), a mean over all numbers (eq. 2): (mean^2 + sigma^2 - 1) / 2 - log sigma."""
    return ((mean.square() + (2 * log_sigma).exp() - 1) / 2 - log_sigma).mean()


class StageOne(nn.Module):
    """Caption and noise to a small picture (section 3.2, figure 2).

    Args:
        size: Side of the pictures, pixels.
        embedding: Length of an embedded caption.
        config: See `Config`.
    """

    def __init__(self, size: int, embedding: int, config: Config) -> None:
        super().__init__()
        doublings = size.bit_length() - 3
        widths = [config.width << level for level in range(doublings)][::-1]
        self.condition = ConditioningAugmentation(embedding, config)
        self.start = nn.Linear(config.condition + config.latent, widths[0] * 4 * 4)
        self.norm = nn.BatchNorm1d(widths[0] * 4 * 4)
        self.residual = Bottleneck(widths[0], widths[0] // 4, bias=False)
        layers: list[nn.Module] = []
        for level, (inputs, outputs) in enumerate(pairwise(widths)):
            layers += [ResizeConv(inputs, outputs, bias=False), nn.BatchNorm2d(outputs)]
            layers.append(Bottleneck(outputs, outputs // 4, bias=False) if level == 0 else nn.ReLU(inplace=True))
        layers.append(ResizeConv(widths[-1], config.channels, bias=False))
        self.layers = nn.Sequential(*layers)

    def forward(
        self, z: Float[Tensor, "B Z"], text: Float[Tensor, "B E"], epsilon: Float[Tensor, "B C"]
    ) -> tuple[Float[Tensor, "B D H W"], Float[Tensor, ""]]:
        """Pictures in (-1, 1), and the KL divergence."""
        condition, divergence = self.condition(text, epsilon)
        h = self.norm(self.start(torch.cat([condition, z], 1)))
        h = h.view(z.shape[0], -1, 4, 4).contiguous(memory_format=torch.channels_last)
        return torch.tanh(at_least_float32(self.layers(self.residual(h)))), divergence


class Residual(nn.Module):
    """Two 3x3 convolutions with batch norm, added to what came in.

    Args:
        channels: In and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Conv2d(channels, channels, bias=False), nn.BatchNorm2d(channels), nn.ReLU(inplace=True),
            Conv2d(channels, channels, bias=False), nn.BatchNorm2d(channels),
        )  # fmt: skip

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Features of the same shape, rectified."""
        return F.relu(x + self.layers(x), inplace=True)


class StageTwo(nn.Module):
    """A picture and its caption to a larger picture (section 3.3).

    Args:
        given: Side of the picture that comes in, pixels.
        size: Side of the one that comes out.
        embedding: Length of an embedded caption.
        config: See `Config`.
    """

    def __init__(self, given: int, size: int, embedding: int, config: Config) -> None:
        super().__init__()
        width = config.width
        self.condition = ConditioningAugmentation(embedding, config)
        self.down = nn.Sequential(
            Conv2d(config.channels, width, bias=False), nn.ReLU(inplace=True),
            nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * width), nn.ReLU(inplace=True),
            nn.Conv2d(2 * width, 4 * width, 4, 2, 1, bias=False), nn.BatchNorm2d(4 * width), nn.ReLU(inplace=True),
        )  # fmt: skip
        joined = Conv2d(4 * width + config.condition, 4 * width, bias=False)
        layers: list[nn.Module] = [joined, nn.BatchNorm2d(4 * width), nn.ReLU(inplace=True)]
        layers += [Residual(4 * width) for _ in range(config.residual_blocks)]
        inputs = 4 * width
        for _ in range((4 * size // given).bit_length() - 1):
            outputs = max(1, inputs // 2)
            layers += [ResizeConv(inputs, outputs, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
            inputs = outputs
        layers.append(Conv2d(inputs, config.channels, bias=False))
        self.layers = nn.Sequential(*layers)

    def forward(
        self, picture: Float[Tensor, "B D h w"], text: Float[Tensor, "B E"], epsilon: Float[Tensor, "B C"]
    ) -> tuple[Float[Tensor, "B D H W"], Float[Tensor, ""]]:
        """Pictures in (-1, 1), and the KL divergence."""
        condition, divergence = self.condition(text, epsilon)
        h = self.down(picture)
        h = self.layers(torch.cat([h, tiled(condition, h)], 1))
        return torch.tanh(at_least_float32(h)), divergence


class Generator(nn.Module):
    """All stages, one after the other; no gradient reaches those before the last.

    Args:
        embedding: Length of an embedded caption.
        config: See `Config`.
    """

    def __init__(self, embedding: int, config: Config) -> None:
        super().__init__()
        self.lengths = [config.latent, *[config.condition] * len(config.sizes)]
        first = StageOne(config.sizes[0], embedding, config)
        later = [StageTwo(*sizes, embedding, config) for sizes in pairwise(config.sizes)]
        self.stages = nn.ModuleList([first, *later])
        dcgan_init(self)
        for stage in self.stages[:-1]:
            stage.requires_grad_(False)

    def forward(
        self, latents: Float[Tensor, "B Z"], text: Float[Tensor, "B E"]
    ) -> tuple[Float[Tensor, "B D H W"], Float[Tensor, ""]]:
        """Pictures in (-1, 1), and the KL divergence of the last stage.

        Args:
            latents: z, and an epsilon for each stage, in one row.
            text: Embedded captions.
        """
        h, *noise = torch.split(latents, self.lengths, 1)
        divergence = h.new_zeros(())
        for stage, epsilon in zip(self.stages, noise, strict=True):
            last = stage is self.stages[-1]
            with torch.set_grad_enabled(last and torch.is_grad_enabled()):
                h, divergence = stage(h, text, epsilon)
        return h, divergence


class StackGAN(System):
    """One stage, on top of those before it, against a discriminator that is shown mismatched pairs."""

    prior: Prior
    standing: Standing
    needs = frozenset({"image", "text"})

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.rates = config.adam
        for size in config.sizes:
            if size & (size - 1):
                raise UserError(f"the stages draw pictures whose sides are powers of two from 32, not {size} px")
        if not config.sizes or any(a >= b for a, b in pairwise(config.sizes)):
            raise UserError(f"--sizes names the stages from the smallest pictures up, not {config.sizes}")
        embedding = count_of(config.embedding, "numbers in an embedded caption", "--embedding")
        self.prior = Prior(config.latent + config.condition * len(config.sizes))
        self.standing = Standing(text=torch.zeros(embedding))
        if len(config.sizes) > 1:
            self.inherited = ("standing.", *(f"generator.stages.{i}." for i in range(len(config.sizes) - 1)))
        if config.discriminator == "own":
            self.discriminator = TextDiscriminator(
                config.size, embedding, channels=config.channels, width=config.discriminator_width,
                text_units=config.text_units,
            )  # fmt: skip
        else:
            self.discriminator = build_discriminator(
                config.discriminator, config.size, channels=config.channels, width=config.discriminator_width,
                classes=embedding,
            )  # fmt: skip
        self.generator: Generator = Generator(embedding, config)
        self.adversarial = config.adversarial.loss(self.discriminator, mismatched=config.mismatched)

    def begin(self, batches: Iterable[Batch]) -> None:
        """Keeps some captions to sample from."""
        self.standing.keep(batches)

    def updates(self, step: int) -> Iterable[Update]:
        """The discriminator, then the generator's last stage."""
        yield Update("discriminator", (self.discriminator,), partial(self.discriminator_loss, step=step))
        yield Update("generator", (self.generator.stages[-1],), self.generator_loss)

    def draw(self, batch: Batch) -> Tensor:
        """Pictures of the batch's captions, once a step; their KL divergence is left in the batch."""

        def make() -> Tensor:
            pictures, batch["kl"] = self.generator(self.prior.draw(len(text), text.device), text)
            return pictures

        text = self.standing.scaled(batch["text"])
        return once(batch, FAKE, self.generator.stages[-1], make)

    def discriminator_loss(self, batch: Batch, step: int) -> Terms:
        """L_D of the stage, to be minimised, with mismatched pairs among what is rejected (section 3.5)."""
        image, text = batch["image"], self.standing.scaled(batch["text"])
        other = Condition(vector=mismatched(text, batch.get("label"))) if self.config.mismatched else None
        return self.adversarial.discriminator_terms(image, self.draw(batch), Condition(vector=text), other, step=step)

    def generator_loss(self, batch: Batch) -> Terms:
        """L_G of the stage: -log D(G(z, c), t) + lambda KL."""
        fake, condition = self.draw(batch), Condition(vector=self.standing.scaled(batch["text"]))
        terms = self.adversarial.generator_terms(fake, condition, real=batch["image"])
        if self.config.augment_condition and self.config.kl_weight:
            terms["kl"] = self.config.kl_weight * batch["kl"]
        return terms

    def from_latents(self, latents: Tensor, conditions: Batch) -> Tensor:
        """Pictures at given latents and captions."""
        text = self.standing.scaled(conditions["text"].to(self.standing.scale.device))
        pictures, _ = self.generator(latents.to(text.device), text)
        return pictures


SYSTEM = StackGAN


def _smoke(**changes: Any) -> Preset:
    narrow: dict[str, Any] = {"latent": 8, "condition": 8, "width": 8, "discriminator_width": 8, "text_units": 8}
    return Preset(
        Config(**narrow, residual_blocks=1, **changes),
        Training(steps=4, batch=4, ema=0.9, log_every=1, grid_every=2, checkpoint_every=2, grid_images=4),
        DataOptions(),
    )


def _demo(steps: int, batch: int, **changes: Any) -> Preset:
    return Preset(
        Config(width=48, discriminator_width=32, residual_blocks=2, **changes),
        Training(steps=steps, batch=batch, ema=0.995, log_every=50, grid_every=500, checkpoint_every=500),
        DataOptions(),
    )


def _paper(epoch: int, epochs: int, sizes: tuple[int, ...], load_size: int) -> Preset:
    """Batches of 64; rates halved every 100 epochs."""
    return Preset(
        Config(sizes=sizes, adam=Adams(halve_every=100 * epoch)),
        Training(steps=epochs * epoch, batch=64, ema=0.0, checkpoint_every=2_500, grid_every=2_500),
        DataOptions(load_size=load_size),
    )


PRESETS = {
    "smoke": _smoke(sizes=(32,)),
    "smoke-stage2": _smoke(sizes=(32, 64)),
    "demo": _demo(2500, 64, sizes=(32,)),
    "demo-stage2": _demo(1000, 32, sizes=(32, 64)),
    "demo-stage3": _demo(500, 16, sizes=(32, 64, 128)),
    # 8,855 training pictures of birds, 7,034 of flowers.
    "cub64": _paper(138, 600, (64,), 76),
    "cub256": _paper(138, 600, (64, 256), 304),
    "flowers64": _paper(110, 600, (64,), 76),
    "flowers256": _paper(110, 600, (64, 256), 304),
}
