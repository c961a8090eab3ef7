"""Modulated batch norm and the statistics for sampling."""

import torch
import torch.nn.functional as F
from torch import nn

from ganvas.nn.norm import ModulatedBatchNorm, OwnStatistics, norm_layer, refresh_batch_norm


def test_self_modulation_with_zero_output_weights_is_plain_batch_norm():
    def modulation():
        last = nn.Linear(16, 6, bias=False)
        nn.init.zeros_(last.weight)
        return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), last)

    norm = ModulatedBatchNorm(6, modulation(), modulation())
    x = torch.randn(4, 6, 5, 5)
    expected = F.relu(F.batch_norm(x, None, None, training=True))
    torch.testing.assert_close(norm(x, torch.randn(4, 8)), expected)


def test_gain_and_bias_are_each_pictures_own():
    norm = ModulatedBatchNorm(3, nn.Embedding(2, 3), nn.Embedding(2, 3))
    x, label = torch.randn(4, 3, 5, 5), torch.tensor([0, 1, 1, 0])
    plain = F.batch_norm(x, None, None, training=True)
    for i, c in enumerate(label):
        expected = plain[i] * (1 + norm.gain.weight[c])[:, None, None] + norm.bias.weight[c][:, None, None]
        torch.testing.assert_close(norm(x, label)[i], F.relu(expected))


def test_refresh_gives_the_average_over_batches_and_restores_everything():
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.5)).eval()
    network[1].train()
    batches = [torch.randn(8, 3, 4, 4) * 3 + 5 for _ in range(4)]
    pending = iter(batches)
    refresh_batch_norm(network, lambda: network(next(pending)), 4)
    norm = network[0]
    torch.testing.assert_close(norm.running_mean, torch.stack([b.mean((0, 2, 3)) for b in batches]).mean(0))
    torch.testing.assert_close(norm.running_var, torch.stack([b.var((0, 2, 3)) for b in batches]).mean(0))
    assert not norm.training and network[1].training and norm.momentum == 0.1


def test_own_statistics_are_the_batch_in_training_and_the_picture_afterwards():
    """Against torch's batch norm on the batch, and on each picture alone; it keeps nothing."""
    torch.manual_seed(0)
    layer, x = OwnStatistics(5).double(), torch.randn(4, 5, 6, 7).double() * 3 + 1
    with torch.no_grad():
        layer.weight.uniform_(0.5, 2)
        layer.bias.normal_()
    expected = F.batch_norm(x, None, None, layer.weight, layer.bias, training=True)
    torch.testing.assert_close(layer(x), expected)
    layer.eval()
    alone = torch.cat([F.batch_norm(one, None, None, layer.weight, layer.bias, training=True) for one in x.split(1)])
    torch.testing.assert_close(layer(x), alone)
    assert not list(layer.buffers())


def test_instance_norm_is_torchs_in_both_layouts():
    x = torch.randn(3, 4, 8, 8)
    layer = norm_layer("instance", 4)
    for given in (x, x.contiguous(memory_format=torch.channels_last)):
        torch.testing.assert_close(layer(given), F.instance_norm(x))
    assert not list(layer.parameters())
