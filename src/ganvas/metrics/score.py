"""A score with the protocol that makes it comparable, and the two sets of pictures that it is computed from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ganvas.engine.distributed import Ranks
from ganvas.metrics.networks import FeatureNetwork, Features
from ganvas.metrics.pictures import Choice, Pictures


@dataclass(frozen=True)
class Score:
    """A number with what it takes to compute it again.

    Attributes:
        value: The score.
        protocol: Feature network, pictures on both sides, estimator: JSON types.
        lower_is_better: Which way is up.
        error: Standard error, where the estimator has one.
        interval: Of a mean over pictures, where 95 % of the means over pictures drawn anew from these lie.
    """

    value: float
    protocol: dict[str, Any]
    lower_is_better: bool
    error: float | None = None
    interval: tuple[float, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        error = {} if self.error is None else {"error": self.error}
        interval = {} if self.interval is None else {"interval": list(self.interval)}
        return {
            "value": self.value,
            **error,
            **interval,
            "lower_is_better": self.lower_is_better,
            "protocol": self.protocol,
        }

    def __str__(self) -> str:
        arrow = "lower is better" if self.lower_is_better else "higher is better"
        error = f" ± {self.error:.2g}" if self.error is not None else ""
        interval = " [{:.5g}, {:.5g}]".format(*self.interval) if self.interval is not None else ""
        return f"{self.value:.5g}{error}{interval}  ({arrow})"


Found = tuple[dict[str, Score], list[str]]
"""Scores by name, and what their reader must know."""


@dataclass(frozen=True)
class Sets:
    """The two sets of pictures that are compared.

    Attributes:
        network: What the features come from.
        fake: Features of the pictures that are scored.
        real: Features of the data.
        fake_pictures: The pictures themselves.
        real_pictures: The data's; where these are `paired`, picture i that is scored should be picture i of these.
        protocol: What all scores of this comparison have in common.
        ranks: This process among those that compute the same scores.
    """

    network: FeatureNetwork
    fake: Features
    real: Features
    fake_pictures: Pictures
    real_pictures: Choice
    protocol: Mapping[str, Any]
    ranks: Ranks

    def score(
        self,
        value: float,
        error: float | None = None,
        *,
        lower: bool,
        interval: tuple[float, float] | None = None,
        of_pixels: bool = False,
        **estimator: Any,
    ) -> Score:
        """A score with the common protocol and what its own estimator adds; that of pixels names no network."""
        network = {} if of_pixels else {"features": self.network.protocol}
        return Score(value, {**network, **self.protocol, **estimator}, lower, error, interval)
