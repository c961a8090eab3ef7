"""The kernel distance against a double loop, torchmetrics, and its own spread over many draws."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from ganvas.errors import UserError
from ganvas.metrics.interval import Estimate
from ganvas.metrics.kernel import _sums, _variance, kernel_distance, kernel_distance_of_subsets


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_loops(a: Tensor, b: Tensor) -> float:
    """Unbiased MMD^2, one pair at a time."""

    def k(x: list[float], y: list[float]) -> float:
        return (math.fsum(p * q for p, q in zip(x, y, strict=True)) / len(x) + 1) ** 3

    x, y = a.tolist(), b.tolist()
    m, n = len(x), len(y)
    within_x = math.fsum(k(x[i], x[j]) for i in range(m) for j in range(m) if i != j)
    within_y = math.fsum(k(y[i], y[j]) for i in range(n) for j in range(n) if i != j)
    between = math.fsum(k(p, q) for p in x for q in y)
    return within_x / (m * (m - 1)) + within_y / (n * (n - 1)) - 2 * between / (m * n)


def test_agrees_with_a_double_loop() -> None:
    for m, n in ((4, 4), (9, 14), (15, 5)):
        a, b = normal(m, 6, seed=m), normal(n, 6, seed=n) * 1.3 + 0.4
        assert kernel_distance(a, b).value == pytest.approx(by_loops(a, b), rel=1e-11)
        assert kernel_distance(b, a).value == pytest.approx(by_loops(a, b), rel=1e-11)


def test_closed_form_of_two_points() -> None:
    """Sets at two places, almost: k(x, x) + k(y, y) - 2 k(x, y) with x.x = y.y = 2 and x.y = 0 is 8 + 8 - 2."""
    a = torch.tensor([[math.sqrt(2), 0.0]], dtype=torch.float64).repeat(30, 1)
    b = a.flip(1)
    shake = 1e-7 * normal(30, 2)
    assert kernel_distance(a + shake, b + shake).value == pytest.approx(14, rel=1e-5)


def test_agrees_with_torchmetrics() -> None:
    kid = pytest.importorskip("torchmetrics.image.kid")
    a, b = normal(60, 16), normal(60, 16, seed=1) + 0.3
    expected = kid.poly_mmd(a, b).item()
    assert kernel_distance(a, b).value == pytest.approx(expected, rel=1e-10)
    assert kernel_distance_of_subsets(a, b, subsets=3, subset_size=60).value == pytest.approx(expected, rel=1e-10)


def test_variance_is_exactly_unbiased() -> None:
    """Over all sets of 5 and of 4 that can be drawn from two distributions over three points, with their chances."""
    points = torch.tensor([[0.0, 1.0], [2.0, -1.0], [0.5, 1.5]], dtype=torch.float64)
    m, n = 5, 4

    def outcomes(size: int, chances: tuple[float, ...]) -> list[tuple[float, Tensor]]:
        found = []
        for chosen in itertools.combinations_with_replacement(range(3), size):
            counts = [chosen.count(i) for i in range(3)]
            orders = math.factorial(size) / math.prod(map(math.factorial, counts))
            found.append((orders * math.prod(c**k for c, k in zip(chances, counts, strict=True)), points[list(chosen)]))
        return found

    weights, values, estimates = [], [], []
    for (p, a), (q, b) in itertools.product(outcomes(m, (0.2, 0.5, 0.3)), outcomes(n, (0.4, 0.3, 0.3))):
        within_a, within_b = _sums(a, a, 9, diagonal=False), _sums(b, b, 9, diagonal=False)
        weights.append(p * q)
        values.append(by_loops(a, b))
        estimates.append(sum(part.item() for part in _variance(within_a, within_b, _sums(a, b, 9))))
    assert sum(weights) == pytest.approx(1, rel=1e-12)
    variance = np.average(np.square(values), weights=weights) - np.average(values, weights=weights) ** 2
    assert np.average(estimates, weights=weights) == pytest.approx(variance, rel=1e-10)


@pytest.mark.parametrize(("m", "n", "shift"), [(60, 40, 0.0), (60, 20, 0.6)], ids=["equal", "shifted"])
def test_error_is_the_spread_over_draws(m: int, n: int, shift: float) -> None:
    """Over 600 draws, whose variance is known to 6 per cent; equal distributions are at 0, as often below it."""
    random = torch.Generator().manual_seed(m)
    found = []
    for _ in range(600):
        a = torch.randn(m, 16, generator=random, dtype=torch.float64)
        b = torch.randn(n, 16, generator=random, dtype=torch.float64) + shift
        found.append(kernel_distance(a, b))
    values, squared = np.array([one.value for one in found]), np.array([one.error**2 for one in found])
    mean_error = values.std() / math.sqrt(len(values))
    if shift:
        assert values.mean() > 10 * mean_error
        assert squared.mean() / values.var(ddof=1) == pytest.approx(1, abs=0.2)
    else:
        assert abs(values.mean()) < 3.5 * mean_error and 0.4 < np.mean(values < 0) < 0.65
        # Half of the estimates of the main effects, which are 0, are cut off there.
        assert 0.75 < np.quantile(squared, 0.25) / values.var(ddof=1) < 1.15
        assert 0.85 < squared.mean() / values.var(ddof=1) < 1.6


def test_error_shrinks_as_it_should() -> None:
    """As 1 / root of N where distributions differ, as 1 / N where they do not."""
    for shift, power in ((1.0, 0.5), (0.0, 1.0)):
        small, large = (
            kernel_distance(normal(n, 8, seed=n), normal(n, 8, seed=n + 1) + shift).error for n in (200, 1800)
        )
        assert small / large == pytest.approx(9**power, rel=0.25)


def test_does_not_depend_on_order_or_block() -> None:
    a, b = normal(70, 5), normal(50, 5, seed=1) + 0.5
    expected = kernel_distance(a, b)
    order = torch.randperm(70, generator=torch.Generator().manual_seed(2))
    for found in (kernel_distance(a[order], b.flip(0)), *(kernel_distance(a, b, block=block) for block in (1, 7, 64))):
        assert found.value == pytest.approx(expected.value, rel=1e-10)
        assert found.error == pytest.approx(expected.error, rel=1e-10)


def test_computes_in_float64() -> None:
    """Large features of float32 whose cubes cancel."""
    a, b = (normal(50, 4) * 100 + 1000).float(), (normal(50, 4, seed=1) * 100 + 1000).float()
    assert kernel_distance(a, b).value == pytest.approx(by_loops(a.double(), b.double()), rel=1e-7)


def test_subsets_are_drawn_and_averaged() -> None:
    """Against loops over the documented draws: NumPy's legacy generator, first a subset of a, then one of b."""
    a, b = normal(12, 4), normal(15, 4, seed=1) + 0.5
    random = np.random.RandomState(3)
    values = []
    for _ in range(5):
        first = random.choice(12, 6, replace=False)
        values.append(by_loops(a[first], b[random.choice(15, 6, replace=False)]))
    found = kernel_distance_of_subsets(a, b, subsets=5, subset_size=6, seed=3)
    assert found.value == pytest.approx(np.mean(values), rel=1e-11)
    assert found.error == pytest.approx(np.std(values), rel=1e-10)
    assert found == kernel_distance_of_subsets(a, b, subsets=5, subset_size=6, seed=3)
    assert found != kernel_distance_of_subsets(a, b, subsets=5, subset_size=6, seed=4)


