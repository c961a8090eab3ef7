"""Folders of every kind, good and bad: what is used, what is skipped and named, what is refused."""

from __future__ import annotations

import builtins
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganvas.data import DataOptions, Prepared, check_data, open_data, prepare_data
from ganvas.errors import UserError

Draw = Callable[..., Path]


def reasons(data: Prepared) -> dict[str, str]:
    return {problem.name: problem.reason for problem in data.skipped}


def test_loose_pictures(folder: Path, options: DataOptions) -> None:
    data = open_data(folder, options, size=16)
    assert len(data) == 3 and data.names == ["a.png", "b.png", "c.jpg"]
    assert isinstance(data.images, np.memmap) and data.images.shape == (3, 16, 16, 3)
    assert data.images.dtype == np.uint8 and not data.images.flags.writeable
    assert data.labels is None and data.classes == [] and data.skipped == []
    assert data.keys() == {"image"}
    square = Image.open(folder / "b.png").crop((5, 0, 35, 30)).resize((16, 16), Image.Resampling.LANCZOS)
    assert (data.images[1] == np.asarray(square)).all()


def test_class_folders(tmp_path: Path, draw: Draw, options: DataOptions) -> None:
    for i, name in enumerate(["dog/1.png", "cat/x/1.png", "cat/2.png", "ant/1.png"]):
        draw(tmp_path / "in" / name, seed=i)
    data = open_data(tmp_path / "in", options, size=8)
    assert data.classes == ["ant", "cat", "dog"] and data.keys() == {"image", "label"}
    assert data.labels is not None and data.labels.dtype == np.int64
    assert dict(zip(data.names, data.labels.tolist(), strict=True)) == {
        "ant/1.png": 0,
        "cat/2.png": 1,
        "cat/x/1.png": 1,
        "dog/1.png": 2,
    }


def test_a_class_without_a_usable_picture_is_no_class(tmp_path: Path, draw: Draw, options: DataOptions) -> None:
    draw(tmp_path / "in/b/1.png"), draw(tmp_path / "in/c/1.png", seed=1)
    (tmp_path / "in/a").mkdir()
    (tmp_path / "in/a/broken.png").write_bytes(b"no")
    data = open_data(tmp_path / "in", options, size=8)
    assert data.classes == ["b", "c"] and data.labels is not None and data.labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["x/1.png", "y/2.png", "3.png", "z.png"], "3.png lies in no class folder"),
        (["x/1.png", "x/2.png"], "all pictures lie in one folder, x"),
        (["1.png", "2.png"], ""),
    ],
)
def test_no_labels_where_folders_are_no_classes(
    tmp_path: Path, draw: Draw, options: DataOptions, names: list[str], why: str
) -> None:
    """The reason is there as prepared, from the cache, and in a folder of one's own."""
    for i, name in enumerate(names):
        draw(tmp_path / "in" / name, seed=i)
    for _ in range(2):
        data = open_data(tmp_path / "in", options, size=8)
        assert data.labels is None and data.unlabelled == why
    prepare_data(tmp_path / "in", tmp_path / "out", options, size=16)
    assert open_data(tmp_path / "out", options, size=8).unlabelled == why
    report = check_data(tmp_path / "in", options)
    assert report.to_json()["unlabelled"] == why
    assert ("labels: none" + (f", because {why}" if why else "")) in report.lines()
    with pytest.raises(UserError, match=re.escape(f"has no labels ({why})" if why else "has no labels;")):
        data.sampler(batch=2, seed=0, options=DataOptions(balance=True), device="cpu", size=8)


def test_splits_are_not_classes(tmp_path: Path, draw: Draw, options: DataOptions) -> None:
    draw(tmp_path / "in/train/1.png"), draw(tmp_path / "in/test/1.png")
    with pytest.raises(UserError, match=r"splits \(test, train\)"):
        open_data(tmp_path / "in", options, size=8)


