"""Latent arithmetic: linear, exact where it cancels, and how its groups are written."""

from __future__ import annotations

import pytest
import torch
from test_walks import Shows

from ganvas.errors import UserError
from ganvas.inspect import Group, arithmetic, read_groups
from ganvas.inspect.arithmetic import around, combined, mean_latent
from ganvas.nn.latent import Prior

PRIORS = [Prior(6), Prior(6, "uniform"), Prior(6, "uniform", 0.5, 0.5), Prior(6, "normal", 2.0, 1.0)]


@pytest.mark.parametrize("prior", PRIORS)
def test_sums_are_linear_in_the_latents(prior):
    """Against the means of rows that the prior gives, added by hand in float64."""
    a, b, c = Group("a", (3, 17, 42)), Group("b", (1, 9, 12, 30), -1), Group("c", (5, 6, 7))
    z = {seed: prior.seeded([seed])[0].double() for group in (a, b, c) for seed in group.seeds}
    expected = (
        (z[3] + z[17] + z[42]) / 3 - (z[1] + z[9] + z[12] + z[30]) / 4 + (z[5] + z[6] + z[7]) / 3
    )  # fmt: skip
    torch.testing.assert_close(combined(prior, [a, b, c]), expected.float(), rtol=0, atol=1e-6)
    torch.testing.assert_close(mean_latent(prior, b), ((z[1] + z[9] + z[12] + z[30]) / 4).float())


@pytest.mark.parametrize("prior", PRIORS)
def test_a_group_that_is_added_and_subtracted_is_gone(prior):
    a, b = Group("a", (3, 17, 42)), Group("b", (1, 9, 12))
    less = Group("b", b.seeds, -1)
    torch.testing.assert_close(combined(prior, [a, b, less]), mean_latent(prior, a), rtol=2e-7, atol=0)
    assert torch.equal(combined(prior, [b, less]), torch.zeros(6))


def test_pictures_are_those_of_the_latents():
    system = Shows(Prior(6, "uniform", 3.0), classes=4)
    groups = [Group("a", (3, 17, 42)), Group("b", (1, 9, 12, 30), -1)]
    found = arithmetic(system, groups, {"label": torch.tensor([2])})
    assert torch.equal(found.z, combined(system.prior, groups))
    assert [len(pictures) for pictures in found.exemplars] == [3, 4]
    assert torch.equal(found.exemplars[1], system.sample([1, 9, 12, 30], {"label": torch.full((4,), 2)}))
    assert torch.equal(found.means[0, 0, 0], mean_latent(system.prior, groups[0]))
    assert torch.equal(found.block[4, 0, 0], found.z) and found.block.shape == (9, 1, 2, 6)
    assert set(found.block[:, 0, 1].flatten().tolist()) == {2.0}
    assert set(arithmetic(system, groups).block[:, 0, 1].flatten().tolist()) == {0.0}


def test_neighbours_are_within_a_quarter_of_the_scale():
    """U(-0.25, 0.25) has variance 0.25^2 / 3, here of a prior whose scale is 4."""
    prior = Prior(3000, "uniform", 4.0)
    z = prior.seeded([1])[0]
    offsets = around(prior, z) - z
    assert torch.equal(offsets[4], torch.zeros(3000)) and torch.equal(around(prior, z), around(prior, z))
    others = offsets[[0, 1, 2, 3, 5, 6, 7, 8]]
    assert 0.98 < float(others.abs().max()) <= 1.0 + 1e-6 and abs(float(others.mean())) < 0.02
    assert float(others.var()) == pytest.approx(1 / 3, rel=0.03)
    assert len(others.unique(dim=0)) == 8


def test_groups_as_they_are_written():
    text = "smiling woman=3,17,42 - neutral woman=1,9,12 + neutral man=5,6,7"
    assert read_groups(text) == (
        Group("smiling woman", (3, 17, 42)),
        Group("neutral woman", (1, 9, 12), -1),
        Group("neutral man", (5, 6, 7)),
    )
    assert read_groups("-t-shirt 2 = 1 , 2,3,4+b=5,6,7") == (
        Group("t-shirt 2", (1, 2, 3, 4), -1),
        Group("b", (5, 6, 7)),
    )
    assert read_groups("a, b=1,2,3") == (Group("a, b", (1, 2, 3)),)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("", "its end"),
        ("a", "a"),
        ("a=", "a="),
        ("=1,2,3", "=1,2,3"),
        ("a=1,2,3 b=4,5,6", "b=4,5,6"),
        ("a=1,2,3 - ", "-"),
        ("a=1,2,3 * b=4,5,6", r"\* b=4,5,6"),
        ("a=1,2,3,", ","),
        ("a=1,2,-3", ",-3"),
        ("a=x,y,z", "a=x,y,z"),
        ("a=1,2,3 -- b=4,5,6", "-- b=4,5,6"),
    ],
)
def test_text_that_is_not_understood(text, at):
    """One line, which says where, with an example that is understood."""
    with pytest.raises(UserError, match=rf"is not understood at '{at}': write \"smiling woman=3,17,42") as caught:
        read_groups(text.replace("a=1,2,-3", "a=0,1,2,-3"))
    assert "\n" not in str(caught.value)
    assert len(read_groups(str(caught.value).split('write "')[1].rstrip('"'))) == 3


@pytest.mark.parametrize("text", ["man=5", "man=5,6", "man=5,5,5", "man=5,6,7,5", "a=1,2,3 + man=5,6"])
def test_few_seeds_are_refused(text):
    with pytest.raises(UserError, match=r"'man' needs 3 or more different seeds, not 5.*single exemplars are unstable"):
        read_groups(text)


def test_what_else_is_refused():
    for seeds, sign in (((1, 2, -3), 1), ((1, 2, 3), 0), ((1, 2, 3), 2)):
        with pytest.raises(UserError, match="seeds of 0 or more and a sign of 1 or -1"):
            Group("a", seeds, sign)
    with pytest.raises(UserError, match="needs groups of seeds"):
        arithmetic(Shows(), [])
    system = Shows()
    system.prior = None
    with pytest.raises(UserError, match="draws from no noise"):
        arithmetic(system, [Group("a", (1, 2, 3))])
