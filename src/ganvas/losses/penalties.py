"""Gradient penalties on a discriminator, computed in float32.

Each returns the mean over the batch, unweighted. The score that is differentiated is the mean over a head's
positions, added up over heads, so that a discriminator with per-pixel logits is penalised like one without.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from ganvas.discriminators import Condition, Verdict
from ganvas.nn.dtypes import at_least_float32

Discriminator = Callable[[Tensor, Condition | None], Verdict]


def _squared_gradient_norm(
    discriminator: Discriminator, images: Float[Tensor, "B C H W"], condition: Condition | None
) -> Float[Tensor, "B"]:
    with torch.autocast(images.device.type, enabled=False), torch.enable_grad():
        images = at_least_float32(images.detach()).requires_grad_()
        heads = discriminator(images, condition).heads.values()
        score = torch.stack([logits.flatten(1).mean(1) if logits.ndim > 1 else logits for logits in heads]).sum()
        (gradient,) = torch.autograd.grad(score, images, create_graph=True)
    return gradient.flatten(1).square().sum(1)


def zero_centred_penalty(
    discriminator: Discriminator, images: Float[Tensor, "B C H W"], condition: Condition | None = None
) -> Float[Tensor, ""]:
    """Mean of 1/2 |grad D|^2: R1 on real pictures, R2 on generated ones (Mescheder et al. 2018, eqs. 9 and 10)."""
    return 0.5 * _squared_gradient_norm(discriminator, images, condition).mean()


def gradient_penalty(
    discriminator: Discriminator,
    real: Float[Tensor, "B C H W"],
    fake: Float[Tensor, "B C H W"],
    condition: Condition | None = None,
) -> Float[Tensor, ""]:
    """Mean of (|grad D| - 1)^2 at random points between real and generated pictures (Gulrajani et al. 2017, eq. 3)."""
    real, fake = at_least_float32(real), at_least_float32(fake)
    share = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device, dtype=real.dtype)
    between = torch.lerp(real, fake, share)
    # The square root has an infinite slope at zero; the small constant keeps its gradient finite there.
    norm = (_squared_gradient_norm(discriminator, between, condition) + 1e-12).sqrt()
    return (norm - 1).square().mean()
