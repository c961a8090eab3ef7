"""U-Net GAN: a discriminator that judges the picture as a whole and every pixel of it.

Schönfeld, Schiele & Khoreva 2020, "A U-Net Based Discriminator for Generative Adversarial Networks", CVPR,
arXiv 2002.12655.

The idea: the discriminator is a U-Net. Its encoder classifies the picture, its decoder every pixel, so the generator
is told where it fails (section 3.1). A picture cut from a real and a generated one must be segmented along the
cut, and what the decoder says of it must be what it says of the two pictures, cut the same way (section 3.2). The
generator is BigGAN's, unchanged.

The four rows of the paper's Table 2 are settings of this file:

    BigGAN                          --discriminator resnet --objective hinge --cutmix 0 --consistency 0
    U-Net based discriminator       --objective hinge --cutmix 0 --consistency 0
    + CutMix augmentation           --consistency 0
    + Consistency regularization    the default

Departures: losses are means over pixels where eqs. 3 and 4 write sums, and halved, both as in the published code;
p_mix rises over steps, where that code counts epochs (the presets state the conversion); the published
discriminator carries 65 parameters that nothing uses, left out here; one power iteration of spectral norm an
update, not a forward pass; 32 and 64 px are ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Literal

import torch
from pydantic import ConfigDict, NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass

from ganvas.data.options import DataOptions
from ganvas.discriminators.shared import SharedDiscriminator, build_discriminator
from ganvas.engine.system import Batch, Preset, System, Terms, Update
from ganvas.engine.training import Training
from ganvas.losses.options import Adversarial
from ganvas.nn.latent import Prior, class_condition, count_classes, draw
from ganvas.nn.optim import Adams
from ganvas.systems import biggan

PAPER = "arXiv:2002.12655"


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Config:
    """Networks and losses of U-Net GAN."""

    size: Literal[32, 64, 128, 256] = 128
    """Side of the pictures, pixels."""
    channels: Literal[1, 3] = 3
    """Colour channels: 3, or 1 for gray."""
    classes: NonNegativeInt | Literal["auto"] = 0
    """Number of classes; 0 is unconditional, `auto` as many as the data has."""
    width: PositiveInt = 64
    """Channels of the widest-resolution block in both networks, `ch` in the paper (64)."""
    latent: PositiveInt = 128
    """Length of z (128 in the published code, 140 in the paper)."""
    discriminator: SharedDiscriminator = "unet"
    """The U-Net of section 3.1, BigGAN's encoder alone (resnet), or DCGAN's (conv)."""
    adversarial: Adversarial = Adversarial(cutmix=0.5, consistency=1.0)
    """Non-saturating cross-entropy with consistency, hinge without (section 4.1); penalties, DiffAugment: ours."""
    adam: Adams = biggan.rates(1e-4, 5e-4)
    """Adam for each network (section 4.1)."""


class UNetGAN(System):
    """BigGAN's generator against a U-Net discriminator with CutMix and consistency."""

    prior: Prior

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.rates = config.adam
        self.classes = count_classes(config.classes)
        self.needs = frozenset({"image", "label"} if self.classes else {"image"})
        self.prior = Prior(config.latent)
        self.generator = biggan.Generator(config.size, config.channels, config.width, config.latent, self.classes, 0, 0)
        self.discriminator = build_discriminator(
            config.discriminator, config.size, channels=config.channels, width=config.width, classes=self.classes
        )
        # The published code halves cross-entropy on real and on fake, of both networks; its hinge loss is whole.
        weight = 0.5 if config.adversarial.objective in ("minimax", "non-saturating") else 1.0
        self.adversarial = config.adversarial.loss(
            self.discriminator, discriminator_weight=weight, generator_weight=weight
        )

    def updates(self, step: int) -> Iterable[Update]:
        """One discriminator update, then one of the generator (section 4.1), each with fresh fakes."""
        yield Update("discriminator", (self.discriminator,), partial(self.discriminator_loss, step=step))
        yield Update("generator", (self.generator,), self.generator_loss)

    def discriminator_loss(self, batch: Batch, step: int) -> Terms:
        """Eq. 9: encoder (eq. 2 and 3), decoder (eq. 4), and lambda times consistency (eq. 8)."""
        with torch.no_grad():
            fake = draw(self.generator, batch, self.prior, self.classes)
        condition = class_condition(batch, self.classes)
        return self.adversarial.discriminator_terms(batch["image"], fake, condition, step=step)

    def generator_loss(self, batch: Batch) -> Terms:
        """Eq. 5: fool the encoder and, at every pixel, the decoder. The generator never sees CutMix."""
        fake = draw(self.generator, batch, self.prior, self.classes)
        return self.adversarial.generator_terms(fake, class_condition(batch, self.classes), real=batch["image"])


SYSTEM = UNetGAN


def warmed(steps: int) -> Adversarial:
    """The loss with a warm-up of CutMix."""
    return replace(Config().adversarial, cutmix_warmup=steps)


PRESETS = {
    "smoke": Preset(
        Config(size=32, width=4, latent=8),
        Training(steps=4, batch=4, ema=0.9, log_every=1, grid_every=2, checkpoint_every=2, grid_images=4),
        DataOptions(),
    ),
    "demo": Preset(
        Config(size=32, width=16, latent=128, adversarial=warmed(1000), adam=biggan.rates(1e-4, 5e-4, beta2=0.99)),
        Training(
            steps=1700, batch=16, ema=0.995, log_every=20, grid_every=250, checkpoint_every=500, score_samples=500
        ),
        DataOptions(),
    ),
    "openmoji64": Preset(
        Config(size=64, width=16, latent=256, adversarial=warmed(1000), adam=biggan.rates(1e-4, 5e-4, beta2=0.99)),
        Training(steps=3500, batch=16, ema=0.995, log_every=20, grid_every=125, checkpoint_every=250),
        DataOptions(),
    ),
    # Scripts of the published code. Warm-up there is in epochs: 100 of 70,000 / 20 steps, 200 of 38,000 / 80.
    "ffhq256": Preset(
        Config(size=256, adversarial=warmed(350_000)),
        Training(steps=800_000, batch=20, ema=0.9999, ema_start=21_000),
        DataOptions(),
    ),
    "celeba128": Preset(
        Config(
            size=128, adversarial=Adversarial(cutmix=1.0, cutmix_mode="add", consistency=1.0),
            adam=biggan.rates(5e-5, 2e-4),
        ),
        Training(steps=800_000, batch=50, ema=0.9999, ema_start=21_000),
        DataOptions(),
    ),
    "coco-animals128": Preset(
        Config(size=128, classes=10, adversarial=warmed(95_000), adam=biggan.rates(5e-5, 2e-4, adam_eps=1e-8)),
        Training(steps=800_000, batch=80, ema=0.9999),
        DataOptions(),
    ),
}  # fmt: skip
