"""DiscoGAN against the counts, equations and schedule of its paper and published code."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from ganvas.errors import UserError
from ganvas.losses.options import Adversarial
from ganvas.systems import discogan
from ganvas.systems.discogan import Config, DiscoGAN, Generator

SMALL = Config(size=32, width=4)
CODE = {"mixing": "code", "gan_weight": 0.1, "adversarial": Adversarial(feature_matching=0.9), "rate_steps": 10}


def small(**changes):
    torch.manual_seed(0)
    return DiscoGAN(dataclasses.replace(SMALL, **changes))


def batch():
    generator = torch.Generator().manual_seed(1)
    return {name: torch.rand(4, 3, 32, 32, generator=generator) * 2 - 1 for name in ("source", "image")}


def test_parameter_counts_are_the_published_ones():
    with torch.device("meta"):
        system = DiscoGAN(Config())
        extra = Generator(Config(bottleneck=100), 3, 3)
    count = {name: sum(p.numel() for p in network.parameters()) for name, network in system.named_children()}
    assert count["generator"] == 2 * 5_513_856 and count["discriminator"] == 2 * 2_765_568
    assert sum(p.numel() for p in extra.parameters()) == 7_153_480


def test_losses_are_equations_3_to_8():
    system = small().eval()
    given = batch()
    with torch.no_grad():
        found = {**system.discriminator_loss(dict(given), 0), **system.generator_loss(given, 0)}
        fake = {"B": system.generator["AtoB"](given["source"]), "A": system.generator["BtoA"](given["image"])}
        back = {"A": system.generator["BtoA"](fake["B"]), "B": system.generator["AtoB"](fake["A"])}
        real = {"A": given["source"], "B": given["image"]}
        generator = system.generator_loss(batch(), 0)
        for side in "AB":
            says = [system.discriminator[side](x).heads["image"] for x in (real[side], fake[side])]
            torch.testing.assert_close(
                system.discriminator_loss(batch(), 0)[f"{side}_image"],
                (F.softplus(-says[0]).mean() + F.softplus(says[1]).mean()) / 2,
            )
            torch.testing.assert_close(generator[f"{side}_image"], F.softplus(-says[1]).mean())
            # The distance of pixels in [0, 1], as published.
            torch.testing.assert_close(
                generator[f"{side}_reconstruction"], (((back[side] + 1) / 2 - (real[side] + 1) / 2) ** 2).mean()
            )
    assert set(found) == {f"{side}_{term}" for side in "AB" for term in ("image", "reconstruction")}


@pytest.mark.parametrize(("step", "r"), [(0, 0.01), (9, 0.01), (10, 0.5), (500, 0.5)])
def test_the_published_codes_mixture(step, r):
    """(0.1 GAN + 0.9 FM) (1 - r) + r MSE, r = 0.01 for the first steps and 0.5 after them."""
    mixed, plain = small(**CODE).eval(), small().eval()
    with torch.no_grad():
        terms, whole = mixed.generator_loss(batch(), step), plain.generator_loss(batch(), step)
        a, b = (
            plain.discriminator["B"](x).features for x in (plain.generator["AtoB"](batch()["source"]), batch()["image"])
        )
        matching = sum(((x.mean(0) - y.mean(0)) ** 2).mean() for x, y in list(zip(a, b, strict=True))[1:])
    torch.testing.assert_close(terms["B_image"], 0.1 * (1 - r) * whole["B_image"])
    torch.testing.assert_close(terms["B_feature_matching"], 0.9 * (1 - r) * matching)
    torch.testing.assert_close(terms["B_reconstruction"], r * whole["B_reconstruction"])


def test_features_of_equal_pictures_match_and_identities_reconstruct():
    system = small(**CODE).eval()
    system.generator["AtoB"] = system.generator["BtoA"] = torch.nn.Identity()
    same = batch()
    same["image"] = same["source"]
    with torch.no_grad():
        terms = system.generator_loss(same, 0)
    assert terms["A_reconstruction"] == terms["B_reconstruction"] == 0
    assert terms["A_feature_matching"] == terms["B_feature_matching"] == 0


def test_schedules():
    """By default both networks in every step; as in the published code one, the discriminators in a third of them."""
    names = [[u.name for u in small(schedule="code").updates(step)] for step in range(6)]
    assert names == [["discriminator"], ["generator"], ["generator"]] * 2
    assert [u.name for u in small().updates(1)] == ["discriminator", "generator"]


@pytest.mark.parametrize(
    ("model", "generators", "judges", "terms"),
    [
        ("gan", ["AtoB"], ["B"], {"B_image"}),
        ("recongan", ["AtoB", "BtoA"], ["B"], {"B_image", "A_reconstruction"}),
        ("discogan", ["AtoB", "BtoA"], ["A", "B"], {"A_image", "B_image", "A_reconstruction", "B_reconstruction"}),
    ],
)
def test_ablations(model, generators, judges, terms):
    system = small(model=model)
    assert list(system.generator) == generators and list(system.discriminator) == judges
    assert set(system.generator_loss(batch(), 0)) == terms
    assert system.directions == (("AtoB", "BtoA") if model == "discogan" else ("AtoB",))


def test_no_translation_is_made_twice():
    system, given = small(), batch()
    calls = []
    for way in system.generator:
        system.generator[way].register_forward_hook(lambda *_, way=way: calls.append(way))
    system.discriminator_loss(given, 0)
    system.generator_loss(given, 0)
    assert sorted(calls) == ["AtoB", "AtoB", "BtoA", "BtoA"]  # there, and back


def test_both_directions_translate():
    system = small(source_channels=1, channels=3).eval()
    with torch.no_grad():
        assert system.translate(torch.zeros(1, 1, 16, 48), [0]).shape == (1, 3, 16, 48)
        assert system.translate(torch.zeros(1, 3, 32, 32), [0], "BtoA").shape == (1, 1, 32, 32)


def test_points_have_linear_layers():
    """Three in each generator and five in each discriminator (section 4.1)."""
    system = DiscoGAN(discogan.PRESETS["mixtures2d"].config)
    linear = [m for m in system.generator["AtoB"].modules() if isinstance(m, torch.nn.Linear)]
    assert len(linear) == 3
    assert len([m for m in system.discriminator["B"].modules() if isinstance(m, torch.nn.Linear)]) == 5


def test_what_cannot_be_is_refused_in_one_line():
    refused = {
        "a multiple of 16 px": {"size": 40},
        "made for pictures of 64 px": {"bottleneck": 8},
        "--model gan has no reconstruction": {"model": "gan", "mixing": "code"},
        "--first-rate and --rate": {"mixing": "code", "reconstruction_weight": 2.0},
    }
    for message, changes in refused.items():
        with pytest.raises(UserError, match=message):
            small(**changes)
