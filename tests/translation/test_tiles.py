"""Pictures of any size through a network: against the picture itself, brute force in float64, and NumPy's padding."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sided_pictures import MakeRun, noise
from sided_systems.sides import Config, TwoSides, place

from ganvas.errors import UserError
from ganvas.translation.tiles import Tiling, starts, translate_tiled, translate_whole, weights
from ganvas.translation.translator import Translator, direction_of, mirrored


def make(**config: object) -> Translator:
    system = TwoSides(Config(**config)).eval()
    sides = (system.config.source_channels, system.config.channels)
    return Translator(system, "AtoB", torch.device("cpu"), nullcontext, *sides)


@pytest.mark.parametrize(("length", "whole"), [(3, 9), (5, 5), (5, 6), (8, 16), (2, 11), (1, 4)])
def test_mirrored_is_numpys_reflection_however_much_there_is(length: int, whole: int) -> None:
    before = (whole - length) // 2
    expected = np.pad(np.arange(length), (before, whole - length - before), "reflect" if length > 1 else "edge")
    assert mirrored(length, whole).tolist() == expected.tolist()


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 90), width=st.integers(1, 90), multiple=st.sampled_from([1, 2, 3, 8, 16]),
    side=st.integers(16, 40), share=st.floats(0, 0.5), batch=st.sampled_from([None, 1, 3]),
)  # fmt: skip
def test_a_network_that_changes_nothing_gives_back_every_picture_exactly(
    height: int, width: int, multiple: int, side: int, share: float, batch: int | None
) -> None:
    """Against the picture: any size, tile and overlap. A wrong weight, crop or band would change a byte."""
    translator = make(multiple=multiple)
    overlap = int(share * (side // multiple * multiple))
    tiling = Tiling.fitting(side, overlap, batch, multiple)
    given_ = noise(height, width, seed=height * 91 + width)
    whole = tiling.whole(height, width)
    got = translate_whole(translator, [given_], [0])[0] if whole else translate_tiled(translator, given_, 0, tiling)
    np.testing.assert_array_equal(got, given_)
    most = tiling.side
    assert all(max(shape[2:]) <= most for shape in translator.system.shapes)


@pytest.mark.parametrize(("height", "width"), [(100, 61), (33, 97), (20, 200), (64, 64)])
@pytest.mark.parametrize("overlap", [0, 5, 8, 16])
def test_tiles_are_blended_as_brute_force_does(height: int, width: int, overlap: int) -> None:
    """A network whose output depends on the place in the tile, against a weighted mean of whole pictures in float64."""
    translator = make(rule="place", multiple=4, channels=1, source_channels=1)
    tiling = Tiling.fitting(32, overlap, None, 4)
    got = translate_tiled(translator, noise(height, width, 1), 0, tiling)
    tall, wide = -(-height // 4) * 4, -(-width // 4) * 4
    high, broad = min(32, tall), min(32, wide)
    total, sums = np.zeros((tall, wide)), np.zeros((tall, wide))
    for top in starts(tall, high, overlap, 4):
        for left in starts(wide, broad, overlap, 4):
            y, x = np.arange(high), np.arange(broad)

            def rise(at: np.ndarray) -> np.ndarray:
                return 0.5 - 0.5 * np.cos(np.pi * np.clip((at + 0.5) / overlap, 0, 1)) if overlap else 1 + 0 * at

            def along(at: np.ndarray, begin: int, side: int, length: int) -> np.ndarray:
                return (rise(at) if begin else 1) * (rise(side - 1 - at) if begin + side < length else 1) + 0 * at

            weight = along(y, top, high, tall)[:, None] * along(x, left, broad, wide)
            sums[top : top + high, left : left + broad] += weight
            total[top : top + high, left : left + broad] += weight * place(high, broad).double().numpy()
    expected = (total / sums + 1) * 127.5
    edge, side = (tall - height) // 2, (wide - width) // 2
    np.testing.assert_allclose(got[..., 0], expected[edge : edge + height, side : side + width], atol=0.502)


def test_weights_sum_to_one_and_rise_as_a_raised_cosine() -> None:
    begins = starts(1000, 256, 64, 1)
    found = weights(1000, 256, 64, begins).double()
    total = torch.zeros(1000, dtype=torch.float64)
    for begin, weight in zip(begins, found, strict=True):
        total[begin : begin + 256] += weight
    torch.testing.assert_close(total, torch.ones(1000, dtype=torch.float64), atol=1e-6, rtol=0)
    at = (torch.arange(64, dtype=torch.float64) + 0.5) / 64
    torch.testing.assert_close(found[1, :64], (1 - torch.cos(torch.pi * at)) / 2, atol=1e-6, rtol=0)
    assert (found[0, :192] == 1).all()


def test_tiles_begin_where_the_network_halves_at_the_same_pixels() -> None:
    """Means of 16 px blocks, tiled and whole: tiles of 128 px that overlap by 20 alone would begin within a block."""
    translator = make(rule="blocks", multiple=16)
    given_ = noise(400, 330)
    tiled = translate_tiled(translator, given_, 0, Tiling.fitting(128, 20, None, 16))
    np.testing.assert_array_equal(tiled, translate_whole(translator, [given_], [0])[0])


def test_a_local_network_shows_no_seam() -> None:
    """A 5x5 blur of a smooth picture, tiled against whole: at most a level apart, where hard edges are 20 apart."""
    y, x = np.mgrid[:300, :260]
    given_ = np.stack([127 + 120 * np.sin(x / 3 + c) * np.cos(y / 4) for c in range(3)], 2).astype(np.uint8)
    translator = make(rule="blur")
    whole = translate_whole(translator, [given_], [0])[0].astype(int)
    feathered = translate_tiled(translator, given_, 0, Tiling.fitting(96, 24, None, 1)).astype(int)
    hard = translate_tiled(translator, given_, 0, Tiling.fitting(96, 0, None, 1)).astype(int)
    assert abs(feathered - whole).max() <= 1
    assert abs(hard - whole).max() > 10


@pytest.mark.parametrize(
    ("length", "side", "overlap", "multiple"),
    [(4096, 512, 64, 256), (4096, 512, 64, 64), (4000, 512, 64, 16), (1000, 96, 0, 1), (515, 512, 256, 1)],
)
def test_tiles_cover_everything_and_overlap_enough(length: int, side: int, overlap: int, multiple: int) -> None:
    found = starts(length, side, overlap, multiple)
    assert found[0] == 0 and found[-1] == length - side
    gaps = np.diff(found)
    assert (gaps > 0).all() and (gaps <= side - overlap).all()
    assert len(found) <= np.ceil((length - overlap) / (side - overlap)) + 1  # and no more of them than that needs


def test_all_tiles_have_the_seed_of_the_picture_and_small_batches_by_default() -> None:
    translator = make(rule="seed")
    got = translate_tiled(translator, noise(700, 700), 45, Tiling.fitting(512, None, None, 1))
    assert (got == 185).all()
    assert {shape[0] for shape in translator.system.shapes} == {1}
    translator.system.shapes.clear()  # (1 + 45 / 100) * 127.5 is 184.9
    translate_tiled(translator, noise(700, 700), 45, Tiling.fitting(512, None, 2, 1))
    assert {shape[0] for shape in translator.system.shapes} == {2}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ((16, None, None, 32), "--tile 16 is too small: this network takes multiples of 32"),
        ((-1, None, None, 1), "--tile -1"),
        ((64, 33, None, 1), "--overlap 33 does not fit into tiles of 64 pixels: it is from 0 to 32"),
        ((70, 33, None, 32), "--overlap 33 does not fit into tiles of 64"),
        ((64, -1, None, 1), "--overlap -1"),
        ((64, None, 0, 1), "--batch 0"),
    ],
)
def test_tilings_that_cannot_be(asked: tuple[int, int | None, int | None, int], said: str) -> None:
    with pytest.raises(UserError, match=said.replace("(", r"\(")):
        Tiling.fitting(*asked)


@pytest.mark.parametrize("text", ["AtoB", "atob", "A->B", "a-b", "A2B", "a to b", "ab", " A_B "])
def test_spellings_of_a_direction(text: str) -> None:
    assert direction_of(text, ["AtoB", "BtoA"]) == "AtoB"
    swapped = text.upper().replace("A", "?").replace("B", "A").replace("?", "B").replace("TO", "to")
    assert direction_of(swapped, ["AtoB", "BtoA"]) == "BtoA"


def test_directions_that_are_none() -> None:
    for text in ("A-", "AtoA", "left", "", "a->c"):
        with pytest.raises(UserError, match="no direction: give one of AtoB"):
            direction_of(text, ["AtoB"])
    with pytest.raises(UserError, match='quotes in a shell: "A->B"'):
        direction_of("A-", ["AtoB"])
    with pytest.raises(UserError, match="has learnt AtoB alone, not BtoA"):
        direction_of("b>a", ["AtoB"])


def test_run_translate(make_run: MakeRun) -> None:
    """Against the pictures, their negatives (BtoA), and seed / 100."""
    run = make_run(multiple=8, both=True)
    pictures = torch.rand(5, 3, 13, 21) * 2 - 1
    torch.testing.assert_close(run.translate(pictures), pictures, rtol=0, atol=0)
    torch.testing.assert_close(run.translate(pictures, direction="b->a", batch=2), -pictures, rtol=0, atol=0)
    found = make_run(rule="seed").translate(pictures, seed=10, batch=2)
    assert found.shape == pictures.shape
    torch.testing.assert_close(found[:, 0, 0, 0], torch.tensor([0.10, 0.11, 0.12, 0.13, 0.14]))


def test_run_translate_between_channels(make_run: MakeRun) -> None:
    run = make_run(source_channels=1, both=True)
    assert run.translate(torch.zeros(1, 1, 5, 6)).shape == (1, 3, 5, 6)
    assert run.translate(torch.zeros(1, 3, 5, 6), direction="BtoA").shape == (1, 1, 5, 6)
    with pytest.raises(UserError, match=r"pictures of 1 channels, \(N, 1, H, W\), not \(1, 3, 5, 6\)"):
        run.translate(torch.zeros(1, 3, 5, 6))
    with pytest.raises(UserError, match="not finite: this run has diverged"):
        make_run(rule="nothing").translate(torch.zeros(1, 3, 5, 6))


def test_a_run_that_translates_draws_nothing(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    for draw in (lambda: run.sample(2), lambda: run.save_samples(tmp_path / "out", 2)):
        with pytest.raises(UserError, match=r"`ganvas translate .* INPUT OUTPUT`"):
            draw()
    assert not (tmp_path / "out").exists()
    source = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(run.sample(2, conditions={"source": source}), source)
