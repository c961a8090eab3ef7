"""The scores of `--metrics translation`: translated pictures beside the true ones, a chunk at a time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ganvas.errors import UserError
from ganvas.metrics.colour import BIN, Histograms, intersection, lab_histograms
from ganvas.metrics.interval import Interval, bootstrap
from ganvas.metrics.pictures import Choice, Pictures, of_chunks
from ganvas.metrics.score import Found, Score, Sets
from ganvas.metrics.translation import (
    MOST_PSNR,
    WINDOW,
    Retrieval,
    feature_distance,
    l1,
    psnr,
    retrieval,
    sharpness,
    ssim,
    unit_length,
)

MOST_RETRIEVED = 1000
"""Pictures among which true partners are looked for, at most: the first ones that are scored."""
THUMB = 32
"""Pixels: the side that pictures are reduced to where partners are looked for by their pixels."""

DTYPE = "float64 of 8-bit pixels"
"""What scores of pixels are computed in."""
OF_PIXELS = frozenset(
    {"l1", "psnr", "ssim", "sharpness_ratio", "lab_intersection_l", "lab_intersection_a", "lab_intersection_b"}
    | {"retrieval_pixels", "retrieval_top5_pixels", "retrieval_rank_pixels"}
)
"""Scores that no feature network has a part in."""


@dataclass(frozen=True)
class Compared:
    """What is measured on a chunk of pictures and their partners.

    Attributes:
        rows: (B, 5): l1, psnr, ssim (NaN of pictures that are too small), sharpness of the pictures, and of the truth.
        colours: Histograms of the pictures and of the truth.
        thumbs: Both reduced, as rows of pixels, (2, B, D) float32; of the first `MOST_RETRIEVED` pictures.
    """

    rows: Float64[Tensor, "B 5"]
    colours: tuple[Histograms, Histograms]
    thumbs: Float[Tensor, "2 M D"]


def translation(sets: Sets) -> Found:
    """Every score that compares a picture with its true partner.

    Of pictures that were drawn several times from one source the first is scored.

    Raises:
        UserError: There are no pairs.
    """
    real = sets.real_pictures
    if not real.paired:
        raise UserError("translations are compared with true partners, and these pictures come in no pairs")
    n = min(len(sets.fake), len(real))
    parts = of_chunks(partial(_compared, sets.fake_pictures, real), n, sets.ranks)
    values = torch.cat([part.rows for part in parts]).numpy()
    scores = _of_rows(sets, values) | _of_colours(sets, parts, n)
    fake, truth = sets.fake.vectors[:n], sets.real.vectors[:n]
    estimator = "1 - cosine, mean over pictures"
    scores |= _mean(sets, "feature_distance", feature_distance(fake, truth), lower=True, estimator=estimator)
    fewer = min(n, MOST_RETRIEVED)
    fake, truth = unit_length(fake[:fewer]), unit_length(truth[:fewer])
    scores |= _places(sets, "", retrieval(fake, truth), "features scaled to length 1")
    fake, truth = torch.cat([part.thumbs for part in parts], 1).unbind()
    return scores | _places(sets, "_pixels", retrieval(fake, truth), f"pixels, means down to {THUMB} a side"), []


def _compared(pictures: Pictures, truth: Choice, numbers: range) -> Compared:
    ours, theirs = _in_range(pictures(numbers)), _in_range(truth(numbers))
    if ours.shape != theirs.shape:
        raise UserError(f"pictures {tuple(ours.shape)} cannot be compared with partners {tuple(theirs.shape)}")
    similar = ssim(ours, theirs) if min(ours.shape[2:]) >= WINDOW else torch.full((len(ours),), torch.nan).double()
    rows = [l1(ours, theirs), psnr(ours, theirs), similar, sharpness(ours), sharpness(theirs)]
    colours = lab_histograms(ours), lab_histograms(theirs)
    side = min(THUMB, *ours.shape[2:])
    few = slice(max(0, MOST_RETRIEVED - numbers.start))
    thumbs = [F.adaptive_avg_pool2d(images[few], side).flatten(1).float() for images in (ours, theirs)]
    return Compared(torch.stack(rows, 1), colours, torch.stack(thumbs))


def _in_range(images: UInt8[Tensor, "B H W C"]) -> Float64[Tensor, "B C H W"]:
    """Bytes to [-1, 1]."""
    return images.permute(0, 3, 1, 2).double() / 127.5 - 1


def _of_rows(sets: Sets, values: NDArray[np.float64]) -> dict[str, Score]:
    """Means of what is measured on each picture, and how sharp pictures are beside the truth."""
    plain: dict[str, Any] = {"of_pixels": True, "dtype": DTYPE, "channels": _channels(sets), "border": 0}
    l1s, psnrs, ssims, _, theirs = torch.from_numpy(values).unbind(1)
    scores = _mean(sets, "l1", l1s, lower=True, estimator="mean absolute difference, 1 from black to white", **plain)
    estimator = f"10 log10(range^2 / mean squared difference), dB, at most {MOST_PSNR:g}, mean over pictures"
    scores |= _mean(sets, "psnr", psnrs, lower=False, estimator=estimator, **plain)
    if not ssims.isnan().any():
        estimator = "Wang et al. 2004, Gaussian window 11x11, sigma 1.5, K1 0.01, K2 0.03, mean over channels"
        scores |= _mean(sets, "ssim", ssims, lower=False, estimator=estimator, **plain)
    of_the_data = float(theirs.mean())
    if of_the_data > 0:
        found = bootstrap(values[:, 3:], ratio)
        estimator = "mean squared gradient over that of the true pictures; best at 1"
        more = plain | {"estimator": estimator, "of_the_data": of_the_data, "n": len(values)}
        scores["sharpness_ratio"] = sets.score(found.mean, lower=False, interval=ends(found), **more)
    return scores


def ratio(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of two means; infinite over zero."""
    with np.errstate(divide="ignore"):
        return means[:, 0] / means[:, 1]


