"""The report on a source."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganvas.data import DataOptions, check_data
from ganvas.errors import UserError

Draw = Callable[..., Path]


def test_report(tmp_path: Path, draw: Draw, options: DataOptions) -> None:
    root = tmp_path / "in"
    draw(root / "cat/a.png")
    draw(root / "cat/b.png", seed=1, size=(50, 20))
    shutil.copy(root / "cat/a.png", root / "cat/copy.png")
    Image.open(root / "cat/a.png").save(root / "dog.bmp.tmp", "BMP")
    (root / "dog").mkdir()
    (root / "dog.bmp.tmp").rename(root / "dog/same pixels.bmp")
    draw(root / "dog/gray.jpg", seed=3, mode="L")
    Image.fromarray(np.zeros((9, 9), np.uint16)).save(root / "dog/deep.png")
    draw(root / "dog/moving.gif", seed=4, save_all=True, append_images=[Image.new("RGB", (40, 30))])
    (root / "dog/broken.png").write_bytes(b"")
    (root / "readme.txt").write_text("x")
    report = check_data(root, options)
    assert report.count == 7
    assert report.sizes == {(9, 9): 1, (40, 30): 5, (50, 20): 1}
    assert report.modes == {"I;16": 1, "L": 1, "P": 1, "RGB": 4} or report.modes == {"I;16": 1, "L": 1, "RGB": 5}
    assert report.formats == {"BMP": 1, "GIF": 1, "JPEG": 1, "PNG": 4}
    assert report.labels == {"cat": 3, "dog": 4}
    assert report.same_file == [["cat/a.png", "cat/copy.png"]]
    assert report.same_pixels == [["cat/a.png", "dog/same pixels.bmp"]]
    assert [str(problem) for problem in report.skipped] == ["dog/broken.png: the file is empty"]
    assert [problem.name for problem in report.notes] == ["dog/moving.gif"]
    assert report.ignored == 1
    assert not (tmp_path / "cache").exists()

    values = json.loads(json.dumps(report.to_json()))
    assert values["count"] == 7 and values["sizes"][0] == {"width": 9, "height": 9, "count": 1}
    assert values["duplicates"]["same_file"] == [["cat/a.png", "cat/copy.png"]]
    assert values["skipped"] == [{"name": "dog/broken.png", "reason": "the file is empty"}]
    text = "\n".join(report.lines())
    assert "7 usable pictures, 1 skipped" in text and "shorter side: 9 to 30 pixels, median 30" in text
    for part in ("cat (3), dog (4)", "dog/broken.png: the file is empty", "cat/a.png = cat/copy.png"):
        assert part in text


def test_nothing_usable_is_a_report_too(tmp_path: Path, options: DataOptions) -> None:
    for i in range(50):
        (tmp_path / f"{i:02d}.png").write_bytes(b"")
    report = check_data(tmp_path, DataOptions(strict=True))
    assert report.count == 0 and len(report.skipped) == 50
    assert report.lines()[-1] == "  ... and 30 more"


def test_no_source(tmp_path: Path, options: DataOptions) -> None:
    with pytest.raises(UserError):
        check_data(tmp_path / "none", options)
