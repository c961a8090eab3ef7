"""Data with two sides, pictures that are translated and what they become, and batches of both."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganvas.data.options import DataOptions
from ganvas.data.points import Points, PointSampler
from ganvas.data.sampler import Sampler, stream
from ganvas.data.source import Problem
from ganvas.data.store import Prepared
from ganvas.errors import UserError


@dataclass(frozen=True)
class Sides:
    """What a system that translates is trained on: both sides are pictures, or both are points.

    Takes the place of `Prepared` in training.

    Attributes:
        source: The side that is translated; `source.images` are its pictures.
        target: The side that it becomes.
        paired: Whether the pictures come in pairs.
        source_rows: Positions in `source` of the pictures that are used. Of points there are none.
        target_rows: The same in `target`. Of pairs entry i of both is pair i; else they have nothing to do with each
            other and may differ in number.
        name: What the user called it.
        problems: What is not used although its own side could read it, such as a picture without a partner.
        scale: How many times as high and wide the targets of pairs are as their sources.
    """

    source: Prepared | Points
    target: Prepared | Points
    paired: bool
    source_rows: NDArray[np.int64]
    target_rows: NDArray[np.int64]
    name: str
    problems: tuple[Problem, ...] = ()
    scale: int = 1

    labels = None
    unlabelled = "data with two sides has no classes"

    def __len__(self) -> int:
        """Pairs; without, the pictures of the smaller side."""
        return min(len(self.source_rows), len(self.target_rows)) if self.pictures else sys.maxsize

    def keys(self) -> frozenset[str]:
        """The keys of a batch drawn from it."""
        return frozenset({"source", "image"})

    @property
    def classes(self) -> list[str]:
        """None."""
        return []

    @property
    def pictures(self) -> Prepared | None:
        """The pictures of the target, which those that are made can be compared with; None if they are points."""
        return self.target if isinstance(self.target, Prepared) else None

    @property
    def amount(self) -> str:
        """How much there is of what, in words."""
        if self.pictures is None:
            return "endless points"
        if self.paired:
            return f"{len(self):,} pairs"
        return f"{len(self.source_rows):,} and {len(self.target_rows):,} unpaired pictures"

    @property
    def licence(self) -> str | None:
        """The lines of attribution of both sides, or None."""
        lines = dict.fromkeys(side.licence for side in (self.source, self.target) if side.licence)
        return "; ".join(lines) or None

    @property
    def skipped(self) -> list[Problem]:
        """What could not be used, and why; the side's name comes first where the sides are not one and the same."""
        found: dict[str, Problem] = {}
        for side in (self.source, self.target):
            start = "" if side.source == self.name else f"{side.source.rstrip('/')}/"
            for problem in side.skipped:
                found.setdefault(start + problem.name, Problem(start + problem.name, problem.reason))
        for problem in self.problems:
            found.setdefault(problem.name, problem)
        return list(found.values())

    @cached_property
    def hash(self) -> str:
        """SHA-256 of both sides, of what is used of them, and of whether those are pairs."""
        rows = [rows.tolist() for rows in (self.source_rows, self.target_rows)]
        text = json.dumps([self.source.hash, self.target.hash, self.paired, *rows])
        return hashlib.sha256(text.encode()).hexdigest()

    def describe(self) -> dict[str, Any]:
        """What it is, as JSON values; of points `count` is null."""
        return {
            "source": self.name,
            "count": len(self) if self.pictures else None,
            "paired": self.paired,
            "keys": sorted(self.keys()),
            "classes": self.classes,
            "hash": self.hash,
            "skipped": len(self.skipped),
            "licence": self.licence,
            "sides": {"source": self.source.describe(), "image": self.target.describe()},
        }

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
    ) -> SidesSampler:
        """What batches are drawn by.

        Of pairs both sides draw the same ones and are cut and mirrored alike; else each in its own order and way.
        `size` is that of the target.

        Raises:
            UserError: As `ganvas.data.sampler.Sampler` does, or classes are to be balanced.
        """
        if options.balance:
            raise UserError("--balance draws classes equally often, and data with two sides has none; leave it out.")
        if self.paired and len(self) < batch:
            raise UserError(
                f"{self.name} holds {len(self)} usable pairs, fewer than a batch of {batch}; "
                f"use --batch {len(self)} or less."
            )
        # A number that nothing else is seeded with, so that the sides know nothing of each other.
        seeds = (seed if self.paired else int(stream(seed, "source").integers(2**63)), seed)
        samplers = []
        for side, own, rows, by in zip(
            (self.source, self.target), seeds, (self.source_rows, self.target_rows), (self.scale, 1), strict=True
        ):
            # Places where the small pictures have a pixel.
            more: dict[str, Any] = {"rows": rows, "unit": self.scale // by} if isinstance(side, Prepared) else {}
            samplers.append(
                side.sampler(
                    batch=batch,
                    seed=own,
                    options=options,
                    device=device,
                    size=size // by,
                    rank=rank,
                    world=world,
                    **more,
                )
            )
        return SidesSampler(*samplers)


class SidesSampler:
    """Draws batches of both sides, each as its own sampler does: functions of (seed, step, draw, attempt) alone."""

    keys = frozenset({"source", "image"})
    """The keys of a batch."""

    def __init__(self, source: Sampler | PointSampler, target: Sampler | PointSampler):
        """Put the two together.

        Args:
            source: Draws what is translated.
            target: Draws what it becomes.
        """
        self.source, self.target = source, target

    def batch(self, step: int, draw: int = 0, attempt: int = 0) -> dict[str, Tensor]:
        """This rank's part of a batch.

        Args:
            step: Of training, from 0.
            draw: Which batch of the step; each number is a stream of its own.
            attempt: Counts repetitions of a step that failed; each is a stream of its own.

        Returns:
            `source`: (b, C, size, size) float32 in [-1, 1], channels-last in memory, b = batch / world; with a scale
                that much smaller.
            `image`: (b, D, size, size), the same of the target. Points are (b, D, 1, 1) and not limited.
        """
        source, target = (side.batch(step, draw, attempt)["image"] for side in (self.source, self.target))
        return {"source": source, "image": target}
