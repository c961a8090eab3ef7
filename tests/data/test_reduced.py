"""Photos and the small versions that are made of them: what super-resolution learns from."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage, stats
from torch import Tensor

from ganvas.data import DataOptions, Reduced, check_data, open_data, prepare_data, reduced
from ganvas.data.resizing import as_stored, reduce
from ganvas.data.sampler import to_float
from ganvas.errors import UserError

Draw = Callable[..., Path]
SIZE = 24


@pytest.fixture
def photos(tmp_path: Path, draw: Draw) -> Path:
    for i in range(3):
        draw(tmp_path / f"photos/{i}.png", seed=i, size=(72, 72))
    return tmp_path / "photos"


@pytest.fixture
def plain(options: DataOptions) -> DataOptions:
    return dataclasses.replace(options, flip=False, fit="tiles", load_size=72)


def opened(spec: str | Path, options: DataOptions, scale: int = 4, size: int = SIZE, **more: Any) -> Reduced:
    data = open_data(spec, options, **{"size": size, "sides": "paired", "scale": scale, **more})
    assert isinstance(data, Reduced)
    return data


def sampler(data: Reduced, options: DataOptions, batch: int = 3, size: int = SIZE, **more: Any) -> Any:
    return data.sampler(**{"batch": batch, "seed": 3, "options": options, "device": "cpu", "size": size, **more})


def whole(data: Reduced) -> Tensor:
    return to_float(torch.from_numpy(np.array(data.photos.images)))


def found_in(photos: Tensor, square: Tensor) -> tuple[int, int, int]:
    """Which photo a square is cut out of, and its first row and column; photos of noise have no two alike."""
    size = square.shape[1]
    for number, photo in enumerate(photos):
        corner = photo.unfold(1, 2, 1).unfold(2, 2, 1) == square[:, None, None, :2, :2]
        for top, left in corner.all(-1).all(-1).all(0).nonzero().tolist():
            if torch.equal(photo[:, top : top + size, left : left + size], square):
                return number, top, left
    raise AssertionError("no part of any photo")


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_a_small_version_is_part_of_that_of_the_whole_photo(photos: Path, plain: DataOptions, scale: int) -> None:
    """Bit for bit against the small version of the whole, wherever the square lies: the margin is as wide as needed."""
    data = opened(photos, plain, scale)
    large, drawn = whole(data), sampler(data, plain)
    places, edges = set(), 0
    for step in range(30):
        batch = drawn.batch(step)
        assert batch["source"].shape == (3, 3, SIZE // scale, SIZE // scale)
        assert batch["image"].shape == (3, 3, SIZE, SIZE)
        for source, image in zip(batch["source"], batch["image"], strict=True):
            number, top, left = found_in(large, image)
            places.add((top % scale, left % scale))
            # The pixels of the small version lie where the square begins.
            shifted = large[number : number + 1, :, top % scale :, left % scale :]
            shifted = shifted[:, :, : shifted.shape[2] // scale * scale, : shifted.shape[3] // scale * scale]
            y, x, side = top // scale, left // scale, SIZE // scale
            assert torch.equal(as_stored(reduce(shifted, scale))[0, :, y : y + side, x : x + side], source)
            edges += not torch.equal(as_stored(reduce(image[None], scale))[0], source)
    assert len(places) > 3 and edges == 90  # without its surroundings a square has another small version


@pytest.mark.parametrize("load_size", [SIZE, 30])
def test_photos_without_room_for_a_margin_are_continued_symmetrically(
    photos: Path, plain: DataOptions, load_size: int
) -> None:
    """Against NumPy's symmetric padding; squares still begin anywhere."""
    options = dataclasses.replace(plain, fit="crop", load_size=load_size)
    data = opened(photos, options)
    large, drawn = whole(data), sampler(data, options)
    places = set()
    for step in range(20):
        batch = drawn.batch(step)
        for source, image in zip(batch["source"], batch["image"], strict=True):
            number, top, left = found_in(large, image)
            places.add(top)
            padded = np.pad(large[number].numpy(), ((0, 0), (8, 8), (8, 8)), "symmetric")
            around = torch.from_numpy(padded[:, top : top + SIZE + 16, left : left + SIZE + 16])[None]
            assert torch.equal(as_stored(reduce(around, 4))[0, :, 2:-2, 2:-2], source)
            if load_size == SIZE:  # a whole picture has the small version that it has everywhere
                assert torch.equal(as_stored(reduce(image[None], 4))[0], source)
    assert places == set(range(load_size - SIZE + 1))


