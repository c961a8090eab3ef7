"""Data with two sides: which pictures belong together, and what batches of both hold."""

from __future__ import annotations

import dataclasses
import json
import os
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ganvas.data import DataOptions, Prepared, Sampler, Sides, SidesReport, cache, check_data, open_data, store
from ganvas.data.source import absolute
from ganvas.errors import UserError

Draw = Callable[..., Path]
SIZE = 12


def opened(spec: str | Path, options: DataOptions, sides: str = "paired", **more: Any) -> Sides:
    data = open_data(spec, options, **{"size": SIZE, "sides": sides, **more})
    assert isinstance(data, Sides)
    return data


def sampler(data: Sides, options: DataOptions, batch: int = 4, **more: Any) -> Any:
    return data.sampler(**{"batch": batch, "seed": 3, "options": options, "device": "cpu", "size": SIZE, **more})


def names(data: Sides) -> list[tuple[str, str]]:
    """Of each pair, as the rows say."""
    return [
        (data.source.names[i], data.target.names[j])
        for i, j in zip(data.source_rows, data.target_rows, strict=True)
    ]  # fmt: skip


@pytest.fixture
def twins(tmp_path: Path, draw: Draw) -> str:
    """Nine pairs whose two pictures are the same, pixel for pixel."""
    for i in range(9):
        draw(tmp_path / f"first/{i}.png", seed=i, size=(20, 20))
        draw(tmp_path / f"second/{i}.bmp", seed=i, size=(20, 20))
    return f"{tmp_path / 'first'}::{tmp_path / 'second'}"


# What batches hold.


@pytest.mark.parametrize("load_size", [0, 17])
def test_pairs_are_cut_and_mirrored_alike(twins: str, options: DataOptions, load_size: int) -> None:
    """Partners with the same pixels stay the same bit for bit, through the random square and the mirror."""
    options = dataclasses.replace(options, load_size=load_size)
    drawn = sampler(opened(twins, options), options)
    batches = [drawn.batch(step, draw) for step in range(9) for draw in range(2)]
    assert all(set(batch) == {"source", "image"} for batch in batches)
    assert all(torch.equal(batch["source"], batch["image"]) for batch in batches)
    assert all(batch["image"].shape == (4, 3, SIZE, SIZE) for batch in batches)
    once = sampler(opened(twins, options), dataclasses.replace(options, flip=False))
    assert any(not torch.equal(once.batch(step)["image"], drawn.batch(step)["image"]) for step in range(9))


def test_pairs_in_another_order_on_each_side_still_belong_together(tmp_path: Path, options: DataOptions) -> None:
    """Metadata pairs the gray value v with 255 - v, whatever the files are called."""
    (tmp_path / "x").mkdir()
    lines = []
    for i, value in enumerate(range(0, 240, 30)):
        Image.new("L", (SIZE, SIZE), value).save(tmp_path / f"x/a{i}.png")
        Image.new("L", (SIZE, SIZE), 255 - value).save(tmp_path / f"x/b{9 - i}.png")
        lines.append(json.dumps({"source_file_name": f"a{i}.png", "target_file_name": f"b{9 - i}.png"}))
    (tmp_path / "x/metadata.jsonl").write_text("\n".join(lines))
    data = opened(tmp_path / "x", options)
    drawn = sampler(data, options)
    for step in range(6):
        batch = drawn.batch(step)
        assert torch.allclose(batch["source"], -batch["image"], atol=1e-6)
    assert len(names(data)) == 8 and names(data)[0] == ("a0.png", "b9.png")


