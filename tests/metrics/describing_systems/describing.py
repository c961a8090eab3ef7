"""A system that draws what it is asked for by a rule, or pays no heed to some of it."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from ganvas.data.options import DataOptions
from ganvas.engine.system import Batch, Preset, System, Terms, Update
from ganvas.engine.training import Training
from ganvas.nn.latent import Prior
from ganvas.nn.text import Standing

PAPER = "arXiv:0000.00002"
COLOURS = torch.tensor([[1.0, -1, -1], [-1, 1, -1], [-1, -1, 1], [1, 1, -1], [-1, 1, 1], [1, -1, 1]])


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Config:
    """What is heeded."""

    size: int = 24
    """Side of the pictures, pixels."""
    channels: int = 3
    """Colour channels."""
    embedding: int = 6
    """Numbers of a caption: which colour, as a vector of one 1."""
    heeds: tuple[str, ...] = ("text", "boxes", "keypoints", "noise")
    """What of it; of the rest the middle is drawn, and all of one colour."""
    needs: tuple[str, ...] = ("text", "boxes", "keypoints")
    """What it draws from."""
    keypoints: int = 2
    """Parts."""
    shows: str = "pictures"
    """Otherwise samples are drawings of something else."""


def draw(conditions: Batch, side: int, noise: Tensor | None = None) -> Tensor:
    """A rectangle of the caption's colour in the box, the two keypoints in black and in white, on a gray ground."""
    text, boxes, points = conditions["text"], conditions["boxes"], conditions["keypoints"]
    pictures = torch.zeros(len(text), 3, side, side) + (0 if noise is None else noise)
    for picture, vector, box, places in zip(pictures, text, boxes, points, strict=True):
        left, top, width, height = (round(float(value) * side) for value in box)
        picture[:, top : top + height, left : left + width] = 0.9 * COLOURS[vector.argmax()][:, None, None]
        for value, (x, y, seen) in zip((-1, 1), places.tolist(), strict=True):
            if seen:
                row, column = int(y * side), int(x * side)
                picture[:, max(0, row - 1) : row + 2, max(0, column - 1) : column + 2] = value
    return pictures


class Describing(System):
    """Draws by the rule."""

    def __new__(cls, config: Config) -> System:
        return super().__new__(DescribingElse if config.shows != "pictures" else cls)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.needs = frozenset({"image", *config.needs})
        self.prior = Prior(4)
        self.generator = nn.Linear(1, 1)
        first = {"text": torch.zeros(6), "boxes": torch.zeros(4), "keypoints": torch.zeros(2, 3)}
        self.standing = Standing(**{name: first[name] for name in config.needs})

    def begin(self, batches: Iterable[Batch]) -> None:
        self.standing.keep(batches)

    def prepare_sampling(self) -> None:
        pass

    def updates(self, step: int) -> Iterable[Update]:
        yield Update("generator", (self.generator,), self.loss)

    def loss(self, batch: Batch) -> Terms:
        return {"any": self.generator(torch.ones(1, 1)).square().mean()}

    def optimizers(self) -> dict[str, Optimizer]:
        return {"generator": SGD(self.generator.parameters(), 0.1)}

    def schedule(self, step: int, optimizers: object) -> None:
        pass

    def from_latents(self, latents: Tensor, conditions: Batch) -> Tensor:
        count, heeds = len(latents), self.config.heeds
        plain = {
            "text": torch.eye(6)[:1].repeat(count, 1),
            "boxes": torch.tensor([[0.25, 0.25, 0.5, 0.5]]).repeat(count, 1),
            "keypoints": torch.tensor([[[0.3, 0.5, 1], [0.7, 0.5, 1]]]).repeat(count, 1, 1),
        }
        noise = 0.1 * latents[:, :1, None, None] if "noise" in heeds else None
        return draw(plain | {key: conditions[key] for key in plain if key in heeds}, self.config.size, noise)


class DescribingElse(Describing):
    """Draws what is no picture of the data: where the box is."""

    def pictured(self, batch: Batch) -> Tensor:
        return self.from_latents(torch.zeros(len(batch["boxes"]), 4), batch)


SYSTEM = Describing

PRESETS = {
    "smoke": Preset(
        Config(),
        Training(steps=1, batch=4, ema=0.0, log_every=1, grid_every=0, checkpoint_every=1, score_every=0, threads=1),
        DataOptions(flip=False),
    )
}
