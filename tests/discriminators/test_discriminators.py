"""Parameter counts of the papers, shapes, projection, and the absence of batch coupling."""

import pytest
import torch
from torch import nn

from ganvas.discriminators import Condition, Verdict
from ganvas.discriminators.resnet import ResNetDiscriminator
from ganvas.discriminators.unet import UNetDiscriminator
from ganvas.errors import UserError


def _count(network):
    return sum(parameter.numel() for parameter in network.parameters())


# The published U-Net discriminators include a linear layer of 65 parameters that nothing uses.
@pytest.mark.parametrize(
    ("network", "size", "options", "count"),
    [
        (UNetDiscriminator, 256, {}, 44_067_651 - 65),
        (UNetDiscriminator, 128, {}, 31_481_667 - 65),
        (UNetDiscriminator, 128, {"classes": 10}, 31_492_547 - 65),
        (ResNetDiscriminator, 256, {}, 43_401_409),
        (ResNetDiscriminator, 128, {}, 38_419_137),
        (ResNetDiscriminator, 128, {"classes": 10}, 38_429_377),
        (ResNetDiscriminator, 128, {"width": 96, "classes": 1000, "attention": 64}, 87_982_370),
    ],
)
def test_parameter_counts(network, size, options, count):
    with torch.device("meta"):
        assert _count(network(size, **options)) == count


@pytest.mark.parametrize("size", [32, 64, 128, 256])
@pytest.mark.parametrize("network", [UNetDiscriminator, ResNetDiscriminator])
def test_shapes_at_every_size(network, size):
    discriminator = network(size, width=2, channels=1)
    heads = discriminator(torch.randn(2, 1, size, size)).heads
    if network is UNetDiscriminator:
        assert heads["encoder"].shape == (2,) and heads["decoder"].shape == (2, 1, size, size)
    else:
        assert heads["image"].shape == (2,)


@pytest.mark.parametrize("network", [UNetDiscriminator, ResNetDiscriminator])
def test_pictures_are_judged_one_by_one(network):
    """No batch norm: a verdict does not depend on the other pictures, and `split` undoes `cat`."""
    discriminator = network(32, width=2).double().eval()
    assert not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in discriminator.modules())
    a, b = torch.randn(2, 3, 32, 32).double(), torch.randn(3, 3, 32, 32).double()
    first, second = discriminator(torch.cat([a, b])).split([2, 3])
    for joint, images in ((first, a), (second, b)):
        for name, logits in discriminator(images).heads.items():
            torch.testing.assert_close(joint.heads[name], logits)


def test_pooling_is_a_sum():
    discriminator = ResNetDiscriminator(32, width=2).eval()
    pooled = []
    discriminator.head.register_forward_hook(lambda m, i, o: pooled.append(i[0]))
    h = []
    discriminator.blocks[-1].register_forward_hook(lambda m, i, o: h.append(o))
    discriminator(torch.randn(2, 3, 32, 32))
    torch.testing.assert_close(pooled[0], h[0].clamp(min=0).sum((2, 3)))


def test_projection_on_vector_and_on_every_pixel():
    discriminator = UNetDiscriminator(32, width=4, classes=3).double().eval()
    images = torch.randn(2, 3, 32, 32).double()
    zero = discriminator(images, Condition(vector=torch.zeros(2, 3).double())).heads
    one = discriminator(images, Condition(vector=torch.eye(3)[[0, 2]].double())).heads
    assert (zero["encoder"] != one["encoder"]).all()
    assert (zero["decoder"] != one["decoder"]).float().mean() > 0.99
    # Linear in the embedded condition: half the vector, half the difference.
    half = discriminator(images, Condition(vector=0.5 * torch.eye(3)[[0, 2]].double())).heads
    for name in zero:
        torch.testing.assert_close(half[name] - zero[name], (one[name] - zero[name]) / 2)


def test_condition_mismatch_is_refused():
    with pytest.raises(ValueError, match="is conditional"):
        UNetDiscriminator(32, width=2, classes=3)(torch.randn(1, 3, 32, 32))
    with pytest.raises(ValueError, match="is unconditional"):
        UNetDiscriminator(32, width=2)(torch.randn(1, 3, 32, 32), Condition(vector=torch.ones(1, 3)))


def test_odd_size_is_refused():
    with pytest.raises(UserError, match="32, 64, 128 or 256 px, not 48"):
        ResNetDiscriminator(48)
    with pytest.raises(UserError, match="multiple of 16 px at such a size, not of 100"):
        UNetDiscriminator(100)
    with pytest.raises(UserError, match="32 px or more, not of 16"):
        UNetDiscriminator(16)


def test_sizes_between_have_the_blocks_of_the_next_smaller_one():
    """As 64 px, whose parameters it can hold, and with a map of the picture's size."""
    between, known = UNetDiscriminator(96, width=2), UNetDiscriminator(64, width=2)
    between.load_state_dict(known.state_dict())
    heads = between(torch.randn(2, 3, 96, 96)).heads
    assert heads["encoder"].shape == (2,) and heads["decoder"].shape == (2, 1, 96, 96)


def test_conditions_are_joined_batch_after_batch():
    first = Condition(vector=torch.arange(4.0).view(2, 2), boxes=torch.ones(2, 4))
    condition = first.joined(Condition(vector=torch.tensor([[8.0, 9.0]]), boxes=torch.zeros(1, 4)))
    assert condition.vector.tolist() == [[0, 1], [2, 3], [8, 9]]
    assert condition.boxes.shape == (3, 4) and condition.maps is None


def test_verdict_split_carries_features():
    verdict = Verdict({"image": torch.arange(3.0)}, (torch.arange(6.0).view(3, 2),))
    first, second = verdict.split([1, 2])
    assert first.features[0].tolist() == [[0, 1]] and second.heads["image"].tolist() == [1, 2]
