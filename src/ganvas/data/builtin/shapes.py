"""`shapes`: 5,000 pictures of one coloured shape, of the package easy-vqa (MIT), with captions and boxes.

64 pixels wide, resized to the size asked for. Eight colours of three shapes are 24 classes (`red circle`). Colour and
shape are read off the pixels, so that they are exact, and agree with the package's questions and answers wherever these
tell them. The captions are made by us from the two, the same `CAPTIONS` for all. So are the boxes, read off the smooth
edges to parts of a pixel: those of rectangles are exact, those of circles and triangles, whose tips cover less than
half a pixel, are up to half a pixel too small on each side.

    shapes                                all
    shapes:train                          the package's own split: 4,000
    shapes:test                           1,000
    shapes:train+not-red-circle+not-blue  without red circles and without anything blue, for zero-shot studies
    shapes:test+red-circle+blue           only red circles and blue shapes
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import io
import itertools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganvas.data.options import DataOptions
from ganvas.data.source import Item, Progress, Source
from ganvas.errors import UserError

LICENCE = "Shapes: easy-VQA, Copyright (c) 2019 Victor Zhou, MIT License"
PARTS = ("train", "test")
COLOURS = {
    "black": (0, 0, 0),
    "blue": (0, 0, 255),
    "brown": (165, 42, 42),
    "gray": (128, 128, 128),
    "green": (0, 255, 0),
    "red": (255, 0, 0),
    "teal": (0, 128, 128),
    "yellow": (255, 255, 0),
}
SHAPES = ("circle", "rectangle", "triangle")
CLASSES = [" ".join(words) for words in itertools.product(COLOURS, SHAPES)]
CAPTIONS = (
    "a {colour} {shape}",
    "the {shape} is {colour}",
    "a {shape} that is {colour}",
    "there is a {colour} {shape} in the picture",
    "one {colour} {shape} on a plain background",
    "a {shape}, coloured {colour}",
)

PALE = 224
"""Every colour channel of a background is above this, and of no shape."""

TRIANGLE, CIRCLE = 0.7, 0.9
"""What share of its box a shape fills at most; as measured, 0.63 and 0.87, and a rectangle 0.94 or more."""


def open_source(parts: str, options: DataOptions) -> Source:
    """The shapes, labelled with colour and shape.

    Args:
        parts: `train`, `test`, and colours, shapes or both that are wanted, or with `not` in front are not, joined by
            `+`; empty for all. Words are parted by spaces or hyphens.
        options: Not used: every picture is square, and resized when it is prepared.

    Raises:
        UserError: The package is missing or a picture in it is damaged, there is no such part, or none is left.
    """
    name = "shapes" + (f":{parts}" if parts else "")
    splits, classes = _chosen(parts, name)
    items, tokens = [], []
    for split in splits:
        for path, label, box, digest in _known(split):
            if label in classes:
                colour, shape = CLASSES[label].split()
                columns = {"text": [one.format(colour=colour, shape=shape) for one in CAPTIONS], "bbox": box}
                items.append(Item(f"{split}/{path.name}", functools.partial(_read, path), label, columns))
                tokens.append(f"easy-vqa:{digest}")

    def tokens_of(progress: Progress) -> list[str]:
        return tokens

    return Source(name, items, tokens_of, classes=CLASSES, licence=LICENCE, coordinates="relative")


def _chosen(parts: str, name: str) -> tuple[list[str], set[int]]:
    """The splits and classes that are asked for.

    Raises:
        UserError: There is no such part, or no class is left.
    """
    asked = [part.strip().lower().replace("-", " ") for part in parts.split("+") if part.strip()]
    splits = [split for split in PARTS if split in asked]
    wanted, unwanted = set[int](), set[int]()
    for part in asked:
        words = set(part.removeprefix("not ").split())
        of = {i for i, known in enumerate(CLASSES) if words <= set(known.split())}
        if part in PARTS:
            continue
        if not of:
            raise UserError(
                f"shapes has no part {part!r}; there are train, test, {', '.join(COLOURS)}, {', '.join(SHAPES)} and "
                "both such as red-circle, also with not- in front."
            )
        if part.startswith("not "):
            unwanted |= of
        else:
            wanted |= of
    classes = (wanted or set(range(len(CLASSES)))) - unwanted
    if not classes:
        raise UserError(f"{name} leaves nothing: every shape that it names is also left out.")
    return splits or list(PARTS), classes


@functools.cache
def _known(split: str) -> list[tuple[Path, int, list[float], str]]:
    """Of each picture of a split, in the order of their numbers: file, label, box and SHA-256.

    Raises:
        UserError: The package is missing or damaged.
    """
    found = importlib.util.find_spec("easy_vqa")
    places = (found.submodule_search_locations or []) if found else []
    paths = [path for place in places for path in (Path(place) / "data" / split / "images").glob("*.png")]
    if not paths:
        raise UserError('The shapes come with a package that is missing: pip install "ganvas[shapes]"')
    known = []
    for path in sorted(paths, key=lambda path: int(path.stem)):
        try:
            data = path.read_bytes()
            with Image.open(io.BytesIO(data)) as picture:
                label, box = _seen(np.asarray(picture.convert("RGB")))
        except (OSError, ValueError) as error:
            raise UserError(f"{path} is damaged ({error}): pip install --force-reinstall easy-vqa") from None
        known.append((path, label, box, hashlib.sha256(data).hexdigest()))
    return known


def _read(path: Path, side: int) -> bytes:
    return path.read_bytes()


def _seen(pixels: NDArray[np.uint8]) -> tuple[int, list[float]]:
    """The label and the relative box (x, y, width, height) of the shape in a picture.

    Raises:
        ValueError: There is no shape in a pure colour on a pale background.
    """
    values = pixels.astype(np.int64)
    packed, often = np.unique(values @ (65536, 256, 1), return_counts=True)  # as numbers, which is fast
    counts = dict(zip(packed.tolist(), often.tolist(), strict=True))
    amounts = [counts.get(int(np.dot(colour, (65536, 256, 1))), 0) for colour in COLOURS.values()]
    colours = np.stack([packed >> 16, packed >> 8 & 255, packed & 255], axis=1)
    # The smooth edge mixes the two, and the shape may be larger than what is left of the background.
    pale = colours.min(1) > PALE
    if not max(amounts) or not pale.any():
        raise ValueError("no shape of a known colour on a pale background")
    colour = amounts.index(max(amounts))
    background = colours[pale][often[pale].argmax()]
    towards = [*COLOURS.values()][colour] - background
    covered = (values - background) @ towards / (towards @ towards)
    # The filter that the picture was made small with is symmetric: an edge is where half is covered.
    (left, right), (top, bottom) = (_extent(covered.max(axis)) for axis in (0, 1))
    wide, high = right - left, bottom - top
    filled = covered.sum() / (wide * high)
    shape = "triangle" if filled < TRIANGLE else "circle" if filled < CIRCLE else "rectangle"
    height, width = covered.shape
    box = [round(value, 6) for value in (left / width, top / height, wide / width, high / height)]
    return CLASSES.index(f"{[*COLOURS][colour]} {shape}"), box


def _extent(covered: NDArray[np.float64]) -> tuple[float, float]:
    """Where along a side, in pixels, the covered share rises to a half and falls again.

    Raises:
        ValueError: It does not.
    """
    inside = np.flatnonzero(covered >= 0.5)
    if not len(inside):
        raise ValueError("no pixel is half covered")
    first, last = int(inside[0]), int(inside[-1])
    start, end = 0.0, float(len(covered))
    if first > 0:
        start = first + 0.5 - float((covered[first] - 0.5) / (covered[first] - covered[first - 1]))
    if last + 1 < len(covered):
        end = last + 0.5 + float((covered[last] - 0.5) / (covered[last] - covered[last + 1]))
    return start, end
