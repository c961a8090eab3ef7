"""Residual blocks and attention against their definitions written out."""

import torch
import torch.nn.functional as F

from ganvas.nn.blocks import DownBlock, SelfAttention, UpBlock, orthogonal_init


def _weight(conv):
    return conv.weight / conv.norm.sigma(conv.weight)


def _conv(conv, x):
    return F.conv2d(x, _weight(conv), conv.bias, padding=conv.kernel_size[0] // 2)


def test_down_block_as_published():
    for preactivation in (False, True):
        block = DownBlock(3, 6, preactivation=preactivation).double().eval()
        x = torch.randn(2, 3, 16, 16, dtype=torch.float64)
        h = _conv(block.conv2, F.relu(_conv(block.conv1, F.relu(x) if preactivation else x)))
        expected = F.avg_pool2d(h + _conv(block.shortcut, x), 2)
        torch.testing.assert_close(block(x), expected, rtol=0, atol=1e-10)
    same = DownBlock(6, 6, downsample=False).double().eval()
    x = torch.randn(2, 6, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(same(x), x + _conv(same.conv2, F.relu(_conv(same.conv1, F.relu(x)))))


def test_up_block_as_published():
    block = UpBlock(5, 4).double().eval()
    x = torch.randn(2, 5, 8, 8, dtype=torch.float64)
    up = F.interpolate(F.relu(x), scale_factor=2)
    expected = _conv(block.conv2, F.relu(_conv(block.conv1, up)))
    expected = expected + _conv(block.shortcut, F.interpolate(x, scale_factor=2))
    torch.testing.assert_close(block(x), expected, rtol=0, atol=1e-10)


def test_blocks_leave_their_input_alone():
    """A ReLU in place on the input would destroy the shortcut and U-Net skips."""
    for block in (DownBlock(3, 4), UpBlock(3, 4)):
        x = torch.randn(2, 3, 8, 8)
        kept = x.clone()
        block(x)
        assert torch.equal(x, kept)


def test_attention_is_the_identity_at_first_and_softmax_attention_later():
    attention = SelfAttention(16).double().eval()
    x = torch.randn(2, 16, 6, 6, dtype=torch.float64)
    assert torch.equal(attention(x), x)
    attention.gamma.data.fill_(0.7)
    query = _conv_no_bias(attention.query, x).flatten(2)
    key = F.max_pool2d(_conv_no_bias(attention.key, x), 2).flatten(2)
    value = F.max_pool2d(_conv_no_bias(attention.value, x), 2).flatten(2)
    weights = torch.softmax(torch.einsum("bci,bcj->bij", query, key), -1)
    gathered = torch.einsum("bij,bcj->bci", weights, value).reshape(2, 8, 6, 6)
    torch.testing.assert_close(attention(x), x + 0.7 * _conv_no_bias(attention.out, gathered))


def _conv_no_bias(conv, x):
    return F.conv2d(x, _weight(conv))


def test_orthogonal_init():
    block = DownBlock(8, 4)
    orthogonal_init(block)
    matrix = block.conv1.weight.flatten(1)
    torch.testing.assert_close(matrix @ matrix.t(), torch.eye(4), rtol=0, atol=1e-5)
