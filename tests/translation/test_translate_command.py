"""`ganvas translate` as a user meets it: what is written, skipped, refused and said, and in what order."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sided_pictures import MakeRun, picture

import ganvas
from ganvas import cli
from ganvas.errors import UserError
from ganvas.translation import files, work

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four good pictures and a broken one, the third."""
    for number, name in enumerate(["a.png", "b.jpg", "d/d.png", "e.png"]):
        picture(tmp_path / "in" / name, 20, 16, seed=number)
    (tmp_path / "in" / "c.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    return tmp_path / "in"


def said(words: list[Any], capsys: Captured) -> str:
    """The one line of a command that fails."""
    assert cli.run(["translate", *map(str, words)]) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.count("\n") == 1 and error.startswith("ganvas: ")
    return error.removeprefix("ganvas: ").rstrip("\n")


def test_a_folder_with_a_broken_file(make_run: MakeRun, folder: Path, tmp_path: Path, capsys: Captured) -> None:
    run, out = make_run(rule="seed"), tmp_path / "out"
    assert cli.run(["translate", str(run.path), str(folder), str(out), "--seed", "10"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{out}: 4 pictures AtoB in ") and lines[0].endswith(" megapixels/s")
    assert lines[1:] == ["skipped (1):", "  c.png: not a picture in a format that Pillow reads"]
    # Picture i of the folder has seed 10 + i, the broken one among them: (1 + seed / 100) * 127.5.
    seeds = {"a.png": 10, "b.png": 11, "d/d.png": 13, "e.png": 14}
    for name, seed in seeds.items():
        assert abs(np.asarray(Image.open(out / name)).astype(float) - (1 + seed / 100) * 127.5).max() <= 0.5
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*.*")) == sorted(seeds)


def test_json_is_one_object(make_run: MakeRun, folder: Path, tmp_path: Path, capsys: Captured) -> None:
    words = ["translate", make_run().path, folder, tmp_path / "out", "--json"]
    assert cli.run(list(map(str, words))) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["pictures"] == 4 and found["direction"] == "AtoB"
    assert found["skipped"] == [{"name": "c.png", "reason": "not a picture in a format that Pillow reads"}]
    assert found["megapixels"] == pytest.approx(4 * 20 * 16 / 1e6)
    assert found["megapixels_per_second"] == pytest.approx(found["megapixels"] / found["seconds"], abs=2e-3)


def test_pictures_of_one_size_pass_through_together(make_run: MakeRun, tmp_path: Path) -> None:
    for number, width in enumerate([20, 20, 20, 24, 24, 20]):
        picture(tmp_path / "in" / f"{number}.png", width, 16, seed=number)
    for batch, sizes in ((None, [(3, 20), (2, 24), (1, 20)]), (2, [(2, 20), (1, 20), (2, 24), (1, 20)])):
        run = ganvas.Run(make_run(rule="seed").path, "cpu")
        ganvas.translate(run, tmp_path / "in", tmp_path / "out", batch=batch, force=True)
        assert [(shape[0], shape[3]) for shape in run.system.shapes] == sizes
        for number in range(6):
            found = np.asarray(Image.open(tmp_path / "out" / f"{number}.png")).astype(float)
            assert abs(found - (1 + number / 100) * 127.5).max() <= 0.5


def test_directions(make_run: MakeRun, tmp_path: Path, capsys: Captured) -> None:
    path, run = picture(tmp_path / "in.png", 20, 16), make_run(both=True)
    for number, text in enumerate(["B->A", "btoa", "b-a"]):
        out = tmp_path / f"{number}.png"
        assert cli.run(["translate", str(run.path), str(path), str(out), "--direction", text]) == 0
        np.testing.assert_array_equal(np.asarray(Image.open(out)), 255 - np.asarray(Image.open(path)))
    capsys.readouterr()
    words = [make_run().path, path, tmp_path / "x.png", "--direction", "BtoA"]
    assert said(words, capsys) == "this run has learnt AtoB alone, not BtoA"
    assert 'quotes in a shell: "A->B"' in said([run.path, path, tmp_path / "x.png", "--direction", "A-"], capsys)


def test_nothing_is_overwritten(make_run: MakeRun, folder: Path, tmp_path: Path, capsys: Captured) -> None:
    run, out = make_run(), tmp_path / "out"
    mine = picture(out / "d" / "d.png", 9, 9)
    before = mine.read_bytes()
    system = ganvas.Run(run.path, "cpu")
    with pytest.raises(UserError, match=r"out/d/d\.png is there already: give --continue to leave it, --force"):
        ganvas.translate(system, folder, out)
    assert system.system.shapes == []  # before anything is computed
    assert [path.name for path in out.rglob("*.*")] == ["d.png"] and mine.read_bytes() == before
    assert cli.run(["translate", str(run.path), str(folder), str(out), "--force"]) == 0
    assert mine.read_bytes() != before
    capsys.readouterr()
    path = picture(tmp_path / "one.png", 20, 16)
    assert "one.png is what is read itself" in said([run.path, path, path, "--force"], capsys)
    other = picture(tmp_path / "two.png", 9, 9)
    assert "two.png is there already: give --force to overwrite" in said([run.path, path, other], capsys)
    assert "give one of the two" in said([run.path, path, other, "--force", "--continue"], capsys)


def test_an_interrupted_folder_goes_on(
    make_run: MakeRun, folder: Path, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "metadata.jsonl").write_text(
        "".join(json.dumps({"file_name": name, "text": name}) + "\n" for name in ["a.png", "b.jpg", "d/d.png", "e.png"])
    )
    run, out, plain = make_run(rule="seed"), tmp_path / "out", work.write_atomically

    def full(path: Path, data: bytes) -> None:
        if path.name == "d.png":
            raise OSError(errno.ENOSPC, "No space left on device")
        plain(path, data)

    monkeypatch.setattr(work, "write_atomically", full)
    message = said([run.path, folder, out], capsys)
    assert message == (
        f"cannot write {out / 'd' / 'd.png'}: No space left on device; --continue goes on with the pictures that are "
        "missing"
    )
    assert not (out / "d" / "d.png").exists() and (out / "a.png").exists()
    monkeypatch.setattr(work, "write_atomically", plain)
    there = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    found = ganvas.translate(run, folder, out, go_on=True)
    assert found.there == len(there) and found.pictures == 4 - len(there)
    assert all(path.stat().st_mtime_ns == time for path, time in there.items())
    # The same seeds as in one go, and rows for all of them.
    for name, number in {"a.png": 0, "b.png": 1, "d/d.png": 2, "e.png": 3}.items():
        assert abs(np.asarray(Image.open(out / name)).astype(float) - (1 + number / 100) * 127.5).max() <= 0.5
    rows = [json.loads(line) for line in (out / "metadata.jsonl").read_text().splitlines()]
    assert [row["file_name"] for row in rows] == ["a.png", "b.png", "d/d.png", "e.png"]
    assert ganvas.translate(run, folder, out, go_on=True).pictures == 0


def test_outputs_that_cannot_be_written(
    make_run: MakeRun, folder: Path, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, path = make_run(), folder / "a.png"
    (tmp_path / "file").write_text("x")
    assert "file is a file, and several pictures are written to a folder" in said(
        [run.path, folder, tmp_path / "file"], capsys
    )
    assert "cannot write to" in said([run.path, folder, tmp_path / "file" / "below"], capsys)
    assert "cannot write to" in said([run.path, path, tmp_path / "file" / "x.png"], capsys)
    assert "is a folder, and one picture is written to one file" in said([run.path, path, folder.parent], capsys)
    for name in ("x.bmp", "x", "x.gif"):
        assert f"{name} says no format for pictures of 3 channels: end it in .png, .jpg" in said(
            [run.path, path, tmp_path / name], capsys
        )
    assert "x.png is not the name of a jpg file" in said([run.path, path, tmp_path / "x.png", "--format=jpg"], capsys)
    assert "in/out is inside of what is read" in said([run.path, folder, folder / "out"], capsys)
    assert "in is what is read itself" in said([run.path, folder, folder], capsys)

    def read_only(**place: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(files.tempfile, "TemporaryFile", read_only)
    system = ganvas.Run(run.path, "cpu")
    with pytest.raises(UserError, match=f"cannot write to {tmp_path / 'out'}: Permission denied"):
        ganvas.translate(system, folder, tmp_path / "out")
    assert system.system.shapes == []


def test_inputs_that_cannot_be_read(make_run: MakeRun, folder: Path, tmp_path: Path, capsys: Captured) -> None:
    run, out = make_run(), tmp_path / "out"
    assert "there is no picture, folder or zip" in said([run.path, tmp_path / "nowhere", out], capsys)
    assert "built in are digits" in said([run.path, "digitz", out], capsys)
    message = said([run.path, folder / "c.png", tmp_path / "x.png"], capsys)
    assert message == f"cannot translate {folder / 'c.png'}: not a picture in a format that Pillow reads"
    assert not (tmp_path / "x.png").exists()
    (tmp_path / "all").mkdir()
    for name in ("1.png", "2.png"):
        (tmp_path / "all" / name).write_bytes(b"broken")
    message = said([run.path, tmp_path / "all", out], capsys)
    assert "none of the 2 pictures can be used; the first: 1.png: not a picture" in message
    message = said([run.path, folder, tmp_path / "strict", "--strict"], capsys)
    assert "because of strict: c.png: not a picture" in message
    (tmp_path / "empty").mkdir()
    assert "holds no pictures" in said([run.path, tmp_path / "empty", out], capsys)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--tile", "8"], "--tile 8 is too small: this network takes multiples of 16 pixels"),
        (["--tile", "64", "--overlap", "40"], "--overlap 40 does not fit into tiles of 64 pixels"),
        (["--batch", "0"], "--batch 0"),
        (["--quality", "101"], "the quality (101) 1 to 100"),
        (["--seed", "-1"], "the seed (-1) is 0 or more"),
        (["--size", "0"], "the size (0) 1 pixel or more"),
        (["--checkpoint", "7"], "7"),
        (["--format", "gif"], "invalid choice 'gif' for argument '--format'"),
    ],
)
def test_settings_that_cannot_be(
    flags: list[str], expected: str, make_run: MakeRun, folder: Path, tmp_path: Path, capsys: Captured
) -> None:
    assert expected in said([make_run(multiple=16).path, folder, tmp_path / "out", *flags], capsys)
    assert not (tmp_path / "out").exists()


def test_runs_that_do_not_translate(make_run: MakeRun, folder: Path, tmp_path: Path, capsys: Captured) -> None:
    assert "nowhere is not a run" in said(["nowhere", folder, tmp_path / "out"], capsys)
    run = ganvas.train("gan", "density1d", data="normal1d", out=tmp_path / "gan", steps=1, device="cpu")
    capsys.readouterr()
    message = said([run.path, folder, tmp_path / "out"], capsys)
    assert "is a run of gan, which draws pictures and translates none: `ganvas sample" in message
    assert "diverged" in said([make_run(rule="nothing").path, folder, tmp_path / "out"], capsys)


def test_large_pictures_go_through_in_tiles(make_run: MakeRun, tmp_path: Path, capsys: Captured) -> None:
    run = ganvas.Run(make_run(multiple=8).path, "cpu")
    path = picture(tmp_path / "in.png", 150, 70)
    done: list[tuple[str, int, int]] = []
    ganvas.translate(run, path, tmp_path / "out.png", tile=64, overlap=8, batch=1, progress=lambda *of: done.append(of))
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out.png")), np.asarray(Image.open(path)))
    assert {shape[2:] for shape in run.system.shapes} == {(64, 64)}
    assert done == [("translating", number, 6) for number in range(1, 7)]
    run.system.shapes.clear()
    ganvas.translate(run, path, tmp_path / "out.png", tile=0, force=True)
    assert run.system.shapes == [(1, 3, 72, 152)]
