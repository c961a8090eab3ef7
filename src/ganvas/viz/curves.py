"""Curves of a run over its steps, as pictures: losses from `stats.jsonl`, scores from `metrics.jsonl`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ganvas.errors import UserError
from ganvas.viz.figures import new_figure, save_figure


def loss_curves(stats: Sequence[dict[str, Any]], path: Path, title: str) -> None:
    """Draws every term of every update over steps: a panel an update, a smoothed line over a faint raw one a term.

    A term has the same colour in every panel, so that what two networks make of one head can be compared.

    Args:
        stats: Entries as `ganvas.engine.log.read_stats` gives them; events are left out.
        path: Where the PNG goes.
        title: Above the panels.

    Raises:
        UserError: There is nothing to draw, matplotlib is not installed, or `path` cannot be written.
    """
    terms = loss_terms(stats)
    if not terms:
        raise UserError("there are no losses to draw yet")
    colours = {term: f"C{i}" for i, term in enumerate(sorted({term for of in terms.values() for term in of}))}
    figure = new_figure(600 * len(terms), 400, layout="constrained")
    figure.suptitle(title, parse_math=False)
    for panel, (update, of_update) in zip(figure.subplots(1, len(terms), squeeze=False)[0], terms.items(), strict=True):
        for term, points in of_update.items():
            steps, values = zip(*points, strict=True)
            window = smoothing_window(len(values))
            dot = "o" if len(values) == 1 else ""  # a line of one point would not be seen
            panel.plot(steps, values, color=colours[term], linewidth=0.8, alpha=0.35 if window > 1 else 1)
            panel.plot(steps, smoothed(values, window), color=colours[term], linewidth=1.6, marker=dot, label=term)
        panel.set(title=update, xlabel="step", ylabel="loss, weighted, mean of an interval")
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.grid(alpha=0.3)
        panel.legend()
    save_figure(figure, path)


def loss_terms(stats: Sequence[dict[str, Any]]) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Points (step, value) of every loss term of every update, both sorted by name.

    Gradient norms, and terms that were never finite, are left out.
    """
    terms: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for entry in stats:
        for key, value in sorted(entry.items()):
            update, slash, term = key.partition("/")
            if slash and term != "gradient_norm" and isinstance(value, float) and math.isfinite(value):
                terms.setdefault(update, {}).setdefault(term, []).append((entry["step"], value))
    return {update: dict(sorted(of.items())) for update, of in sorted(terms.items())}


def smoothing_window(count: int) -> int:
    """Points to average over for a line of `count` points: about a twentieth of them, odd; 1 where there are few."""
    return count // 40 * 2 + 1


def smoothed(values: ArrayLike, window: int) -> NDArray[np.float64]:
    """Centred moving average, (N,) to (N,); towards the ends the window shrinks and stays centred.

    So the first and the last value stay as they are, and a straight line stays itself.

    Args:
        values: (N,) finite numbers.
        window: Points averaged over in the middle, odd.
    """
    sums = np.concatenate([[0.0], np.cumsum(np.asarray(values, dtype=np.float64))])
    at = np.arange(len(sums) - 1)
    reach = np.minimum(window // 2, np.minimum(at, at[::-1]))
    return (sums[at + reach + 1] - sums[at - reach]) / (2 * reach + 1)


Scores = dict[str, dict[int, list[tuple[int, float, float | None]]]]


def score_curves(metrics: Sequence[Mapping[str, Any]], path: Path, title: str) -> None:
    """Draws every score over steps: a panel a score, with error bars where an error is known.

    Scores of different numbers of pictures are not comparable and are lines of their own.

    Args:
        metrics: Lines of `metrics.jsonl`: `step`, `n` and `scores`, which maps a name to `value` and perhaps `error`.
        path: Where the PNG goes.
        title: Above the panels.

    Raises:
        UserError: There is nothing to draw, matplotlib is not installed, or `path` cannot be written.
    """
    scores = score_points(metrics)
    if not scores:
        raise UserError("there are no scores to draw yet")
    columns = min(3, len(scores))
    rows = math.ceil(len(scores) / columns)
    figure = new_figure(max(600, 450 * columns), 50 + 350 * rows, layout="constrained")
    figure.suptitle(title, parse_math=False)
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for panel, (name, of_score) in zip(panels, scores.items(), strict=False):
        for n, points in of_score.items():
            steps, values, errors = zip(*points, strict=True)
            bars = [error or 0.0 for error in errors] if any(errors) else None
            panel.errorbar(steps, values, bars, marker="o", markersize=4, capsize=3, label=f"of {n:,} pictures")
        panel.set(title=name, xlabel="step")
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.grid(alpha=0.3)
        panel.legend()
    for panel in panels[len(scores) :]:
        panel.set_axis_off()
    save_figure(figure, path)


def score_points(metrics: Sequence[Mapping[str, Any]]) -> Scores:
    """Points (step, value, error or None) of every score, by name and number of pictures, sorted.

    Of several lines for the same step, number and name the last counts; values that are not finite are left out.
    """
    found: dict[str, dict[int, dict[int, tuple[float, float | None]]]] = {}
    for line in metrics:
        for name, score in line.get("scores", {}).items():
            value, error = score.get("value"), score.get("error")
            if _is_finite(value):
                points = found.setdefault(name, {}).setdefault(int(line.get("n", 0)), {})
                points[line["step"]] = (float(value), float(error) if _is_finite(error) else None)
    return {
        name: {n: [(step, *at[step]) for step in sorted(at)] for n, at in sorted(of.items())}
        for name, of in sorted(found.items())
    }


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
