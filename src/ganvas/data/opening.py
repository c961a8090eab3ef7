"""Opening what a system is trained on: pictures, points, or two sides of either."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ganvas.data.options import DataOptions
from ganvas.data.pairing import TwoSources, open_two
from ganvas.data.points import Points, open_points, open_two_points
from ganvas.data.prepare import open_pictures, pictures_of, refusal, refuse_sided, shown_progress
from ganvas.data.sides import Sides
from ganvas.data.source import Problem, Progress, printable
from ganvas.data.store import Prepared
from ganvas.errors import UserError

Data = Prepared | Points | Sides
"""What a system can be trained on."""

PIXEL = 1.0
"""How far the sizes of two partners may be from one shape, in pixels of the smaller one: what rounding does."""


def open_data(
    spec: str | Path,
    options: DataOptions,
    *,
    size: int,
    channels: int = 3,
    source_channels: int | None = None,
    sides: Literal["", "paired", "unpaired"] = "",
    progress: bool | Progress = False,
) -> Data:
    """What a system is trained on: with `sides` two of them, else the points of a built-in, else pictures.

    Args:
        spec: What to read; see `ganvas.data.pairing`, `ganvas.data.points.open_points` and
            `ganvas.data.source.open_source`.
        options: How to read it.
        size: Side of the pictures in training, in pixels; 1 for points.
        channels: 1 (gray) or 3 (red, green, blue); for points, coordinates of one. With sides of what is to be drawn,
            and any number: see `ganvas.data.prepare.open_pictures`.
        source_channels: The same of what is translated; None is `channels`.
        sides: Whether the system translates, and learns that from pairs or from two sets that have nothing to do with
            each other.
        progress: As in `open_pictures`.

    Raises:
        UserError: As `open_points`, `open_pictures` and `open_two` do, there are no two usable pairs, or an option is
            set that does nothing.
    """
    if sides:
        own = channels if source_channels is None else source_channels
        return _open_sides(spec, options, size, (own, channels), sides == "paired", progress)
    refuse_sided(options)
    points = open_points(spec, options, size=size, channels=channels)
    if points is not None:
        return points
    if size > 1 and channels not in (1, 3):
        raise UserError(f"Pictures with {channels} channels cannot be made; choose 1 (gray) or 3 (colour).")
    return open_pictures(spec, options, size=size, channels=channels, progress=progress)


def _open_sides(
    spec: str | Path,
    options: DataOptions,
    size: int,
    channels: tuple[int, int],
    paired: bool,
    progress: bool | Progress,
) -> Sides:
    if options.halves and paired:
        raise UserError(
            "--halves hides which pictures belong together, for systems that learn from unpaired ones; this system "
            "learns from pairs: leave it out."
        )
    if options.balance:
        raise UserError("--balance draws classes equally often, and data with two sides has none; leave it out.")
    points = open_two_points(spec, options, size=size, channels=channels)
    if points is not None:
        if paired:
            raise UserError(f"The points of {printable(str(spec))} are no pairs, which this system learns from.")
        return Sides(*points, False, _every(0), _every(0), printable(str(spec)))
    with open_two(spec, options) as two, shown_progress(progress) as report:
        # Before anything is decoded, which can take long.
        pairs, problems = two.matched() if paired or options.halves else ((), [])
        problems = [*two.problems, *problems]
        if options.strict and problems:
            raise refusal(two.name, problems)
        source, target = (
            pictures_of(side, options, size=size, channels=count, report=report, sized=True)
            for side, count in zip((two.source, two.target), channels, strict=True)
        )
    if not pairs:
        return Sides(source, target, False, _every(len(source)), _every(len(target)), two.name, tuple(problems))
    places = [{name: i for i, name in enumerate(side.names)} for side in (source, target)]
    found, lost = align(two, pairs, places, [_sizes(side) for side in (source, target)], alike=paired)
    if options.strict and lost:
        raise refusal(two.name, lost)
    if len(found) < 2:
        first = f"; {lost[0]}" if lost else ""
        raise UserError(f"{two.name} holds {len(found)} usable pair{'s' * (len(found) != 1)}; 2 are needed{first}.")
    rows = np.array(found, dtype=np.int64)
    sides = Sides(source, target, True, rows[:, 0], rows[:, 1], two.name, (*problems, *lost))
    if not options.halves:
        return sides
    middle = len(rows) // 2
    return replace(sides, paired=False, source_rows=rows[:middle, 0], target_rows=rows[middle:, 1])


def align(
    two: TwoSources,
    pairs: Sequence[tuple[str, str]],
    places: Sequence[Mapping[str, int]],
    sizes: Sequence[Sequence[tuple[int, int]]],
    *,
    alike: bool,
) -> tuple[list[tuple[int, int]], list[Problem]]:
    """Which pairs of pictures are usable, once every picture was read, and which are lost.

    Args:
        two: Where the pictures come from.
        pairs: The two names of each.
        places: Of either side where each usable picture is, by its name.
        sizes: Of either side their widths and heights, by place.
        alike: Whether partners must have one shape, since they are to match point by point.

    Returns:
        The two places of each pair, and a problem for each picture whose partner cannot be used or is of another shape.
    """
    rows, lost = [], []
    for names in pairs:
        shown = [two.called(side, name) for side, name in zip((two.source, two.target), names, strict=True)]
        i, j = (place.get(name) for place, name in zip(places, names, strict=True))
        if i is not None and j is not None:
            if alike and not _one_shape(sizes[0][i], sizes[1][j]):
                (w, h), (v, k) = sizes[0][i], sizes[1][j]
                reason = f"{w}x{h} pixels, and its partner {shown[1]} has {v}x{k}, which is another shape"
                lost.append(Problem(shown[0], reason))
            else:
                rows.append((i, j))
        elif i is not None or j is not None:
            there, gone = shown if j is None else reversed(shown)
            lost.append(Problem(there, f"its partner {gone} cannot be used"))
    return rows, lost


def _sizes(side: Prepared) -> list[tuple[int, int]]:
    """Width and height of the pictures as they were; a folder of prepared ones may know only what it made of them."""
    if side.sizes is None:
        return [(side.images.shape[2], side.images.shape[1])] * len(side)
    return [(int(width), int(height)) for width, height in side.sizes]


def _one_shape(a: tuple[int, int], b: tuple[int, int]) -> bool:
    """Whether the larger picture, scaled to one side of the smaller, misses its other side by no more than `PIXEL`."""
    (width, height), (wide, high) = sorted((a, b), key=math.prod)
    return min(abs(wide * height / high - width), abs(high * width / wide - height)) <= PIXEL


def _every(count: int) -> NDArray[np.int64]:
    return np.arange(count, dtype=np.int64)
