"""The Inception score against closed forms and scipy's divergence."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from ganvas.errors import UserError
from ganvas.metrics.inception_score import inception_score


def predictions(n: int, classes: int, seed: int = 0) -> Tensor:
    logits = torch.randn(n, classes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (2 * logits).softmax(1)


def test_uniform_predictions_score_one() -> None:
    found = inception_score(torch.full((100, 7), 1 / 7), splits=4)
    assert found.value == pytest.approx(1, abs=1e-6) and found.error == pytest.approx(0, abs=1e-6)


def test_certain_predictions_of_every_class_score_their_number() -> None:
    certain = torch.eye(13).repeat(20, 1)
    assert inception_score(certain, splits=1).value == pytest.approx(13, rel=1e-12)
    assert inception_score(certain[:, :12][certain[:, 12] == 0], splits=1).value == pytest.approx(12, rel=1e-12)


def test_two_levels_in_closed_form() -> None:
    """Pictures that are p sure of one of two classes, each as often: 2 exp(-H(p))."""
    p = 0.8
    rows = torch.tensor([[p, 1 - p], [1 - p, p]], dtype=torch.float64).repeat(50, 1)
    entropy = -(p * math.log(p) + (1 - p) * math.log(1 - p))
    assert inception_score(rows, splits=1).value == pytest.approx(2 * math.exp(-entropy), rel=1e-12)


def test_agrees_with_scipys_divergence() -> None:
    rows = predictions(60, 9)
    rows[0] = torch.eye(9, dtype=torch.float64)[3]  # zeros are probabilities too
    values = rows.numpy()
    expected = math.exp(np.mean([stats.entropy(row, values.mean(0)) for row in values]))
    assert inception_score(rows, splits=1).value == pytest.approx(expected, rel=1e-12)


def test_splits_of_one_score_one() -> None:
    """Then p(y) is p(y|x); also the value is a mean over splits, not the score of all."""
    found = inception_score(predictions(20, 5), splits=20)
    assert found.value == pytest.approx(1, rel=1e-12) and found.error == pytest.approx(0, abs=1e-12)


def test_error_is_the_spread_over_splits() -> None:
    """Two pictures of two classes in two splits: each split scores 2 if it got one of each, else 1."""
    rows = torch.eye(2, dtype=torch.float64).repeat(2, 1)
    seen = {(round(f.value, 9), round(f.error, 9)) for f in (inception_score(rows, 2, seed) for seed in range(20))}
    assert seen == {(2.0, 0.0), (1.0, 0.0)}
    uneven = {round(inception_score(torch.eye(2)[[0, 0, 0, 1]], 2, seed).error, 6) for seed in range(20)}
    assert uneven == {0.5}


def test_pictures_sorted_by_class_are_mixed() -> None:
    """A folder in the order of its classes would score 1 in splits that are cut in that order."""
    ordered = torch.eye(10).repeat_interleave(100, 0)
    assert inception_score(ordered, splits=10).value > 8.5


def test_does_not_depend_on_order() -> None:
    rows = torch.cat([predictions(97, 6), predictions(20, 6)])  # 20 of them twice
    expected = inception_score(rows)
    for seed in range(3):
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
        assert inception_score(rows[order]) == expected
    assert inception_score(rows, seed=1) != expected


def test_zero_has_no_sign() -> None:
    rows = torch.eye(4)
    assert inception_score(torch.where(rows == 0, -0.0, rows).repeat(5, 1), 3) == inception_score(rows.repeat(5, 1), 3)


def test_refuses_what_are_no_probabilities() -> None:
    good = predictions(30, 5)
    negative = good.clone()
    negative[2, 0], negative[2, 1] = -0.1, good[2, 0] + good[2, 1] + 0.1
    unknown = good.clone()
    unknown[4, 4] = math.nan
    for bad in (negative, unknown):
        with pytest.raises(UserError, match="1 of 30 rows"):
            inception_score(bad)
    with pytest.raises(UserError, match="softmax"):
        inception_score(good * 1.01)
    with pytest.raises(UserError, match="softmax"):
        inception_score(good.log())


def test_refuses_too_few() -> None:
    with pytest.raises(UserError, match="9 pictures cannot be cut into 10"):
        inception_score(predictions(9, 5))
    with pytest.raises(UserError, match="splits"):
        inception_score(predictions(9, 5), splits=0)
    with pytest.raises(UserError, match="K >= 2"):
        inception_score(torch.ones(20, 1))
