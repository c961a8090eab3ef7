"""Zips, good and hostile."""

from __future__ import annotations

import json
import stat
import zipfile
from pathlib import Path

import pytest

from ganvas.data import DataOptions, open_data
from ganvas.errors import UserError


def test_loose_and_wrapped(folder: Path, options: DataOptions) -> None:
    """The same pixels as from the folder, also inside one outer folder."""
    expected = open_data(folder, options, size=16)
    for prefix in ("", "photos/"):
        path = folder.parent / f"{len(prefix)}.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in folder.iterdir():
                archive.write(file, prefix + file.name)
            archive.writestr("__MACOSX/._a.png", b"junk")
            archive.writestr(f"{prefix}.DS_Store", b"junk")
        data = open_data(path, options, size=16)
        assert data.hash == expected.hash and not data.skipped


def test_classes_inside_an_outer_folder(folder: Path, options: DataOptions) -> None:
    path = folder.parent / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(folder / "a.png", "outer/cat/1.png")
        archive.write(folder / "b.png", "outer/dog/1.png")
    assert open_data(path, options, size=8).classes == ["cat", "dog"]


def test_metadata(folder: Path, options: DataOptions) -> None:
    path = folder.parent / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("a.png", "b.png"):
            archive.write(folder / name, f"outer/{name}")
        rows = [{"file_name": "a.png", "label": "q"}, {"file_name": "b.png", "label": "p"}]
        archive.writestr("outer/metadata.jsonl", "\n".join(map(json.dumps, rows)))
    data = open_data(path, options, size=8)
    assert data.classes == ["p", "q"] and data.labels is not None and data.labels.tolist() == [1, 0]


def test_hostile_members_are_named_and_nothing_is_unpacked(folder: Path, options: DataOptions) -> None:
    path = folder.parent / "x.zip"
    good = (folder / "a.png").read_bytes()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", good)
        archive.write(folder / "b.png", "b.png")
        for name in ("../evil.png", "/etc/evil.png", "x/../../evil.png", "C:\\evil.png"):
            archive.writestr(name, good)
        link = zipfile.ZipInfo("link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("large.png", bytes(10**6))
    before = sorted(folder.parent.rglob("*"))
    data = open_data(path, DataOptions(cache=options.cache, max_bytes=10**5), size=8)
    assert data.names == ["a.png", "b.png"]
    assert {str(p) for p in data.skipped} == {
        "../evil.png: its name leads outside the zip",
        "/etc/evil.png: its name leads outside the zip",
        "x/../../evil.png: its name leads outside the zip",
        r"C:\evil.png: its name leads outside the zip",
        "link.png: a link, which is not followed in a zip",
        "large.png: 1,000,000 bytes unpacked, more than max_bytes (100,000)",
    }
    assert sorted(p for p in folder.parent.rglob("*") if options.cache not in [p, *p.parents]) == before


def test_damaged_member(folder: Path, options: DataOptions) -> None:
    path = folder.parent / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("a.png", "b.png", "c.jpg"):
            archive.write(folder / name, name)
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        content[archive.getinfo("b.png").header_offset + 200] ^= 0xFF
    path.write_bytes(content)
    data = open_data(path, options, size=8)
    assert data.names == ["a.png", "c.jpg"]
    assert [(p.name, "CRC" in p.reason) for p in data.skipped] == [("b.png", True)]


def test_member_that_unpacks_to_more_than_it_says(folder: Path, options: DataOptions) -> None:
    path = folder.parent / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(folder / "a.png", "a.png")
        archive.write(folder / "c.jpg", "c.jpg")
        archive.writestr("bomb.png", bytes(5 * 10**6))
    # In the local header and in the directory: "100 bytes unpacked".
    path.write_bytes(path.read_bytes().replace((5 * 10**6).to_bytes(4, "little"), (100).to_bytes(4, "little")))
    data = open_data(path, options, size=8)
    assert len(data) == 2 and [p.name for p in data.skipped] == ["bomb.png"]


def test_encrypted_member(folder: Path, options: DataOptions) -> None:
    path = folder.parent / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("a.png", "b.png", "c.jpg"):
            archive.write(folder / name, name)
    content = bytearray(path.read_bytes())
    place = content.rindex(b"PK\x01\x02")  # the last member's directory entry
    content[place + 8] |= 1
    path.write_bytes(content)
    assert [str(p) for p in open_data(path, options, size=8).skipped] == ["c.jpg: encrypted"]


def test_refusals(tmp_path: Path, options: DataOptions) -> None:
    with zipfile.ZipFile(tmp_path / "text.zip", "w") as archive:
        archive.writestr("readme.txt", "x")
    with pytest.raises(UserError, match="holds no pictures"):
        open_data(tmp_path / "text.zip", options, size=8)
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("../evil.png", "x")
    with pytest.raises(UserError, match=r"holds no pictures; \.\./evil.png: its name leads outside"):
        open_data(tmp_path / "evil.zip", options, size=8)
    content = (tmp_path / "text.zip").read_bytes()
    for name, damaged in (("cut.zip", content[:-30]), ("zero.zip", b""), ("text", b"no zip at all")):
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(UserError, match="not a zip file that can be read"):
            open_data(tmp_path / name, options, size=8)
