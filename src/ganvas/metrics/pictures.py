"""Which pictures a score is computed from, and their features: the same however the work is shared.

Pictures are taken in chunks of a fixed length. Chunk i goes to process i modulo their number, so that every
picture passes through the networks beside the same others, however many processes there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from torch import Tensor

from ganvas.data import Prepared
from ganvas.engine.distributed import Ranks
from ganvas.engine.seeding import seed_for
from ganvas.engine.system import Batch, System
from ganvas.errors import UserError
from ganvas.metrics.extract import extract
from ganvas.metrics.networks import FeatureNetwork, Features
from ganvas.viz.grids import to_bytes

CHUNK = 32
"""Pictures that pass through a generator together."""

Pictures = Callable[[Sequence[int]], UInt8[Tensor, "B H W C"]]
"""Gives the pictures with these numbers, counted from 0."""


@dataclass(frozen=True)
class Choice:
    """Pictures of prepared data, drawn without replacement by a seed alone.

    Attributes:
        data: The pictures there are.
        rows: Which of them, in the order drawn.
        size: Side in pixels. Larger pictures, prepared so to be cut at random in training, are cut in the middle.
    """

    data: Prepared
    rows: NDArray[np.int64]
    size: int

    @classmethod
    def draw(cls, data: Prepared, n: int | None, seed: int, size: int) -> Choice:
        """Draws `n` pictures; all of them, where that is None or there are no more."""
        random = np.random.default_rng(seed_for("scored pictures", seed))
        return cls(data, random.permutation(len(data))[:n], size)

    def __len__(self) -> int:
        return len(self.rows)

    def __call__(self, numbers: Sequence[int]) -> UInt8[Tensor, "B H W C"]:
        """The pictures with these numbers."""
        start = (self.data.images.shape[1] - self.size) // 2
        middle = slice(start, start + self.size)
        return torch.from_numpy(np.ascontiguousarray(self.data.images[self.rows[list(numbers)]][:, middle, middle]))

    def conditions(self, numbers: Sequence[int]) -> Batch:
        """What is known about these pictures, to draw samples of the same; numbers past the last start again."""
        if self.data.labels is None:
            return {}
        return {"label": torch.from_numpy(self.data.labels[self.rows[np.array(numbers) % len(self)]])}


def drawn(
    system: System,
    conditions: Callable[[Sequence[int]], Batch],
    seed: int,
    truncation: float | None,
    autocast: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> Pictures:
    """Samples of a system, as 8-bit pictures: picture i depends on `seed` + i and its conditions alone.

    Args:
        system: Ready to sample.
        conditions: Tensors to condition on, for pictures of given numbers.
        seed: Of the first picture.
        truncation: See `System.sample`.
        autocast: Makes the context that the system computes in; feature networks choose their own.
    """
    device = next(system.parameters()).device

    def pictures(numbers: Sequence[int]) -> UInt8[Tensor, "B H W C"]:
        given = {name: value.to(device) for name, value in conditions(numbers).items()}
        with torch.no_grad(), autocast():
            images = system.sample([seed + number for number in numbers], given, truncation)
        if not torch.isfinite(images).all():
            raise UserError("samples hold numbers that are not finite: this run has diverged and cannot be scored")
        return torch.from_numpy(to_bytes(images))

    return pictures


def features_of(
    network: FeatureNetwork,
    pictures: Pictures,
    n: int,
    ranks: Ranks,
    progress: Callable[[int], None] = lambda done: None,
) -> Features:
    """Features of pictures 0 to n - 1, extracted by all processes together.

    Args:
        network: What extracts them.
        pictures: Gives them.
        n: How many.
        ranks: This process among the others; all get all the features.
        progress: Called with the number of pictures that this process is past.

    Raises:
        UserError: If samples or features are not finite, in any process; then in all.
    """
    chunks = [range(start, min(start + CHUNK, n)) for start in range(0, n, CHUNK)]
    mine = chunks[ranks.rank :: ranks.world]
    own: Features | UserError
    try:
        own = extract(network, (pictures(chunk) for chunk in mine), progress=progress)
    except UserError as error:
        own = error  # the others wait for this process's part: they must hear of it
    parts = ranks.gather(own)
    for part in parts:
        if isinstance(part, UserError):
            raise part
    rows = torch.tensor([row for rank in range(ranks.world) for chunk in chunks[rank :: ranks.world] for row in chunk])
    order = torch.argsort(rows)
    probabilities = [part.probabilities for part in parts if part.probabilities is not None]
    return Features(
        torch.cat([part.vectors for part in parts])[order],
        torch.cat(probabilities)[order] if probabilities else None,
    )
