"""Batches: which pictures, in which order, and what is done to them."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ganvas.data import DataOptions, Item, Prepared, Sampler, Source, open_data, store
from ganvas.data.sampler import cut, mirror, to_float
from ganvas.errors import UserError


def prepared(folder: Path, images: np.ndarray, labels: list[int] | None = None) -> Prepared:
    folder.mkdir(parents=True)
    classes = [str(i) for i in range(max(labels) + 1)] if labels else []
    source = Source("made", [], lambda progress: [], classes)
    with store.Writer(folder, images.shape[1], images.shape[3]) as writer:
        for i, image in enumerate(images):
            writer.add(Item(str(i), lambda side: Image.new("L", (1, 1)), labels[i] if labels else None), image)
        writer.finish(source, [], [], {})
    return store.load(folder)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    images = np.random.default_rng(0).integers(0, 256, (23, 12, 12, 3), dtype=np.uint8)
    return prepared(tmp_path_factory.mktemp("x") / "data", images, [i % 4 for i in range(23)])


def sampler(data: Prepared, batch: int = 5, size: int = 12, seed: int = 3, flip: bool = True, **more: int) -> Sampler:
    return Sampler(data, batch=batch, seed=seed, options=DataOptions(flip=flip), device="cpu", size=size, **more)


def test_range_ends_are_exact() -> None:
    bytes_ = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1)
    values = to_float(bytes_)
    assert values.min() == -1 and values.max() == 1
    assert torch.equal(((values + 1) * 127.5).round().flatten(), torch.arange(256.0))


def test_layout(data: Prepared) -> None:
    batch = sampler(data).batch(0)
    image = batch["image"]
    assert image.shape == (5, 3, 12, 12) and image.dtype == torch.float32
    assert image.is_contiguous(memory_format=torch.channels_last)
    assert batch["label"].shape == (5,) and batch["label"].dtype == torch.int64
    assert sampler(data).keys == {"image", "label"} == set(batch)


def test_pictures_and_labels_belong_together(data: Prepared) -> None:
    s = sampler(data, flip=False)
    for step in range(12):
        index, batch = s.indices(step), s.batch(step)
        expected = torch.from_numpy(data.images[index]).permute(0, 3, 1, 2).float() / 127.5 - 1
        assert torch.equal(batch["image"], expected)
        assert batch["label"].tolist() == data.labels[index].tolist()


def test_every_epoch_shows_each_picture_once(data: Prepared) -> None:
    """Batches run on across the border: 23 pictures in batches of 5."""
    s = sampler(data)
    seen = np.concatenate([s.indices(step) for step in range(23)])
    epochs = seen.reshape(5, 23)
    for epoch in epochs:
        assert sorted(epoch) == list(range(23))
    assert len({tuple(epoch) for epoch in epochs}) == 5


@settings(max_examples=25, deadline=None)
@given(step=st.integers(0, 10_000), draw=st.integers(0, 5), attempt=st.integers(0, 3), before=st.integers(0, 50))
def test_a_batch_depends_on_nothing_that_came_before(
    data: Prepared, step: int, draw: int, attempt: int, before: int
) -> None:
    fresh, used = sampler(data, size=9), sampler(data, size=9)
    used.batch(before, draw=before % 3)
    a, b = fresh.batch(step, draw, attempt), used.batch(step, draw, attempt)
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_streams_are_independent(data: Prepared) -> None:
    s = sampler(data)
    first = [tuple(s.indices(0, draw, attempt)) for draw in range(4) for attempt in range(3)]
    assert len(set(first)) == 12
    assert not np.array_equal(s.indices(0), sampler(data, seed=4).indices(0))
    for draw in (1, 2):
        assert sorted(np.concatenate([s.indices(step, draw) for step in range(23)])[:23]) == list(range(23))


def test_streams_do_not_follow_each_other(tmp_path: Path) -> None:
    """Positions in different epochs, draws and attempts are uncorrelated."""
    data = prepared(tmp_path / "d", np.zeros((500, 8, 8, 1), np.uint8))
    s = sampler(data, batch=500, size=8)
    orders = np.array(
        [s.indices(step, draw, attempt) for step in range(2) for draw in range(3) for attempt in range(2)]
    )
    correlation = np.corrcoef(orders) - np.eye(len(orders))
    assert abs(correlation).max() < 5 / np.sqrt(500)


@pytest.mark.parametrize("world", [1, 2, 3, 6])
def test_ranks_together_see_what_one_would(data: Prepared, world: int) -> None:
    whole = sampler(data, batch=6, size=7)
    parts = [sampler(data, batch=6, size=7, rank=rank, world=world) for rank in range(world)]
    for step in range(6):
        expected = whole.batch(step, draw=1)
        got = [part.batch(step, draw=1) for part in parts]
        for key, value in expected.items():
            assert torch.equal(torch.cat([g[key] for g in got]), value)


def test_mirror_exchanges_left_and_right() -> None:
    images = torch.randint(0, 256, (3, 4, 5, 2), dtype=torch.uint8)
    got = mirror(images, torch.tensor([True, False, True]))
    for i, expected in enumerate([images[0].numpy()[:, ::-1], images[1].numpy(), images[2].numpy()[:, ::-1]]):
        assert (got[i].numpy() == expected).all()


def test_half_are_mirrored(tmp_path: Path) -> None:
    images = np.zeros((400, 8, 8, 1), np.uint8)
    images[:, :, 0] = 255
    data = prepared(tmp_path / "d", images)
    left = sampler(data, batch=400, size=8).batch(0)["image"][:, 0, 0, 0]
    assert 150 < (left == -1).sum() < 250
    assert (sampler(data, batch=400, size=8, flip=False).batch(0)["image"][:, 0, 0, 0] == 1).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_cut_against_slices(channels: int) -> None:
    images = torch.randint(0, 256, (9, 7, 7, channels), dtype=torch.uint8)
    top = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2])
    left = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 2])
    got = cut(images, top, left, 5)
    for i in range(9):
        assert torch.equal(got[i], images[i, top[i] : top[i] + 5, left[i] : left[i] + 5])


def test_random_cuts_reach_every_place(tmp_path: Path) -> None:
    """Each pixel of an 10x10 picture names its own place, so a cut of 8 pixels tells where it was made."""
    place = (np.arange(10)[:, None] * 10 + np.arange(10)).astype(np.uint8)[None, :, :, None]
    data = prepared(tmp_path / "d", np.repeat(place, 300, 0))
    corner = (sampler(data, batch=300, size=8, flip=False).batch(0)["image"][:, 0, 0, 0] + 1) * 127.5
    assert sorted({round(float(c)) for c in corner}) == [10 * top + left for top in range(3) for left in range(3)]


COUNTS = (9, 2, 1, 5)
"""Pictures of each class of the data that is to be balanced."""


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    labels = np.random.default_rng(1).permutation(np.repeat(range(4), COUNTS))
    images = np.random.default_rng(0).integers(0, 256, (17, 8, 8, 1), dtype=np.uint8)
    return prepared(tmp_path_factory.mktemp("x") / "uneven", images, labels.tolist())


def balanced(data: Prepared, batch: int, seed: int = 3, **more: int) -> Sampler:
    options = DataOptions(balance=True, flip=False)
    return data.sampler(batch=batch, seed=seed, options=options, device="cpu", size=8, **more)


@pytest.mark.parametrize("batch", [1, 2, 3, 4, 5, 6, 8, 10, 17])
def test_balanced_batches_hold_each_class_equally_often_up_to_one(uneven: Prepared, batch: int) -> None:
    """Against batch / 4, rounded down or up; and exactly batch / gcd(batch, 4) times in each cycle."""
    s = balanced(uneven, batch)
    cycle = 4 // math.gcd(batch, 4)
    steps = np.stack([uneven.labels[s.indices(step)] for step in range(6 * cycle)])
    counts = np.stack([np.bincount(labels, minlength=4) for labels in steps])
    assert counts.min() == batch // 4 and counts.max() == -(-batch // 4)
    assert (counts.reshape(6, cycle, 4).sum(1) == batch // math.gcd(batch, 4)).all()


@pytest.mark.parametrize("batch", [3, 8])
def test_balanced_classes_show_each_picture_once_before_one_twice(uneven: Prepared, batch: int) -> None:
    seen = np.concatenate([balanced(uneven, batch).indices(step, draw=1) for step in range(48)])
    for label, count in enumerate(COUNTS):
        own = seen[uneven.labels[seen] == label]
        epochs = own[: len(own) // count * count].reshape(-1, count)
        assert len(epochs) >= 4
        assert (np.sort(epochs) == np.flatnonzero(uneven.labels == label)).all()
        assert count < 3 or len({tuple(epoch) for epoch in epochs}) > 1  # in a new order each time


def test_balanced_classes_are_not_always_in_the_same_company(uneven: Prepared) -> None:
    """Two at a time, every pair of four classes meets: the order of the classes is new in each cycle."""
    s = balanced(uneven, 2)
    assert len({tuple(sorted(uneven.labels[s.indices(step)])) for step in range(100)}) == 6


@settings(max_examples=25, deadline=None)
@given(step=st.integers(0, 10_000), draw=st.integers(0, 5), attempt=st.integers(0, 3), before=st.integers(0, 50))
def test_a_balanced_batch_depends_on_nothing_that_came_before(
    uneven: Prepared, step: int, draw: int, attempt: int, before: int
) -> None:
    fresh, used = balanced(uneven, 6), balanced(uneven, 6)
    used.batch(before, draw=before % 3)
    assert np.array_equal(fresh.indices(step, draw, attempt), used.indices(step, draw, attempt))


def test_balanced_streams_are_independent(uneven: Prepared) -> None:
    s = balanced(uneven, 12)
    first = [tuple(s.indices(0, draw, attempt)) for draw in range(3) for attempt in range(3)]
    assert len(set(first)) == 9 and tuple(balanced(uneven, 12, seed=4).indices(0)) not in first
    one = balanced(uneven, 1)  # the order of the classes too
    places = [(draw, attempt) for draw in range(3) for attempt in range(3)]
    orders = {tuple(uneven.labels[one.indices(step, *place)[0]] for step in range(80)) for place in places}
    assert len(orders) == 9


@pytest.mark.parametrize("world", [2, 3, 6])
def test_ranks_together_see_a_balanced_batch(uneven: Prepared, world: int) -> None:
    parts = [balanced(uneven, 6, rank=rank, world=world) for rank in range(world)]
    for step in range(7):
        whole, got = balanced(uneven, 6).batch(step), [part.batch(step) for part in parts]
        assert torch.equal(torch.cat([g["image"] for g in got]), whole["image"])
        assert torch.cat([g["label"] for g in got]).tolist() == whole["label"].tolist()
        assert whole["label"].tolist() == uneven.labels[balanced(uneven, 6).indices(step)].tolist()


def test_without_balance_the_same_pictures_are_drawn_as_before_there_was_such_an_option(data: Prepared) -> None:
    """Against what the sampler drew then, seed 3: runs that were started before it go on as they would have."""
    assert sampler(data).indices(3, 1).tolist() == [16, 2, 8, 18, 11]
    assert sampler(data).indices(4).tolist() == [1, 19, 10, 13, 5]


def test_balance_is_for_drawing_alone(tmp_path: Path) -> None:
    """What is prepared is the same, so that the cache serves both."""
    (tmp_path / "in").mkdir()
    for i in range(3):
        Image.fromarray(np.full((9, 9), 80 * i, np.uint8)).save(tmp_path / "in" / f"{i}.png")
    found = [open_data(tmp_path / "in", DataOptions(cache=tmp_path / "c", balance=b), size=8) for b in (False, True)]
    assert found[0].path == found[1].path
    with pytest.raises(UserError, match=r"--balance draws classes equally often, and .*in has no labels; leave it out"):
        found[0].sampler(batch=2, seed=0, options=DataOptions(balance=True), device="cpu", size=8)


def test_refusals(data: Prepared) -> None:
    with pytest.raises(UserError, match=r"23 usable pictures.*use --batch 23 or less"):
        sampler(data, batch=24)
    with pytest.raises(UserError, match="multiple of 2"):
        sampler(data, batch=5, world=2)
    with pytest.raises(UserError, match="smaller than 64"):
        sampler(data, size=64)
    assert sampler(data, batch=23).batch(0)["image"].shape[0] == 23


def test_the_data_is_not_changed(data: Prepared) -> None:
    before = data.images.tobytes()
    s = sampler(data)
    s.batch(0)["image"].zero_()
    s.batch(1)
    assert data.images.tobytes() == before and not data.images.flags.writeable


def test_no_work_for_each_picture(tmp_path: Path) -> None:
    """A batch 16 times as large makes no more tensor operations."""
    data = prepared(tmp_path / "d", np.zeros((64, 10, 10, 3), np.uint8))

    def operations(batch: int) -> int:
        from torch.utils._python_dispatch import TorchDispatchMode

        class Count(TorchDispatchMode):
            total = 0

            def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
                Count.total += 1
                return function(*args, **(kwargs or {}))

        s = sampler(data, batch=batch, size=8)
        with Count():
            s.batch(0)
        return Count.total

    assert operations(4) == operations(64)
    start = time.perf_counter()
    s = sampler(data, batch=16, size=8)
    for step in range(50):
        s.batch(step)
    assert (time.perf_counter() - start) / 50 < 0.1  # loose: this machine may be busy


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("share", [0.4, 0.0])
def test_cuda_equals_cpu(data: Prepared, share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the pictures fit on the device or are gathered from the memory map."""
    monkeypatch.setattr("ganvas.data.sampler.DEVICE_SHARE", share)
    cuda = Sampler(data, batch=5, seed=3, options=DataOptions(), device="cuda", size=9)
    assert (cuda.images.device.type == "cuda") == (share > 0)
    for step in range(8):
        expected, got = sampler(data, size=9).batch(step), cuda.batch(step)
        assert all(torch.equal(got[key].cpu(), expected[key]) for key in expected)
