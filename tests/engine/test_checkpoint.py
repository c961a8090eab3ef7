"""Checkpoints: whole or not at all, exact, and never code."""

from __future__ import annotations

import errno
import os
import pickle
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_loop import toy
from toy_runs import differing, make_loop, number_steps, tensors

from ganvas.engine import files
from ganvas.engine.checkpoint import _decode, _encode
from ganvas.errors import UserError


def test_everything_comes_back_bit_for_bit(tmp_path: Path) -> None:
    first = make_loop(tmp_path, toy(norm=True))
    first.run()
    second = make_loop(tmp_path / "other", toy(norm=True, width=8))
    second.state.system.double().float()
    second.step()
    first.checkpoints.load().restore(second.state)
    for one, other in ((first.state, second.state),):
        assert not differing(one.system.state_dict(), other.system.state_dict())
        assert not differing(one.average.state_dict(), other.average.state_dict())
        assert (one.step, one.attempt, one.failures) == (other.step, other.attempt, other.failures)
    for name, optimizer in first.state.optimizers.items():
        theirs = second.state.optimizers[name]
        assert optimizer.state_dict()["param_groups"] == theirs.state_dict()["param_groups"]
        for index, entries in optimizer.state_dict()["state"].items():
            assert not differing(entries, theirs.state_dict()["state"][index])


def test_optimiser_states_take_the_memory_order_of_their_parameters(tmp_path: Path) -> None:
    loop = make_loop(tmp_path, toy(width=8).to(memory_format=torch.channels_last))
    loop.run()
    loop.checkpoints.load().restore(loop.state)
    for optimizer in loop.state.optimizers.values():
        for parameter, entries in optimizer.state.items():
            assert entries["exp_avg"].stride() == parameter.stride()


def test_the_last_and_the_protected_are_kept(tmp_path: Path) -> None:
    loop = make_loop(tmp_path, toy(), keep=2)
    for step in (0, 5, 10, 15):
        loop.state.step = step
        loop.checkpoints.save(loop.state, {}, protect={5})
    assert loop.checkpoints.steps() == [5, 10, 15]


@pytest.mark.parametrize("damage", ["cut", "empty", "changed", "header"])
def test_a_damaged_newest_checkpoint_is_passed_over(tmp_path: Path, damage: str) -> None:
    loop = make_loop(tmp_path, toy(), steps=10)
    loop.run()
    newest = loop.checkpoints.path(10)
    data = bytearray(newest.read_bytes())
    if damage == "changed":
        data[-5] ^= 1
    elif damage == "header":
        data[60] ^= 1
    newest.write_bytes(bytes(data[: {"cut": len(data) // 2, "empty": 0}.get(damage, len(data))]))
    checkpoint = loop.checkpoints.load()
    assert checkpoint.meta["step"] == 5
    assert len(checkpoint.damaged) == 1
    assert "step-00000010" in checkpoint.damaged[0]


@settings(max_examples=60, deadline=None)
@given(position=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_no_flipped_bit_goes_unnoticed(position: int, bit: int) -> None:
    data = bytearray(_encode({"a": torch.arange(100.0), "b": torch.zeros(3)}, {"step": 1, "sha256": "0" * 64}))
    data[position % len(data)] ^= 1 << bit
    with pytest.raises(ValueError, match="torn or damaged"):
        _decode(bytes(data))


def test_parts_of_a_checkpoint_are_those_of_all_of_it(tmp_path: Path) -> None:
    loop = make_loop(tmp_path, toy())
    loop.run()
    whole, part = loop.checkpoints.load(), loop.checkpoints.load(parts=("system", "average"))
    expected = {name: value for name, value in whole.tensors.items() if not name.startswith("optimizer.")}
    assert 0 < len(expected) < len(whole.tensors) and part.tensors.keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in part.tensors.items())
    assert part.meta == whole.meta


def test_no_whole_checkpoint_is_a_clear_error(tmp_path: Path) -> None:
    loop = make_loop(tmp_path, toy())
    with pytest.raises(UserError, match="there is no checkpoint"):
        loop.checkpoints.load()
    loop.save()
    loop.checkpoints.path(0).write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"no checkpoint in .* is whole"):
        loop.checkpoints.load()


def test_a_pickle_is_never_executed(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return (Path.write_text, (tmp_path / "exploded", "boom"))

    loop = make_loop(tmp_path, toy())
    loop.save()
    payload = pickle.dumps(Bomb())
    loop.checkpoints.path(3).write_bytes(payload)
    (loop.checkpoints.folder / "state.pkl").write_bytes(payload)
    torch.save({"a": Bomb()}, loop.checkpoints.path(4))
    assert loop.checkpoints.load().meta["step"] == 0
    assert not (tmp_path / "exploded").exists()


def test_another_systems_checkpoint_is_refused(tmp_path: Path) -> None:
    small = make_loop(tmp_path, toy(width=4))
    small.save()
    with pytest.raises(UserError, match="is of other networks"):
        small.checkpoints.load().restore(make_loop(tmp_path, toy()).state)


def test_tied_weights_are_saved(tmp_path: Path) -> None:
    system = toy()
    system.again = system.generator
    loop = make_loop(tmp_path, system)
    loop.save()
    assert torch.equal(tensors(tmp_path)["system.again.0.weight"], system.generator[0].weight)


class FullDisk:
    """Stands in for `os.fsync`, which is the last thing that a write can fail in."""

    def __init__(self) -> None:
        self.full = False
        self.fsync = os.fsync

    def __call__(self, file: int) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.fsync(file)


def test_a_full_disk_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    disk = FullDisk()
    monkeypatch.setattr(files.os, "fsync", disk)
    loop = make_loop(tmp_path, toy(), steps=20, keep=1)
    step = loop.step

    def filling() -> None:
        step()
        disk.full = 3 <= loop.state.step < 18

    loop.step = filling  # type: ignore[method-assign]
    assert loop.run()
    assert capsys.readouterr().out.count("the disk is full") == 1  # steps 5, 10 and 15 failed
    assert loop.checkpoints.steps() == [20]
    assert not list(tmp_path.rglob("*.part"))


def test_a_disk_still_full_at_the_end_is_an_error_that_keeps_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullDisk()
    monkeypatch.setattr(files.os, "fsync", disk)
    loop = make_loop(tmp_path, toy(), steps=12, keep=1)
    step = loop.step

    def filling() -> None:
        step()
        disk.full = loop.state.step > 5

    loop.step = filling  # type: ignore[method-assign]
    with pytest.raises(UserError, match=r"the disk is full: step 12 .* \(saved steps: 5\)"):
        loop.run()
    assert loop.checkpoints.load().meta["step"] == 5


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("mounting a small file system takes rights that this user does not have")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_is_really_full(tiny_disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loop = make_loop(tiny_disk, toy(), steps=20, keep=1, log_every=1)
    step = loop.step

    def filling() -> None:
        step()
        stone = tiny_disk / "stone"
        if loop.state.step == 3:
            with stone.open("wb", buffering=0) as file, pytest.raises(OSError):
                while True:
                    file.write(bytes(1024))
        elif loop.state.step == 17:
            stone.unlink()

    loop.step = filling  # type: ignore[method-assign]
    assert loop.run()
    assert capsys.readouterr().out.count("the disk is full") == 1
    assert loop.checkpoints.steps() == [20]
    assert not list(tiny_disk.rglob("*.part"))
    steps = number_steps(tiny_disk)
    assert len(steps) == len(set(steps))
    assert {1, 2, 20} <= set(steps)
