"""Convolutions from and to one pixel as products of matrices, against the convolutions themselves."""

import pytest
import torch

from ganvas.nn.layers import FromPixel, ToPixel
from ganvas.nn.weights import reference_scope


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", ["from", "to"])
def test_they_are_those_convolutions(kind, bias, layout):
    """Values and gradients of input, weight and bias, in float64."""
    torch.manual_seed(0)
    if kind == "from":
        layer, x = FromPixel(5, 7), torch.randn(3, 5, 1, 1, dtype=torch.float64)
        layer.bias = layer.bias if bias else None
    else:
        layer, x = ToPixel(5, 7, bias=bias), torch.randn(3, 5, 4, 4, dtype=torch.float64)
    layer = layer.double().to(memory_format=layout)
    x = x.contiguous(memory_format=layout).requires_grad_()
    with reference_scope():
        expected = layer(x)
    found = layer(x)
    torch.testing.assert_close(found, expected)
    along = torch.randn_like(expected)
    wanted = [x, *layer.parameters()]
    for ours, theirs in zip(
        torch.autograd.grad(found, wanted, along), torch.autograd.grad(expected, wanted, along), strict=True
    ):
        torch.testing.assert_close(ours, theirs)
    assert found.is_contiguous(memory_format=torch.channels_last)
