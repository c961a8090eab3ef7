"""The same seeds under ever stronger truncation: variety is traded for fidelity (Brock et al. 2019, section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from ganvas.engine.collapse import diversity
from ganvas.engine.system import System
from ganvas.inspect.latents import at_latents, label_of, prior_of, system_of
from ganvas.inspect.sheet import Row, draw_sheet, fitting
from ganvas.inspect.subject import Drawn, Subject
from ganvas.run import Run

THRESHOLDS = (None, 2.0, 1.0, 0.7, 0.5, 0.2)
COLUMNS = 9


def truncation_sweep(
    run: Run | System,
    seeds: Sequence[int],
    thresholds: Sequence[float | None] = THRESHOLDS,
    label: int | None = None,
) -> Float[Tensor, "T S C H W"]:
    """A picture for each threshold and seed, in [-1, 1], on the CPU.

    Args:
        run: A run, or a system in eval mode.
        seeds: One latent each.
        thresholds: As `System.sample` takes them; None cuts off nothing.
        label: Class of all pictures; by default each is of the class in which sampling draws its seed.

    Raises:
        UserError: The system draws from no noise, or no such class.
    """
    system = system_of(run)
    prior = prior_of(system)
    labels = torch.cat([label_of(system, label, seed)["label"] for seed in seeds]) if system.classes else None
    conditions = {} if labels is None else {"label": labels}
    return torch.stack([at_latents(system, prior.seeded(seeds, threshold), conditions) for threshold in thresholds])


def draw(subject: Subject, path: Path) -> Drawn:
    """Draws a row a threshold and a column a seed.

    Raises:
        NotMade: There is no checkpoint, or the system draws from no noise.
    """
    _ = subject.prior
    seeds = range(subject.seed, subject.seed + fitting(subject.run.config.size, COLUMNS))
    pictures = truncation_sweep(subject.system, seeds, label=subject.asked.label)
    names = ["none" if threshold is None else f"{threshold:g}" for threshold in THRESHOLDS]
    rows = [Row(name, of_threshold) for name, of_threshold in zip(names, pictures, strict=True)]
    title = f"{subject.name}, step {subject.run.step}: truncation of the latent"
    draw_sheet(path, title, rows, [f"seed {seed}" for seed in seeds], subject.texts)
    apart = {name: diversity(of_threshold) for name, of_threshold in zip(names, pictures, strict=True)}
    caption = (
        "Rows: the threshold at which latents are cut off, in standard deviations (--truncation of ganvas sample). "
        f"The mean distance between two pictures of a row is {apart['none']:.3f} without, {apart['1']:.3f} at 1 and "
        f"{apart['0.2']:.3f} at 0.2 (root mean square of pixels in [-1, 1])."
    )
    return Drawn(caption, numbers={"mean_distance": apart})
