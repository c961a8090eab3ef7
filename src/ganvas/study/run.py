"""Running a study: what is left to do, on this machine or through somebody else's executor."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ganvas.engine.files import write_atomically
from ganvas.engine.folder import one_line
from ganvas.engine.signals import StopRequest
from ganvas.errors import UserError
from ganvas.study.file import Study, load_study
from ganvas.study.job import Outcome, make
from ganvas.study.plan import StudyRun
from ganvas.study.results import compare, table


class Future(Protocol):
    """Something that is being computed."""

    def result(self) -> Any:
        """Waits for it, and returns it or raises what went wrong."""
        ...


class Executor(Protocol):
    """What computes functions elsewhere: the one method of `concurrent.futures.Executor` that a study needs."""

    def submit(self, function: Callable[..., Any], /, *args: Any) -> Future:
        """Starts to compute `function(*args)`, and returns at once."""
        ...


@dataclass(frozen=True)
class StudyResult:
    """What came of a study.

    Attributes:
        outcomes: One for each run that was not done before.
        record: Scores, intervals and differences, JSON types; what is in `path`. None if the study was stopped.
        path: The file of results.
    """

    outcomes: list[Outcome]
    record: dict[str, Any] | None = None
    path: Path | None = None

    @property
    def failed(self) -> list[Outcome]:
        """The runs that failed."""
        return [outcome for outcome in self.outcomes if outcome.status == "failed"]

    @property
    def stopped(self) -> bool:
        """Whether the study was asked to stop."""
        return self.record is None


def run_study(
    study: Study,
    out: str | Path | None = None,
    *,
    executor: Executor | None = None,
    parallel: int = 1,
    results: str | Path = "results",
) -> StudyResult:
    """Does what is left to do of a study, then writes its results. Asked to stop, it saves and returns early.

    A run that fails does not keep the others from running.

    Args:
        study: The study.
        out: Folder of the runs; `runs/NAME` by default.
        executor: What the runs are handed to, such as submitit's; None runs them on this machine.
        parallel: Runs at a time on this machine.
        results: Folder of the file of results, `NAME.json`.

    Raises:
        UserError: If a run is there that has other settings than the study asks for, or nothing can be written.
    """
    runs = study.runs(out)
    for run in runs:
        run.refuse_other_settings()
    todo = [run for run in runs if not run.finished]
    print(f"{study.name}: {len(runs)} runs, {len(runs) - len(todo)} done", flush=True)
    outcomes: list[Outcome] = []
    # Those that others start from first.
    for wave in ([run for run in todo if not run.init_from], [run for run in todo if run.init_from]):
        if not any(outcome.status == "stopped" for outcome in outcomes):
            outcomes += _here(wave, parallel) if executor is None else _elsewhere(wave, executor)
    if any(outcome.status == "stopped" for outcome in outcomes):
        return StudyResult(outcomes)
    record = compare(study, runs, outcomes)
    path = Path(results) / f"{study.name}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, (json.dumps(record, indent=1, ensure_ascii=False) + "\n").encode())
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error
    return StudyResult(outcomes, record, path)


def _here(todo: list[StudyRun], parallel: int) -> list[Outcome]:
    """Runs in processes of this machine, `parallel` at a time."""
    if parallel < 1:
        raise UserError(f"--parallel is a number of runs, at least 1, not {parallel}")
    environment = {}
    if parallel > 1 and "OMP_NUM_THREADS" not in os.environ:
        # Each process would take all cores, which makes all of them several times slower.
        environment["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // parallel))
    with StopRequest() as stop, ThreadPoolExecutor(parallel) as pool:
        futures = [pool.submit(make, run, lambda: stop.made, environment) for run in todo]
        return [future.result() for future in futures]


def _elsewhere(todo: list[StudyRun], executor: Executor) -> list[Outcome]:
    """Runs as jobs of an executor; one that breaks down there is a run that failed."""
    if not todo:
        return []
    futures = [executor.submit(make, run) for run in todo]
    print(f"{len(futures)} jobs handed over; waiting for them", flush=True)
    outcomes = []
    for run, future in zip(todo, futures, strict=True):
        try:
            outcomes.append(future.result())
        except Exception as error:
            outcomes.append(Outcome(run.name, "failed", one_line(error)))
        print(f"{run.name}: {outcomes[-1].status} {outcomes[-1].message}".rstrip(), flush=True)
    return outcomes


def study(
    file: Path, out: Path | None = None, results: Path = Path("results"), parallel: int = 1, dry_run: bool = False
) -> None:
    """`ganvas study`: runs a study on this machine and prints the comparison.

    Args:
        file: The study, see docs/studies.md.
        out: Folder of the runs; `runs/NAME` by default.
        results: Folder of the file of results.
        parallel: Runs at a time.
        dry_run: Print the commands that would be run, and do nothing.

    Raises:
        UserError: If the file is not right, a run has other settings, or runs have failed.
    """
    loaded = load_study(file)
    if dry_run:
        for run in loaded.runs(out):
            run.refuse_other_settings()
            for words in run.commands():
                print(shlex.join(["ganvas", *words]))
        return
    result = run_study(loaded, out, parallel=parallel, results=results)
    if result.record is None:
        print(f"stopped and saved: the same command, `ganvas study {file}`, goes on")
        return
    print(table(result.record))
    print(f"results: {result.path}")
    if result.failed:
        first = result.failed[0]
        others = f" ({len(result.failed)} runs failed)" if len(result.failed) > 1 else ""
        raise UserError(f"{first.name} failed: {first.message}{others}; the same command tries again")
