"""pix2pix against the counts, layers and equations of its paper and published code."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ganvas.errors import UserError
from ganvas.losses.options import Adversarial
from ganvas.nn.dropout import NoiseDropout
from ganvas.systems import pix2pix
from ganvas.systems.pix2pix import Config, Generator, Pix2Pix

SMALL = Config(size=32, width=4, patch=16)


def count(network):
    return sum(p.numel() for p in network.parameters())


def small(**changes):
    torch.manual_seed(0)
    return Pix2Pix(dataclasses.replace(SMALL, **changes))


def pair(channels=3, size=32, batch=2):
    generator = torch.Generator().manual_seed(1)
    return {
        "source": torch.rand(batch, channels, size, size, generator=generator) * 2 - 1,
        "image": torch.rand(batch, 3, size, size, generator=generator) * 2 - 1,
    }


def test_parameter_counts_are_the_published_ones():
    with torch.device("meta"):
        assert count(Generator(Config())) == 54_413_955
        assert count(Generator(Config(skips=False))) == 39_075_459
        assert count(Generator(Config(size=128))) == 41_828_995
        system = Pix2Pix(Config())
    assert count(system.discriminator) == 2_768_705
    with torch.device("meta"):
        assert count(Pix2Pix(Config(gan="unconditional")).discriminator) == 2_765_633


def test_inputs_of_the_decoder_are_the_papers():
    """CD512-CD1024-CD1024-C1024-C1024-C512-C256-C128: the paper's string lists what goes into each layer."""
    with torch.device("meta"):
        decoder = Generator(Config()).decoder
    convolutions = [next(m for m in layer if isinstance(m, nn.ConvTranspose2d)) for layer in decoder]
    assert [c.in_channels for c in convolutions] == [512, 1024, 1024, 1024, 1024, 512, 256, 128]
    assert [any(isinstance(m, NoiseDropout) for m in layer) for layer in decoder] == [True] * 3 + [False] * 5
    encoder_norms = [any(isinstance(m, nn.BatchNorm2d) for m in layer) for layer in Generator(SMALL).encoder]
    assert encoder_norms == [False, True, True, True, False]  # neither the first nor the 1x1 bottleneck


def test_the_forward_pass_is_the_papers_graph():
    """Against a plain rewriting of the U-Net as nested blocks, layer by layer."""
    system = small(dropout=0.0).eval()
    network, x = system.generator, pair()["source"]

    def block(level, h):
        """The part of the U-Net inside level: everything from that encoder layer to its decoder layer."""
        down, up = network.encoder[level], network.decoder[len(network.encoder) - 1 - level]
        inside = down(h)
        if level < len(network.encoder) - 1:
            inside = torch.cat([block(level + 1, inside), inside], 1)
        return up(inside.clone())

    with torch.no_grad():
        expected = torch.tanh(block(0, x))
        torch.testing.assert_close(network(x), expected)


@pytest.mark.parametrize("halve", [True, False])
def test_losses_are_equations_1_to_4(halve):
    system = small(dropout=0.0, norm="instance", halve=halve, reconstruction_weight=7.0)
    batch = pair()
    with torch.no_grad():
        fake = system.generator(batch["source"])
        judge = system.discriminator.network

        def logits(image):
            return judge(torch.cat([image, batch["source"]], 1)).heads["patch"]

        real_loss = F.binary_cross_entropy_with_logits(logits(batch["image"]), torch.ones(2, 1, 14, 14))
        fake_loss = F.binary_cross_entropy_with_logits(logits(fake), torch.zeros(2, 1, 14, 14))
        generator_loss = F.binary_cross_entropy_with_logits(logits(fake), torch.ones(2, 1, 14, 14))
        found = system.discriminator_loss(batch, 0)["patch"]
        torch.testing.assert_close(found, (real_loss + fake_loss) * (0.5 if halve else 1))
        terms = system.generator_loss(batch)
    torch.testing.assert_close(terms["patch"], generator_loss)
    torch.testing.assert_close(terms["l1"], 7 * (fake - batch["image"]).abs().mean())


