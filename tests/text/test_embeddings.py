"""Vectors of the captions of data: against encoding them one by one, NumPy and safetensors themselves."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from ganvas import UserError
from ganvas.data.options import DataOptions
from ganvas.data.source import Progress
from ganvas.text import embeddings as module
from ganvas.text.embeddings import embed, read_embeddings, read_vectors
from ganvas.text.encoders import Encoder, find_encoder


class Counting(Encoder):
    """A caption's vector is its length and its first letter; counts what it encodes."""

    def __init__(self) -> None:
        self.name, self.hash, self.dim = "counting", "c" * 64, 2
        self.asked: list[list[str]] = []

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Tensor:
        self.asked.append([*texts])
        if progress is not None:
            progress("encoding captions", len(texts), len(texts))
        return torch.tensor([[float(len(text)), float(ord(text[0]))] for text in texts])


CAPTIONS = [["b two", "a"], ["a"], ["c three", "b two", "ü"]]


def test_each_picture_has_the_vectors_of_its_captions_in_order(tmp_path: Path) -> None:
    encoder = Counting()
    found = embed(CAPTIONS, encoder, DataOptions(cache=tmp_path))
    assert found.offsets.tolist() == [0, 2, 3, 6]
    assert len(found) == 3
    for number, captions in enumerate(CAPTIONS):
        assert found.of(number).tolist() == [[len(text), ord(text[0])] for text in captions]
    assert encoder.asked == [["a", "b two", "c three", "ü"]]


def test_minilm_through_the_cache_gives_what_it_gives_alone(tmp_path: Path) -> None:
    encoder = find_encoder("minilm")
    captions = [["a red circle", "the circle is red"], ["赤い円"]]
    found = embed(captions, encoder, DataOptions(cache=tmp_path))
    assert torch.equal(found.vectors, torch.cat([encoder.encode([text]) for row in captions for text in row]))
    assert [path.name for path in (tmp_path / "text").iterdir()] == [encoder.hash]
    again = embed(captions, Encoder("elsewhere", encoder.folder), DataOptions(cache=tmp_path))
    assert torch.equal(again.vectors, found.vectors)


def test_they_are_computed_once_and_what_was_done_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 2)
    options, told = DataOptions(cache=tmp_path), list[tuple[int, int]]()
    first = Counting()

    def interrupted(what: str, done: int, total: int) -> None:
        told.append((done, total))
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed(CAPTIONS, first, options, interrupted)
    assert told == [(2, 4), (4, 4)]
    second = Counting()
    found = embed(CAPTIONS, second, options)
    assert second.asked == [["c three", "ü"]]
    third = Counting()
    assert torch.equal(embed(CAPTIONS, third, options).vectors, found.vectors)
    assert third.asked == []
    other = Counting()
    other.hash = "d" * 64
    embed(CAPTIONS, other, options)
    assert len(other.asked) == 2


@pytest.mark.parametrize("damage", ["cut", "changed", "empty"])
def test_a_damaged_file_of_the_cache_is_made_anew(damage: str, tmp_path: Path) -> None:
    options = DataOptions(cache=tmp_path)
    whole = embed(CAPTIONS, Counting(), options)
    [path] = (tmp_path / "text" / Counting().hash).glob("*.safetensors")
    data = bytearray(path.read_bytes())
    if damage == "changed":
        data[-3] ^= 64  # of a number
    path.write_bytes({"cut": data[:-8], "changed": data, "empty": b""}[damage])
    again = Counting()
    assert torch.equal(embed(CAPTIONS, again, options).vectors, whole.vectors)
    assert len(again.asked) == 1


def test_empty_captions_and_a_cache_that_cannot_be_written_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a caption of picture 1 is empty"):
        embed([["a"], [" "]], Counting(), DataOptions(cache=tmp_path))
    with pytest.raises(UserError, match="no captions"):
        embed([[], []], Counting(), DataOptions(cache=tmp_path))
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(UserError, match="Cannot write"):
        embed(CAPTIONS, Counting(), DataOptions(cache=blocked))


NAMES = ["a.png", "birds/b.png"]


