"""Runs of the system that shows what it is given, written without training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import ganvas
from ganvas import systems
from ganvas.data.options import DataOptions
from ganvas.engine.checkpoint import Checkpoints, State
from ganvas.engine.ema import Average
from ganvas.engine.folder import RunFolder, Settings
from ganvas.engine.system import Preset
from ganvas.engine.training import Training
from ganvas.text.encoders import find_encoder

PARTS = ["beak", "left wing", "right wing"]


def worded(path: Path, *, encoder: dict[str, Any] | None = None, parts: list[str] | None = None, **config: Any) -> Any:
    """A run that learnt captions by `minilm`, boxes and keypoints, unless told otherwise."""
    module = systems.find("worded")
    chosen = Preset(module.Config(**config), Training(steps=1, batch=4), DataOptions())
    known = {"name": "minilm", "hash": find_encoder("minilm").hash, "dim": 384} if encoder is None else encoder
    data = {"hash": "0", "classes": [], "licence": "CC0", "count": 4, "encoder": known, "parts": parts or PARTS}
    folder = RunFolder(path)
    folder.create(Settings("worded", "smoke", chosen, "words", data))
    system = module.SYSTEM(chosen.config)
    Checkpoints(path / "checkpoints").save(State(system, {}, Average(system, 0.9, 0), step=1), {})
    return ganvas.load(path, device="cpu")


def caption_of(pictures: Tensor) -> Tensor:
    """The first 8 numbers of the caption that pictures were drawn from, (..., 8)."""
    return pictures[..., 0, 0, :]


def box_of(pictures: Tensor) -> Tensor:
    """Their boxes, (..., 4)."""
    return pictures[..., 0, 1, :4]


def keypoints_of(pictures: Tensor) -> Tensor:
    """Their keypoints, (..., 3, 3)."""
    return pictures[..., 0, 2:4, :].flatten(-2)[..., :9].unflatten(-1, (3, 3))


def latent_of(pictures: Tensor) -> Tensor:
    """Their latents, (..., 8)."""
    return pictures[..., 0, 4, :] * 8


def known(text: str) -> Tensor:
    """What `minilm` makes of a caption, as far as pictures show it."""
    return find_encoder("minilm").encode([text])[0, :8].clone()


def equal(a: Tensor, b: Tensor) -> bool:
    """Whether all of one are the other, which has no or single dimensions in front."""
    return torch.equal(*torch.broadcast_tensors(a, b))
