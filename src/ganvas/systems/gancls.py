"""GAN-CLS and GAN-INT: pictures drawn from captions.

Reed, Akata, Yan, Logeswaran, Schiele & Lee 2016, "Generative Adversarial Text to Image Synthesis", ICML,
arXiv 1605.05396.

The idea: a caption is embedded by an encoder that stays as it is. Both networks are given the embedding, and

* GAN-CLS: the discriminator is also shown real pictures with captions that are not theirs, which it is to reject, so
  that it has to learn whether the two match and not only whether the picture is real (algorithm 1);
* GAN-INT: the generator also has to draw from captions between two of the data, which nobody wrote (eq. 5).

`--mismatched 0` is the plain conditional GAN, `--no-interpolate` GAN-CLS alone; the paper's GAN-INT-CLS is the default.

Departures: the encoder is any that gives a sentence as a vector (`--encoder`), where the paper's reads characters, and
vectors are scaled so that their mean square over the data is 1. The generator's update uses the pictures that the
discriminator has just seen, as algorithm 1 has it; the published code draws them anew. A whole batch and a mixed half
pass through the generator as one batch of one and a half. Samples are drawn with batch-norm statistics estimated anew.
Sizes other than 64 px are ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from itertools import pairwise
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import ConfigDict, Field, PositiveInt
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
from ganvas.nn.layers import FromPixel
from ganvas.nn.optim import Adams
from ganvas.nn.residual import Bottleneck
from ganvas.nn.text import Standing, count_of, mismatched, mixed

PAPER = "arXiv:1605.05396"


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Config:
    """Networks and losses of GAN-CLS."""

    size: Annotated[int, Field(ge=32)] = 64
    """Side of the pictures, pixels: a power of two from 32 (64 in the paper)."""
    channels: Literal[1, 3] = 3
    """Colour channels: 3, or 1 for gray."""
    embedding: PositiveInt | Literal["auto"] = "auto"
    """Length of an embedded caption; `auto` is what the data's encoder gives (1024 in the paper)."""
    text_units: PositiveInt = 128
    """What each network compresses a caption to (section 4)."""
    latent: PositiveInt = 100
    """Length of z."""
    width: PositiveInt = 128
    """Channels of the generator at half the resolution; they double at each further halving (196 for COCO)."""
    discriminator_width: PositiveInt = 64
    """Channels of the discriminator after its first layer; they double at each further one (196 for COCO)."""
    gap: bool = True
    """No activation after the discriminator's third layer, as published for birds and flowers, not for COCO."""
    discriminator: Literal["own"] | SharedDiscriminator = "own"
    """The paper's, or those of DCGAN, BigGAN, U-Net GAN and pix2pix with the caption projected."""
    mismatched: Probability = 0.5
    """Share of mismatched pairs in what the discriminator rejects, cls_weight; 0 shows it none (plain GAN)."""
    interpolate: bool = True
    """GAN-INT: draw from mixed captions too (eq. 5)."""
    beta: Probability = 0.5
    """Share of the first of two mixed captions (eq. 5)."""
    adversarial: Adversarial = Adversarial()
    """The adversarial loss of algorithm 1."""
    adam: Adams = Adams()
    """Adam for each network; halve_every is 100 epochs in the paper."""


