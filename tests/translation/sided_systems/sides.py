"""A system of two sides whose translation is a rule that a test can compute by itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import torch
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Optimizer

from ganvas.data.options import DataOptions
from ganvas.engine.system import Batch, Preset, System, Terms, Update
from ganvas.engine.training import Training

PAPER = "arXiv:0000.00000"


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Config:
    """The rule."""

    size: int = 8
    """Side of the pictures, pixels."""
    channels: int = 3
    """Channels of what is drawn."""
    source_channels: int = 3
    """Channels of what is translated."""
    multiple: int = 1
    """Heights and widths are multiples of this."""
    both: bool = False
    """Both directions."""
    scale: int = 1
    """What is drawn is so many times as high and wide: every pixel as a square of itself, after the rule."""
    rule: Literal["same", "seed", "place", "blocks", "blur", "tint", "nothing"] = "same"
    """What a picture becomes: itself, a constant of its seed, where a pixel is, means of blocks, blurred, half as red,
    or NaN."""


class TwoSides(System):
    """Translates by the rule; the other direction gives the negative of it."""

    needs = frozenset({"source", "image"})
    sides = "paired"

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.multiple = config.multiple
        self.scale = config.scale
        self.directions = ("AtoB", "BtoA") if config.both else ("AtoB",)
        self.generator = nn.Conv2d(1, 1, 1)
        self.shapes: list[tuple[int, ...]] = []

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
        self.shapes.append(tuple(source.shape))
        height, width = source.shape[2:]
        assert height % self.multiple == 0 and width % self.multiple == 0
        wanted = self.config.channels if direction == "AtoB" else self.config.source_channels
        of = source if source.shape[1] == wanted else source.mean(1, keepdim=True).expand(-1, wanted, -1, -1)
        rule = self.config.rule
        if rule == "seed":
            of = torch.zeros_like(of) + torch.tensor([seed / 100 for seed in seeds])[:, None, None, None]
        elif rule == "place":
            of = torch.zeros_like(of) + place(height, width)
        elif rule == "blocks":
            of = F.interpolate(F.avg_pool2d(of, self.multiple), scale_factor=self.multiple)
        elif rule == "blur":
            of = F.avg_pool2d(of, 5, 1, 2, count_include_pad=False)
        elif rule == "tint":
            of = torch.cat([(of[:, :1] + 1) / 2 - 1, of[:, 1:]], 1)
        elif rule == "nothing":
            of = of * float("nan")
        of = of.repeat_interleave(self.scale, 2).repeat_interleave(self.scale, 3)
        return of if direction == "AtoB" else -of


def place(height: int, width: int) -> Tensor:
    """A number for each pixel that nothing but its place in what the network sees decides."""
    return torch.sin(0.7 * torch.arange(height))[:, None] * torch.cos(0.3 * torch.arange(width)) * 0.9


SYSTEM = TwoSides

PRESETS = {
    "smoke": Preset(
        Config(),
        Training(steps=1, batch=2, log_every=1, grid_every=0, checkpoint_every=1, score_every=0, threads=1),
        DataOptions(flip=False),
    )
}
