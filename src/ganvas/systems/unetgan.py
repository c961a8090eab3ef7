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

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Literal

import torch
from pydantic import ConfigDict, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.optim import Optimizer

from ganvas.augment.diffaugment import DiffAugment
from ganvas.data.options import DataOptions
from ganvas.discriminators.resnet import ResNetDiscriminator
from ganvas.discriminators.unet import UNetDiscriminator
from ganvas.engine.system import Batch, Preset, System, Terms, Update
from ganvas.engine.training import Training
from ganvas.errors import UserError
from ganvas.losses.adversarial import AdversarialLoss, Probability
from ganvas.losses.objectives import ObjectiveName
from ganvas.nn.latent import class_condition, draw, draw_at, draw_seeded, refresh_statistics
from ganvas.nn.optim import Decay, adam
from ganvas.systems.biggan import Generator

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
    discriminator: Literal["unet", "resnet"] = "unet"
    """The U-Net of section 3.1, or BigGAN's encoder alone."""
    objective: ObjectiveName = "non-saturating"
    """Adversarial objective: non-saturating cross-entropy with consistency, hinge without (section 4.1)."""
    cutmix: Probability = 0.5
    """Probability of a CutMix step, p_mix, at the end of its warm-up (0.5)."""
    cutmix_loss: NonNegativeFloat = 1.0
    """Weight of the CutMix term; 0 leaves consistency alone, for runs that are unstable."""
    cutmix_mode: Literal["replace", "add"] = "replace"
    """A CutMix step replaces the ordinary loss (FFHQ, COCO-Animals), or CutMix is added to it (CelebA)."""
    cutmix_warmup: NonNegativeInt = 0
    """Steps over which p_mix rises linearly from 0 (mode replace) or the encoder's CutMix loss does (mode add)."""
    consistency: NonNegativeFloat = 1.0
    """Weight of the consistency term, lambda (eq. 9)."""
    r1: NonNegativeFloat = 0.0
    """Weight of the R1 penalty on real pictures, gamma (Mescheder et al. 2018); not in the paper."""
    r2: NonNegativeFloat = 0.0
    """Weight of the R2 penalty on generated pictures; not in the paper."""
    gradient_penalty: NonNegativeFloat = 0.0
    """Weight of the WGAN-GP penalty (Gulrajani et al. 2017); not in the paper."""
    penalty_every: PositiveInt = 16
    """Penalties are computed once in so many steps."""
    diffaugment: str = ""
    """Policies of DiffAugment for small data sets, such as color,translation,cutout; not in the paper."""
    generator_rate: PositiveFloat = 1e-4
    """Learning rate of the generator's Adam."""
    discriminator_rate: PositiveFloat = 5e-4
    """Learning rate of the discriminator's Adam."""
    beta1: Decay = 0.0
    """Adam's first decay, both networks."""
    beta2: Decay = 0.999
    """Adam's second decay, both networks."""
    adam_eps: PositiveFloat = 1e-6
    """Adam's epsilon, both networks."""