def test_unpaired_sides_know_nothing_of_each_other(tmp_path: Path, options: DataOptions) -> None:
    """Over many batches the positions, the mirrors and the cuts of the two sides agree as often as by chance."""
    rows = np.arange(400, dtype=np.int64)
    images = np.zeros((400, 9, 9, 1), np.uint8)
    images[:] = np.arange(81, dtype=np.uint8).reshape(9, 9, 1)  # a pixel says where it comes from
    sides = []
    for name in "ab":
        (tmp_path / name).mkdir()
        with store.Writer(tmp_path / name, 9, 1) as writer:
            for i in range(400):
                writer.add(store.Item(str(i), lambda side: b""), images[i])
            writer.finish(store.Source(name, [], lambda progress: []), [], [], {})
        sides.append(store.load(tmp_path / name))
    data = Sides(sides[0], sides[1], False, rows, rows, "x")
    drawn = sampler(data, options, batch=400, size=8)
    assert not np.array_equal(drawn.source.indices(0), drawn.target.indices(0))
    batch = {key: value[:, 0] for key, value in drawn.batch(0).items()}
    mirrored = {key: value[:, 0, 0] > value[:, 0, 1] for key, value in batch.items()}
    assert 150 < int((mirrored["source"] == mirrored["image"]).sum()) < 250
    corner = {key: value.flatten(1).amin(1) for key, value in batch.items()}
    assert 60 < int((corner["source"] == corner["image"]).sum()) < 140  # one in four
    # The target is drawn as it would be alone, so that a run of the same seed sees the same pictures.
    alone = Sampler(sides[1], batch=400, seed=3, options=options, device="cpu", size=8)
    assert torch.equal(alone.batch(2)["image"], drawn.batch(2)["image"])


@pytest.mark.parametrize("sides", ["paired", "unpaired"])
@pytest.mark.parametrize("world", [2, 4])
def test_ranks_together_see_what_one_would(twins: str, options: DataOptions, sides: str, world: int) -> None:
    options = dataclasses.replace(options, load_size=15)
    data = opened(twins, options, sides)
    whole = sampler(data, options)
    parts = [sampler(data, options, rank=rank, world=world) for rank in range(world)]
    for step in (0, 5, 1):  # nothing is remembered either
        expected, got = whole.batch(step), [part.batch(step) for part in parts]
        assert all(torch.equal(torch.cat([part[key] for part in got]), expected[key]) for key in expected)


def test_every_epoch_shows_each_pair_once(twins: str, options: DataOptions) -> None:
    drawn = sampler(opened(twins, options), options, batch=3)
    for epoch in range(2):
        seen = np.concatenate([drawn.target.indices(3 * epoch + i) for i in range(3)])
        assert sorted(seen) == list(range(9))
        assert np.array_equal(seen, np.concatenate([drawn.source.indices(3 * epoch + i) for i in range(3)]))


def test_halves_never_show_a_pair(twins: str, options: DataOptions) -> None:
    """Of the nine pairs the first four are sources alone, the other five targets alone."""
    halves = dataclasses.replace(options, halves=True)
    data = opened(twins, halves, "unpaired")
    assert not data.paired and data.amount == "4 and 5 unpaired pictures" and len(data) == 4
    drawn = sampler(data, halves, batch=4)
    sources = {data.source.names[i] for step in range(20) for i in drawn.source.indices(step)}
    targets = {data.target.names[i] for step in range(20) for i in drawn.target.indices(step)}
    assert sources == {"0.png", "1.png", "2.png", "3.png"}
    assert targets == {"4.bmp", "5.bmp", "6.bmp", "7.bmp", "8.bmp"}
    assert data.hash != opened(twins, options, "unpaired").hash
    with pytest.raises(UserError, match="--halves hides which pictures belong together"):
        opened(twins, halves)


def test_some_rows_are_drawn_as_if_there_were_no_others(tmp_path: Path, options: DataOptions, draw: Draw) -> None:
    """Against the sampler of data that holds just those pictures."""
    for i in range(8):
        draw(tmp_path / f"all/{i}.png", seed=i, size=(20, 20))
        if i % 2:
            draw(tmp_path / f"odd/{i}.png", seed=i, size=(20, 20))
    every, odd = (open_data(tmp_path / name, options, size=15) for name in ("all", "odd"))
    assert isinstance(every, Prepared) and isinstance(odd, Prepared)
    common: dict[str, Any] = {"batch": 3, "seed": 5, "options": options, "device": "cpu", "size": SIZE}
    some = every.sampler(**common, rows=np.array([1, 3, 5, 7]))
    assert all(torch.equal(some.batch(step)["image"], odd.sampler(**common).batch(step)["image"]) for step in range(5))
    with pytest.raises(UserError, match=r"4 usable pictures.*use --batch 4 or less"):
        every.sampler(**{**common, "batch": 5}, rows=np.array([1, 3, 5, 7]))


# Which pictures belong together.


