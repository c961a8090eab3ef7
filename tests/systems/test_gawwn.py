"""GAWWN against SPECS section 7: counts, what leaves the box or the mask, what passes through G_k."""

import pytest
import torch

from ganvas import UserError
from ganvas.nn.boxes import box_mask
from ganvas.systems.gawwn import GAWWN, GRID, Config


def parameters(network):
    return sum(p.numel() for p in network.parameters())


def small(model, **changes):
    torch.manual_seed(0)
    settings = {"model": model, "size": 32, "latent": 8, "width": 4, "embedding": 12, "keypoints": 5}
    return GAWWN(Config(**settings | changes))


def conditions(count=3):
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(count, 2, generator=generator) / 2
    visible = (torch.rand(count, 5, 1, generator=generator) < 0.6).float()
    return {
        "text": torch.randn(count, 12, generator=generator),
        "boxes": torch.cat([corners, 0.2 + torch.rand(count, 2, generator=generator) * 0.3], 1),
        "keypoints": torch.cat([torch.rand(count, 5, 2, generator=generator), torch.ones(count, 5, 1)], 2) * visible,
    }


@pytest.mark.parametrize(
    ("model", "generator", "discriminator"),
    [
        ("box", 73_545_699, 16_763_137),
        ("keypoints", 26_471_043, 14_667_905),
        ("completion", 2_715_949, 946_177),
    ],
)
def test_parameters(model, generator, discriminator):
    """SPECS sections 7 and 14: every layer has a bias, batch norm a gain and a bias beside it."""
    with torch.device("meta"):
        system = GAWWN(Config(model=model, embedding=1024, keypoints=15))
    assert parameters(system.generator) == generator
    assert parameters(system.discriminator) == discriminator


def test_local_features_of_the_box_model_are_zero_outside_of_the_box():
    generator, given = small("box").generator, conditions()
    outside = (box_mask(given["boxes"], GRID, GRID) == 0).expand(3, 8, GRID, GRID)
    local = generator.local_features(torch.randn(3, 8), given["text"], given["boxes"])
    assert (local[outside] == 0).all() and (local[~outside] != 0).any()


def test_no_gradient_from_outside_of_the_box_reaches_the_local_pathway():
    """The derivative of a pixel, as far from the box as the layers behind reach, by what the local pathway draws."""
    generator = small("box").generator.eval()
    box = torch.tensor([[0.0, 0.0, 0.25, 0.25]])
    z, text = torch.randn(1, 8), torch.randn(1, 12)
    picture = generator(z, text, box)
    local = list(generator.locally.parameters())
    far = torch.autograd.grad(picture[..., 20:, 20:].sum(), local, retain_graph=True, allow_unused=True)
    near = torch.autograd.grad(picture[..., :8, :8].sum(), local)
    assert all(gradient is None or not gradient.any() for gradient in far)
    assert any(gradient.any() for gradient in near)


def test_no_gradient_from_far_from_the_keypoints_reaches_the_local_pathway():
    generator = small("keypoints").generator.eval()
    keypoints = torch.zeros(1, 5, 3)
    keypoints[0, 0] = torch.tensor([0.03, 0.03, 1.0])
    picture = generator(torch.randn(1, 8), torch.randn(1, 12), keypoints)
    local = list(generator.local_units.parameters())
    far = torch.autograd.grad(picture[..., 28:, 28:].sum(), local, retain_graph=True, allow_unused=True)
    near = torch.autograd.grad(picture[..., :4, :4].sum(), local)
    # A cell's features reach three cells further by the convolutions behind: 3x3 each, and a residual block of two.
    assert all(gradient is None or not gradient.any() for gradient in far)
    assert any(gradient.any() for gradient in near)


@pytest.mark.parametrize("model", ["box", "keypoints"])
def test_the_discriminator_sees_where(model):
    system, given = small(model).eval(), conditions()
    other = conditions()
    other["boxes"] = other["boxes"].roll(1, 0)
    other["keypoints"] = other["keypoints"].roll(1, 0)
    picture = torch.randn(3, 3, 32, 32)
    logits = [
        system.discriminator(picture, system.condition(given["text"], where)).heads["image"] for where in (given, other)
    ]
    assert (logits[0] != logits[1]).all()


