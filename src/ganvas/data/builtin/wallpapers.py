"""`wallpapers`: the 23 photographs among the desktop backgrounds of KDE Plasma and MATE, in their largest versions.

    wallpapers               1280x1024 to 2560x1920 pixels
    wallpapers:path+kite     two of them

Debian's packages of bookworm have all of them, as JPEGs. Left out are drawings and renderings, and the same photograph
at smaller sizes. Many are out of focus but for one thing, as backgrounds should be.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

from ganvas.data.builtin._files import chosen, source_of
from ganvas.data.options import DataOptions
from ganvas.data.source import Problem, Source
from ganvas.errors import UserError

PLASMA = Path("/usr/share/wallpapers")
MATE = Path("/usr/share/backgrounds/mate/nature")

PHOTOS = {
    "BytheWater": "Maciej Wiklo",
    "ColdRipple": "Risto Saukonpää",
    "ColorfulCups": "Dmitri Popov",
    "DarkestHour": "Risto Saukonpää",
    "EveningGlow": "Ian Hex",
    "FallenLeaf": "Martin Klapetek",
    "Grey": "Sigi Sagi",
    "Kite": "Risto Saukonpää",
    "OneStandsOut": "Risto Saukonpää",
    "Path": "Risto Saukonpää",
    "summer_1am": "Risto Saukonpää",
    "Aqua": "Charles Barbin",
    "Blinds": "Lennart Poettering and Andrea Cimitan",
    "Dune": "Marco Cogoni and Hylke Bons",
    "FreshFlower": "Jens Ansorg",
    "Garden": "Charles Barbin",
    "GreenMeadow": "Timothy Schellhase and Lapo Calamandrei",
    "LadyBird": "Charles Barbin",
    "RainDrops": "blackcombwhistler07",
    "Storm": "Sergey Nazarov",
    "TwoWings": "Charles Barbin and Hylke Bons",
    "Wood": "Jean-François Fortin Tam",
    "YellowFlower": "Charles Barbin",
}
"""Whose each photograph is: of Plasma, in the order of names, and from Aqua on of MATE."""

_LICENCE = "from Debian's plasma-workspace-wallpapers and mate-backgrounds, GPL-2 or later"


def open_source(parts: str, options: DataOptions) -> Source:
    """The photographs of these names, or all.

    Args:
        parts: Keys of `PHOTOS` in capitals or not, joined by `+`; empty for all.
        options: How they are read.

    Raises:
        UserError: A package is missing, or there is no such photograph.
    """
    names = chosen("wallpapers", parts, list(PHOTOS))
    found = {name: largest(name) for name in names}
    if not (PLASMA.is_dir() and MATE.is_dir() and any(found.values())):
        raise UserError(
            "These photographs come with packages of Debian that are missing: "
            "apt install plasma-workspace-wallpapers mate-backgrounds"
        )
    paths = {name: path for name, path in found.items() if path}
    missing = [Problem(name, "not in this version of the packages") for name in names if name not in paths]
    authors = ", ".join(dict.fromkeys(PHOTOS[name] for name in paths))
    spec = "wallpapers" + (f":{'+'.join(names)}" if parts else "")
    return source_of(spec, paths, options, f"Photographs by {authors}, {_LICENCE}", missing)


def largest(name: str) -> Path | None:
    """The file of a photograph with the most pixels, which Plasma's names say; None if it is not there."""
    single = MATE / f"{name}.jpg"
    there = [single] if single.is_file() else [*(PLASMA / name / "contents/images").glob("*x*.jpg")]
    return max(there, key=lambda path: (math.prod(map(int, re.findall(r"\d+", path.stem))), path.name), default=None)
