"""The bottleneck block against its three layers written out."""

import torch
import torch.nn.functional as F

from ganvas.nn.residual import Bottleneck


def test_a_block_is_its_layers_added_to_what_came_in():
    torch.manual_seed(0)
    for slope in (0.0, 0.2):
        block, x = Bottleneck(6, 3, slope).double(), torch.randn(4, 6, 5, 5, dtype=torch.float64)
        before = x.clone()
        h = x
        for i, (convolution, norm) in enumerate((block.first, block.second, block.third)):
            h = F.conv2d(h, convolution.weight, convolution.bias, padding=convolution.kernel_size[0] // 2)
            mean, variance = h.mean((0, 2, 3), keepdim=True), h.var((0, 2, 3), correction=0, keepdim=True)
            h = (h - mean) / (variance + norm.eps).sqrt()
            h = F.leaky_relu(h, slope) if i < 2 else h
        torch.testing.assert_close(block(x), F.leaky_relu(h + x, slope))
        assert torch.equal(x, before)  # nothing is written over


def test_without_biases_and_with_too_few_channels_between():
    assert all(conv.bias is None for conv, _ in [*Bottleneck(4, 2, bias=False).children()])
    assert Bottleneck(2, 0)(torch.randn(3, 2, 4, 4)).shape == (3, 2, 4, 4)
