"""Grids of pictures with captions beside them that can be read, drawn with Pillow alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

LETTER = 14
"""Height of letters, pixels."""
LINE = 18
MARGIN = 220
"""Width of the column of captions, pixels."""
GAP = 8
INK, PAPER = 0, 255

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

FONTS = (
    "DejaVuSans.ttf", "NotoSans-Regular.ttf", "NotoSansCJK-Regular.ttc", "DroidSansFallbackFull.ttf",
    "wqy-microhei.ttc", "unifont.ttf", "Arial Unicode.ttf", "PingFang.ttc", "msyh.ttc", "msgothic.ttc",
    "malgun.ttf", "seguisym.ttf",
)  # fmt: skip
"""Files of fonts that systems have, for captions whose letters Pillow's own font lacks."""


def captioned(
    rows: Sequence[UInt8[np.ndarray, "_h _w C"]],
    captions: Sequence[str],
    headings: Sequence[str] = (),
    title: str = "",
) -> UInt8[np.ndarray, "H W C"]:
    """Rows of pictures, each with its caption on the left, on white.

    Args:
        rows: What stands beside each caption, such as a `grid`; all of as many channels.
        captions: One a row. Long ones go over several lines; a row is as high as its caption at least.
        headings: Above columns of the same width in every row; none if empty.
        title: Above everything.
    """
    width = MARGIN + max(row.shape[1] for row in rows)
    font = font_for("".join([*captions, *headings, title]))
    above = [*wrapped(title, font, width - 2 * GAP)] if title else []
    top = (len(above) * LINE + 2 * GAP if above else GAP) + (LINE + GAP if any(headings) else 0)
    texts = [wrapped(caption, font, MARGIN - 2 * GAP) for caption in captions]
    heights = [max(row.shape[0], len(lines) * LINE) for row, lines in zip(rows, texts, strict=True)]
    tops = [top + sum(heights[:i]) + GAP * i for i in range(len(rows))]
    canvas = np.full((tops[-1] + heights[-1] + GAP, width, rows[0].shape[2]), PAPER, np.uint8)
    for row, y in zip(rows, tops, strict=True):
        canvas[y : y + row.shape[0], MARGIN : MARGIN + row.shape[1]] = row
    picture = Image.fromarray(canvas[..., 0] if canvas.shape[2] == 1 else canvas)
    draw = ImageDraw.Draw(picture)
    ink = INK if canvas.shape[2] == 1 else (INK,) * 3

    def write(x: float, y: float, text: str, anchor: str) -> None:
        if isinstance(font, ImageFont.FreeTypeFont):
            draw.text((x, y), text, ink, font, anchor)
        else:  # Pillow without FreeType: letters of one size, placed by their left upper corner
            draw.text((x, y), text, ink, font)

    for number, line in enumerate(above):
        write(GAP, GAP + number * LINE, line, "la")
    column = rows[0].shape[1] / max(1, len(headings))
    for number, heading in enumerate(headings):
        write(MARGIN + (number + 0.5) * column, top - GAP - LINE, heading, "ma")
    for lines, y, height in zip(texts, tops, heights, strict=True):
        for number, line in enumerate(lines):
            write(GAP, y + (height - len(lines) * LINE) / 2 + number * LINE, line, "la")
    return np.asarray(picture).reshape(*canvas.shape)


def wrapped(text: str, font: Font, width: float) -> list[str]:
    """Text as lines of at most this many pixels, cut between words, or in them where one alone is too long."""
    lines = [""]
    for word in text.split():
        whole = f"{lines[-1]} {word}".lstrip()
        if font.getlength(whole) <= width:
            lines[-1] = whole
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            if lines[-1] and font.getlength(lines[-1] + letter) > width:
                lines.append("")
            lines[-1] += letter
    return lines


def font_for(text: str) -> Font:
    """A font that has the letters of a text: Pillow's own, else the one that has most of them among those found."""
    letters = frozenset(letter for letter in text if letter.isprintable() and not letter.isspace())
    best = _own()
    lacking = len(missing(best, letters))
    for name in FONTS if lacking else ():
        font = _found(name)
        if font is not None and (count := len(missing(font, letters))) < lacking:
            best, lacking = font, count
    return best


def missing(font: Font, letters: frozenset[str]) -> set[str]:
    """Those that a font draws as it draws what no font has."""
    if not isinstance(font, ImageFont.FreeTypeFont):
        return {letter for letter in letters if ord(letter) > 255}
    nothing = bytes(font.getmask("\U0010fffd"))
    return {letter for letter in letters if bytes(font.getmask(letter)) == nothing}


@lru_cache
def _own() -> Font:
    return ImageFont.load_default(LETTER)


@lru_cache
def _found(name: str) -> ImageFont.FreeTypeFont | None:
    """A font by its file's name, where the system keeps fonts, or beside matplotlib."""
    try:
        return ImageFont.truetype(name, LETTER)
    except OSError:
        pass
    try:
        import matplotlib

        return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), LETTER)
    except (ImportError, OSError):
        return None