def test_the_local_pathway_of_the_discriminator_sees_the_box_alone():
    """What lies beyond the convolutions' reach of the box changes the global pathway's features, not the local ones."""
    discriminator, given = small("box").discriminator.eval(), conditions(1)
    condition = small("box").condition(given["text"], {"boxes": torch.tensor([[0.0, 0.0, 0.25, 0.25]])})
    picture = torch.randn(1, 3, 32, 32)
    changed = picture.clone()
    changed[..., 20:, 20:] = 0
    (local, whole), (same, other) = (discriminator(p, condition).features for p in (picture, changed))
    torch.testing.assert_close(local, same, rtol=0, atol=0)
    assert not torch.equal(whole, other)


def test_observed_keypoints_pass_through_bit_for_bit():
    system, given = small("completion").eval(), conditions(16)
    with torch.no_grad():
        found = system.complete(given["keypoints"], given["text"], range(16))
    seen = given["keypoints"][..., 2] > 0
    assert seen.any() and not seen.all()
    assert torch.equal(found[seen], given["keypoints"][seen])
    assert ((found[~seen] > 0) & (found[~seen] < 1)).all()  # drawn by a sigmoid
    whole = torch.cat([torch.rand(16, 5, 2), torch.ones(16, 5, 1)], 2)
    with torch.no_grad():
        assert torch.equal(system.complete(whole, given["text"], range(16)), whole)


def test_observed_keypoints_pass_through_bf16():
    """Numbers keep their 24 bits where the networks have 8."""
    system, given = small("completion").eval(), conditions(4)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found = system.complete(given["keypoints"], given["text"], range(4))
    seen = given["keypoints"][..., 2] > 0
    assert found.dtype == torch.float32 and torch.equal(found[seen], given["keypoints"][seen])


def test_keypoints_are_hidden_with_the_probability_of_drop():
    system = small("completion", drop=0.9)
    keypoints = torch.ones(2000, 5, 3)
    shown = system.shown(keypoints)
    assert float(shown.mean()) == pytest.approx(0.1, abs=0.01)
    assert torch.equal(shown[..., 0], shown[..., 2])  # all three numbers of a point, or none
    assert torch.equal(small("completion", drop=0.0).shown(keypoints), keypoints)


def test_the_completion_model_has_no_mismatched_captions():
    system, given = small("completion"), conditions(4)
    terms = system.discriminator_loss(dict(given), step=0)
    assert terms.keys() == {"image"}
    for model in ("box", "keypoints"):
        batch = given | {"image": torch.rand(4, 3, 32, 32)}
        judge, _ = small(model).updates(0)
        assert judge.loss(batch).keys() == {"image", "mismatched_image"}


def test_mismatched_pairs_have_their_own_place():
    """The caption is another's, the box is the picture's: what is to be rejected is the caption."""
    system, given, seen = small("box"), conditions(4) | {"image": torch.rand(4, 3, 32, 32)}, []
    inner = system.discriminator.decide
    system.discriminator.decide = lambda h, condition: seen.append(condition) or inner(h, condition)
    system.adversarial.discriminator.decide = system.discriminator.decide
    for update in system.updates(0):
        update.loss(given)
        break
    real, fake, wrong = seen
    assert torch.equal(real.boxes, wrong.boxes) and torch.equal(real.boxes, fake.boxes)
    assert torch.equal(wrong.vector, real.vector.roll(-1, 0))


def test_samples_of_the_completion_model_are_its_keypoints():
    from ganvas.nn.keypoints import dots

    system, given = small("completion").eval(), conditions(2)
    with torch.no_grad():
        pictures = system.sample([3, 4], given)
        expected = dots(system.complete(given["keypoints"], given["text"], [3, 4]), 32)
    assert torch.equal(pictures, expected)


@pytest.mark.parametrize("size", [32, 64, 128])
@pytest.mark.parametrize("model", ["box", "keypoints"])
def test_every_size_has_the_same_cells(model, size):
    system = small(model, size=size).eval()
    with torch.no_grad():
        pictures = system.sample([0, 1, 2], conditions())
        maps, _ = system.discriminator.encode(pictures)
    assert pictures.shape == (3, 3, size, size) and maps.shape[2:] == (GRID, GRID)


def test_another_size_is_refused():
    with pytest.raises(UserError, match="a power of two from 32, not 48 px"):
        small("box", size=48)


def test_unknown_keypoints_are_told():
    with pytest.raises(UserError, match="give --keypoints N"):
        small("keypoints", keypoints="auto")
    small("box", keypoints="auto")
