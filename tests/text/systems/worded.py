"""A system whose pictures are the numbers that it was given, so that tests can read them off."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from ganvas.data.options import DataOptions
from ganvas.engine.system import Batch, Preset, System
from ganvas.engine.training import Training
from ganvas.nn.latent import Prior
from ganvas.nn.text import STANDING, Standing

PAPER = "arXiv:0000.00001"
SIZE, DIM, PARTS = 8, 384, ("beak", "left wing", "right wing")


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Config:
    """What it shows."""

    size: int = SIZE
    """Side of the pictures, pixels."""
    channels: int = 3
    """Colour channels."""
    needs: tuple[str, ...] = ("text", "boxes", "keypoints")
    """What it draws from."""
    completes: bool = False
    """Whether it completes keypoints."""


class Worded(System):
    """Rows of channel 0: 8 numbers of the caption; the box; 9 numbers of the keypoints; the latent."""

    def __new__(cls, config: Config) -> System:
        return super().__new__(WordedCompletion if config.completes else cls)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.needs = frozenset({"image", *config.needs})
        self.prior = Prior(SIZE)
        self.generator = nn.Linear(1, 1)
        first = {"text": torch.zeros(DIM), "boxes": torch.zeros(4), "keypoints": torch.zeros(len(PARTS), 3)}
        self.standing = Standing(**{name: first[name] for name in config.needs})
        for name in config.needs:  # each of its own, to be told apart
            buffer = self.standing.get_buffer(name)
            buffer += torch.linspace(0, 1, STANDING).reshape(-1, *[1] * (buffer.ndim - 1)) * (name != "keypoints")

    def from_latents(self, latents: Tensor, conditions: Batch) -> Tensor:
        count = len(latents)
        pictures = torch.zeros(count, 3, SIZE, SIZE)
        if "text" in conditions:
            pictures[:, 0, 0] = conditions["text"][:, :SIZE]
        if "boxes" in conditions:
            pictures[:, 0, 1, :4] = conditions["boxes"]
        if "keypoints" in conditions:
            pictures[:, 0, 2:4] = nn.functional.pad(conditions["keypoints"].flatten(1), (0, 7)).view(count, 2, SIZE)
        pictures[:, 0, 4] = latents / 8
        return pictures


class WordedCompletion(Worded):
    """What is missing is put at (first number of the caption, seed / 100)."""

    def complete(self, keypoints: Tensor, text: Tensor, seeds: Sequence[int]) -> Tensor:
        drawn = torch.stack([text[:, 0], torch.tensor([*seeds]) / 100, torch.ones(len(text))], 1)
        return torch.where(keypoints[..., 2:] > 0, keypoints, drawn[:, None])


SYSTEM = Worded

PRESETS = {"smoke": Preset(Config(), Training(steps=1, batch=4), DataOptions())}
