"""Running the toy in this process, and comparing what came out."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import ganvas
from ganvas.engine.checkpoint import Checkpoints, State
from ganvas.engine.distributed import Ranks
from ganvas.engine.ema import Average
from ganvas.engine.log import Log
from ganvas.engine.loop import Loop
from ganvas.engine.precision import autocast
from ganvas.engine.seeding import seed_for
from ganvas.engine.signals import StopRequest
from ganvas.engine.system import Batch, System
from ganvas.engine.training import Training


class Pictures:
    """Batches of random pictures, a function of step, draw and attempt."""

    def __init__(self, batch: int, size: int = 8, channels: int = 1) -> None:
        self.shape = (batch, channels, size, size)
        self.asked: list[tuple[int, int, int]] = []

    def batch(self, step: int, draw: int = 0, attempt: int = 0) -> Batch:
        self.asked.append((step, draw, attempt))
        generator = torch.Generator().manual_seed(seed_for("pictures", step, draw, attempt))
        return {"image": torch.rand(self.shape, generator=generator) * 2 - 1}


class NoJudge:
    """Never scores."""

    best = None
    patient = True

    def start_at(self, step: int) -> None:
        pass

    def due(self, step: int) -> bool:
        return False

    def __call__(self, state: State) -> None:
        raise AssertionError("not due")


def make_loop(folder: Path, system: System, **training: Any) -> Loop:
    """A loop around a system, without data, grids, scores or a terminal."""
    settings = Training(**{"steps": 4, "batch": 8, "ema": 0.9, "checkpoint_every": 5, "grid_every": 0} | training)
    device = torch.device("cpu")
    folder.mkdir(parents=True, exist_ok=True)
    return Loop(
        State(system, system.optimizers(), Average(system, settings.ema, settings.ema_start)),
        Pictures(settings.batch),
        settings,
        Ranks(),
        partial(autocast, settings.precision if settings.precision != "auto" else "fp32", device),
        Checkpoints(folder / "checkpoints", settings.keep),
        Log(folder / "stats.jsonl", settings.steps, settings.batch),
        {},
        lambda state: None,
        NoJudge(),
        lambda: None,
        StopRequest(),
    )


def train_toy(out: Path, **overrides: Any) -> ganvas.Run:
    """A run of the toy on digits, in this process."""
    return ganvas.train("toy", "smoke", data="digits", out=out, device="cpu", **overrides)


def tensors(run: Path) -> dict[str, Tensor]:
    """Everything in a run's newest checkpoint."""
    return Checkpoints(run / "checkpoints").load().tensors


def differing(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> list[str]:
    """Names of tensors that are not equal bit for bit."""
    assert ours.keys() == theirs.keys()
    return [name for name in ours if not torch.equal(ours[name], theirs[name])]


def greatest_difference(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> float:
    assert ours.keys() == theirs.keys()
    return max(float((ours[name].double() - theirs[name].double()).abs().max()) for name in ours)


def stats(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "stats.jsonl").read_text().splitlines()]


def number_steps(run: Path) -> list[int]:
    """Steps of the lines with numbers."""
    return [entry["step"] for entry in stats(run) if "event" not in entry]


def events(run: Path, kind: str) -> list[dict[str, Any]]:
    return [entry for entry in stats(run) if entry.get("event") == kind]
