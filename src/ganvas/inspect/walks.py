"""Walks between latents: straight or on great arcs, as rows of pictures, as GIF and as MP4, and how even they are.

Radford et al. 2016 (arXiv 1511.06434, section 6.1) walk in straight lines and look for sharp transitions, a sign of
memory; fig. 4 of U-Net GAN shows such walks too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from ganvas.engine.system import System
from ganvas.errors import UserError
from ganvas.inspect.latents import at_latents, label_of, prior_of, system_of
from ganvas.inspect.sheet import Row, draw_sheet, fitting
from ganvas.inspect.subject import Drawn, Subject
from ganvas.nn.latent import Prior
from ganvas.run import Run
from ganvas.viz.animation import enlarged, save_gif, save_mp4
from ganvas.viz.grids import to_bytes

Kind = Literal["spherical", "linear"]

COLUMNS = 9
SEEDS = 4
"""Seeds that a walk leads through unless others are named."""
UNRELATED = 64
"""Samples that say how far unrelated pictures are from each other."""
FPS = 12
SIDE = 192
"""Pixels that a frame has at least."""


def walk(
    run: Run | System,
    seeds: Sequence[int],
    steps: int,
    kind: Kind | None = None,
    label: int | None = None,
    *,
    closed: bool = True,
) -> Float[Tensor, "N C H W"]:
    """Pictures along a walk from the latent of one seed to that of the next.

    Args:
        run: A run, or a system in eval mode.
        seeds: Two or more, which the walk leads through.
        steps: From one seed to the next.
        kind: Which way; see `default_kind`.
        label: Class of all pictures; by default that in which sampling draws the first seed.
        closed: Whether it ends where it began, with the picture before that.

    Returns:
        In [-1, 1], on the CPU: N = seeds x steps of a closed walk, else (seeds - 1) x steps + 1.

    Raises:
        UserError: The system draws from no noise, there are fewer than two seeds or one step, or no such class.
    """
    system = system_of(run)
    prior = prior_of(system)
    if len(seeds) < 2 or steps < 1 or min(seeds) < 0:
        raise UserError("a walk needs at least two seeds of 0 or more and one step from each to the next")
    points = trail(prior.seeded(seeds), steps, kind or default_kind(prior), closed=closed, centre=prior.centre)
    return at_latents(system, points, label_of(system, label, seeds[0]))


def default_kind(prior: Prior) -> Kind:
    """Spherical for normal latents, which lie near a sphere; linear for uniform ones, which fill a cube."""
    return "spherical" if prior.kind == "normal" else "linear"


def trail(
    points: Float[Tensor, "K Z"], steps: int, kind: Kind, *, closed: bool = True, centre: float = 0.0
) -> Float[Tensor, "N Z"]:
    """Latents along a walk through given ones, each of which it meets exactly.

    Args:
        points: Where it leads, in order.
        steps: From one to the next, of equal length (linear) or angle (spherical).
        kind: Straight lines, or great arcs around the centre.
        closed: Whether it leads back to the first point, which does not come again.
        centre: Of the sphere, in every coordinate.
    """
    shares = torch.arange(steps) / steps
    ends = torch.cat([points[1:], points[:1]]) if closed else points[1:]
    parts = [between(a, b, shares, kind, centre) for a, b in zip(points, ends, strict=False)]
    return torch.cat(parts if closed else [*parts, points[-1:]])


def between(
    a: Float[Tensor, " Z"], b: Float[Tensor, " Z"], shares: Float[Tensor, " N"], kind: Kind, centre: float = 0.0
) -> Float[Tensor, "N Z"]:
    """Latents at these shares of the way from `a` to `b`; see `trail`."""
    if kind == "spherical":
        return slerp(a - centre, b - centre, shares) + centre
    return torch.lerp(a, b, shares[:, None])


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


@dataclass(frozen=True)
class Jumps:
    """How evenly pictures change along a walk.

    Attributes:
        frames: Pictures of the walk.
        mean: Mean distance of one picture's features from the next one's.
        largest: The largest such distance.
        unevenness: `largest` over `mean`: 1 where all steps are equal, the number of steps where all that changes
            changes in one. NaN where nothing changes.
        largest_of_unrelated: `largest` over the mean distance of two unrelated pictures: near 1 the walk jumps to
            another picture, near 0 it has no jump. NaN without unrelated pictures.
    """

    frames: int
    mean: float
    largest: float
    unevenness: float
    largest_of_unrelated: float


def jumps(
    features: Float[Tensor, "N D"], unrelated: Float[Tensor, "M D"] | None = None, *, closed: bool = False
) -> Jumps:
    """Looks for jumps in a walk: steps that are large beside the others, and beside what sets pictures apart.

    Distances are Euclidean, in float64. More frames make all steps smaller, so `largest_of_unrelated` may be compared
    at equal numbers of frames only; a jump stays as large as it is and makes `unevenness` grow.

    Args:
        features: Of the walk's pictures in order, from a network that sees what people see; at least two.
        unrelated: Of samples that have nothing to do with each other, from the same network; at least two.
        closed: Whether the last picture leads to the first, one more step.

    Raises:
        UserError: There are fewer.
    """
    if len(features) < 2 or (unrelated is not None and len(unrelated) < 2):
        raise UserError("jumps are looked for between at least two pictures, and beside two unrelated ones")
    points = features.double()
    ends = torch.cat([points[1:], points[:1]]) if closed else points[1:]
    distances = (ends - points[: len(ends)]).norm(dim=1)
    mean, largest = float(distances.mean()), float(distances.max())
    apart = float("nan") if unrelated is None else float(torch.pdist(unrelated.double()).mean())
    return Jumps(
        len(features),
        mean,
        largest,
        largest / mean if mean else float("nan"),
        largest / apart if apart else float("nan"),
    )


def draw(subject: Subject, path: Path) -> Drawn:
    """Draws a closed walk in rows from seed to seed, each on an arc and in a straight line.

    Raises:
        NotMade: There is no checkpoint, or the system draws from no noise.
    """
    system, prior, seeds = subject.system, subject.prior, _seeds(subject)
    columns = max(2, fitting(subject.run.config.size, COLUMNS))
    shares = torch.linspace(0, 1, columns)
    label = label_of(system, subject.asked.label, seeds[0])
    kinds: list[Kind] = sorted(("spherical", "linear"), key=lambda kind: kind != _kind(subject))
    z = dict(zip(seeds, prior.seeded(seeds), strict=True))
    rows = []
    for a, b in list(zip(seeds, [*seeds[1:], seeds[0]], strict=True))[: SEEDS if len(seeds) > 2 else 1]:
        for kind in kinds:
            pictures = at_latents(system, between(z[a], z[b], shares, kind, prior.centre), label)
            rows.append(Row(f"seed {a} to {b}\n{kind}", pictures, apart=kind == kinds[0]))
    title = f"{subject.name}, step {subject.run.step}: between two latents"
    draw_sheet(path, title, rows, [f"{float(share):.3g}" for share in shares], subject.texts)
    caption = (
        "Each two rows lead from the latent of one seed to that of the next, which draw their first and last picture: "
        "by spherical interpolation, which suits normal latents, and by linear, which suits uniform ones; this "
        f"system's are {prior.kind}. Above, the share of the way."
    )
    if label:
        caption += f" All are of the class {subject.run.classes[int(label['label'])]}."
    numbers: dict[str, Any] = {}
    note = subject.no_network
    if subject.network is not None:
        steps, first = subject.asked.walk_frames, max(seeds) + 1
        others = at_latents(system, prior.seeded(range(first, first + UNRELATED)), label)
        unrelated = subject.features(others)
        for kind in kinds:
            found = jumps(
                subject.features(walk(system, seeds, steps, kind, subject.asked.label)), unrelated, closed=True
            )
            numbers[kind] = asdict(found)
            caption += (
                f" In features of {subject.network.name} the largest of {found.frames} steps of a closed {kind} walk "
                f"is {found.unevenness:.2f} times the mean one and {found.largest_of_unrelated:.2f} of the distance of "
                "unrelated samples."
            )
    return Drawn(caption, note and f"jumps were not looked for: {note}", numbers)


def draw_moving(subject: Subject, path: Path) -> Drawn:
    """Writes the closed walk as GIF, and as MP4 beside it.

    Raises:
        NotMade: There is no checkpoint, or the system draws from no noise.
    """
    system, kind, seeds = subject.system, _kind(subject), _seeds(subject)
    pictures = walk(system, seeds, subject.asked.walk_frames, kind, subject.asked.label)
    frames = enlarged(to_bytes(pictures[:, :3] if pictures.shape[1] >= 3 else pictures[:, :1]), SIDE)
    save_gif(path, frames, FPS, subject.texts)
    movie, note = path.with_suffix(".mp4"), ""
    try:
        save_mp4(movie, frames, FPS, subject.texts)
    except UserError as error:
        movie.unlink(missing_ok=True)
        note = f"there is no {movie.name}: {error}"
    caption = (
        f"A closed {kind} walk through the latents of seeds {', '.join(map(str, seeds))}, "
        f"{subject.asked.walk_frames} frames from one to the next."
    )
    if label := label_of(system, subject.asked.label, seeds[0]):
        caption += f" All are of the class {subject.run.classes[int(label['label'])]}."
    return Drawn(caption, note, {"frames": len(frames), "fps": FPS}, files=() if note else (movie.name,))


def _seeds(subject: Subject) -> tuple[int, ...]:
    return subject.asked.walk_seeds or tuple(range(subject.seed, subject.seed + SEEDS))


def _kind(subject: Subject) -> Kind:
    return subject.asked.walk or default_kind(subject.prior)