def test_both_are_mirrored_together(photos: Path, plain: DataOptions) -> None:
    """Against the same squares unmirrored; sums in another order may round a level apart."""
    data = opened(photos, plain)
    straight, turned = sampler(data, plain), sampler(data, dataclasses.replace(plain, flip=True))
    mirrored = 0
    for step in range(20):
        ours, theirs = straight.batch(step), turned.batch(step)
        for i in range(3):
            flip = not torch.equal(ours["image"][i], theirs["image"][i])
            mirrored += flip
            expected = {key: value[i].flip(2) if flip else value[i] for key, value in ours.items()}
            assert torch.equal(expected["image"], theirs["image"][i])
            assert (expected["source"] - theirs["source"][i]).abs().max() < 1.01 / 127.5
    assert 15 < mirrored < 45


@pytest.mark.parametrize("world", [2, 3])
@pytest.mark.parametrize("degraded", [False, True])
def test_ranks_together_see_what_one_would(photos: Path, plain: DataOptions, world: int, degraded: bool) -> None:
    options = dataclasses.replace(plain, load_size=36, flip=True)
    if degraded:
        options = dataclasses.replace(options, blur=1.5, noise=9.0, jpeg=30)
    data = opened(photos, options)
    alone = sampler(data, options, 6)
    parts = [sampler(data, options, 6, rank=rank, world=world) for rank in range(world)]
    for step in (0, 5, 1):  # nothing is remembered either
        expected, got = alone.batch(step), [part.batch(step) for part in parts]
        assert all(torch.equal(torch.cat([part[key] for part in got]), expected[key]) for key in expected)
    again = alone.batch(5)
    assert all(torch.equal(again[key], sampler(data, options, 6).batch(5)[key]) for key in again)
    for other in (alone.batch(5, draw=1), alone.batch(5, attempt=1), sampler(data, options, 6, seed=4).batch(5)):
        assert not torch.equal(other["source"], again["source"])


def test_one_degradation_changes_neither_another_nor_the_photo(photos: Path, plain: DataOptions) -> None:
    def batch(**more: Any) -> dict[str, Tensor]:
        options = dataclasses.replace(plain, **more)
        return sampler(opened(photos, options), options).batch(2)

    clear, noisy = batch(), batch(noise=12.0)
    for other in (noisy, batch(jpeg=20), batch(noise=12.0, jpeg=20)):
        assert torch.equal(other["image"], clear["image"]) and not torch.equal(other["source"], clear["source"])
    found_in(whole(opened(photos, plain)), batch(blur=2.0)["image"][0])  # the filter is not in what is to be drawn
    for name in ("noise", "jpeg"):  # the same shares of whatever is the most
        assert torch.equal(batch(**{name: 40})["image"], clear["image"])
    # Noise of the same numbers in the same places, at twice the strength: what rounding leaves of it.
    twice = batch(noise=24.0)["source"] - clear["source"]
    inner = (clear["source"].abs() < 0.6) & (twice.abs() < 0.3)
    assert (twice - 2 * (noisy["source"] - clear["source"]))[inner].abs().max() < 2.01 / 127.5


