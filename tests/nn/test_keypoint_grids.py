"""Keypoints as cells and as dots, against where they are."""

import torch

from ganvas.nn.keypoints import dots, keypoint_grid


def test_a_part_is_in_the_cell_that_it_lies_in():
    keypoints = torch.tensor(
        [[[0.0, 0.0, 1.0], [0.999, 0.5, 1.0], [0.06, 0.07, 1.0], [0.3, 0.3, 0.0], [1.0, 1.0, 1.0]]]
    )
    grid = keypoint_grid(keypoints, 16)
    assert grid.shape == (1, 5, 16, 16)
    assert [tuple(place) for place in grid[0].nonzero().tolist()] == [(0, 0, 0), (1, 8, 15), (2, 1, 0), (4, 15, 15)]
    assert set(grid.unique().tolist()) == {0.0, 1.0}


def test_the_sum_of_parts_cut_off_at_one_is_their_maximum():
    """As the mask of section 4.2 is made, against its definition."""
    keypoints = torch.cat([torch.rand(8, 6, 2).mul(0.2), torch.ones(8, 6, 1)], 2)  # many in one cell
    grid = keypoint_grid(keypoints, 16)
    assert torch.equal(grid.sum(1).clamp(max=1), grid.amax(1)) and grid.sum(1).max() > 1


def test_dots_are_where_the_points_are():
    keypoints = torch.tensor([[[0.25, 0.75, 1.0], [0.5, 0.1, 0.0]]])
    picture = dots(keypoints, 64)
    assert picture.shape == (1, 3, 64, 64) and picture.amin() >= -1 and picture.amax() <= 1
    ink = (1 - picture[0]).sum(0)
    y, x = torch.meshgrid((torch.arange(64) + 0.5) / 64, (torch.arange(64) + 0.5) / 64, indexing="ij")
    centre = [float((ink * place).sum() / ink.sum()) for place in (x, y)]
    torch.testing.assert_close(torch.tensor(centre), torch.tensor([0.25, 0.75]), rtol=0, atol=1e-3)
    assert torch.equal(dots(keypoints[:, :1], 64, 1), dots(torch.tensor([[[0.25, 0.75, 1.0]]]), 64, 1))
    faint = dots(torch.tensor([[[0.25, 0.75, 0.5]]]), 64, 1)
    torch.testing.assert_close(1 - faint, (1 - dots(keypoints[:, :1], 64, 1)) / 2)
    assert torch.equal(dots(keypoints[:, 1:], 64), torch.ones(1, 3, 64, 64))
