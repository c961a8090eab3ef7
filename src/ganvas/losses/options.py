"""The settings of an adversarial loss, the same for every system; each system states its own defaults."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, NonNegativeFloat, NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass
from torch import nn

from ganvas.augment.diffaugment import DiffAugment
from ganvas.errors import UserError
from ganvas.losses.adversarial import AdversarialLoss, Probability
from ganvas.losses.objectives import ObjectiveName


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Adversarial:
    """An objective and what is put on top of it; see `AdversarialLoss`."""

    objective: ObjectiveName = "non-saturating"
    """What the two networks minimise against each other."""
    cutmix: Probability = 0.0
    """Probability of a CutMix step, p_mix (U-Net GAN, section 3.2); needs the unet discriminator."""
    cutmix_loss: NonNegativeFloat = 1.0
    """Weight of the CutMix term; 0 leaves consistency alone, for runs that are unstable."""
    cutmix_mode: Literal["replace", "add"] = "replace"
    """A CutMix step replaces the ordinary loss (FFHQ, COCO-Animals), or CutMix is added to it (CelebA)."""
    cutmix_warmup: NonNegativeInt = 0
    """Steps over which p_mix rises linearly from 0 (mode replace) or the encoder's CutMix loss does (mode add)."""
    consistency: NonNegativeFloat = 0.0
    """Weight of the consistency term, lambda (U-Net GAN, eq. 9); needs cutmix."""
    r1: NonNegativeFloat = 0.0
    """Weight of the R1 penalty on real pictures, gamma (Mescheder et al. 2018)."""
    r2: NonNegativeFloat = 0.0
    """Weight of the R2 penalty on generated pictures."""
    gradient_penalty: NonNegativeFloat = 0.0
    """Weight of the WGAN-GP penalty (Gulrajani et al. 2017)."""
    penalty_every: PositiveInt = 16
    """Penalties are computed once in so many steps."""
    history: NonNegativeInt = 0
    """Generated pictures of earlier steps that are kept; half of those judged are drawn from them (SimGAN, 2.3)."""
    feature_matching: NonNegativeFloat = 0.0
    """Weight of matching the discriminator's mean features (0.9 in DiscoGAN's published code)."""
    first_matched: PositiveInt = 2
    """First layer of the discriminator whose features are matched (DiscoGAN's code: 2, and 3 for its angle tasks)."""
    diffaugment: str = ""
    """Policies of DiffAugment for small data sets, such as color,translation,cutout."""

    def loss(
        self,
        discriminator: nn.Module,
        *,
        mismatched: float = 0.5,
        discriminator_weight: float = 1.0,
        generator_weight: float = 1.0,
    ) -> AdversarialLoss:
        """The loss against a discriminator.

        Args:
            discriminator: Pictures and a condition in, a `Verdict` out.
            mismatched: See `AdversarialLoss`.
            discriminator_weight: Factor on the discriminator's adversarial terms.
            generator_weight: Factor on the generator's.

        Raises:
            UserError: CutMix with a discriminator that does not judge pixels, or what `AdversarialLoss` refuses.
        """
        if self.cutmix and not getattr(discriminator, "judges_pixels", False):
            raise UserError(
                "CutMix needs the unet discriminator: give --cutmix 0 --consistency 0, or --discriminator unet"
            )
        return AdversarialLoss(
            discriminator,
            self.objective,
            cutmix=self.cutmix,
            cutmix_loss=self.cutmix_loss,
            cutmix_mode=self.cutmix_mode,
            cutmix_warmup=self.cutmix_warmup,
            consistency=self.consistency,
            r1=self.r1,
            r2=self.r2,
            gradient_penalty=self.gradient_penalty,
            penalty_every=self.penalty_every,
            history=self.history,
            feature_matching=self.feature_matching,
            first_matched=self.first_matched,
            augment=DiffAugment(self.diffaugment) if self.diffaugment else None,
            mismatched=mismatched,
            discriminator_weight=discriminator_weight,
            generator_weight=generator_weight,
        )
