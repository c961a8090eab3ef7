"""What systems that turn noise into pictures share: where z comes from, drawing, classes, fresh statistics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from ganvas.discriminators import Condition
from ganvas.engine.seeding import latents, truncate
from ganvas.engine.system import Batch, System
from ganvas.errors import UserError
from ganvas.nn.norm import refresh_batch_norm

LatentGenerator = Callable[[Float[Tensor, "B Z"], Int[Tensor, "B"] | None], Float[Tensor, "B C H W"]]
"""Latents and class indices (None where there are none) to pictures in [-1, 1]."""

STANDING_SEED = 2**40
"""First seed of the latents that batch-norm statistics are estimated from: out of the way of anybody's pictures."""


@dataclass(frozen=True)
class Prior:
    """The distribution of z, independent in every coordinate.

    Attributes:
        dim: Z, numbers in a latent.
        kind: `normal`, with mean `centre` and standard deviation `scale`; or `uniform`, from `centre - scale` to
            `centre + scale`.
        scale: See `kind`.
        centre: See `kind`.
    """

    dim: int
    kind: Literal["normal", "uniform"] = "normal"
    scale: float = 1.0
    centre: float = 0.0

    def draw(self, count: int, device: torch.device | str = "cpu") -> Float[Tensor, "B Z"]:
        """Fresh latents, from PyTorch's own random numbers."""
        if self.kind == "normal":
            return torch.randn(count, self.dim, device=device) * self.scale + self.centre
        return (torch.rand(count, self.dim, device=device) * 2 - 1) * self.scale + self.centre

    def seeded(self, seeds: Sequence[int], truncation: float | None = None) -> Float[Tensor, "B Z"]:
        """One latent a seed, on the CPU; row i depends on seed i alone.

        Args:
            seeds: One integer a row.
            truncation: Threshold as for a normal latent, in standard deviations (Brock et al. 2019, section 3.1); a
                uniform one is narrowed to the same share of its probability. None cuts off nothing.
        """
        z = latents(seeds, self.dim)
        if truncation is not None:
            z = truncate(z, truncation)
        if self.kind == "uniform":  # by the normal's cumulative distribution, so that order and seeds are kept
            z = (2 * torch.special.ndtr(z.double()) - 1).float()
        return z * self.scale + self.centre


def count_classes(classes: int | Literal["auto"]) -> int:
    """The number of classes of a configuration.

    Raises:
        UserError: It is `auto`, which only data can tell.
    """
    if classes == "auto":
        raise UserError("the number of classes is not known here: give --classes N, or data with labels")
    return classes


def draw(generator: LatentGenerator, batch: Batch, prior: Prior, classes: int = 0) -> Float[Tensor, "B C H W"]:
    """Pictures from fresh latents, with the classes of the batch."""
    image = batch["image"]
    return generator(prior.draw(len(image), image.device), batch["label"] if classes else None)


FAKE = "fake"
"""Key of a batch under which the pictures of one update are left for a later one of the same step."""


def once(batch: Batch, key: str, generator: nn.Module, make: Callable[[], Tensor]) -> Tensor:
    """What `make` gives, made once for all updates of a step and left in the batch under `key`.

    Its graph is kept, also where the generator is frozen in the update that comes first.

    Args:
        batch: Of the step.
        key: Name of the tensor, no key of the data's.
        generator: Whose parameters a later update moves.
        make: Passes through the generator.
    """
    if key not in batch:
        frozen = [parameter for parameter in generator.parameters() if not parameter.requires_grad]
        for parameter in frozen:
            parameter.requires_grad_(True)
        try:
            batch[key] = make()
        finally:
            for parameter in frozen:
                parameter.requires_grad_(False)
    return batch[key]


def draw_once(generator: nn.Module, batch: Batch, prior: Prior, classes: int = 0) -> Float[Tensor, "B C H W"]:
    """Pictures as `draw` gives them, the same for every update of a step, for algorithms that use them twice.

    The first call keeps the graph, so that the generator's update need not pass through the generator again. Until
    then it is held, for all micro-batches of the step.
    """
    return once(batch, FAKE, generator, lambda: draw(generator, batch, prior, classes))


def refresh_statistics(system: System, generator: nn.Module, *, batches: int = 8, size: int = 32) -> None:
    """Estimate a generator's batch-norm statistics anew, from the same latents every time, classes in turn."""
    starts = iter(range(STANDING_SEED, STANDING_SEED + batches * size, size))

    def run() -> None:
        start = next(starts)
        system.sample(range(start, start + size), {})

    refresh_batch_norm(generator, run, batches)


def class_condition(batch: Batch, classes: int) -> Condition | None:
    """The classes of a batch as discriminators take them: one-hot, (B, classes). None without classes."""
    if not classes:
        return None
    return Condition(vector=F.one_hot(batch["label"], classes).float())
