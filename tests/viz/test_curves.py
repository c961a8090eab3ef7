"""Loss curves as a picture."""

import pytest
from PIL import Image

from ganvas.errors import UserError
from ganvas.viz.curves import loss_curves


def test_a_panel_an_update_and_gaps_where_a_term_is_missing(tmp_path):
    stats = [
        {"step": 0, "event": "grid", "diversity": 1.0},
        {"step": 10, "images_per_second": 5.0, "discriminator/encoder": 1.0, "generator/encoder": 0.7},
        {"step": 20, "images_per_second": 5.0, "discriminator/encoder": 0.9, "generator/encoder": "nan"},
        {"step": 30, "images_per_second": 5.0, "discriminator/cutmix_decoder": 0.6, "generator/gradient_norm": 3.0},
    ]
    loss_curves(stats, tmp_path / "two.png", "a run")
    loss_curves([stats[3]], tmp_path / "one.png", "a run")
    with Image.open(tmp_path / "two.png") as two, Image.open(tmp_path / "one.png") as one:
        assert two.size == (1200, 400) and one.size == (600, 400)
        assert len(two.convert("RGB").getcolors(1_000_000)) > 10  # lines and text, not a blank sheet


def test_nothing_to_draw(tmp_path):
    with pytest.raises(UserError, match="no losses to draw yet"):
        loss_curves([{"step": 0, "event": "grid"}], tmp_path / "no.png", "a run")
