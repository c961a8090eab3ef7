"""Grids over classes and over truncation, against sampling itself."""

from __future__ import annotations

import pytest
import torch
from test_walks import Shows

from ganvas.errors import UserError
from ganvas.inspect import class_grid, truncation_sweep
from ganvas.nn.latent import Prior


def test_a_column_has_one_latent_and_a_row_one_class():
    system = Shows(classes=5)
    found = class_grid(system, [7, 3, 8], [4, 0])
    assert found.shape == (2, 3, 1, 2, 5)
    for row, label in enumerate((4, 0)):
        assert torch.equal(found[row], system.sample([7, 3, 8], {"label": torch.full((3,), label)}))
    assert torch.equal(found[0, :, 0, 0], found[1, :, 0, 0])
    assert class_grid(system, range(2)).shape[:2] == (5, 2)


def test_classes_that_are_not_there():
    with pytest.raises(UserError, match="draws no classes"):
        class_grid(Shows(), [1])
    for seeds, labels in (([], [1]), ([1], []), ([1], [5]), ([1], [-1])):
        with pytest.raises(UserError, match="classes from 0 to 4"):
            class_grid(Shows(classes=5), seeds, labels)


@pytest.mark.parametrize("prior", [Prior(5), Prior(5, "uniform", 0.5, 0.5)])
def test_a_row_is_what_sampling_with_that_truncation_draws(prior):
    system = Shows(prior, classes=3)
    thresholds = [None, 1.0, 0.2, 0.0]
    found = truncation_sweep(system, [4, 5, 9], thresholds)
    for row, threshold in enumerate(thresholds):
        assert torch.equal(found[row], system.sample([4, 5, 9], {}, threshold))
    spread = found[:, :, 0, 0].std((1, 2))
    assert bool((spread[1:] < spread[:-1]).all()) and float(spread[3]) == 0
    assert set(truncation_sweep(system, [4, 5], label=2)[:, :, 0, 1].flatten().tolist()) == {2.0}
    assert truncation_sweep(Shows(), [4, 5]).shape[:2] == (6, 2)
    system.prior = None
    with pytest.raises(UserError, match="draws from no noise"):
        truncation_sweep(system, [1])