def test_one_forward_pass_serves_both_updates():
    system, batch = small(), pair()
    calls = []
    system.generator.register_forward_hook(lambda *_: calls.append(1))
    for parameter in system.generator.parameters():
        parameter.requires_grad_(False)
    system.discriminator_loss(batch, 0)
    for parameter in system.generator.parameters():
        parameter.requires_grad_(True)
    sum(system.generator_loss(batch).values()).backward()
    assert len(calls) == 1
    assert all(p.grad is not None for p in system.generator.parameters())


def test_ablations_have_the_terms_of_section_4():
    batch = pair()
    terms = {
        (gan, reconstruction): sorted(small(gan=gan, reconstruction=reconstruction).generator_loss(dict(batch)))
        for gan, reconstruction in [
            ("none", "l1"), ("unconditional", "none"), ("conditional", "none"), ("unconditional", "l1"),
            ("conditional", "l1"), ("none", "l2"),
        ]
    }  # fmt: skip
    assert list(terms.values()) == [["l1"], ["patch"], ["patch"], ["l1", "patch"], ["l1", "patch"], ["l2"]]
    alone = small(gan="none")
    assert [u.name for u in alone.updates(0)] == ["generator"] and set(alone.optimizers()) == {"generator"}
    squared = small(gan="none", reconstruction="l2", dropout=0.0)
    with torch.no_grad():
        difference = squared.generator(batch["source"]) - batch["image"]
        torch.testing.assert_close(squared.generator_loss(batch)["l2"], 100 * (difference**2).mean())


def test_the_discriminators_gradient_reaches_x_only_if_it_is_conditional():
    for gan, reached in (("conditional", True), ("unconditional", False)):
        system, batch = small(gan=gan), pair()
        fake, source = torch.zeros(2, 3, 32, 32), batch["source"].requires_grad_()
        found = system.adversarial.discriminator_terms(batch["image"], fake, system.condition(batch), step=0)
        sum(found.values()).backward()
        assert (source.grad is not None and source.grad.abs().max() > 0) == reached


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_translations_differ_by_seed_and_only_with_dropout(norm):
    batch = pair(batch=1)
    for changes, differ in (({}, True), ({"test_dropout": False}, False), ({"dropout": 0.0}, False)):
        system = small(norm=norm, **changes).eval()
        with torch.no_grad():
            one, two, again = (system.translate(batch["source"], [seed]) for seed in (1, 2, 1))
        assert torch.equal(one, again) and torch.equal(one, two) != differ


def test_any_multiple_of_its_size_is_translated():
    system = small(levels=3).eval()
    assert system.multiple == 8
    with torch.no_grad():
        assert system.translate(torch.rand(1, 3, 24, 80), [0]).shape == (1, 3, 24, 80)


def test_channels_of_both_sides_are_free():
    system = small(channels=5, source_channels=2)
    batch = {"source": torch.rand(2, 2, 32, 32), "image": torch.rand(2, 5, 32, 32)}
    assert system.draw(batch).shape == (2, 5, 32, 32)
    assert all(term.isfinite() for term in system.discriminator_loss(batch, 0).values())


def test_what_cannot_be_is_refused_in_one_line():
    refused = {
        "leave nothing to learn": {"gan": "none", "reconstruction": "none"},
        "no adversarial loss": {"gan": "none", "adversarial": Adversarial(r1=1.0)},
        "translation would move": {"adversarial": Adversarial(diffaugment="translation")},
        "cannot be halved 5 times": {"size": 48, "levels": 5},
        "a power of two": {"size": 48},
        "need pictures of 64 px": {"patch": 142, "size": 32},
    }
    for message, changes in refused.items():
        with pytest.raises(UserError, match=message):
            small(**changes)


def test_the_presets_are_the_papers_table():
    """Images times epochs over batch, appendix 6.2."""
    steps = {name: pix2pix.PRESETS[name].training.steps for name in pix2pix.PRESETS if name.endswith("256")}
    assert steps == {
        "facades256": 80_000, "maps256": 219_200, "cityscapes256": 595_000, "edges2shoes256": 187_500,
        "edges2handbags256": 513_750, "day2night256": 75_747, "colorization256": 1_800_000,
    }  # fmt: skip
    assert pix2pix.PRESETS["facades256"].data.load_size == 286
    assert not pix2pix.PRESETS["edges2shoes256"].data.flip
