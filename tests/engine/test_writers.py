"""TensorBoard and Weights & Biases get what `stats.jsonl` gets, once, and never stop training."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganvas.engine.log import Log, read_stats
from ganvas.engine.writers import Name, TensorBoard, Writer, check_writers, open_writers
from ganvas.errors import UserError
from ganvas.viz.grids import save_png

needs_tensorboard = pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="no tensorboard")
needs_wandb = pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="no wandb")

SETTINGS = {"system": "toy", "training": {"steps": 6, "seed": 0}}


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    with Log(tmp_path / "stats.jsonl", 6, 4) as log:
        yield log


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "grid.png"
    save_png(path, np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3))
    return path


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_MODE", "offline")


def train(
    folder: Path, name: Name, picture: Path, start: int, stop: int, *, killed: bool = False, shift: float = 0.0
) -> list[str]:
    """A sitting that logs every step, each number a function of it, and draws and scores every second one."""
    notes: list[str] = []
    log = Log(folder / "stats.jsonl", 6, 4)
    with log:
        log.writers = open_writers([name], folder, SETTINGS, notes.append, resumed=start > 0)
        log.start_at(start)
        for step in range(start + 1, stop + 1):
            log.stats(step, {"generator/adversarial": 0.1 * step + shift, "discriminator/real": -step})
            if step % 2 == 0:
                log.picture(step, "samples", picture)
                log.scores(step, {"kd": 1 / step})
        if killed:  # what a process that is killed does not come to
            log.writers.clear()
    return notes


def expected(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """The numbers in `stats.jsonl`."""
    numbers: dict[str, list[tuple[int, float]]] = {}
    for entry in read_stats(folder / "stats.jsonl"):
        for name in entry.keys() - {"step"}:
            numbers.setdefault(name, []).append((entry["step"], entry[name]))
    return numbers


def tensorboard(folder: Path) -> Any:
    """What TensorBoard itself reads."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder / "tensorboard")).Reload()


@needs_tensorboard
@pytest.mark.parametrize("killed", [False, True])
def test_tensorboard_reads_back_what_was_logged_once(tmp_path: Path, picture: Path, killed: bool) -> None:
    """Stopped after step 4, resumed from a checkpoint of step 2."""
    train(tmp_path, "tensorboard", picture, 0, 4, killed=killed)
    notes = train(tmp_path, "tensorboard", picture, 2, 6, shift=0.01)
    read = tensorboard(tmp_path)
    numbers = expected(tmp_path)
    assert numbers.keys() == {"images_per_second", "generator/adversarial", "discriminator/real"}
    assert set(read.Tags()["scalars"]) == numbers.keys() | {"scores/kd"}
    for name, values in numbers.items():
        got = [(event.step, event.value) for event in read.Scalars(name)]
        assert [step for step, _ in got] == [1, 2, 3, 4, 5, 6]
        assert got == [(step, pytest.approx(value, rel=1e-6)) for step, value in values]
    assert [(event.step, event.value) for event in read.Scalars("scores/kd")] == [
        (step, pytest.approx(1 / step)) for step in (2, 4, 6)
    ]
    images = read.Images("samples")
    assert [image.step for image in images] == [2, 4, 6]
    assert all(image.encoded_image_string == picture.read_bytes() for image in images)
    assert (images[0].width, images[0].height) == (6, 4)
    (settings,) = read.Tensors("settings")
    assert json.loads(settings.tensor_proto.string_val[0]) == SETTINGS
    assert notes == [f"TensorBoard: `tensorboard --logdir {tmp_path}`"]


@needs_tensorboard
def test_tensorboard_forgets_an_attempt_that_was_given_up(tmp_path: Path, log: Log) -> None:
    """Going back to a checkpoint within one sitting, as after a loss that was not finite."""
    log.writers = open_writers(["tensorboard"], tmp_path, SETTINGS, lambda line: None, resumed=False)
    log.start_at(0)
    for step, value in ((1, 0.5), (2, 0.25), (3, 100.0)):
        log.stats(step, {"generator/loss": value})
    log.start_at(1)
    log.stats(2, {"generator/loss": 0.125})
    events = tensorboard(tmp_path).Scalars("generator/loss")
    assert [(event.step, event.value) for event in events] == [(1, 0.5), (2, 0.125)]


