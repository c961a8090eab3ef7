"""Pictures with transparency kept, and arrays of any number of channels."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganvas.data import DataOptions, Prepared, check_data, open_data, open_pictures, prepare_data
from ganvas.data.decode import to_square
from ganvas.errors import UserError

Draw = Callable[..., Path]


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def saved(folder: Path, arrays: list[np.ndarray]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for i, array in enumerate(arrays):
        np.save(folder / f"{i}.npy", array)
    return folder


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 13])
def test_arrays_come_back_as_they_are(tmp_path: Path, options: DataOptions, count: int) -> None:
    """Byte for byte and in the order of their channels, where nothing has to be resized."""
    arrays = [noise(16, 16, count, seed=i) for i in range(3)]
    if count in (2, 4):
        for array in arrays:
            array[:, :, -1] |= 1  # what is not to be seen at all has no colour
    data = open_pictures(saved(tmp_path / "x", arrays), options, size=16, channels=count)
    assert data.images.shape == (3, 16, 16, count) and not data.skipped
    assert np.array_equal(data.images, np.stack(arrays))
    batch = data.sampler(
        batch=3, seed=0, options=DataOptions(flip=False), device="cpu", size=16
    )  # fmt: skip
    index = batch.indices(0)
    expected = np.stack(arrays)[index].transpose(0, 3, 1, 2) / 127.5 - 1
    assert np.allclose(batch.batch(0)["image"].numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(24, 24), (24, 30), (17, 13)])
@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_each_channel_is_resized_as_a_gray_picture_is(
    tmp_path: Path, shape: tuple[int, int], fit: Any
) -> None:  # fmt: skip
    """Against the same channel alone, padded with black."""
    options = DataOptions(cache=tmp_path / "cache", fit=fit)
    arrays = [noise(*shape, 6, seed=i) for i in range(2)]
    data = open_pictures(saved(tmp_path / "x", arrays), options, size=11, channels=6)
    for array, got in zip(arrays, data.images, strict=True):
        for channel in range(6):
            alone = to_square(Image.fromarray(array[:, :, channel]), 11, 1, fit, (0, 0, 0))
            assert np.array_equal(got[:, :, channel], alone[:, :, 0])


def test_gray_arrays_and_fortran_order(tmp_path: Path, options: DataOptions) -> None:
    gray = noise(9, 9)
    data = open_pictures(saved(tmp_path / "gray", [gray, gray]), options, size=9, channels=1)
    assert np.array_equal(data.images[0, :, :, 0], gray)
    values = noise(9, 9, 7)
    data = open_pictures(saved(tmp_path / "f", [np.asfortranarray(values)] * 2), options, size=9, channels=7)
    assert np.array_equal(data.images[1], values)


class Bomb:
    """An object that says so if it is ever unpickled."""

    def __reduce__(self) -> Any:
        return (pytest.fail, ("unpickled",))


def test_arrays_that_cannot_be_used_are_named(tmp_path: Path, options: DataOptions) -> None:
    folder = saved(tmp_path / "x", [noise(16, 16, 6, seed=i) for i in range(2)])
    bad: dict[str, Any] = {
        "channels": noise(16, 16, 5),
        "floats": np.zeros((16, 16, 6), np.float32),
        "line": noise(16),
        "film": noise(2, 16, 16, 6),
        "small": noise(16, 4, 6),
        "none": noise(16, 0, 6),
        "object": np.array([[Bomb()] * 9] * 9, dtype=object),
    }
    for name, values in bad.items():
        np.save(folder / f"{name}.npy", values, allow_pickle=True)
    whole = io.BytesIO()
    np.save(whole, noise(16, 16, 6))
    (folder / "cut.npy").write_bytes(whole.getvalue()[:-5])
    (folder / "claims.npy").write_bytes(whole.getvalue().replace(b"(16, 16, 6)", b"(99999, 99999, 6)".ljust(11)))
    (folder / "magic.npy").write_bytes(b"\x93NUMPY\x09\x00")
    (folder / "text.npy").write_text("no array")
    Image.fromarray(noise(16, 16, 3)).save(folder / "named wrong.npy", "PNG")
    data = open_pictures(folder, options, size=16, channels=6)
    assert data.names == ["0.npy", "1.npy"]
    said = {problem.name: problem.reason for problem in data.skipped}
    assert said["channels.npy"] == "an array of 5 channels, not 6"
    assert said["floats.npy"].startswith("an array of float32 with shape (16, 16, 6); bytes (uint8)")
    assert "shape (16,)" in said["line.npy"] and "shape (2, 16, 16, 6)" in said["film.npy"]
    assert said["small.npy"] == "4x16 pixels; min_side is 8" and said["none.npy"] == "an array without a value"
    assert said["object.npy"].startswith("an array of object")
    assert "more or less than its header says" in said["cut.npy"]
    assert said["named wrong.npy"].startswith("a picture, which has at most 4 channels: 6 come from arrays alone")
    assert len(said) == len(bad) + 5


def test_limits_hold_for_arrays(tmp_path: Path) -> None:
    folder = saved(tmp_path / "x", [noise(16, 16, 6), noise(16, 16, 6), noise(40, 40, 6)])
    few = DataOptions(cache=tmp_path / "c", max_pixels=300)
    assert [str(p) for p in open_pictures(folder, few, size=8, channels=6).skipped] == [
        "2.npy: 1,600 pixels, more than max_pixels (300)"
    ]
    small = DataOptions(cache=tmp_path / "c", max_bytes=2000)
    assert "more than max_bytes" in open_pictures(folder, small, size=8, channels=6).skipped[0].reason


def test_arrays_beside_pictures_are_passed_over(tmp_path: Path, options: DataOptions, draw: Draw) -> None:
    """As before there were arrays: they are often features or masks."""
    for i in range(2):
        draw(tmp_path / f"x/{i}.png", seed=i)
    np.save(tmp_path / "x/features.npy", noise(16, 16, 3))
    data = open_data(tmp_path / "x", options, size=8)
    assert isinstance(data, Prepared) and data.names == ["0.png", "1.png"] and not data.skipped
    assert check_data(tmp_path / "x", options).ignored == 1  # type: ignore[union-attr]


@pytest.mark.parametrize("channels", [2, 4])
def test_transparency_is_kept(tmp_path: Path, options: DataOptions, channels: int) -> None:
    """Colours exactly where they can be seen and 0 where not; gray by the same weights as Pillow's."""
    values = noise(16, 16, 4)
    values[:8, :, 3] = 0
    values[8:, :, 3] |= 1
    for i in range(2):
        (tmp_path / "x").mkdir(exist_ok=True)
        Image.fromarray(values).save(tmp_path / f"x/{i}.png")
    data = open_pictures(tmp_path / "x", options, size=16, channels=channels)
    got = data.images[0]
    assert (got[:8] == 0).all() and np.array_equal(got[8:, :, -1], values[8:, :, 3])
    if channels == 4:
        assert np.array_equal(got[8:], values[8:])
    else:
        gray = np.asarray(Image.fromarray(values[:, :, :3]).convert("L"))
        assert np.array_equal(got[8:, :, 0], gray[8:])


