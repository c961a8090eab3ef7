"""`fonts-digits`: 5,000 digits drawn from fonts, 500 of each, simulated pictures that look like those of `digits`.

White on black, as MNIST (LeCun et al. 1998) lays out handwritten ones: fitted into a box of 20 of 28 pixels' width and
centred by their centre of mass. Each is turned, slanted, thickened, scaled and moved a little, by a choice that its
number makes, so the set is always the same. Drawn at the size asked for. Turn `flip` off to train on them.

    fonts-digits           nine font families that come as packages (SIL Open Font License, Caladea: Apache 2.0)
    fonts-digits:system    every font installed on the system that has digits
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, features

from ganvas.data.options import DataOptions
from ganvas.data.source import Item, Progress, Source
from ganvas.errors import UserError

COUNT = 5000
SIDE, BOX = 28, 20
"""Pixels of MNIST: its pictures and the box that a digit is fitted into."""

FAMILIES = (
    "amatic-sc",
    "caladea",
    "fredoka-one",
    "hanken-grotesk",
    "intuitive",
    "lato",
    "manrope",
    "source-sans-pro",
    "source-serif-pro",
)
"""Each is a package called `font-` and this."""

TURN = 15.0
"""Degrees: the largest rotation."""
SLANT = 0.3
"""The largest shift to the side from the foot of a digit to its head, in heights."""
STROKE = 0.05
"""The most that an edge moves outwards, in heights of the font."""
SMALLEST = 0.85
"""The least share of the box that the longer side of a digit fills."""
SHIFT = 1.0
"""Pixels of `SIDE`: the largest shift from the centre, across and down."""

DRAWN = 96
"""Pixels: the least height of the font that a digit is drawn with, before it is brought to size."""

_SYMBOLS = re.compile(r"symbol|dingbat|d050000l|emoji|icon|awesome|wingding|webding|math|music|braille|blank", re.I)
"""Fonts in whose place of the digits there may be something else."""


def open_source(parts: str, options: DataOptions) -> Source:
    """The digits, labelled 0 to 9.

    Args:
        parts: Empty, or `system`.
        options: Not used: every digit is square, and its size is asked for when it is drawn.

    Raises:
        UserError: A package is missing, no font of the system has digits, or there is no such part.
    """
    if parts not in ("", "system"):
        raise UserError(f"fonts-digits has no part {parts!r}: write fonts-digits or fonts-digits:system.")
    families = _system() if parts else _packaged()
    drawn_by = f"{features.version('freetype2')} {importlib.metadata.version('pillow')}"
    items = []
    for number in range(COUNT):
        random = _random("font", number)
        family = families[int(random.integers(len(families)))]
        face = family[int(random.integers(len(family)))]
        digit = number % 10
        items.append(Item(f"{number:04d}-{digit}-{face.stem}", functools.partial(_draw, face, number), digit))

    def tokens(progress: Progress) -> list[str]:
        # What is in the fonts, in any place that they may lie.
        content = hashlib.sha256(drawn_by.encode())
        for family in families:
            for face in family:
                content.update(face.name.encode() + hashlib.sha256(face.read_bytes()).digest())
        whole = content.hexdigest()
        return [f"{whole}:{number}" for number in range(COUNT)]

    return Source("fonts-digits" + (f":{parts}" if parts else ""), items, tokens, classes=[str(d) for d in range(10)])


def _random(what: str, number: int) -> np.random.Generator:
    seed = hashlib.sha256(f"fonts-digits {what} {number}".encode()).digest()[:16]
    return np.random.Generator(np.random.Philox(int.from_bytes(seed, "big")))


def _draw(face: Path, number: int, side: int) -> Image.Image:
    """Digit `number` % 10 in a font, mode L, `side` pixels wide and high."""
    random = _random("shape", number)
    turn, slant, down, across = random.uniform(-1, 1, 4) * (math.radians(TURN), SLANT, SHIFT, SHIFT)
    stroke, filled = random.uniform(0, STROKE), random.uniform(SMALLEST, 1)
    height = max(DRAWN, 2 * side)
    font = ImageFont.truetype(face, height, layout_engine=ImageFont.Layout.BASIC)
    sheet = Image.new("L", (3 * height, 3 * height))
    middle, thicker = 1.5 * height, round(stroke * height)
    ImageDraw.Draw(sheet).text((middle, middle), str(number % 10), 255, font, "mm", stroke_width=thicker)
    # From where each pixel of the turned and slanted sheet comes.
    c, s = math.cos(turn), math.sin(turn)
    a, b, d, e = c, s + slant * c, -s, c - slant * s
    back = (a, b, middle - (a + b) * middle, d, e, middle - (d + e) * middle)
    sheet = sheet.transform(sheet.size, Image.Transform.AFFINE, back, Image.Resampling.BICUBIC)
    digit = sheet.crop(sheet.getbbox())
    scale = filled * BOX / SIDE * side / max(digit.size)
    digit = digit.resize([max(1, round(length * scale)) for length in digit.size], Image.Resampling.LANCZOS)
    ink = np.asarray(digit, dtype=float)
    shifts = (down, across)
    top, left = (
        round(side / 2 + shift * side / SIDE - float((ink.sum(1 - axis) @ (np.arange(length) + 0.5)) / ink.sum()))
        for axis, (shift, length) in enumerate(zip(shifts, ink.shape, strict=True))
    )
    picture = Image.new("L", (side, side))
    picture.paste(digit, (left, top))
    return picture


def _packaged() -> list[list[Path]]:
    """The fonts of each family, one file a face."""
    families = []
    for name in FAMILIES:
        found = importlib.util.find_spec(f"font_{name.replace('-', '_')}")
        places = [Path(place) / "files" for place in (found.submodule_search_locations or [])] if found else []
        # Some come in two formats, and some also as one file of all weights.
        faces = {path.stem: path for place in places for kind in ("otf", "ttf") for path in place.glob(f"*.{kind}")}
        if not faces:
            raise UserError(f'The fonts come with packages that are missing (font-{name}): pip install "ganvas[fonts]"')
        families.append([faces[stem] for stem in sorted(faces) if "Variable" not in stem])
    return families


def _system() -> list[list[Path]]:
    """Every installed font that has digits, each a family of its own."""
    home = Path.home()
    folders = [home / ".fonts", home / ".local/share/fonts", Path("/usr/share/fonts"), Path("/usr/local/share/fonts")]
    if sys.platform == "darwin":
        folders = [home / "Library/Fonts", Path("/Library/Fonts"), Path("/System/Library/Fonts")]
    if sys.platform == "win32":
        folders = [Path("C:/Windows/Fonts"), home / "AppData/Local/Microsoft/Windows/Fonts"]
    files = [path for folder in folders for kind in ("ttf", "otf") for path in sorted(folder.rglob(f"*.{kind}"))]
    found = [path for path in files if not _SYMBOLS.search(path.stem) and has_digits(path)]
    if not found:
        raise UserError("No font of this system has digits; write fonts-digits for those that come as packages.")
    return [[path] for path in found]


def has_digits(path: Path) -> bool:
    """Whether a font draws the ten digits, each in a way of its own and none as what it lacks."""
    try:
        font = ImageFont.truetype(path, 32, layout_engine=ImageFont.Layout.BASIC)
        drawn: Sequence[bytes] = [bytes(font.getmask(text)) for text in "0123456789\U0010fffd"]
    except (OSError, ValueError):
        return False
    return all(any(one) for one in drawn[:10]) and len({*drawn}) == len(drawn)
