"""Studies that run, fail, are found done, stop and go on, in the processes that they start."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scipy import stats
from study_program import PROGRAM

from ganvas.engine.log import read_stats
from ganvas.errors import UserError
from ganvas.metrics.compute import Score
from ganvas.metrics.evaluate import Evaluation
from ganvas.study import StudyRun, job, load_study, run_study, study
from ganvas.study.job import Failure, keep_scores, make

Write = Callable[..., Path]
Captured = pytest.CaptureFixture[str]

STUDY = """
    system = "toy"
    preset = "smoke"
    data = "digits"
    seeds = [0, 1]
    [settings]
    score_every = 0
    [evaluate]
    n = 5
    [variants.wide]
    [variants.narrow]
    width = 4
    [variants.broken]
    bad_step = 3
    retries = 0
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A study of which one variant fails, two runs at a time: its folder, and what it complained of."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "three.toml").write_text(STUDY)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with pytest.raises(UserError) as error:
            study(Path("three.toml"), parallel=2)
    yield folder, str(error.value)


@pytest.fixture
def asked(finished: tuple[Path, str], tmp_path: Path) -> Callable[..., StudyRun]:
    """The first run of that study as another file asks for it, in which some words are others."""

    def asked(*replacements: tuple[str, str]) -> StudyRun:
        text = STUDY
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "other.toml").write_text(text)
        return load_study(tmp_path / "other.toml").runs(finished[0] / "runs" / "three")[0]

    return asked


def test_results_hold_scores_intervals_and_paired_differences(finished: tuple[Path, str]) -> None:
    """Against Student's t as SciPy computes it, for the scores that the stand-in makes up."""
    text = (finished[0] / "results" / "three.json").read_text()
    record = json.loads(text)
    wide, narrow = record["variants"]["wide"], record["variants"]["narrow"]
    assert wide["scores"]["fd_toy"]["values"] == {"0": 20.0, "1": 21.0}
    assert narrow["scores"]["fd_toy"]["values"] == {"0": 10.0, "1": 12.0}
    (difference,) = record["differences"]
    for found, values in (
        (wide["scores"]["fd_toy"], [20.0, 21.0]),
        (narrow["scores"]["fd_toy"], [10.0, 12.0]),
        (difference, [-10.0, -9.0]),  # narrow less wide, seed by seed
    ):
        mean = sum(values) / 2
        low, high = stats.t.interval(0.95, 1, mean, stats.sem(values))
        assert [found["mean"], found["low"], found["high"]] == pytest.approx([mean, low, high])
        assert found["n"] == 2
    assert (difference["of"], difference["less"], difference["score"]) == ("narrow", "wide", "fd_toy")
    assert [(run["seed"], run["steps"]) for run in wide["runs"]] == [(0, 12), (1, 12)]
    assert (wide["settings"]["width"], narrow["settings"]["width"]) == (8, 4)
    assert record["settings"]["batch"] == 8
    assert not {"seed", "width"} & record["settings"].keys()
    assert record["command"] == "ganvas study three.toml"
    assert record["protocols"]["fd_toy"] == [{"samples": {"n": 5}, "reference": {"source": "away"}}]
    assert record["machines"][0]["cores"] == os.cpu_count()
    assert len(record["commits"]) == 1
    assert str(finished[0]) not in text


def test_a_variant_that_fails_is_told_and_the_others_go_on(finished: tuple[Path, str]) -> None:
    folder, complaint = finished
    record = json.loads((folder / "results" / "three.json").read_text())
    assert record["failed"].keys() == {f"broken/seed-{seed}" for seed in range(2)}
    assert all("is not finite" in message for message in record["failed"].values())
    assert (record["variants"]["broken"]["runs"], record["variants"]["broken"]["scores"]) == ([], {})
    assert complaint.startswith("broken/seed-0 failed: ")
    assert complaint.endswith("(2 runs failed); the same command tries again")


def test_the_log_of_a_run_holds_what_it_said(finished: tuple[Path, str]) -> None:
    log = (finished[0] / "runs" / "three" / "narrow" / "seed-1.log").read_text()
    assert log.startswith("$ ganvas train toy smoke --data=digits --out=")
    assert "step 12/12" in log
    assert "$ ganvas evaluate " in log


