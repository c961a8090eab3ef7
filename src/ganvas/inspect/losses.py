"""Losses over training, split into the terms of each head (fig. 8 of U-Net GAN), from `stats.jsonl`."""

from __future__ import annotations

from pathlib import Path

from ganvas.engine.log import read_stats
from ganvas.inspect.subject import Drawn, NotMade, Subject
from ganvas.viz.curves import loss_curves, loss_terms


def draw(subject: Subject, path: Path) -> Drawn:
    """Draws every term of every update.

    Raises:
        NotMade: No losses were written down yet.
    """
    stats = read_stats(subject.run.folder.stats)
    terms = loss_terms(stats)
    if not terms:
        raise NotMade(f"there are no losses in {subject.run.folder.stats}")
    loss_curves(stats, path, f"{subject.name}: losses")
    listed = "; ".join(f"{update}: {', '.join(of)}" for update, of in terms.items())
    caption = (
        f"Every term of every update, as weighted in the sum that is minimised ({listed}). "
        "Thin: means over the intervals of the log; thick: their moving average."
    )
    return Drawn(caption)
