"""From features to named scores, each with the protocol that makes it comparable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganvas.errors import UserError
from ganvas.metrics.copying import copying
from ganvas.metrics.diversity import perceptual_distance
from ganvas.metrics.frechet import frechet_distance, moments
from ganvas.metrics.inception_score import inception_score
from ganvas.metrics.kernel import kernel_distance, kernel_distance_of_subsets
from ganvas.metrics.neighbours import precision_recall_density_coverage
from ganvas.metrics.networks import FeatureNetwork, Features
from ganvas.metrics.parzen import CANDIDATES, parzen
from ganvas.metrics.pictures import CHUNK, Choice, Pictures
from ganvas.systems import nearest

DIVERSITY_PAIRS = 250
"""Pairs of pictures that the diversity is a mean over; each costs two more passes through the network."""

MOST_VALIDATION = 1000
"""Pictures of the data, at most, by which the Parzen window is chosen; where there are few, a fifth of them."""

NEAREST_SHOWN = 8
"""Samples most like a picture of the data that the copying check names."""


@dataclass(frozen=True)
class Score:
    """A number with what it takes to compute it again.

    Attributes:
        value: The score.
        protocol: Feature network, pictures on both sides, estimator: JSON types.
        lower_is_better: Which way is up.
        error: Standard error, where the estimator has one.
    """

    value: float
    protocol: dict[str, Any]
    lower_is_better: bool
    error: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        error = {} if self.error is None else {"error": self.error}
        return {
            "value": self.value,
            **error,
            "lower_is_better": self.lower_is_better,
            "protocol": self.protocol,
        }

    def __str__(self) -> str:
        arrow = "lower is better" if self.lower_is_better else "higher is better"
        return f"{self.value:.5g}" + (f" ± {self.error:.2g}" if self.error is not None else "") + f"  ({arrow})"


@dataclass(frozen=True)
class Sides:
    """The two sets of pictures that are compared.

    Attributes:
        network: What the features come from.
        fake: Features of the pictures that are scored.
        real: Features of the data.
        fake_pictures: The pictures themselves.
        real_pictures: The data's.
        protocol: What all scores of this comparison have in common.
    """

    network: FeatureNetwork
    fake: Features
    real: Features
    fake_pictures: Pictures
    real_pictures: Choice
    protocol: Mapping[str, Any]

    def score(self, value: float, error: float | None = None, *, lower: bool, **estimator: Any) -> Score:
        """A score with the common protocol and what its own estimator adds."""
        return Score(value, {"features": self.network.protocol, **self.protocol, **estimator}, lower, error)


def compute(
    metrics: Sequence[str],
    network: FeatureNetwork,
    fake: Features,
    real: Features,
    fake_pictures: Pictures,
    real_pictures: Choice,
    protocol: Mapping[str, Any],
    *,
    strict: bool,
) -> tuple[dict[str, Score], list[str]]:
    """Scores by name, and what their reader must know.

    Args:
        metrics: Which; see `COMPUTED`.
        network: What the features come from.
        fake: Features of the pictures that are scored.
        real: Features of the data.
        fake_pictures: The pictures themselves, for what features do not tell.
        real_pictures: The data's.
        protocol: What all scores have in common.
        strict: Whether a score that these pictures do not allow is an error; a flag says so otherwise.

    Raises:
        UserError: If a score is not defined for these pictures and `strict`.
    """
    sides = Sides(network, fake, real, fake_pictures, real_pictures, protocol)
    scores: dict[str, Score] = {}
    flags: list[str] = []
    for metric in metrics:
        try:
            found, said = COMPUTED[metric](sides)
        except UserError as error:
            if strict:
                raise
            flags.append(f"no {metric}: {error}")
            continue
        scores |= {score_name(name, network.name): score for name, score in found.items()}
        flags += said
    return scores, flags


def score_name(metric: str, network: str) -> str:
    """What a score is called: after its feature network, and `fid`, `kid` with the 2015 Inception alone."""
    if metric == "parzen":
        return "parzen_pixels"
    short = {"fd": "fid", "kd": "kid", "is": "is"}
    return short[metric] if network == "inception" and metric in short else f"{metric}_{network}"


Found = tuple[dict[str, Score], list[str]]


def _fd(sides: Sides) -> Found:
    value = frechet_distance(moments(sides.fake.vectors), moments(sides.real.vectors))
    return {"fd": sides.score(value, lower=True, estimator="Frechet distance of Gaussians, float64")}, []


def _kd(sides: Sides) -> Found:
    fake, real = sides.fake.vectors, sides.real.vectors
    if sides.network.name == "inception":
        # What others call KID is a mean over random subsets.
        size = min(1000, len(fake), len(real))
        found = kernel_distance_of_subsets(fake, real, subset_size=size)
        estimator = f"unbiased MMD^2, (x.y/D + 1)^3, mean over 100 subsets of {size}; error: their spread"
    else:
        found = kernel_distance(fake, real)
        estimator = "unbiased MMD^2, (x.y/D + 1)^3, all pairs; error: standard error"
    return {"kd": sides.score(found.value, found.error, lower=True, estimator=estimator)}, []


def _prdc(sides: Sides) -> Found:
    found = precision_recall_density_coverage(sides.real.vectors, sides.fake.vectors)
    k = {"precision": 3, "recall": 3, "density": 5, "coverage": 5}
    estimator = "balls to the k-th nearest neighbour"
    scores = {
        name: sides.score(value, lower=False, estimator=estimator, k=k[name]) for name, value in found._asdict().items()
    }
    return scores, []


def _is(sides: Sides) -> Found:
    if sides.fake.probabilities is None:
        raise UserError(f"{sides.network.name} gives no class probabilities: choose --features efficientnet_lite0")
    found = inception_score(sides.fake.probabilities, splits=10)
    estimator = f"exp of the mean KL divergence, mean over 10 splits; classifier: {sides.network.name}"
    return {"is": sides.score(found.value, found.error, lower=False, estimator=estimator)}, []


def _diversity(sides: Sides) -> Found:
    def mean_distance(pictures: Pictures, count: int) -> tuple[float, float, int]:
        pairs = min(count // 2, DIVERSITY_PAIRS)
        distances = []
        for start in range(0, 2 * pairs, CHUNK):
            # Neighbours are drawn independently of each other, so these pairs are independent too.
            stages = sides.network.stages(pictures(range(start, min(start + CHUNK, 2 * pairs))))
            if not stages:
                raise UserError(f"{sides.network.name} shows no inner layers: choose --features efficientnet_lite0")
            distances.append(perceptual_distance([s[0::2] for s in stages], [s[1::2] for s in stages]))
        values = torch.cat(distances).double()
        return float(values.mean()), float(values.std() / len(values) ** 0.5), pairs

    value, error, pairs = mean_distance(sides.fake_pictures, len(sides.fake.vectors))
    data, _, _ = mean_distance(sides.real_pictures, len(sides.real.vectors))
    estimator = "mean perceptual distance of disjoint pairs, unit-normalised stages, unweighted"
    score = sides.score(value, error, lower=False, estimator=estimator, pairs=pairs, of_the_data=data)
    return {"diversity": score}, []


def _copies(sides: Sides) -> Found:
    found = copying(sides.fake.vectors, sides.real.vectors)
    names, rows = sides.real_pictures.data.names, sides.real_pictures.rows
    likeliest = found.closeness.argsort()[:NEAREST_SHOWN].tolist()
    pairs = [
        {"sample": k, "picture": names[rows[found.indices[k]]], "distance": round(found.distances[k].item(), 4)}
        for k in likeliest
    ]
    more: dict[str, Any] = {"repeats": found.repeats, "median_ratio": found.median_ratio, "likeliest": pairs}
    estimator = "share of samples nearer to a picture of the data than other pictures of the data are, Fisher's test"
    score = sides.score(found.copies, lower=True, estimator=estimator, **more)
    return {"copies": score}, [f"copying: {found.reason}"] if found.flagged else []


def likelihood(fake: Pictures, n: int, real: Choice, protocol: Mapping[str, Any]) -> Found:
    """The Parzen window log-likelihood, of the pictures themselves: no feature network has a part in it.

    The data's pictures, in the order that the seed drew them in, are split: by the first ones sigma is chosen, the
    others are scored.

    Args:
        fake: The samples, on which the windows stand.
        n: How many.
        real: Pictures of the data.
        protocol: As for `compute`.

    Raises:
        UserError: If there are too few pictures to split.
    """
    validation = min(len(real) // 5, MOST_VALIDATION)
    if not validation:
        raise UserError(f"the data's pictures are split in two, and {len(real)} are too few: give at least 5")
    points = _pixels(real, len(real))
    found = parzen(_pixels(fake, n), points[:validation], points[validation:])
    estimator = (
        "mean log-likelihood in nats, float64, of the test pictures under normal windows on the samples; sigma from "
        "those tried by that of the validation pictures; error: standard error; the reference should be held out"
    )
    split = {"validation": validation, "test": len(real) - validation, "dimensions": points.shape[1]}
    tried = [round(sigma, 4) for sigma in CANDIDATES]
    pixels = {"pixels": "8 bits over 255, in [0, 1]", "sigma": round(found.sigma, 4), "sigmas": tried}
    score = Score(found.mean, {**protocol, "estimator": estimator, **split, **pixels}, False, found.error)
    at_end = f"parzen: sigma {found.sigma:.3g} is at the end of those tried: the likelihood may be too low"
    return {"parzen": score}, [at_end] if found.sigma in (CANDIDATES[0], CANDIDATES[-1]) else []


def _pixels(pictures: Pictures, n: int) -> Tensor:
    """Pictures 0 to n - 1 as rows of numbers in [0, 1], float32."""
    chunks = [pictures(range(start, min(start + CHUNK, n))).flatten(1) for start in range(0, n, CHUNK)]
    return torch.cat(chunks).float() / 255


def _parzen(sides: Sides) -> Found:
    return likelihood(sides.fake_pictures, len(sides.fake), sides.real_pictures, sides.protocol)


COMPUTED: dict[str, Callable[[Sides], Found]] = {
    "fd": _fd,
    "kd": _kd,
    "prdc": _prdc,
    "is": _is,
    "diversity": _diversity,
    "copies": _copies,
    "parzen": _parzen,
}
"""`fd` Frechet distance, `kd` kernel distance, `prdc` precision, recall, density and coverage, `is` inception-like
score, `diversity` perceptual distance between samples, `copies` share of samples too near to the data, `parzen`
log-likelihood under a Parzen window of the samples."""

METRICS = tuple(metric for metric in COMPUTED if metric != "parzen")
"""Those that are computed where none are named: the Parzen estimate asks for data that was held out."""


def check_names(metrics: Sequence[str]) -> None:
    """Makes sure that there are such metrics.

    Raises:
        UserError: If not.
    """
    for metric in metrics:
        if metric not in COMPUTED:
            raise UserError(f"there is no metric {metric!r}{nearest(metric, COMPUTED)}")
    if not metrics:
        raise UserError(f"no metric is named; there are {', '.join(COMPUTED)}")
