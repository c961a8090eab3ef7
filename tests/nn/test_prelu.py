"""PReLU of one slope against PyTorch's, with both gradients."""

import pytest
import torch
import torch.nn.functional as F

from ganvas.nn import prelu
from ganvas.nn.prelu import PReLU
from ganvas.nn.weights import reference_scope


@pytest.mark.parametrize("at_once", [1, 40, 2**19])
@pytest.mark.parametrize("shape", [(5, 3, 4, 6), (2, 7), (1, 1, 1, 1)])
def test_it_is_pytorchs(shape, at_once, monkeypatch):
    """In float64, whatever part of the batch is worked out at once, also with channels last in memory."""
    monkeypatch.setattr(prelu, "AT_ONCE", at_once)
    layer = PReLU().double()
    x = torch.randn(shape, dtype=torch.float64)
    x = (x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x).requires_grad_()
    cotangent = torch.randn_like(x)
    expected = F.prelu(x, layer.weight)
    wanted = torch.autograd.grad(expected, [x, layer.weight], cotangent)
    y = layer(x)
    found = torch.autograd.grad(y, [x, layer.weight], cotangent)
    for ours, theirs in zip((y, *found), (expected, *wanted), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    assert found[0].stride() == x.stride()


def test_in_bf16_the_slope_is_learnt_from_sums_in_float32():
    """Nearer to float64 than PyTorch's, which adds in bf16."""
    layer = PReLU()
    x = torch.randn(8, 16, 24, 24)
    exact = (x.bfloat16().double().clamp(max=0)).sum()
    with torch.autocast("cpu", torch.bfloat16):
        layer(x.bfloat16()).float().sum().backward()
    assert layer.weight.grad.dtype == torch.float32
    assert layer.weight.grad.item() == pytest.approx(exact.item(), rel=1e-3)


def test_it_is_saved_as_pytorchs_and_is_it_without_gradients():
    layer, theirs = PReLU(), torch.nn.PReLU()
    theirs.load_state_dict(layer.state_dict())
    x = torch.randn(2, 3)
    with torch.no_grad():
        assert torch.equal(layer(x), theirs(x))
    with reference_scope():
        assert "Prelu" in type(layer(x).grad_fn).__name__
