"""PatchGAN against the counts, fields and sizes of the published networks (appendix 6.1.2 and its code)."""

import pytest
import torch

from ganvas.discriminators import Condition
from ganvas.discriminators.conv import ConvDiscriminator
from ganvas.discriminators.maps import WithMaps
from ganvas.discriminators.patch import PatchDiscriminator
from ganvas.discriminators.unet import UNetDiscriminator
from ganvas.errors import UserError

# field: parameters with six channels, logits a side for 256 px (published PyTorch code, instantiated)
PUBLISHED = {
    1: (9_024, 256), 16: (139_585, 126), 34: (666_433, 62), 70: (2_768_705, 30), 142: (6_964_033, 14),
    286: (11_159_361, 6),
}  # fmt: skip


@pytest.mark.parametrize("field", PUBLISHED)
def test_parameters_and_logits_are_the_published_ones(field):
    with torch.device("meta"):
        network = PatchDiscriminator(256, channels=6, field=field)
        logits = network(torch.empty(2, 6, 256, 256)).heads["patch"]
    parameters, side = PUBLISHED[field]
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert logits.shape == (2, 1, side, side)


def test_without_a_condition_it_has_3072_parameters_less():
    with torch.device("meta"):
        network = PatchDiscriminator(256)
    assert sum(p.numel() for p in network.parameters()) == 2_765_633


@pytest.mark.parametrize("field", [1, 16, 34, 70])
@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_a_logit_sees_its_patch_and_nothing_else(field, norm):
    """Against the name of the network: changing pixels outside the field leaves the logit, on its rim it does not."""
    torch.manual_seed(0)
    network = PatchDiscriminator(128, channels=3, width=4, field=field, norm=norm).double().eval()
    if norm == "instance":  # statistics reach everywhere: only the convolutions are looked at
        for block in network.blocks[1:]:
            block[1] = torch.nn.Identity()
    with torch.no_grad():  # positive weights: no gradient is lost in a rectifier
        for parameter in network.parameters():
            parameter.abs_()
    picture = torch.rand(1, 3, 128, 128, dtype=torch.float64, requires_grad=True)
    logits = network(picture).heads["patch"]
    middle = logits.shape[-1] // 2
    logits[0, 0, middle, middle].backward()
    rows = picture.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    columns = picture.grad.abs().sum((0, 1, 2)).nonzero().flatten()
    assert len(rows) == len(columns) == field
    assert rows[-1] - rows[0] == field - 1
    changed = picture.detach().clone()
    inside = torch.zeros(128, 128, dtype=torch.bool)
    inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    changed[:, :, ~inside] = 7.0
    with torch.no_grad():
        torch.testing.assert_close(network(changed).heads["patch"][0, 0, middle, middle], logits[0, 0, middle, middle])


def test_the_gradient_reaches_the_source_of_a_conditional_one_only():
    torch.manual_seed(0)
    images, source = torch.rand(2, 3, 32, 32), torch.rand(2, 1, 32, 32, requires_grad=True)
    network = WithMaps(PatchDiscriminator(32, channels=4, width=4, field=16))
    network(images, Condition(maps=source)).heads["patch"].sum().backward()
    assert source.grad.abs().max() > 0
    with pytest.raises(ValueError, match="needs Condition"):
        network(images)


def test_maps_lie_behind_the_channels_of_the_picture():
    """Against the inner network on channels laid together by hand; of both discriminators that judge whole pictures."""
    torch.manual_seed(0)
    images, maps, vector = torch.rand(2, 3, 32, 32), torch.rand(2, 2, 32, 32), torch.eye(2)
    for kind in (ConvDiscriminator, UNetDiscriminator):
        inner = kind(32, channels=5, width=4, classes=2).eval()
        found = WithMaps(inner)(images, Condition(vector=vector, maps=maps)).heads
        expected = inner(torch.cat([images, maps], 1), Condition(vector=vector)).heads
        assert found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in found)
    assert WithMaps(UNetDiscriminator(32, channels=5, width=4)).judges_pixels


def test_classes_move_the_logits_of_their_pictures():
    torch.manual_seed(0)
    network = PatchDiscriminator(32, width=4, field=16, classes=2).eval()
    images = torch.rand(2, 3, 32, 32)
    one, other = (network(images, Condition(vector=v)).heads["patch"] for v in (torch.eye(2), torch.eye(2).flip(0)))
    assert (one - other).abs().max() > 0
    with pytest.raises(ValueError, match="conditional"):
        network(images)
    with pytest.raises(ValueError, match="unconditional"):
        PatchDiscriminator(32, width=4, field=16)(images, Condition(vector=torch.eye(2)))


def test_impossible_patches_are_refused_in_one_line():
    with pytest.raises(UserError, match="need pictures of 128 px or more, not 64"):
        PatchDiscriminator(64, field=286)
