"""GAN-CLS against SPECS section 6: counts, weights of its losses, mixed captions."""

import pytest
import torch
from torch import nn

from ganvas import UserError, systems
from ganvas.systems.gancls import GANCLS, Config


def parameters(network):
    return sum(p.numel() for p in network.parameters())


def small(**changes):
    torch.manual_seed(0)
    settings = {"size": 32, "latent": 8, "width": 8, "discriminator_width": 8, "text_units": 8, "embedding": 12}
    return GANCLS(Config(**settings | changes))


def batch(count=8):
    return {"image": torch.rand(count, 3, 32, 32) * 2 - 1, "text": torch.randn(count, 12)}


def test_parameters():
    """SPECS section 14: convolutions, transposed ones and linear layers all with biases, batch norm with gains too."""
    with torch.device("meta"):
        system = GANCLS(Config(embedding=1024))
    assert parameters(system.generator) == 18_909_699
    assert parameters(system.discriminator) == 4_032_321


def test_the_third_layer_of_the_discriminator_is_linear_but_for_coco():
    with torch.device("meta"):
        published, coco = (GANCLS(Config(embedding=1024, gap=gap)).discriminator for gap in (True, False))
    kinds = [[type(layer) for layer in network.convolutions] for network in (published, coco)]
    third = [i for i, kind in enumerate(kinds[1]) if kind is nn.Conv2d][2]
    assert kinds[1][third : third + 3] == [nn.Conv2d, nn.BatchNorm2d, nn.LeakyReLU]
    assert kinds[0] == kinds[1][: third + 2] + kinds[1][third + 3 :]


def test_mixed_captions_are_drawn_from_and_never_shown_to_the_discriminator_in_its_own_update():
    system, seen = small(), []
    inner = system.discriminator.decide
    system.discriminator.decide = lambda h, condition: seen.append(condition.vector) or inner(h, condition)
    given = batch()
    system.discriminator_loss(given, step=0)
    for vectors in seen:  # real, fake, mismatched: each a caption of the batch
        assert all(any(torch.equal(row, text) for text in given["text"]) for row in vectors)
    assert len(seen) == 3
    seen.clear()
    system.generator_loss(given)
    half = (given["text"][:4] + given["text"][4:]) / 2
    torch.testing.assert_close(seen[0], torch.cat([given["text"], half]))
    assert len(given["fake"]) == 12


def test_the_generators_loss_is_one_mean_over_one_and_a_half_batches():
    """-log D of 8 + 4 pictures, against the logits themselves; PyTorch's softplus."""
    system, given = small(), batch()
    found = system.generator_loss(given)
    logits = []
    inner = system.discriminator.decide
    system.discriminator.decide = lambda h, condition: logits.append(inner(h, condition)) or logits[-1]
    again = system.generator_loss(given)
    (verdict,) = logits
    assert verdict.heads["image"].shape == (12,) and found.keys() == again.keys() == {"image"}
    torch.testing.assert_close(again["image"], nn.functional.softplus(-verdict.heads["image"]).mean())


def test_without_interpolation_there_are_as_many_pictures_as_captions():
    system, given = small(interpolate=False), batch()
    system.generator_loss(given)
    assert len(given["fake"]) == 8


def test_without_mismatched_pairs_there_is_no_such_term():
    assert small(mismatched=0.0).discriminator_loss(batch(), step=0).keys() == {"image"}
    assert small().discriminator_loss(batch(), step=0).keys() == {"image", "mismatched_image"}


def test_pictures_of_one_class_are_no_mismatch():
    """The caption of another picture of the same class describes this one too."""
    system, given = small(), batch(4)
    given["label"] = torch.tensor([0, 0, 1, 1])
    seen = []
    inner = system.discriminator.decide
    system.discriminator.decide = lambda h, condition: seen.append(condition.vector) or inner(h, condition)
    system.discriminator_loss(given, step=0)
    assert torch.equal(seen[2], given["text"][[2, 2, 0, 0]])


def test_captions_are_scaled_alike_everywhere():
    """An encoder whose vectors are a hundred times as long draws the same pictures."""
    found = []
    given = batch()
    for factor in (1.0, 100.0):
        system = small()
        system.begin([given | {"text": factor * given["text"]}])
        system.eval()
        with torch.no_grad():
            found.append(system.sample([0, 1], {"text": factor * given["text"][:2]}))
    torch.testing.assert_close(*found)
    system.begin([{"text": 100 * torch.ones(4, 12)}])
    torch.testing.assert_close(system.standing.scaled(torch.full((1, 12), 100.0)), torch.ones(1, 12))


def test_another_size_is_refused():
    with pytest.raises(UserError, match="powers of two from 32, not 48 px"):
        small(size=48)


def test_losses_that_compare_with_the_real_picture_are_refused_with_mixed_captions():
    config = systems.find("gancls").PRESETS["smoke"].config
    from ganvas.losses.options import Adversarial

    with pytest.raises(UserError, match="--no-interpolate"):
        small(adversarial=Adversarial(objective="relativistic"))
    small(adversarial=Adversarial(objective="relativistic"), interpolate=False)
    assert config.interpolate


def test_an_unknown_length_of_captions_is_told():
    with pytest.raises(UserError, match="give --embedding N"):
        small(embedding="auto")
