"""Figures made with matplotlib (`pip install "ganvas[plots]"`), laid out in pixels and written whole or not at all."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8

from ganvas.engine.files import write_atomically
from ganvas.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 100


def new_figure(width: float, height: float, **options: Any) -> Figure:
    """An empty white figure.

    Args:
        width: Pixels.
        height: Pixels.
        **options: Of matplotlib's `Figure`.

    Raises:
        UserError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError('figures are drawn with matplotlib: pip install "ganvas[plots]"') from None
    # Not pyplot's: no window, no global list of open figures.
    return Figure(figsize=(width / DPI, height / DPI), dpi=DPI, **options)


def axes_at(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes whose frame covers exactly these pixels, counted from the figure's upper left corner."""
    whole_width, whole_height = figure.get_size_inches() * DPI
    return figure.add_axes(
        (left / whole_width, 1 - (top + height) / whole_height, width / whole_width, height / whole_height)
    )


def save_figure(figure: Figure, path: Path, texts: Mapping[str, str] | None = None) -> None:
    """Writes a figure as PNG.

    Args:
        figure: As `new_figure` made it.
        path: The file; its folder must exist.
        texts: What the file says about itself, such as `Copyright`.

    Raises:
        UserError: The file cannot be written.
    """
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI, metadata=dict(texts or {}))
    try:
        write_atomically(path, file.getvalue())
    except OSError as error:
        raise UserError(f"cannot write to {path}: {error.strerror or error}") from error


def figure_pixels(figure: Figure) -> UInt8[np.ndarray, "H W 3"]:
    """A figure as 8-bit RGB."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]