def test_hidden_colour_does_not_bleed_where_transparency_is_kept(tmp_path: Path, options: DataOptions) -> None:
    values = np.zeros((64, 64, 4), np.uint8)
    values[:, :32] = [255, 0, 0, 0]  # invisible red beside solid green
    values[:, 32:] = [0, 255, 0, 255]
    (tmp_path / "x").mkdir()
    for i in range(2):
        Image.fromarray(values).save(tmp_path / f"x/{i}.png")
    got = open_pictures(tmp_path / "x", options, size=9, channels=4).images[0]
    seen = got[:, :, 3] > 20
    assert (got[:, :, 0] == 0).all() and (got[:, :, 1][seen] >= 250).all() and 0.4 < seen.mean() < 0.6


@pytest.mark.parametrize(("mode", "opaque"), [("RGB", True), ("L", True), ("P", True), ("LA", False)])
def test_pictures_without_transparency_are_opaque(
    tmp_path: Path, options: DataOptions, draw: Draw, mode: str, opaque: bool
) -> None:
    (tmp_path / "x").mkdir()
    for i in range(2):
        values = noise(16, 16, 2, seed=i) | 1
        image = (
            Image.fromarray(values, "LA") if mode == "LA" else Image.fromarray(noise(16, 16, 3, seed=i)).convert(mode)
        )
        image.save(tmp_path / f"x/{i}.png")
    colour, gray = (open_pictures(tmp_path / "x", options, size=16, channels=count) for count in (4, 2))
    plain = open_pictures(tmp_path / "x", options, size=16)
    assert (colour.images[..., 3] == 255).all() == (gray.images[..., 1] == 255).all() == opaque
    if opaque:
        assert np.array_equal(colour.images[..., :3], plain.images)


