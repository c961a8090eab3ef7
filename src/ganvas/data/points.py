"""Data that are numbers, not pictures: points drawn for ever from a density that is known, for demonstrations."""

from __future__ import annotations

import hashlib
import json
import math
import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from ganvas.data.options import DataOptions
from ganvas.data.sampler import share, stream
from ganvas.data.source import Problem, find_builtin, printable, split_sides
from ganvas.errors import UserError

WITHOUT_EFFECT = frozenset({"flip", "cache", "workers"})
"""Options of pictures that may have any value here: nothing is mirrored, kept or read."""


@dataclass(frozen=True)
class Points:
    """A mixture of K normal densities in D dimensions, each with one standard deviation in all directions.

    Takes the place of `Prepared` in training: a point is a picture of one pixel with D channels.

    Attributes:
        source: What the user called it.
        means: K rows of D numbers.
        deviations: Standard deviation of each of the K.
        weights: Share of each, of sum 1; equal shares if not given.
    """

    source: str
    means: tuple[tuple[float, ...], ...]
    deviations: tuple[float, ...]
    weights: tuple[float, ...] = ()

    labels = None
    licence = None
    pictures = None
    """There are none that features could be taken of."""
    unlabelled = "points have no classes"
    amount = "endless points"

    def __post_init__(self) -> None:
        """Fills in equal weights.

        Raises:
            ValueError: The parts do not fit each other, or make no density.
        """
        if not self.weights:
            object.__setattr__(self, "weights", (1 / len(self.deviations),) * len(self.deviations))
        if not len(self.means) == len(self.deviations) == len(self.weights) or len({*map(len, self.means)}) != 1:
            raise ValueError("a mixture has one mean, deviation and weight for each part, all in the same dimensions")
        if min(self.deviations) <= 0 or min(self.weights) < 0 or not math.isclose(sum(self.weights), 1):
            raise ValueError("the deviations of a mixture are above 0, and its weights are shares of sum 1")

    def __len__(self) -> int:
        """As many as Python can count: there is always one more."""
        return sys.maxsize

    @property
    def dimensions(self) -> int:
        """D, the numbers in a point."""
        return len(self.means[0])

    @property
    def classes(self) -> list[str]:
        """None."""
        return []

    @property
    def skipped(self) -> list[Problem]:
        """Nothing can be wrong with a point."""
        return []

    @property
    def hash(self) -> str:
        """SHA-256 of the mixture, whatever it is called."""
        return hashlib.sha256(json.dumps([self.means, self.deviations, self.weights]).encode()).hexdigest()

    def keys(self) -> frozenset[str]:
        """The keys of a batch drawn from it."""
        return frozenset({"image"})

    def describe(self) -> dict[str, Any]:
        """What it is, as JSON values; `count` is null, as it has no end."""
        return {
            "source": self.source,
            "count": None,
            "dimensions": self.dimensions,
            "keys": sorted(self.keys()),
            "means": [list(mean) for mean in self.means],
            "deviations": list(self.deviations),
            "weights": list(self.weights),
            "hash": self.hash,
        }

    def density(self, x: Float[Tensor, "N D"]) -> Float[Tensor, " N"]:
        """The probability density that points are drawn from, in closed form.

        Args:
            x: Where, any real numbers.

        Returns:
            float64, on the device of `x`.
        """
        x = x.to(torch.float64)
        means, deviations, weights = (
            torch.tensor(part, dtype=torch.float64, device=x.device)
            for part in (self.means, self.deviations, self.weights)
        )
        squared = (x[:, None] - means).square().sum(2) / deviations.square()
        peaks = weights / (math.sqrt(2 * math.pi) * deviations) ** self.dimensions
        return torch.exp(-squared / 2) @ peaks

    def sampler(
        self,
        *,
        batch: int,
        seed: int,
        options: DataOptions,
        device: torch.device | str,
        size: int,
        rank: int = 0,
        world: int = 1,
    ) -> PointSampler:
        """What batches are drawn by, as of `Prepared`; `options` and `size` were looked at by `open_points`.

        Raises:
            UserError: The batch cannot be divided among the ranks.
        """
        return PointSampler(self, batch=batch, seed=seed, device=device, rank=rank, world=world)