def rows(folder: Path) -> list[dict[str, Any]]:
    """The rows of numbers in an offline run's files, in the order in which they would be sent.

    The files are LevelDB logs (blocks of 32 KiB; records of checksum, length, kind, and data) of protocol buffers.
    """
    from wandb.proto import wandb_internal_pb2

    found = []
    # A sitting's folder is named by the second it began in and, if need be, a number.
    for path in sorted((folder / "wandb").glob("offline-run-*/*.wandb"), key=lambda path: path.stat().st_mtime_ns):
        data, at, record = path.read_bytes(), 7, b""
        while at + 7 <= len(data):
            if 32768 - at % 32768 < 7:  # no room for a header at the end of a block
                at += 32768 - at % 32768
                continue
            length, kind = struct.unpack_from("<HB", data, at + 4)
            record += data[at + 7 : at + 7 + length]
            at += 7 + length
            if kind in (1, 4):  # whole, or the last part
                message = wandb_internal_pb2.Record.FromString(record)
                if message.HasField("history"):
                    items = {".".join(i.nested_key) or i.key: json.loads(i.value_json) for i in message.history.item}
                    found.append(items)
                record = b""
    return found


@needs_wandb
def test_wandb_gets_what_was_logged_once(tmp_path: Path, picture: Path) -> None:
    """Stopped after step 4, resumed from a checkpoint of step 2."""
    import wandb

    train(tmp_path, "wandb", picture, 0, 4)
    first = json.loads((tmp_path / "wandb" / "sent.json").read_text())
    notes = train(tmp_path, "wandb", picture, 2, 6)
    wandb.teardown()  # its service writes the files, also some milliseconds after a run is finished
    got = rows(tmp_path)
    for name, values in expected(tmp_path).items():
        sent = [(row["step"], row[name]) for row in got if name in row]
        assert [step for step, _ in sent] == [1, 2, 3, 4, 5, 6]
        if name != "images_per_second":  # of steps made twice the first is sent, the second in stats.jsonl
            assert sent == values
    assert [(row["step"], row["scores/kd"]) for row in got if "scores/kd" in row] == [
        (2, 1 / 2),
        (4, 1 / 4),
        (6, 1 / 6),
    ]
    pictures = [row for row in got if "samples.path" in row]
    assert [row["step"] for row in pictures] == [2, 4, 6]
    sittings = sorted((tmp_path / "wandb").glob("offline-run-*"))
    assert len(sittings) == 2
    kept = [path for sitting in sittings for path in sitting.glob("files/media/images/samples_*.png")]
    assert len(kept) == 3 and all(path.read_bytes() == picture.read_bytes() for path in kept)
    # The same run, whose numbers are drawn over our step.
    second = json.loads((tmp_path / "wandb" / "sent.json").read_text())
    assert second["id"] == first["id"] and first["sent"]["samples"] == 4 and second["sent"]["samples"] == 6
    assert all(first["id"] in sitting.name for sitting in sittings)
    assert notes == [f"Weights & Biases: `wandb sync {tmp_path / 'wandb'}/offline-run-*`"]


KILLS_THE_SERVICE = """
import os, signal, sys
from pathlib import Path
from ganvas.engine.log import Log
from ganvas.engine.writers import open_writers

folder = Path(sys.argv[1])
with Log(folder / "stats.jsonl", 2, 1) as log:
    log.writers = open_writers(["wandb"], folder, {}, print, resumed=False)
    log.start_at(0)
    log.stats(1, {"generator/loss": 1.0})
    mine = f"--pid\\0{os.getpid()}\\0"
    commands = {path.parent.name: path.read_text() for path in Path("/proc").glob("[0-9]*/cmdline")}
    (service,) = [int(pid) for pid, command in commands.items() if "wandb-core" in command and mine in command]
    print("service", service)
    if "kill" in sys.argv:
        os.kill(service, signal.SIGKILL)
        os.waitpid(service, 0)
    log.stats(2, {"generator/loss": 2.0})
print("trained to the end")
"""


