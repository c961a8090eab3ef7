"""What is enlarged beside a picture without the network: its transparency, and itself, to compare with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import UInt8, UInt16
from PIL import Image, ImageDraw, ImageFont

from ganvas.data.resizing import REACH, enlarge
from ganvas.data.sampler import to_float
from ganvas.translation.reading import Read
from ganvas.viz.grids import to_bytes

ROWS = 256
"""Rows that are enlarged together, which bounds memory."""

FULL = 1024
"""Pixels: larger results are compared in the middle alone, a square of this side."""

GAP = 4
"""Pixels of white between two pictures that are compared."""

LINE = 24
"""Pixels: height of the line of text above them."""


def bicubic(pixels: UInt8[np.ndarray, "H W C"], scale: int) -> UInt8[np.ndarray, "H2 W2 C"]:
    """A picture `scale` times as high and wide by `ganvas.data.resizing.enlarge`, in memory for a few rows."""
    if scale == 1:
        return pixels
    bands = []
    for top in range(0, len(pixels), ROWS):
        first = max(0, top - REACH - 1)
        band = torch.from_numpy(pixels[first : top + ROWS + REACH + 1])
        wanted = slice(scale * (top - first), scale * (min(top + ROWS, len(pixels)) - first))
        bands.append(to_bytes(enlarge(to_float(band[None]), scale)[:, :, wanted])[0])
    return np.concatenate(bands)


def on_background(
    pixels: UInt8[np.ndarray, "H W C"], alpha: UInt8[np.ndarray, "H W"], background: tuple[int, int, int]
) -> UInt8[np.ndarray, "H W D"]:
    """What a picture looks like before a background: gray if both are, else in colours."""
    if pixels.shape[2] == 1 and len(set(background)) > 1:
        pixels = np.repeat(pixels, 3, 2)
    over = Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels)
    under = Image.new(over.mode, over.size, background if over.mode == "RGB" else background[0])
    return np.atleast_3d(np.asarray(Image.composite(over, under, Image.fromarray(alpha))))


def comparison(
    read: Read,
    pixels: UInt8[np.ndarray, "H2 W2 D"] | UInt16[np.ndarray, "H2 W2 D"],
    scale: int,
    background: tuple[int, int, int],
    words: Sequence[str],
) -> UInt8[np.ndarray, "H3 W3 3"]:
    """Before on the left, after on the right, a line of white between them, and above each what it is.

    Args:
        read: The picture as it was; what is transparent is shown before `background`.
        pixels: What became of it, `scale` times as high and wide, without transparency.
        scale: By how much it was enlarged; the picture as it was is shown enlarged by bicubic interpolation.
        background: Colour.
        words: What stands above the left and the right one.

    Returns:
        Both pixel for pixel: whole up to `FULL` pixels a side, else their middle.
    """
    height, width = read.pixels.shape[:2]
    high, wide = (min(length, max(1, FULL // scale)) for length in (height, width))
    top, left = (height - high) // 2, (width - wide) // 2
    inside = np.s_[top : top + high, left : left + wide]
    # A few pixels more on each side, so that the middle is enlarged as it is in the whole picture.
    above, beside = min(top, REACH + 1), min(left, REACH + 1)
    around = np.s_[top - above : top + high + REACH + 1, left - beside : left + wide + REACH + 1]
    middle = np.s_[scale * above : scale * (above + high), scale * beside : scale * (beside + wide)]
    before = bicubic(_shown(read.pixels[around]), scale)[middle]
    after = _shown(pixels[scale * top : scale * (top + high), scale * left : scale * (left + wide)])
    if read.alpha is not None:
        alpha = bicubic(read.alpha[around][:, :, None], scale)[middle][:, :, 0]
        before, after = (on_background(one, alpha, background) for one in (before, after))
    cut = "" if inside == np.s_[0:height, 0:width] else ", the middle"
    font = ImageFont.load_default(14)
    words = [word + cut for word in words]
    column = max(scale * wide, *(int(font.getlength(word)) + 8 for word in words))
    sheet = Image.new("RGB", (2 * column + GAP, scale * high + LINE), "white")
    for number, (word, one) in enumerate(zip(words, (before, after), strict=True)):
        begin = number * (column + GAP)
        ImageDraw.Draw(sheet).text((begin + 4, 3), word, "black", font)
        sheet.paste(Image.fromarray(one.squeeze(2) if one.shape[2] == 1 else one).convert("RGB"), (begin, LINE))
    return np.asarray(sheet)


def _shown(pixels: np.ndarray) -> UInt8[np.ndarray, "H W D"]:
    """Of 16 bits the upper 8."""
    return (pixels // 257).astype(np.uint8) if pixels.dtype == np.uint16 else pixels
