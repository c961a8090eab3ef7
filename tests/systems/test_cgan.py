"""Conditional GAN: parameter counts, where the class goes in, what is refused."""

import dataclasses

import pytest
import torch
from torch import nn

from ganvas.discriminators import Condition
from ganvas.errors import UserError
from ganvas.systems import cgan, find_preset
from ganvas.systems.cgan import join


def small(preset="smoke", **changes):
    return cgan.CGAN(dataclasses.replace(cgan.PRESETS[preset].config, **changes))


def test_parameter_counts_of_the_mlp():
    """SPECS: generator with the joint layer, discriminator."""
    config = dataclasses.replace(find_preset("cgan", "mnist-mlp").config, classes=10)
    with torch.device("meta"):
        system = cgan.CGAN(config)
    counts = [sum(p.numel() for p in network.parameters()) for network in (system.generator, system.discriminator)]
    assert counts == [2_413_984, 1_224_351]
    assert (system.prior.kind, system.prior.centre, system.prior.scale) == ("uniform", 0.5, 0.5)  # the unit hypercube


def test_layers_of_the_convolutional_form():
    """SPECS: 1024, 128 x 7 x 7, 5x5 to 64 and to 1; 5x5 64 and 128, 1024, 1; the 10 classes beside every input."""
    config = dataclasses.replace(find_preset("cgan", "mnist-conv").config, classes=10)
    system = cgan.CGAN(config)
    generator = {name: tuple(parameter.shape) for name, parameter in system.generator.named_parameters()}
    assert generator == {
        "linear1.weight": (1024, 110), "linear2.weight": (128 * 7 * 7, 1034),
        "up1.weight": (138, 64, 5, 5), "up2.weight": (74, 1, 5, 5),
    }  # fmt: skip
    discriminator = {name: tuple(parameter.shape) for name, parameter in system.discriminator.named_parameters()}
    assert discriminator == {
        "down1.weight": (64, 11, 5, 5), "down2.weight": (128, 74, 5, 5),
        "linear.weight": (1024, 128 * 7 * 7 + 10), "output.weight": (1, 1034),
    }  # fmt: skip
    adam = config.adam
    assert (adam.weight_decay, adam.beta1, adam.generator_rate) == (2.5e-5, 0.5, 2e-4)


def test_joined_classes_are_constant_over_the_picture():
    h, label = torch.randn(2, 3, 4, 5), torch.eye(6)[[1, 4]]
    joined = join(h, label)
    assert joined.shape == (2, 9, 4, 5) and torch.equal(joined[:, :3], h)
    assert torch.equal(joined[:, 3:], label[:, :, None, None].expand(2, 6, 4, 5))
    assert torch.equal(join(h[:, :, 0, 0], label), torch.cat([h[:, :, 0, 0], label], 1))


@pytest.mark.parametrize("preset", ["smoke", "smoke-mlp"])
def test_the_class_changes_the_picture_and_reaches_it_alone(preset):
    torch.manual_seed(0)
    system = small(preset).eval()
    with torch.no_grad():
        a = system.sample([0, 1], {"label": torch.tensor([0, 1])})
        b = system.sample([0, 1], {"label": torch.tensor([0, 2])})
    torch.testing.assert_close(a[0], b[0])
    assert (a[1] - b[1]).abs().max() > 1e-4


@pytest.mark.parametrize("discriminator", ["own", "conv", "resnet", "unet"])
@pytest.mark.parametrize("preset", ["smoke", "smoke-mlp"])
def test_the_discriminator_is_told_the_class(preset, discriminator):
    system = small(preset, discriminator=discriminator).eval()
    images = torch.randn(2, 3, 32, 32)
    answers = [system.discriminator(images, Condition(vector=torch.eye(3)[[k, k]])).heads for k in (0, 1)]
    for name in answers[0]:
        assert (answers[0][name] - answers[1][name]).abs().max() > 0
    with pytest.raises(ValueError, match="conditional"):
        system.discriminator(images)


def test_dropout_is_in_both_networks_of_the_mlp():
    system = small("smoke-mlp").train()
    z, label = system.prior.draw(3), torch.tensor([0, 1, 2])
    assert (system.generator(z, label) != system.generator(z, label)).any()
    condition = Condition(vector=torch.eye(3))
    images = torch.randn(3, 3, 32, 32)
    one, other = (system.discriminator(images, condition).heads["image"] for _ in range(2))
    assert (one != other).any()
    system.eval()
    assert torch.equal(system.generator(z, label), system.generator(z, label))


def test_in_turn_one_network_a_step():
    system = small(in_turn=True)
    assert [[update.name for update in system.updates(step)] for step in range(2)] == [["generator"], ["discriminator"]]


def test_the_losses_at_chance():
    system = small()
    nn.init.zeros_(system.discriminator.output.weight)
    batch = {"image": torch.randn(3, 3, 32, 32), "label": torch.tensor([0, 1, 2])}
    assert float(system.discriminator_loss(batch, 0)["image"]) == pytest.approx(1.386294, abs=1e-5)
    assert float(system.generator_loss(batch)["image"]) == pytest.approx(0.693147, abs=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": 1}, "two or more"),
        ({"classes": "auto"}, "number of classes is not known"),
        ({"size": 30}, "multiple of 4, not 30"),
        ({"discriminator": "unet", "size": 28}, "not of 28"),
        ({"optimizer": "sgd", "adam": cgan.Adams(beta1=0.1)}, "do nothing with --optimizer sgd"),
    ],
)
def test_impossible_settings(changes, message):
    with pytest.raises(UserError, match=message):
        small(**changes)
