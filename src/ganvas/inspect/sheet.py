"""Sheets: rows of pictures and of per-pixel maps, every pixel of a picture a whole number of pixels of the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from ganvas.viz.figures import axes_at, new_figure, save_figure
from ganvas.viz.grids import to_bytes

SCALE_LABEL = "D decoder: probability real"
COLOURS = "viridis"
FRAME = 200
"""Gray of the hairline around cells, so that white pictures end somewhere."""

# Pixels of the file.
WIDTH = 1600
LARGEST_CELL = 160
LABELS = 150
SCALE = 110
TITLE = 46
LETTER = 10
HEADINGS = 26
TEXT = 18
GAP = 6
APART = 18


@dataclass(frozen=True)
class Row:
    """One row of a sheet.

    Attributes:
        label: On the left.
        cells: Pictures (B, C, H, W) in [-1, 1], or maps (B, H, W) in [0, 1], which are shown in colours with a scale.
        texts: One under each cell, of one or more lines; none if empty.
        apart: Whether the row starts a new group, with some space above it.
    """

    label: str
    cells: Tensor
    texts: Sequence[str] = ()
    apart: bool = False


def cell_side(size: int, columns: int) -> int:
    """Side of a cell in pixels: a multiple or a whole fraction of the picture's that fits, at most 160."""
    room = min(LARGEST_CELL, (WIDTH - LABELS - SCALE) // columns - GAP)
    if size <= room:
        return size * (room // size)
    return max(1, size // -(-size // room))


def fitting(size: int, columns: int) -> int:
    """At most `columns`, as many as leave pictures of `size` pixels at least 96 px of the file or their own side."""
    return max(1, min(columns, (WIDTH - LABELS - SCALE) // (min(size, 96) + GAP)))


def draw_sheet(
    path: Path,
    title: str,
    rows: Sequence[Row],
    headings: Sequence[str],
    texts: Mapping[str, str] | None = None,
    scale: str = SCALE_LABEL,
) -> None:
    """Draws a sheet; with a colour scale if a row has maps.

    Args:
        path: Where the PNG goes.
        title: Above everything.
        rows: At least one, all with as many cells as there are headings.
        headings: One above each column; they take no space if all are empty.
        texts: What the file says about itself.
        scale: What the colours of maps mean.

    Raises:
        UserError: matplotlib is not installed, or `path` cannot be written.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    side = cell_side(rows[0].cells.shape[-1], len(headings))
    has_maps = any(row.cells.ndim == 3 for row in rows)
    tops, bottom = [], TITLE + (HEADINGS if any(headings) else 0)
    for i, row in enumerate(rows):
        bottom += APART if row.apart and i else 0
        tops.append(bottom)
        bottom += side + (max(text.count("\n") + 1 for text in row.texts) * TEXT if row.texts else GAP)
    right = LABELS + len(headings) * (side + GAP)
    width = min(WIDTH, max(right + (SCALE if has_maps else 2 * GAP), LABELS + LETTER * len(title)))
    height = bottom + GAP
    figure = new_figure(width, height)

    def write(x: float, y: float, text: str, size: float, **options: Any) -> None:
        figure.text(x / width, 1 - y / height, text, fontsize=size, parse_math=False, **options)

    write(LABELS, TITLE / 2, title, 12, va="center")
    # One image for all cells: as axes of their own they would take seconds.
    canvas = np.full((height, width, 3), 255, np.uint8)
    for row, top in zip(rows, tops, strict=True):
        write(LABELS - 12, top + side / 2, row.label, 10, va="center", ha="right")
        for i, cell in enumerate(row.cells):
            left = LABELS + i * (side + GAP)
            canvas[top - 1 : top + side + 1, left - 1 : left + side + 1] = FRAME
            canvas[top : top + side, left : left + side] = resized(to_rgb(cell), side)
            if row.texts:
                write(left + side / 2, top + side + 3, row.texts[i], 9, va="top", ha="center")
            if row is rows[0]:
                write(left + side / 2, top - 5, headings[i], 10, va="bottom", ha="center")
    figure.figimage(canvas, zorder=-1)  # under the colour scale
    if has_maps:
        place = axes_at(figure, right + 8, tops[0], 16, min(bottom - tops[0] - GAP, 320))
        figure.colorbar(ScalarMappable(Normalize(0, 1), COLOURS), cax=place, label=scale)
    save_figure(figure, path, texts)


def to_rgb(cell: Float[Tensor, "C H W"] | Float[Tensor, "H W"]) -> UInt8[np.ndarray, "H W 3"]:
    """8-bit colours of a picture in [-1, 1] (gray is repeated, channels past the third left out) or a map in [0, 1]."""
    if cell.ndim == 2:
        from matplotlib import colormaps

        return colormaps[COLOURS](cell.numpy(), bytes=True)[..., :3]
    channels = cell[:3] if len(cell) >= 3 else cell[:1].expand(3, -1, -1)
    return to_bytes(channels[None])[0]


def resized(picture: UInt8[np.ndarray, "H W 3"], side: int) -> UInt8[np.ndarray, "side side 3"]:
    """A square picture at another size: pixel for pixel if larger, averaged if smaller."""
    method = Image.Resampling.NEAREST if side >= len(picture) else Image.Resampling.BOX
    return np.asarray(Image.fromarray(picture).resize((side, side), method))
