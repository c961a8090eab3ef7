"""Grids of pictures as PNG files."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from ganvas.engine.files import write_atomically


def to_bytes(images: Float[Tensor, "B C H W"]) -> UInt8[np.ndarray, "B H W C"]:
    """Pictures in [-1, 1] as 8-bit values, rounded; what lies outside is cut off, NaN becomes mid-gray."""
    values = torch.nan_to_num(images.detach().float().cpu(), nan=0.0).clamp(-1, 1)
    return ((values + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def grid(
    images: Float[Tensor, "B C H W"], columns: int | None = None, least: int = 64
) -> UInt8[np.ndarray, "gridheight gridwidth C"]:
    """Lays pictures out in rows, first to last, on white with a gap of two pixels.

    Args:
        images: At least one picture in [-1, 1]; of more than 3 channels the first 3 are shown, of 2 the first.
        columns: Pictures a row; by default about as many as there are rows.
        least: Pictures smaller than this are enlarged by a whole factor, pixel for pixel, to be visible.

    Returns:
        Height x width x channels.

    Raises:
        ValueError: If there is no picture.
    """
    if len(images) == 0:
        raise ValueError("a grid needs at least one picture")
    pictures = to_bytes(images[:, :3] if images.shape[1] >= 3 else images[:, :1])
    factor = max(1, math.ceil(least / max(pictures.shape[1:3])))
    pictures = pictures.repeat(factor, axis=1).repeat(factor, axis=2)
    count, height, width, channels = pictures.shape
    columns = min(columns or math.ceil(math.sqrt(count)), count)
    rows, gap = math.ceil(count / columns), 2
    shape = (rows * (height + gap) + gap, columns * (width + gap) + gap, channels)
    canvas = np.full(shape, 255, np.uint8)
    for number, picture in enumerate(pictures):
        top = gap + number // columns * (height + gap)
        left = gap + number % columns * (width + gap)
        canvas[top : top + height, left : left + width] = picture
    return canvas


def beside(*groups: Float[Tensor, "B C H W"]) -> tuple[Float[Tensor, "B*G 3 H W"], int]:
    """Pictures that belong together next to each other, for `grid`: input, output, truth.

    Args:
        *groups: G groups of B pictures in [-1, 1]; gray ones become colour where they do not all have as many channels.

    Returns:
        The pictures, and how many a row of a grid should have: about three times as many as there are rows.
    """
    shown = [group.detach().float().cpu() for group in groups]
    if len({group.shape[1] for group in shown}) > 1:
        shown = [group[:, :3] if group.shape[1] >= 3 else group[:, :1].expand(-1, 3, -1, -1) for group in shown]
    count = len(shown[0])
    columns = max(1, round(math.sqrt(count / len(groups)))) * len(groups)
    return torch.stack(shown, 1).flatten(0, 1), columns


def save_png(path: Path, array: UInt8[np.ndarray, "H W C"], texts: Mapping[str, str] | None = None) -> None:
    """Writes a picture as PNG, whole or not at all.

    Args:
        path: The file; its folder must exist.
        array: 1 or 3 channels.
        texts: What the file says about itself, such as `Copyright` with the licence of the data.

    Raises:
        OSError: If the file cannot be written.
    """
    info = PngInfo()
    for key, value in (texts or {}).items():
        info.add_itxt(key, value)
    file = io.BytesIO()
    Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array).save(file, "PNG", pnginfo=info)
    write_atomically(path, file.getvalue())