def test_the_filter_is_a_gaussian_of_the_deviation_said() -> None:
    """Its response to an impulse against the deviation, and all of it against SciPy's filter."""
    sigma = torch.tensor([0.0, 0.7, 1.3, 2.0])
    radius = 8
    impulse = torch.zeros(4, 1, 41, 41)
    impulse[:, :, 20, 20] = 1
    found = reduced.blurred(impulse, sigma, radius)
    assert found.shape == (4, 1, 25, 25)
    place = torch.arange(-12.0, 13.0)
    for one, wanted in zip(found[:, 0], sigma, strict=True):
        assert one.sum().item() == pytest.approx(1, abs=1e-5)
        for axis in (0, 1):
            assert (one.sum(axis) * place**2).sum().sqrt().item() == pytest.approx(wanted.item(), abs=5e-3)
    noise = np.random.default_rng(0).normal(size=(4, 3, 40, 40))
    found = reduced.blurred(torch.from_numpy(noise), sigma.double(), radius)
    for one, own, wanted in zip(found.numpy(), noise, sigma.tolist(), strict=True):
        theirs = own if not wanted else ndimage.gaussian_filter(own, (0, wanted, wanted), radius=(0, radius, radius))
        assert np.abs(one - theirs[:, radius:-radius, radius:-radius]).max() < 1e-5


