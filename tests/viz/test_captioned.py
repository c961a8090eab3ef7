"""Captions beside pictures, and marks in them: against the pixels that they must and must not touch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import ImageFont

from ganvas.viz.captioned import GAP, LINE, MARGIN, captioned, font_for, missing, wrapped
from ganvas.viz.grids import grid
from ganvas.viz.layouts import marked


@pytest.mark.parametrize("channels", [1, 3])
def test_rows_stay_as_they_are_and_captions_stand_beside_them(channels: int) -> None:
    rows = [grid(torch.rand(4, channels, 64, 64) * 2 - 1, 4) for _ in range(2)]
    sheet = captioned(rows, ["a red circle", ""])
    assert sheet.shape == (2 * (68 + GAP) + GAP, MARGIN + 4 * 66 + 2, channels)
    assert np.array_equal(sheet[GAP : GAP + 68, MARGIN:], rows[0])
    assert np.array_equal(sheet[76 + GAP : 76 + GAP + 68, MARGIN:], rows[1])
    assert sheet[GAP : GAP + 68, :MARGIN].min() < 64
    assert sheet[76 + GAP :, :MARGIN].min() == 255


def test_long_captions_make_a_row_as_high_as_they_are_and_none_is_cut_off() -> None:
    row = np.full((20, 40, 3), 128, np.uint8)
    caption = "a bird with a yellow beak and blue wings that sits on a branch " * 4
    font = font_for(caption)
    lines = wrapped(caption, font, MARGIN - 2 * GAP)
    assert " ".join(lines) == caption.strip()
    assert max(font.getlength(line) for line in lines) <= MARGIN - 2 * GAP
    sheet = captioned([row, row], [caption, "short"])
    assert sheet.shape[0] == GAP + len(lines) * LINE + GAP + 20 + GAP
    ink = (sheet[:, :MARGIN] < 128).any(2)
    assert ink[:, MARGIN - GAP :].sum() == 0  # no letter reaches the pictures
    assert ink[GAP + (len(lines) - 1) * LINE : GAP + len(lines) * LINE].any()  # the last line is there


def test_words_are_cut_only_where_one_is_too_long() -> None:
    font = font_for("")
    assert wrapped("one two", font, 1000) == ["one two"]
    assert wrapped("  one \n two ", font, font.getlength("one t")) == ["one", "two"]
    lines = wrapped("a " + "w" * 50, font, 100)
    assert "".join(lines) == "a" + "w" * 50
    assert all(font.getlength(line) <= 100 for line in lines)
    assert wrapped("", font, 100) == [""]


def test_a_font_that_has_the_letters_is_taken() -> None:
    plain = font_for("a red circle")
    assert missing(plain, frozenset("a red circle")) == set()
    letters = frozenset("красныйуг")
    assert missing(font_for(""), letters) == letters  # not in Pillow's own
    found = font_for("красный круг")  # matplotlib brings DejaVu Sans, which has Cyrillic
    assert isinstance(found, ImageFont.FreeTypeFont)
    assert missing(found, letters) == set()


def test_headings_stand_above_their_columns() -> None:
    row = grid(torch.ones(3, 3, 64, 64), 3)
    sheet = captioned([row], [""], ["0 %", "", "100 %"], "from here to there")
    top = 1 * LINE + 2 * GAP + LINE + GAP
    assert np.array_equal(sheet[top : top + 68, MARGIN:], row)
    ink = (sheet[LINE + 2 * GAP : top] < 128).any((0, 2))
    assert [ink[MARGIN + place * 66 : MARGIN + 66 + place * 66].any() for place in range(3)] == [True, False, True]
    assert (sheet[: LINE + GAP] < 128).any()


MAGENTA = torch.tensor([1.0, -1.0, 1.0])


def test_a_frame_is_the_outermost_pixels_of_its_box() -> None:
    images = torch.zeros(2, 3, 64, 64)
    found = marked(images, torch.tensor([[0.25, 0.5, 0.5, 0.25], [0, 0, 1, 1]]))
    frame = (found == MAGENTA[:, None, None]).all(1)
    expected = torch.zeros(2, 64, 64, dtype=torch.bool)
    expected[0, 32:48, 16:48], expected[1] = True, True
    expected[0, 33:47, 17:47], expected[1, 1:63, 1:63] = False, False
    assert torch.equal(frame, expected)
    assert not found.movedim(1, -1)[~expected].any()
    assert not images.any()


def test_a_box_of_part_pixels_covers_them_and_one_at_the_edge_stays_inside() -> None:
    found = marked(
        torch.zeros(2, 3, 64, 64), torch.tensor([[0.1, 0.1, 0.001, 0.001], [0.9, 0.9, 0.1000001, 0.1000001]])
    )
    where = [torch.nonzero((image == MAGENTA[:, None, None]).all(0)).tolist() for image in found]
    assert where[0] == [[6, 6]]  # 0.1 x 64 = 6.4
    assert where[1][0] == [57, 57]
    assert where[1][-1] == [63, 63]


def test_small_pictures_are_enlarged_so_that_a_frame_stays_thin() -> None:
    found = marked(torch.zeros(1, 3, 16, 16), torch.tensor([[0.25, 0.25, 0.5, 0.5]]))
    assert found.shape == (1, 3, 64, 64)
    assert int((found == MAGENTA[:, None, None]).all(1).sum()) == 4 * 32 - 4


def test_visible_keypoints_are_dots_at_their_places() -> None:
    points = torch.tensor([[[0.5, 0.25, 1], [0.75, 0.5, 0], [1, 1, 1], [0, 0, 1]]])
    found = marked(torch.zeros(1, 3, 64, 64), keypoints=points)[0]
    inked = torch.nonzero(found.abs().sum(0)).tolist()
    squares = [(range(15, 18), range(31, 34)), (range(62, 64), range(62, 64)), (range(0, 2), range(0, 2))]
    assert sorted(inked) == sorted([y, x] for rows, columns in squares for y in rows for x in columns)
    assert len({tuple(found[:, y, x].tolist()) for y, x in ((16, 32), (63, 63), (0, 0))}) == 3  # colours of their own


def test_gray_pictures_are_marked_with_what_stands_out() -> None:
    found = marked(torch.stack([torch.ones(1, 64, 64), -torch.ones(1, 64, 64)]), torch.tensor([[0, 0, 1, 1]] * 2))
    assert found[0, 0, 0, 0] == -1
    assert found[1, 0, 0, 0] == 1
