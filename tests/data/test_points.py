"""Points: what is drawn, the density it is drawn from, and who may train on it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from ganvas.data import DataOptions, Points, check_data, open_data, open_pictures, prepare_data
from ganvas.data.points import PointSampler
from ganvas.errors import UserError

RING = Points("ring", ((2.0, 0.0), (-1.0, 1.7), (-1.0, -1.7)), (0.2, 0.4, 0.3), (0.5, 0.3, 0.2))


def sampler(points: Points, batch: int = 6, seed: int = 3, **more: int) -> PointSampler:
    return points.sampler(batch=batch, seed=seed, options=DataOptions(), device="cpu", size=1, **more)


def normal1d(spec: str = "normal1d", **options: Any) -> Any:
    return open_data(spec, DataOptions(**options), size=1, channels=1)


@pytest.mark.parametrize(
    ("spec", "mean", "deviation"),
    [("normal1d", 4.0, 0.5), ("normal1d:-1,2", -1.0, 2.0), ("normal1d: 0.5 ,1e-1", 0.5, 0.1)],
)
def test_normal1d_is_that_normal_distribution(spec: str, mean: float, deviation: float) -> None:
    """Kolmogorov and Smirnov's test, and the density, against SciPy."""
    points = normal1d(spec)
    drawn = sampler(points, batch=20_000).batch(0)["image"].flatten().numpy()
    expected = stats.norm(mean, deviation)
    assert stats.kstest(drawn, expected.cdf).pvalue > 0.01
    assert stats.kstest(drawn, stats.norm(mean + 0.1 * deviation, deviation).cdf).pvalue < 1e-6  # it could tell
    x = torch.linspace(mean - 9 * deviation, mean + 9 * deviation, 101, dtype=torch.float64)
    np.testing.assert_allclose(points.density(x[:, None]), expected.pdf(x), rtol=1e-12)


def test_a_mixture_in_the_plane_against_scipy() -> None:
    x = torch.from_numpy(np.random.default_rng(0).uniform(-3, 3, (50, 2)))
    parts = zip(RING.weights, RING.means, RING.deviations, strict=True)
    expected = sum(w * stats.multivariate_normal(m, s**2).pdf(x.numpy()) for w, m, s in parts)
    np.testing.assert_allclose(RING.density(x), expected, rtol=1e-12)
    total, _ = integrate.dblquad(lambda b, a: float(RING.density(torch.tensor([[a, b]]))), -4, 4, -4, 4, epsabs=1e-4)
    assert total == pytest.approx(1, abs=1e-3)
    drawn = sampler(RING, batch=30_000).batch(0)["image"][:, :, 0, 0].double()
    nearest = torch.cdist(drawn, torch.tensor(RING.means, dtype=torch.float64)).argmin(1)
    for k, (weight, mean, deviation) in enumerate(zip(RING.weights, RING.means, RING.deviations, strict=True)):
        own = drawn[nearest == k]  # the parts are far apart
        assert len(own) / 30_000 == pytest.approx(weight, abs=4 * math.sqrt(weight * (1 - weight) / 30_000))
        error = deviation / math.sqrt(len(own))
        assert own.mean(0).tolist() == pytest.approx(mean, abs=4 * error)
        assert own.std(0).tolist() == pytest.approx([deviation] * 2, abs=4 * error)
    assert np.corrcoef(drawn[nearest == 0].T)[0, 1] == pytest.approx(0, abs=0.05)


def test_layout_and_keys() -> None:
    for points in (normal1d(), RING):
        batch = sampler(points).batch(0)
        assert set(batch) == {"image"} == points.keys() == sampler(points).keys
        assert batch["image"].shape == (6, points.dimensions, 1, 1) and batch["image"].dtype == torch.float32
    assert (
        normal1d("normal1d:100,1")
        .sampler(batch=4, seed=0, options=DataOptions(), device="cpu", size=1)
        .batch(0)["image"]
        .min()
        > 90
    )  # not squeezed into [-1, 1]


