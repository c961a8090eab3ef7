"""Pictures of mixtures: points of each mode beside the mixture's own numbers, and every one drawn in its colour."""

import numpy as np
import pytest
import torch

from ganvas.data.builtin.mixtures2d import open_point_sides
from ganvas.discriminators import Verdict
from ganvas.viz.mixtures import mixtures_picture, mode_points


class Doubled(torch.nn.Module):
    """A generator that sends the circle of A onto that of B."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(2.0))

    def forward(self, points):
        return self.scale * points


class RightHalf(torch.nn.Module):
    """A discriminator that takes x > 0 for real."""

    def forward(self, points):
        return Verdict({"image": 100 * points[:, 0, 0, 0]}, ())


def test_points_of_each_mode_have_its_mean_and_deviation():
    source, _ = open_point_sides("close")
    points = mode_points(source, 20_000)
    assert points.shape == (5, 20_000, 2)
    np.testing.assert_allclose(points.mean(1), source.means, atol=5 * 0.025 / 20_000**0.5)
    np.testing.assert_allclose(points.std(1), 0.025, rtol=0.03)


def test_the_picture_shows_every_mode_and_what_the_discriminator_thinks():
    pytest.importorskip("matplotlib")
    picture = mixtures_picture(Doubled(), RightHalf(), *open_point_sides(""))
    assert picture.shape == (480, 960, 3)
    left, right = picture[:, :480].reshape(-1, 3), picture[:, 480:]
    for colour in ((31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189)):  # C0 to C4
        for half in (left, right.reshape(-1, 3)):
            assert (half == colour).all(1).sum() > 100
    # Corners of the right panel: black where x < 0, white where x > 0.
    assert (right[60, 100] == 0).all() and (right[60, 440] == 255).all()
