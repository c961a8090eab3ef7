"""Making one run of a study: train or resume, then score, each in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Literal

from ganvas.engine.files import write_atomically
from ganvas.engine.folder import one_line, to_text
from ganvas.errors import UserError
from ganvas.study.plan import StudyRun

with contextlib.suppress(ImportError):  # Windows has none; two studies at one run are not noticed there
    import fcntl

PROGRAM = (sys.executable, "-m", "ganvas")


@dataclass(frozen=True)
class Outcome:
    """What came of one run.

    Attributes:
        name: `VARIANT/seed-N`.
        status: `stopped` if the study was asked to stop before the run was done.
        message: Why it failed, one line.
    """

    name: str
    status: Literal["done", "stopped", "failed"]
    message: str = ""


class Failure(Exception):
    """A process that did not do what it was started for; the message is one line."""


def never() -> bool:
    """Nobody asks to stop."""
    return False


def make(run: StudyRun, stopping: Callable[[], bool] = never, environment: Mapping[str, str] | None = None) -> Outcome:
    """Does what is left to do of a run: all of it, what is missing after a stop, or nothing.

    It can be sent to another machine that sees the same files, and be started again there as often as needed.

    Args:
        run: The run.
        stopping: Tells whether to stop; the processes then finish their step and save.
        environment: Environment variables for the processes, besides those that are there.
    """
    start = time.perf_counter()
    try:
        run.path.parent.mkdir(parents=True, exist_ok=True)
        with own_log(run) as log:
            run.refuse_other_settings()
            call = partial(call_ganvas, log=log, stopping=stopping, environment=environment or {})
            if not run.trained and not stopping():
                print(f"{run.name}: training from step {run.step} to {run.chosen.training.steps}", flush=True)
                call(run.train_words(), output=log)
                if not run.trained and not stopping():
                    raise Failure(f"it was stopped at step {run.step} of {run.chosen.training.steps}")
            if run.trained and not run.scored and not stopping():
                print(f"{run.name}: scoring", flush=True)
                with tempfile.TemporaryFile() as answer:
                    call(run.evaluate_words(), output=answer)
                    answer.seek(0)
                    keep_scores(run, answer.read())
    except (Failure, UserError, OSError) as problem:
        if not stopping():
            print(f"{run.name}: failed: {one_line(problem)} (see {run.log})", flush=True)
            return Outcome(run.name, "failed", one_line(problem))
    if not run.finished:
        return Outcome(run.name, "stopped")
    print(f"{run.name}: done, step {run.step}, {(time.perf_counter() - start) / 60:.1f} minutes", flush=True)
    return Outcome(run.name, "done")


@contextlib.contextmanager
def own_log(run: StudyRun) -> Iterator[IO[bytes]]:
    """The run's log file, which this process and those that it starts hold as a lock until the last one ends.

    So a run is left alone while a process of a study that was killed is still at it.

    Raises:
        Failure: If another process holds it.
    """
    with run.log.open("ab") as log:
        try:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failure("another process is at work on this run") from None
        except (OSError, NameError):
            pass  # a system, or a network file system, without locks
        yield log


def call_ganvas(
    words: Sequence[str],
    *,
    log: IO[bytes],
    output: IO[bytes],
    stopping: Callable[[], bool],
    environment: Mapping[str, str],
) -> None:
    """Runs `ganvas WORDS` in a process of its own, to its end.

    Args:
        words: Its arguments.
        log: Where it writes errors.
        output: Where it writes the rest.
        stopping: Tells whether to ask it to stop.
        environment: Environment variables for it, besides those that are there.

    Raises:
        Failure: If its exit status is not 0; the last line of its log.
    """
    log.write(f"$ ganvas {' '.join(words)}\n".encode())
    log.flush()
    before = os.fstat(log.fileno()).st_size
    process = subprocess.Popen(
        [*PROGRAM, *words], stdin=subprocess.DEVNULL, stdout=output, stderr=log, env={**os.environ, **environment}
    )
    status, asked = None, False
    try:
        while status is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = process.wait(0.5)
            if stopping() and not asked:
                process.terminate()
                asked = True
    except BaseException:  # such as the signal that a cluster takes a job off a machine with
        process.terminate()
        process.wait()
        raise
    if status < 0:
        raise Failure(f"it ended with signal {signal.Signals(-status).name}")
    if status > 0:
        with Path(log.name).open("rb") as written:
            written.seek(before)
            lines = written.read().decode(errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip()] or [f"it ended with exit status {status}"]
        raise Failure(said[-1].removeprefix("ganvas: "))


def keep_scores(run: StudyRun, answer: bytes) -> None:
    """Writes what `ganvas evaluate --json` answered into the run's folder.

    Raises:
        Failure: If these are not scores.
    """
    try:
        scores: dict[str, Any] = json.loads(answer)
        scores["scores"].items()
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Failure("ganvas evaluate --json answered with something else than scores") from None
    write_atomically(run.evaluation, to_text({"request": run.request(), **scores}))
