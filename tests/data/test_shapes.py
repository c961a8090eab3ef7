"""`shapes`, the pictures of easy-vqa."""

from __future__ import annotations

import importlib.util
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from ganvas.data import DataOptions, Described, Source, open_data
from ganvas.data.builtin import shapes
from ganvas.data.source import open_source
from ganvas.errors import UserError

FOUND = importlib.util.find_spec("easy_vqa")
pytestmark = pytest.mark.skipif(FOUND is None, reason="easy-vqa is not installed")


@pytest.fixture(scope="module")
def source() -> Source:
    return open_source("shapes", DataOptions())


def questions(source: Source) -> Iterator[tuple[str, str, set[str]]]:
    """Each question of the package, its answer, and the colour and shape that we say of its picture."""
    known = {item.name: set(source.classes[item.label or 0].split()) for item in source.items}
    for split in shapes.PARTS:
        assert FOUND is not None and FOUND.origin is not None
        for text, answer, number in json.loads(
            (Path(FOUND.origin).parent / f"data/{split}/questions.json").read_text()
        ):
            yield text, answer, known[f"{split}/{number}.png"]


def test_colours_and_shapes_answer_every_question(source: Source) -> None:
    """Against the 48,248 questions and answers of the package, which are not read otherwise."""
    assert len(source.items) == 5000 and len(source.classes) == 24
    words = {word for name in source.classes for word in name.split()}
    count = 0
    for text, answer, own in questions(source):
        asked = words & set(re.findall("[a-z]+", text))
        if answer in words:
            assert answer in own and asked <= own
        else:
            assert len(asked) == 1
            denied = bool({"not", "no"} & set(text.replace("?", "").split()))
            assert (asked <= own) == ((answer == "yes") != denied)
        count += 1
    assert count == 48248


def test_parts() -> None:
    """Counts, and what is left out."""
    found = {spec: open_source(f"shapes:{spec}", DataOptions()) for spec in ("train", "test", "train+test")}
    assert [len(found[spec].items) for spec in found] == [4000, 1000, 5000]
    assert not {item.name for item in found["train"].items} & {item.name for item in found["test"].items}
    without = open_source("shapes:train+not-red-circle+not Blue", DataOptions())
    names = {without.classes[item.label or 0] for item in without.items}
    assert len(names) == 24 - 1 - 3 and "red circle" not in names and not any("blue" in name for name in names)
    only = open_source("shapes:test+red-circle+blue", DataOptions())
    assert {only.classes[item.label or 0] for item in only.items} == {
        "red circle", "blue circle", "blue rectangle", "blue triangle",
    }  # fmt: skip
    assert all(item.name.startswith("test/") for item in only.items)
    # With its counterpart it makes the whole.
    both = len(open_source("shapes:test+not-red-circle+not-blue", DataOptions()).items) + len(only.items)
    assert both == 1000


@pytest.mark.parametrize(
    ("parts", "match"),
    [
        ("pink", "no part 'pink'; there are train, test, black"),
        ("not", "no part 'not'"),
        ("red+not-red", "leaves nothing"),
    ],
)
def test_no_such_part(parts: str, match: str) -> None:
    with pytest.raises(UserError, match=match):
        open_source(f"shapes:{parts}", DataOptions())


def test_captions_name_colour_and_shape(source: Source) -> None:
    for item in source.items[:50]:
        own = set(source.classes[item.label or 0].split())
        assert len(item.columns["text"]) == len(shapes.CAPTIONS) == len(set(item.columns["text"]))
        assert all(own <= set(re.findall("[a-z]+", text)) for text in item.columns["text"])


def test_boxes_hold_as_much_as_they_should(source: Source) -> None:
    """Against the area of the shape, which smooth edges do not change: rectangles fill their box to 1/20 of a pixel."""
    off: dict[str, list[float]] = {shape: [] for shape in shapes.SHAPES}
    ideal = {"circle": np.pi / 4, "rectangle": 1.0, "triangle": 0.5}
    for item in source.items[::5]:
        pixels = np.asarray(Image.open(io.BytesIO(item.read(64))).convert("RGB")).astype(float)  # type: ignore[arg-type]
        colour, shape = source.classes[item.label or 0].split()
        x, y, w, h = (64 * value for value in item.columns["bbox"])
        if min(x, y) <= 0 or max(x + w, y + h) >= 64:
            continue  # cut off by the picture
        outside = np.ones((64, 64), bool)
        outside[max(0, int(y) - 2) : int(y + h) + 3, max(0, int(x) - 2) : int(x + w) + 3] = False
        background = np.median(pixels[outside], axis=0)
        towards = np.array(shapes.COLOURS[colour]) - background
        area = ((pixels - background) @ towards / (towards @ towards)).sum()
        off[shape].append(np.sqrt(area / ideal[shape]) - np.sqrt(w * h))
    assert min(map(len, off.values())) > 200
    assert np.abs(off["rectangle"]).max() < 0.05
    assert min(off["circle"]) > 0 and max(off["circle"]) < 0.7
    assert min(off["triangle"]) > 0 and max(off["triangle"]) < 1


def test_a_rectangle_drawn_by_hand() -> None:
    """Edges in the middle of pixels, found where they were drawn, also at the border of the picture."""
    for box in ((20, 30, 60, 50), (0, 0, 33, 128), (41, 64, 128, 101)):
        large = Image.new("RGB", (128, 128), (240, 250, 230))
        ImageDraw.Draw(large).rectangle((box[0], box[1], box[2] - 1, box[3] - 1), fill=(0, 128, 128))
        label, (x, y, w, h) = shapes._seen(np.asarray(large.resize((64, 64), Image.Resampling.BILINEAR)))
        assert shapes.CLASSES[label] == "teal rectangle"
        assert np.array([x, y, x + w, y + h]) * 128 == pytest.approx(np.array(box), abs=0.05)
    with pytest.raises(ValueError, match="no shape"):
        shapes._seen(np.full((64, 64, 3), 240, np.uint8))


def test_opened(options: DataOptions) -> None:
    needs = frozenset({"image", "boxes"})
    data = open_data("shapes:test+yellow", options, size=32, needs=needs)
    assert isinstance(data, Described) and data.licence == shapes.LICENCE and not data.skipped
    assert data.classes == ["yellow circle", "yellow rectangle", "yellow triangle"]
    assert data.pictures.options["coordinates"] == "relative"


def test_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes._known.cache_clear()
    with monkeypatch.context() as context:
        context.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(UserError, match=r'pip install "ganvas\[shapes\]"'):
            open_source("shapes", DataOptions())