def test_padding_is_transparent_where_transparency_is_kept(tmp_path: Path, draw: Draw) -> None:
    for i in range(2):
        draw(tmp_path / f"x/{i}.png", seed=i, size=(40, 20))
    options = DataOptions(cache=tmp_path / "c", fit="pad", background="red")
    got = open_pictures(tmp_path / "x", options, size=20, channels=4).images[0]
    assert (got[:5] == 0).all() and (got[15:] == 0).all() and (got[5:15, :, 3] == 255).all()


@pytest.mark.parametrize("count", [2, 4, 7])
def test_prepared_arrays_can_be_prepared_again(tmp_path: Path, options: DataOptions, count: int) -> None:
    """At another size, against preparing the files at once: stretched twice by the same whole factor."""
    arrays = [np.repeat(np.repeat(noise(8, 8, count, seed=i) | 1, 4, 0), 4, 1) for i in range(2)]
    folder = saved(tmp_path / "x", arrays)
    made = prepare_data(folder, tmp_path / "made", options, size=32, channels=count)
    assert np.array_equal(made.images, np.stack(arrays))
    again = open_pictures(tmp_path / "made", options, size=16, channels=count)
    assert np.array_equal(again.images, open_pictures(folder, options, size=16, channels=count).images)


def test_two_sides_with_channels_of_their_own(tmp_path: Path, options: DataOptions, draw: Draw) -> None:
    arrays = [noise(16, 16, 9, seed=i) for i in range(4)]
    saved(tmp_path / "a", arrays)
    for i in range(4):
        draw(tmp_path / f"b/{i}.png", seed=i, size=(16, 16))
    spec = f"{tmp_path}/a::{tmp_path}/b"
    data = open_data(spec, options, size=16, channels=4, source_channels=9, sides="paired")
    drawn = data.sampler(batch=4, seed=0, options=options, device="cpu", size=16)
    batch = drawn.batch(0)
    assert batch["source"].shape == (4, 9, 16, 16) and batch["image"].shape == (4, 4, 16, 16)
    assert (batch["image"][:, 3] == 1).all() and data.amount == "4 pairs"


def test_systems_of_one_side_draw_gray_or_colour(tmp_path: Path, options: DataOptions) -> None:
    saved(tmp_path / "x", [noise(16, 16, 2)] * 2)
    with pytest.raises(UserError, match="2 channels cannot be made; choose 1"):
        open_data(tmp_path / "x", options, size=16, channels=2)
    with pytest.raises(UserError, match="0 channels cannot be made"):
        open_pictures(tmp_path / "x", options, size=16, channels=0)


def test_check_of_arrays(tmp_path: Path, options: DataOptions) -> None:
    """Two that differ in their last channel alone are no duplicates."""
    one = noise(16, 16, 6)
    other = one.copy()
    other[..., 5] ^= 1
    report = check_data(saved(tmp_path / "x", [one, other, noise(16, 20, 2)]), options)
    assert report.modes == {"2 channels": 1, "6 channels": 2} and report.formats == {"NPY": 3}  # type: ignore[union-attr]
    assert report.sizes == {(16, 16): 2, (20, 16): 1} and not report.same_pixels  # type: ignore[union-attr]