def _of_colours(sets: Sets, parts: list[Compared], n: int) -> dict[str, Score]:
    """How much the histograms of L, a and b overlap; of gray pictures that of L."""
    names = ("l", "a", "b") if _channels(sets) == "RGB" else ("l",)
    estimator = "sum of the smaller shares over the bins of all pixels of all pictures, sRGB to CIE Lab, D65"
    scores = {}
    for place, name in enumerate(names):
        ours, theirs = (torch.stack([part.colours[side][place] for part in parts]).sum(0) for side in (0, 1))
        more: dict[str, Any] = {"dtype": DTYPE, "bins": len(ours), "bin": BIN, "n": n}
        value = intersection(ours, theirs)
        scores[f"lab_intersection_{name}"] = sets.score(value, lower=False, of_pixels=True, estimator=estimator, **more)
    return scores


def _places(sets: Sets, ending: str, found: Retrieval, of: str) -> dict[str, Score]:
    """How often, and at which place, the true partner is found among all that are scored."""
    n = len(found.nearer)
    told = f"nearest true picture by {of}, ties at random"
    more: dict[str, Any] = {"of_pixels": bool(ending), "among": n, "estimator": told}
    first, top, place = (f"{name}{ending}" for name in ("retrieval", "retrieval_top5", "retrieval_rank"))
    return (
        _mean(sets, first, found.within(1), lower=False, chance=1 / n, **more)
        | _mean(sets, top, found.within(5), lower=False, chance=min(1, 5 / n), **more)
        | _mean(sets, place, found.ranks, lower=True, chance=(n + 1) / 2, **more)
    )


def _mean(sets: Sets, name: str, values: Float[Tensor, " N"], *, lower: bool, **more: Any) -> dict[str, Score]:
    """The mean over pictures, with its standard error and bootstrap interval."""
    found = bootstrap(values.double().numpy()[:, None])
    error = float(values.std() / len(values) ** 0.5) if len(values) > 1 else None
    return {name: sets.score(found.mean, error, lower=lower, interval=ends(found), n=len(values), **more)}


def ends(found: Interval) -> tuple[float, float] | None:
    """The interval's, where there is one."""
    if found.low is None or found.high is None or not np.isfinite(found.high):
        return None
    return found.low, found.high


def _channels(sets: Sets) -> str:
    return "RGB" if sets.real_pictures.data.images.shape[3] == 3 else "gray"
