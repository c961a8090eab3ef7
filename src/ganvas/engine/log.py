"""What a run says while it trains: one live line, and `stats.jsonl` with every number and event.

Numbers and pictures also go to the writers, if there are any (TensorBoard, ...).

A line of `stats.jsonl` is a JSON object with `step`, the steps done. Lines with `event` tell what happened
(`grid`, `collapse`, `non-finite`, `resumed`, ...); the others hold numbers averaged since the line before, losses
as `update/term`.
"""

from __future__ import annotations

import errno
import json
import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from ganvas.engine.files import is_full_disk, write_atomically

if TYPE_CHECKING:
    from ganvas.engine.writers import Writer

# What going back to an earlier step does not undo; all else is done, and logged, again.
LASTING_EVENTS = frozenset({"non-finite", "resumed", "damaged checkpoint", "stopped", "out of patience", "initialised"})


def read_stats(path: Path) -> list[dict[str, Any]]:
    """All whole lines of a `stats.jsonl`; one torn by a kill is left out."""
    if not path.exists():
        return []
    lines = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("step"), int):
            lines.append(entry)
    return lines


class Log:
    """Writes and shows the progress of one run; silent in every process but the first.

    Use it as a context around training: it owns the terminal's last line there, and closes its writers.

    Attributes:
        writers: Who else gets numbers and pictures. One that fails is told of, and left out from then on.
    """

    def __init__(self, path: Path | None, steps: int, batch: int, plain_seconds: float = 10.0) -> None:
        """Opens nothing yet.

        Args:
            path: `stats.jsonl`, or None to be silent.
            steps: Steps of the whole run.
            batch: Pictures a step.
            plain_seconds: Without a terminal, at most one line in so many seconds.
        """
        self.path = path
        self.steps = steps
        self.batch = batch
        self.plain_seconds = plain_seconds
        self.writers: list[Writer] = []
        self.console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
        self._live: Live | None = None
        self._disk_full = False
        self._last_plain = -math.inf
        self._mark = (0, time.perf_counter())

    def __enter__(self) -> Self:
        """Takes the terminal's last line, if there is a terminal."""
        if self.path is not None and self.console.is_terminal:
            self._live = Live(console=self.console, auto_refresh=False, transient=True)
            self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        """Gives the terminal back, and closes the writers."""
        if self._live is not None:
            self._live.__exit__(None, None, None)
            self._live = None
        self._pass_on(lambda writer: writer.close())

    def start_at(self, step: int) -> None:
        """Forgets the steps past `step`, which are about to be made again, and starts the clock."""
        self._mark = (step, time.perf_counter())
        self._pass_on(lambda writer: writer.start_at(step))
        if self.path is None or not self.path.exists():
            return
        kept = [
            entry for entry in read_stats(self.path) if entry["step"] <= step or entry.get("event") in LASTING_EVENTS
        ]
        text = "".join(json.dumps(entry) + "\n" for entry in kept)
        with FullDiskGuard(self):
            write_atomically(self.path, text.encode())

    def stats(self, step: int, losses: Mapping[str, float]) -> None:
        """Records numbers averaged since the last call, keyed `update/term`, and shows each update's total."""
        before, since = self._mark
        now = time.perf_counter()
        self._mark = (step, now)
        pace = (step - before) / max(now - since, 1e-9)
        numbers = {"images_per_second": round(pace * self.batch, 3), **losses}
        self._append({"step": step, **numbers})
        self._pass_on(lambda writer: writer.scalars(step, numbers))
        if self.path is None:
            return
        totals: dict[str, float] = {}
        for name, value in losses.items():
            update, term = name.split("/", 1)
            if term != "gradient_norm":
                totals[update] = totals.get(update, 0.0) + value
        shown = "  ".join(f"{update} {total:.3f}" for update, total in totals.items())
        left = _duration((self.steps - step) / pace) if pace > 0 else "?"
        line = f"step {step}/{self.steps}  {pace * self.batch:.1f} images/s  {left} left  {shown}"
        if self._live is not None:
            self._live.update(Text(line, no_wrap=True, overflow="ellipsis"), refresh=True)
        elif now - self._last_plain >= self.plain_seconds or step >= self.steps:
            self._last_plain = now
            self.note(line)

    def event(self, step: int, event: str, **details: Any) -> None:
        """Records that something happened after `step` steps."""
        self._append({"step": step, "event": event, **details})

    def scores(self, step: int, values: Mapping[str, float]) -> None:
        """Passes scores of samples on to the writers; they are recorded in `metrics.jsonl`."""
        named = {f"scores/{name}": value for name, value in values.items()}
        self._pass_on(lambda writer: writer.scalars(step, named))

    def picture(self, step: int, name: str, path: Path) -> None:
        """Passes a PNG file on to the writers."""
        self._pass_on(lambda writer: writer.picture(step, name, path))

    def note(self, text: str) -> None:
        """Shows one line that stays."""
        if self.path is not None:
            self.console.print(text, markup=False)

    def pause(self, seconds: float) -> None:
        """Leaves time that was not spent on training out of the pace."""
        self._mark = (self._mark[0], self._mark[1] + seconds)

    def disk_is_full(self, reason: str) -> None:
        """Tells that something could not be written, once until `disk_has_room`."""
        if not self._disk_full:
            self.note(f"the disk is full ({reason}): free some space; training goes on, the last checkpoint stays")
        self._disk_full = True

    def disk_has_room(self) -> None:
        """Takes in that a checkpoint could be written."""
        self._disk_full = False

    def _pass_on(self, send: Callable[[Writer], None]) -> None:
        """Does something with every writer; whatever fails must not stop training."""
        for writer in tuple(self.writers):
            try:
                send(writer)
            except Exception as error:
                self.writers.remove(writer)
                reason = " ".join(str(error).split()) or type(error).__name__
                self.note(f"{writer.name} failed ({reason}) and gets no more of this run; stats.jsonl has everything")

    def _append(self, entry: Mapping[str, Any]) -> None:
        if self.path is None:
            return
        # JSON has no NaN: a number that is not finite is written as text.
        finite = {
            key: str(value) if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in entry.items()
        }
        line = (json.dumps(finite) + "\n").encode()
        with FullDiskGuard(self), self.path.open("ab", buffering=0) as file:
            size = file.tell()
            try:
                if file.write(line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            except OSError:
                file.truncate(size)  # no half lines
                raise


class FullDiskGuard:
    """A context that lets training survive a full disk: it is told once, and `failed` is set."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.failed = False

    def __enter__(self) -> Self:
        """Guards what follows."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        """Swallows the error of a full disk, and no other."""
        self.failed = is_full_disk(error)
        if self.failed:
            self.log.disk_is_full(str(error))
        return self.failed


def _duration(seconds: float) -> str:
    """`1:05:09` or `5:09`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
