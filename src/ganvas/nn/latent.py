"""Drawing pictures from generators that take a latent and, if conditional, a class: fresh ones and seeded ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from ganvas.discriminators import Condition
from ganvas.engine.seeding import latents, truncate
from ganvas.engine.system import Batch
from ganvas.nn.norm import refresh_batch_norm

LatentGenerator = Callable[[Float[Tensor, "B Z"], Int[Tensor, "B"] | None], Float[Tensor, "B C H W"]]
"""Latents and class indices (None where there are none) to pictures in [-1, 1]."""

STANDING_SEED = 2**40
"""First seed of the latents that batch-norm statistics are estimated from: out of the way of anybody's pictures."""


def draw(generator: LatentGenerator, batch: Batch, latent: int, classes: int) -> Float[Tensor, "B C H W"]:
    """Pictures from fresh normal latents, with the classes of the batch."""
    image = batch["image"]
    z = torch.randn(len(image), latent, device=image.device)
    return generator(z, batch["label"] if classes else None)


def draw_seeded(
    generator: nn.Module,
    seeds: Sequence[int],
    conditions: Batch,
    latent: int,
    classes: int,
    truncation: float | None,
) -> Float[Tensor, "B C H W"]:
    """One picture a seed; see `ganvas.engine.system.System.sample`. Classes go in turn if none are given."""
    z = latents(seeds, latent)
    if truncation is not None:
        z = truncate(z, truncation)
    if classes and "label" not in conditions:
        conditions = {"label": torch.as_tensor(list(seeds)) % classes}
    return draw_at(generator, z, conditions, classes)


def draw_at(generator: nn.Module, z: Float[Tensor, "B Z"], conditions: Batch, classes: int) -> Float[Tensor, "B C H W"]:
    """Pictures at given latents, of the classes in `conditions`; see `ganvas.engine.system.System.from_latents`."""
    device = next(generator.parameters()).device
    pictures: Tensor = generator(z.to(device), conditions["label"].to(device) if classes else None)
    return pictures


def refresh_statistics(generator: nn.Module, latent: int, classes: int, *, batches: int = 8, size: int = 32) -> None:
    """Estimate the generator's batch-norm statistics anew, from the same latents every time."""
    starts = iter(range(STANDING_SEED, STANDING_SEED + batches * size, size))

    def run() -> None:
        start = next(starts)
        draw_seeded(generator, range(start, start + size), {}, latent, classes, None)

    refresh_batch_norm(generator, run, batches)


def class_condition(batch: Batch, classes: int) -> Condition | None:
    """The classes of a batch as discriminators take them: one-hot, (B, classes). None without classes."""
    if not classes:
        return None
    return Condition(vector=F.one_hot(batch["label"], classes).float())
