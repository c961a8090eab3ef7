"""The Parzen window log-likelihood against closed forms, scikit-learn, and a sigma that is known to be best."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from ganvas.errors import UserError
from ganvas.metrics.parzen import CANDIDATES, choose_sigma, log_likelihood, parzen


def uniform(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Numbers as pixels are, in [0, 1]."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize(("dimensions", "sigma"), [(1, 0.3), (7, 1.0), (784, 0.2), (784, 0.01)])
def test_one_sample_is_a_normal_density(dimensions: int, sigma: float) -> None:
    """Against SciPy, exactly; at the sample itself the density's peak."""
    sample, points = uniform(1, dimensions), uniform(5, dimensions, seed=1)
    found = log_likelihood(points, sample, sigma)
    assert found.shape == (5,) and found.dtype == torch.float64
    expected = stats.norm(sample.numpy(), sigma).logpdf(points.numpy()).sum(1)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    peak = -dimensions * math.log(sigma * math.sqrt(2 * math.pi))
    assert log_likelihood(sample, sample, sigma).item() == pytest.approx(peak, rel=1e-12)


@pytest.mark.parametrize("sigma", [0.1, 0.35, 1.0])
def test_against_scikit_learn(sigma: float) -> None:
    neighbors = pytest.importorskip("sklearn.neighbors")
    points, samples = uniform(40, 30), uniform(70, 30, seed=1)
    # One leaf holds all: where it prunes between leaves, theirs loses likelihoods that differ by hundreds of nats.
    theirs = neighbors.KernelDensity(bandwidth=sigma, leaf_size=1000).fit(samples.numpy())
    np.testing.assert_allclose(log_likelihood(points, samples, sigma), theirs.score_samples(points.numpy()), rtol=1e-9)


def test_log_of_the_mean_not_the_mean_of_logs() -> None:
    """Two samples, by hand."""
    point, samples = torch.zeros(1, 1), torch.tensor([[1.0], [3.0]])
    expected = math.log((math.exp(-0.5) + math.exp(-4.5)) / 2) - 0.5 * math.log(2 * math.pi)
    assert log_likelihood(point, samples, 1.0).item() == pytest.approx(expected, rel=1e-12)


def test_stable_far_from_all_samples() -> None:
    """exp(-5e9) is 0 in any float; its logarithm is not. And far from zero digits are not lost."""
    samples = torch.tensor([[0.0], [1e3]], dtype=torch.float64)
    found = log_likelihood(torch.tensor([[-1e4]]), samples, 0.1)
    expected = -(1e4**2) / 0.02 - math.log(2) - math.log(0.1 * math.sqrt(2 * math.pi))
    assert found.item() == pytest.approx(expected, rel=1e-12)
    points, samples = uniform(20, 5), uniform(30, 5, seed=1)
    shifted = log_likelihood(points + 2.0**20, samples + 2.0**20, 0.2)
    np.testing.assert_allclose(shifted, log_likelihood(points, samples, 0.2), rtol=1e-6)


@pytest.mark.parametrize("block", [1, 7, 64, 10_000])
def test_blocks_do_not_matter(block: int) -> None:
    points, samples = uniform(50, 20), uniform(90, 20, seed=1)
    whole = log_likelihood(points, samples, 0.2)
    np.testing.assert_allclose(log_likelihood(points, samples, 0.2, block=block), whole, rtol=1e-12)
    assert choose_sigma(points, samples, block=block) == choose_sigma(points, samples)


def test_memory_is_bounded_by_the_block() -> None:
    """No tensor of all points by all samples is made."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Largest(TorchDispatchMode):
        numbers = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            made = function(*args, **(kwargs or {}))
            for tensor in made if isinstance(made, list | tuple) else [made]:
                if isinstance(tensor, Tensor):
                    Largest.numbers = max(Largest.numbers, tensor.numel())
            return made

    points, samples = uniform(600, 3), uniform(700, 3, seed=1)
    with Largest():
        log_likelihood(points, samples, 0.2, block=50)
    assert Largest.numbers <= max(50 * 50, 700 * 3) < 600 * 700


def test_float32_is_computed_in_float64() -> None:
    points, samples = uniform(20, 784, dtype=torch.float32), uniform(30, 784, seed=1, dtype=torch.float32)
    exact = log_likelihood(points.double(), samples.double(), 0.1)
    np.testing.assert_allclose(log_likelihood(points, samples, 0.1), exact, rtol=1e-12)


def test_sigma_is_chosen_by_held_out_points() -> None:
    """Samples all at 0 and points from N(0, s^2 I): the best sigma is the one nearest to s, whose root mean square
    distance maximises the likelihood; and the published ten are spread evenly from 0.1 to 1."""
    np.testing.assert_allclose(CANDIDATES, np.logspace(-1, 0, 10), rtol=1e-12)
    samples = torch.zeros(3, 50, dtype=torch.float64)
    for true in CANDIDATES:
        random = torch.Generator().manual_seed(1)
        points = true * torch.randn(400, 50, generator=random, dtype=torch.float64)
        assert choose_sigma(points, samples) == true
    assert choose_sigma(points, samples, (0.3, 0.5)) == 0.5


def test_score_is_of_the_test_points_with_the_sigma_of_the_others() -> None:
    """Mean and standard error of scikit-learn's numbers; higher where samples are like the test points."""
    neighbors = pytest.importorskip("sklearn.neighbors")
    samples, validation, test = uniform(80, 10), uniform(40, 10, seed=1), uniform(60, 10, seed=2)
    found = parzen(samples, validation, test)
    theirs = [
        neighbors.KernelDensity(bandwidth=sigma, leaf_size=1000)
        .fit(samples.numpy())
        .score_samples(validation.numpy())
        .mean()
        for sigma in CANDIDATES
    ]
    assert found.sigma == CANDIDATES[int(np.argmax(theirs))]
    scores = (
        neighbors.KernelDensity(bandwidth=found.sigma, leaf_size=1000).fit(samples.numpy()).score_samples(test.numpy())
    )
    assert found.mean == pytest.approx(scores.mean(), rel=1e-9)
    assert found.error == pytest.approx(scores.std() / math.sqrt(60), rel=1e-9)
    assert parzen(samples + 0.3, validation, test).mean < found.mean - 3 * found.error


@pytest.mark.parametrize(
    ("points", "samples", "sigma", "said"),
    [
        (torch.zeros(2, 3), torch.zeros(2, 4), 0.1, "points of 3 numbers cannot be compared with samples of 4"),
        (torch.zeros(0, 3), torch.zeros(2, 3), 0.1, "at least 1 are needed"),
        (torch.zeros(2, 3), torch.zeros(0, 3), 0.1, "at least 1 are needed"),
        (torch.zeros(2, 3), torch.full((2, 3), torch.nan), 0.1, "not finite"),
        (torch.zeros(2, 3), torch.zeros(2, 3), 0.0, "sigma is a number above 0, not 0.0"),
        (torch.zeros(2, 3), torch.zeros(2, 3), -1.0, "not -1.0"),
        (torch.zeros(2, 3), torch.zeros(2, 3), math.nan, "not nan"),
    ],
)
def test_refusals(points: Tensor, samples: Tensor, sigma: float, said: str) -> None:
    with pytest.raises(UserError, match=said):
        log_likelihood(points, samples, sigma)
    with pytest.raises(UserError, match="no sigma"):
        choose_sigma(torch.zeros(2, 3), torch.zeros(2, 3), ())
