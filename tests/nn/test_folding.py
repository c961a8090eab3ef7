"""Folded convolutions against the two operations that they replace, in float64."""

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from ganvas.nn.folding import fold_down, fold_up
from ganvas.nn.layers import Conv2d
from ganvas.nn.weights import reference_scope


def _pair(inputs=5, outputs=3, height=9, width=14):
    x = torch.randn(2, inputs, height, width, dtype=torch.float64, requires_grad=True)
    kernel = torch.randn(outputs, inputs, 3, 3, dtype=torch.float64, requires_grad=True)
    return x, kernel


def test_fold_up_is_nearest_then_convolution():
    x, kernel = _pair()
    expected = F.conv2d(F.interpolate(x, scale_factor=2, mode="nearest"), kernel, padding=1)
    folded = F.conv_transpose2d(x, fold_up(kernel), stride=2, padding=1)
    torch.testing.assert_close(folded, expected, rtol=0, atol=1e-10)


def test_fold_down_is_convolution_then_mean():
    x, kernel = _pair(height=10)
    expected = F.avg_pool2d(F.conv2d(x, kernel, padding=1), 2)
    torch.testing.assert_close(F.conv2d(x, fold_down(kernel), stride=2, padding=1), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("spectral", [False, True])
@pytest.mark.parametrize("method", ["upsampled", "downsampled"])
@pytest.mark.parametrize("side", [2, 16, 18])
def test_layer_equals_reference_with_gradients(kernel, spectral, method, side):
    """Forward and both gradients, at sizes on either side of the point where folding starts."""
    conv = Conv2d(4, 6, kernel, spectral=spectral).double().eval()
    x = torch.randn(2, 4, side, side, dtype=torch.float64, requires_grad=True)
    y = getattr(conv, method)(x)
    with reference_scope():
        expected = getattr(conv, method)(x)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-10)
    cotangent = torch.randn_like(y)
    wanted = [x, conv.weight, conv.bias]
    for ours, theirs in zip(
        torch.autograd.grad(y, wanted, cotangent), torch.autograd.grad(expected, wanted, cotangent), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


def test_whole_unet_discriminator_and_generator_fold_exactly():
    from ganvas.discriminators.unet import UNetDiscriminator
    from ganvas.systems.biggan import Generator

    discriminator = UNetDiscriminator(64, width=4).double().eval()
    generator = Generator(64, 3, 4, 8, 0, 0, 0).double().eval()
    z = torch.randn(3, 8, dtype=torch.float64)

    def run():
        pictures = generator(z)
        heads = discriminator(pictures).heads
        return pictures, heads["encoder"], heads["decoder"]

    fast = run()
    with reference_scope():
        for ours, theirs in zip(fast, run(), strict=True):
            assert (ours - theirs).abs().max() <= 1e-10 * theirs.abs().max().clamp(min=1)


@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize(("kernel", "outputs"), [(9, 3), (3, 1), (5, 4), (1, 3), (3, 5)])
def test_a_convolution_after_a_shuffle_equals_its_reference_with_gradients(factor, kernel, outputs):
    """Few outputs are folded, more are not; forward and all gradients against the two operations."""
    conv = Conv2d(2, outputs, kernel).double()
    x = torch.randn(2, 2 * factor**2, 5, 7, dtype=torch.float64, requires_grad=True)
    y = conv.shuffled(x, factor)
    expected = F.conv2d(F.pixel_shuffle(x, factor), conv.weight, conv.bias, padding=kernel // 2)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-10)
    cotangent = torch.randn_like(y)
    wanted = [x, conv.weight, conv.bias]
    for ours, theirs in zip(
        torch.autograd.grad(y, wanted, cotangent), torch.autograd.grad(expected, wanted, cotangent), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


def test_a_folded_shuffle_never_makes_the_large_maps():
    """By its multiplications: 5 x 5 taps from 4 times the channels to 4 times the outputs, at the small size."""
    conv = Conv2d(2, 3, 9)
    with FlopCounterMode(display=False) as counter:
        conv.shuffled(torch.randn(1, 8, 6, 6), 2)
    assert counter.get_total_flops() == 2 * 36 * (4 * 2) * (4 * 3) * 25
