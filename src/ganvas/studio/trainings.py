"""Trainings that the studio starts: `ganvas resume RUN` in a process of its own, which goes on when the studio ends."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from ganvas.engine.lock import ask_to_stop, holder
from ganvas.errors import UserError

LOG = "resume.log"
"""In the run's folder: what the process says."""

LINES = 8
"""Last lines of it that are shown."""

TAIL = 4096


@dataclass(frozen=True)
class Started:
    """A process, and where in its log its words begin."""

    process: subprocess.Popen[bytes]
    log: Path
    begin: int

    def last_lines(self) -> list[str]:
        """The last that it has said."""
        try:
            with self.log.open("rb") as file:
                end = file.seek(0, 2)
                file.seek(max(self.begin, end - TAIL))
                lines = file.read().decode(errors="replace").splitlines()
        except OSError:
            return []
        return [line for line in lines if line.strip()][-LINES:]


class Trainings:
    """The processes that a studio has started, by the folder of the run."""

    def __init__(self) -> None:
        """None yet."""
        self._started: dict[Path, Started] = {}
        self._busy = threading.Lock()

    def resume(self, run: Path, steps: int | None = None) -> None:
        """Starts to train a run on.

        Args:
            run: The run's folder, absolute.
            steps: Steps in all; None for as many as it was asked for.

        Raises:
            UserError: It is trained already, or its folder cannot be written to.
        """
        words = ["resume", str(run), *([] if steps is None else ["--steps", str(steps)])]
        with self._busy:
            if self.begins(run) or holder(run) is not None:
                raise UserError("this run is being trained already")
            log = run / LOG
            try:
                with log.open("ab") as file:
                    file.write(f"$ ganvas {' '.join(words)}\n".encode())
                    file.flush()
                    process = subprocess.Popen(
                        [sys.executable, "-m", "ganvas", *words],
                        stdin=subprocess.DEVNULL,
                        stdout=file,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,  # what interrupts the studio in its terminal is not for this process
                    )
                    self._started[run] = Started(process, log, file.tell())
            except OSError as error:
                raise UserError(f"cannot start it: {error.strerror or error}") from error

    def stop(self, run: Path) -> None:
        """Asks whoever trains a run to finish the step, save and end.

        Raises:
            UserError: Nobody trains it, or a process that cannot be asked from here.
        """
        if holder(run) is None and self.begins(run):
            self._started[run].process.terminate()  # it has not come to its first step
        else:
            ask_to_stop(run)

    def begins(self, run: Path) -> bool:
        """Whether a process that was started here for this run is alive."""
        started = self._started.get(run)
        return started is not None and started.process.poll() is None

    def failure(self, run: Path) -> list[str]:
        """The last words of the process that was started here last, if it failed; else none."""
        started = self._started.get(run)
        if started is None or started.process.poll() in (None, 0):
            return []
        return started.last_lines() or [f"it ended with exit status {started.process.returncode}"]