def test_partners_have_the_same_name_but_for_the_extension(tmp_path: Path, options: DataOptions, draw: Draw) -> None:
    """In folders too, and whether an accent is a character of its own or not."""
    composed, apart = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    assert composed != apart
    for name in (f"in/{composed}.png", "1.jpeg", "2.v2.png", "only here.png"):
        draw(tmp_path / "a" / name)
    for name in (f"in/{apart}.webp", "1.PNG", "2.v2.png", "2.png", "in/only there.png"):
        draw(tmp_path / "b" / name)
    data = opened(f"{tmp_path}/a::{tmp_path}/b/", options)
    stems = sorted(unicodedata.normalize("NFC", a.rsplit(".", 1)[0]) for a, _ in names(data))
    assert stems == ["1", "2.v2", "in/é"] and data.amount == "3 pairs"
    assert {str(problem) for problem in data.skipped} == {
        f"{tmp_path}/a/only here.png: has no partner in {tmp_path}/b",
        f"{tmp_path}/b/2.png: has no partner in {tmp_path}/a",
        f"{tmp_path}/b/in/only there.png: has no partner in {tmp_path}/a",
    }
    with pytest.raises(UserError, match=r"^Refused .*, because of strict: .*only here\.png: has no partner"):
        opened(f"{tmp_path}/a::{tmp_path}/b", dataclasses.replace(options, strict=True))
    # Of unpaired data everything is used.
    unpaired = opened(f"{tmp_path}/a::{tmp_path}/b", dataclasses.replace(options, strict=True), "unpaired")
    assert unpaired.amount == "4 and 5 unpaired pictures" and not unpaired.skipped


def test_one_name_with_two_extensions(tmp_path: Path, options: DataOptions, draw: Draw) -> None:
    for name in ("a/1.jpg", "a/1.png", "a/2.png", "b/1.png", "b/2.png"):
        draw(tmp_path / name)
    data = opened(f"{tmp_path}/a::{tmp_path}/b", options)
    assert names(data) == [("1.jpg", "1.png"), ("2.png", "2.png")]
    assert [str(p) for p in data.skipped] == [
        f"{tmp_path}/a/1.png: has the same name, but for the extension, as 1.jpg, which is used"
    ]


def test_no_name_in_common(tmp_path: Path, options: DataOptions, draw: Draw) -> None:
    for i in range(5):
        draw(tmp_path / f"a/photo {i}.png", seed=i)
        draw(tmp_path / f"b/{i}.png", seed=i)
    with pytest.raises(UserError, match=r"no pairs: no picture of .*a \(photo 0\.png, .*\.\.\.\).*b \(0\.png, 1\.png"):
        opened(f"{tmp_path}/a::{tmp_path}/b", options)
    assert opened(f"{tmp_path}/a::{tmp_path}/b", options, "unpaired").amount == "5 and 5 unpaired pictures"


@pytest.mark.parametrize("broken", ["first/3.png", "second/5.bmp"])
def test_a_pair_of_which_one_is_broken_is_left_out(
    twins: str, tmp_path: Path, options: DataOptions, broken: str
) -> None:
    """And the pairs after it still belong together."""
    whole = opened(twins, options)
    (tmp_path / broken).write_bytes(b"")
    data = opened(twins, options)
    number = broken[-5]
    assert [a[0] for a, _ in names(data)] == [b[0] for _, b in names(data)] == [c for c in "012345678" if c != number]
    assert data.hash != whole.hash and len(data) == 8 and len(whole) == 9
    gone, partner = f"{tmp_path}/{broken}", f"first/{number}.png" if "second" in broken else f"second/{number}.bmp"
    assert [str(p) for p in data.skipped] == [
        f"{gone}: the file is empty",
        f"{tmp_path}/{partner}: its partner {gone} cannot be used",
    ]
    batch = sampler(data, options, batch=8).batch(1)
    assert torch.equal(batch["source"], batch["image"])
    with pytest.raises(UserError, match=r"because of strict: .*the file is empty"):
        opened(twins, dataclasses.replace(options, strict=True))


