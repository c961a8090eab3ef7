"""Crops and pastes against PyTorch's grid_sample, against the coordinates they stand for, and exactly zero outside."""

import pytest
import torch
import torch.nn.functional as F

from ganvas.nn.boxes import box_mask, crop, paste, widened

BOXES = torch.tensor([[0.25, 0.125, 0.5, 0.625], [0.1, 0.37, 0.43, 0.55], [0.0, 0.0, 1.0, 1.0], [0.6, 0.05, 0.35, 0.2]])
CELLS = 16


def coordinates(height, width):
    """x and y of each cell's centre: (4, 2, H, W)."""
    y, x = torch.meshgrid((torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width, indexing="ij")
    return torch.stack([x, y]).double().expand(4, 2, height, width)


def test_a_crop_is_that_of_grid_sample():
    """Corners at the edges of cells (align_corners=False), scale w and h, x before y, as an affine grid has it."""
    maps = torch.randn(4, 5, 12, CELLS, dtype=torch.float64)
    x, y, w, h = BOXES.double().unbind(1)
    affine = torch.zeros(4, 2, 3, dtype=torch.float64)
    affine[:, 0, 0], affine[:, 1, 1] = w, h
    affine[:, 0, 2], affine[:, 1, 2] = 2 * x + w - 1, 2 * y + h - 1
    grid = F.affine_grid(affine, (4, 5, 12, CELLS), align_corners=False)
    # Inside of the picture nothing is beyond its border but half a cell, which is the nearest cell's.
    expected = F.grid_sample(maps, grid, padding_mode="border", align_corners=False)
    torch.testing.assert_close(crop(maps, BOXES.double()), expected)


def test_a_paste_is_that_of_grid_sample_with_the_inverse_scale():
    """s' = 1 / s and t' = -t / s, inside of the box."""
    maps = torch.randn(4, 5, CELLS, CELLS, dtype=torch.float64)
    x, y, w, h = BOXES.double().unbind(1)
    affine = torch.zeros(4, 2, 3, dtype=torch.float64)
    affine[:, 0, 0], affine[:, 1, 1] = 1 / w, 1 / h
    affine[:, 0, 2], affine[:, 1, 2] = -(2 * x + w - 1) / w, -(2 * y + h - 1) / h
    grid = F.affine_grid(affine, (4, 5, CELLS, CELLS), align_corners=False)
    sampled = F.grid_sample(maps, grid, padding_mode="border", align_corners=False)
    mask = box_mask(BOXES.double(), CELLS, CELLS)
    torch.testing.assert_close(paste(maps, BOXES.double()), sampled * mask)


def test_the_mask_is_one_where_centres_are_inside():
    x, y = coordinates(CELLS, CELLS).float().unbind(1)
    left, top, w, h = BOXES[:, :, None, None].unbind(1)
    inside = (x >= left) & (x <= left + w) & (y >= top) & (y <= top + h)
    assert torch.equal(box_mask(BOXES, CELLS, CELLS)[:, 0], inside.float())
    # The first: columns 4 to 11 and rows 2 to 11 of 16.
    assert box_mask(BOXES, CELLS, CELLS)[0, 0, 2:12, 4:12].all() and box_mask(BOXES, CELLS, CELLS)[0].sum() == 80


def test_crop_after_paste_is_the_identity_inside_the_box():
    """On coordinates, which is what the two move: where a place of the box ends up is where it came from.

    Within half a cell of the box's border, where there is no cell of the picture on the one side, it is the nearest.
    """
    places = coordinates(CELLS, CELLS)
    boxes = BOXES.double()
    back = crop(paste(places, boxes), boxes)
    w, h = boxes[:, 2], boxes[:, 3]
    for i in range(4):
        # Cells of the box whose neighbours in the picture are inside of the box, on both sides.
        margin = [int(torch.ceil(1.0 / side - 1e-9)) + 1 for side in (h[i], w[i])] if i != 2 else [0, 0]
        rows, columns = (slice(m, CELLS - m) for m in margin)
        torch.testing.assert_close(back[i, :, rows, columns], places[i, :, rows, columns])
    whole = torch.randn(4, 3, CELLS, CELLS, dtype=torch.float64)
    full = boxes[2].expand(4, 4)
    torch.testing.assert_close(crop(paste(whole, full), full), whole)  # of any maps, where nothing is made smaller


def test_a_box_of_whole_cells_is_cut_out_exactly():
    """Half of the picture at twice its scale, against PyTorch's bilinear enlargement of those cells."""
    maps = torch.randn(1, 3, CELLS, CELLS, dtype=torch.float64)
    box = torch.tensor([[0.5, 0.25, 0.5, 0.5]], dtype=torch.float64)
    expected = F.interpolate(maps, size=(2 * CELLS, 2 * CELLS), mode="bilinear", align_corners=False)[
        :, :, CELLS // 2 : 3 * CELLS // 2, CELLS:
    ]
    torch.testing.assert_close(crop(maps, box), expected)


def test_nothing_leaks_out_of_the_box_and_no_gradient_comes_from_there():
    maps = torch.randn(4, 3, CELLS, CELLS, requires_grad=True)
    outside = box_mask(BOXES, CELLS, CELLS).expand(4, 3, CELLS, CELLS) == 0
    pasted = paste(maps, BOXES)
    assert (pasted[outside] == 0).all() and (pasted[~outside] != 0).all()
    (gradient,) = torch.autograd.grad(pasted[outside].sum(), maps)
    assert not gradient.any()


@pytest.mark.parametrize("side", [0.0, 0.001, 0.03])
def test_a_box_smaller_than_a_cell_is_a_cell(side):
    boxes = torch.tensor([[0.5, 0.5, side, side], [0.0, 0.97, side, side]])
    assert (box_mask(boxes, CELLS, CELLS).flatten(1).sum(1) >= 1).all()
    assert paste(torch.ones(2, 1, CELLS, CELLS), boxes).flatten(1).sum(1).tolist() == pytest.approx(
        box_mask(boxes, CELLS, CELLS).flatten(1).sum(1).tolist()
    )
    wide = widened(boxes, CELLS, CELLS)
    torch.testing.assert_close(wide[:, :2] + wide[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2)
    assert crop(torch.randn(2, 1, CELLS, CELLS), boxes).isfinite().all()


def test_maps_in_channels_last_and_bf16_give_the_same():
    maps = torch.randn(4, 8, CELLS, CELLS)
    last = maps.contiguous(memory_format=torch.channels_last)
    for move in (crop, paste):
        torch.testing.assert_close(move(last, BOXES), move(maps, BOXES))
        assert move(last, BOXES).is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(move(maps.bfloat16(), BOXES).float(), move(maps, BOXES), rtol=0.05, atol=0.05)
