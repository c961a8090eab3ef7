"""Small and large pictures that are given as pairs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ganvas.data import DataOptions, Prepared, Reduced, Sides, SidesReport, check_data, open_data, prepare_data
from ganvas.errors import UserError

Pair = Callable[..., None]
SIZE, SCALE = 24, 4


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """Writes a large picture of noise and, as its small one, every fourth pixel of every fourth row."""

    def pair(name: str, low: tuple[int, int], seed: int = 0, scale: int = SCALE, folders: str = "low high") -> None:
        large = np.random.default_rng(seed).integers(0, 256, (low[1] * scale, low[0] * scale, 3), dtype=np.uint8)
        for folder, pixels in zip(folders.split(), (large[::scale, ::scale], large), strict=True):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / folder / name)

    return pair


@pytest.fixture
def tiled(options: DataOptions) -> DataOptions:
    return dataclasses.replace(options, fit="tiles", load_size=48)


def opened(spec: str | Path, options: DataOptions, **more: Any) -> Sides:
    data = open_data(spec, options, **{"size": SIZE, "sides": "paired", "scale": SCALE, **more})
    assert isinstance(data, Sides) and data.paired
    return data


def batches(data: Sides, options: DataOptions, steps: int, **more: Any) -> list[dict[str, torch.Tensor]]:
    given = {"batch": 4, "seed": 1, "options": options, "device": "cpu", "size": SIZE, **more}
    return [data.sampler(**given).batch(step) for step in range(steps)]


def belong(batch: dict[str, torch.Tensor]) -> list[bool]:
    """Whether each is mirrored; fails if one is not the small picture of its large one."""
    mirrored = []
    for small, large in zip(batch["source"], batch["image"], strict=True):
        straight = torch.equal(large[:, ::SCALE, ::SCALE], small)
        assert straight or torch.equal(large.flip(2)[:, ::SCALE, ::SCALE].flip(2), small)
        mirrored.append(not straight)
    return mirrored


def test_squares_and_crops_of_both_lie_at_the_same_place(tmp_path: Path, pair: Pair, tiled: DataOptions) -> None:
    """A small picture is every fourth pixel of its large one, in batches too, whatever the sizes."""
    lows = [(12, 12), (37, 13), (25, 31), (50, 23)]
    for i, low in enumerate(lows):
        pair(f"{i}.png", low, seed=i)
    # Kept apart from the squares of the same pictures that lie anywhere.
    open_data(tmp_path / "high", tiled, size=SIZE, sides="paired", scale=SCALE)
    data = opened(f"{tmp_path / 'low'}::{tmp_path / 'high'}", tiled)
    assert isinstance(data.source, Prepared) and isinstance(data.target, Prepared)
    assert len(data) == sum(-(-w // 12) * -(-h // 12) for w, h in lows) == 1 + 8 + 9 + 10
    for i, j in zip(data.source_rows, data.target_rows, strict=True):
        small, large = data.source.images[i], data.target.images[j]
        assert small.shape == (12, 12, 3) and np.array_equal(large[::SCALE, ::SCALE], small)
        (file, _, at), (other, _, place) = (
            name.rpartition("@") for name in (data.source.names[i], data.target.names[j])
        )
        assert file == other and [SCALE * int(n) for n in at.split(",")] == [int(n) for n in place.split(",")]
    drawn = batches(data, tiled, 30)
    assert drawn[0]["source"].shape == (4, 3, 6, 6) and drawn[0]["image"].shape == (4, 3, 24, 24)
    mirrored = [one for batch in drawn for one in belong(batch)]
    assert 40 < sum(mirrored) < 80
    straight = batches(data, dataclasses.replace(tiled, flip=False), 30)
    assert not any(one for batch in straight for one in belong(batch))
    # Every place where the small picture has a pixel is drawn: of one pair the corner tells.
    corners = {tuple(batch["source"][0, :, 0, 0].tolist()) for batch in batches(data, tiled, 400, batch=1)}
    assert len(corners) > 300


@pytest.mark.parametrize("world", [2, 4])
def test_ranks_together_see_what_one_would(tmp_path: Path, pair: Pair, tiled: DataOptions, world: int) -> None:
    for i in range(4):
        pair(f"{i}.png", (25, 25), seed=i)
    data = opened(tmp_path, tiled)
    parts = [batches(data, tiled, 3, rank=rank, world=world) for rank in range(world)]
    for step, whole in enumerate(batches(data, tiled, 3)):
        assert all(torch.equal(torch.cat([part[step][key] for part in parts]), whole[key]) for key in whole)


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch", "tiles"])
@pytest.mark.parametrize("folders", ["low high", "LR HR", "input output"])
def test_pictures_cut_already_go_whatever_the_fit(
    tmp_path: Path, pair: Pair, options: DataOptions, fit: str, folders: str
) -> None:
    """In any layout of two folders; as rows of metadata too."""
    options = dataclasses.replace(options, fit=fit, load_size=0)
    for i in range(4):
        pair(f"{i}.png", (6, 6), seed=i, folders=folders)
    data = opened(tmp_path, options)
    assert len(data) == 4 and all(len(belong(batch)) == 4 for batch in batches(data, options, 4))
    low, high = folders.split()
    rows = [{"source_file_name": f"p/{low}/{i}.png", "target_file_name": f"p/{high}/{i}.png"} for i in range(4)]
    (tmp_path / "named/p").mkdir(parents=True)
    for folder in (low, high):
        (tmp_path / folder).rename(tmp_path / "named/p" / folder)
    (tmp_path / "named/metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    named = opened(tmp_path / "named", options)
    assert len(named) == 4 and all(len(belong(batch)) == 4 for batch in batches(named, options, 4))


def test_prepared_folders_are_pairs_of_what_they_hold(tmp_path: Path, pair: Pair, options: DataOptions) -> None:
    """Not of the pictures that they were made from, which were larger."""
    options = dataclasses.replace(options, fit="tiles")
    for i in range(4):
        pair(f"{i}.png", (6, 6), seed=i)
    spec = [tmp_path / name for name in ("small", "large")]
    prepare_data(tmp_path / "low", spec[0], dataclasses.replace(options, min_side=1), size=6)
    prepare_data(tmp_path / "high", spec[1], options, size=24)
    data = opened("::".join(map(str, spec)), dataclasses.replace(options, fit="crop"))
    assert len(data) == 4 and all(len(belong(batch)) == 4 for batch in batches(data, options, 4))
    # Cut from larger photos: their own sizes, 40x40 and 161x161, are no multiple, their middles are.
    for side, folder in ((40, "low"), (161, "high")):
        for i in range(4):
            Image.new("RGB", (side, side), (i, i, i)).save(tmp_path / folder / f"{i}.png")
    prepare_data(tmp_path / "low", tmp_path / "cut", dataclasses.replace(options, fit="crop"), size=6)
    prepare_data(tmp_path / "high", tmp_path / "cut2", dataclasses.replace(options, fit="crop"), size=24)
    assert len(opened(f"{tmp_path / 'cut'}::{tmp_path / 'cut2'}", options)) == 4


def test_a_pair_of_other_sizes_is_skipped_with_both(tmp_path: Path, pair: Pair, tiled: DataOptions) -> None:
    for i in range(4):
        pair(f"{i}.png", (25, 25), seed=i)
    Image.new("RGB", (101, 100)).save(tmp_path / "high/1.png")
    (tmp_path / "high/2.png").write_bytes(b"no picture")
    data = opened(tmp_path, tiled)
    assert len(data) == 2 * 9
    assert [str(problem).replace(f"{tmp_path}/", "") for problem in data.problems] == [
        "low/1.png: 25x25 pixels, and its partner high/1.png has 101x100, which is not 4 times as high and wide",
        "low/2.png: its partner high/2.png cannot be used",
    ]
    with pytest.raises(UserError, match=r"because of strict: .*low/1.png: 25x25 pixels"):
        (tmp_path / "high/2.png").unlink()
        (tmp_path / "low/2.png").unlink()
        open_data(tmp_path, dataclasses.replace(tiled, strict=True), size=SIZE, sides="paired", scale=SCALE)


def test_pictures_that_would_be_cut_need_tiles(tmp_path: Path, pair: Pair, options: DataOptions) -> None:
    for i in range(2):
        pair(f"{i}.png", (6, 6), seed=i)
    pair("2.png", (30, 20), seed=2)
    data = opened(tmp_path, options)
    assert len(data) == 2
    assert str(data.problems[0]).endswith("has 120x80, which is not 24x24: --fit tiles cuts such squares out of it")
    for i in range(2):
        pair(f"{i}.png", (30, 20), seed=i)
    with pytest.raises(UserError, match=r"0 usable pairs; 2 are needed; .*30x20 pixels.*--fit tiles cuts such squares"):
        opened(tmp_path, options)


@pytest.mark.parametrize(
    ("scale", "swap", "message"),
    [
        (2, False, r"are 2 times as high and wide as the first, not 4: give --scale 2\.$"),
        (4, True, r"are 0.25 times as high and wide as the first, not 4: give --swap\.$"),
        (1, False, r"are 1 times as high and wide as the first, not 4: give the larger ones alone, and small"),
    ],
)
def test_the_scale_that_pairs_have_is_named(
    tmp_path: Path, pair: Pair, tiled: DataOptions, scale: int, swap: bool, message: str
) -> None:
    for i in range(3):
        pair(f"{i}.png", (60, 50), seed=i, scale=scale)
    with pytest.raises(UserError, match=message):
        opened(tmp_path, dataclasses.replace(tiled, swap=swap))


def test_swapped_folders(tmp_path: Path, pair: Pair, tiled: DataOptions) -> None:
    for i in range(3):
        pair(f"{i}.png", (13, 13), seed=i)
    data = opened(f"{tmp_path / 'high'}::{tmp_path / 'low'}", dataclasses.replace(tiled, swap=True))
    assert [len(belong(batch)) for batch in batches(data, tiled, 3)] == [4, 4, 4]


def test_check_counts_the_squares_of_the_large_ones(tmp_path: Path, pair: Pair, tiled: DataOptions) -> None:
    """Against the number of pairs that are drawn from."""
    for i in range(3):
        pair(f"{i}.png", (25, 13), seed=i)
    report = check_data(tmp_path, tiled, sides="paired")
    assert isinstance(report, SidesReport) and report.pairs == 3
    assert report.source.squares is None and report.target.squares == len(opened(tmp_path, tiled)) == 18


def test_what_does_not_go_is_said(tmp_path: Path, pair: Pair, tiled: DataOptions) -> None:
    for i in range(3):
        pair(f"{i}.png", (13, 13), seed=i)
    for changes, more, message in (
        ({"load_size": 50}, {}, "--load-size 50 is no multiple of 4"),
        ({}, {"size": 25}, "--size 25 is no multiple of 4"),
        ({"load_size": 16}, {}, r"load_size \(16\) is smaller than the size in training \(24\)"),
        ({"halves": True}, {}, "--halves hides"),
    ):
        with pytest.raises(UserError, match=message):
            opened(tmp_path, dataclasses.replace(tiled, **changes), **more)
    with pytest.raises(UserError, match=r"There is no folder or zip file .*/nothing"):
        opened(tmp_path / "nothing", tiled)
    alone = open_data(tmp_path / "high", tiled, size=SIZE, sides="paired", scale=SCALE)
    assert isinstance(alone, Reduced)
    with pytest.raises(UserError, match="cannot be told"):  # which systems that do not enlarge still say
        open_data(tmp_path / "high", tiled, size=SIZE, sides="paired")
