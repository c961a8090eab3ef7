"""Dropout as noise: it depends on seeds alone outside of training."""

import torch
from torch import nn

from ganvas.nn.dropout import NoiseDropout, noise_from


def test_it_drops_by_seed_in_eval_mode_and_the_mean_stays():
    network = nn.Sequential(NoiseDropout(0.25), NoiseDropout(0.25)).eval()
    x = torch.ones(3, 8, 64, 64)
    assert torch.equal(network(x), x)
    with noise_from(network, [5, 6, 5]):
        y = network(x)
    assert torch.equal(y[0], y[2]) and not torch.equal(y[0], y[1])
    with noise_from(network, [6]):
        assert torch.equal(network(x[:1])[0], y[1])  # whatever stands beside it
    torch.testing.assert_close(y.unique(), torch.tensor([0.0, (4 / 3) ** 2]))
    assert abs(y.mean() - 1) < 0.02
    assert abs((y > 0).float().mean() - 0.75**2) < 0.02  # the two layers drop independently
    assert torch.equal(network(x), x)


def test_in_training_it_is_ordinary_dropout():
    layer, x = NoiseDropout(0.5), torch.ones(1, 4, 32, 32)
    torch.manual_seed(0)
    mine = layer(x)
    torch.manual_seed(0)
    assert torch.equal(mine, nn.functional.dropout(x, 0.5))
