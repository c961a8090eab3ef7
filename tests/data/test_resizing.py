"""Small versions and enlargements against fixed numbers, NumPy's borders and a direct sum in float64."""

import numpy as np
import pytest
import torch

from ganvas.data.resizing import as_stored, continued, enlarge, reduce
from ganvas.errors import UserError


def keys(x):
    """Keys 1981, a = -1/2."""
    x = np.abs(x)
    inner, outer = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, inner, np.where(x <= 2, outer, 0))


def direct(row, length):
    """One line resized by MATLAB's rule, written out: places counted from 1, weights made to sum to 1."""
    ratio = length / len(row)
    stretch = min(1.0, ratio)
    result = []
    for x in range(1, length + 1):
        centre = x / ratio + 0.5 * (1 - 1 / ratio)
        places = np.arange(np.floor(centre - 2 / stretch) - 1, np.ceil(centre + 2 / stretch) + 2).astype(int)
        weights = keys(stretch * (centre - places))
        mirrored = np.concatenate([np.arange(len(row)), np.arange(len(row))[::-1]])
        result.append((weights / weights.sum()) @ row[mirrored[(places - 1) % (2 * len(row))]])
    return np.array(result)


def as_row(tensor):
    return tensor[0, 0, 0].numpy()


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize("small", [1, 2, 3, 7, 20])
def test_a_line_is_what_matlabs_rule_written_out_gives(scale, small):
    values = np.random.default_rng(0).normal(size=small * scale)
    row = torch.from_numpy(values)[None, None, None].expand(1, 1, scale, -1)
    assert np.allclose(as_row(reduce(row, scale)), direct(values, small), atol=1e-12)
    few = values[:small]
    assert np.allclose(
        as_row(enlarge(torch.from_numpy(few)[None, None, None], scale)), direct(few, small * scale), atol=1e-12
    )


def test_fixed_numbers_of_the_kernel():
    """A white line: the cubic at the odd eighths of 16 is these binary fractions, and half of them where it shrinks."""
    dot = torch.zeros(1, 1, 9, 9, dtype=torch.float64)
    dot[0, 0, :, 4] = 1
    quarters = [-0.0234375, -0.0703125, 0.2265625, 0.8671875]
    assert as_row(enlarge(dot, 2))[5:13] == pytest.approx([*quarters, *quarters[::-1]], abs=1e-12)
    dot = torch.zeros(1, 1, 20, 20, dtype=torch.float64)
    dot[0, 0, :, 10] = 1
    assert as_row(reduce(dot, 2))[3:7] == pytest.approx([-0.01171875, 0.11328125, 0.43359375, -0.03515625], abs=1e-12)


def test_both_directions_are_treated_alike():
    images = torch.randn(2, 3, 12, 20, dtype=torch.float64)
    assert torch.allclose(reduce(images, 4), reduce(images.mT, 4).mT)
    assert torch.allclose(enlarge(images, 3), enlarge(images.mT, 3).mT)


def test_borders_are_numpys_symmetric_ones():
    images = torch.arange(6.0).reshape(1, 1, 2, 3)
    assert np.array_equal(continued(images, 5)[0, 0].numpy(), np.pad(images[0, 0].numpy(), 5, mode="symmetric"))


def test_nearest_repeats_pixels():
    image = torch.randn(1, 2, 3, 4)
    assert torch.equal(enlarge(image, 3, "nearest")[0], torch.kron(image[0], torch.ones(3, 3)))


def test_stored_levels():
    levels = as_stored(torch.tensor([-1.2, -1.0, 0.003, 1.0, 1.4]).view(1, 1, 1, 5)).flatten()
    assert levels[[0, 1, 3, 4]].tolist() == [-1, -1, 1, 1]
    assert float((levels[2] + 1) * 127.5) == pytest.approx(128, abs=1e-4)


def test_what_the_scale_does_not_divide_is_refused():
    with pytest.raises(UserError, match="multiples of 4"):
        reduce(torch.zeros(1, 3, 8, 10), 4)
