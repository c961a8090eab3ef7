"""Parts of the pictures: which checkpoints and pictures are shown, the layout of sheets."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image

from ganvas.errors import UserError
from ganvas.inspect.agreement import extremes
from ganvas.inspect.sheet import WIDTH, Row, cell_side, draw_sheet, fitting
from ganvas.inspect.through_training import spread


def test_the_oldest_and_the_newest_checkpoint_are_shown():
    assert spread([5, 10, 20], 8) == [5, 10, 20]
    assert spread([*range(0, 101, 10)], 6) == [0, 20, 40, 60, 80, 100]
    assert spread([*range(100)], 2) == [0, 99] and spread([1, 2, 3], 1) == [3]
    assert spread([], 8) == []


def test_extremes_differ_most_in_rank():
    encoder = torch.tensor([0.0, 10.0, 20.0, 30.0, 40.0])  # ranks 0 1 2 3 4
    decoder = torch.tensor([0.4, 0.1, 0.2, 0.3, 0.0])  # ranks 4 1 2 3 0
    assert extremes(encoder, decoder, 2) == ([0], [4])
    decoder = torch.tensor([0.3, 0.4, 0.2, 0.0, 0.1])  # ranks 3 4 2 0 1: 3 3 0 -3 -3
    assert extremes(encoder, decoder, 1)[0] == [0] and extremes(encoder, decoder, 1)[1] == [4]
    assert sorted(extremes(encoder, decoder, 9)[0]) == [0, 1] and sorted(extremes(encoder, decoder, 9)[1]) == [3, 4]


@pytest.mark.parametrize("size", [8, 28, 32, 64, 100, 128, 250, 256, 512, 1024])
@pytest.mark.parametrize("columns", [1, 5, 9])
def test_sheets_fit_and_enlarge_by_whole_factors(size, columns):
    columns = fitting(size, columns)
    side = cell_side(size, columns)
    assert 150 + columns * (side + 6) + 110 <= WIDTH
    assert side % size == 0 if side >= size else size // side == math.ceil(size / side) or size % side < size / side
    assert side >= min(size, 64)


def test_a_sheet_shows_every_pixel_as_a_square_of_its_colour(tmp_path):
    torch.manual_seed(0)
    pictures = torch.randint(0, 256, (2, 3, 16, 16)).float() / 127.5 - 1
    maps = torch.full((2, 16, 16), 0.25)
    rows = [Row("pictures", pictures), Row("maps", maps, ["one", "two\nlines"]), Row("gray", pictures[:, :1])]
    draw_sheet(tmp_path / "sheet.png", "$a title$ with $", rows, ["step 1", "step 2"], {"Copyright": "somebody"})
    with Image.open(tmp_path / "sheet.png") as image:
        assert image.text["Copyright"] == "somebody"
        pixels = np.asarray(image.convert("RGB")).astype(int)
    side = cell_side(16, 2)
    assert side == 160
    top, left = 46 + 26, 150
    for i, picture in enumerate(pictures):
        x = left + i * (side + 6)
        middles = pixels[top + 5 : top + side : 10, x + 5 : x + side : 10]
        expected = ((picture + 1) * 127.5).round().int().permute(1, 2, 0).numpy()
        assert np.abs(middles - expected).max() <= 1
        gray = pixels[top + 2 * side + 6 + 36 + 5 :: 10, x + 5 : x + side : 10][:16]
        assert np.abs(gray - expected[..., :1]).max() <= 1
    # viridis at one quarter is #3b528b
    assert np.abs(pixels[top + side + 6 + 80, left + 80] - [0x3B, 0x52, 0x8B]).max() <= 2
    # and so it is a quarter of the way up the scale on the right, 320 px high, from the first row down
    scale = pixels[top + 240, left + 2 * (side + 6) + 16]
    assert np.abs(scale - [0x3B, 0x52, 0x8B]).max() <= 4


def test_a_file_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(UserError, match="cannot write to"):
        draw_sheet(tmp_path / "no" / "sheet.png", "a", [Row("a", torch.zeros(1, 3, 8, 8))], [""])