class PointSampler:
    """Draws batches of fresh points.

    As `ganvas.data.sampler.Sampler`, it is a function of (seed, step, draw, attempt) alone and draws a batch as a
    whole before a rank takes its part; but there are no epochs, and no point comes twice.
    """

    keys: frozenset[str]
    """The keys of a batch."""

    def __init__(
        self, data: Points, *, batch: int, seed: int, device: torch.device | str, rank: int = 0, world: int = 1
    ):
        """Draws nothing yet.

        Args:
            data: What points are drawn from.
            batch: Points in a batch, all ranks together.
            seed: Seed of the run.
            device: Where batches are wanted.
            rank: Which part of each batch to return.
            world: In how many parts it is cut.

        Raises:
            UserError: The batch cannot be divided among the ranks.
        """
        self.part = share(batch, rank, world)
        self.device = torch.device(device)
        self.keys = data.keys()
        self.data, self.global_batch, self.seed = data, batch, seed

    def batch(self, step: int, draw: int = 0, attempt: int = 0) -> dict[str, Tensor]:
        """This rank's part of a batch.

        Args:
            step: Of training, from 0.
            draw: Which batch of the step; each number is a stream of its own.
            attempt: Counts repetitions of a step that failed; each is a stream of its own.

        Returns:
            `image`: (b, D, 1, 1) float32, not limited to [-1, 1], b = batch / world.
        """
        points = self.points(stream(self.seed, "points", draw, attempt, step))[self.part]
        return {"image": torch.from_numpy(points.astype(np.float32))[:, :, None, None].to(self.device)}

    def points(self, random: np.random.Generator) -> NDArray[np.float64]:
        """The whole batch: (batch, D)."""
        data = self.data
        chosen = random.choice(len(data.weights), self.global_batch, p=data.weights)
        noise = random.standard_normal((self.global_batch, data.dimensions))
        return np.array(data.means)[chosen] + np.array(data.deviations)[chosen, None] * noise


def open_points(spec: str | Path, options: DataOptions, *, size: int, channels: int) -> Points | None:
    """The points that a user named; None if `spec` names something else.

    Args:
        spec: A built-in's name, which may be followed by a colon and its parts.
        options: How pictures are read: all that is set for them alone is refused.
        size: Side of the pictures that the system draws, in pixels: 1 if it draws points.
        channels: Numbers in a point that it draws.

    Raises:
        UserError: The built-in's parts make no density, the system draws pictures or points of other dimensions,
            or an option is set that does nothing.
    """
    found = find_builtin(spec)
    if found is None or not hasattr(found[0], "open_points"):
        return None
    module, parts = found
    return _fitting(module.open_points(parts), options, size, channels)


def open_two_points(
    spec: str | Path, options: DataOptions, *, size: int, channels: tuple[int, int]
) -> tuple[Points, Points] | None:
    """The two kinds of points that a user named, for a system that turns one into the other; None for something else.

    Args:
        spec: Two built-ins, `FIRST::SECOND`, or one that makes both.
        options: As in `open_points`, but that `swap` exchanges the two.
        size: As in `open_points`.
        channels: Numbers in a point that the system takes, and in one that it makes.

    Raises:
        UserError: As `open_points`, or one makes points and the other does not.
    """
    if both := split_sides(spec):
        found = [find_builtin(one) for one in both]
        made = [module.open_points(parts) for module, parts in filter(None, found) if hasattr(module, "open_points")]
        if len(made) == 1:
            raise UserError(f"One side of {printable(str(spec))} is points and the other is not; give two of a kind.")
    else:
        one = find_builtin(spec)
        made = one[0].open_point_sides(one[1]) if one and hasattr(one[0], "open_point_sides") else []
    if not made:
        return None
    if options.swap:
        made = made[::-1]
    kept = replace(options, swap=False)
    first, second = (_fitting(points, kept, size, count) for points, count in zip(made, channels, strict=True))
    return first, second


def _fitting(points: Points, options: DataOptions, size: int, channels: int) -> Points:
    """The points, if they and the options go with a system; see `open_points`."""
    if size != 1:
        raise UserError(
            f"{points.source} makes points and this system draws pictures of {size} pixels: give it pictures, or "
            "train a system of points."
        )
    if channels != points.dimensions:
        raise UserError(
            f"The points of {points.source} have {points.dimensions} coordinate{'s' * (points.dimensions != 1)} and "
            f"this system draws {channels}: use --channels {points.dimensions}, or other data."
        )
    for field in fields(options):
        if field.name not in WITHOUT_EFFECT and getattr(options, field.name) != field.default:
            flag = f"--{field.name.replace('_', '-')}"
            raise UserError(f"{flag} is for pictures and does nothing for the points of {points.source}; leave it out.")
    return points
