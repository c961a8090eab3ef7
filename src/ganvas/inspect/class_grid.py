"""The same latents in every class: what the latent decides and what the class does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from ganvas.engine.preview import sample_in_batches
from ganvas.engine.system import System
from ganvas.errors import UserError
from ganvas.inspect.latents import BATCH, system_of
from ganvas.inspect.sheet import Row, draw_sheet, fitting
from ganvas.inspect.subject import Drawn, NotMade, Subject
from ganvas.inspect.through_training import spread
from ganvas.run import Run

CLASSES = 12
"""Classes that are shown, at most."""
COLUMNS = 9


def class_grid(
    run: Run | System, seeds: Sequence[int], labels: Sequence[int] | None = None
) -> Float[Tensor, "L S C H W"]:
    """A picture for each class and seed, in [-1, 1], on the CPU.

    Args:
        run: A run, or a system in eval mode.
        seeds: One latent each.
        labels: Classes; all, in order, if not given.

    Raises:
        UserError: The system draws no classes, there is no such class, or no seed.
    """
    system = system_of(run)
    if not system.classes:
        raise UserError("the system draws no classes")
    chosen = list(range(system.classes) if labels is None else labels)
    if not seeds or not chosen or min(chosen) < 0 or max(chosen) >= system.classes:
        raise UserError(f"a grid of classes needs seeds, and classes from 0 to {system.classes - 1}")
    conditions = {"label": torch.tensor(chosen).repeat_interleave(len(seeds))}
    pictures = torch.cat(list(sample_in_batches(system, [*seeds] * len(chosen), conditions, None, BATCH)))
    return pictures.reshape(len(chosen), len(seeds), *pictures.shape[1:])


def draw(subject: Subject, path: Path) -> Drawn:
    """Draws a row a class and a column a latent.

    Raises:
        NotMade: There is no checkpoint, or the system draws no classes.
    """
    system = subject.system
    if not system.classes:
        raise NotMade("the system draws no classes: train it with --classes auto on data that has them")
    labels = spread(list(range(system.classes)), CLASSES)
    seeds = range(subject.seed, subject.seed + fitting(subject.run.config.size, COLUMNS))
    pictures = class_grid(system, seeds, labels)
    rows = [Row(subject.named("", label).strip(), of_class) for label, of_class in zip(labels, pictures, strict=True)]
    title = f"{subject.name}, step {subject.run.step}: the same latents in every class"
    draw_sheet(path, title, rows, [f"seed {seed}" for seed in seeds], subject.texts)
    shown = "All" if len(labels) == system.classes else f"{len(labels)} of the"
    caption = f"{shown} {system.classes} classes, one a row; a column has the same latent throughout."
    return Drawn(caption, numbers={"classes": labels})
