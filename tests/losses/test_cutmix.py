"""CutMix masks and mixing."""

import torch

from ganvas.losses.cutmix import cutmix_mask, mix


def test_masks_are_binary_boxes_with_mean_one_half():
    torch.manual_seed(0)
    masks = cutmix_mask(4000, 32, 48)
    assert masks.shape == (4000, 1, 32, 48) and set(masks.unique().tolist()) == {0.0, 1.0}
    means = masks.mean((1, 2, 3))
    # Standard error of the mean is 0.006 at most.
    assert abs(means.mean() - 0.5) < 0.025
    # A clipped box covers 0.31 on average, so masks lie that far from all or nothing (published code: 0.69).
    corners = masks[:, 0, [0, 0, -1, -1], [0, -1, 0, -1]].mean(1)
    outside = torch.where(corners > 0.5, means, 1 - means)
    assert abs(outside.mean() - 0.69) < 0.03


def test_each_mask_is_one_rectangle():
    torch.manual_seed(1)
    for mask in cutmix_mask(50, 16, 16)[:, 0]:
        box = mask if mask[0, 0] + mask[0, -1] + mask[-1, 0] + mask[-1, -1] < 2 else 1 - mask
        rows, columns = box.any(1), box.any(0)
        assert torch.equal(box.bool(), rows[:, None] & columns[None, :])
        assert (rows.int().diff().abs().sum() <= 2) and (columns.int().diff().abs().sum() <= 2)


def test_mix():
    x, g = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    ones, zeros = torch.ones(2, 1, 4, 4), torch.zeros(2, 1, 4, 4)
    assert torch.equal(mix(x, g, ones), x) and torch.equal(mix(x, g, zeros), g)
    half = (torch.rand(2, 1, 4, 4) < 0.5).float()
    assert torch.equal(mix(x, x, half), x)
    torch.testing.assert_close(mix(x, g, half), half * x + (1 - half) * g)
