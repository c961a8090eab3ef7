"""A run is trained by one process at a time, and whoever looks knows by which."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from toy_runs import differing, events, tensors, train_toy

import ganvas
from ganvas.engine import lock
from ganvas.engine.folder import RunFolder
from ganvas.engine.lock import NAME, TrainingLock, ask_to_stop, holder
from ganvas.errors import UserError

fcntl = pytest.importorskip("fcntl", reason="needs a system with locks")

Process = Callable[..., CompletedProcess[str]]

HOLD = """
import signal, sys
from pathlib import Path
from ganvas.engine.lock import TrainingLock
from ganvas.engine.signals import StopRequest
with StopRequest() as stop, TrainingLock(Path(sys.argv[1])) as lock:
    print(lock.take(), flush=True)
    while not stop.made:
        signal.sigtimedwait((), 0.05)
print("stopped", flush=True)
"""


def held_by_another(folder: Path) -> subprocess.Popen[str]:
    """Another process that holds a run until it is asked to stop."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "True\n"
    return process


def test_the_holder_is_the_process_that_the_system_knows(tmp_path: Path) -> None:
    """Against the process's own number, and the kernel's word on who may lock the file."""
    assert holder(tmp_path) is None and not (tmp_path / NAME).exists()  # looking leaves nothing behind
    process = held_by_another(tmp_path)
    with process:
        assert holder(tmp_path) == process.pid
        with (tmp_path / NAME).open() as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with TrainingLock(tmp_path) as other:
            assert not other.take()
        assert holder(tmp_path) == process.pid  # who was refused has changed nothing
        ask_to_stop(tmp_path)
        assert process.communicate(timeout=120)[0] == "stopped\n" and process.returncode == 0
    assert holder(tmp_path) is None
    with pytest.raises(UserError, match="nobody trains this run"):
        ask_to_stop(tmp_path)


def test_a_killed_process_holds_nothing_whatever_number_it_left(tmp_path: Path) -> None:
    process = held_by_another(tmp_path)
    with process:
        process.kill()
    assert (tmp_path / NAME).read_text() == f"{process.pid} {platform.node()}\n"
    assert holder(tmp_path) is None
    # The number of a process that lives: by the number alone this would be it.
    (tmp_path / NAME).write_text(f"{os.getpid()} {platform.node()}\n")
    assert holder(tmp_path) is None
    with TrainingLock(tmp_path) as again:
        assert again.take() and holder(tmp_path) == os.getpid()


@pytest.mark.parametrize("text", ["-1", "1 elsewhere", "", "0x10", "12\n", "²", "99999999999999999999"])
def test_a_number_that_no_process_of_this_machine_wrote_is_never_asked(
    tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal to -1 or 0 would end everything."""
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *given: asked.append(given))
    with TrainingLock(tmp_path) as own:
        assert own.take()
        (tmp_path / NAME).write_text(text)
        assert holder(tmp_path) == 0
        with pytest.raises(UserError, match="on another machine"):
            ask_to_stop(tmp_path)
    assert asked == []


def test_several_may_look_at_once_and_are_not_in_the_way(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(f"{os.getpid()} {platform.node()}\n")
    with (tmp_path / NAME).open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH | fcntl.LOCK_NB)
        assert holder(tmp_path) is None


@pytest.mark.parametrize("missing", ["module", "file system"])
def test_without_locks_nothing_is_refused(tmp_path: Path, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if missing == "module":
        monkeypatch.delattr(lock, "fcntl")
    else:

        def refuse(*_: object) -> None:
            raise OSError("no locks available")

        monkeypatch.setattr(lock.fcntl, "flock", refuse)
    with TrainingLock(tmp_path) as one, TrainingLock(tmp_path) as other:
        assert one.take() and other.take()
        assert holder(tmp_path) is None


def test_a_run_that_is_trained_is_not_trained_a_second_time(tmp_path: Path, ganvas_process: Process) -> None:
    """The refused `resume` names the process, in one line, and leaves every file of the run as it was."""
    run = tmp_path / "run"
    train_toy(run)
    (run / "config.json.part").write_text("half written by whoever trains")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != NAME}
    process = held_by_another(run)
    with process:
        refused = ganvas_process("resume", run, "--steps", 14)
        assert refused.returncode == 2
        assert refused.stderr.splitlines()[-1] == (
            f"ganvas: {run} is being trained by process {process.pid}: stop it with `kill {process.pid}`, or wait "
            "until it has ended"
        )
        ask_to_stop(run)
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != NAME}
    assert ganvas.resume(run, steps=14).step == 14
    assert not (run / "config.json.part").exists()


def test_two_processes_of_one_run_are_refused_together(tmp_path: Path, ganvas_process: Process) -> None:
    """Neither waits for the other for ever."""
    run = tmp_path / "run"
    train_toy(run)
    process = held_by_another(run)
    with process:
        refused = ganvas_process("resume", run, "--steps", 14, processes=2)
        assert refused.returncode != 0 and f"process {process.pid}" in refused.stderr
        ask_to_stop(run)


def test_a_run_holds_its_lock_while_it_trains_and_then_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ganvas.engine.loop import Loop

    seen = []
    step = Loop.step

    def looking(self: Loop) -> None:
        seen.append(holder(tmp_path / "run"))
        step(self)

    monkeypatch.setattr(Loop, "step", looking)
    train_toy(tmp_path / "run", steps=3)
    assert seen == [os.getpid()] * 3 and holder(tmp_path / "run") is None


def test_a_process_asked_to_stop_saves_and_resumes_to_the_same_bits(tmp_path: Path) -> None:
    """Against a run that was never stopped; asked through the lock, not by its number."""
    train_toy(tmp_path / "whole", steps=400)
    here = Path(__file__).parent
    words = [
        "train",
        "toy",
        "smoke",
        "--data",
        "digits",
        "--out",
        tmp_path / "asked",
        "--steps",
        400,
        "--device",
        "cpu",
    ]
    process = subprocess.Popen(
        [sys.executable, here / "with_toy.py", *map(str, words)], env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    with process:
        stats = tmp_path / "asked" / "stats.jsonl"
        while not stats.exists() or len(stats.read_text().splitlines()) < 4:
            assert process.poll() is None
            signal.sigtimedwait((), 0.01)
        assert holder(tmp_path / "asked") == process.pid
        ask_to_stop(tmp_path / "asked")
        assert process.wait(timeout=180) == 0
    assert len(events(tmp_path / "asked", "stopped")) == 1
    assert ganvas.resume(tmp_path / "asked").step == 400
    assert differing(tensors(tmp_path / "whole"), tensors(tmp_path / "asked")) == []


def test_a_lock_alone_is_no_run_in_the_way_of_a_new_one(tmp_path: Path) -> None:
    """What a process leaves that was killed between its lock and its settings."""
    (tmp_path / NAME).write_text("")
    RunFolder(tmp_path).refuse_used()
    train_toy(tmp_path, steps=2)
    with pytest.raises(UserError, match="is not empty"):
        RunFolder(tmp_path).refuse_used()