def test_partners_of_another_shape_are_left_out(tmp_path: Path, options: DataOptions, draw: Draw) -> None:
    """101 x 75 is 100 x 75 as far as rounding goes, and half of 201 x 150 also, but 104 x 75 is not."""
    shapes = {"1": (101, 75), "2": (201, 150), "3": (104, 75), "4": (50, 37), "5": (75, 100)}
    for name, shape in shapes.items():
        draw(tmp_path / f"a/{name}.png", size=(100, 75))
        draw(tmp_path / f"b/{name}.png", size=shape)
    spec = f"{tmp_path}/a::{tmp_path}/b"
    data = opened(spec, options)
    assert [a for a, _ in names(data)] == ["1.png", "2.png", "4.png"]
    assert [str(p) for p in data.skipped] == [
        f"{tmp_path}/a/{n}.png: 100x75 pixels, and its partner {tmp_path}/b/{n}.png has {w}x{h}, which is another shape"
        for n, (w, h) in shapes.items()
        if n in "35"
    ]
    with pytest.raises(UserError, match=r"because of strict: .*another shape \(and 1 more\)"):
        opened(spec, dataclasses.replace(options, strict=True))
    # Where pixels are not compared, shapes do not matter.
    assert len(opened(spec, dataclasses.replace(options, halves=True), "unpaired").skipped) == 0


def test_a_cache_that_knows_no_sizes_is_made_anew(twins: str, tmp_path: Path, options: DataOptions) -> None:
    """As caches were before pairs: the pictures are the same, and so is where they are kept."""
    before = open_data(tmp_path / "first", options, size=SIZE)
    assert isinstance(before, Prepared) and before.sizes is not None
    index = json.loads((before.path / "index.json").read_text())
    del index["sizes"], index["checksum"]
    index["checksum"] = store._checksum(index)
    (before.path / "index.json").write_text(json.dumps(index))
    old = open_data(tmp_path / "first", options, size=SIZE)
    assert isinstance(old, Prepared) and old.sizes is None and old.path == before.path
    data = opened(twins, options)
    assert isinstance(data.source, Prepared) and data.source.path == before.path and data.source.hash == before.hash
    assert data.source.sizes is not None and data.source.sizes.tolist() == [[20, 20]] * 9


def test_too_few_pairs(tmp_path: Path, options: DataOptions, draw: Draw) -> None:
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/3.png"):
        draw(tmp_path / name)
    with pytest.raises(UserError, match="holds 1 usable pair; 2 are needed"):
        opened(f"{tmp_path}/a::{tmp_path}/b", options)


def test_a_batch_larger_than_the_data(twins: str, options: DataOptions) -> None:
    with pytest.raises(UserError, match=r"9 usable pairs, fewer than a batch of 10; use --batch 9 or less"):
        sampler(opened(twins, options), options, batch=10)
    with pytest.raises(UserError, match=r"first holds 9 usable pictures, fewer than a batch of 10"):
        sampler(opened(twins, options, "unpaired"), options, batch=10)


# Where the two sides are.


