"""Pictures that belong together side by side, and the mixtures' picture."""

import pytest
import torch
from torch import nn

from ganvas.data.points import Points
from ganvas.discriminators import Verdict
from ganvas.viz.grids import beside, grid
from ganvas.viz.mixtures import mixtures_picture, mode_points


def test_input_output_and_truth_stand_in_rows_of_whole_groups():
    """By hand: picture i of every group before picture i + 1 of any; gray becomes colour."""
    gray = torch.tensor([-1.0, -0.5, 0.0, 0.5])[:, None, None, None].expand(4, 1, 2, 2)
    colour = torch.rand(4, 3, 2, 2)
    pictures, columns = beside(gray, colour, colour)
    assert pictures.shape == (12, 3, 2, 2) and columns % 3 == 0
    assert torch.equal(pictures[0::3], gray.expand(-1, 3, -1, -1)) and torch.equal(pictures[2::3], colour)
    assert grid(pictures, columns).shape[1] // 66 == columns
    pictures, columns = beside(gray)
    assert pictures.shape == (4, 1, 2, 2) and columns == 2


def test_points_of_modes_are_drawn_around_their_means():
    data = Points("two", ((0.0, 0.0), (5.0, -5.0)), (0.1, 2.0))
    points = mode_points(data, 20_000)
    assert points.shape == (2, 20_000, 2)
    torch.testing.assert_close(points.mean(1), torch.tensor(data.means), atol=0.05, rtol=0)
    torch.testing.assert_close(points.std((1, 2)) ** 2, torch.tensor([0.01, 4.0 + 25.0]), atol=0.3, rtol=0.01)


def test_the_picture_of_mixtures_is_drawn():
    pytest.importorskip("matplotlib")

    class Judge(nn.Module):
        def forward(self, x, condition=None):
            return Verdict({"image": x.flatten(1).sum(1)})

    one, two = Points("a", ((0.0, 0.0), (1.0, 1.0)), (0.1, 0.1)), Points("b", ((2.0, 2.0),), (0.1,))
    picture = mixtures_picture(nn.Conv2d(2, 2, 1), Judge(), one, two)
    assert picture.shape[2] == 3 and picture.shape[1] > 600 and picture.std() > 5
