"""What raters make of methods: mean opinion scores, differences of methods, and whether raters understood the scale."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from ganvas.metrics.interval import Interval, crossed_bootstrap

NEAREST, ORIGINAL = "nearest", "original"
"""The anchors: what a 1 and what a 5 look like."""

WORDS = {1: "bad", 2: "poor", 3: "fair", 4: "good", 5: "excellent"}
"""What the scores mean (ITU-T P.800, absolute category rating)."""

PROTOCOL = {
    "scale": "1 (bad) to 5 (excellent), nearest-neighbour and original shown first as 1 and 5",
    "interval": "95 %, pigeonhole bootstrap: raters and photos drawn anew, 2,000 times",
    "difference": "of the scores that a rater gave two versions of a photo",
}


@dataclass(frozen=True)
class Rater:
    """One person's scores.

    Attributes:
        name: Such as that of the file.
        scores: 1 to 5, by the names of pictures.
        unrated: Pictures without.
    """

    name: str
    scores: Mapping[str, int]
    unrated: int = 0


@dataclass(frozen=True)
class Opinions:
    """What raters made of methods.

    Attributes:
        methods: With the anchors.
        raters: Who rated.
        photos: Names of the photos.
        scores: Of each method, rater and photo; NaN where there is none.
    """

    methods: tuple[str, ...]
    raters: tuple[Rater, ...]
    photos: tuple[str, ...]
    scores: Float64[np.ndarray, "methods raters photos"]

    def mean(self, method: str) -> Interval | None:
        """The mean opinion score of a method: over all its scores, with an interval; None if it has none."""
        return _mean(self.scores[self.methods.index(method)])

    def difference(self, a: str, b: str) -> Interval | None:
        """By how much raters score a method above another: mean over raters and photos that have scores of both."""
        first, second = (self.scores[self.methods.index(method)] for method in (a, b))
        return _mean(first - second)

    def counts(self, method: str) -> list[int]:
        """How often a method got 1, 2, 3, 4 and 5."""
        own = self.scores[self.methods.index(method)]
        return [int((own == score).sum()) for score in WORDS]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """All methods against each other, without the anchors."""
        own = [method for method in self.methods if method not in (NEAREST, ORIGINAL)]
        return [*itertools.combinations(own, 2)]

    @property
    def flags(self) -> list[str]:
        """What a reader of the numbers must know."""
        found = []
        for place, rater in enumerate(self.raters):
            if rater.unrated:
                found.append(f"{rater.name}: {rater.unrated} pictures are not rated, which are left out")
            low, high = (self._of_rater(method, place) for method in (NEAREST, ORIGINAL))
            if low is not None and high is not None and high < low:
                found.append(
                    f"{rater.name} rates originals ({high:.2f}) below nearest-neighbour ({low:.2f}): ask whether 5 was "
                    "taken for the best, or leave the file out"
                )
        return found

    def _of_rater(self, method: str, place: int) -> float | None:
        own = self.scores[self.methods.index(method), place]
        own = own[~np.isnan(own)]
        return float(own.mean()) if len(own) else None

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        methods = {method: _to_json(self.mean(method)) | {"counts": self.counts(method)} for method in self.methods}
        differences = [{"a": a, "b": b, **_to_json(self.difference(a, b))} for a, b in self.pairs]
        raters = [
            {"name": rater.name, "n": len(rater.scores), "unrated": rater.unrated}
            | {method: self._of_rater(method, place) for method in self.methods}
            for place, rater in enumerate(self.raters)
        ]
        return {
            "methods": methods,
            "differences": differences,
            "raters": raters,
            "photos": [*self.photos],
            "flags": self.flags,
            "protocol": PROTOCOL,
        }

    def lines(self) -> list[str]:
        """For people to read."""
        width = max(map(len, self.methods))
        count = sum(len(rater.scores) for rater in self.raters)
        people, photos = _counted(len(self.raters), "rater"), _counted(len(self.photos), "photo")
        lines = [f"{count} scores of {people} and {photos}; intervals over both"]
        lines.append(f"{'':{width}}   MOS   95 % interval  scores" + "".join(f"{score:5}" for score in WORDS))
        for method in self.methods:
            found = self.mean(method)
            shown = _shown(found) if found else f"{'':22}"
            counts = "".join(f"{times:5}" for times in self.counts(method))
            lines.append(f"{method:{width}}  {shown}  {found.n if found else 0:6}{counts}")
        if self.pairs:
            lines.append("differences, by the same rater of the same photo")
        for a, b in self.pairs:
            if (found := self.difference(a, b)) is not None:
                sure = "" if found.excludes_zero else "  may be none"
                lines.append(f"{a} - {b}  {_shown(found)}{sure}")
        return lines + [f"note: {flag}" for flag in self.flags]


def _mean(scores: Float64[np.ndarray, "raters photos"]) -> Interval | None:
    return None if np.isnan(scores).all() else crossed_bootstrap(scores)


def _to_json(found: Interval | None) -> dict[str, Any]:
    if found is None:
        return {"mean": None, "interval": None, "n": 0}
    return {"mean": found.mean, "interval": None if found.low is None else [found.low, found.high], "n": found.n}


def _shown(found: Interval) -> str:
    between = "" if found.low is None else f"{found.low:.2f} to {found.high:.2f}"
    return f"{found.mean:5.2f}  {between:>14}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" + "s" * (count != 1)
