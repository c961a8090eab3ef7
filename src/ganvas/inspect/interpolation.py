"""Walks between latents (fig. 4 of U-Net GAN)."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from ganvas.engine.seeding import latents
from ganvas.engine.system import System
from ganvas.inspect.sheet import Row, draw_sheet, fitting
from ganvas.inspect.subject import BATCH, Drawn, NotMade, Subject

ROWS = 5
COLUMNS = 9


def draw(subject: Subject, path: Path) -> Drawn:
    """Draws rows that lead from the picture of one seed to that of the next, on a great arc.

    Raises:
        NotMade: There is no checkpoint, or the system does not draw from given latents.
    """
    system = subject.system
    if type(system).from_latents is System.from_latents:
        raise NotMade("the system does not draw pictures from given latents (it has no `from_latents`)")
    seeds = range(subject.seed, subject.seed + 2 * ROWS)
    columns = max(2, fitting(subject.run.config.size, COLUMNS))
    shares = torch.linspace(0, 1, columns)
    ends = latents(seeds, subject.run.config.latent)
    path_points = torch.cat([slerp(a, b, shares) for a, b in zip(ends[::2], ends[1::2], strict=True)])
    labels = subject.labels(seeds[::2])
    conditions = {} if labels is None else {"label": labels.repeat_interleave(columns)}
    pictures = []
    for start in range(0, len(path_points), BATCH):
        part = {name: value[start : start + BATCH].to(subject.run.device) for name, value in conditions.items()}
        with torch.no_grad():
            z = path_points[start : start + BATCH].to(subject.run.device)
            pictures.append(system.from_latents(z, part).float().cpu())
    images = torch.cat(pictures)
    rows = []
    for i, seed in enumerate(seeds[::2]):
        name = subject.named(f"seed {seed} to {seed + 1}", None if labels is None else int(labels[i]))
        rows.append(Row(name, images[i * columns : (i + 1) * columns]))
    title = f"{subject.name}, step {subject.run.step}: between two latents"
    draw_sheet(path, title, rows, [f"{float(share):.3g}" for share in shares], subject.texts)
    caption = (
        "Each row leads from the latent of one seed to that of the next, which draw its first and last picture, by "
        "spherical interpolation; above, the share of the way."
    )
    return Drawn(caption if labels is None else f"{caption} The class stays that of the first.")


def slerp(a: Float[Tensor, " Z"], b: Float[Tensor, " Z"], shares: Float[Tensor, " N"]) -> Float[Tensor, "N Z"]:
    """Spherical linear interpolation: sin((1 - t) w) / sin w * a + sin(t w) / sin w * b, w the angle between the two.

    Normal latents of many dimensions lie near a sphere. A straight line cuts through its inside, where the generator
    was never trained; this stays near it (White 2016, arXiv 1609.04468, section 2.1). Where the two point the same or
    opposite ways, no arc is determined and the line is straight.

    Args:
        a: Where it starts, not zero.
        b: Where it ends, not zero.
        shares: How far along, 0 is `a` and 1 is `b`.
    """
    start, end, t = a.double(), b.double(), shares.double()[:, None]
    cosine = torch.dot(start, end) / (start.norm() * end.norm())
    angle = torch.arccos(cosine.clamp(-1, 1))
    if torch.sin(angle) < 1e-6:
        return ((1 - t) * start + t * end).to(a.dtype)
    return ((torch.sin((1 - t) * angle) * start + torch.sin(t * angle) * end) / torch.sin(angle)).to(a.dtype)
