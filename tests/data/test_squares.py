"""Pictures cut into squares at their own resolution: `fit="tiles"`."""

from __future__ import annotations

import dataclasses
import itertools
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ganvas.data import DataOptions, Prepared, Report, Sides, check_data, open_data, open_pictures, prepare_data
from ganvas.data.decode import Decoder
from ganvas.data.squares import starts
from ganvas.errors import UserError

Draw = Callable[..., Path]


@pytest.fixture
def tiled(options: DataOptions) -> DataOptions:
    return dataclasses.replace(options, fit="tiles", load_size=16)


def pixels(path: Path, mode: str = "RGB") -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image.convert(mode))


@given(st.integers(1, 40), st.integers(1, 5), st.integers(0, 300))
def test_squares_cover_a_side_evenly_and_are_as_few_as_can(units: int, unit: int, more: int) -> None:
    """Against a mask of the pixels that are covered, and the least number that any cover has."""
    side = units * unit
    length = side + more
    found = starts(length, side, unit)
    assert len(found) == -(-length // side) and found[0] == 0
    assert all(start % unit == 0 for start in found) and 0 <= length - side - found[-1] < unit
    covered = np.zeros(length, bool)
    for start in found:
        covered[start : start + side] = True
    assert covered[: length - length % unit if unit > 1 else length].all()
    steps = np.diff(found)
    assert not len(steps) or steps.max() - steps.min() <= unit


def test_squares_are_pieces_of_the_pictures_pixel_for_pixel(tmp_path: Path, draw: Draw, tiled: DataOptions) -> None:
    """Against slices that Pillow and NumPy give, by the name of each; together they show every pixel."""
    for i, size in enumerate([(40, 33), (16, 16), (17, 50)]):
        draw(tmp_path / f"p/{i}.png", seed=i, size=size)
    data = open_data(tmp_path / "p", tiled, size=8)
    assert isinstance(data, Prepared)
    seen = {f"{i}.png": np.zeros(size[::-1], bool) for i, size in enumerate([(40, 33), (16, 16), (17, 50)])}
    for name, square in zip(data.names, data.images, strict=True):
        file, _, place = name.rpartition("@")
        left, top = map(int, place.split(","))
        assert np.array_equal(square, pixels(tmp_path / "p" / file)[top : top + 16, left : left + 16])
        seen[file][top : top + 16, left : left + 16] = True
    assert all(mask.all() for mask in seen.values())
    assert data.names[:9] == [f"0.png@{left},{top}" for top in (0, 9, 17) for left in (0, 12, 24)]
    assert data.names[9:] == ["1.png@0,0", *(f"2.png@{x},{y}" for y in (0, 11, 23, 34) for x in (0, 1))]
    assert data.amount == "18 squares of 3 pictures"
    assert data.sizes is not None and [tuple(size) for size in data.sizes[8:11]] == [(40, 33), (16, 16), (17, 50)]


def test_pictures_turned_gray_and_with_opacity(tmp_path: Path, draw: Draw, tiled: DataOptions) -> None:
    """Against the upright pixels, the luma, and the opacity that Pillow gives; arrays against themselves."""
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn to the right
    for name in "ab":
        draw(tmp_path / f"turned/{name}.png", size=(20, 16), exif=exif)
        values = np.random.default_rng(0).integers(0, 256, (16, 20, 5), dtype=np.uint8)
        (tmp_path / "arrays").mkdir(exist_ok=True)
        np.save(tmp_path / f"arrays/{name}.npy", values)
        (tmp_path / "clear").mkdir(exist_ok=True)
        Image.fromarray(values[:, :, :4]).save(tmp_path / f"clear/{name}.png")
    upright = np.rot90(pixels(tmp_path / "turned/a.png"), -1)
    turned = open_pictures(tmp_path / "turned", tiled, size=8)
    assert [name[6:] for name in turned.names[:2]] == ["0,0", "0,4"] and len(turned) == 4
    assert np.array_equal(turned.images[1], upright[4:])
    gray = open_pictures(tmp_path / "turned", tiled, size=8, channels=1)
    assert np.array_equal(gray.images[0, :, :, 0], np.array(Image.fromarray(upright).convert("L"))[:16])
    arrays = open_pictures(tmp_path / "arrays", tiled, size=8, channels=5)
    assert np.array_equal(arrays.images[1], values[:, 4:])
    clear = open_pictures(tmp_path / "clear", tiled, size=8, channels=4).images[0]
    assert np.array_equal(clear[:, :, 3], values[:, :16, 3])
    assert np.array_equal(clear[clear[:, :, 3] > 0], values[:, :16, :4][values[:, :16, 3] > 0])


def test_labels_and_columns_come_along(tmp_path: Path, draw: Draw, tiled: DataOptions) -> None:
    rows = [{"file_name": f"{i}.png", "label": "ab"[i], "text": f"number {i}"} for i in range(2)]
    for i in range(2):
        draw(tmp_path / f"p/{i}.png", seed=i, size=(32, 16))
    (tmp_path / "p/metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = open_pictures(tmp_path / "p", tiled, size=16)
    assert data.labels is not None and data.labels.tolist() == [0, 0, 1, 1]
    assert data.columns["text"] == ["number 0", "number 0", "number 1", "number 1"]


def test_smaller_pictures_are_skipped_with_a_reason(tmp_path: Path, draw: Draw, tiled: DataOptions) -> None:
    draw(tmp_path / "p/large.png", size=(64, 40))
    draw(tmp_path / "p/small.png", seed=1, size=(64, 12))
    data = open_pictures(tmp_path / "p", tiled, size=8)
    reason = "small.png: 64x12 pixels, smaller than a square of 16: give a smaller --load-size"
    assert [str(problem) for problem in data.skipped] == [reason] and len(data) == 12
    assert data.amount == "12 squares of 1 picture"
    with pytest.raises(UserError, match=r"because of strict: small.png: 64x12 pixels, smaller than a square of 16"):
        open_pictures(tmp_path / "p", dataclasses.replace(tiled, strict=True), size=8)
    with pytest.raises(UserError, match=r"0 usable pictures.* 64x40 pixels, .* square of 50: give a smaller --size"):
        open_pictures(tmp_path / "p", dataclasses.replace(tiled, load_size=0), size=50)


def test_check_counts_the_squares_that_are_made(tmp_path: Path, draw: Draw, tiled: DataOptions) -> None:
    """Against the number that preparing the same pictures gives."""
    for i, size in enumerate([(64, 40), (16, 16), (33, 17), (64, 12)]):
        draw(tmp_path / f"p/{i}.png", seed=i, size=size)
    report = check_data(tmp_path / "p", tiled)
    assert isinstance(report, Report)
    assert report.squares == report.to_json()["squares"] == len(open_pictures(tmp_path / "p", tiled, size=16)) == 19
    assert "squares of 16 pixels: 19; 1 pictures are smaller and give none" in report.lines()
    unsaid = check_data(tmp_path / "p", dataclasses.replace(tiled, load_size=0))
    assert "squares: --load-size says of how many pixels" in unsaid.lines() and unsaid.to_json()["squares"] is None
    plain = check_data(tmp_path / "p", dataclasses.replace(tiled, fit="crop"))
    assert not any(line.startswith("squares") for line in plain.lines())


def test_squares_are_kept_and_drawn_without_decoding_again(
    tmp_path: Path, draw: Draw, tiled: DataOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(2):
        draw(tmp_path / f"p/{i}.png", seed=i, size=(64, 40))
    first = open_pictures(tmp_path / "p", tiled, size=8)
    cropped = open_pictures(tmp_path / "p", dataclasses.replace(tiled, fit="crop"), size=8)
    made = prepare_data(tmp_path / "p", tmp_path / "made", tiled, size=8)
    assert made.hash == first.hash != cropped.hash

    def decode(*args: Any, **more: Any) -> Any:
        raise AssertionError("decoded again")

    monkeypatch.setattr(Decoder, "open", decode)
    again = open_pictures(tmp_path / "p", tiled, size=8)
    assert again.path == first.path and again.hash == first.hash
    assert open_pictures(tmp_path / "made", tiled, size=8).path == tmp_path / "made"
    batch = again.sampler(batch=24, seed=0, options=tiled, device="cpu", size=8).batch(0)["image"]
    assert batch.shape == (24, 3, 8, 8)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from Linux")
def test_large_photos_are_prepared_in_little_memory(tmp_path: Path, options: DataOptions) -> None:
    """Six photos of 24 megapixels, 432 MB of pixels, in less than is needed for all: Linux counts."""
    small = np.random.default_rng(0).integers(0, 256, (60, 40, 3), dtype=np.uint8)
    (tmp_path / "p").mkdir()
    Image.fromarray(small).resize((4000, 6000)).save(tmp_path / "p/0.jpg")
    for i in range(1, 6):
        (tmp_path / f"p/{i}.jpg").hardlink_to(tmp_path / "p/0.jpg")
    most, ended = 0, threading.Event()

    def private() -> int:
        line = next(line for line in Path("/proc/self/status").read_text().splitlines() if "RssAnon" in line)
        return int(line.split()[1]) * 1024

    def watch() -> None:
        nonlocal most
        while not ended.wait(0.003):
            most = max(most, private())

    before = private()
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        data = open_pictures(tmp_path / "p", dataclasses.replace(options, fit="tiles", load_size=256), size=96)
    finally:
        ended.set()
        thread.join()
    assert len(data) == 6 * 16 * 24 and data.amount == "2304 squares of 6 pictures"
    # Pillow has four bytes a pixel: two photos that are read, and one that is being written.
    assert most - before < 13 * 24e6 + 30e6
    whole = pixels(tmp_path / "p/0.jpg")
    left, top = map(int, data.names[100].rpartition("@")[2].split(","))
    assert np.array_equal(data.images[100], whole[top : top + 256, left : left + 256])


def test_squares_of_pairs_belong_together(tmp_path: Path, draw: Draw, tiled: DataOptions) -> None:
    """Partners with the same pixels stay the same; one of another size is no partner, even if of the same shape."""
    for i, size in enumerate([(40, 33), (20, 20), (36, 16), (32, 32)]):
        draw(tmp_path / f"source/{i}.png", seed=i, size=size)
        draw(tmp_path / f"target/{i}.bmp", seed=i, size=(64, 64) if i == 3 else size)
    data = open_data(tmp_path, tiled, size=12, sides="paired")
    assert isinstance(data, Sides) and len(data) == 9 + 4 + 3
    [lost] = map(str, data.problems)
    assert lost.endswith("/target/3.bmp has 64x64, which is another size")
    drawn = data.sampler(batch=8, seed=0, options=tiled, device="cpu", size=12)
    for step in range(6):
        batch = drawn.batch(step)
        assert (batch["source"] == batch["image"]).all()


def test_halves_split_pictures_not_the_squares_of_one(tmp_path: Path, draw: Draw, tiled: DataOptions) -> None:
    for i, side in itertools.product(range(4), ("source", "target")):
        draw(tmp_path / side / f"{i}.png", seed=i, size=(32, 40))
    data = open_data(tmp_path, dataclasses.replace(tiled, halves=True), size=12, sides="unpaired")
    assert isinstance(data, Sides) and not data.paired
    pictures = [
        {side.names[row].partition("@")[0] for row in rows}
        for side, rows in ((data.source, data.source_rows), (data.target, data.target_rows))
        if isinstance(side, Prepared)
    ]
    assert pictures == [{"0.png", "1.png"}, {"2.png", "3.png"}]
    assert len(data.source_rows) == len(data.target_rows) == 12
