"""Statistics of opinions: against sums by hand, all resamples there are, and raters whose means are known."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from ganvas.errors import UserError
from ganvas.metrics.interval import crossed_bootstrap
from ganvas.metrics.opinions import NEAREST, ORIGINAL, Opinions, Rater

NAN = np.nan


def opinions(scores: np.ndarray, methods: tuple[str, ...] = (NEAREST, "a", "b", ORIGINAL)) -> Opinions:
    raters = tuple(
        Rater(f"r{i}.csv", dict.fromkeys(map(str, range(scores[:, i].size)), 1)) for i in range(scores.shape[1])
    )
    return Opinions(methods, raters, tuple(f"p{i}" for i in range(scores.shape[2])), scores)


def test_means_and_differences_by_hand():
    """Two raters, two photos; one rater has no score of `a` on the second photo."""
    scores = np.array(
        [[[1, 1], [1, 2]], [[3, 4], [2, NAN]], [[5, 4], [3, 1]], [[5, 5], [4, 5]]], dtype=float
    )  # methods, raters, photos
    found = opinions(scores)
    assert [found.mean(method).mean for method in found.methods] == [1.25, 3.0, 3.25, 4.75]
    assert [found.mean(method).n for method in found.methods] == [4, 3, 4, 4]
    assert found.difference("b", "a").mean == pytest.approx((2 + 0 + 1) / 3)
    assert found.difference("b", "a").n == 3 and found.pairs == [("a", "b")]
    assert found.counts("b") == [1, 0, 1, 1, 1] and found.counts(NEAREST) == [3, 1, 0, 0, 0]
    said = found.to_json()
    assert said["differences"][0]["mean"] == pytest.approx(-1) and said["methods"]["a"]["n"] == 3
    assert said["raters"][1]["a"] == 2 and said["raters"][0]["original"] == 5 and said["flags"] == []


def every_mean(values: np.ndarray) -> Counter:
    """Means of all resamples of raters and photos there are, and how likely each is: 16 ways each of 2 and 2."""
    found: Counter = Counter()
    raters, photos = values.shape
    for rows in itertools.product(range(raters), repeat=raters):
        for columns in itertools.product(range(photos), repeat=photos):
            drawn = values[np.ix_(rows, columns)]
            if not np.isnan(drawn).all():
                found[round(float(np.nanmean(drawn)), 9)] += 1
    return found


@pytest.mark.parametrize(
    "values", [[[1, 4, 2], [3, 5, 5]], [[1, NAN], [4, 5], [2, 2]], [[3, 4, 1, 2]], [[2], [3], [5]]]
)
@pytest.mark.parametrize("confidence", [0.95, 0.7])
def test_the_interval_is_that_of_all_resamples(values, confidence):
    """Ends lie where the distribution of all that can be drawn has the tail, to the accuracy of 40,000 draws."""
    values = np.array(values, dtype=float)
    found = crossed_bootstrap(values, confidence, resamples=40_000)
    means = every_mean(values)
    total, tail = sum(means.values()), (1 - confidence) / 2

    def below(x: float, slack: float) -> float:
        return sum(count for mean, count in means.items() if mean <= x + slack) / total

    assert found.mean == pytest.approx(np.nanmean(values)) and found.n == np.isfinite(values).sum()
    assert below(found.low, -1e-6) < tail + 0.01 and below(found.low, 1e-6) > tail - 0.01
    assert 1 - below(found.high, 1e-6) < tail + 0.01 and 1 - below(found.high, -1e-6) > tail - 0.01


def test_values_that_do_not_tell():
    assert crossed_bootstrap(np.array([[3.0]])).low is None
    assert crossed_bootstrap(np.full((3, 4), 2.0)).high is None
    with pytest.raises(UserError, match="at least one value"):
        crossed_bootstrap(np.full((2, 2), NAN))


def simulated(seed: int, means: list[float], raters: int = 26, photos: int = 14) -> np.ndarray:
    """Scores with a leaning of each rater, one of each photo, and noise, rounded to 1 to 5."""
    random = np.random.default_rng(seed)
    leaning = random.normal(0, 0.4, (raters, 1)) + random.normal(0, 0.4, (1, photos))
    scores = np.array(means)[:, None, None] + leaning + random.normal(0, 0.5, (len(means), raters, photos))
    return scores.round().clip(1, 5)


def test_raters_with_known_means_are_recovered():
    """The interval holds the true mean in about 95 of 100 studies; taken for independent scores it would not."""
    means = [1.5, 2.7, 3.2, 4.4]
    held = alone = apart = 0
    for seed in range(100):
        found = opinions(simulated(seed, means))
        middle = found.mean("a")
        held += middle.low <= 2.7 <= middle.high
        own = found.scores[1]
        alone += abs(own.mean() - 2.7) <= 1.96 * own.std() / own.size**0.5
        between = found.difference("b", "a")
        apart += between.low <= 0.5 <= between.high and between.excludes_zero
    assert held >= 88 and alone <= 60 and apart >= 88
    assert found.mean(NEAREST).mean < found.mean("a").mean < found.mean("b").mean < found.mean(ORIGINAL).mean


def test_who_took_the_scale_the_other_way_round():
    scores = simulated(0, [1.2, 3, 3.3, 4.8], raters=3)
    scores[:, 1] = 6 - scores[:, 1]
    found = opinions(scores)
    assert len(found.flags) == 1 and found.flags[0].startswith("r1.csv rates originals (")
    assert any(line.startswith("note: r1.csv") for line in found.lines())


def test_the_table():
    lines = opinions(simulated(1, [1.2, 2.5, 3.5, 4.8], raters=4, photos=5)).lines()
    assert lines[0] == "80 scores of 4 raters and 5 photos; intervals over both"
    assert [line.split()[0] for line in lines[2:6]] == [NEAREST, "a", "b", ORIGINAL]
    assert lines[7].startswith("a - b  -") and "may be none" not in lines[7]
    same = opinions(np.full((4, 2, 2), 3.0)).lines()
    assert same[-1].endswith("may be none") and "to" not in same[3]
