"""What the experiments on SimGAN share: the two sides of its data, refined pictures and how they are shown."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from matplotlib.gridspec import SubplotSpec

import ganvas
from findings import show
from ganvas.run import Run
from ganvas.study.file import Study
from ganvas.study.plan import StudyRun

LAST = 4
"""Checkpoints that weights are averaged over, where they are: the last ones."""
HELD_OUT = "digits:test"
"""Real pictures that no run sees, not even without their labels."""


def sides(study: Study) -> tuple[str, str]:
    """The simulated and the real pictures that a study's runs are trained on."""
    simulated, real = study.variants[0].data.split("::")
    return simulated, real


def opened(run: StudyRun, step: int | None = None, averaged: int = 1) -> Run:
    """A run at a checkpoint.

    Args:
        run: The run.
        step: Of the checkpoint; None is the newest.
        averaged: The mean of the refiner's weights at so many checkpoints, this one and those before it.
    """
    found = ganvas.load(run.path, device="cpu", checkpoint="newest" if step is None else step)
    if averaged > 1:
        last = [s for s in found.folder.checkpoints().steps() if s <= found.step][-averaged:]
        states = [ganvas.load(run.path, device="cpu", checkpoint=s).system.generator.state_dict() for s in last]
        mean = {name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]}
        found.system.generator.load_state_dict(mean)
    return found


def refined(run: Run, simulated: torch.Tensor) -> torch.Tensor:
    """R(x) of pictures (N, C, H, W) in [-1, 1], at the 256 levels of a file."""
    return ((run.translate(simulated, batch=250) + 1) * 127.5).round() / 127.5 - 1


def rows_of_pictures(cell: SubplotSpec, rows: Sequence[tuple[str, torch.Tensor]], count: int) -> None:
    """Draws named rows of `count` pictures each within a cell of a figure's grid."""
    axes = cell.subgridspec(len(rows), 1, hspace=0.05).subplots()
    for axis, (name, pictures) in zip(axes, rows, strict=True):
        show(axis, torch.cat([*pictures[:count]], 2))
        axis.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