class UNetGAN(System):
    """BigGAN's generator against a U-Net discriminator with CutMix and consistency."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        if config.classes == "auto":
            raise UserError("the number of classes is not known here: give --classes N, or data with labels")
        if config.discriminator == "resnet" and config.cutmix:
            raise UserError(
                "CutMix needs the unet discriminator: give --cutmix 0 --consistency 0, or --discriminator unet"
            )
        self.config = config
        self.classes = config.classes
        self.needs = frozenset({"image", "label"} if config.classes else {"image"})
        self.generator = Generator(config.size, config.channels, config.width, config.latent, config.classes, 0, 0)
        network = {"unet": UNetDiscriminator, "resnet": ResNetDiscriminator}[config.discriminator]
        self.discriminator = network(config.size, channels=config.channels, width=config.width, classes=config.classes)
        # The published code halves cross-entropy on real and on fake, of both networks; its hinge loss is whole.
        weight = 0.5 if config.objective in ("minimax", "non-saturating") else 1.0
        self.adversarial = AdversarialLoss(
            self.discriminator,
            config.objective,
            cutmix=config.cutmix,
            cutmix_loss=config.cutmix_loss,
            cutmix_mode=config.cutmix_mode,
            cutmix_warmup=config.cutmix_warmup,
            consistency=config.consistency,
            r1=config.r1,
            r2=config.r2,
            gradient_penalty=config.gradient_penalty,
            penalty_every=config.penalty_every,
            augment=DiffAugment(config.diffaugment) if config.diffaugment else None,
            discriminator_weight=weight,
            generator_weight=weight,
        )

    def updates(self, step: int) -> Iterable[Update]:
        """One discriminator update, then one of the generator (section 4.1), each with fresh fakes."""
        yield Update("discriminator", (self.discriminator,), partial(self.discriminator_loss, step=step))
        yield Update("generator", (self.generator,), self.generator_loss)

    def discriminator_loss(self, batch: Batch, step: int) -> Terms:
        """Eq. 9: encoder (eq. 2 and 3), decoder (eq. 4), and lambda times consistency (eq. 8)."""
        with torch.no_grad():
            fake = draw(self.generator, batch, self.config.latent, self.classes)
        condition = class_condition(batch, self.classes)
        return self.adversarial.discriminator_terms(batch["image"], fake, condition, step=step)

    def generator_loss(self, batch: Batch) -> Terms:
        """Eq. 5: fool the encoder and, at every pixel, the decoder. The generator never sees CutMix."""
        fake = draw(self.generator, batch, self.config.latent, self.classes)
        return self.adversarial.generator_terms(fake, class_condition(batch, self.classes), real=batch["image"])

    def optimizers(self) -> dict[str, Optimizer]:
        """Adam for each network (section 4.1)."""
        return {
            "discriminator": adam(self.discriminator, self.config.discriminator_rate, self.config),
            "generator": adam(self.generator, self.config.generator_rate, self.config),
        }

    def averaged(self) -> dict[str, nn.Module]:
        """The generator (section 4.1)."""
        return {"generator": self.generator}

    def prepare_sampling(self) -> None:
        """Fresh batch-norm statistics for the weights in place."""
        refresh_statistics(self.generator, self.config.latent, self.classes)

    def sample(self, seeds: Sequence[int], conditions: Batch, truncation: float | None = None) -> Tensor:
        """Pictures (B, C, H, W) for seeds; see `System.sample`."""
        return draw_seeded(self.generator, seeds, conditions, self.config.latent, self.classes, truncation)

    def from_latents(self, latents: Tensor, conditions: Batch) -> Tensor:
        """Pictures (B, C, H, W) at latents (B, Z); see `System.from_latents`."""
        return draw_at(self.generator, latents, conditions, self.classes)


SYSTEM = UNetGAN

PRESETS = {
    "smoke": Preset(
        Config(size=32, width=4, latent=8),
        Training(steps=4, batch=4, ema=0.9, log_every=1, grid_every=2, checkpoint_every=2, grid_images=4),
        DataOptions(),
    ),
    "demo": Preset(
        Config(
            size=32, width=16, latent=128, cutmix_warmup=1000, generator_rate=1e-4, discriminator_rate=5e-4, beta2=0.99
        ),
        Training(
            steps=1700, batch=16, ema=0.995, log_every=20, grid_every=250, checkpoint_every=500, score_samples=500
        ),
        DataOptions(),
    ),
    "openmoji64": Preset(
        Config(
            size=64, width=16, latent=256, cutmix_warmup=1000, generator_rate=1e-4, discriminator_rate=5e-4, beta2=0.99
        ),
        Training(steps=3500, batch=16, ema=0.995, log_every=20, grid_every=125, checkpoint_every=250),
        DataOptions(),
    ),
    # Scripts of the published code. Warm-up there is in epochs: 100 of 70,000 / 20 steps, 200 of 38,000 / 80.
    "ffhq256": Preset(
        Config(size=256, cutmix_warmup=350_000, generator_rate=1e-4, discriminator_rate=5e-4),
        Training(steps=800_000, batch=20, ema=0.9999, ema_start=21_000),
        DataOptions(),
    ),
    "celeba128": Preset(
        Config(size=128, cutmix=1.0, cutmix_mode="add", generator_rate=5e-5, discriminator_rate=2e-4),
        Training(steps=800_000, batch=50, ema=0.9999, ema_start=21_000),
        DataOptions(),
    ),
    "coco-animals128": Preset(
        Config(
            size=128, classes=10, cutmix_warmup=95_000,
            generator_rate=5e-5, discriminator_rate=2e-4, adam_eps=1e-8,
        ),
        Training(steps=800_000, batch=80, ema=0.9999),
        DataOptions(),
    ),
}  # fmt: skip
