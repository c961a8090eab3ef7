"""The grids of samples that a run left, one after the other: training as a moving picture."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from ganvas.engine.log import read_stats
from ganvas.inspect.subject import Drawn, NotMade, Subject
from ganvas.inspect.through_training import spread
from ganvas.report.read import last_step
from ganvas.viz.animation import save_gif

FRAMES = 60
"""Grids that are shown, at most."""
FPS = 6
REST = 9
"""Frames that the last one stays for before all begins again."""
SIDE = 640
"""Pixels of the longer side of a frame, at most."""
BYTES = 6_000_000
"""Of the file, at most; frames are made smaller until it has no more."""
STRIP, LEAST = 22, 110
"""Pixels of the label over a frame: its height, and the width that it needs."""


def timelapse(
    samples: Path, until: int | None = None, side: int = SIDE
) -> tuple[list[int], UInt8[np.ndarray, "N H W 3"]]:
    """Grids of samples as frames, each labelled with its step.

    Args:
        samples: The folder of a run's grids, `step-*.png`.
        until: The last step; grids of later ones are left out.
        side: Pixels of the longer side of a grid, at most.

    Returns:
        At most 60 steps, evenly spaced, the first and the last among them, and a frame for each. Grids of another
        shape than the last one's, and such as cannot be read, are left out.
    """
    named = {
        int(found[1]): path for path in samples.glob("step-*.png") if (found := re.fullmatch(r"step-(\d+)", path.stem))
    }
    steps = spread([step for step in sorted(named) if until is None or step <= until], FRAMES)
    grids: dict[int, Image.Image] = {}
    for step in steps:
        try:
            with Image.open(named[step]) as picture:
                grids[step] = picture.convert("RGB")
        except (OSError, SyntaxError):
            continue
    shape = grids[max(grids)].size if grids else (1, 1)
    grids = {step: grid for step, grid in grids.items() if grid.size == shape}
    scale = min(1.0, side / max(shape))
    size = (max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale)))
    frames = [
        _labelled(grid.resize(size, Image.Resampling.BOX) if scale < 1 else grid, step) for step, grid in grids.items()
    ]
    return [*grids], np.stack(frames) if frames else np.zeros((0, 1, 1, 3), np.uint8)


def draw(subject: Subject, path: Path) -> Drawn:
    """Writes the grids as a GIF.

    Raises:
        NotMade: There are fewer than two grids.
    """
    # A run that went back to an earlier step has grids that belong to it no more.
    stats = read_stats(subject.run.folder.stats)
    folder, until, side = subject.run.folder.samples, last_step(stats) if stats else None, SIDE
    while True:
        steps, frames = timelapse(folder, until, side)
        if len(steps) < 2:
            raise NotMade(f"there are fewer than two grids of samples in {folder}: train with a smaller --grid-every")
        save_gif(path, np.concatenate([frames, frames[-1:].repeat(REST, 0)]), FPS, subject.texts)
        size = path.stat().st_size
        if size <= BYTES or side <= 64:
            break
        side = int(side * min(0.9, 0.95 * (BYTES / size) ** 0.5))  # bytes go with the pixels
    caption = (
        f"{len(steps)} of the grids of samples from step {steps[0]} to {steps[-1]}, in order, above each its step."
    )
    return Drawn(caption, numbers={"steps": steps})


def _labelled(grid: Image.Image, step: int) -> UInt8[np.ndarray, "H W 3"]:
    frame = Image.new("RGB", (max(grid.width, LEAST), grid.height + STRIP), "white")
    frame.paste(grid, (0, STRIP))
    ImageDraw.Draw(frame).text((4, 3), f"step {step:,}", "black", ImageFont.load_default(14))
    return np.asarray(frame)
