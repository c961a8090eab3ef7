"""Features of many pictures, and keeping them on disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ganvas.engine.distributed import Ranks
from ganvas.errors import UserError
from ganvas.metrics.extract import cached, extract
from ganvas.metrics.networks import FeatureNetwork, Features

KEY = {"data": "ab", "n": 3, "network": {"size": 8}}


def network(chunk: int = 4, classes: int = 2, spoil: int = -1) -> FeatureNetwork:
    """A network whose features are a picture's first numbers; those of a picture that starts with `spoil` are NaN."""

    def forward(inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        vectors = inputs.flatten(1)[:, :3].float()
        vectors[vectors[:, 0] == spoil] = torch.nan
        return vectors, vectors[:, :classes] if classes else None

    return FeatureNetwork(
        name="first",
        dimensions=3,
        classes=classes,
        size=2,
        resize="none",
        normalisation="none",
        weights="0" * 64,
        device=torch.device("cpu"),
        precision="fp32",
        chunk=chunk,
        prepare=lambda images: images,
        forward=forward,
    )


PICTURES = torch.arange(10 * 12, dtype=torch.uint8).reshape(10, 2, 2, 3)


@pytest.mark.parametrize("batch", [1, 3, 10])
def test_features_are_in_order_however_the_pictures_are_cut(batch: int) -> None:
    seen: list[int] = []
    found = extract(network(), PICTURES.split(batch), progress=seen.append)
    wanted = PICTURES.flatten(1)[:, :3].float()
    assert torch.equal(found.vectors, wanted)
    torch.testing.assert_close(found.probabilities, wanted[:, :2].softmax(1))
    assert seen[-1] == 10 and seen == sorted(set(seen)) and len(seen) == -(-10 // batch)


def test_without_classes_there_are_no_probabilities_and_without_pictures_no_rows() -> None:
    assert extract(network(classes=0), [PICTURES]).probabilities is None
    nothing = extract(network(), [])
    assert nothing.vectors.shape == (0, 3) and nothing.probabilities is not None
    assert nothing.probabilities.shape == (0, 2)


def test_features_that_are_not_finite_are_refused() -> None:
    broken = network(spoil=int(PICTURES[7, 0, 0, 0]))
    assert len(extract(broken, [PICTURES[:7], PICTURES[8:]])) == 9
    with pytest.raises(UserError, match="numbers that are not finite for a picture among the first 9:"):
        extract(broken, PICTURES.split(3))


@dataclass
class Computed:
    """Counts how often features are computed."""

    features: Features
    times: int = 0

    def __call__(self) -> Features:
        self.times += 1
        return self.features


@pytest.fixture(params=[True, False], ids=["with probabilities", "without"])
def compute(request: pytest.FixtureRequest) -> Computed:
    torch.manual_seed(0)
    return Computed(Features(torch.randn(3, 4), torch.rand(3, 2) if request.param else None))


def same(one: Features, other: Features) -> bool:
    if one.probabilities is None or other.probabilities is None:
        return one.probabilities is other.probabilities and torch.equal(one.vectors, other.vectors)
    return torch.equal(one.vectors, other.vectors) and torch.equal(one.probabilities, other.probabilities)


def test_features_are_computed_once_for_a_key(tmp_path: Path, compute: Computed) -> None:
    folder = tmp_path / "new" / "features"
    for _ in range(3):
        assert same(cached(folder, KEY, compute), compute.features)
    assert compute.times == 1
    cached(folder, {key: KEY[key] for key in reversed(KEY)}, compute)  # the order of the keys says nothing
    assert compute.times == 1
    cached(folder, KEY | {"n": 4}, compute)
    assert compute.times == 2 and len(list(folder.iterdir())) == 2


def flipped(data: bytes) -> bytes:
    return data[:-3] + bytes([data[-3] ^ 1]) + data[-2:]


@pytest.mark.parametrize("damage", [flipped, lambda data: data[:-5], lambda data: b"", lambda data: b"noise" * 99])
def test_a_damaged_file_is_made_anew(tmp_path: Path, compute: Computed, damage: Callable[[bytes], bytes]) -> None:
    cached(tmp_path, KEY, compute)
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    for _ in range(2):
        assert same(cached(tmp_path, KEY, compute), compute.features)
    assert compute.times == 2


def test_a_file_of_another_key_is_not_believed(tmp_path: Path, compute: Computed) -> None:
    """As after a file was renamed, or two keys shared a hash."""
    cached(tmp_path, KEY, compute)
    (path,) = tmp_path.iterdir()
    mine = path.name
    other = Computed(Features(torch.zeros(3, 4)))
    cached(tmp_path, KEY | {"n": 4}, other)
    (foreign,) = (one for one in tmp_path.iterdir() if one.name != mine)
    foreign.replace(path)
    assert same(cached(tmp_path, KEY, compute), compute.features)
    assert compute.times == 2


def test_without_a_place_to_write_features_are_computed(tmp_path: Path, compute: Computed) -> None:
    file = tmp_path / "file"
    file.write_text("not a folder")
    for folder in (file, file / "below"):
        assert same(cached(folder, KEY, compute), compute.features)
    assert compute.times == 2 and file.read_text() == "not a folder"


class Together(Ranks):
    """One of two processes, of which the other has no file."""

    def any(self, flag: bool) -> bool:
        return True


def test_processes_compute_together_or_not_at_all(tmp_path: Path, compute: Computed) -> None:
    """Where one process lacks the file all compute, since that needs all; the first alone writes."""
    cached(tmp_path, KEY, compute, Together(rank=1, world=2))
    assert compute.times == 1 and not list(tmp_path.iterdir())
    cached(tmp_path, KEY, compute, Together(rank=0, world=2))
    cached(tmp_path, KEY, compute, Together(rank=1, world=2))
    assert compute.times == 3 and len(list(tmp_path.iterdir())) == 1


def test_a_key_that_is_not_json_is_an_error(tmp_path: Path, compute: Computed) -> None:
    keys: list[dict[str, Any]] = [{"a": torch.zeros(1)}, {"a": float("nan")}]
    for key in keys:
        with pytest.raises((TypeError, ValueError)):
            cached(tmp_path, key, compute)