def half_and_half(path: Path, seed: int, size: tuple[int, int] = (40, 20)) -> None:
    """Red on the left and blue on the right, each of a strength of its own."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[:, : size[0] // 2, 0] = 250 - 20 * seed
    pixels[:, size[0] // 2 :, 2] = 50 + 20 * seed
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("swap", [False, True])
def test_pictures_side_by_side(tmp_path: Path, options: DataOptions, side: Any, swap: bool) -> None:
    for i in range(4):
        half_and_half(tmp_path / f"x/{i}.png", i)
    half_and_half(tmp_path / "x/odd.png", 4, (41, 20))
    half_and_half(tmp_path / "x/upright.png", 4, (20, 40))
    options = dataclasses.replace(options, side=side, swap=swap)
    data = opened(tmp_path / "x", options)
    batch = sampler(data, options).batch(0)
    red, blue = (batch["source"], batch["image"]) if (side == "left") != swap else (batch["image"], batch["source"])
    assert (red[:, 1:] == -1).all() and (blue[:, :2] == -1).all()
    # In pairs: 250 - 20 i beside 50 + 20 i, and no pixel of the other half.
    assert torch.allclose(((red[:, 0] + 1) + (blue[:, 2] + 1)) * 127.5, torch.tensor(300.0), atol=1e-3)
    assert [str(p) for p in data.skipped] == [
        "odd.png: 41x20 pixels are not two pictures side by side (an odd width)",
        "upright.png: 20x40 pixels are not two pictures side by side (higher than wide)",
    ]
    assert isinstance(data.source, Prepared) and data.source.sizes is not None
    assert data.source.sizes.tolist() == [[20, 20]] * 4


def test_halves_of_a_picture_that_its_file_turns(tmp_path: Path, options: DataOptions) -> None:
    """EXIF comes first: stored upright, 20 x 40 with blue at the top, and to be turned clockwise."""
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.zeros((40, 20, 3), np.uint8)
    pixels[:20, :, 2] = pixels[20:, :, 0] = 255
    (tmp_path / "x").mkdir()
    for i in range(2):
        Image.fromarray(pixels).save(tmp_path / f"x/{i}.png", exif=exif)
    data = opened(tmp_path / "x", dataclasses.replace(options, side="left"))
    # The top goes to the right.
    assert (data.source.images == [255, 0, 0]).all() and (data.target.images == [0, 0, 255]).all()  # type: ignore[union-attr]


@pytest.mark.parametrize("pair", [("source", "target"), ("input", "output"), ("A", "B"), ("trainA", "trainB")])
@pytest.mark.parametrize("kind", ["folder", "zip", "wrapped zip"])
def test_two_folders_in_one(tmp_path: Path, options: DataOptions, draw: Draw, pair: tuple[str, str], kind: str) -> None:
    for i in range(3):
        draw(tmp_path / f"x/{pair[0]}/in/{i}.png", seed=i, mode="L")
        draw(tmp_path / f"x/{pair[1]}/in/{i}.jpg", seed=i)
    draw(tmp_path / "x/testA/9.png", seed=9)
    spec = tmp_path / "x"
    if kind != "folder":
        spec = tmp_path / "x.zip"
        with zipfile.ZipFile(spec, "w") as archive:
            for path in sorted((tmp_path / "x").rglob("*.*")):
                archive.write(path, path.relative_to(tmp_path if kind == "wrapped zip" else tmp_path / "x"))
    for sides in ("paired", "unpaired"):
        data = opened(spec, options, sides)
        assert names(data) == [(f"in/{i}.png", f"in/{i}.jpg") for i in range(3)] and not data.skipped
        assert isinstance(data.source, Prepared)
        assert (data.source.images[..., 0] == data.source.images[..., 2]).all()  # the gray side is the source
    swapped = opened(spec, dataclasses.replace(options, swap=True))
    assert names(swapped) == [(f"in/{i}.jpg", f"in/{i}.png") for i in range(3)]


def test_two_zips_each_with_a_folder_around_everything(tmp_path: Path, options: DataOptions, draw: Draw) -> None:
    for side in ("sketches", "photos"):
        with zipfile.ZipFile(tmp_path / f"{side}.zip", "w") as archive:
            for i in range(3):
                archive.write(draw(tmp_path / f"{i}.png", seed=i), f"{side}/{i}.png")
    data = opened(f"{tmp_path}/sketches.zip::{tmp_path}/photos.zip", options)
    assert names(data) == [(f"{i}.png", f"{i}.png") for i in range(3)]


@pytest.mark.parametrize(
    "columns",
    [
        ("source_file_name", "target_file_name"),
        ("input_file_name", "output_file_name"),
        ("source_file_name", "file_name"),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_metadata(tmp_path: Path, options: DataOptions, draw: Draw, columns: tuple[str, str], kind: str) -> None:
    rows = [("s/1.png", "t/one.jpg"), ("s/2.png", "t/two.jpg"), ("s/1.png", "t/three.jpg"), ("s/4.png", "t/gone.jpg")]
    for i, (a, b) in enumerate(rows):
        draw(tmp_path / "x" / a, seed=i, mode="L")
        if "gone" not in b:
            draw(tmp_path / "x" / b, seed=i)
    draw(tmp_path / "x/unnamed.png")
    lines = [f"{a},{b}" for a, b in rows]
    text = "\n".join([",".join(columns), *lines])
    if kind == "jsonl":
        text = "\n".join(json.dumps(dict(zip(columns, row, strict=True))) for row in rows)
    (tmp_path / f"x/metadata.{kind}").write_text(text)
    for i in range(2):  # the second time from the cache
        data = opened(tmp_path / "x", options)
        assert names(data) == rows[:3], i
        place = 5 if kind == "csv" else 4
        assert [str(p) for p in data.skipped] == [
            f"t/gone.jpg: metadata.{kind} line {place} names it, but there is no such file"
        ]
    # One picture in two pairs is one picture.
    assert len(data.source) == 2 and len(data.target) == 3
    assert opened(tmp_path / "x", options, "unpaired").amount == "2 and 3 unpaired pictures"


def test_metadata_that_names_one_file_only(tmp_path: Path, options: DataOptions, draw: Draw) -> None:
    draw(tmp_path / "a.png")
    (tmp_path / "metadata.jsonl").write_text('{"source_file_name": "a.png"}\n')
    with pytest.raises(UserError, match=r"metadata\.jsonl line 1 has no target_file_name\."):
        opened(tmp_path, options)
    (tmp_path / "metadata.jsonl").write_text('{"source_file_name": "b.png", "file_name": "a.png"}\n')
    with pytest.raises(
        UserError, match=r"No row of the metadata of .* names two files that are there; b\.png: .*line 1"
    ):
        opened(tmp_path, options)


def test_sides_that_cannot_be_told(folder: Path, options: DataOptions, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"FIRST::SECOND; .*source/ and target/.*source_file_name.*--side left"):
        opened(folder, options)
    with pytest.raises(UserError, match="digits is one side only; name the other too, as in digits::OTHER"):
        opened("digits", options)
    with pytest.raises(UserError, match=r"no folder or zip file .*nowhere"):
        opened(f"{folder}::{tmp_path}/nowhere", options)
    with pytest.raises(UserError, match=r"no folder or zip file .*nowhere"):
        opened(tmp_path / "nowhere", options)
    with pytest.raises(UserError, match="not a zip"):
        opened(f"{folder}::{folder / 'a.png'}", options)


def test_options_that_would_do_nothing(folder: Path, twins: str, options: DataOptions) -> None:
    def refused(spec: str | Path, sides: str, message: str, **more: Any) -> None:
        with pytest.raises(UserError, match=message):
            open_data(spec, dataclasses.replace(options, **more), size=SIZE, sides=sides)  # type: ignore[arg-type]

    refused(twins, "paired", "--side is for pictures that lie side by side", side="left")
    refused("earth-maps", "paired", "--side is for pictures that lie side by side", side="left")
    for sides in ("paired", "unpaired"):
        refused(twins, sides, "--balance draws classes equally often, and data with two sides has none", balance=True)
    for more in ({"side": "left"}, {"swap": True}, {"halves": True}):
        refused(folder, "", "is for systems that translate pictures", **more)
    refused(twins, "", r"names two sides, where pictures of one kind are wanted")
    refused("earth-maps", "", r"earth-maps has two sides, where pictures of one kind are wanted")
    refused("mixtures2d", "", r"mixtures2d has two sides")


# What it says of itself.


def test_the_hash_is_that_of_what_is_drawn(twins: str, options: DataOptions) -> None:
    """Both sides, the pairing, the rows and which side is which; not what it is called."""
    first, second = twins.split("::")
    same = opened(f"{first}/::{second}", options)
    others = [
        opened(twins, options, "unpaired"),
        opened(twins, options, source_channels=1),
        opened(twins, dataclasses.replace(options, swap=True), channels=1, source_channels=3),
    ]
    assert opened(twins, options).hash == same.hash
    rows = [dataclasses.replace(same, source_rows=same.source_rows[::-1].copy())]
    assert len({data.hash for data in [same, *others, *rows]}) == 5


def test_it_is_described_in_json(twins: str, options: DataOptions) -> None:
    data = opened(twins, options, source_channels=1)
    values = json.loads(json.dumps(data.describe()))
    assert values["count"] == 9 and values["paired"] and values["keys"] == ["image", "source"]
    assert values["sides"]["source"]["channels"] == 1 and values["sides"]["image"]["channels"] == 3
    assert data.keys() == {"source", "image"} and data.classes == [] and data.labels is None and data.licence is None
    assert data.pictures is data.target


def test_points_have_sides_too(options: DataOptions) -> None:
    """Five modes into ten; the sides are drawn apart, and swapping exchanges them."""
    data = opened("mixtures2d", options, "unpaired", size=1, channels=2, source_channels=2)
    assert data.pictures is None and data.amount == "endless points" and data.describe()["count"] is None
    assert len(data.source.means) == 5 and len(data.target.means) == 10  # type: ignore[union-attr]
    batch = sampler(data, options, batch=4000, size=1).batch(0)
    for key, radius in (("source", 1.0), ("image", 2.0)):
        assert batch[key].shape == (4000, 2, 1, 1)
        assert abs(float(batch[key].norm(dim=1).mean()) - radius) < 0.02
    close = opened("mixtures2d:close", options, "unpaired", size=1, channels=2, source_channels=2)
    assert close.target == data.target
    for ours, theirs in ((close.source.means, data.source.means), (close.source.deviations, data.source.deviations)):
        np.testing.assert_allclose(4 * np.array(ours), theirs, atol=1e-11)  # type: ignore[union-attr]
    swapped = opened("mixtures2d", dataclasses.replace(options, swap=True), "unpaired", size=1, channels=2)
    assert swapped.source == data.target and swapped.hash != data.hash
    one = opened("normal1d::normal1d:1,2", options, "unpaired", size=1, channels=1)
    assert one.source.means == ((4.0,),) and one.target.means == ((1.0,),)  # type: ignore[union-attr]
    noise = sampler(one, options, batch=2000, size=1).batch(0)
    assert abs(np.corrcoef(noise["source"].flatten(), noise["image"].flatten())[0, 1]) < 0.1
    for spec, sides, more, message in (
        ("mixtures2d", "paired", {}, "no pairs"),
        ("mixtures2d", "unpaired", {"channels": 3}, "use --channels 2"),
        ("mixtures2d", "unpaired", {"size": 8}, "this system draws pictures"),
        ("mixtures2d:far", "unpaired", {}, "has no part 'far'"),
        ("normal1d::digits", "unpaired", {"channels": 1}, "is points and the other is not"),
    ):
        with pytest.raises(UserError, match=message):
            opened(spec, options, sides, **{"size": 1, "channels": 2, **more})
    with pytest.raises(UserError, match="--halves is for pictures"):
        opened("mixtures2d", dataclasses.replace(options, halves=True), "unpaired", size=1, channels=2)


def test_both_sides_are_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run notes of its data: paths in full, built-ins as they are."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    assert absolute("here::digits:train") == f"{tmp_path}/here::digits:train"
    assert absolute("fonts-digits::here") == f"fonts-digits::{tmp_path}/here"
    assert absolute("here") == f"{tmp_path}/here" and absolute("earth-maps:train") == "earth-maps:train"
    (tmp_path / "a::b").mkdir()
    assert absolute("a::b") == f"{tmp_path}/a::b"  # a folder that is called so


def test_unchanged_files_of_two_sides_are_not_read_again(
    tmp_path: Path, options: DataOptions, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where both sides lie in one folder, and so in one index of hashes."""
    for i in range(3):
        for side in "AB":
            path = draw(tmp_path / f"x/{side}/{i}.png", seed=i)
            os.utime(path, (1, 1))
    monkeypatch.setattr(cache, "RACY", -1e9)  # these files are new, and would be hashed again because of that
    first = opened(tmp_path / "x", options)
    monkeypatch.setattr(cache, "hash_file", lambda path: pytest.fail(f"{path} is read again"))
    assert opened(tmp_path / "x", options).hash == first.hash


