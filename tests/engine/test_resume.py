"""Runs that are killed, stopped or damaged, and go on as if nothing had happened."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import torch
from toy_runs import differing, events, greatest_difference, number_steps, stats, tensors, train_toy

import ganvas
from ganvas.engine.checkpoint import _decode, _encode
from ganvas.errors import UserError

Process = Callable[..., CompletedProcess[str]]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_run_killed_at_random_steps_ends_with_the_same_bits(
    tmp_path: Path, ganvas_process: Process, precision: str
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    settings = {"norm": True, "discriminator_steps": 2, "micro_batch": 4, "precision": precision}
    train_toy(whole, **settings)
    first, second = sorted(random.Random(precision).sample(range(1, 12), 2))
    flags = ["--norm", "--discriminator-steps", 2, "--micro-batch", 4, "--precision", precision, "--device", "cpu"]
    start = ["train", "toy", "smoke", "--data", "digits", "--out", killed, *flags]
    assert ganvas_process(*start, TOY_KILL=str(first)).returncode == -9
    assert ganvas_process("resume", killed, TOY_KILL=str(second)).returncode == -9
    assert ganvas.resume(killed).step == 12
    assert differing(tensors(whole), tensors(killed)) == []
    assert number_steps(killed) == list(range(1, 13))
    grids = [[(entry["step"], entry["diversity"]) for entry in events(run, "grid")] for run in (whole, killed)]
    assert grids[0] == grids[1]
    for picture in (whole / "samples").iterdir():
        assert picture.read_bytes() == (killed / "samples" / picture.name).read_bytes()


def test_a_longer_run_goes_on_where_the_shorter_ended(tmp_path: Path) -> None:
    train_toy(tmp_path / "long", steps=9)
    train_toy(tmp_path / "short", steps=6)
    assert ganvas.resume(tmp_path / "short", steps=9).step == 9
    assert differing(tensors(tmp_path / "long"), tensors(tmp_path / "short")) == []


def test_grids_leave_no_trace_in_the_training(tmp_path: Path) -> None:
    """The toy draws numbers, changes buffers and modes when it is sampled from."""
    train_toy(tmp_path / "often", norm=True, grid_every=1)
    train_toy(tmp_path / "never", norm=True, grid_every=0)
    assert differing(tensors(tmp_path / "often"), tensors(tmp_path / "never")) == []
    assert len(list((tmp_path / "often/samples").glob("step-*.png"))) == 13


@pytest.mark.parametrize("micro_batch", [0, 4])
def test_two_processes_equal_one(tmp_path: Path, ganvas_process: Process, micro_batch: int) -> None:
    """Whole batches with latents from the data; and two micro-batches here against one in each process there."""
    noise = "drawn" if micro_batch else "batch"
    train_toy(tmp_path / "one", steps=8, drawing=noise, micro_batch=micro_batch, precision="fp32")
    flags = ["--steps", 8, "--drawing", noise, "--micro-batch", micro_batch, "--precision", "fp32", "--device", "cpu"]
    words = ["train", "toy", "smoke", "--data", "digits", "--out", tmp_path / "two", *flags]
    result = ganvas_process(*words, processes=2)
    assert result.returncode == 0, result.stderr
    one, two = tensors(tmp_path / "one"), tensors(tmp_path / "two")
    one.pop("system.count"), two.pop("system.count")  # counts calls, of which two micro-batches make more
    assert greatest_difference(one, two) < 1e-6
    assert number_steps(tmp_path / "two") == list(range(1, 9))
    assert result.stdout.count("run: ") == 1


def test_processes_agree_to_stop(tmp_path: Path, ganvas_process: Process) -> None:
    words = ["train", "toy", "smoke", "--data", "digits", "--out", tmp_path / "run", "--device", "cpu"]
    result = ganvas_process(*words, processes=2, TOY_TERM="5")
    assert result.returncode == 0, result.stderr
    assert ganvas.load(tmp_path / "run").step == 6


def test_a_terminated_run_saves_and_says_how_to_go_on(tmp_path: Path, ganvas_process: Process) -> None:
    words = ["train", "toy", "smoke", "--data", "digits", "--out", tmp_path / "run", "--device", "cpu"]
    result = ganvas_process(*words, TOY_TERM="6")
    assert result.returncode == 0
    assert f"ganvas resume {tmp_path / 'run'}" in result.stdout
    assert ganvas.load(tmp_path / "run").step == 7
    train_toy(tmp_path / "whole")
    ganvas.resume(tmp_path / "run")
    assert differing(tensors(tmp_path / "whole"), tensors(tmp_path / "run")) == []


def test_a_damaged_newest_checkpoint_is_told_and_the_one_before_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train_toy(tmp_path / "whole")
    train_toy(tmp_path / "run", steps=10)
    newest = tmp_path / "run/checkpoints/step-00000010.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1])
    capsys.readouterr()
    ganvas.resume(tmp_path / "run", steps=12)
    assert "passed over step-00000010.safetensors: it is torn or damaged" in capsys.readouterr().out
    assert differing(tensors(tmp_path / "whole"), tensors(tmp_path / "run")) == []
    assert number_steps(tmp_path / "run") == list(range(1, 13))
    assert len(events(tmp_path / "run", "damaged checkpoint")) == 1


def test_a_torn_line_of_stats_is_dropped(tmp_path: Path) -> None:
    train_toy(tmp_path / "run", steps=6)
    with (tmp_path / "run/stats.jsonl").open("a") as file:
        file.write('{"step": 7, "discrim')
    ganvas.resume(tmp_path / "run", steps=8)
    assert number_steps(tmp_path / "run") == list(range(1, 9))


def test_a_nan_that_stays_ends_the_command_with_status_2(tmp_path: Path, ganvas_process: Process) -> None:
    words = ["train", "toy", "smoke", "--data", "digits", "--out", tmp_path / "run", "--device", "cpu"]
    result = ganvas_process(*words, "--bad-step", 7, "--retries", 2)
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert "generator/adversarial is not finite at step 8" in result.stderr
    failures = events(tmp_path / "run", "non-finite")
    assert [entry["attempt"] for entry in failures] == [1, 2, 3]
    assert [entry["gave_up"] for entry in failures] == [False, False, True]
    assert ganvas.load(tmp_path / "run").step == 5


def test_a_run_killed_before_its_first_checkpoint_starts_again(tmp_path: Path) -> None:
    train_toy(tmp_path / "source", steps=2)
    for name in ("whole", "killed"):
        train_toy(tmp_path / name, steps=3, init_from=tmp_path / "source")
    for path in (tmp_path / "killed/checkpoints").iterdir():
        path.unlink()
    assert ganvas.resume(tmp_path / "killed").step == 3
    assert differing(tensors(tmp_path / "whole"), tensors(tmp_path / "killed")) == []
    assert number_steps(tmp_path / "killed") == [1, 2, 3]


def test_changed_pictures_are_refused(tmp_path: Path) -> None:
    train_toy(tmp_path / "run", steps=2)
    config = tmp_path / "run/config.json"
    config.write_text(config.read_text().replace('"hash": "', '"hash": "0'))
    with pytest.raises(UserError, match="no longer those"):
        ganvas.resume(tmp_path / "run")


def test_settings_of_another_version_are_refused(tmp_path: Path) -> None:
    train_toy(tmp_path / "run", steps=2)
    config = tmp_path / "run/config.json"
    config.write_text(config.read_text().replace('"width"', '"girth"'))
    with pytest.raises(UserError, match=r"not those of this version of ganvas .*girth"):
        ganvas.load(tmp_path / "run")


def test_a_new_run_starts_from_the_average_of_another(tmp_path: Path) -> None:
    source = train_toy(tmp_path / "source", steps=6)
    train_toy(tmp_path / "target", steps=1, init_from=source.path, norm=True, checkpoint_every=100, keep=5)
    (report,) = events(tmp_path / "target", "initialised")
    assert "generator.2.weight" in report["missing"]
    start, _ = _decode((tmp_path / "target/checkpoints/step-00000000.safetensors").read_bytes())
    for name in ("generator.0.weight", "generator.4.weight"):
        assert torch.equal(start[f"system.{name}"], source.checkpoint.weights("average")[name])
        assert torch.equal(start[f"average.{name}"], start[f"system.{name}"])


def test_a_run_of_which_nothing_fits_is_refused(tmp_path: Path) -> None:
    source = train_toy(tmp_path / "source", steps=1, width=4)
    path = source.checkpoint.path
    _, meta = _decode(path.read_bytes())
    path.write_bytes(_encode({"system.other": torch.zeros(2)}, meta))
    with pytest.raises(UserError, match=r"nothing in .* fits"):
        train_toy(tmp_path / "target", init_from=source.path)
    assert not (tmp_path / "target").exists()


def test_stats_hold_every_number_as_json(tmp_path: Path) -> None:
    train_toy(tmp_path / "run", steps=2)
    last = [entry for entry in stats(tmp_path / "run") if "event" not in entry][-1]
    assert last["step"] == 2
    assert {"images_per_second", "discriminator/real", "discriminator/fake", "generator/adversarial"} <= last.keys()
