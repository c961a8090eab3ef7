"""Curves of a run's losses, from its `stats.jsonl`, as a picture. Needs matplotlib (`pip install "ganvas[plots]"`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ganvas.errors import UserError


def loss_curves(stats: Sequence[dict[str, Any]], path: Path, title: str) -> None:
    """Draws every term of every update over steps: a panel an update, a line a term.

    Args:
        stats: Entries as `ganvas.engine.log.read_stats` gives them; events are left out.
        path: Where the PNG goes.
        title: Above the panels.

    Raises:
        UserError: There is nothing to draw, or matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError('curves are drawn with matplotlib: pip install "ganvas[plots]"') from None
    entries = [entry for entry in stats if "event" not in entry]
    names = sorted({key for entry in entries for key in entry if "/" in key and not key.endswith("/gradient_norm")})
    updates = sorted({name.split("/")[0] for name in names})
    if not updates:
        raise UserError("there are no losses to draw yet")
    figure = Figure(figsize=(6 * len(updates), 4), layout="constrained")
    figure.suptitle(title)
    for panel, update in zip(figure.subplots(1, len(updates), squeeze=False)[0], updates, strict=True):
        for name in names:
            if name.startswith(f"{update}/"):
                points = [(entry["step"], entry[name]) for entry in entries if isinstance(entry.get(name), float)]
                panel.plot(*zip(*points, strict=True), label=name.split("/")[1], linewidth=1)
        panel.set(title=update, xlabel="step", ylabel="loss, weighted, mean of an interval")
        panel.grid(alpha=0.3)
        panel.legend()
    figure.savefig(path, dpi=100)
