"""Walks: where they lead, against geometry; what they draw, against sampling; jumps, against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from ganvas.engine.system import System
from ganvas.errors import UserError
from ganvas.inspect import jumps, slerp, trail, walk
from ganvas.inspect.walks import default_kind
from ganvas.nn.latent import Prior


class Shows(System):
    """Draws its latent as the first row of a picture, and its class in the second."""

    def __init__(self, prior=None, classes=0):
        super().__init__()
        self.prior, self.classes = prior or Prior(5), classes
        self.generator = nn.Linear(1, 1)
        self.seen = []

    def from_latents(self, latents, conditions):
        self.seen.append(len(latents))
        label = conditions["label"] if self.classes else torch.zeros(len(latents))
        return torch.stack([latents, label[:, None].expand(-1, self.prior.dim).float()], 1)[:, None]


def test_slerp_keeps_to_the_sphere_at_even_angles():
    a, b = torch.tensor([2.0, 0.0, 0.0]), torch.tensor([0.0, 2.0, 0.0])
    shares = torch.linspace(0, 1, 7)
    points = slerp(a, b, shares)
    expected = torch.stack([2 * torch.cos(shares * math.pi / 2), 2 * torch.sin(shares * math.pi / 2), 0 * shares], 1)
    torch.testing.assert_close(points, expected)
    torch.testing.assert_close(slerp(a, 3 * b, torch.tensor([0.5])).norm(), torch.tensor(math.hypot(2, 6) / 2**0.5))


def test_slerp_without_an_arc_is_a_straight_line():
    a = torch.tensor([1.0, 2.0])
    shares = torch.tensor([0.0, 0.25, 1.0])
    for b in (3 * a, -a, a):
        torch.testing.assert_close(slerp(a, b, shares), torch.stack([a, 0.75 * a + 0.25 * b, b]))


@pytest.mark.parametrize("kind", ["spherical", "linear"])
@pytest.mark.parametrize("closed", [True, False])
def test_a_trail_meets_its_points_exactly_and_never_rests(kind, closed):
    points = torch.randn(3, 40, generator=torch.Generator().manual_seed(0))
    found = trail(points, 4, kind, closed=closed)
    assert found.shape == (12 if closed else 9, 40)
    assert torch.equal(found[::4], points)
    steps = (found[1:] - found[:-1]).norm(dim=1)
    assert float(steps.min()) > 0.5
    if kind == "linear":
        for first in range(0, len(found) - 3, 4):
            part = steps[first : first + 3]
            torch.testing.assert_close(part, part[:1].expand(3))  # even steps of each line
        torch.testing.assert_close(found[2], (points[0] + points[1]) / 2)
    if closed:  # the last step, back to the first point, is the same way as the third line's others
        back = points[0] - found[-1]
        assert float(torch.cosine_similarity(back, found[-1] - found[-2], dim=0)) > 0.8


def test_the_sphere_is_around_the_centre_of_the_prior():
    """Uniform in the unit cube: the middle of an arc between two corners is a corner's distance from the centre."""
    a, b = torch.tensor([1.0, 1.0]), torch.tensor([0.0, 1.0])
    found = trail(torch.stack([a, b]), 2, "spherical", closed=False, centre=0.5)
    torch.testing.assert_close(found, torch.stack([a, torch.tensor([0.5, 0.5 + 0.5**0.5]), b]))


def test_a_walk_draws_the_seeds_where_it_passes_them():
    """Against the system's own sampling; the label is that of sampling the first seed, or the one asked for."""
    system = Shows(classes=3)
    seeds, steps = [4, 9, 2], 15
    pictures = walk(system, seeds, steps)
    assert pictures.shape == (45, 1, 2, 5) and max(system.seen) == 32
    expected = system.sample(seeds, {"label": torch.full((3,), 4 % 3)})
    assert torch.equal(pictures[::15], expected)
    assert torch.equal(walk(system, seeds, steps, "spherical"), pictures)  # the default of a normal prior
    assert not torch.equal(walk(system, seeds, steps, "linear"), pictures)
    other = walk(system, seeds, steps, label=0)
    assert torch.equal(other[:, :, 0], pictures[:, :, 0]) and set(other[:, :, 1].flatten().tolist()) == {0.0}
    opened = walk(system, seeds, steps, closed=False)
    assert len(opened) == 31 and torch.equal(opened[:30], pictures[:30]) and torch.equal(opened[30:], expected[2:])


def test_uniform_latents_are_led_in_straight_lines_inside_their_cube():
    prior = Prior(5, "uniform", 0.5, 0.5)
    assert (default_kind(prior), default_kind(Prior(5))) == ("linear", "spherical")
    found = walk(Shows(prior), [1, 2], 8)[:, 0, 0]
    ends = prior.seeded([1, 2])
    expected = torch.cat([torch.lerp(ends[i], ends[1 - i], torch.arange(8)[:, None] / 8) for i in (0, 1)])
    torch.testing.assert_close(found, expected)
    assert float(found.min()) >= 0 and float(found.max()) <= 1


def test_what_is_no_walk():
    for seeds, steps in (([1], 4), ([1, 2], 0), ([1, -2], 3)):
        with pytest.raises(UserError, match="at least two seeds of 0 or more and one step"):
            walk(Shows(), seeds, steps)
    with pytest.raises(UserError, match="there is no class 3: the system has 3, counted from 0"):
        walk(Shows(classes=3), [1, 2], 4, label=3)
    with pytest.raises(UserError, match="draws no classes"):
        walk(Shows(), [1, 2], 4, label=0)
    system = Shows()
    system.prior = None
    with pytest.raises(UserError, match="draws from no noise"):
        walk(system, [1, 2], 4)


def test_jumps_of_even_and_uneven_walks():
    """Closed forms: equal steps have 1; one of 8 among seven of 1 has 8 over 15/8; all in one step has their number."""
    line = torch.arange(6.0)[:, None] * torch.tensor([[3.0, 4.0]])  # steps of 5
    even = jumps(line)
    assert (even.frames, even.mean, even.largest, even.unevenness) == (6, 5, 5, 1) and math.isnan(
        even.largest_of_unrelated
    )
    places = torch.tensor([0.0, 1, 2, 3, 11, 12, 13, 14, 15])[:, None]
    assert jumps(places).unevenness == pytest.approx(8 / (15 / 8))
    assert jumps(torch.tensor([0.0, 0, 0, 7, 7])[:, None]).unevenness == pytest.approx(4)
    assert jumps(places, closed=True).largest == 15  # all the way back
    corners = torch.tensor([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    assert jumps(corners, closed=True).unevenness == pytest.approx(1) and jumps(corners, closed=True).mean == 1
    assert math.isnan(jumps(torch.zeros(3, 2)).unevenness)


def test_jumps_beside_unrelated_pictures():
    """The mean distance of all pairs, against numpy: of 0, 1 and 5 it is (1 + 4 + 5) / 3."""
    walked = torch.tensor([0.0, 2.0, 3.0])[:, None]
    assert jumps(walked, torch.tensor([0.0, 1.0, 5.0])[:, None]).largest_of_unrelated == pytest.approx(2 / (10 / 3))
    unrelated = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
    pairs = [np.linalg.norm(unrelated[i] - unrelated[j]) for i in range(7) for j in range(i)]
    assert jumps(walked, unrelated).largest_of_unrelated == pytest.approx(2 / np.mean(pairs))
    with pytest.raises(UserError, match="at least two pictures"):
        jumps(walked[:1])
    with pytest.raises(UserError, match="two unrelated ones"):
        jumps(walked, unrelated[:1])
