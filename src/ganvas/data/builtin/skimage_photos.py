"""`skimage-photos`: the five colour photos that come with scikit-image, a small test set for super-resolution.

    skimage-photos                        astronaut 512x512, chelsea 451x300, coffee 600x400, motorcycle 741x500 (the
                                          left one of a stereo pair) and rocket 640x427 pixels
    skimage-photos:astronaut+coffee       two of them

All but rocket are stored without loss.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from ganvas.data.builtin._files import chosen, source_of
from ganvas.data.options import DataOptions
from ganvas.data.source import Source
from ganvas.errors import UserError

PHOTOS = {
    "astronaut": ("astronaut.png", "NASA, public domain"),
    "chelsea": ("chelsea.png", "Stefan van der Walt, CC0"),
    "coffee": ("coffee.png", "Rachel Michetti, courtesy of Pikolo Espresso Bar, CC0"),
    "motorcycle": (
        "motorcycle_left.png",
        "Nera Nesic, Porter Westling, Xi Wang, York Kitajima, Greg Krathwohl and Daniel Scharstein, Middlebury 2014 "
        "stereo benchmark",
    ),
    "rocket": ("rocket.jpg", "SpaceX, public domain"),
}
"""For each photo its file, and its credit as scikit-image states it."""


def open_source(parts: str, options: DataOptions) -> Source:
    """The photos of these names, or all.

    Args:
        parts: Keys of `PHOTOS`, joined by `+`; empty for all.
        options: How they are read.

    Raises:
        UserError: The package is missing, or there is no such photo.
    """
    names = chosen("skimage-photos", parts, list(PHOTOS))
    # Found without importing the package, which takes long.
    found = importlib.util.find_spec("skimage")
    folder = Path((found.submodule_search_locations or [""])[0]) / "data" if found else Path()
    paths = {name: folder / PHOTOS[name][0] for name in names}
    if not found or not all(path.is_file() for path in paths.values()):
        raise UserError('These photos come with a package that is missing: pip install "ganvas[photos]"')
    credit = "; ".join(f"{name}: {PHOTOS[name][1]}" for name in names)
    spec = "skimage-photos" + (f":{'+'.join(names)}" if parts else "")
    return source_of(spec, paths, options, f"Photos of scikit-image ({credit})")
