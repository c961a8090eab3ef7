"""The squares that `fit="tiles"` cuts out of a picture, at its own resolution."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganvas.data.decode import pixels_of

MARK = "@"
"""Between the name of a picture and the place of a square in it: `photo.jpg@256,0` begins at column 256 and row 0."""


def starts(length: int, side: int, unit: int = 1) -> list[int]:
    """Where squares begin along one side of a picture: as few as cover it, evenly spaced, the last at the end.

    Args:
        length: Pixels of the picture, `side` or more.
        side: Pixels of a square, a multiple of `unit`.
        unit: Squares begin at multiples of this; where it does not divide `length`, the rest is not covered.
    """
    more = -(-length // side) - 1
    free = (length - side) // unit
    return [unit * ((2 * i * free + more) // (2 * more)) for i in range(more + 1)] if more else [0]


def count(width: int, height: int, side: int) -> int:
    """How many squares of `side` pixels a picture is cut into; 0 if it is smaller than one."""
    return 0 if min(width, height) < side else -(-width // side) * -(-height // side)


def squares(
    layers: Sequence[Image.Image], side: int, channels: int, unit: int = 1
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Cuts a picture, row after row, each square when it is asked for.

    Args:
        layers: As in `ganvas.data.decode.Picture`; neither side is below `side`.
        side: Pixels of a square.
        channels: As in `ganvas.data.decode.to_square`; where there are several layers one for each.
        unit: As in `starts`.

    Yields:
        What is added to the picture's name, and (side, side, channels).
    """
    lefts, tops = (starts(length, side, unit) for length in layers[0].size)
    for top, left in itertools.product(tops, lefts):
        pieces = [layer.crop((left, top, left + side, top + side)) for layer in layers]
        found = [pixels_of(piece, channels if len(pieces) == 1 else 1) for piece in pieces]
        yield f"{MARK}{left},{top}", found[0] if len(found) == 1 else np.concatenate(found, axis=2)


def picture_of(name: str) -> str:
    """The name of the picture that a square was cut out of."""
    return name.rpartition(MARK)[0]
