"""The cache: keyed by content, whole or not there, shared by processes; and folders that `prepare_data` writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganvas.data import DataOptions, open_data, prepare_data, store
from ganvas.data.options import cache_folder
from ganvas.data.parallel import in_order
from ganvas.errors import UserError

Draw = Callable[..., Path]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one for every picture that is decoded."""
    from ganvas.data import prepare

    counted: list[int] = []
    original = prepare.to_square

    def count(*args: Any) -> Any:
        counted.append(1)
        return original(*args)

    monkeypatch.setattr(prepare, "to_square", count)
    return counted


def entries(options: DataOptions) -> list[str]:
    return sorted(path.name for path in (cache_folder(options) / "prepared").iterdir() if path.is_dir())


def test_the_second_time_nothing_is_decoded(folder: Path, options: DataOptions, decoded: list[int]) -> None:
    first = open_data(folder, options, size=16)
    again = open_data(str(folder), options, size=16)
    assert len(decoded) == 3 and again.hash == first.hash
    assert (again.images == first.images).all() and again.describe() == first.describe()


def test_touched_but_the_same(folder: Path, options: DataOptions, decoded: list[int]) -> None:
    open_data(folder, options, size=16)
    os.utime(folder / "a.png", (1, 1))
    open_data(folder, options, size=16)
    assert len(decoded) == 3


def test_changed_with_the_same_size_and_time(folder: Path, draw: Draw, options: DataOptions) -> None:
    """Also when the old hash has been remembered: the time of a status change cannot be set back."""
    bmp, old = folder / "d.bmp", time.time() - 1000
    draw(bmp, seed=1)
    os.utime(bmp, (old, old))
    first = open_data(folder, options, size=16)
    time.sleep(2.2)  # after which the hash is remembered
    open_data(folder, options, size=16)
    index = json.loads(next((cache_folder(options) / "hashes").glob("*.json")).read_text())
    assert str(bmp) in index
    size = bmp.stat().st_size
    draw(bmp, seed=2)
    os.utime(bmp, (old, old))
    assert bmp.stat().st_size == size and bmp.stat().st_mtime == pytest.approx(old)
    assert open_data(folder, options, size=16).hash != first.hash


