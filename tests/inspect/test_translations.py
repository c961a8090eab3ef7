"""The sheet of translations: what it shows of each kind of system, and what it says where there is nothing to show."""

import json

import numpy as np
import pytest
from PIL import Image

import ganvas
from ganvas.inspect import inspect


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    for i in range(8):
        Image.fromarray(generator.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    return folder


def pages_of(run):
    pages = {page.title: page for page in inspect(run, n=4)}
    assert json.loads((run.path / "inspect" / "inspect.json").read_text())["pages"]
    return pages


@pytest.mark.parametrize(("name", "rows"), [("pix2pix", 5), ("discogan", 4), ("simgan", 3)])
def test_rows_are_source_translation_truth_and_maps(name, rows, pictures, tmp_path, monkeypatch):
    """By hand: pix2pix input, output, map, truth, map; discogan two rows each way; simgan input, output, map."""
    drawn = []
    from ganvas.inspect import translations

    monkeypatch.setattr(translations, "draw_sheet", lambda path, title, rows, *rest, **more: drawn.append(rows))
    run = ganvas.train(name, "smoke", data=f"{pictures}::{pictures}", out=tmp_path / "run", steps=1, device="cpu")
    pages = pages_of(run)
    assert len(drawn[0]) == rows and pages["Translations"].file == "translations.png"
    maps = [row.cells for row in drawn[0] if row.cells.ndim == 3]
    assert all(cells.shape[1:] == (32, 32) and 0 <= cells.min() <= cells.max() <= 1 for cells in maps)
    assert "translates pictures" in pages["Samples through training"].note
    assert "translates pictures" in pages["Real, generated and CutMix pictures"].note
    if name == "pix2pix":
        assert not (drawn[0][0].cells == drawn[0][1].cells).all()
        np.testing.assert_array_equal(drawn[0][0].cells, drawn[0][3].cells)  # here both sides are the same pictures


def test_the_sheet_is_written_and_other_runs_say_why_they_have_none(pictures, tmp_path):
    run = ganvas.train("pix2pix", "smoke", data=f"{pictures}::{pictures}", out=tmp_path / "a", steps=1, device="cpu")
    pages_of(run)
    assert Image.open(run.path / "inspect" / "translations.png").size[0] > 600
    run = ganvas.train("dcgan", "smoke", data=pictures, out=tmp_path / "b", steps=1, device="cpu")
    assert "translates none" in pages_of(run)["Translations"].note