def test_check(tmp_path: Path, options: DataOptions, draw: Draw) -> None:
    for i in range(4):
        draw(tmp_path / f"A/{i}.png", seed=i)
        draw(tmp_path / f"B/{i}.png", seed=i, size=(44, 30) if i == 2 else (40, 30))
    (tmp_path / "A/1.png").write_bytes(b"")
    (tmp_path / "B/3.png").unlink()
    report = check_data(f"{tmp_path}/A::{tmp_path}/B", options)
    assert isinstance(report, SidesReport) and report.pairs == 1
    assert [problem.name for problem in report.unpaired] == [
        f"{tmp_path}/A/3.png",
        f"{tmp_path}/B/1.png",
        f"{tmp_path}/A/2.png",
    ]
    assert report.source.count == 3 and report.target.sizes == {(40, 30): 2, (44, 30): 1}
    values = json.loads(json.dumps(report.to_json()))
    assert values["pairs"] == 1 and values["sides"]["source"]["skipped"][0]["name"] == "1.png"
    text = "\n".join(report.lines())
    assert text.startswith("1 pair\nin no pair (3):") and "source: " in text and "  sizes: 40x30 (2)" in text
    # Folders that may be classes are two sides when told so.
    told = check_data(tmp_path, options, sides="paired")
    assert isinstance(told, SidesReport) and told.pairs == 1
    unpaired = check_data(tmp_path, options, sides="unpaired")
    assert isinstance(unpaired, SidesReport) and unpaired.pairs is None and not unpaired.unpaired
    classes = check_data(tmp_path, options)
    assert not isinstance(classes, SidesReport) and classes.labels == {"A": 3, "B": 3}
    with pytest.raises(UserError, match="--swap is for systems that translate"):
        check_data(tmp_path, dataclasses.replace(options, swap=True))
