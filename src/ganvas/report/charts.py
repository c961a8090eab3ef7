"""Curves over steps as plain data, for the page to draw with plotly and for matplotlib."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ganvas.report.read import RunRecord, Score, number

POINTS = 2000
"""Points of a curve; a longer one is thinned out to as many."""

Values = list[float | None]


@dataclass(frozen=True)
class Line:
    """One curve.

    Attributes:
        name: For the legend.
        x: Steps.
        y: Values, None where there is a gap.
        low: Lower end of the uncertainty of each value, or empty.
        high: Upper end, or empty.
    """

    name: str
    x: list[int]
    y: Values
    low: Values = field(default_factory=list)
    high: Values = field(default_factory=list)


@dataclass(frozen=True)
class Chart:
    """Curves that share their axes.

    Attributes:
        title: What is drawn.
        lines: The curves, at least one.
        unit: Of the values.
        note: What else the reader must know.
        logarithmic: Whether the values' axis is.
        from_zero: Whether it starts at 0.
        smooth: Whether the page may smooth the curves.
        spread: How `low` and `high` are drawn.
    """

    title: str
    lines: list[Line]
    unit: str = ""
    note: str = ""
    logarithmic: bool = False
    from_zero: bool = False
    smooth: bool = False
    spread: Literal["bars", "band"] = "bars"


def thin(steps: Sequence[int], values: Sequence[Any], most: int = POINTS) -> tuple[list[int], Values, int]:
    """Thins a curve out by means of neighbouring values.

    Args:
        steps: Step of each value, rising.
        values: Numbers; what is not finite leaves a gap, or is left out of a mean of others.
        most: Points to keep at most.

    Returns:
        The last step of each group, the group's mean to 6 digits, and how many values a group has.
    """
    size = max(1, math.ceil(len(values) / most))
    x, y = [], Values()
    for start in range(0, len(values), size):
        group = [good for value in values[start : start + size] if (good := number(value)) is not None]
        x.append(steps[min(start + size, len(steps)) - 1])
        y.append(short(sum(group) / len(group)) if group else None)
    return x, y, size


def short(value: float) -> float:
    """A number to 6 significant digits, which no screen shows more of."""
    return float(f"{value:.6g}")


def run_charts(run: RunRecord) -> list[Chart]:
    """All curves of a run: scores, losses by update, gradient norms, diversity and pace; those that have a point."""
    names = loss_names(run.numbers)
    charts = score_charts(run)
    for update in dict.fromkeys(name.split("/")[0] for name in names):
        terms = {name: name.split("/", 1)[1] for name in names if name.startswith(f"{update}/")}
        lines, note = _lines(run, terms)
        charts.append(Chart(f"Losses of the {update}", lines, "loss, weighted", note, smooth=True))
    ends = "/gradient_norm"
    norms = {key: key.removesuffix(ends) for entry in run.numbers for key in entry if key.endswith(ends)}
    lines, note = _lines(run, dict(sorted(norms.items())))
    charts.append(Chart("Gradient norms", lines, "norm over an update", note, logarithmic=True, smooth=True))
    grids = [entry for entry in run.events if entry["event"] == "grid"]
    x, y, _ = thin([entry["step"] for entry in grids], [entry.get("diversity") for entry in grids])
    line = Line("diversity", x, y)
    charts.append(Chart("Diversity of samples", [line], "share of the data's", from_zero=True))
    lines, note = _lines(run, {"images_per_second": "images per second"})
    charts.append(Chart("Speed", lines, "images per second", note, from_zero=True))
    return [chart for chart in charts if any(value is not None for line in chart.lines for value in line.y)]


def loss_names(numbers: Sequence[dict[str, Any]]) -> list[str]:
    """The losses of a run as `update/term`, sorted."""
    return sorted({key for entry in numbers for key in entry if "/" in key and not key.endswith("/gradient_norm")})


def score_charts(run: RunRecord) -> list[Chart]:
    """A chart a score, in it a line for each way in which it was measured."""
    lines: dict[str, list[tuple[Score, Line]]] = {}
    for measurement in run.measurements:
        for name, score in measurement.scores.items():
            ways = lines.setdefault(name, [])
            line = next((line for first, line in ways if first.way == score.way), None)
            if line is None:
                line = Line(f"measured in another way ({len(ways) + 1})" if ways else name, [], [], [], [])
                ways.append((score, line))
            value, error = number(score.value), number(score.error)
            line.x.append(measurement.step or 0)
            line.y.append(value)
            line.low.append(None if value is None or error is None else value - error)
            line.high.append(None if value is None or error is None else value + error)
    charts = []
    for name, ways in lines.items():
        known = any(end is not None for _, line in ways for end in line.low)
        unit = ways[0][0].better
        charts.append(Chart(name, [line for _, line in ways], unit, "Bars: standard error." if known else ""))
    return charts


def _lines(run: RunRecord, names: dict[str, str]) -> tuple[list[Line], str]:
    """A line for each of these numbers, under its label, and what to note about thinning."""
    lines, size = [], 1
    for name, label in names.items():
        # A term that is not computed in every interval has no gap there: its points are joined.
        entries = [entry for entry in run.numbers if name in entry]
        x, y, group = thin([entry["step"] for entry in entries], [entry[name] for entry in entries])
        size = max(size, group)
        lines.append(Line(label, x, y))
    return lines, f"Thinned out: a point is the mean of up to {size} lines of stats.jsonl." if size > 1 else ""
