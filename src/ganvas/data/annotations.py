"""What metadata says of pictures: what `ganvas data check` tells of captions, boxes and keypoints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ganvas.data.described import captions_of
from ganvas.data.options import DataOptions
from ganvas.data.places import BBOX, KEYPOINTS, Points, Unit, out_of_range, partners, parts_of, points_of
from ganvas.data.source import Problem, Unusable
from ganvas.errors import UserError

TEXT = "text"


@dataclass(frozen=True)
class Annotations:
    """What is said of the usable pictures of a source.

    Attributes:
        captions: How many pictures have so many captions that can be used, by that number; none where no picture has a
            `text`.
        uncaptioned: Pictures with a caption that is empty or with none that can be used.
        coordinates: What boxes and keypoints are taken to be given in; empty where there are neither.
        boxes: Pictures with a box.
        keypoints: Pictures with keypoints.
        visible: Of each part, in the order of the keypoints, how many pictures show it.
        misplaced: Boxes and keypoints that reach beyond their picture or are no such.
        unmirrored: Why pictures with these keypoints cannot be mirrored, or the keypoints not be used; else empty.
    """

    captions: dict[int, int]
    uncaptioned: list[Problem]
    coordinates: Unit | str
    boxes: int
    keypoints: int
    visible: dict[str, int]
    misplaced: list[Problem]
    unmirrored: str

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        problems = {"uncaptioned": self.uncaptioned, "misplaced": self.misplaced}
        return {
            "captions": {str(count): pictures for count, pictures in self.captions.items()},
            "coordinates": self.coordinates,
            "boxes": self.boxes,
            "keypoints": self.keypoints,
            "visible": self.visible,
            "unmirrored": self.unmirrored,
            **{key: [{"name": p.name, "reason": p.reason} for p in value] for key, value in problems.items()},
        }


def annotations_of(
    named: Mapping[str, tuple[Mapping[str, Any], tuple[int, int]]], unit: Unit, options: DataOptions
) -> Annotations:
    """What the columns of pictures say of them.

    Args:
        named: The columns of each picture, and its width and height upright in pixels.
        unit: What boxes and keypoints are given in.
        options: `parts` and `flip` are used.
    """
    captions, uncaptioned = _captions({name: columns for name, (columns, _) in named.items()})
    boxes, points, misplaced = 0, list[Points](), list[Problem]()
    for name, (columns, size) in named.items():
        misplaced += [Problem(name, reason) for reason in out_of_range(columns, unit, size)]
        boxes += columns.get(BBOX) is not None
        try:
            points += [points_of(columns[KEYPOINTS])] if columns.get(KEYPOINTS) is not None else []
        except Unusable:
            continue  # it is among the misplaced
    visible, unmirrored = _visible(points, options)
    marked = boxes or points or misplaced
    return Annotations(
        captions, uncaptioned, unit if marked else "", boxes, len(points), visible, misplaced, unmirrored
    )


def _captions(named: Mapping[str, Mapping[str, Any]]) -> tuple[dict[int, int], list[Problem]]:
    if not any(TEXT in columns for columns in named.values()):
        return {}, []
    counts, problems = Counter[int](), []
    for name, columns in named.items():
        value = columns.get(TEXT)
        try:
            found = captions_of(value)
        except Unusable as error:
            found = []
            problems.append(Problem(name, str(error)))
        counts[len(found)] += 1
        if found and isinstance(value, list) and len(found) < len(value):
            problems.append(Problem(name, f"{len(value) - len(found)} of its {len(value)} texts are empty"))
    return dict(sorted(counts.items())), problems


def _visible(every: Sequence[Points], options: DataOptions) -> tuple[dict[str, int], str]:
    if not every:
        return {}, ""
    try:
        parts = parts_of(every, options)
    except UserError as error:
        return {}, str(error)
    seen = Counter[str]()
    for points in every:
        named = points if isinstance(points, dict) else dict(zip(parts, points, strict=False))
        seen.update(name for name, point in named.items() if point is not None)
    why = ""
    if options.flip:
        try:
            partners(parts)
        except UserError as error:
            why = str(error)
        if not options.parts and any(isinstance(points, list) for points in every):
            why = "the keypoints are lists without names: training needs --parts with their names, or --no-flip"
    return {part: seen[part] for part in parts}, why
