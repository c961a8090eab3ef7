"""Curves of losses and scores as pictures, and the numbers behind them."""

import numpy as np
import pytest
from PIL import Image

from ganvas.errors import UserError
from ganvas.viz.curves import loss_curves, loss_terms, score_curves, score_points, smoothed, smoothing_window


def test_a_panel_an_update_and_gaps_where_a_term_is_missing(tmp_path):
    stats = [
        {"step": 0, "event": "grid", "diversity": 1.0},
        {"step": 10, "images_per_second": 5.0, "discriminator/encoder": 1.0, "generator/encoder": 0.7},
        {"step": 20, "images_per_second": 5.0, "discriminator/encoder": 0.9, "generator/encoder": "nan"},
        {"step": 30, "images_per_second": 5.0, "discriminator/cutmix_decoder": 0.6, "generator/gradient_norm": 3.0},
    ]
    assert loss_terms(stats) == {
        "discriminator": {"cutmix_decoder": [(30, 0.6)], "encoder": [(10, 1.0), (20, 0.9)]},
        "generator": {"encoder": [(10, 0.7)]},
    }
    loss_curves(stats, tmp_path / "two.png", "a run")
    loss_curves([stats[3]], tmp_path / "one.png", "a run")
    with Image.open(tmp_path / "two.png") as two, Image.open(tmp_path / "one.png") as one:
        assert two.size == (1200, 400) and one.size == (600, 400)
        assert len(two.convert("RGB").getcolors(1_000_000)) > 10  # lines and text, not a blank sheet


def test_smoothing_against_a_mean_over_every_window():
    values = np.random.default_rng(0).normal(size=30)
    expected = [values[max(i - 3, 2 * i - 29, 0) : min(i + 4, 2 * i + 1, 30)].mean() for i in range(30)]
    np.testing.assert_allclose(smoothed(values, 7), expected, atol=1e-12)
    np.testing.assert_allclose(smoothed(values, 1), values, atol=1e-12)
    line = np.arange(30.0) * 2 + 1
    np.testing.assert_allclose(smoothed(line, 9), line, atol=1e-12)
    assert smoothed([4.0], 5).tolist() == [4.0]


def test_windows_are_odd_and_few_points_are_not_smoothed():
    assert smoothing_window(1) == smoothing_window(39) == 1
    assert smoothing_window(40) == 3 and smoothing_window(1000) == 51
    assert all(smoothing_window(count) % 2 for count in range(300))


def test_scores_by_name_and_number_of_pictures(tmp_path):
    metrics = [
        {"step": 20, "n": 64, "scores": {"kd": {"value": 0.2, "error": 0.01}, "fd": {"value": 3}}},
        {"step": 10, "n": 64, "scores": {"kd": {"value": 0.5, "error": 0.02}}},
        {"step": 20, "n": 64, "scores": {"kd": {"value": 0.3}}},  # measured again
        {"step": 20, "n": 128, "scores": {"kd": {"value": 0.1, "error": 0.01}, "fd": {"value": float("nan")}}},
        {"step": 30, "event": "something else"},
    ]
    assert score_points(metrics) == {
        "fd": {64: [(20, 3.0, None)]},
        "kd": {64: [(10, 0.5, 0.02), (20, 0.3, None)], 128: [(20, 0.1, 0.01)]},
    }
    score_curves(metrics, tmp_path / "scores.png", "a run")
    with Image.open(tmp_path / "scores.png") as picture:
        assert picture.size == (900, 400) and len(picture.convert("RGB").getcolors(1_000_000)) > 10


def test_nothing_to_draw(tmp_path):
    with pytest.raises(UserError, match="no losses to draw yet"):
        loss_curves([{"step": 0, "event": "grid"}], tmp_path / "no.png", "a run")
    with pytest.raises(UserError, match="no scores to draw yet"):
        score_curves([{"step": 0, "scores": {}}], tmp_path / "no.png", "a run")