@pytest.mark.parametrize(
    "changes",
    [
        [("score_every = 0", "score_every = 0\ndevice = 'cpu'\nthreads = 2")],
        [("score_every = 0", "score_every = 5\nkeep = 7")],
        [("seeds = [0, 1]", "seeds = [0, 3]")],
    ],
)
def test_a_finished_run_is_left_alone(changes: list[tuple[str, str]], asked: Callable[..., StudyRun]) -> None:
    """Also where it would be computed on another device or watched more closely."""
    run = asked(*changes)
    run.refuse_other_settings()
    assert run.finished
    assert run.commands() == []


def test_other_scores_are_taken_of_a_trained_run(asked: Callable[..., StudyRun]) -> None:
    run = asked(("n = 5", "n = 6\nmetrics = ['kd', 'fd']"))
    run.refuse_other_settings()
    words = ["evaluate", str(run.path), "--json", "--data=digits", "--n=6", "--metrics", "kd", "fd"]
    assert run.commands() == [words]


def test_more_steps_resume(asked: Callable[..., StudyRun]) -> None:
    run = asked(("score_every = 0", "score_every = 0\nsteps = 20"))
    run.refuse_other_settings()
    assert run.commands()[0] == ["resume", str(run.path), "--steps=20"]
    assert run.commands()[1][0] == "evaluate"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([("score_every = 0", "score_every = 0\nbatch = 4")], "batch 8 instead of 4"),
        ([("score_every = 0", "score_every = 0\nsteps = 11")], "steps 12 instead of 11"),
        ([("score_every = 0", "score_every = 0\nflip = false")], "flip True instead of False"),
        ([("[variants.wide]", "[variants.wide]\nwidth = 6\nema = 1")], "width 8 instead of 6, ema 0.999 instead of 1"),
        ([("score_every = 0", "score_every = 5\npatience = 3")], "score_every 0 instead of 5, patience 0 instead of 3"),
        ([("digits", "openmoji")], "data 'digits' instead of 'openmoji'"),
    ],
)  # fmt: skip
def test_a_run_with_other_settings_is_refused(
    changes: list[tuple[str, str]], said: str, asked: Callable[..., StudyRun]
) -> None:
    run = asked(*changes)
    with pytest.raises(UserError, match=re.escape(said)):
        run.refuse_other_settings()


def test_a_run_in_another_number_format_is_refused(asked: Callable[..., StudyRun]) -> None:
    """`auto` was settled by what this processor gains from; the other one is another setting."""
    found = json.loads((asked().path / "config.json").read_text())["training"]["precision"]
    other = {"fp32": "bf16", "bf16": "fp32"}[found]
    run = asked(("score_every = 0", f"score_every = 0\nprecision = '{other}'"))
    with pytest.raises(UserError, match=f"precision '{found}' instead of '{other}'"):
        run.refuse_other_settings()


def test_nothing_starts_where_a_run_is_refused(finished: tuple[Path, str], tmp_path: Path) -> None:
    (tmp_path / "three.toml").write_text(STUDY.replace("score_every = 0", "score_every = 0\nbatch = 4"))
    logs = {path: path.stat().st_size for path in finished[0].glob("runs/three/*/*.log")}
    with pytest.raises(UserError, match="batch 8 instead of 4: choose another --out"):
        study(tmp_path / "three.toml", out=finished[0] / "runs" / "three", results=tmp_path)
    assert {path: path.stat().st_size for path in finished[0].glob("runs/three/*/*.log")} == logs
    assert not (tmp_path / "three.json").exists()


