"""From features to named scores, each with the protocol that makes it comparable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ganvas.errors import UserError
from ganvas.metrics.copying import copying
from ganvas.metrics.diversity import perceptual_distance
from ganvas.metrics.enlarged import ENLARGED, SUPER_RESOLUTION, super_resolution
from ganvas.metrics.frechet import frechet_distance, moments
from ganvas.metrics.inception_score import inception_score
from ganvas.metrics.judged import JUDGED, agreement, diversity_per_caption, layout
from ganvas.metrics.kernel import kernel_distance, kernel_distance_of_subsets
from ganvas.metrics.neighbours import precision_recall_density_coverage
from ganvas.metrics.parzen import CANDIDATES, parzen
from ganvas.metrics.pictures import CHUNK, Choice, Pictures
from ganvas.metrics.score import Found, Score, Sets
from ganvas.metrics.translated import OF_PIXELS, translation
from ganvas.systems import nearest

DIVERSITY_PAIRS = 250
"""Pairs of pictures that the diversity is a mean over; each costs two more passes through the network."""

MOST_VALIDATION = 1000
"""Pictures of the data, at most, by which the Parzen window is chosen; where there are few, a fifth of them."""

NEAREST_SHOWN = 8
"""Samples most like a picture of the data that the copying check names."""


def compute(metrics: Sequence[str], sets: Sets, *, strict: bool) -> tuple[dict[str, Score], list[str]]:
    """Scores by name, and what their reader must know.

    Args:
        metrics: Which; see `COMPUTED`.
        sets: The pictures that are compared, and their features.
        strict: Whether a score that these pictures do not allow is an error; a flag says so otherwise.

    Raises:
        UserError: If a score is not defined for these pictures and `strict`.
    """
    scores: dict[str, Score] = {}
    flags: list[str] = []
    for metric in metrics:
        try:
            found, said = COMPUTED[metric](sets)
        except UserError as error:
            if strict:
                raise
            flags.append(f"no {metric}: {error}")
            continue
        scores |= {score_name(name, sets.network.name): score for name, score in found.items()}
        flags += said
    return scores, flags


def score_name(metric: str, network: str) -> str:
    """What a score is called: after its feature network, and `fid`, `kid` with the 2015 Inception alone."""
    if metric == "parzen":
        return "parzen_pixels"
    if metric in OF_PIXELS | ENLARGED | JUDGED:
        return metric
    short = {"fd": "fid", "kd": "kid", "is": "is"}
    return short[metric] if network == "inception" and metric in short else f"{metric}_{network}"


def _fd(sets: Sets) -> Found:
    value = frechet_distance(moments(sets.fake.vectors), moments(sets.real.vectors))
    return {"fd": sets.score(value, lower=True, estimator="Frechet distance of Gaussians, float64")}, []


def _kd(sets: Sets) -> Found:
    fake, real = sets.fake.vectors, sets.real.vectors
    if sets.network.name == "inception":
        # What others call KID is a mean over random subsets.
        size = min(1000, len(fake), len(real))
        found = kernel_distance_of_subsets(fake, real, subset_size=size)
        estimator = f"unbiased MMD^2, (x.y/D + 1)^3, mean over 100 subsets of {size}; error: their spread"
    else:
        found = kernel_distance(fake, real)
        estimator = "unbiased MMD^2, (x.y/D + 1)^3, all pairs; error: standard error"
    return {"kd": sets.score(found.value, found.error, lower=True, estimator=estimator)}, []


def _prdc(sets: Sets) -> Found:
    found = precision_recall_density_coverage(sets.real.vectors, sets.fake.vectors)
    k = {"precision": 3, "recall": 3, "density": 5, "coverage": 5}
    estimator = "balls to the k-th nearest neighbour"
    scores = {
        name: sets.score(value, lower=False, estimator=estimator, k=k[name]) for name, value in found._asdict().items()
    }
    return scores, []


def _is(sets: Sets) -> Found:
    if sets.fake.probabilities is None:
        raise UserError(f"{sets.network.name} gives no class probabilities: choose --features efficientnet_lite0")
    found = inception_score(sets.fake.probabilities, splits=10)
    estimator = f"exp of the mean KL divergence, mean over 10 splits; classifier: {sets.network.name}"
    return {"is": sets.score(found.value, found.error, lower=False, estimator=estimator)}, []


def _diversity(sets: Sets) -> Found:
    def mean_distance(pictures: Pictures, count: int) -> tuple[float, float, int]:
        pairs = min(count // 2, DIVERSITY_PAIRS)
        distances = []
        for start in range(0, 2 * pairs, CHUNK):
            # Neighbours are drawn independently of each other, so these pairs are independent too.
            stages = sets.network.stages(pictures(range(start, min(start + CHUNK, 2 * pairs))))
            if not stages:
                raise UserError(f"{sets.network.name} shows no inner layers: choose --features efficientnet_lite0")
            distances.append(perceptual_distance([s[0::2] for s in stages], [s[1::2] for s in stages]))
        values = torch.cat(distances).double()
        return float(values.mean()), float(values.std() / len(values) ** 0.5), pairs

    value, error, pairs = mean_distance(sets.fake_pictures, len(sets.fake.vectors))
    data, _, _ = mean_distance(sets.real_pictures, len(sets.real.vectors))
    estimator = "mean perceptual distance of disjoint pairs, unit-normalised stages, unweighted"
    score = sets.score(value, error, lower=False, estimator=estimator, pairs=pairs, of_the_data=data)
    return {"diversity": score}, []


def _copies(sets: Sets) -> Found:
    found = copying(sets.fake.vectors, sets.real.vectors)
    names, rows = sets.real_pictures.data.names, sets.real_pictures.rows
    likeliest = found.closeness.argsort()[:NEAREST_SHOWN].tolist()
    pairs = [
        {"sample": k, "picture": names[rows[found.indices[k]]], "distance": round(found.distances[k].item(), 4)}
        for k in likeliest
    ]
    more: dict[str, Any] = {"repeats": found.repeats, "median_ratio": found.median_ratio, "likeliest": pairs}
    estimator = "share of samples nearer to a picture of the data than other pictures of the data are, Fisher's test"
    score = sets.score(found.copies, lower=True, estimator=estimator, **more)
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


def _parzen(sets: Sets) -> Found:
    return likelihood(sets.fake_pictures, len(sets.fake), sets.real_pictures, sets.protocol)


COMPUTED: dict[str, Callable[[Sets], Found]] = {
    "fd": _fd,
    "kd": _kd,
    "prdc": _prdc,
    "is": _is,
    "diversity": _diversity,
    "copies": _copies,
    "parzen": _parzen,
    "translation": translation,
    SUPER_RESOLUTION: super_resolution,
    "agreement": agreement,
    "layout": layout,
    "caption_diversity": diversity_per_caption,
}
"""`fd` Frechet distance, `kd` kernel distance, `prdc` precision, recall, density and coverage, `is` inception-like
score, `diversity` perceptual distance between samples, `copies` share of samples too near to the data, `parzen`
log-likelihood under a Parzen window of the samples, `translation` all that compares pictures with true partners,
`super-resolution` what compares enlargements: whole photos where a run or a folder is evaluated, else their middles.
Of samples drawn from captions, boxes or keypoints: `agreement` with the caption, `layout` whether things are where they
were asked for, `caption_diversity` perceptual distance between samples of one caption."""

ALONE = ("parzen", "translation", SUPER_RESOLUTION, "agreement", "layout", "caption_diversity")
"""Those that only some pictures allow, or that ask for other data."""

METRICS = tuple(metric for metric in COMPUTED if metric not in ALONE)
"""Those that are computed where none are named: the Parzen estimate asks for data that was held out, `translation` for
pairs, and of a run that learns from pairs it is computed too; so are the last three of runs that draw from such."""


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