class Generator(nn.Module):
    """z and a compressed caption to 4x4 maps, then doubled to a picture (figure 2).

    Args:
        config: See `Config`.
        embedding: Length of an embedded caption.
    """

    def __init__(self, config: Config, embedding: int) -> None:
        super().__init__()
        doublings = config.size.bit_length() - 3
        widths = [config.width << level for level in range(doublings)][::-1]
        self.text = nn.Linear(embedding, config.text_units)
        layers: list[nn.Module] = [FromPixel(config.latent + config.text_units, widths[0])]
        layers += [nn.BatchNorm2d(widths[0]), Bottleneck(widths[0], widths[0] // 4)]
        for level, (inputs, outputs) in enumerate(pairwise(widths)):
            layers += [nn.ConvTranspose2d(inputs, outputs, 4, 2, 1), nn.BatchNorm2d(outputs)]
            # The published code has a second residual block at 8x8.
            layers.append(Bottleneck(outputs, outputs // 4) if level == 0 else nn.ReLU(inplace=True))
        layers.append(nn.ConvTranspose2d(widths[-1], config.channels, 4, 2, 1))
        self.layers = nn.Sequential(*layers)
        dcgan_init(self)

    def forward(self, z: Float[Tensor, "B Z"], text: Float[Tensor, "B E"]) -> Float[Tensor, "B C H W"]:
        """Pictures G(z, phi(t)) in (-1, 1)."""
        caption = F.leaky_relu(self.text(text), 0.2)
        start = torch.cat([z.to(caption.dtype), caption], 1)[:, :, None, None]
        return torch.tanh(at_least_float32(self.layers(start)))


class GANCLS(System):
    """The generator above against a discriminator that is shown mismatched pairs."""

    prior: Prior
    standing: Standing
    needs = frozenset({"image", "text"})

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.rates = config.adam
        self.prior = Prior(config.latent)
        embedding = count_of(config.embedding, "numbers in an embedded caption", "--embedding")
        self.standing = Standing(text=torch.zeros(embedding))
        if config.discriminator == "own":
            self.discriminator = TextDiscriminator(
                config.size, embedding, channels=config.channels, width=config.discriminator_width,
                text_units=config.text_units, text_norm=True, gap=config.gap, bias=True,
            )  # fmt: skip
        else:
            self.discriminator = build_discriminator(
                config.discriminator, config.size, channels=config.channels, width=config.discriminator_width,
                classes=embedding,
            )  # fmt: skip
        self.generator = Generator(config, embedding)
        self.adversarial = config.adversarial.loss(self.discriminator, mismatched=config.mismatched)
        if config.interpolate and (self.adversarial.objective.relative or config.adversarial.feature_matching):
            raise UserError(
                "pictures of mixed captions have no real ones to be compared with, as this loss does: give "
                "--no-interpolate, or --objective non-saturating --feature-matching 0"
            )

    def begin(self, batches: Iterable[Batch]) -> None:
        """Keeps some captions to sample from."""
        self.standing.keep(batches)

    def updates(self, step: int) -> Iterable[Update]:
        """The discriminator, then the generator."""
        yield Update("discriminator", (self.discriminator,), partial(self.discriminator_loss, step=step))
        yield Update("generator", (self.generator,), self.generator_loss)

    def draw(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Pictures, once a step, and their captions: those of the batch, then mixed ones (eq. 5)."""
        text = self.standing.scaled(batch["text"])
        if self.config.interpolate:
            text = torch.cat([text, mixed(text, self.config.beta)])
        prior, generator = self.prior, self.generator
        return once(batch, FAKE, generator, lambda: generator(prior.draw(len(text), text.device), text)), text

    def discriminator_loss(self, batch: Batch, step: int) -> Terms:
        """Algorithm 1, lines 6 to 9: -log s_r - ((1 - w) log(1 - s_f) + w log(1 - s_w)), w = 1/2.

        It is never shown mixed captions.
        """
        image, text = batch["image"], self.standing.scaled(batch["text"])
        fake, _ = self.draw(batch)
        other = Condition(vector=mismatched(text, batch.get("label"))) if self.config.mismatched else None
        return self.adversarial.discriminator_terms(image, fake[: len(text)], Condition(vector=text), other, step=step)

    def generator_loss(self, batch: Batch) -> Terms:
        """Algorithm 1, line 11: -log s_f; with eq. 5 over mixed captions too, all in one mean."""
        fake, text = self.draw(batch)
        return self.adversarial.generator_terms(fake, Condition(vector=text), real=batch["image"])

    def from_latents(self, latents: Tensor, conditions: Batch) -> Tensor:
        """Pictures at given latents and captions."""
        text = self.standing.scaled(conditions["text"].to(self.standing.scale.device))
        pictures: Tensor = self.generator(latents.to(text.device), text)
        return pictures


SYSTEM = GANCLS

PRESETS = {
    "smoke": Preset(
        Config(size=32, latent=8, width=8, discriminator_width=8, text_units=8),
        Training(steps=4, batch=4, ema=0.9, log_every=1, grid_every=2, checkpoint_every=2, grid_images=4),
        DataOptions(),
    ),
    "demo": Preset(
        Config(size=32, width=64, discriminator_width=32),
        Training(steps=3000, batch=64, ema=0.995, log_every=50, grid_every=500, checkpoint_every=500),
        DataOptions(),
    ),
    # 600 epochs of 8,855 training pictures; rates halved every 100.
    "cub64": Preset(
        Config(adam=Adams(halve_every=13_800)),
        Training(steps=83_000, batch=64, ema=0.0, checkpoint_every=2_500, grid_every=2_500),
        DataOptions(load_size=76),
    ),
    # 600 epochs of 7,034.
    "flowers64": Preset(
        Config(adam=Adams(halve_every=11_000)),
        Training(steps=66_000, batch=64, ema=0.0, checkpoint_every=2_500, grid_every=2_500),
        DataOptions(load_size=76),
    ),
    # 200 epochs of 82,783, of which each has five captions; rates halved every 40.
    "coco64": Preset(
        Config(width=196, discriminator_width=196, gap=False, adam=Adams(halve_every=51_700)),
        Training(steps=258_000, batch=64, ema=0.0, checkpoint_every=5_000, grid_every=5_000),
        DataOptions(load_size=76),
    ),
}
