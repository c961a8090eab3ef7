"""Whether samples are copies of training pictures, or of each other."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ganvas.errors import UserError
from ganvas.metrics.checks import check_features
from ganvas.metrics.neighbours import nearest

FEWEST = 20
"""Real pictures below which `copying` cannot say what is usual."""
AROUND = 10
"""Training pictures that say how far a picture is from its neighbours."""
CLOSENESS = (0.1, 0.2, 0.3, 0.4, 0.5)
"""Thresholds at which `copying` counts: fractions of the usual distance."""
ALPHA = 0.001
"""Chance of a false alarm in one of the two questions that `copying` asks."""
MATERIAL = 0.02
"""Share of the samples, beyond that of real pictures, below which nothing is said."""


@dataclass(frozen=True)
class Copying:
    """Whether samples are copies of training pictures, or repeat each other.

    Attributes:
        flagged: Whether one of the two is found.
        reason: What is found, one line.
        copies: Share of samples that are closer to a training picture than real pictures explain; 0 where it may be
            chance.
        repeats: Share of samples that are closer to another sample than real pictures explain; 0 where it may be
            chance.
        median_ratio: Median distance of samples to the nearest training picture, over that of real pictures.
        distances: (M,) of each sample to its nearest training picture.
        closeness: (M,) these over the mean distance to the ten nearest; the lowest are the likeliest copies.
        indices: (M,) rows of the nearest training pictures.
    """

    flagged: bool
    reason: str
    copies: float
    repeats: float
    median_ratio: float
    distances: Float[Tensor, " M"]
    closeness: Float[Tensor, " M"]
    indices: Int64[Tensor, " M"]


def copying(
    fake: Float[Tensor, "M D"],
    train: Float[Tensor, "N E"],
    heldout: Float[Tensor, "H F"] | None = None,
    *,
    block: int = 512,
) -> Copying:
    """Asks whether samples are nearer to training pictures, or to each other, than real pictures are.

    Like Meehan et al. 2020 it compares samples with real pictures that could not be copies: those held out, or
    each training picture with the others. Data with twins in it is therefore no cause for alarm, as no distance
    is too small by itself. What is compared differs, for a distance alone is small also where a sample is plain,
    blurred or from a dense part of the data:

    * copies: distance to the nearest training picture over the mean distance to the ten nearest, after the
      relative distance of Carlini et al. 2023. A copy is much nearer to one training picture than to the next
      ones; a blurred or an average picture is equally far from many.
    * repeats: distance to the nearest other sample, over the median of that distance among training pictures.
      Samples that are all of one narrow kind repeat each other in this sense.

    Either is said where, below one of five thresholds up to a half, the share of samples exceeds that of real
    pictures by 0.02 or more, and Fisher's exact test finds it too large for chance at the level 0.001, divided
    among the thresholds. Counts are halved for the test, since nearest neighbours come in pairs. A chance of
    repeats grows at most in proportion to the pictures there are, and is scaled so where samples are more.

    Copies that the feature network does not see as close, and those that are rarer than twins are in the data, go
    unnoticed. Many samples of a kind of which there are fewer than ten training pictures look like copies.

    Args:
        fake: Features of samples, one row each, M >= 2.
        train: Features of the training pictures, from the same network, so E = D; N >= 20.
        heldout: Features of real pictures that were not trained on, F = D, H >= 20.
        block: Rows of a distance matrix at a time; memory grows with it, the result does not change.

    Raises:
        UserError: If features are not finite, too few or of different dimensions, those of real pictures are
            all equal, or most real pictures have an identical twin in the training data.
    """
    check_features(fake, "fake features", least=2, varied=False)
    check_features(train, "training features", least=FEWEST)
    among_train = nearest(train, train, AROUND, leave_one_out=True, block=block)[0]
    if heldout is None:
        usual = among_train
    else:
        check_features(heldout, "held-out features", least=FEWEST)
        usual = nearest(heldout, train, AROUND, block=block)[0]
    typical, usual_distance = among_train[:, 0].median(), usual[:, 0].median()
    if not (typical and usual_distance):
        raise UserError(
            "most real pictures have an identical twin among the training pictures, so copies of them cannot be told: "
            "remove the repeats from the data"
        )
    to_train, indices = nearest(fake, train, AROUND, block=block)
    among_fake = nearest(fake, fake, leave_one_out=True, block=block)[0][:, 0]
    closeness = _closeness(to_train)
    copies = _excess(closeness, _closeness(usual))
    crowding = max(1.0, (len(fake) - 1) / (len(train) - 1))
    repeats = _excess(among_fake / typical, among_train[:, 0] / typical, crowding)
    said = [f"about {copies:.1%} of the samples are near copies of training pictures"] if copies else []
    said += [f"about {repeats:.1%} of the samples nearly repeat another sample"] if repeats else []
    return Copying(
        flagged=bool(said),
        reason=", and ".join(said) or "no sign that samples copy training pictures or repeat each other",
        copies=copies,
        repeats=repeats,
        median_ratio=(to_train[:, 0].median() / usual_distance).item(),
        distances=to_train[:, 0],
        closeness=closeness,
        indices=indices[:, 0],
    )


def _closeness(distances: Float[Tensor, "M k"]) -> Float[Tensor, " M"]:
    """Distance to the nearest over the mean distance to k; 0 where all are 0."""
    return distances[:, 0] / distances.mean(1).clamp_min(torch.finfo(distances.dtype).tiny)


def _excess(ours: Float[Tensor, " M"], usual: Float[Tensor, " N"], crowding: float = 1.0) -> float:
    """By how much more of ours than of the usual values are below a threshold, at most; 0 where it may be chance.

    Args:
        ours: Values of samples; small ones are suspicious.
        usual: Those of real pictures.
        crowding: How many times more often small values come by chance among ours.
    """
    from scipy import stats

    largest = 0.0
    for threshold in CLOSENESS:
        low, low_usual = int((ours <= threshold).sum()), int((usual <= threshold).sum())
        excess = low / len(ours) - min(1.0, crowding * low_usual / len(usual))
        # Ours are scaled down, not the usual ones up: a scaled count varies less than the test takes it to.
        scaled = int(low / crowding)
        table = [[scaled // 2, (len(ours) - scaled) // 2], [-(-low_usual // 2), (len(usual) - low_usual) // 2]]
        chance = stats.fisher_exact(table, alternative="greater").pvalue
        if excess >= MATERIAL and chance <= ALPHA / len(CLOSENESS):
            largest = max(largest, excess)
    return largest