def test_precomputed_arrays_are_read_as_numpy_wrote_them(tmp_path: Path) -> None:
    flat = np.arange(6, dtype=np.float64).reshape(2, 3)
    np.save(tmp_path / "flat.npy", flat)
    found = read_embeddings(tmp_path / "flat.npy", NAMES)
    assert (found.vectors.tolist(), found.offsets.tolist()) == (flat.tolist(), [0, 1, 2])
    assert found.vectors.dtype == torch.float32
    several = np.arange(24, dtype=np.float16).reshape(2, 4, 3)[:, ::-1]  # not contiguous
    np.save(tmp_path / "several.npy", several)
    found = read_embeddings(tmp_path / "several.npy", NAMES)
    assert found.offsets.tolist() == [0, 4, 8]
    assert found.of(1).tolist() == several[1].tolist()
    save_file({"embeddings": torch.from_numpy(several.copy())}, tmp_path / "whole.safetensors")
    assert torch.equal(read_embeddings(tmp_path / "whole.safetensors", NAMES).vectors, found.vectors)


def test_tensors_named_by_pictures_are_read_in_their_order(tmp_path: Path) -> None:
    tensors = {"birds/b.png": torch.arange(6.0).view(2, 3), "a.png": torch.full((3,), 9.0), "more.png": torch.zeros(3)}
    save_file(tensors, tmp_path / "named.safetensors")
    found = read_embeddings(tmp_path / "named.safetensors", NAMES)
    assert found.offsets.tolist() == [0, 1, 3]
    assert found.vectors.tolist() == [[9, 9, 9], [0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (np.zeros((3, 4)), "vectors of 3 pictures, and the data has 2"),
        (np.zeros(4), r"\(N, E\) is wanted"),
        (np.zeros((2, 0)), r"\(N, E\) is wanted"),
        (np.full((2, 4), np.nan), "not finite"),
        (np.array(["a", "b"]), "not numbers"),
        (np.array([{}, 1], dtype=object), "no .npy file"),
        ({"a.png": torch.zeros(3)}, r"no vector of 1 of 2 pictures, such as birds/b\.png"),
        ({"a.png": torch.zeros(3), "birds/b.png": torch.zeros(4)}, r"birds/b\.png has 4 numbers, and a\.png 3"),
        ({"a.png": torch.zeros(3), "birds/b.png": torch.zeros(2, 2, 3)}, r"\(E,\) is wanted"),
        ({}, "no vector of 2 of 2"),
        (b"nonsense", "no .npy file"),
        (None, "No such file"),
    ],
)
def test_a_file_that_does_not_go_with_the_pictures_is_one_line(content: object, reason: str, tmp_path: Path) -> None:
    path = tmp_path / ("file.safetensors" if isinstance(content, dict) else "file.npy")
    if isinstance(content, dict):
        save_file(content, path)
    elif isinstance(content, np.ndarray):
        np.save(path, content, allow_pickle=True)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(UserError, match=reason) as error:
        read_embeddings(path, NAMES)
    assert "\n" not in str(error.value)
    assert path.name in str(error.value)


def test_a_file_never_runs_code_and_has_a_known_ending(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "made"),)

    np.save(tmp_path / "evil.npy", np.array([Evil(), Evil()], dtype=object), allow_pickle=True)
    with pytest.raises(UserError):
        read_embeddings(tmp_path / "evil.npy", NAMES)
    assert not (tmp_path / "made").exists()
    with pytest.raises(UserError, match=r"\.npy or \.safetensors"):
        read_embeddings(tmp_path / "vectors.pt", NAMES)


def test_rows_to_sample_from(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.arange(6.0).reshape(2, 3))
    assert read_vectors(tmp_path / "rows.npy").tolist() == [[0, 1, 2], [3, 4, 5]]
    np.save(tmp_path / "one.npy", np.arange(3.0))
    assert read_vectors(tmp_path / "one.npy").tolist() == [[0, 1, 2]]
    np.save(tmp_path / "deep.npy", np.zeros((2, 2, 2)))
    with pytest.raises(UserError, match="a row for each caption"):
        read_vectors(tmp_path / "deep.npy")
