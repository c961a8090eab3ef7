"""Scores from nearest neighbours, against loops over pairs, scikit-learn and cases with known answers."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ganvas.errors import UserError
from ganvas.metrics.copying import copying
from ganvas.metrics.neighbours import PRDC, nearest, precision_recall_density_coverage


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def shuffled(n: int, seed: int = 5) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))


def by_loops(real: Tensor, fake: Tensor, k: int, k_density: int) -> PRDC:
    """The four scores by their definitions, a pair at a time; squared distances on a grid are exact."""
    x, y = real.tolist(), fake.tolist()

    def squared(p: list[float], q: list[float]) -> float:
        return sum((u - v) ** 2 for u, v in zip(p, q, strict=True))

    def radii(points: list[list[float]], k: int) -> list[float]:
        return [sorted(squared(p, q) for j, q in enumerate(points) if j != i)[k - 1] for i, p in enumerate(points)]

    cross = [[squared(p, q) for q in y] for p in x]
    reach, reach_density, reach_fake = radii(x, k), radii(x, k_density), radii(y, k)
    inside = [[d <= r for d in row] for row, r in zip(cross, reach_density, strict=True)]
    precise = [any(cross[i][j] <= reach[i] for i in range(len(x))) for j in range(len(y))]
    recalled = [any(cross[i][j] <= reach_fake[j] for j in range(len(y))) for i in range(len(x))]
    return PRDC(
        sum(precise) / len(y),
        sum(recalled) / len(x),
        sum(map(sum, inside)) / (k_density * len(y)),
        sum(map(any, inside)) / len(x),
    )


@pytest.mark.parametrize(("k", "k_density"), [(3, 5), (1, 2), (5, 1)])
def test_agrees_with_the_definitions(k: int, k_density: int) -> None:
    real, fake = normal(40, 3), normal(25, 3, seed=1) * 0.8 + 0.5
    found = precision_recall_density_coverage(real, fake, precision_k=k, density_k=k_density)
    assert found == pytest.approx(by_loops(real, fake, k, k_density), rel=1e-12)
    assert min(found) > 0 and len(set(found)) == 4


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("scale", [1.0, 0.25, 2.0**40])
def test_ties_and_duplicates(seed: int, scale: float) -> None:
    """Points of a grid, exact in binary: most are on a border of some ball, many occur several times."""
    random = torch.Generator().manual_seed(seed)
    real, fake = (torch.randint(0, 3, (n, 3), generator=random).double() for n in (40, 30))
    real, fake = real * scale, fake * scale + scale * (seed % 2)
    found = precision_recall_density_coverage(real, fake, precision_k=1, density_k=2)
    assert found == pytest.approx(by_loops(real, fake, 1, 2), rel=1e-12)


def test_defaults_are_those_of_the_papers() -> None:
    real, fake = normal(60, 4), normal(60, 4, seed=1)
    assert precision_recall_density_coverage(real, fake) == pytest.approx(by_loops(real, fake, 3, 5), rel=1e-12)


def test_identical_sets() -> None:
    """Every ball holds its own centre and k others."""
    x = normal(50, 6)
    found = precision_recall_density_coverage(x, x[shuffled(50)])
    assert found == pytest.approx(PRDC(1, 1, 6 / 5, 1), rel=1e-12)


def test_sets_far_apart() -> None:
    assert precision_recall_density_coverage(normal(50, 6), normal(40, 6, seed=1) + 100) == PRDC(0, 0, 0, 0)


def test_samples_of_one_mode() -> None:
    """One of four modes is drawn: precise and dense, but a quarter is recalled and covered at most."""
    centres = 50 * torch.eye(4, 6, dtype=torch.float64)
    real = centres.repeat_interleave(100, 0) + normal(400, 6)
    found = precision_recall_density_coverage(real, centres[1] + normal(400, 6, seed=1))
    assert found.precision > 0.8 and 0.15 < found.recall <= 0.25
    assert found.density > 0.7 and 0.2 < found.coverage <= 0.25


def test_equal_distributions_as_the_paper_expects() -> None:
    """As Naeem et al. 2020 derive: density 1, and coverage 1 less a product of ratios, on average."""
    n, k = 150, 5
    found = [
        precision_recall_density_coverage(normal(n, 4, seed=2 * seed), normal(n, 4, seed=2 * seed + 1))
        for seed in range(30)
    ]
    coverage = 1 - math.prod((n - i) / (2 * n - i) for i in range(1, k + 1))
    assert sum(one.density for one in found) / 30 == pytest.approx(1, abs=0.03)
    assert sum(one.coverage for one in found) / 30 == pytest.approx(coverage, abs=0.01)


def test_does_not_depend_on_order_or_block() -> None:
    real, fake = normal(90, 5), normal(70, 5, seed=1) + 0.3
    expected = precision_recall_density_coverage(real, fake)
    assert precision_recall_density_coverage(real[shuffled(90)], fake[shuffled(70)]) == pytest.approx(expected)
    for block in (1, 7, 64):
        assert precision_recall_density_coverage(real, fake, block=block) == expected


def test_far_from_zero_and_in_float32() -> None:
    """Products of large numbers round: still a copy is inside a ball of radius 0, and what is close to it is not."""
    real = (normal(40, 8) + 1000).float()
    real = torch.cat([real, real, real, real])
    found = precision_recall_density_coverage(real, real[:40], density_k=3)
    assert found.precision == found.coverage == 1 and found.density == pytest.approx(4 / 3)
    beside = real[:40] + 0.0005
    assert precision_recall_density_coverage(real, beside, density_k=3)[:1] == (0,)


def test_nearest_agrees_with_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn.neighbors")
    queries, references = normal(30, 8), normal(80, 8, seed=1)
    distances, indices = sklearn.NearestNeighbors(n_neighbors=6, algorithm="brute").fit(references).kneighbors(queries)
    found = nearest(queries, references, 6, block=7)
    torch.testing.assert_close(found[0], torch.from_numpy(distances), rtol=1e-10, atol=0)
    assert torch.equal(found[1], torch.from_numpy(indices))


def test_nearest_leaves_out_a_point_but_not_its_twin() -> None:
    """Against full distances with the diagonal taken out; rows 3 and 40 are the same picture."""
    x = normal(50, 4)
    x[40] = x[3]
    full = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist").fill_diagonal_(math.inf)
    for block in (7, 512):
        distances, indices = nearest(x, x, 49, leave_one_out=True, block=block)
        torch.testing.assert_close(distances, full.sort(1).values[:, :49], rtol=1e-12, atol=0)
        assert not bool((indices == torch.arange(50)[:, None]).any())
    assert indices[3, 0] == 40 and indices[40, 0] == 3 and distances[3, 0] == distances[40, 0] == 0


@pytest.mark.parametrize(("offset", "gap"), [(0.0, 1e-9), (1e8, 3e-8)])
def test_nearest_is_exact_where_products_round(offset: float, gap: float) -> None:
    """Next to a picture that differs in the ninth digit, and far from zero: against differences."""
    base = normal(30, 16) + offset
    references = torch.cat([base + gap, base])
    distances, indices = nearest(base, references)
    assert indices[:, 0].tolist() == list(range(30, 60)) and not distances.any()
    distances, indices = nearest(base, references, 3)
    full = torch.cdist(base, references, compute_mode="donot_use_mm_for_euclid_dist").sort(1).values
    torch.testing.assert_close(distances, full[:, :3], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_refuses_numbers_that_are_not_finite(bad: float) -> None:
    good, spoiled = normal(40, 12), normal(40, 12)
    spoiled[3, 2] = bad
    for measure in (precision_recall_density_coverage, nearest, copying):
        for pair in ((good, spoiled), (spoiled, good)):
            with pytest.raises(UserError, match="1 of 40 pictures are not finite"):
                measure(*pair)
    with pytest.raises(UserError, match="held-out features of 1 of 40"):
        copying(good, good, spoiled)


def test_refuses_other_dimensions() -> None:
    for measure in (precision_recall_density_coverage, nearest, copying):
        with pytest.raises(UserError, match=r"(12 and of 9|9 and of 12) dimensions"):
            measure(normal(40, 12), normal(40, 9))
    with pytest.raises(UserError, match="9 and of 12"):
        copying(normal(40, 12), normal(40, 12), normal(40, 9))


def test_refuses_too_few_and_constants() -> None:
    x = normal(40, 12)
    for pair, words in (((x[:5], x), "real features are of 5"), ((x, x[:3]), "fake features are of 3")):
        with pytest.raises(UserError, match=f"{words} pictures"):
            precision_recall_density_coverage(*pair)
    precision_recall_density_coverage(x[:6], x[:4])
    for pair in ((x, torch.ones(9, 12)), (torch.ones(9, 12), x)):
        with pytest.raises(UserError, match="same for all 9"):
            precision_recall_density_coverage(*pair)
    for k in ({"precision_k": 0}, {"density_k": 0}):
        with pytest.raises(UserError, match="at least 1"):
            precision_recall_density_coverage(x, x, **k)
    for k, leave_one_out in ((0, False), (41, False), (40, True)):
        with pytest.raises(UserError, match="nearest neighbours"):
            nearest(x, x, k, leave_one_out=leave_one_out)
    with pytest.raises(UserError, match="must be the references"):
        nearest(x[:9], x, leave_one_out=True)
    for sets in ((x[:1], x), (x, x[:19]), (x, x, x[:19])):
        with pytest.raises(UserError, match="at least"):
            copying(*sets)
    with pytest.raises(UserError, match="same for all 40"):
        copying(x, torch.ones(40, 12))


def pictures(n: int, seed: int) -> Tensor:
    """Features as photos have them: clusters of different width and weight, in 20 of 50 dimensions."""
    random, fixed = (torch.Generator().manual_seed(seed) for seed in (seed, 1234))
    centres, plane = torch.randn(30, 20, generator=fixed) * 2, torch.randn(20, 50, generator=fixed)
    chosen = torch.multinomial(torch.linspace(1, 10, 30), n, replacement=True, generator=random)
    width = torch.linspace(0.3, 1.2, 30)[chosen][:, None]
    return (centres[chosen] + width * torch.randn(n, 20, generator=random)) @ plane / 4


def with_twins(n: int, seed: int) -> Tensor:
    """A collection in which a tenth of the pictures occurs twice."""
    once = pictures(n - n // 11, seed)
    return torch.cat([once, once[: n // 11]])[shuffled(n, seed)]


def jitter(features: Tensor, amount: float) -> Tensor:
    """Noise of a length relative to the median distance between neighbours."""
    typical = nearest(features, features, leave_one_out=True)[0].median()
    return features + amount * typical / features.shape[1] ** 0.5 * normal(*features.shape, seed=77)


@pytest.mark.parametrize("heldout", [False, True])
@pytest.mark.parametrize("amount", [0.0, 1e-3, 0.05, 0.2])
def test_copies_of_training_pictures_are_flagged(amount: float, heldout: bool) -> None:
    train = with_twins(400, seed=0)
    fake = jitter(train[shuffled(400)[:150]], amount)
    found = copying(fake, train, pictures(100, 9) if heldout else None)
    assert found.flagged and "near copies of training pictures" in found.reason and "repeat" not in found.reason
    assert found.copies > 0.7 and found.median_ratio == pytest.approx(amount, abs=0.1)
    assert (found.indices == shuffled(400)[:150]).double().mean() > 0.8


def test_some_copies_among_others_are_flagged_and_found() -> None:
    """40 of 400 samples, the others far from all real pictures, which a comparison of medians would not notice."""
    train = pictures(400, 0)
    fake = pictures(400, 1) + 0.5 * normal(400, 50, seed=3)
    fake[100:140] = jitter(train, 0.02)[:40]
    found = copying(fake, train)
    assert found.flagged and found.copies == pytest.approx(0.1, abs=0.03) and found.median_ratio > 1
    assert found.closeness.argsort()[:40].sort().values.tolist() == list(range(100, 140))
    assert found.indices[100:140].tolist() == list(range(40))
    torch.testing.assert_close(found.distances, torch.cdist(fake, train.double()).amin(1), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("amount", [0.0, 0.05])
def test_repeated_samples_are_flagged(amount: float) -> None:
    """Ten pictures that are no training pictures, 30 times each."""
    found = copying(jitter(pictures(300, 1), amount)[:10].repeat(30, 1) + 1e-3 * amount, pictures(400, 0))
    assert found.flagged and "repeat" in found.reason and "training" not in found.reason
    assert found.repeats > 0.9 and found.copies == 0


def test_one_picture_only_is_flagged() -> None:
    found = copying(pictures(1, 1).repeat(200, 1), pictures(400, 0))
    assert found.flagged and found.repeats > 0.9


def test_copies_of_a_few_training_pictures_are_both() -> None:
    train = pictures(400, 0)
    found = copying(train[:10].repeat(30, 1), train)
    assert found.flagged and "training pictures, and about" in found.reason


@pytest.mark.parametrize("heldout", [False, True])
@pytest.mark.parametrize("collection", [pictures, with_twins], ids=["pictures", "with twins"])
def test_an_independent_half_is_not_flagged(collection: Callable[[int, int], Tensor], heldout: bool) -> None:
    """20 times. A tenth of the second collection occurs twice, so that samples equal training pictures."""
    for seed in range(20):
        every = collection(600, seed)
        fake, train, rest = every[:200], every[200:450], every[450:]
        found = copying(fake, train, rest if heldout else None)
        assert not found.flagged, found.reason
        assert found.copies == found.repeats == 0 and found.median_ratio == pytest.approx(1, abs=0.25)


def test_many_more_samples_than_training_pictures_are_not_flagged() -> None:
    """They are closer to each other because they are more, most so in few dimensions."""
    for seed in range(5):
        found = copying(normal(1500, 2, seed=2 * seed), normal(150, 2, seed=2 * seed + 1))
        assert not found.flagged, found.reason


@pytest.mark.parametrize("kind", ["average", "narrow", "plain", "far"])
def test_close_is_not_copied(kind: str) -> None:
    """Averages, the middle of a cloud (closer to training pictures than real ones), one dense cluster, noise."""
    train = normal(400, 40) if kind == "narrow" else pictures(800, 0)
    if kind == "plain":
        train = torch.cat([train, 0.05 * normal(60, 50) + 3])
    fake = {
        "average": (pictures(300, 1) + pictures(300, 2)) / 2,
        "narrow": normal(300, 40, seed=1) * 0.6,
        "plain": 0.05 * normal(300, 50, seed=1) + 3,
        "far": pictures(300, 4) + normal(300, 50),
    }[kind]
    found = copying(fake, train)
    assert found.copies == 0 and "near copies" not in found.reason
    if kind in ("narrow", "plain"):
        assert found.median_ratio < (0.9 if kind == "narrow" else 0.5)


def test_copying_does_not_depend_on_order_or_block() -> None:
    train, heldout = pictures(200, 0), pictures(50, 1)
    fake = torch.cat([pictures(80, 2), train[:20]])
    expected = copying(fake, train, heldout)
    order, train_order = shuffled(100), shuffled(200, seed=6)
    found = copying(fake[order], train[train_order], heldout.flip(0), block=33)
    assert (found.flagged, found.reason) == (expected.flagged, expected.reason)
    numbers = [(one.copies, one.repeats, one.median_ratio) for one in (found, expected)]
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-10)
    torch.testing.assert_close(found.closeness, expected.closeness[order], rtol=1e-10, atol=0)
    assert torch.equal(train_order[found.indices], expected.indices[order])


def test_refuses_data_that_is_mostly_twins() -> None:
    """Then a copy cannot be told from another picture of the data."""
    once = pictures(100, 0)
    with pytest.raises(UserError, match="identical twin"):
        copying(pictures(50, 1), once.repeat(2, 1))
    with pytest.raises(UserError, match="identical twin"):
        copying(pictures(50, 1), once, once[:60])
