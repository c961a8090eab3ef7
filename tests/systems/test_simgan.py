"""SimGAN against the counts, equations and algorithm of its paper."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from ganvas.errors import UserError
from ganvas.losses.options import Adversarial
from ganvas.systems.simgan import PRESETS, Config, LocalDiscriminator, SimGAN

SMALL = Config(size=32, width=4, blocks=1, refiner_warmup=2, discriminator_warmup=3, adversarial=Adversarial())


def small(**changes):
    torch.manual_seed(0)
    return SimGAN(dataclasses.replace(SMALL, **changes))


def batch(channels=1):
    generator = torch.Generator().manual_seed(1)
    return {name: torch.rand(4, channels, 32, 32, generator=generator) * 2 - 1 for name in ("source", "image")}


def test_counts_and_patches_are_the_published_ones():
    """Eyes of 35 x 55: 296,129 and 75,906 parameters, 9 x 14 = 126 patches; hands: 4,018,625."""
    with torch.device("meta"):
        system = SimGAN(Config())
        hands = SimGAN(PRESETS["hands"].config)
        assert system.discriminator(torch.empty(2, 1, 35, 55)).heads["patch"].shape == (2, 1, 9, 14)
    count = [sum(p.numel() for p in n.parameters()) for n in (system.generator, system.discriminator, hands.generator)]
    assert count == [296_129, 75_906, 4_018_625]


def test_a_logit_is_the_softmax_of_two_channels():
    torch.manual_seed(0)
    network, x = LocalDiscriminator(1, "gaze"), torch.rand(2, 1, 32, 32)
    channels = network.head(network.layers(x))
    probabilities = torch.softmax(channels, 1)
    torch.testing.assert_close(torch.sigmoid(network(x).heads["patch"][:, 0]), probabilities[:, 1])


def test_losses_are_equations_2_and_4_with_their_labels():
    """With D the probability of `refined`, as the paper has it: 1 - sigmoid of our logits."""
    system, given = small(regularisation=0.3), batch()
    with torch.no_grad():
        refined = system.generator(given["source"])
        d = {
            name: 1 - torch.sigmoid(system.discriminator(x).heads["patch"])
            for name, x in (("refined", refined), ("real", given["image"]))
        }
        eq2 = -torch.log(d["refined"]).mean() - torch.log(1 - d["real"]).mean()
        torch.testing.assert_close(system.discriminator_loss(given, 0)["patch"], eq2)
        terms = system.generator_loss(given)
    torch.testing.assert_close(terms["patch"], -torch.log(1 - d["refined"]).mean())
    torch.testing.assert_close(terms["regularisation"], 0.3 * (refined - given["source"]).abs().mean())


@pytest.mark.parametrize("regularise", ["identity", "mean", "derivatives"])
def test_self_regularisation(regularise):
    """psi is linear, 0 for a refiner that changes nothing; each map lets pass what it is blind to."""
    system = small(channels=3, source_channels=3, regularise=regularise)
    x = batch(3)["source"]
    assert system.distance(x, x) == 0
    shifted, tinted = x + 0.25, x + torch.tensor([0.2, -0.2, 0.0])[None, :, None, None]
    expected = {"identity": (0.25, 0.4 / 3), "mean": (0.25, 0.0), "derivatives": (0.0, 0.0)}[regularise]
    found = [system.distance(y, x).item() for y in (shifted, tinted)]
    assert found == pytest.approx(expected, abs=1e-6)
    if regularise == "derivatives":
        ramp = x + torch.arange(32) * 0.1
        assert system.distance(ramp, x).item() == pytest.approx(0.1, abs=1e-5)


def test_algorithm_1_has_its_phases_and_repeats():
    system = small(refiner_updates=2, discriminator_updates=1)
    phases = [[(u.name, u.repeats) for u in system.updates(step)] for step in range(7)]
    assert phases[:2] == [[("generator", 1)]] * 2
    assert phases[2:5] == [[("discriminator", 1)]] * 3
    assert phases[5:] == [[("generator", 2), ("discriminator", 1)]] * 2
    assert set(next(iter(system.updates(0))).loss(batch())) == {"regularisation"}


def test_the_history_is_half_of_what_the_discriminator_sees():
    system, given = small(adversarial=Adversarial(history=8)), batch()
    shown = []
    system.discriminator.register_forward_pre_hook(lambda module, args: shown.append(args[0]))
    for step in range(2):
        system.discriminator_loss(given, step)
        with torch.no_grad():
            for parameter in system.generator.parameters():
                parameter.mul_(0.5)
    fakes = [pictures[4:] for pictures in shown]  # real ones go first through the same pass
    with torch.no_grad():
        now = system.generator(given["source"])
    assert torch.equal(fakes[1][2:].sort(0).values, fakes[0][:2].sort(0).values)
    assert system.adversarial.history.count == 4 and not torch.equal(now, fakes[1])


def test_the_residual_refiner_starts_near_the_picture():
    system, given = small(residual=True), batch()
    with torch.no_grad():
        for parameter in system.generator.last.parameters():
            parameter.zero_()
        assert torch.equal(system.generator(given["source"]), given["source"])


def test_any_size_is_refined():
    with torch.no_grad():
        assert small().translate(torch.zeros(1, 1, 37, 501), [0]).shape == (1, 1, 37, 501)


def test_gaze_descends_as_published_and_the_rest_uses_adam():
    groups = SimGAN(dataclasses.replace(PRESETS["gaze"].config, width=4)).optimizers()["generator"].param_groups
    assert groups[0]["lr"] == 1e-3 and groups[0]["momentum"] == 0
    assert small().optimizers()["discriminator"].param_groups[0]["lr"] == 1e-3


def test_what_cannot_be_is_refused_in_one_line():
    with pytest.raises(UserError, match="a refiner keeps the channels"):
        small(channels=3)
    with pytest.raises(UserError, match="mean of one channel"):
        small(regularise="mean")
    with pytest.raises(UserError, match="give --optimizer adam"):
        small(optimizer="sgd", adam=dataclasses.replace(Config().adam, beta1=0.9))


def test_softplus_is_the_cross_entropy_used():
    """The value at a discriminator that knows nothing: 2 ln 2 for it, ln 2 for the refiner."""
    system, given = small(), batch()
    with torch.no_grad():
        for parameter in system.discriminator.head.parameters():
            parameter.zero_()
        assert system.discriminator_loss(given, 0)["patch"].item() == pytest.approx(1.386294, abs=1e-5)
        assert system.generator_loss(given)["patch"].item() == pytest.approx(F.softplus(torch.zeros(())).item())