@pytest.mark.parametrize("points", [normal1d(), RING], ids=["line", "plane"])
def test_a_batch_is_a_function_of_its_arguments_and_no_two_are_alike(points: Points) -> None:
    used = sampler(points)
    places = [(step, draw, attempt) for step in range(5) for draw in range(3) for attempt in range(2)]
    found = [used.batch(*place)["image"] for place in places]
    for place, image in zip(reversed(places), reversed(found), strict=True):
        assert torch.equal(sampler(points).batch(*place)["image"], image)
    assert len({float(value) for image in found for value in image[:, 0].flatten()}) == 6 * len(places)
    assert not torch.equal(sampler(points, seed=4).batch(0)["image"], found[0])
    first = torch.stack([image[:, 0, 0, 0] for image in found])
    assert (torch.corrcoef(first.T) - torch.eye(6)).abs().max() < 0.6  # 30 batches: 5 standard errors are 0.9


@pytest.mark.parametrize("world", [1, 2, 3, 6])
def test_ranks_together_see_what_one_would(world: int) -> None:
    parts = [sampler(RING, rank=rank, world=world) for rank in range(world)]
    for step in range(3):
        together = torch.cat([part.batch(step, draw=1)["image"] for part in parts])
        assert torch.equal(together, sampler(RING).batch(step, draw=1)["image"])
    with pytest.raises(UserError, match="multiple of 4"):
        sampler(RING, world=4)


def test_what_a_run_writes_down() -> None:
    points = normal1d("normal1d:-1,2")
    assert points.source == "normal1d:-1,2" and points.amount == "endless points" and len(points) > 10**9
    assert (points.classes, points.skipped, points.licence, points.labels, points.pictures) == (
        [],
        [],
        None,
        None,
        None,
    )
    assert points.hash == Points("another name", ((-1.0,),), (2.0,)).hash != normal1d().hash
    said = points.describe()
    assert (
        said["count"] is None and said["means"] == [[-1.0]] and said["deviations"] == [2.0] and said["weights"] == [1.0]
    )


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ("4,-1", "standard deviation from 0.000001"),
        ("4,0", "standard deviation"),
        ("nan,1", "mean must be at most"),
        ("4,inf", "standard deviation"),
        ("1e9,1", "at most 1,000,000 away from 0"),
        ("x", r"as in normal1d:4,0.5; not 'x'"),
        ("4", "not '4'"),
        ("1,2,3", "not '1,2,3'"),
        ("4;1", "not '4;1'"),
        (",", "not ','"),
    ],
)
def test_parts_that_make_no_distribution(parts: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as refused:
        normal1d(f"normal1d:{parts}")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("size", "channels", "options", "said"),
    [
        (32, 1, {}, "draws pictures of 32 pixels"),
        (1, 3, {}, "have 1 coordinate and this system draws 3: use --channels 1"),
        (1, 1, {"balance": True}, "--balance is for pictures and does nothing"),
        (1, 1, {"load_size": 40}, "--load-size is for pictures"),
        (1, 1, {"fit": "pad"}, "--fit is for pictures"),
        (1, 1, {"strict": True}, "--strict is for pictures"),
    ],
)
def test_what_does_not_go_with_points(size: int, channels: int, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said) as refused:
        open_data("normal1d", DataOptions(**options), size=size, channels=channels)
    assert "\n" not in str(refused.value)


def test_options_that_change_nothing_for_anyone_are_let_through(tmp_path: Any) -> None:
    assert normal1d(flip=False, cache=tmp_path / "cache", workers=1).dimensions == 1
    assert not (tmp_path / "cache").exists()


def test_points_are_no_pictures(tmp_path: Any) -> None:
    options = DataOptions(cache=tmp_path / "cache")
    for refuse in (
        lambda: check_data("normal1d", options),
        lambda: prepare_data("normal1d:4,1", tmp_path / "out", options, size=8),
        lambda: prepare_data("normal1d", tmp_path / "out", options, size=1, channels=1),
        lambda: open_pictures("normal1d", options, size=1, channels=1),
    ):
        with pytest.raises(UserError, match=r"^normal1d.* makes points without end, not pictures: ") as refused:
            refuse()
        assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("means", "deviations", "weights"),
    [
        (((0.0,), (1.0, 2.0)), (1.0, 1.0), ()),
        (((0.0,), (1.0,)), (1.0,), ()),
        (((0.0,),), (0.0,), ()),
        (((0.0,), (1.0,)), (1.0, 1.0), (0.5, 0.6)),
        (((0.0,), (1.0,)), (1.0, 1.0), (1.5, -0.5)),
    ],
)
def test_mixtures_that_are_none(means: Any, deviations: Any, weights: Any) -> None:
    with pytest.raises(ValueError, match="mixture"):
        Points("x", means, deviations, weights)