@needs_wandb
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize("word", ["leave", "kill"])
def test_wandb_service_ends_with_the_run_and_may_die_before(word: str, tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", KILLS_THE_SERVICE, str(tmp_path), word], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0 and result.stdout.endswith("trained to the end\n"), result.stderr
    assert result.stdout.count("Weights & Biases failed") == (word == "kill")
    assert [entry["step"] for entry in read_stats(tmp_path / "stats.jsonl")] == [1, 2]
    pid = int(result.stdout.split("service ")[1].split()[0])
    deadline = time.monotonic() + 10
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Broken:
    """Fails at one thing."""

    name = "Broken"

    def __init__(self, at: str) -> None:
        self.at = at
        self.calls: list[str] = []

    def _call(self, what: str) -> None:
        self.calls.append(what)
        if what == self.at:
            raise OSError(errno.ENOSPC, "no room\nat all")

    def start_at(self, step: int) -> None:
        self._call("start_at")

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self._call("scalars")

    def picture(self, step: int, name: str, path: Path) -> None:
        self._call("picture")

    def close(self) -> None:
        self._call("close")


@pytest.mark.parametrize("at", ["start_at", "scalars", "picture", "close"])
def test_a_writer_that_fails_is_told_of_once_and_left_out(
    at: str, tmp_path: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken, good = Broken(at), Broken("never")
    log = Log(tmp_path / "stats.jsonl", 6, 4)
    with log:
        log.writers = [broken, good]
        log.start_at(0)
        for step in (1, 2):
            log.stats(step, {"generator/loss": 1.0})
            log.picture(step, "samples", picture)
            log.scores(step, {"kd": 1.0})
    every = ["start_at", *["scalars", "picture", "scalars"] * 2, "close"]
    assert good.calls == every
    assert broken.calls == every[: every.index(at) + 1]
    out = capsys.readouterr().out
    assert out.count("Broken failed") == 1 and "no room at all" in out and "no more of this run" in out
    assert [entry["step"] for entry in read_stats(tmp_path / "stats.jsonl")] == [1, 2]


@needs_tensorboard
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_tensorboard_on_a_full_disk(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log = Log(tmp_path / "stats.jsonl", 6, 4)
    log.writers = open_writers(["tensorboard"], tmp_path, SETTINGS, lambda line: None, resumed=False)
    (writer,) = log.writers
    assert isinstance(writer, TensorBoard)
    with Path("/dev/full").open("wb") as full:
        os.dup2(full.fileno(), writer._file.fileno())
    log.stats(1, {"generator/loss": 1.0})
    assert log.writers == [] and read_stats(tmp_path / "stats.jsonl")[0]["step"] == 1
    told = capfd.readouterr()
    assert told.out.count("TensorBoard failed") == 1 and "No space left" in told.out and "Traceback" not in told.err


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_missing_package(name: Name, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a folder of that name, which Python takes for an empty package, lies in the working directory."""
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "meta_path", [finder for finder in sys.meta_path if "editable" not in str(finder)])
    for make in (False, True):
        if make:
            (tmp_path / name).mkdir()
        importlib.invalidate_caches()
        with pytest.raises(UserError, match=rf'pip install "ganvas\[{name}\]"$'):
            check_writers([name])
        with pytest.raises(UserError, match=rf'pip install "ganvas\[{name}\]"$'):
            open_writers([name], tmp_path, SETTINGS, lambda line: None, resumed=True)


@needs_tensorboard
def test_a_writer_that_does_not_start(tmp_path: Path) -> None:
    """A new run is refused, one that goes on does without it."""
    (tmp_path / "tensorboard").write_text("in the way")
    with pytest.raises(UserError, match=r"tensorboard does not start \(.*File exists.*ganvas resume"):
        open_writers(["tensorboard"], tmp_path, SETTINGS, lambda line: None, resumed=False)
    notes: list[str] = []
    assert open_writers(["tensorboard"], tmp_path, SETTINGS, notes.append, resumed=True) == []
    assert len(notes) == 1 and "File exists" in notes[0] and "goes on without it" in notes[0]


@needs_wandb
def test_wandb_without_a_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    def refuse(**settings: Any) -> None:
        raise wandb.errors.UsageError("No API key configured.")

    monkeypatch.setattr(wandb, "init", refuse)
    with pytest.raises(UserError, match=r"No API key configured.*`wandb login`, or WANDB_MODE=offline"):
        open_writers(["wandb"], tmp_path, SETTINGS, lambda line: None, resumed=False)


def test_no_writers(tmp_path: Path) -> None:
    before = set(sys.modules)
    check_writers([])
    nothing: list[Writer] = open_writers([], tmp_path, SETTINGS, lambda line: None, resumed=False)
    assert nothing == [] and not any(tmp_path.iterdir())
    assert not {"wandb", "tensorboard"} & (set(sys.modules) - before)
