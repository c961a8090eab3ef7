"""Boxes and keypoints marked in pictures, for people to see whether what is drawn is where it should be."""

from __future__ import annotations

import colorsys
import math

import torch
from jaxtyping import Float
from torch import Tensor

FRAME = (1.0, -1.0, 1.0)
"""Magenta, which few pictures have; of gray pictures what stands out more of black and white."""


def marked(
    images: Float[Tensor, "B C H W"],
    boxes: Float[Tensor, "B 4"] | None = None,
    keypoints: Float[Tensor, "B K 3"] | None = None,
    least: int = 64,
) -> Float[Tensor, "B C height width"]:
    """Pictures with a thin frame on the outermost pixels of each box, and a dot on each visible keypoint.

    Args:
        images: In [-1, 1].
        boxes: x, y, width and height in shares of the picture.
        keypoints: x, y in such shares, and 1 where visible.
        least: Pictures smaller than this are enlarged first, by a whole factor, so that a frame stays thin.

    Returns:
        New pictures.
    """
    factor = max(1, math.ceil(least / max(images.shape[2:])))
    found = images.detach().float().cpu().repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    height, width = found.shape[2:]
    for image, box in zip(found, [] if boxes is None else boxes.tolist(), strict=boxes is not None):
        left, right = _covered(box[0], box[2], width)
        top, bottom = _covered(box[1], box[3], height)
        colour = _ink(image, FRAME)
        image[:, [top, bottom], left : right + 1] = colour[:, None, None]
        image[:, top : bottom + 1, [left, right]] = colour[:, None, None]
    for image, points in zip(found, [] if keypoints is None else keypoints.tolist(), strict=keypoints is not None):
        for part, (x, y, visible) in enumerate(points):
            if visible > 0.5:
                row, column = _within(int(y * height), height), _within(int(x * width), width)
                hue = tuple(2 * value - 1 for value in colorsys.hsv_to_rgb(part / len(points), 1.0, 0.8))
                place = slice(max(0, row - 1), row + 2), slice(max(0, column - 1), column + 2)
                image[:, place[0], place[1]] = _ink(image, hue)[:, None, None]
    return found


EDGE = 1e-4
"""Pixels. By how much an edge may miss the border between two pixels by rounding."""


def _covered(start: float, share: float, length: int) -> tuple[int, int]:
    """The first and the last pixel that a stretch covers, in part at least."""
    first, last = math.floor(start * length + EDGE), math.ceil((start + share) * length - EDGE) - 1
    return _within(first, length), _within(last, length)


def _within(place: int, length: int) -> int:
    return min(max(place, 0), length - 1)


def _ink(image: Float[Tensor, "C H W"], colour: tuple[float, ...]) -> Float[Tensor, " C"]:
    if len(image) == 3:
        return torch.tensor(colour)
    return torch.full((len(image),), -1.0 if image.mean() > 0 else 1.0)
