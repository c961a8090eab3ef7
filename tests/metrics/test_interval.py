"""Intervals over seeds, against scipy's own and by how often they hold the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from ganvas.errors import UserError
from ganvas.metrics.interval import Interval, bootstrap, difference, interval

A = [3.1, 2.7, 4.4, 3.9, 3.3]
B = [2.0, 2.9, 2.2, 3.5, 1.4]


def ends(found: Interval) -> tuple[float, float]:
    assert found.low is not None and found.high is not None
    return found.low, found.high


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_agrees_with_scipy(confidence: float) -> None:
    """Against the intervals that scipy's three t tests give."""
    one = stats.ttest_1samp(A, 0).confidence_interval(confidence)
    assert ends(interval(A, confidence)) == pytest.approx((one.low, one.high), rel=1e-12)
    paired = stats.ttest_rel(A, B).confidence_interval(confidence)
    assert ends(difference(A, B, True, confidence)) == pytest.approx((paired.low, paired.high), rel=1e-12)
    welch = stats.ttest_ind(A, B[:3], equal_var=False).confidence_interval(confidence)
    assert ends(difference(A, B[:3], False, confidence)) == pytest.approx((welch.low, welch.high), rel=1e-12)


def test_means_and_counts() -> None:
    assert interval(A).mean == pytest.approx(sum(A) / 5) and interval(A).n == 5
    for paired, n in ((True, 5), (False, 10)):
        found = difference(A, B, paired)
        assert found.mean == pytest.approx(sum(A) / 5 - sum(B) / 5) and found.n == n


def test_holds_the_truth_as_often_as_it_says() -> None:
    """Three seeds: a normal quantile in place of Student's would hold it in 81 % of cases, not in 95 %."""
    random = np.random.default_rng(0)
    trials = 2000
    hits = welch = paired = 0
    for _ in range(trials):
        a, b, shared = random.normal(1, 1, 3), random.normal(0, 3, 5), random.normal(0, 5, 5)
        low, high = ends(interval(list(a)))
        hits += low <= 1 <= high
        low, high = ends(difference(list(a), list(b), paired=False))
        welch += low <= 1 <= high
        low, high = ends(difference(list(b + shared), list(shared), paired=True))
        paired += low <= 0 <= high
    # Four standard errors of a share are 2 points; Welch's degrees of freedom are an approximation.
    assert abs(hits / trials - 0.95) < 0.02
    assert abs(paired / trials - 0.95) < 0.02
    assert abs(welch / trials - 0.95) < 0.03


def test_excludes_zero() -> None:
    assert interval([1.0, 1.1, 0.9]).excludes_zero
    assert interval([-1.0, -1.1, -0.9]).excludes_zero
    assert not interval([-1.0, 1.1, 0.9]).excludes_zero
    assert not interval([1.0]).excludes_zero


@pytest.mark.parametrize(
    "found",
    [
        interval([2.0]),
        interval([2.0, 2.0, 2.0]),
        difference([2.5], [0.5], paired=True),
        difference([2.5], [0.5, 0.4, 0.6], paired=False),
        difference([2.5, 2.5], [0.5, 0.5], paired=False),
        difference([0.3, 0.1 + 0.2], [-1.7, -1.7], paired=True),  # equal but for rounding
    ],
)
def test_no_spread_is_no_certainty(found: Interval) -> None:
    assert found.low is None and found.high is None and not found.excludes_zero
    assert found.mean == pytest.approx(2.0)


def test_one_side_without_a_spread() -> None:
    """Welch's interval is then Student's of the other side alone."""
    found, alone = difference(A, [1.0, 1.0, 1.0], paired=False), interval(A)
    assert ends(found) == pytest.approx([end - 1.0 for end in ends(alone)], rel=1e-12)


def test_order_does_not_matter() -> None:
    assert ends(interval(A[::-1])) == pytest.approx(ends(interval(A)), rel=1e-12)
    assert ends(difference(A[::-1], B, False)) == pytest.approx(ends(difference(A, B, False)), rel=1e-12)


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf, 1.0]])
def test_refuses_what_is_no_number(values: list[float]) -> None:
    with pytest.raises(UserError):
        interval(values)
    with pytest.raises(UserError):
        difference(A, values, paired=False)


def test_refuses_pairs_that_do_not_match_and_odd_confidence() -> None:
    with pytest.raises(UserError, match="5 and 3"):
        difference(A, B[:3], paired=True)
    for confidence in (0.0, 1.0, 95.0, math.nan):
        with pytest.raises(UserError, match="confidence"):
            interval(A, confidence)


def test_the_bootstrap_is_that_of_scipy() -> None:
    """Of a mean and of a ratio of means of the same pictures; both resample, so to a few hundredths of the width."""
    random = np.random.default_rng(1)
    a = random.gamma(2, 1, 80)
    b = a + random.normal(3, 0.3, 80)
    for data, statistic, of_means in (
        ((a,), lambda x, axis: x.mean(axis), lambda means: means[:, 0]),
        ((a, b), lambda x, y, axis: x.mean(axis) / y.mean(axis), lambda means: means[:, 0] / means[:, 1]),
    ):
        given = {"paired": True, "vectorized": True, "method": "percentile", "n_resamples": 9999}
        expected = stats.bootstrap(data, statistic, **given, rng=random).confidence_interval
        found = bootstrap(np.stack(data, 1), of_means, resamples=9999)
        width = expected.high - expected.low
        assert ends(found) == pytest.approx((expected.low, expected.high), abs=0.05 * width)
        assert found.mean == pytest.approx(float(statistic(*data, axis=0))) and found.n == 80
        assert found == bootstrap(np.stack(data, 1), of_means, resamples=9999)


def test_a_bootstrap_of_equal_values_or_of_one_says_nothing() -> None:
    assert bootstrap(np.full((5, 1), 2.0)) == Interval(2.0, None, None, 5)
    assert bootstrap(np.array([[3.0]])) == Interval(3.0, None, None, 1)
    with pytest.raises(UserError, match="finite"):
        bootstrap(np.array([[1.0], [math.nan]]))