def truncated(path: Path, draw: Draw) -> None:
    draw(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


BROKEN = {
    "truncated png": ("x.png", truncated, "truncated|damaged"),
    "truncated jpg": ("x.jpg", truncated, "truncated"),
    "truncated gif": ("x.gif", truncated, "truncated|damaged"),
    "truncated webp": ("x.webp", truncated, "damaged"),
    "zero-byte": ("x.png", lambda path, draw: path.write_bytes(b""), "empty"),
    "text": ("x.jpg", lambda path, draw: path.write_text("hello"), "not a picture"),
    "1x1": ("x.png", lambda path, draw: draw(path, size=(1, 1)), "1x1 pixels"),
    "narrow": ("x.png", lambda path, draw: draw(path, size=(900, 3)), "900x3 pixels"),
    "bomb": ("x.png", lambda path, draw: Image.new("1", (10_000, 10_000)).save(path), "100,000,000 pixels"),
    "huge bomb": ("x.png", lambda path, draw: Image.new("1", (20_000, 10_000)).save(path), "limit"),
    "large file": ("x.png", lambda path, draw: path.write_bytes(bytes(300_000)), "max_bytes"),
    "unknown": ("x.heic", lambda path, draw: path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(99)), "not a picture"),
    "link to itself": ("x.png", lambda path, draw: path.symlink_to("x.png"), "leads nowhere"),
    "link to nothing": ("x.png", lambda path, draw: path.symlink_to("gone.png"), "leads nowhere"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_is_skipped_and_named_or_refused(
    folder: Path, draw: Draw, options: DataOptions, kind: str, recwarn: pytest.WarningsRecorder
) -> None:
    name, make, reason = BROKEN[kind]
    make(folder / name, draw)
    options = DataOptions(cache=options.cache, max_bytes=200_000)
    data = open_data(folder, options, size=16)
    assert len(data) == 3
    assert list(reasons(data)) == [name]
    assert re.search(reason, reasons(data)[name]) and "\n" not in reasons(data)[name]
    assert data.describe()["skipped"] == 1
    # The same from the cache, and refused, from it and without it.
    assert open_data(folder, options, size=16).skipped == data.skipped
    for cache in (options.cache, folder.parent / "other"):
        with pytest.raises(UserError, match=re.escape(name)) as refused:
            open_data(folder, DataOptions(cache=cache, max_bytes=200_000, strict=True), size=16)
        assert "\n" not in str(refused.value)
    assert not recwarn.list


@pytest.mark.parametrize("kind", ["CMYK", "I;16", "P", "RGBA", "LA", "1", "L", "gif", "rotated", "misnamed", "none"])
def test_unusual_is_used(folder: Path, draw: Draw, options: DataOptions, kind: str) -> None:
    names = {"CMYK": "x.jpg", "gif": "x.gif", "misnamed": "x.bmp", "none": "x"}
    path = folder / names.get(kind, "x.png")
    if kind == "I;16":
        Image.fromarray(np.arange(1200, dtype=np.uint16).reshape(30, 40) * 50).save(path)
    elif kind == "gif":
        draw(path, save_all=True, append_images=[Image.new("RGB", (40, 30))])
    elif kind == "rotated":
        exif = Image.Exif()
        exif[0x0112] = 6
        draw(path, exif=exif)
    elif kind in ("misnamed", "none"):
        draw(path, format="PNG")
    else:
        draw(path, mode=kind)
    data = open_data(folder, options, size=16)
    assert len(data) == 4 and not data.skipped
    assert [note.name for note in data.notes] == (["x.gif"] if kind == "gif" else [])
    assert data.images[data.names.index(path.name)].std() > 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(folder: Path, options: DataOptions) -> None:
    (folder / "b.png").chmod(0)
    assert reasons(open_data(folder, options, size=8)) == {"b.png": "no permission to read it"}


def test_no_permission_simulated(folder: Path, options: DataOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Path.open

    def refuse(self: Path, *args: Any, **kwargs: Any) -> Any:
        if self.name == "b.png":
            raise PermissionError(13, "Permission denied")
        return original(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refuse)
    assert reasons(open_data(folder, options, size=8)) == {"b.png": "no permission to read it"}
    monkeypatch.undo()
    # Once it can be read, what was remembered without it is not used.
    assert len(open_data(folder, options, size=8)) == 3


def test_folder_without_permission_simulated(
    folder: Path, draw: Draw, options: DataOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(folder / "sub/d.png")
    original = os.scandir

    def refuse(path: Any) -> Any:
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied")
        return original(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert reasons(open_data(folder, options, size=8)) == {"sub": "cannot be opened (Permission denied)"}


def test_links_that_lead_back(folder: Path, draw: Draw, options: DataOptions) -> None:
    """Every folder is read once, under its own name; a link to elsewhere is followed."""
    draw(folder / "z/d.png", seed=7)
    (folder / "z/loop").symlink_to(folder)
    (folder / "again").symlink_to(folder / "z")
    draw(folder.parent / "elsewhere/e.png", seed=8)
    (folder / "outside").symlink_to(folder.parent / "elsewhere")
    data = open_data(folder, options, size=8)
    assert data.names == ["a.png", "b.png", "c.jpg", "outside/e.png", "z/d.png"]
    assert reasons(data) == {
        "again": "a link to a folder already read (z)",
        "z/loop": "a link to a folder already read (the folder itself)",
    }


@pytest.mark.parametrize("name", ["mit Leerzeichen.png", "grüße.png", "写真 🎨.png", "quo'te\".png", "a;b&c$d.png"])
def test_names(folder: Path, draw: Draw, options: DataOptions, name: str) -> None:
    draw(folder / name, seed=9)
    data = open_data(folder, options, size=8)
    assert name in data.names and len(data) == 4


def test_names_that_no_line_can_show(folder: Path, draw: Draw, options: DataOptions) -> None:
    shutil.copy(folder / "a.png", os.fsencode(folder) + b"/\xff\xfe.png")
    (folder / "two\nlines.png").write_bytes(b"")
    data = open_data(folder, options, size=8)
    assert r"\xff\xfe.png" in data.names
    assert list(reasons(data)) == [r"two\nlines.png"]
    assert open_data(folder, options, size=8).names == data.names


def test_what_systems_leave_behind_is_ignored(folder: Path, options: DataOptions) -> None:
    for name in [".DS_Store", "._a.png", "Thumbs.db", "desktop.ini", "__MACOSX/._a.png", ".git/x.png", "notes.txt"]:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"\x89PNG junk")
    data = open_data(folder, DataOptions(cache=options.cache, strict=True), size=8)
    assert len(data) == 3 and not data.skipped


def test_refusals(tmp_path: Path, draw: Draw, options: DataOptions) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no pictures"):
        open_data(tmp_path / "empty", options, size=8)
    (tmp_path / "text").mkdir()
    (tmp_path / "text/readme.txt").write_text("x")
    with pytest.raises(UserError, match="holds no pictures"):
        open_data(str(tmp_path / "text"), options, size=8)
    with pytest.raises(
        UserError, match=r"no folder or zip file .*built in are digits, .*, skimage-photos and wallpapers"
    ):
        open_data("openmojis", options, size=8)
    with pytest.raises(UserError, match="no folder"):
        open_data(Path("openmoji"), options, size=8)  # a Path is never a built-in
    draw(tmp_path / "one/a.png")
    with pytest.raises(UserError, match="1 usable picture; at least 2"):
        open_data(tmp_path / "one", options, size=8)
    (tmp_path / "one/b.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"1 usable picture; .*1 skipped, first b.png: the file is empty"):
        open_data(tmp_path / "one", options, size=8)
    with pytest.raises(UserError, match="not a zip"):
        open_data(tmp_path / "one/a.png", options, size=8)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(UserError, match="loop"):
        open_data(tmp_path / "loop", options, size=8)
    with pytest.raises(UserError, match="Cannot open"):
        open_data("x" * 5000, options, size=8)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"size": 0}, "size is 0"),
        ({"size": 1}, "1 pixel hold nothing to learn.*points such as normal1d"),
        ({"size": 8, "channels": 4}, "4 channels"),
    ],
)
def test_impossible_wishes(folder: Path, options: DataOptions, more: dict[str, int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        open_data(folder, options, **more)


def test_load_size(folder: Path, options: DataOptions) -> None:
    assert open_data(folder, DataOptions(cache=options.cache, load_size=20), size=16).images.shape == (3, 20, 20, 3)
    with pytest.raises(UserError, match="smaller"):
        open_data(folder, DataOptions(cache=options.cache, load_size=8), size=16)


def test_nothing_outside_the_cache_is_written(
    folder: Path, options: DataOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.parent.rglob("*")}
    original = builtins.open
    written = []

    def watch(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if any(letter in mode for letter in "wxa+"):
            written.append(str(file))
        return original(file, mode, *args, **kwargs)

    monkeypatch.setattr(builtins, "open", watch)
    open_data(folder, options, size=8)
    assert all(name.startswith(str(options.cache)) for name in written)
    after = {
        path: path.stat().st_mtime_ns for path in folder.parent.rglob("*") if options.cache not in [path, *path.parents]
    }
    assert after == before
