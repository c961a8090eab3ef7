"""How far a run is, read from its log as that grows: of a long one only what is new, and never all of it in memory."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ganvas.engine.collapse import FRACTION, PATIENCE
from ganvas.engine.folder import RunFolder
from ganvas.engine.log import LASTING_EVENTS
from ganvas.report.charts import short
from ganvas.report.read import Measurement, RunRecord, last_step, number, read_evaluation, read_measurements

POINTS = 1000
"""Points of a curve; a longer log is thinned out to between half as many and as many."""

PORTION = 4 * 2**20
"""Bytes of a log that are read at once, in less than half a second."""

WHOLE = 64 * 2**20
"""Bytes of a log of which every line counts; of one k times as long, every k-th line and all events."""

TAIL = 2**18
"""Bytes at the end of a log that tell how the run is."""

PACE = "images_per_second"

Signature = tuple[int, ...]


@dataclass
class Group:
    """Neighbouring lines of numbers as one: their last step, and of each number the sum and how many are finite."""

    step: int = 0
    lines: int = 0
    sums: dict[str, list[float]] = field(default_factory=dict)

    def take(self, entry: dict[str, Any]) -> None:
        """Takes in the line that follows. Of the pace the time a picture takes is added up."""
        self.step, self.lines = entry["step"], self.lines + 1
        for name, value in entry.items():
            if name == "step":
                continue
            if name not in self.sums:
                self.sums[name] = [0.0, 0]
            # Losses are mostly finite numbers, which this tells fastest.
            good = value if type(value) is float and value - value == 0 else number(value)
            if name == PACE:
                good = 1 / good if good else None
            if good is not None:
                known = self.sums[name]
                known[0] += good
                known[1] += 1

    def join(self, other: Group) -> None:
        """Takes in the lines of the group that follows."""
        self.step, self.lines = other.step, self.lines + other.lines
        for name, (total, count) in other.sums.items():
            known = self.sums.setdefault(name, [0.0, 0])
            known[0] += total
            known[1] += count

    def means(self) -> dict[str, Any]:
        """A line with the means; None where nothing is finite."""
        found: dict[str, Any] = {"step": self.step}
        for name, (total, count) in self.sums.items():
            mean = total / count if count else None
            found[name] = mean if not mean else short(1 / mean if name == PACE else mean)
        return found


class Thinned:
    """Lines of numbers, thinned out as they come by means of neighbours."""

    def __init__(self, most: int = POINTS) -> None:
        """Empty.

        Args:
            most: Groups to keep, even.
        """
        self.most, self.size = most, 1
        self.groups: list[Group] = []

    def add(self, entry: dict[str, Any]) -> None:
        """Takes in the line that follows."""
        if not self.groups or self.groups[-1].lines == self.size:
            if len(self.groups) == self.most:
                for first, second in zip(self.groups[::2], self.groups[1::2], strict=True):
                    first.join(second)
                self.groups, self.size = self.groups[::2], 2 * self.size
            self.groups.append(Group())
        self.groups[-1].take(entry)

    def entries(self) -> list[dict[str, Any]]:
        """The means, a line a group."""
        return [group.means() for group in self.groups]


@dataclass(frozen=True)
class Glance:
    """How a run is, by the end of its log.

    Attributes:
        step: Steps done.
        pace: Pictures a second, lately; None if that is not known.
        collapsed: Whether the newest pictures are nearly all alike.
        end: The last of the events that begin or end a sitting, empty if there is none at the end of the log.
    """

    step: int = 0
    pace: float | None = None
    collapsed: bool = False
    end: str = ""


class Progress:
    """What a run has logged, kept and read on when there is more. For several threads."""

    def __init__(self, path: Path) -> None:
        """Reads nothing yet.

        Args:
            path: The run's folder.
        """
        self.path = path
        self._folder = RunFolder(path)
        self._known: dict[str, tuple[Signature, Any]] = {}
        self._busy = threading.RLock()
        self._start_again((0, 0))

    def _start_again(self, file: Signature) -> None:
        self._file, self._at, self._size = file, 0, 0
        self._lines, self._every = 0, 1
        self._numbers = Thinned()
        self._events: list[dict[str, Any]] = []
        self._step = 0

    def settings(self) -> dict[str, Any]:
        """`config.json` as it is now, which a longer run writes anew.

        Raises:
            UserError: It is not that of a run.
        """
        found: dict[str, Any] = self._kept("config.json", self._folder.read_settings)
        return found

    def glance(self) -> Glance:
        """How the run is; cheap, whatever the length of its log."""
        found: Glance = self._kept("stats.jsonl", lambda: glance_at(self._folder.stats))
        return found

    def read(self) -> float:
        """Reads on, a portion of the log at most.

        Returns:
            How much of the log is read, 0 to 1.
        """
        with self._busy:
            try:
                with self._folder.stats.open("rb") as file:
                    stat = os.fstat(file.fileno())
                    # A run that goes back, or on, writes its log anew.
                    if (stat.st_dev, stat.st_ino) != self._file or stat.st_size < self._at:
                        self._start_again((stat.st_dev, stat.st_ino))
                        self._every = 1 + stat.st_size // WHOLE
                    self._size = stat.st_size
                    file.seek(self._at)
                    portion = file.read(PORTION)
            except OSError:
                self._start_again((0, 0))
                return 1.0
            whole = portion[: portion.rfind(b"\n") + 1]
            self._at += len(whole)
            lines = whole.splitlines()
            numbered = enumerate(lines, self._lines)
            counting = [line for at, line in numbered if at % self._every == 0 or b'"event"' in line]
            self._lines += len(lines)
            for entry in entries_of(counting):
                self._step = max(self._step, last_step([entry]))
                if "event" in entry:
                    self._events.append(entry)
                else:
                    self._numbers.add(entry)
            return 1.0 if len(portion) < PORTION else self._at / max(1, self._size)

    def version(self) -> str:
        """Changes whenever there is something new to see."""
        files = ("stats.jsonl", "metrics.jsonl", "evaluation.json", "config.json", "samples", "checkpoints")
        return "-".join(f"{part:x}" for name in files for part in signature(self.path / name)[:3:2])

    def record(self) -> RunRecord:
        """All that is known, with thinned out numbers.

        Raises:
            UserError: See `settings`.
        """
        with self._busy:
            step = max(self._step, self.glance().step)
            measured: list[Measurement] = self._kept("metrics.jsonl", lambda: read_measurements(self.path, 2**62))
            return RunRecord(
                path=self.path,
                settings={"config": {}, "training": {}, "data": {}} | self.settings(),
                environment={},
                numbers=self._numbers.entries(),
                events=list(self._events),
                measurements=[line for line in measured if (line.step or 0) <= step],
                evaluation=self._kept("evaluation.json", lambda: read_evaluation(self.path)),
            )

    @property
    def thinned(self) -> int:
        """Lines of the log that a point stands for."""
        return self._numbers.size * self._every

    def _kept(self, name: str, read: Any) -> Any:
        """What was read of a file, until that changes."""
        with self._busy:
            now = signature(self.path / name)
            if name not in self._known or self._known[name][0] != now:
                self._known[name] = now, read()
            return self._known[name][1]


def signature(path: Path) -> Signature:
    """Changes when a file, or what a folder holds, does."""
    try:
        stat = path.stat()
    except OSError:
        return 0, 0, 0
    return stat.st_mtime_ns, stat.st_ino, stat.st_size


def entries_of(lines: Iterable[bytes]) -> list[dict[str, Any]]:
    """The lines of a log that are whole."""
    found = []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("step"), int):
            found.append(entry)
    return found


def glance_at(log: Path) -> Glance:
    """How a run is, by the end of its log."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
            entries = entries_of(file.read(TAIL).splitlines())
    except OSError:
        return Glance()
    paces = [pace for entry in entries if (pace := number(entry.get(PACE)))]
    grids = [number(entry.get("diversity")) for entry in entries if entry.get("event") == "grid" and entry["step"]]
    low = [ratio is not None and ratio < FRACTION for ratio in grids[-PATIENCE:]]
    sittings = [entry for entry in entries if entry.get("event") in LASTING_EVENTS]
    end = str(sittings[-1]["event"]) if sittings else ""
    if end == "non-finite" and not sittings[-1].get("gave_up"):
        end = ""
    return Glance(last_step(entries), paces[-1] if paces else None, len(low) == PATIENCE and all(low), end)