def test_failures_of_any_kind_are_one_line(asked: Callable[..., StudyRun], monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores that fail, a process that is killed, one that somebody else stopped, a run that another study is at."""
    refused = make(asked(("n = 5", "n = 666")))
    assert (refused.status, refused.message) == ("failed", "there is no score")
    more = asked(("score_every = 0", "score_every = 0\nsteps = 20"))
    for program, message in (
        ("import os; print('all is well', flush=True); os.kill(os.getpid(), 9)", "it ended with signal SIGKILL"),
        ("", "it was stopped at step 12 of 20"),
        ("import sys; sys.exit(3)", "it ended with exit status 3"),
        ("raise KeyError('x')", "KeyError: 'x'"),
    ):
        monkeypatch.setattr(job, "PROGRAM", (sys.executable, "-c", program))
        assert make(more).message == message
    with more.log.open("ab") as log:
        holder = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], stdout=log)
        import fcntl

        fcntl.flock(log, fcntl.LOCK_EX)
    try:  # only the process still holds the file
        assert make(more).message == "another process is at work on this run"
    finally:
        holder.kill()
        holder.wait()


def wait_for(condition: Callable[[], Any], process: subprocess.Popen[str]) -> None:
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)


@pytest.mark.slow
def test_a_study_that_is_stopped_saves_and_goes_on(
    write: Write, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process alone gets the signal; what it has started finishes a step and saves."""
    monkeypatch.chdir(tmp_path)
    path = write("[evaluate]", settings="steps = 1_000_000")
    command = [*PROGRAM, "study", path.name, "--parallel", "2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    runs = load_study(path).runs()
    wait_for(lambda: all(len(read_stats(run.path / "stats.jsonl")) > 3 for run in runs[:2]), process)
    process.terminate()
    out, error = process.communicate()
    assert (process.returncode, error) == (0, "")
    assert out.splitlines()[-1] == "stopped and saved: the same command, `ganvas study two.toml`, goes on"
    assert [run.exists for run in runs] == [True, True, False, False]
    steps = [run.step for run in runs[:2]]
    assert all(0 < step < 1_000_000 for step in steps)
    assert not Path("results").exists()
    study(write("[evaluate]", top="seeds = [0]", settings=f"steps = {max(steps) + 5}"), parallel=2)
    out = capsys.readouterr().out
    assert f"training from step {steps[0]} to {max(steps) + 5}" in out
    assert {run.step for run in runs[:2]} == {max(steps) + 5}
    assert re.search(r"\nnarrow +1 +\d+\.\d +10\nwide +1 +\d+\.\d +20\nwide - narrow +10\n", out)


def test_patience_that_ran_out_is_an_end(asked: Callable[..., StudyRun], tmp_path: Path) -> None:
    run = asked(("score_every = 0", "score_every = 0\nsteps = 20"))
    copy = replace(run, path=tmp_path / "copy")
    (copy.path / "checkpoints").mkdir(parents=True)
    for name in ("config.json", "checkpoints/step-00000012.safetensors"):
        (copy.path / name).write_bytes((run.path / name).read_bytes())
    stop = {"event": "out of patience", "step": 12}
    for lines, ended in (([], False), ([stop | {"step": 5}], False), ([stop | {"step": 5}, stop], True)):
        (copy.path / "stats.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        assert copy.trained == ended


def test_scores_are_kept_as_evaluate_gives_them(asked: Callable[..., StudyRun], tmp_path: Path) -> None:
    """With the answer of the real `ganvas evaluate --json`; anything else is not taken for scores."""
    score = Score(3.5, {"samples": {"n": 5}}, True, error=0.5)
    answer = json.dumps(Evaluation({"fd_toy": score}, 5, 7, "run", "digits").to_json())
    run = replace(asked(), path=tmp_path)
    keep_scores(run, answer.encode())
    assert run.scored
    assert run.scores["fd_toy"]["value"] == 3.5
    for wrong in (b"", b"[]", b"{}", b'{"scores": 3}'):
        with pytest.raises(Failure, match="something else than scores"):
            keep_scores(run, wrong)


@pytest.mark.slow
def test_those_that_others_start_from_are_trained_first(write: Write, tmp_path: Path) -> None:
    """Whatever their order in the file; weights that fit are the other run's to begin with."""
    path = write("[variants.afirst]", 'init_from = "wide"', top="seeds = [0]", settings="steps = 2")
    lines = path.read_text().split("[variants.narrow]")
    head, tail = lines[0], "[variants.narrow]" + lines[1]
    narrow_and_wide, on = tail.split("[variants.afirst]")
    path.write_text(f"{head}[variants.afirst]{on}\n{narrow_and_wide}")
    result = run_study(load_study(path), tmp_path / "runs", parallel=2, results=tmp_path)
    assert not result.failed and not result.stopped
    events = read_stats(tmp_path / "runs" / "afirst" / "seed-0" / "stats.jsonl")
    (told,) = [event for event in events if event.get("event") == "initialised"]
    assert told["source"].startswith(str(tmp_path / "runs" / "wide" / "seed-0")) and told["missing"] == []
