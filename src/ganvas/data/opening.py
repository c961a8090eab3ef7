"""Opening what a system is trained on: pictures, also with what is said of them, points, two sides of either, or photos
and their small versions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ganvas.data.described import DESCRIBED, Described, describe_pictures
from ganvas.data.options import DataOptions
from ganvas.data.pairing import OneSided, TwoSources, open_two
from ganvas.data.points import Points, open_points, open_two_points
from ganvas.data.prepare import (
    open_pictures,
    pictures_of,
    prepared_side,
    refusal,
    refuse_degraded,
    refuse_sided,
    refuse_undescribed,
    shown_progress,
)
from ganvas.data.reduced import Reduced
from ganvas.data.sides import Sides
from ganvas.data.source import Problem, Progress, Source, printable
from ganvas.data.squares import picture_of
from ganvas.data.store import Prepared
from ganvas.errors import UserError

Data = Prepared | Points | Sides | Reduced | Described
"""What a system can be trained on."""

Size = tuple[int, int]
"""Width and height, pixels."""

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
    scale: int = 1,
    needs: frozenset[str] = frozenset({"image"}),
    progress: bool | Progress = False,
) -> Data:
    """What a system is trained on: with `sides` two of them, else the points of a built-in, else pictures.

    With a `scale` above 1 and data that cannot be told to have two sides, they are photos, whose small versions are
    made.

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
        scale: Of pairs, how many times as high and wide what is drawn is as what is translated.
        needs: Keys of a batch that the system is trained on. With `text`, `boxes` or `keypoints` among them, pictures
            without are skipped.
        progress: As in `open_pictures`.

    Raises:
        UserError: As `open_points`, `open_pictures`, `describe_pictures` and `open_two` do, there are no two usable
            pairs, `scale` does not divide the sizes, or an option is set that does nothing.
    """
    if scale == 1:
        refuse_degraded(options, "and this system learns from none")
    if sides:
        own = channels if source_channels is None else source_channels
        try:
            return _open_sides(spec, options, size, (own, channels), sides == "paired", scale, progress)
        except OneSided:
            if scale == 1:
                raise
        return _open_reduced(spec, options, size, (own, channels), scale, progress)
    refuse_sided(options)
    refuse_undescribed(options, needs)
    points = open_points(spec, options, size=size, channels=channels)
    if points is not None:
        return points
    if size > 1 and channels not in (1, 3):
        raise UserError(f"Pictures with {channels} channels cannot be made; choose 1 (gray) or 3 (colour).")
    with shown_progress(progress) as report:
        pictures = open_pictures(spec, options, size=size, channels=channels, progress=report)
        if needs.isdisjoint(DESCRIBED):
            return pictures
        return describe_pictures(pictures, needs, options, size=size, progress=report)


def _open_reduced(
    spec: str | Path, options: DataOptions, size: int, channels: tuple[int, int], scale: int, progress: bool | Progress
) -> Reduced:
    if options.swap:
        shown = printable(str(spec))
        raise UserError(f"--swap is for pairs, and the small versions of {shown} are made; leave it out.")
    if channels[0] != channels[1] or channels[1] not in (1, 3):
        raise UserError(
            "Small versions are gray (1) or coloured (3) as their photos are, but --channels is "
            f"{channels[1]} and --source-channels {channels[0]}."
        )
    return Reduced(open_pictures(spec, options, size=size, channels=channels[1], progress=progress), scale)


def _open_sides(
    spec: str | Path,
    options: DataOptions,
    size: int,
    channels: tuple[int, int],
    paired: bool,
    scale: int,
    progress: bool | Progress,
) -> Sides:
    if options.halves and paired:
        raise UserError(
            "--halves hides which pictures belong together, for systems that learn from unpaired ones; this system "
            "learns from pairs: leave it out."
        )
    if options.balance:
        raise UserError("--balance draws classes equally often, and data with two sides has none; leave it out.")
    if scale > 1 and options.side:
        raise UserError(f"--side is for pictures of one size, not {scale} times as high and wide; leave it out.")
    if size % scale:
        raise UserError(f"--size {size} is no multiple of {scale}, by which pictures are enlarged.")
    points = open_two_points(spec, options, size=size, channels=channels)
    if points is not None:
        if paired:
            raise UserError(f"The points of {printable(str(spec))} are no pairs, which this system learns from.")
        return Sides(*points, False, _every(0), _every(0), printable(str(spec)))
    square = prepared_side(options, size, channels[1])
    with open_two(spec, options) as two, shown_progress(progress) as report:
        if scale > 1:
            refuse_degraded(options, f"and those of {two.name} are given")
        # Before anything is decoded, which can take long.
        pairs, problems = two.matched() if paired or options.halves else ((), [])
        problems = [*two.problems, *problems]
        if options.strict and problems:
            raise refusal(two.name, problems)
        source, target = (
            pictures_of(
                side, _shrunk(options, by), size=size // by, channels=count, report=report, sized=True, unit=scale // by
            )
            for side, count, by in zip((two.source, two.target), channels, (scale, 1), strict=True)
        )
    if not pairs:
        return Sides(source, target, False, _every(len(source)), _every(len(target)), two.name, tuple(problems))
    rows = [_rows(side, data, options) for side, data in ((two.source, source), (two.target, target))]
    places = [{name: own[0] for name, own in side.items()} for side in rows]
    exact = scale > 1 or options.fit == "tiles"
    sizes = [_sizes(side, data, exact) for side, data in ((two.source, source), (two.target, target))]
    differ = another_shape if scale == 1 else partial(_not_enlarged, scale=scale, square=square)
    if options.fit == "tiles":
        differ = partial(_not_enlarged, scale=scale)
    found, lost = align(two, pairs, places, sizes, differ=differ if paired else None)
    if options.strict and lost:
        raise refusal(two.name, lost)
    if scale > 1 and not found:
        _refuse_ratio(two.name, pairs, places, sizes, scale)
    # Halves of the pictures, not of the squares of one.
    middle = len(found) // 2
    used = (found[:middle], found[middle:]) if options.halves else (found, found)
    source_rows, target_rows = (
        np.array([row for names in of for row in side[names[i]]], dtype=np.int64)
        for i, (of, side) in enumerate(zip(used, rows, strict=True))
    )
    count = len(found) if options.halves else len(source_rows)
    if count < 2:
        first = f"; {lost[0]}" if lost else ""
        raise UserError(f"{two.name} holds {count} usable pair{'s' * (count != 1)}; 2 are needed{first}.")
    return Sides(source, target, not options.halves, source_rows, target_rows, two.name, (*problems, *lost), scale)


def align(
    two: TwoSources,
    pairs: Sequence[tuple[str, str]],
    places: Sequence[Mapping[str, int]],
    sizes: Sequence[Sequence[Size]],
    *,
    differ: Callable[[Size, Size], str] | None,
) -> tuple[list[tuple[str, str]], list[Problem]]:
    """Which pairs of pictures are usable, once every picture was read, and which are lost.

    Args:
        two: Where the pictures come from.
        pairs: The two names of each.
        places: Of either side where each usable picture is, by its name.
        sizes: Of either side their widths and heights, by place.
        differ: Given the sizes of partners, why they are none, or nothing; None takes any.

    Returns:
        The two names of each pair, and a problem for each picture whose partner cannot be used or has no such size.
    """
    found, lost = [], []
    for names in pairs:
        shown = [two.called(side, name) for side, name in zip((two.source, two.target), names, strict=True)]
        i, j = (place.get(name) for place, name in zip(places, names, strict=True))
        if i is not None and j is not None:
            own, other = sizes[0][i], sizes[1][j]
            if why := differ(own, other) if differ else "":
                has = f"{own[0]}x{own[1]} pixels, and its partner {shown[1]} has {other[0]}x{other[1]}"
                lost.append(Problem(shown[0], f"{has}, {why}"))
            else:
                found.append(names)
        elif i is not None or j is not None:
            there, gone = shown if j is None else reversed(shown)
            lost.append(Problem(there, f"its partner {gone} cannot be used"))
    return found, lost


def another_shape(a: Size, b: Size) -> str:
    """Why pictures of these sizes do not match point by point.

    They do if the larger one, scaled to one side of the smaller, misses its other side by no more than `PIXEL`.
    """
    (width, height), (wide, high) = sorted((a, b), key=math.prod)
    near = min(abs(wide * height / high - width), abs(high * width / wide - height)) <= PIXEL
    return "" if near else "which is another shape"


def _not_enlarged(a: Size, b: Size, *, scale: int, square: int = 0) -> str:
    """Why the second is not exactly `scale` times the first, or with `square` not a square of so many pixels."""
    if b != (a[0] * scale, a[1] * scale):
        return f"which is not {scale} times as high and wide" if scale > 1 else "which is another size"
    if square and b != (square, square):
        return f"which is not {square}x{square}: --fit tiles cuts such squares out of it"
    return ""


def _refuse_ratio(
    name: str,
    pairs: Sequence[tuple[str, str]],
    places: Sequence[Mapping[str, int]],
    sizes: Sequence[Sequence[Size]],
    scale: int,
) -> None:
    """Says so if all pairs agree on another scale.

    Raises:
        UserError: They do.
    """
    ratios = set()
    for first, second in pairs:
        if first in places[0] and second in places[1]:
            (width, height), (wide, high) = sizes[0][places[0][first]], sizes[1][places[1][second]]
            ratios |= {Fraction(wide, width), Fraction(high, height)}
    if len(ratios) != 1 or ratios == {scale}:
        return
    ratio = ratios.pop()
    hint = "give the larger ones alone, and small versions are made"
    if ratio != 1:
        hint = f"give --scale {ratio}" if ratio > 1 else "give --swap"
    raise UserError(
        f"The second pictures of {name} are {float(ratio):g} times as high and wide as the first, not {scale}: {hint}."
    )


def _shrunk(options: DataOptions, scale: int) -> DataOptions:
    """How the small ones of pairs are read, where these options say it of the large ones.

    Raises:
        UserError: The size of the squares is no multiple of the scale.
    """
    if options.load_size % scale:
        raise UserError(f"--load-size {options.load_size} is no multiple of {scale}, by which pictures are enlarged.")
    return replace(options, load_size=options.load_size // scale, min_side=max(1, options.min_side // scale))


def _rows(source: Source, data: Prepared, options: DataOptions) -> dict[str, list[int]]:
    """Of each picture where it is, or the squares that were cut out of it are."""
    found: dict[str, list[int]] = {}
    whole = data is source.prepared or options.fit != "tiles"
    for i, name in enumerate(data.names):
        found.setdefault(name if whole else picture_of(name), []).append(i)
    return found


def _sizes(source: Source, data: Prepared, exact: bool) -> list[Size]:
    """Width and height of the pictures as they were; a folder of prepared ones may know only what it made of them.

    Where partners must be of `exact` sizes what it made of them is what counts.
    """
    if data.sizes is None or (exact and data is source.prepared):
        return [(data.images.shape[2], data.images.shape[1])] * len(data)
    return [(int(width), int(height)) for width, height in data.sizes]


def _every(count: int) -> NDArray[np.int64]:
    return np.arange(count, dtype=np.int64)
