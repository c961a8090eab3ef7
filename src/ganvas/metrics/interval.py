"""How far a score is to be trusted: errors, Student's t intervals over seeds, bootstrap intervals over pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ganvas.errors import UserError

ROUNDING = 1e-12
"""Relative: values that differ by less differ by rounding alone."""


@dataclass(frozen=True)
class Estimate:
    """A score of one set of samples.

    Attributes:
        value: The score.
        error: Its spread; the function that gives it says which one.
    """

    value: float
    error: float


@dataclass(frozen=True)
class Interval:
    """A mean and a confidence interval for what it estimates.

    Attributes:
        mean: Mean of the values, or difference of two means.
        low: Lower end; None where the values do not tell: there is one only, or all are equal.
        high: Upper end; None where `low` is.
        n: Values (of a paired difference: pairs) that it rests on.
    """

    mean: float
    low: float | None
    high: float | None
    n: int

    @property
    def excludes_zero(self) -> bool:
        """Whether zero is outside the interval; false where there is no interval."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Student's t interval for the mean of a normal population, such as a score over seeds.

    Args:
        values: One number a seed, independent of each other.
        confidence: Share of such intervals that hold the true mean.

    Raises:
        UserError: If there is no value, one is not finite, or `confidence` is not between 0 and 1.
    """
    found = _checked(values, confidence)
    return _around(found.mean(), _variance(found) / len(found), len(found) - 1.0, confidence, len(found))


def difference(a: Sequence[float], b: Sequence[float], paired: bool, confidence: float = 0.95) -> Interval:
    """Interval for mean(a) - mean(b).

    Args:
        a: One number a seed.
        b: The same of another method.
        paired: Whether a[i] and b[i] belong together, as two methods with the same seed and data do: Student's
            interval of the differences. Otherwise Welch's (1947), which lets the variances differ.
        confidence: Share of such intervals that hold the true difference.

    Raises:
        UserError: As `interval` does, or if paired values are not equally many.
    """
    first, second = _checked(a, confidence), _checked(b, confidence)
    if paired:
        if len(first) != len(second):
            raise UserError(f"{len(first)} and {len(second)} values cannot be paired: give one of each for every seed")
        gaps = first - second
        variance = _variance(gaps, scale=max(np.abs(first).max(), np.abs(second).max()))
        return _around(gaps.mean(), variance / len(gaps), len(gaps) - 1.0, confidence, len(gaps))
    parts = [_variance(values) / len(values) for values in (first, second)]
    freedom = [len(first) - 1, len(second) - 1]
    # The Welch-Satterthwaite degrees of freedom; without a spread, or with one value on a side, there are none.
    spread = sum(part**2 / nu for part, nu in zip(parts, freedom, strict=True) if nu)
    nu = sum(parts) ** 2 / spread if min(freedom) and spread else 0.0
    return _around(first.mean() - second.mean(), sum(parts), nu, confidence, len(first) + len(second))


def bootstrap(
    values: NDArray[np.float64],
    of_means: Callable[[NDArray[np.float64]], NDArray[np.float64]] = lambda means: means[:, 0],
    confidence: float = 0.95,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """Percentile interval (Efron 1979) for a mean over pictures, or for what follows from several such means.

    The pictures are drawn anew with replacement, each with all its numbers: it says how far other pictures of the
    same kind might lead, not how far another training would.

    Args:
        values: (N, K), the K numbers of each of N pictures.
        of_means: From (R, K) means the (R,) numbers wanted: the first of them, if not given.
        confidence: Share of resampled sets whose number lies within.
        resamples: How many there are.
        seed: Of the draws.

    Raises:
        UserError: As `interval` does.
    """
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 2:
        raise ValueError(f"one row a picture is needed, not {found.shape}")
    for column in found.T:
        _checked(column.tolist(), confidence)
    n = len(found)
    value = float(of_means(found.mean(0, keepdims=True))[0])
    if n == 1 or not any(_variance(column) for column in found.T):
        return Interval(value, None, None, n)
    random = np.random.default_rng(seed)
    means = np.stack([np.bincount(random.integers(n, size=n), minlength=n) @ found for _ in range(resamples)]) / n
    low, high = np.quantile(of_means(means), [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value, float(low), float(high), n)


def crossed_bootstrap(
    values: NDArray[np.float64], confidence: float = 0.95, *, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Percentile interval for the mean of what raters said of pictures: the pigeonhole bootstrap (Owen 2007).

    Raters and pictures are both drawn anew with replacement, each rater with all that he said and each picture with all
    that was said of it: other raters and other pictures of the same kinds might lead as far. Answers of one rater are
    alike and so are those on one picture, and taken for independent they would promise too much.

    Args:
        values: (raters, pictures), NaN where a rater said nothing.
        confidence: Share of resampled sets whose mean lies within.
        resamples: How many there are.
        seed: Of the draws.

    Raises:
        UserError: As `interval` does.
    """
    there = ~np.isnan(values)
    known = _checked(values[there].tolist(), confidence)
    mean, n = float(known.mean()), len(known)
    if n == 1 or not _variance(known):
        return Interval(mean, None, None, n)
    random = np.random.default_rng(seed)
    raters, pictures = (random.multinomial(of, np.full(of, 1 / of), size=resamples) for of in values.shape)
    sums, counts = (((raters @ of) * pictures).sum(1) for of in (np.where(there, values, 0.0), there.astype(float)))
    # Draws of raters that said nothing of any picture drawn have no mean.
    means = sums[counts > 0] / counts[counts > 0]
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(mean, float(low), float(high), n)


def _around(mean: float, variance: float, freedom: float, confidence: float, n: int) -> Interval:
    """The interval around a mean that has this variance."""
    if not freedom or not variance:
        # Equal values are no proof that the next one is equal too: a score may be at the end of its range.
        return Interval(float(mean), None, None, n)
    from scipy import stats

    half = float(stats.t.ppf((1 + confidence) / 2, freedom)) * math.sqrt(variance)
    return Interval(float(mean), float(mean) - half, float(mean) + half, n)


def _variance(values: NDArray[np.float64], scale: float | None = None) -> float:
    """Unbiased variance; 0 for one value, or for values that are equal but for rounding."""
    largest = np.abs(values).max() if scale is None else scale
    if np.ptp(values) <= ROUNDING * largest:
        return 0.0
    return float(values.var(ddof=1))


def _checked(values: Sequence[float], confidence: float) -> NDArray[np.float64]:
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1 or not len(found):
        raise UserError("an interval needs at least one value")
    if not np.isfinite(found).all():
        raise UserError(f"an interval needs finite values, not {', '.join(map(str, found[~np.isfinite(found)][:3]))}")
    if not 0 < confidence < 1:
        raise UserError(f"confidence is between 0 and 1, not {confidence}")
    return found