def test_subsets_and_all_samples_estimate_the_same() -> None:
    a, b = normal(400, 6), normal(400, 6, seed=1) * 1.2
    everything = kernel_distance(a, b)
    parts = kernel_distance_of_subsets(a, b, subsets=200, subset_size=100)
    assert parts.value == pytest.approx(everything.value, abs=4 * parts.error / math.sqrt(200))
    assert everything.error < parts.error


@pytest.mark.parametrize("measure", [kernel_distance, lambda a, b: kernel_distance_of_subsets(a, b, subset_size=4)])
def test_refuses_what_is_ill_posed(measure: Callable[[Tensor, Tensor], Estimate]) -> None:
    good = normal(20, 3)
    for bad in (math.nan, math.inf):
        spoiled = good.clone()
        spoiled[3, 2] = bad
        for pair in ((good, spoiled), (spoiled, good)):
            with pytest.raises(UserError, match="1 of 20 pictures are not finite"):
                measure(*pair)
    with pytest.raises(UserError, match="3 pictures"):
        measure(good, good[:3])
    with pytest.raises(UserError, match="same for all 20"):
        measure(torch.ones(20, 3, dtype=torch.float64), good)
    with pytest.raises(UserError, match="3 and of 5"):
        measure(good, normal(20, 5))
    with pytest.raises(UserError, match="too large"):
        measure(good * 1e120, good)


def test_refuses_subsets_that_cannot_be() -> None:
    a = normal(20, 3)
    with pytest.raises(UserError, match="20 pictures, fewer than a subset of 1000"):
        kernel_distance_of_subsets(a, a)
    for wrong in ({"subsets": 0}, {"subset_size": 1}):
        with pytest.raises(UserError, match="at least"):
            kernel_distance_of_subsets(a, a, **wrong)
