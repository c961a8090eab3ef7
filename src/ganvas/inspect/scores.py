"""Scores over training (fig. 6 of U-Net GAN), from `metrics.jsonl`."""

from __future__ import annotations

from pathlib import Path

from ganvas.engine.log import read_stats
from ganvas.inspect.subject import Drawn, NotMade, Subject
from ganvas.viz.curves import score_curves, score_points


def draw(subject: Subject, path: Path) -> Drawn:
    """Draws every score that was measured while or after the run was trained.

    Raises:
        NotMade: None was.
    """
    metrics = read_stats(subject.run.path / "metrics.jsonl")
    points = score_points(metrics)
    if not points:
        raise NotMade(f"no scores were measured: there is no {subject.run.path / 'metrics.jsonl'}, or none in it")
    score_curves(metrics, path, f"{subject.name}: scores through training")
    caption = "Each score over the steps of training"
    if any(error is not None for of in points.values() for line in of.values() for _, _, error in line):
        caption += "; bars are one error to each side, as measured"
    last = {name: of[max(of)][-1][:2] for name, of in points.items()}
    return Drawn(
        f"{caption}.", numbers={name: {"last_step": step, "last_value": value} for name, (step, value) in last.items()}
    )