def test_unchanged_files_are_not_read_again(
    folder: Path, options: DataOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganvas.data.cache.RACY", -1000.0)
    first = open_data(folder, options, size=16)
    monkeypatch.setattr("ganvas.data.cache.hash_file", lambda path: pytest.fail("read"))
    assert open_data(folder, options, size=16).hash == first.hash
    # A damaged index costs time, nothing else.
    monkeypatch.undo()
    next((cache_folder(options) / "hashes").glob("*.json")).write_text('{"x')
    assert open_data(folder, options, size=16).hash == first.hash


@pytest.mark.parametrize(
    "change",
    [
        {"fit": "pad"},
        {"fit": "stretch"},
        {"background": "black"},
        {"load_size": 20},
        {"min_side": 30},
    ],
)
def test_what_changes_pixels_changes_the_key(folder: Path, options: DataOptions, change: dict[str, Any]) -> None:
    open_data(folder, options, size=16)
    open_data(folder, replace(options, **change), size=16)
    assert len(entries(options)) == 2


def test_what_changes_no_pixels_does_not(folder: Path, options: DataOptions) -> None:
    open_data(folder, options, size=16)
    open_data(folder, replace(options, flip=False, strict=True, workers=1), size=16)
    open_data(folder, replace(options, background="#ffffff"), size=16)
    assert len(entries(options)) == 1
    open_data(folder, options, size=16, channels=1)
    open_data(folder, options, size=8)
    (folder / "a.png").rename(folder / "aa.png")
    assert open_data(folder, options, size=16).names[0] == "aa.png"
    assert len(entries(options)) == 4


def test_equal_data_elsewhere_is_told_by_its_own_name(folder: Path, options: DataOptions) -> None:
    open_data(folder, options, size=16)
    folder.rename(folder.parent / "moved")
    data = open_data(folder.parent / "moved", options, size=16)
    assert data.source.endswith("moved") and len(entries(options)) == 1


def damage_byte(folder: Path) -> None:
    content = bytearray((folder / "images.npy").read_bytes())
    content[-1] ^= 1
    (folder / "images.npy").write_bytes(content)


DAMAGE = {
    "one bit": damage_byte,
    "cut short": lambda folder: os.truncate(folder / "images.npy", 500),
    "no pixels": lambda folder: (folder / "images.npy").unlink(),
    "no index": lambda folder: (folder / "index.json").unlink(),
    "index cut": lambda folder: os.truncate(folder / "index.json", 100),
    "index changed": lambda folder: (folder / "index.json").write_text(
        (folder / "index.json").read_text().replace("a.png", "z.png")
    ),
    "index no object": lambda folder: (folder / "index.json").write_text("[1]"),
    "other array": lambda folder: np.save(folder / "images.npy", np.zeros((3, 16, 16, 3), np.float32)),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_cache_is_made_again(folder: Path, options: DataOptions, decoded: list[int], kind: str) -> None:
    first = open_data(folder, options, size=16)
    pixels = np.array(first.images)
    DAMAGE[kind](first.path)
    again = open_data(folder, options, size=16)
    assert len(decoded) == 6 and again.hash == first.hash and (again.images == pixels).all()


def test_large_data_is_checked_here_and_there(
    folder: Path, options: DataOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks of 100 bytes, as if there were many: those chosen reach from the first to the last."""
    monkeypatch.setattr(store, "BLOCK", 100)
    monkeypatch.setattr(store, "CHECKED_BLOCKS", 5)
    data = open_data(folder, options, size=16)
    index = json.loads((data.path / "index.json").read_text())
    assert len(index["blocks"]) == 24  # 3 * 16 * 16 * 3 / 100, rounded up
    store.load(data.path)
    damage_byte(data.path)
    with pytest.raises(store.Damaged):
        store.load(data.path)


def test_processes_that_start_together(folder: Path, options: DataOptions, draw: Draw) -> None:
    for i in range(60):
        draw(folder / f"more{i}.png", seed=100 + i, size=(300, 300))
    code = (
        "import sys; from ganvas.data import DataOptions, open_data\n"
        "from ganvas.data import prepare\n"
        "original, calls = prepare.to_square, []\n"
        "prepare.to_square = lambda *a: (calls.append(1), original(*a))[1]\n"
        "data = open_data(sys.argv[1], DataOptions(cache=sys.argv[2]), size=16)\n"
        "print(data.hash, len(data), len(calls))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [sys.executable, "-c", code, str(folder), str(options.cache)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(3)]
    said = [process.communicate(timeout=60)[0].split() for process in running]
    assert all(process.returncode == 0 for process in running)
    assert len({(hash_, count) for hash_, count, _ in said}) == 1 and said[0][1] == "63"
    assert sorted(int(calls) for _, _, calls in said) == [0, 0, 63]  # the others waited for the first
    assert len(entries(options)) == 1


def test_two_that_cannot_lock(folder: Path, options: DataOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without locks both do the work; whoever is second keeps the first one's result."""
    from ganvas.data import prepare

    original = prepare._write
    done: list[str] = []

    def race(*args: Any) -> None:
        original(*args)
        if not done:
            done.append("")
            done[0] = open_data(folder, options, size=16).hash

    monkeypatch.setattr(prepare, "_write", race)

    def no_locks(*args: Any) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("ganvas.data.cache.fcntl.flock", no_locks)
    assert open_data(folder, options, size=16).hash == done[0]
    assert len(entries(options)) == 1


def test_what_a_killed_process_left_is_removed(folder: Path, options: DataOptions) -> None:
    data = open_data(folder, options, size=16)
    left = data.path.with_name(f"{data.path.name}.part-123")
    data.path.rename(left)
    open_data(folder, options, size=16)
    assert not left.exists() and len(entries(options)) == 1


def test_a_failure_leaves_nothing(folder: Path, options: DataOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.Writer, "_flush", full)
    with pytest.raises(UserError, match="No space left on device; choose another place"):
        open_data(folder, options, size=16)
    assert entries(options) == []
    with pytest.raises(UserError, match="No space left"):
        prepare_data(folder, folder.parent / "out", options, size=16)
    assert not (folder.parent / "out").exists()


def test_interrupted(folder: Path, options: DataOptions) -> None:
    def stop(what: str, done: int, total: int) -> None:
        if what == "preparing":
            raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        open_data(folder, options, size=16, progress=stop)
    assert entries(options) == [] and threading.active_count() == before


def test_a_cache_that_cannot_be_written(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match=r"Cannot write prepared data in .*GANVAS_CACHE"):
        open_data(folder, DataOptions(cache=tmp_path / "file"), size=16)


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path / "g"))
    assert cache_folder(DataOptions()) == tmp_path / "g"
    assert cache_folder(DataOptions(cache=tmp_path / "c")) == tmp_path / "c"
    monkeypatch.delenv("GANVAS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert cache_folder(DataOptions()) == tmp_path / "x" / "ganvas"
    for value in ("relative", ""):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert cache_folder(DataOptions()) == Path.home() / ".cache" / "ganvas"


def test_the_number_of_workers_changes_nothing(folder: Path, draw: Draw, tmp_path: Path) -> None:
    for i in range(30):
        draw(folder / f"{i}.png", seed=i, size=(20 + i, 40))
    (folder / "broken.png").write_bytes(b"")
    one, many = (open_data(folder, DataOptions(cache=tmp_path / str(n), workers=n), size=8) for n in (1, 7))
    assert one.hash == many.hash and one.names == many.names and one.skipped == many.skipped


def test_data_prepared_before_reasons_were_kept_is_used_and_has_one(folder: Path, options: DataOptions) -> None:
    """Why there are no labels is newer than the format: an index without it is whole."""
    (folder / "sub").mkdir()
    (folder / "c.jpg").rename(folder / "sub/c.jpg")
    data = open_data(folder, options, size=8)
    index = json.loads((data.path / "index.json").read_text())
    del index["unlabelled"], index["checksum"]
    (data.path / "index.json").write_text(json.dumps(index | {"checksum": store._checksum(index)}))
    written = (data.path / "images.npy").stat().st_mtime_ns
    assert store.load(data.path).unlabelled == ""
    assert open_data(folder, options, size=8).unlabelled == data.unlabelled == "a.png lies in no class folder"
    assert (data.path / "images.npy").stat().st_mtime_ns == written


def test_work_in_flight_is_bounded() -> None:
    begun = 0

    def items() -> Any:
        nonlocal begun
        for i in range(1000):
            begun += 1
            yield i

    with in_order(lambda i: i * i, items(), 3) as results:
        for taken, result in enumerate(results):
            assert result == taken * taken and begun - taken <= 12


def test_an_interrupted_map_leaves_no_thread_behind() -> None:
    """Also while something, such as the traceback of the error, still holds on to the iterator."""
    before, held = threading.active_count(), []
    with pytest.raises(ZeroDivisionError), in_order(lambda i: 1 // (5 - i), range(1000), 3) as results:
        held.append(results)
        for _ in results:
            assert threading.active_count() > before
    assert threading.active_count() == before


def test_prepared_folder_is_a_source(folder: Path, options: DataOptions, draw: Draw) -> None:
    draw(folder / "sub/d.png", seed=5)
    (folder / "broken.png").write_bytes(b"x")
    rows = [{"file_name": n, "label": i % 2, "text": n} for i, n in enumerate(["a.png", "b.png", "c.jpg", "sub/d.png"])]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    out = folder.parent / "out"
    made = prepare_data(folder, out, options, size=16)
    assert sorted(path.name for path in out.iterdir()) == ["images.npy", "index.json"]
    assert not cache_folder(options).exists()
    used = open_data(out, options, size=16)
    assert used.path == out and used.hash == made.hash == open_data(folder, options, size=16).hash
    assert used.columns == {"text": ["a.png", "b.png", "c.jpg", "sub/d.png"]} and used.classes == ["0", "1"]
    assert len(used.skipped) == 1
    assert (np.load(out / "images.npy") == used.images).all()
    # At another size, and gray, it is resized into the cache.
    small = open_data(out, options, size=8, channels=1)
    expected = Image.fromarray(used.images[0]).resize((8, 8), Image.Resampling.LANCZOS).convert("L")
    assert small.images.shape == (4, 8, 8, 1) and (small.images[0, :, :, 0] == np.asarray(expected)).all()
    assert small.classes == used.classes and small.columns == used.columns and small.skipped == used.skipped


def test_prepare_refuses(folder: Path, options: DataOptions) -> None:
    with pytest.raises(UserError, match="not an empty folder"):
        prepare_data(folder, folder, options, size=16)
    with pytest.raises(UserError, match="not an empty folder"):
        prepare_data(folder, folder / "a.png", options, size=16)
    (folder.parent / "empty").mkdir()
    assert len(prepare_data(folder, folder.parent / "empty", options, size=16)) == 3
    with pytest.raises(UserError, match="not an empty folder"):
        prepare_data(folder, folder.parent / "empty", options, size=16)
    with pytest.raises(UserError, match="Cannot write"):
        prepare_data(folder, folder / "a.png" / "out", options, size=16)
    damage_byte(folder.parent / "empty")
    with pytest.raises(UserError, match=r"damaged .*; prepare it again"):
        open_data(folder.parent / "empty", options, size=16)


def test_progress(folder: Path, options: DataOptions) -> None:
    told: list[tuple[str, int, int]] = []
    open_data(folder, options, size=16, progress=lambda *said: told.append(said))
    assert told == [(what, i, 3) for what in ("reading", "preparing") for i in (1, 2, 3)]
