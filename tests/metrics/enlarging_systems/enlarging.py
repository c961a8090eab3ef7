"""A system that enlarges by a rule which a test can compute by itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import torch
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from ganvas.data.options import DataOptions
from ganvas.engine.system import Batch, Preset, System, Terms, Update
from ganvas.engine.training import Training

PAPER = "arXiv:0000.00000"


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Config:
    """The rule."""

    size: int = 24
    """Side of the pictures, pixels."""
    channels: int = 3
    """Channels of the pictures."""
    source_channels: int = 3
    """As many."""
    scale: int = 3
    """By how much they grow."""
    rule: Literal["nearest", "gray", "nothing"] = "nearest"
    """What a pixel becomes: a square of itself, all of its picture's mean, or NaN."""


class Enlarging(System):
    """Enlarges by the rule."""

    needs = frozenset({"source", "image"})
    sides = "paired"

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.scale = config.scale
        self.generator = nn.Conv2d(1, 1, 1)

    def updates(self, step: int) -> Iterable[Update]:
        yield Update("generator", (self.generator,), self.loss)

    def loss(self, batch: Batch) -> Terms:
        return {"any": self.generator(batch["source"][:, :1]).square().mean()}

    def optimizers(self) -> dict[str, Optimizer]:
        return {"generator": SGD(self.generator.parameters(), 0.1)}

    def schedule(self, step: int, optimizers: object) -> None:
        pass

    def prepare_sampling(self) -> None:
        pass

    def translate(self, source: Tensor, seeds: Sequence[int], direction: str = "AtoB") -> Tensor:
        if self.config.rule == "gray":
            source = torch.zeros_like(source)
        elif self.config.rule == "nothing":
            source = source * float("nan")
        return source.repeat_interleave(self.scale, 2).repeat_interleave(self.scale, 3)


SYSTEM = Enlarging

PRESETS = {
    "smoke": Preset(
        Config(),
        Training(steps=1, batch=2, log_every=1, grid_every=0, checkpoint_every=1, score_every=0, threads=1),
        DataOptions(flip=False),
    )
}
