"""Studies whose runs are handed to somebody else's executor, as docs/studies.md shows."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ganvas.engine.log import read_stats
from ganvas.study import load_study, run_study

STUDY = """
    system = "biggan"
    preset = "smoke"
    data = "digits"
    seeds = [0]
    [settings]
    score_every = 0
    steps = 20
    [variants.only]
"""


@pytest.mark.slow
def test_submitit_starts_a_job_again_that_lost_its_machine(tmp_path: Path) -> None:
    """With submitit's local executor, and the signal that Slurm sends to a job whose machine is taken away."""
    submitit = pytest.importorskip("submitit")

    class Again(submitit.helpers.Checkpointable):  # type: ignore[misc, name-defined]
        def __init__(self, pids: Path) -> None:
            self.pids = pids

        def __call__(self, function: Callable[..., Any], *args: Any) -> Any:
            with self.pids.open("a") as file:
                file.write(f"{os.getpid()}\n")
            return function(*args)

    class Local:
        def submit(self, function: Callable[..., Any], *args: Any) -> Any:
            executor = submitit.LocalExecutor(tmp_path / "jobs")
            executor.update_parameters(timeout_min=60)
            return executor.submit(Again(tmp_path / "pids"), function, *args)

    (tmp_path / "one.toml").write_text(STUDY)
    study = load_study(tmp_path / "one.toml")
    (run,) = study.runs(tmp_path / "runs")

    def take_the_machine_away() -> None:
        while len(read_stats(run.path / "stats.jsonl")) < 3:
            time.sleep(0.1)
        os.kill(int((tmp_path / "pids").read_text()), signal.SIGUSR2)

    taker = threading.Thread(target=take_the_machine_away, daemon=True)
    taker.start()
    result = run_study(study, tmp_path / "runs", executor=Local(), results=tmp_path / "results")
    taker.join()
    assert [outcome.status for outcome in result.outcomes] == ["done"]
    assert len((tmp_path / "pids").read_text().split()) == 2
    assert run.step == 20
    events = [entry["event"] for entry in read_stats(run.path / "stats.jsonl") if "event" in entry]
    assert ("stopped" in events, "resumed" in events) == (True, True)
    assert json.loads((tmp_path / "results" / "one.json").read_text())["variants"]["only"]["runs"][0]["steps"] == 20


def test_a_job_that_breaks_down_is_a_run_that_failed(tmp_path: Path) -> None:
    class Broken:
        def submit(self, function: Callable[..., Any], *args: Any) -> Any:
            return self

        def result(self) -> Any:
            raise RuntimeError("out of\nmemory")

    (tmp_path / "one.toml").write_text(STUDY)
    result = run_study(load_study(tmp_path / "one.toml"), tmp_path / "runs", executor=Broken(), results=tmp_path)
    assert [(o.name, o.message) for o in result.failed] == [("only/seed-0", "out of memory")]
    assert json.loads((tmp_path / "one.json").read_text())["failed"] == {"only/seed-0": "out of memory"}