def test_photos_are_filtered_before_they_are_made_small(
    photos: Path, plain: DataOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole photo through SciPy's filter, then made small: within a level. Deviations are uniform."""
    options = dataclasses.replace(plain, blur=1.6)
    data = opened(photos, options)
    drawn: list[Tensor] = []
    filtered = reduced.blurred
    monkeypatch.setattr(
        reduced, "blurred", lambda images, sigma, radius: [drawn.append(sigma), filtered(images, sigma, radius)][1]
    )
    large, source = whole(data), sampler(data, options)
    for step in range(6):
        batch = source.batch(step)
        for small, image, sigma in zip(batch["source"], batch["image"], drawn[-1].tolist(), strict=True):
            number, top, left = found_in(large, image)
            soft = ndimage.gaussian_filter(large[number].double().numpy(), (0, sigma, sigma), radius=(0, 7, 7))
            around = torch.from_numpy(soft)[None, :, top - 8 : top + SIZE + 8, left - 8 : left + SIZE + 8]
            expected = as_stored(reduce(around, 4))[0, :, 2:-2, 2:-2]
            assert (expected - small).abs().max() < 1.01 / 127.5
    many = sampler(data, options, 3)
    drawn.clear()
    for step in range(300):
        many.batch(step)
    assert stats.kstest(torch.cat(drawn).numpy() / 1.6, "uniform").pvalue > 0.01


def test_noise_has_the_deviation_said(tmp_path: Path, options: DataOptions) -> None:
    """On gray photos: normal, of the same mean, with deviations that are uniform from none to the largest."""
    for i in range(64):
        (tmp_path / "gray").mkdir(exist_ok=True)
        Image.new("RGB", (96, 96), (128, 128, 128)).save(tmp_path / f"gray/{i}.png")
    options = dataclasses.replace(options, noise=20.0)
    drawn = sampler(opened(tmp_path / "gray", options, 2, 96), options, 64, 96)
    levels = torch.cat([drawn.batch(step)["source"] for step in range(8)]) * 127.5 + 127.5
    assert (levels - levels.round()).abs().max() < 1e-4  # stored with 8 bits
    each = levels.flatten(1).std(1)
    # Rounding adds a twelfth of a level squared.
    assert (each**2).mean().item() == pytest.approx(20**2 / 3 + 1 / 12, rel=0.1)
    assert each.max() < 20.6 and each.max() > 19 and each.min() < 1
    assert stats.kstest(each.numpy() / 20, "uniform").pvalue > 0.01
    assert (levels.mean() - 128).abs() < 0.05
    strong = levels[each.argmax()]
    assert stats.kstest((strong.flatten().numpy() - 128) / each.max().item(), "norm").statistic < 0.03
    apart = np.corrcoef(levels.flatten(1)[each.argsort()[-8:]].numpy()) - np.eye(8)
    assert np.abs(apart).max() < 0.06  # no two have the same
    batch = drawn.batch(0)["image"]
    assert (batch == batch[0]).all()


def test_small_versions_are_stored_as_jpeg(photos: Path, plain: DataOptions) -> None:
    """Each is Pillow's JPEG of the clear one at one quality from the lowest to 95, and all of these are drawn."""
    options = dataclasses.replace(plain, jpeg=70)
    clear, stored = (sampler(opened(photos, one), one) for one in (plain, options))
    found = []
    for step in range(50):
        for before, after in zip(clear.batch(step)["source"], stored.batch(step)["source"], strict=True):
            pixels, wanted = (
                ((one + 1) * 127.5).round().byte().permute(1, 2, 0).numpy() for one in (before, after)
            )  # fmt: skip
            for quality in range(60, 101):
                file = io.BytesIO()
                Image.fromarray(pixels).save(file, "JPEG", quality=quality)
                if np.array_equal(np.array(Image.open(file)), wanted):
                    found.append(quality)
                    break
            else:
                raise AssertionError("no JPEG of the clear one")
            assert not np.array_equal(pixels, wanted)
    assert min(found) == 70 and max(found) in (94, 95) and len({*found}) > 20


def test_gray_photos(photos: Path, plain: DataOptions) -> None:
    options = dataclasses.replace(plain, blur=1.0, noise=3.0, jpeg=60)
    drawn = sampler(opened(photos, options, channels=1, source_channels=1), options)
    assert {key: value.shape for key, value in drawn.batch(0).items()} == {
        "source": (3, 1, 6, 6), "image": (3, 1, 24, 24)
    }  # fmt: skip


def test_what_a_run_is_told(photos: Path, draw: Draw, plain: DataOptions) -> None:
    draw(photos / "small.png", size=(20, 20))
    data = opened(photos, plain)
    assert len(data) == 3 and data.keys() == {"source", "image"} == sampler(data, plain).keys
    assert data.pictures is data.photos and data.name == str(photos) and data.amount == "3 squares of 3 pictures"
    assert [problem.name for problem in data.skipped] == ["small.png"]
    assert data.labels is None and data.classes == [] and data.licence is None
    assert data.describe()["count"] == 3 and data.describe()["scale"] == 4
    assert data.hash not in {data.photos.hash, opened(photos, plain, 2).hash}


@pytest.mark.parametrize("name", ["blur", "noise", "jpeg"])
def test_degradations_are_refused_where_nothing_is_made_small(
    photos: Path, plain: DataOptions, name: str, tmp_path: Path
) -> None:
    options = dataclasses.replace(plain, **{name: 5})
    for sides in ("", "paired"):
        with pytest.raises(UserError, match=f"--{name} is for small versions .*this system learns from none; leave"):
            open_data(f"{photos}::{photos}" if sides else photos, options, size=SIZE, sides=sides)
    with pytest.raises(UserError, match=f"--{name} .*{photos}::{photos} are given; leave it out"):
        open_data(f"{photos}::{photos}", options, size=SIZE, sides="paired", scale=4)
    with pytest.raises(UserError, match=f"--{name} .*made in training; leave it out"):
        check_data(photos, options)
    with pytest.raises(UserError, match=f"--{name} .*made in training; leave it out"):
        prepare_data(photos, tmp_path / "out", options, size=SIZE)


@pytest.mark.parametrize(
    ("changes", "more", "message"),
    [
        ({"side": "left"}, {}, "--side is for pictures of one size, not 4 times as high and wide"),
        ({"swap": True}, {}, "--swap is for pairs, and the small versions of .* are made"),
        ({"halves": True}, {}, "--halves hides"),
        ({"balance": True}, {}, "--balance draws classes"),
        ({}, {"size": 26}, "--size 26 is no multiple of 4"),
        ({}, {"source_channels": 1}, "--channels is 3 and --source-channels 1"),
        ({}, {"channels": 4}, "--channels is 4 and --source-channels 4"),
        ({"load_size": 80}, {}, "72x72 pixels, smaller than a square of 80: give a smaller --load-size"),
    ],
)
def test_what_does_not_go_is_said(
    photos: Path, plain: DataOptions, changes: dict[str, Any], more: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        opened(photos, dataclasses.replace(plain, **changes), **more)
