"""The small parts: seeds, precision, collapse, grids, signals, processes."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import stats as scipy_stats

from ganvas.engine.collapse import CollapseWatch, diversity
from ganvas.engine.distributed import Ranks
from ganvas.engine.log import Log, read_stats
from ganvas.engine.precision import resolve_device, resolve_precision
from ganvas.engine.seeding import latents, seed_for, truncate
from ganvas.engine.signals import StopRequest
from ganvas.errors import UserError
from ganvas.viz.grids import grid, save_png, to_bytes


def test_seeds_never_change() -> None:
    """Runs of earlier versions resume with the numbers that they started with."""
    assert seed_for(0, 0, 0, "a") == 6213714296089835783
    assert len({seed_for(*parts) for parts in [(1, 23), (12, 3), ("1", "2", 3), (1, 2, 3, 0)]}) == 4


def test_latents_are_normal_and_each_its_own() -> None:
    z = latents(range(2000), 16)
    assert torch.equal(latents([7, 3], 16), z[[7, 3]])
    assert scipy_stats.kstest(z.flatten().numpy(), "norm").pvalue > 1e-3
    assert abs(float(torch.corrcoef(z[:200]).triu(1).mean())) < 0.01


@given(st.floats(0.01, 4))
def test_truncation_is_the_truncated_normal(threshold: float) -> None:
    """Against scipy's truncnorm, and against the order of what went in."""
    z = torch.linspace(-4.5, 4.5, 501, dtype=torch.float64)
    out = truncate(z, threshold)
    expected = scipy_stats.truncnorm.ppf(scipy_stats.norm.cdf(z.numpy()), -threshold, threshold)
    np.testing.assert_allclose(out.numpy(), expected, atol=1e-6)
    assert (out.diff() > 0).all()


def test_truncation_at_its_ends() -> None:
    z = latents(range(4), 8)
    assert truncate(z, 0).abs().max() == 0
    torch.testing.assert_close(truncate(z, 50), z)
    for wrong in (-1, float("nan")):
        with pytest.raises(ValueError, match="at least 0"):
            truncate(z, wrong)


def test_precision_and_device() -> None:
    assert resolve_precision("bf16", torch.device("cpu")) == "bf16"
    assert resolve_precision("auto", torch.device("cpu")) in ("fp32", "bf16")
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="no cuda device"):
            resolve_device("cuda")


def test_diversity_is_the_mean_distance_of_pairs() -> None:
    images = torch.rand(6, 3, 8, 8) * 2 - 1
    pairs = [(images[i] - images[j]).square().mean().sqrt() for i in range(6) for j in range(i)]
    assert diversity(images) == pytest.approx(float(torch.stack(pairs).mean()), rel=1e-5)
    assert diversity(images[:1].expand(5, -1, -1, -1)) == 0


def test_a_collapse_is_reported_when_it_lasts() -> None:
    watch = CollapseWatch(torch.rand(8, 1, 4, 4), fraction=0.5, patience=2)
    reports = [watch.observe(ratio) for ratio in (0.9, 0.4, 0.9, 0.4, 0.3, 0.2, 0.9, 0.1, 0.1)]
    assert reports == [False, False, False, False, True, False, False, False, True]


def test_a_grid_shows_every_picture_in_its_place(tmp_path: Path) -> None:
    values = torch.linspace(-1, 1, 5)
    canvas = grid(values[:, None, None, None].expand(5, 3, 64, 64), columns=3)
    assert canvas.shape == (2 * 66 + 2, 3 * 66 + 2, 3)
    assert [canvas[2 + 66 * r, 2 + 66 * c, 0] for r, c in ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1))] == [
        0, 64, 128, 191, 255,
    ]  # fmt: skip
    assert canvas[70, 140, 0] == 255
    assert grid(torch.zeros(1, 1, 8, 8)).shape == (68, 68, 1)
    save_png(tmp_path / "grid.png", canvas, {"Copyright": "CC BY-SA 4.0, ünder"})
    picture = Image.open(tmp_path / "grid.png")
    assert picture.text["Copyright"] == "CC BY-SA 4.0, ünder"  # type: ignore[attr-defined]
    assert np.array_equal(np.asarray(picture), canvas)
    assert to_bytes(torch.full((1, 1, 1, 1), float("nan")))[0, 0, 0, 0] == 128


def test_a_second_ctrl_c_ends_at_once() -> None:
    before = signal.getsignal(signal.SIGINT)
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.made
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_stop_requests_do_nothing_outside_the_main_thread() -> None:
    errors: list[Exception] = []

    def enter() -> None:
        try:
            with StopRequest():
                pass
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert not errors


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    with pytest.raises(UserError, match="a batch of 7 cannot be shared evenly by 2"):
        Ranks(world=2).cut(7, 0)
    assert Ranks(world=2).cut(8, 0) == (4, 1)
    assert Ranks(world=2).cut(8, 2) == (2, 2)


def test_stats_survive_odd_numbers(tmp_path: Path) -> None:
    log = Log(tmp_path / "stats.jsonl", 10, 4)
    log.stats(1, {"d/a": float("nan"), "d/b": 0.5})
    log.event(1, "non-finite", what="a")
    log.stats(2, {"d/a": 1.0})
    log.start_at(1)
    entries = read_stats(tmp_path / "stats.jsonl")
    assert [entry["step"] for entry in entries] == [1, 1]
    assert entries[0]["d/a"] == "nan"


def test_a_silent_log_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Log(None, 10, 4) as log:
        log.start_at(0)
        log.stats(1, {"d/a": 1.0})
        log.note("hello")
    assert capsys.readouterr().out == ""
