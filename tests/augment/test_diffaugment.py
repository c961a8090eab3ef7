"""DiffAugment: shapes, ranges, gradients and the geometry of each policy."""

import pytest
import torch

from ganvas.augment import DiffAugment
from ganvas.augment.diffaugment import _translation
from ganvas.errors import UserError


def test_unknown_policy():
    with pytest.raises(UserError, match="no augmentation 'flip'; there are color, translation, cutout"):
        DiffAugment("color,flip")


def test_translation_moves_by_whole_pixels_up_to_an_eighth():
    torch.manual_seed(0)
    images = torch.rand(64, 1, 16, 24) + 1  # nowhere zero, so padding is seen
    moved = _translation(images)
    shifts = set()
    for before, after in zip(images[:, 0], moved[:, 0], strict=True):
        rows, columns = (after != 0).any(1).nonzero(), (after != 0).any(0).nonzero()
        top, left = rows.min().item(), columns.min().item()
        bottom, right = 15 - rows.max().item(), 23 - columns.max().item()
        assert min(top, bottom) == 0 and min(left, right) == 0
        dy, dx = top - bottom, left - right
        shifts.add((dy, dx))
        window = before[max(0, -dy) : 16 - max(0, dy), max(0, -dx) : 24 - max(0, dx)]
        assert torch.equal(after[top : 16 - bottom, left : 24 - right], window)
    assert {dy for dy, _ in shifts} == set(range(-2, 3)) and {dx for _, dx in shifts} == set(range(-3, 4))


def test_cutout_covers_a_quarter_at_most():
    torch.manual_seed(0)
    holes = (DiffAugment("cutout")(torch.ones(500, 3, 16, 16)) == 0).float().mean((1, 2, 3))
    assert holes.max() == pytest.approx(0.25) and 0.1 < holes.mean() < 0.2 and holes.min() > 0


def test_colour_keeps_shapes_and_differs_between_pictures():
    torch.manual_seed(0)
    images = torch.rand(1, 3, 8, 8).expand(6, -1, -1, -1)
    out = DiffAugment("color")(images)
    assert out.shape == images.shape and not torch.allclose(out[0], out[1])
    gray = DiffAugment("color")(torch.rand(2, 1, 8, 8))  # one channel has no saturation, and must work
    assert gray.shape == (2, 1, 8, 8) and gray.isfinite().all()


def test_gradients_flow_through_every_policy():
    torch.manual_seed(0)
    images = torch.rand(2, 3, 16, 16, requires_grad=True)
    DiffAugment()(images).sum().backward()
    assert images.grad.isfinite().all() and images.grad.abs().sum() > 0


def test_no_policy_changes_nothing():
    images = torch.rand(2, 3, 8, 8)
    assert torch.equal(DiffAugment("")(images), images)
