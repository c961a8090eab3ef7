"""Results of studies as tables of a page."""

from __future__ import annotations

from typing import Any

from ganvas.metrics.interval import Interval
from ganvas.metrics.opinions import WORDS, Opinions
from ganvas.metrics.turing import GENERATED, REAL, Confusion, Outcome

Table = dict[str, Any]
"""`caption`, `head` and `rows`, all of text."""


def told(result: Outcome | Opinions, people: bool) -> dict[str, Any]:
    """A result for a page: sentences under `said`, and `tables`.

    Args:
        result: Of a study.
        people: Whether to say what single people did, which is for those who asked them.
    """
    said, tables = _of_test(result, people) if isinstance(result, Outcome) else _of_opinions(result, people)
    return {"said": said, "tables": tables}


def _of_test(outcome: Outcome, people: bool) -> tuple[list[str], list[Table]]:
    pooled = outcome.pooled
    rows = [[subject.name, *_row(subject.confusion)] for subject in outcome.subjects]
    each: Table = {
        "caption": "Of each person",
        "head": ["", "answers", "right", "share right", "95 % interval"],
        "rows": [*rows, ["all", *_row(pooled)]],
    }
    confusion: Table = {
        "caption": "What was said of what",
        "head": ["", f"said {REAL}", f"said {GENERATED}"],
        "rows": [
            [REAL, str(pooled.real_real), str(pooled.real_generated)],
            [GENERATED, str(pooled.generated_real), str(pooled.generated_generated)],
        ],
    }
    return pooled.lines()[:2], [confusion, each] if people else [confusion]


def _row(confusion: Confusion) -> list[str]:
    low, high = confusion.interval()
    shares = [f"{100 * confusion.accuracy:.1f} %", f"{100 * low:.1f} to {100 * high:.1f} %"]
    return [str(confusion.n), str(confusion.correct), *shares]


def _of_opinions(opinions: Opinions, people: bool) -> tuple[list[str], list[Table]]:
    methods = [
        [method, *_mean(opinions.mean(method)), *map(str, opinions.counts(method))] for method in opinions.methods
    ]
    tables: list[Table] = [
        {
            "caption": "Mean opinion scores, and how often each score was given",
            "head": ["", "mean", "95 % interval", "scores", *map(str, WORDS)],
            "rows": methods,
        }
    ]
    if opinions.pairs:
        gaps = [[f"{a} less {b}", *_mean(opinions.difference(a, b))] for a, b in opinions.pairs]
        head = ["", "mean", "95 % interval", "pairs"]
        tables.append({"caption": "Differences, by the same person of the same photo", "head": head, "rows": gaps})
    return [opinions.lines()[0], *(opinions.flags if people else [])], tables


def _mean(found: Interval | None) -> list[str]:
    if found is None:
        return ["", "", "0"]
    between = "" if found.low is None else f"{found.low:.2f} to {found.high:.2f}"
    return [f"{found.mean:.2f}", between, str(found.n)]
