"""Curves of groups of runs: the mean over their seeds, and its interval as a band."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ganvas.engine.files import write_atomically
from ganvas.errors import UserError
from ganvas.metrics.interval import interval
from ganvas.report.charts import Chart, Line, Values, loss_names, short, thin
from ganvas.report.page import render
from ganvas.report.quantities import distinct
from ganvas.report.read import RunRecord
from ganvas.viz.figures import new_figure, save_figure

POINTS = 200
"""Points of a mean curve."""

Named = Sequence[tuple[str, list[RunRecord]]]
"""Groups of runs with their labels."""

Curve = dict[int, Any]
"""Values of one run, by step."""


def write_comparison(
    path: Path,
    groups: Named,
    summaries: Sequence[str],
    table: Sequence[tuple[str, str, list[str]]],
    warnings: Sequence[str],
) -> None:
    """Draws what groups of runs have, over steps.

    Args:
        path: A `.html` or `.png` file.
        groups: What to draw.
        summaries: A line about each group, for the page.
        table: Name, direction and each group's value of every quantity, for the page.
        warnings: What the reader must know, for the page.

    Raises:
        UserError: If `path` is neither, cannot be written, or there is nothing to draw.
    """
    charts = group_charts(groups)
    if not charts:
        raise UserError("there is nothing to draw: the runs of no group have numbers of the same step")
    if path.suffix.lower() == ".png":
        _write_png(path, charts, [f"[{place}] {label}" for place, (label, _) in enumerate(groups, 1)])
        return
    if path.suffix.lower() != ".html":
        raise UserError(f"{path}: curves are written as .html or .png")
    licences = distinct(run.licence for _, runs in groups for run in runs if run.licence)
    labels = [label for label, _ in groups]
    page = render(
        "comparison.html", charts, labels=labels, summaries=summaries, table=table, warnings=warnings, licences=licences
    )
    try:
        write_atomically(path, page)
    except OSError as error:
        raise UserError(f"cannot write to {path}: {error.strerror or error}") from error


def group_charts(groups: Named) -> list[Chart]:
    """A chart for each way of measuring each score, the diversity and each loss; in it a line a group."""
    runs = [run for _, of in groups for run in of]
    charts = []
    for name in distinct(name for run in runs for line in run.measurements for name in line.scores):
        scores = [line.scores[name] for run in runs for line in run.measurements if name in line.scores]
        ways = distinct(score.way for score in scores)
        for place, way in enumerate(ways, 1):
            curves = [[_score_curve(run, name, way) for run in of] for _, of in groups]
            title = name if len(ways) == 1 else f"{name}, way {place} of measuring it"
            charts.append(_chart(title, curves, scores[0].better))
    curves = [[_diversity_curve(run) for run in of] for _, of in groups]
    charts.append(_chart("Diversity of samples", curves, "share of the data's"))
    for name in distinct(sorted(name for run in runs for name in loss_names(run.numbers))):
        curves = [[{e["step"]: e[name] for e in run.numbers if name in e} for run in of] for _, of in groups]
        update, term = name.split("/", 1)
        charts.append(_chart(f"Loss of the {update}: {term}", curves, "weighted"))
    return [chart for chart in charts if any(value is not None for line in chart.lines for value in line.y)]


def _chart(title: str, curves: list[list[Curve]], unit: str) -> Chart:
    lines = [mean_line(f"[{place}]", of) for place, of in enumerate(curves, 1)]
    points = max((len(curve) for of in curves for curve in of), default=0)
    note = "Thinned out by means of neighbouring points." if points > POINTS else ""
    return Chart(title, lines, unit, note, spread="band")


def mean_line(name: str, curves: Sequence[Curve]) -> Line:
    """The mean over runs at the steps that all of them have, with its 95 % interval.

    Runs without any value do not count. A step at which one is not finite is a gap: the mean of those that are left
    would hide it.
    """
    curves = [curve for curve in curves if curve]
    if not curves:
        return Line(name, [], [])
    steps = sorted(set[int].intersection(*map(set, curves)))
    thinned = [thin(steps, [curve[step] for step in steps], POINTS) for curve in curves]
    line = Line(name, thinned[0][0], [], [], [])
    for values in zip(*(y for _, y, _ in thinned), strict=True):
        found = [value for value in values if value is not None]
        if len(found) < len(values):
            _append(line, None, None, None)
        else:
            mean = interval(found)
            _append(line, mean.mean, mean.low, mean.high)
    return line


def _append(line: Line, *point: float | None) -> None:
    ends: tuple[Values, Values, Values] = (line.y, line.low, line.high)
    for values, value in zip(ends, point, strict=True):
        values.append(None if value is None else short(value))


def _score_curve(run: RunRecord, name: str, way: dict[str, Any]) -> Curve:
    lines = (line for line in run.measurements if name in line.scores and line.scores[name].way == way)
    return {line.step: line.scores[name].value for line in lines if line.step is not None}


def _diversity_curve(run: RunRecord) -> Curve:
    return {entry["step"]: entry.get("diversity") for entry in run.events if entry["event"] == "grid"}


def _write_png(path: Path, charts: Sequence[Chart], labels: Sequence[str]) -> None:
    columns = min(3, len(charts))
    rows = math.ceil(len(charts) / columns)
    figure = new_figure(500 * columns, 350 * rows + 60, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for panel, chart in zip(panels, charts, strict=False):
        for line in chart.lines:
            y, low, high = ([math.nan if v is None else v for v in values] for values in (line.y, line.low, line.high))
            (drawn,) = panel.plot(line.x, y, marker="o" if len(y) <= 20 else "", markersize=4)
            panel.fill_between(line.x, low, high, color=drawn.get_color(), alpha=0.2, linewidth=0)
        panel.set(title=chart.title, xlabel="step", ylabel=chart.unit)
        panel.grid(alpha=0.3)
    for panel in panels[len(charts) :]:
        panel.set_axis_off()
    handles = panels[0].get_lines()
    figure.legend(handles, labels, loc="outside upper left", ncols=1 if max(map(len, labels)) > 40 else 3)
    save_figure(figure, path)
