"""The built-in photos: scikit-image's, and those among the backgrounds of two desktops."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganvas.data import DataOptions, Reduced, Report, check_data, open_data, open_pictures
from ganvas.data.builtin import wallpapers
from ganvas.errors import UserError

needs_skimage = pytest.mark.skipif(importlib.util.find_spec("skimage") is None, reason="scikit-image is not installed")
needs_wallpapers = pytest.mark.skipif(
    not (wallpapers.PLASMA / "Path").is_dir() or not wallpapers.MATE.is_dir(), reason="the packages are not installed"
)


@needs_skimage
def test_skimage_photos_are_those_of_scikit_image(options: DataOptions) -> None:
    """Against what its own functions load: the squares of the first corner, pixel for pixel."""
    from skimage import data as theirs

    tiled = DataOptions(cache=options.cache, fit="tiles")
    ours = open_pictures("skimage-photos", tiled, size=256)
    there = dict(zip(ours.names, ours.images, strict=True))
    photos = {name: getattr(theirs, name)() for name in ("astronaut", "chelsea", "coffee", "rocket")}
    photos["motorcycle"] = theirs.stereo_motorcycle()[0]
    for name, photo in photos.items():
        assert np.array_equal(there[f"{name}@0,0"], photo[:256, :256])
    assert {name.partition("@")[0] for name in there} == set(photos) and len(there) == 4 + 4 + 6 + 6 + 6
    assert ours.licence is not None and all(name in ours.licence for name in ("NASA", "CC0", "Middlebury", "SpaceX"))


@needs_skimage
def test_parts_of_skimage_photos(options: DataOptions) -> None:
    report = check_data("skimage-photos:coffee+Astronaut", options)
    assert isinstance(report, Report)
    assert report.source == "skimage-photos:astronaut+coffee"
    assert report.sizes == {(512, 512): 1, (600, 400): 1}
    assert report.licence is not None and "SpaceX" not in report.licence
    with pytest.raises(UserError, match="skimage-photos has no picture 'lena'; there are astronaut, chelsea, coffee"):
        check_data("skimage-photos:lena", options)


@needs_skimage
def test_scikit_image_is_not_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from ganvas.data import DataOptions, open_pictures; from pathlib import Path; "
        f"open_pictures('skimage-photos', DataOptions(cache=Path({str(tmp_path)!r})), size=16); "
        "print([name for name in sys.modules if name.startswith('skimage')])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_missing_photos_are_one_line(options: DataOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r'missing: pip install "ganvas\[photos\]"$'):
        open_pictures("skimage-photos", options, size=16)
    monkeypatch.setattr(wallpapers, "PLASMA", tmp_path / "nothing")
    with pytest.raises(UserError, match=r"missing: apt install plasma-workspace-wallpapers mate-backgrounds$"):
        open_pictures("wallpapers", options, size=16)


def test_wallpapers_are_taken_at_their_largest(
    options: DataOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file whose name says the most pixels; what a version of the packages lacks is named."""
    images = tmp_path / "plasma/Path/contents/images"
    images.mkdir(parents=True)
    for width, height in ((90, 1600), (256, 160), (1000, 20)):
        Image.new("RGB", (width, height)).save(images / f"{width}x{height}.jpg")
    (tmp_path / "mate").mkdir()
    Image.new("RGB", (48, 32), "red").save(tmp_path / "mate/Dune.jpg")
    monkeypatch.setattr(wallpapers, "PLASMA", tmp_path / "plasma")
    monkeypatch.setattr(wallpapers, "MATE", tmp_path / "mate")
    report = check_data("wallpapers:path+dune+grey", options)
    assert isinstance(report, Report)
    assert report.source == "wallpapers:Grey+Path+Dune" and report.sizes == {(48, 32): 1, (90, 1600): 1}
    assert [str(problem) for problem in report.skipped] == ["Grey: not in this version of the packages"]
    assert report.licence is not None and "Marco Cogoni" in report.licence and "Sagi" not in report.licence


@needs_wallpapers
def test_wallpapers_of_bookworm(options: DataOptions) -> None:
    """23 photographs, by the sizes that Pillow finds; a batch of squares with their small versions."""
    report = check_data("wallpapers", options)
    assert isinstance(report, Report)
    assert report.count == 23 and not report.skipped and not report.same_pixels
    assert min(min(size) for size in report.sizes) == 1024 and report.sizes[2560, 1600] == 16
    assert report.licence is not None and "GPL-2" in report.licence
    tiled = DataOptions(cache=options.cache, fit="tiles", load_size=256)
    data = open_data("wallpapers:Dune+GreenMeadow", tiled, size=96, sides="paired", scale=4)
    assert isinstance(data, Reduced) and data.amount == "55 squares of 2 pictures"
    batch = data.sampler(batch=4, seed=0, options=tiled, device="cpu", size=96).batch(0)
    assert batch["source"].shape == (4, 3, 24, 24) and batch["image"].shape == (4, 3, 96, 96)
