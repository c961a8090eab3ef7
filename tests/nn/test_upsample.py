"""Three ways to double the resolution: sizes, overlap, and what ICNR makes of the first weights."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ganvas.nn.init import dcgan_init, icnr_
from ganvas.nn.upsample import upsample

METHODS = ["transposed", "resize", "subpixel"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kernel", [2, 3, 4, 5, 6])
def test_every_kernel_doubles_the_size(method, kernel):
    layer = upsample(method, 3, 5, kernel)
    assert layer(torch.randn(2, 3, 7, 4)).shape == (2, 5, 14, 8)
    assert layer(torch.randn(2, 3, 1, 1)).shape == (2, 5, 2, 2)


@pytest.mark.parametrize(("kernel", "counts"), [(2, [1, 1]), (3, [1, 2]), (4, [2, 2]), (5, [2, 3]), (6, [3, 3])])
def test_overlap_of_transposed_kernels(kernel, counts):
    """Odena et al. 2016: a kernel of ones counts how many inputs reach each output; uneven unless 2 divides it."""
    layer = upsample("transposed", 1, 1, kernel)
    with torch.no_grad():
        layer.weight.fill_(1.0)
        inside = layer(torch.ones(1, 1, 12, 12))[0, 0, 8:16, 8:16]
    phases = inside[::2, ::2], inside[::2, 1::2], inside[1::2, ::2], inside[1::2, 1::2]
    assert all((phase == phase[0, 0]).all() for phase in phases)
    found = sorted({float(phase[0, 0]) for phase in phases})
    assert found == sorted({a * b for a in counts for b in counts})


def test_resize_is_nearest_doubling_then_the_convolution():
    torch.manual_seed(0)
    layer = upsample("resize", 4, 6, bias=True).double()
    x = torch.randn(2, 4, 9, 11, dtype=torch.float64)
    expected = F.conv2d(
        F.interpolate(x, scale_factor=2, mode="nearest"), layer.convolution.weight, layer.convolution.bias, padding=1
    )
    torch.testing.assert_close(layer(x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("init", [lambda layer: None, dcgan_init])
def test_subpixel_starts_without_a_checkerboard(init):
    """ICNR: at first the layer equals its convolution followed by a nearest-neighbour doubling, exactly."""
    torch.manual_seed(0)
    layer = upsample("subpixel", 4, 6, bias=True)
    init(layer)
    x = torch.randn(2, 4, 8, 8)
    out = layer(x)
    blocks = F.unfold(out, 2, stride=2).view(2, 6, 4, -1)
    assert float(blocks.std(2).max()) == 0.0
    convolution = layer[0]
    first = F.conv2d(x, convolution.weight[::4], convolution.bias[::4], padding=1)
    torch.testing.assert_close(out, F.interpolate(first, scale_factor=2, mode="nearest"))
    # PyTorch's own first weights do show one: what ICNR is for.
    plain = nn.Sequential(nn.Conv2d(4, 24, 3, padding=1), nn.PixelShuffle(2))
    assert F.unfold(plain(x), 2, stride=2).view(2, 6, 4, -1).std(2).mean() > 0.1


def test_icnr_draws_as_many_different_kernels_as_there_are_channels():
    """For a factor of 3: nine equal kernels side by side, the next nine others."""
    convolution = nn.Conv2d(2, 18, 3)
    icnr_(convolution, 3)
    assert len({tuple(kernel.flatten().tolist()) for kernel in convolution.weight}) == 2
    out = F.pixel_shuffle(convolution(torch.randn(1, 2, 6, 6)), 3)
    assert float(F.unfold(out, 3, stride=3).view(2, 9, -1).std(1).max()) < 1e-6


def test_dcgan_init_draws_what_the_paper_says():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(64, 128, 4), nn.BatchNorm2d(4096), nn.ConvTranspose2d(64, 128, 4), nn.Linear(300, 300)
    )
    dcgan_init(net)
    for layer in (net[0], net[2], net[3]):
        assert abs(float(layer.weight.std()) - 0.02) < 2e-4 and abs(float(layer.weight.mean())) < 2e-4
        assert float(layer.bias.abs().max()) == 0
    assert abs(float(net[1].weight.mean()) - 1) < 2e-3 and abs(float(net[1].weight.std()) - 0.02) < 2e-3
