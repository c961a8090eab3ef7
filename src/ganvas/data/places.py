"""Boxes and keypoints: read as users give them, and moved with the pictures that they are of.

A row of metadata has a `bbox`, [x, y, width, height] with x and y of its left top corner, and `keypoints`, either a
list of [x, y, visible] or an object with one for each part by its name. `visible` may be left out, and null is a part
that is not visible; of COCO's 0, 1 and 2 the last two are visible.

All are measured from the left top corner of the picture as it is shown (turned as EXIF says), before it is cut, in its
pixels or in shares of its width and height: the centre of the first pixel is at 0.5, 0.5 pixels. From the cache on they
are in shares of the prepared square. A box may reach beyond it, and a point that does not lie in it is None.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ganvas.data.decode import inner_size
from ganvas.data.options import DataOptions
from ganvas.data.source import Source, Unusable
from ganvas.errors import UserError

BBOX, KEYPOINTS = "bbox", "keypoints"

Unit = Literal["pixels", "relative"]
Box = tuple[float, float, float, float]
Point = tuple[float, float] | None
"""x and y; None where it is not visible."""

Points = list[Point] | dict[str, Point]
Numbers = NDArray[np.float64]


def marked(source: Source) -> bool:
    """Whether anything in it has a box or keypoints."""
    return any(item.columns.get(column) is not None for item in source.items for column in (BBOX, KEYPOINTS))


def unit_of(source: Source, options: DataOptions) -> Unit:
    """What boxes and keypoints are given in, by the source, else by the options, else by their largest number."""
    if source.coordinates:
        return source.coordinates
    if options.coordinates != "auto":
        return options.coordinates
    largest = max((max(_numbers(item.columns), default=0.0) for item in source.items), default=0.0)
    return "pixels" if largest > 1 else "relative"


def box_of(value: Any) -> Box:
    """A box as a row of metadata gives it.

    Raises:
        Unusable: It is none.
    """
    given = value
    if isinstance(value, str):
        words = [word for word in re.split(r"[\s,]+", value.strip().strip("[]()")) if word]
        try:
            value = [float(word) for word in words]
        except ValueError:
            value = None
    if not isinstance(value, list | tuple) or len(value) != 4 or not all(map(_is_number, value)):
        raise Unusable(f"its bbox is {_shown(given)}, not x, y, width and height")
    x, y, width, height = map(float, value)
    if width <= 0 or height <= 0:
        raise Unusable(f"its bbox {_shown(given)} has no width or no height")
    return x, y, width, height


def points_of(value: Any) -> Points:
    """Keypoints as a row of metadata gives them, in the same form.

    Raises:
        Unusable: They are none.
    """
    if isinstance(value, Mapping) and value:
        return {str(name): _point(one, str(name)) for name, one in value.items()}
    if isinstance(value, list | tuple) and value:
        return [_point(one, str(number)) for number, one in enumerate(value, 1)]
    raise Unusable(
        f"its keypoints are {_shown(value)}, neither a list of [x, y, visible] nor an object of such by name"
    )


def placed(
    columns: Mapping[str, Any], unit: Unit, size: tuple[int, int], side: int, fit: str
) -> tuple[dict[str, Any], list[str]]:
    """Columns of a picture once it is made square.

    Args:
        columns: Those of the source.
        unit: Of boxes and keypoints in them.
        size: Width and height of the picture, upright, pixels.
        side: Of the square, pixels.
        fit: How it is made square: `crop`, `pad` or `stretch`.

    Returns:
        The columns with box and keypoints in shares of the square, without what is neither; and a remark for each of
        the latter.
    """
    found, remarks = dict(columns), []
    (scale_x, from_x), (scale_y, from_y) = _frame(size, side, fit)
    unit_x, unit_y = size if unit == "pixels" else (1, 1)

    def moved(x: float, y: float) -> tuple[float, float]:
        return x / unit_x * scale_x + from_x, y / unit_y * scale_y + from_y

    def within(point: Point) -> list[float] | None:
        x, y = moved(*point) if point else (-1.0, -1.0)
        return [x, y, 1] if 0 <= x <= 1 and 0 <= y <= 1 else None

    for column in (BBOX, KEYPOINTS):
        value = found.pop(column, None)
        if value is None:
            continue
        try:
            if column == BBOX:
                x, y, width, height = box_of(value)
                found[column] = [*moved(x, y), width / unit_x * scale_x, height / unit_y * scale_y]
            else:
                points = points_of(value)
                if isinstance(points, dict):
                    found[column] = {name: within(point) for name, point in points.items()}
                else:
                    found[column] = [within(point) for point in points]
        except Unusable as error:
            remarks.append(f"{error}: it has none")
    return found, remarks


def out_of_range(columns: Mapping[str, Any], unit: Unit, size: tuple[int, int]) -> list[str]:
    """What of the box and the keypoints of a picture is not in it, or not what it should be."""
    found = []
    width, height = size if unit == "pixels" else (1, 1)
    slip = 1e-6 * max(width, height)  # of rounding
    try:
        if columns.get(BBOX) is not None:
            x, y, wide, high = box_of(columns[BBOX])
            if x < -slip or y < -slip or x + wide > width + slip or y + high > height + slip:
                found.append(f"its bbox {_shown(columns[BBOX])} reaches beyond the picture")
    except Unusable as error:
        found.append(str(error))
    try:
        if columns.get(KEYPOINTS) is not None:
            points = points_of(columns[KEYPOINTS])
            named = points.items() if isinstance(points, dict) else enumerate(points, 1)
            outside = [str(name) for name, p in named if p and not (0 <= p[0] <= width and 0 <= p[1] <= height)]
            if outside:
                found.append(f"keypoints outside of the picture: {', '.join(outside)}")
    except Unusable as error:
        found.append(str(error))
    return found


def parts_of(every: Sequence[Points], options: DataOptions) -> tuple[str, ...]:
    """The names of the keypoints of data, in their order.

    They are those of the options, else the names in objects, in alphabetical order, else the numbers from 1 on.

    Args:
        every: The keypoints of each picture that has some.
        options: `parts` is used.

    Raises:
        UserError: The options name one twice or one that no object has, or lists cannot be told what they are of.
    """
    names = sorted({name for points in every if isinstance(points, dict) for name in points})
    counts = [len(points) for points in every if isinstance(points, list)]
    if options.parts:
        if len(set(options.parts)) < len(options.parts):
            raise UserError(f"--parts names a keypoint twice: {', '.join(options.parts)}.")
        if unknown := [name for name in options.parts if names and name not in names]:
            raise UserError(f"No picture has the keypoint {unknown[0]!r} of --parts; there are {', '.join(names)}.")
        if counts and len(options.parts) not in counts:
            raise UserError(
                f"--parts names {len(options.parts)} keypoints, but the lists of the data have {counts[0]}."
            )
        return options.parts
    if names and counts:
        raise UserError("Some keypoints are lists and some are objects with names; use one form, or give --parts.")
    usual = max(sorted(set(counts)), key=counts.count, default=0)
    return tuple(names) if names else tuple(map(str, range(1, usual + 1)))


def partners(parts: Sequence[str]) -> list[int]:
    """For each part of a mirrored picture, which one it was before: `left` and `right` as a word are exchanged.

    Words are parted by spaces, hyphens or underscores, and capitals do not count.

    Raises:
        UserError: One has no partner.
    """
    words = [tuple(re.split(r"[ _-]+", part.lower())) for part in parts]
    other = {"left": "right", "right": "left"}
    found = []
    for part, own in zip(parts, words, strict=True):
        wanted = tuple(other.get(word, word) for word in own)
        if wanted not in words:
            raise UserError(
                f"The keypoint {part!r} has no partner {' '.join(wanted)!r} that it becomes in a mirrored picture: "
                "give --no-flip, or other names with --parts."
            )
        found.append(words.index(wanted))
    return found


def as_array(points: Points, parts: Sequence[str]) -> Numbers:
    """Keypoints as numbers: (K, 3), x, y and 1; all 0 where not visible.

    Raises:
        Unusable: A list has another length.
    """
    if isinstance(points, list) and len(points) != len(parts):
        raise Unusable(f"{len(points)} keypoints, not {len(parts)}")
    ordered = [points.get(part) for part in parts] if isinstance(points, dict) else points
    return np.array([(*point, 1.0) if point else (0.0, 0.0, 0.0) for point in ordered], dtype=np.float64)


def cut_boxes(boxes: Numbers, top: NDArray[np.int64], left: NDArray[np.int64], side: int, size: int) -> Numbers:
    """Boxes (B, 4) in shares of a square that is cut out, without what is outside of it.

    Args:
        boxes: In shares of the whole square.
        top: First row of each cut, pixels.
        left: First column.
        side: Of the whole square, pixels.
        size: Of what is cut out, pixels.
    """
    start = (boxes[:, :2] * side - np.stack([left, top], 1)) / size
    end = start + boxes[:, 2:] * side / size
    start, end = start.clip(0, 1), end.clip(0, 1)
    return np.concatenate([start, end - start], 1)


def cut_points(points: Numbers, top: NDArray[np.int64], left: NDArray[np.int64], side: int, size: int) -> Numbers:
    """Keypoints (B, K, 3) in shares of a square that is cut out, as `cut_boxes`; those outside are not visible."""
    moved = (points[:, :, :2] * side - np.stack([left, top], 1)[:, None]) / size
    visible = (points[:, :, 2] > 0) & (moved >= 0).all(2) & (moved <= 1).all(2)
    return np.concatenate([moved, np.ones_like(moved[:, :, :1])], 2) * visible[:, :, None]


def mirrored_boxes(boxes: Numbers, mask: NDArray[np.bool_]) -> Numbers:
    """Boxes (B, 4) with left and right exchanged in those that `mask` chooses."""
    other = boxes.copy()
    other[:, 0] = 1 - boxes[:, 0] - boxes[:, 2]
    return np.where(mask[:, None], other, boxes)


def mirrored_points(points: Numbers, mask: NDArray[np.bool_], order: Sequence[int]) -> Numbers:
    """Keypoints (B, K, 3) with left and right exchanged where `mask` says so; `order` is that of `partners`."""
    other = points[:, list(order)]
    other[:, :, 0] = np.where(other[:, :, 2] > 0, 1 - other[:, :, 0], 0)
    return np.where(mask[:, None, None], other, points)


def _frame(size: tuple[int, int], side: int, fit: str) -> list[tuple[float, float]]:
    """For x and y: by what shares of the picture are multiplied, and what is added, to have shares of the square."""
    if fit == "crop":
        short = min(size)
        return [(length / short, -((length - short) // 2) / short) for length in size]
    if fit == "pad":
        return [(inner / side, (side - inner) // 2 / side) for inner in inner_size(*size, side)]
    return [(1.0, 0.0)] * 2


def _numbers(columns: Mapping[str, Any]) -> Iterator[float]:
    """All coordinates of a row; what is no box and no keypoints has none."""
    for column, read in ((BBOX, box_of), (KEYPOINTS, points_of)):
        value = columns.get(column)
        if value is None:
            continue
        try:
            found: Any = read(value)
        except Unusable:
            continue
        for one in found.values() if isinstance(found, dict) else found:
            yield from one if isinstance(one, tuple) else () if one is None else (one,)


def _point(value: Any, name: str) -> Point:
    if value is None:
        return None
    if not isinstance(value, list | tuple) or len(value) not in (2, 3):
        raise Unusable(f"its keypoint {name} is {_shown(value)}, not x, y and visible")
    *place, visible = value if len(value) == 3 else (*value, 1)
    if not isinstance(visible, bool) and not _is_number(visible):
        raise Unusable(f"its keypoint {name} is {_shown(value)}, not x, y and visible")
    if not visible > 0:
        return None  # whatever its place
    if not all(map(_is_number, place)):
        raise Unusable(f"its keypoint {name} is {_shown(value)}, not x, y and visible")
    return float(place[0]), float(place[1])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:56]} ..."
