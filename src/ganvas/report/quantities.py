"""Numbers of several runs, a row for each quantity: scores, diversity, pace, time and final losses."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ganvas.metrics.interval import Interval, interval
from ganvas.report.charts import loss_names
from ganvas.report.read import RunRecord, Score, number

Groups = list[list[RunRecord]]
"""Runs, group by group; those of one group differ in nothing but their seeds."""


@dataclass(frozen=True)
class Row:
    """One quantity of every run, None where a run does not have it.

    Attributes:
        name: Of the quantity.
        kind: `score`, `loss` or `run`.
        values: By run, in the order of the groups and of the runs in them.
        better: Which way is up, in words; empty if neither.
        protocol: How a score was measured.
    """

    name: str
    kind: str
    values: list[list[float | None]]
    better: str = ""
    protocol: dict[str, Any] | None = None

    def interval(self, group: int) -> Interval | None:
        """Mean and interval over the seeds of a group; None if no run of it has a value."""
        values = [value for value in self.values[group] if value is not None]
        return interval(values) if values else None

    def to_json(self, group: int) -> dict[str, Any]:
        """What a group has of it, JSON types."""
        found = self.interval(group)
        mean = {} if found is None else {"mean": found.mean, "low": found.low, "high": found.high, "n": found.n}
        return {"kind": self.kind, "by_run": self.values[group], **mean}

    def cell(self, group: int) -> str:
        """The same for people to read."""
        found = self.interval(group)
        if found is None:
            return "-"
        text = f"{found.mean:.4g}"
        if found.low is not None and found.high is not None:
            text += f" [{found.low:.4g}, {found.high:.4g}]"
        of = len(self.values[group])
        return text if found.n == of else f"{text} ({found.n} of {of} runs)"


def rows_of(groups: Groups) -> tuple[list[Row], list[str]]:
    """All numbers of runs, and what to be warned of."""
    scores, warnings = _score_rows(groups)
    return [*scores, *_other_rows(groups)], warnings


def distinct(values: Iterable[Any]) -> list[Any]:
    """Each value once, in the order they come in."""
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found


def _score_rows(groups: Groups) -> tuple[list[Row], list[str]]:
    """The newest scores of all runs, a row for each way in which one was measured, and what to be warned of."""
    rows, warnings = [], []
    runs = [run for group in groups for run in group]
    newest = [_newest(run) for run in runs]
    for name in distinct(name for scores in newest for name in scores):
        found = [scores.get(name, []) for scores in newest]
        ways = _ways(found)
        if len(ways) > 1:
            warnings.append(f"{name} was measured in {len(ways)} ways, which do not compare: {_difference(ways)}")
        for place, way in enumerate(ways, 1):
            label = name if len(ways) == 1 else f"{name} ({place})"
            # Of each run the one score that was measured this way, or none.
            chosen = [next((one for one in scores if one[1].way == way), None) for scores in found]
            values = [None if one is None else number(one[1].value) for one in chosen]
            better = next(one[1].better for one in chosen if one is not None)
            rows.append(Row(label, "score", _by_group(groups, values), better, way))
            steps = sorted({one[0] for one in chosen if one is not None and one[0] is not None})
            if len(steps) > 1:
                warnings.append(f"{label} was measured after different numbers of steps: {', '.join(map(str, steps))}")
            for run, one, value in zip(runs, chosen, values, strict=True):
                if one is not None and value is None:
                    warnings.append(f"{label} of {run.path} is not a number and is left out")
    return rows, warnings


def _newest(run: RunRecord) -> dict[str, list[tuple[int | None, Score]]]:
    """A run's scores with their steps: of each way of measuring one the newest, that of `ganvas evaluate` first."""
    found: dict[str, list[tuple[int | None, Score]]] = {}
    for measurement in [*([run.evaluation] if run.evaluation else []), *reversed(run.measurements)]:
        for name, score in measurement.scores.items():
            ways = found.setdefault(name, [])
            if all(score.way != other.way for _, other in ways):
                ways.append((measurement.step, score))
    return found


def _ways(found: Sequence[Sequence[tuple[int | None, Score]]]) -> list[dict[str, Any]]:
    """The ways in which a score was measured; one alone if all runs that have the score have it in that way.

    Args:
        found: The scores of one name, of every run.
    """
    by_run = [[score.way for _, score in scores] for scores in found if scores]
    ways = distinct(way for of in by_run for way in of)
    return next(([way] for way in ways if all(way in of for of in by_run)), ways)


def _difference(ways: Sequence[dict[str, Any]]) -> str:
    """The first few facts in which protocols differ."""
    told = {key: distinct(way.get(key) for way in ways) for key in distinct(key for way in ways for key in way)}
    unlike = [
        f"{key} {' / '.join(_short(value) for value in values)}" for key, values in told.items() if len(values) > 1
    ]
    return "; ".join(unlike[:4]) + ("; ..." if len(unlike) > 4 else "")


def _short(value: Any) -> str:
    """A value that fits into a line; of a hash its start and its end."""
    text = str(value)
    return text if len(text) <= 24 else f"{text[:12]}...{text[-9:]}"


def _other_rows(groups: Groups) -> list[Row]:
    """Diversity, pace, time and final losses."""
    runs = [run for group in groups for run in group]
    grids = [[number(event.get("diversity")) for event in run.events if event["event"] == "grid"] for run in runs]
    rows = [
        Row("diversity", "run", _by_group(groups, [grid[-1] if grid else None for grid in grids])),
        Row("images per second", "run", _by_group(groups, [_pace(run) for run in runs])),
        Row("minutes of training", "run", _by_group(groups, [run.seconds / 60 or None for run in runs])),
    ]
    for name in sorted({name for run in runs for name in loss_names(run.numbers)}):
        rows.append(Row(f"loss {name}", "loss", _by_group(groups, [_final(run, name) for run in runs])))
    return [row for row in rows if any(value is not None for group in row.values for value in group)]


def _pace(run: RunRecord) -> float | None:
    """Pictures a second over the whole run."""
    batch = number(run.settings["training"].get("batch"))
    return run.numbers[-1]["step"] * batch / run.seconds if batch and run.numbers and run.seconds else None


def _final(run: RunRecord, name: str) -> float | None:
    """The mean of a loss over the last tenth of a run's steps."""
    late = [number(entry.get(name)) for entry in run.numbers if entry["step"] > 0.9 * run.numbers[-1]["step"]]
    values = [value for value in late if value is not None]
    return math.fsum(values) / len(values) if values else None


def _by_group(groups: Groups, values: Sequence[float | None]) -> list[list[float | None]]:
    """Values of all runs, in order, group by group."""
    rest = iter(values)
    return [[next(rest) for _ in group] for group in groups]
