"""Looking at a run while it trains: grids of samples, and the collapse report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from ganvas.data import Data
from ganvas.data.resizing import enlarge
from ganvas.engine.checkpoint import State
from ganvas.engine.collapse import CollapseWatch
from ganvas.engine.log import FullDiskGuard, Log, read_stats
from ganvas.engine.system import Batch, System
from ganvas.viz.grids import beside, grid, save_png
from ganvas.viz.layouts import marked


def sample_in_batches(
    system: System, seeds: Sequence[int], conditions: Batch, truncation: float | None, batch: int
) -> Iterator[Float[Tensor, "B C H W"]]:
    """Pictures for seeds, at most `batch` at once, on the CPU.

    Args:
        system: In eval mode, with the weights to sample from.
        seeds: One integer a picture.
        conditions: Tensors with one entry a picture.
        truncation: See `System.sample`.
        batch: Pictures that pass through the networks at once.

    Yields:
        Pictures in [-1, 1], float32.
    """
    device = next(system.parameters()).device
    for start in range(0, len(seeds), batch):
        stop = start + batch
        part = {name: value[start:stop].to(device) for name, value in conditions.items()}
        with torch.no_grad():
            yield system.sample(seeds[start:stop], part, truncation).float().cpu()


@dataclass
class Preview:
    """Draws the same latents under the same conditions each time; leaves no trace in the training.

    Attributes:
        folder: Where grids go.
        data: What is trained on.
        real: A fixed batch of the data: all but its pictures are conditions.
        pictures: What of it samples are like, the measure of diversity.
        texts: What each PNG says about itself, such as the licence of the data.
        autocast: Makes the context that networks compute in.
        batch: Pictures that pass through the networks at once.
        seed: The run's seed.
        log: Where grids and collapses are told.
    """

    folder: Path
    data: Data
    real: Batch
    pictures: Float[Tensor, "B C H W"]
    texts: Mapping[str, str]
    autocast: Callable[[], AbstractContextManager[object]]
    batch: int
    seed: int
    log: Log

    def __post_init__(self) -> None:
        self.conditions = {name: value for name, value in self.real.items() if name != "image"}
        self.watch = CollapseWatch(self.pictures)

    def __call__(self, state: State) -> None:
        """Writes `step-*.png` from the averaged weights and looks whether the samples have collapsed."""
        seeds = range(len(self.pictures))
        with state.average.in_place(state.system, self.seed), self.autocast():
            samples = torch.cat(list(sample_in_batches(state.system, seeds, self.conditions, None, self.batch)))
            own = state.system.picture(self.data)
        picture = self.laid_out(state.system, samples) if own is None else own
        with FullDiskGuard(self.log):
            self.folder.mkdir(exist_ok=True)
            if own is None and not (self.folder / "real.png").exists():
                save_png(self.folder / "real.png", grid(self.marked(self.pictures)), self.texts)
            path = self.folder / f"step-{state.step:08d}.png"
            save_png(path, picture, self.texts)
            self.log.picture(state.step, "samples", path)
        ratio = self.watch.ratio(samples)
        self.log.event(state.step, "grid", diversity=round(ratio, 4))
        # Before training every generator draws the same gray.
        if state.step > 0 and self.watch.observe(ratio):
            self.log.event(state.step, "collapse", diversity=round(ratio, 4))
            self.log.note(
                f"step {state.step}: samples are nearly alike, their diversity is {ratio:.0%} of the data's: "
                "the generator may have collapsed"
            )

    def laid_out(self, system: System, samples: Float[Tensor, "B C H W"]) -> UInt8[np.ndarray, "H W C"]:
        """The grid: samples; of translations the source beside each, and the true picture where there is one."""
        if not system.sides:
            return grid(self.marked(samples))
        truth = [self.real["image"]] if system.sides == "paired" else []
        source = enlarge(self.real["source"], system.scale, "nearest")
        return grid(*beside(source, samples, *truth))

    def marked(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C height width"]:
        """Pictures with the boxes and keypoints that they are conditioned on, if they are."""
        places = self.conditions.get("boxes"), self.conditions.get("keypoints")
        return images if places == (None, None) else marked(images, *places)

    def remember(self, stats: Path, step: int) -> None:
        """Takes in what earlier grids, up to `step`, showed, so that a resumed run reports as it would have."""
        self.watch.low = 0
        for entry in read_stats(stats):
            if entry.get("event") == "grid" and 0 < entry["step"] <= step:
                self.watch.observe(entry["diversity"])
