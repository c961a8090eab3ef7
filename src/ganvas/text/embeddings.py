"""Vectors of the captions of data: computed once and kept in the cache, or read from a user's file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from jaxtyping import Float, Int
from safetensors.torch import load, save
from torch import Tensor

from ganvas.data.cache import cache_errors, locked
from ganvas.data.options import DataOptions, cache_folder
from ganvas.data.source import Progress
from ganvas.engine.files import write_atomically
from ganvas.errors import UserError
from ganvas.text.encoders import Encoder, refuse_blank

BLOCK = 4096
"""Different captions in a file of the cache: what is done stays done when the rest is interrupted."""

WHOLE = "embeddings"
"""Name of the one tensor of a .safetensors file that is laid out as a .npy file is."""


@dataclass(frozen=True)
class Embeddings:
    """The vectors of the captions of N pictures, those of a picture next to each other.

    Attributes:
        vectors: One a caption, S in all, float32 on the CPU.
        offsets: Picture i has rows `offsets[i]` up to, not with, `offsets[i + 1]`; M = N + 1.
    """

    vectors: Float[Tensor, "S E"]
    offsets: Int[Tensor, " M"]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def of(self, picture: int) -> Float[Tensor, "T E"]:
        """The vectors of one picture."""
        return self.vectors[self.offsets[picture] : self.offsets[picture + 1]]


def embed(
    texts: Sequence[Sequence[str]], encoder: Encoder, options: DataOptions, progress: Progress | None = None
) -> Embeddings:
    """The vectors of captions, from the cache as far as they have been computed before.

    They are kept in `text/HASH OF THE ENCODER/` in the folder of the cache. A file there that is damaged is made anew.

    Args:
        texts: The captions of each picture, one or more; the same text is encoded once, whichever pictures have it.
        encoder: What reads them.
        options: Where the cache is.
        progress: Told how many of the different captions are done.

    Raises:
        UserError: If a caption is empty or no text, or the cache cannot be written.
    """
    for number, captions in enumerate(texts):
        for text in captions:
            refuse_blank(text, f"a caption of picture {number}")
    distinct = sorted({text for captions in texts for text in captions})
    if not distinct:
        raise UserError("there are no captions to encode")
    folder = cache_folder(options) / "text" / encoder.hash
    parts = []
    with cache_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for start in range(0, len(distinct), BLOCK):
            block = distinct[start : start + BLOCK]

            def report(what: str, done: int, total: int, start: int = start) -> None:
                if progress is not None:
                    progress(what, start + done, len(distinct))

            parts.append(_block(folder, block, encoder, report))
    vectors = torch.cat(parts)
    row = {text: place for place, text in enumerate(distinct)}
    rows = torch.tensor([row[text] for captions in texts for text in captions])
    return Embeddings(vectors[rows], _offsets([len(captions) for captions in texts]))


def _block(folder: Path, texts: list[str], encoder: Encoder, progress: Progress) -> Float[Tensor, "B E"]:
    """The vectors of some captions, kept under the hash of their texts."""
    digest = hashlib.sha256()
    for text in texts:
        data = text.encode()
        digest.update(len(data).to_bytes(8, "little") + data)
    path = folder / f"{digest.hexdigest()}.safetensors"
    # Of several processes that start together (torchrun), one does the work and the others wait for it.
    with locked(path.with_suffix(".lock")):
        if (vectors := _kept(path, len(texts))) is None:
            vectors = encoder.encode(texts, progress)
            write_atomically(path, save({"vectors": vectors, "checksum": _checksum(vectors)}))
    return vectors


def _kept(path: Path, count: int) -> Tensor | None:
    """What a file of the cache holds, if it is there and whole."""
    try:
        found = load(path.read_bytes())
        vectors = found["vectors"]
        if len(vectors) == count and torch.equal(_checksum(vectors), found["checksum"]):
            return vectors
    except (OSError, KeyError, safetensors.SafetensorError):
        pass
    return None


def _checksum(vectors: Tensor) -> Tensor:
    return torch.tensor(list(hashlib.sha256(vectors.numpy().tobytes()).digest()), dtype=torch.uint8)


def _offsets(counts: Sequence[int]) -> Int[Tensor, " M"]:
    return torch.tensor([0, *counts]).cumsum(0)


def read_embeddings(path: str | Path, names: Sequence[str]) -> Embeddings:
    """Vectors that a user has computed.

    Args:
        path: A `.npy` file (N, E) or (N, T, E) in the order of the pictures; a `.safetensors` file with one tensor
            `embeddings` like that; or one with a tensor (E,) or (T, E) for each picture, named by the picture's file
            name. T is the number of a picture's captions. Further tensors in the latter do no harm.
        names: Those of the pictures, in order.

    Raises:
        UserError: If it is no such file, or does not go with these pictures.
    """
    path = Path(path)
    whole, named = _read(path)
    if whole is not None:
        if whole.ndim not in (2, 3) or 0 in whole.shape[1:]:
            raise UserError(f"{path} holds an array {tuple(whole.shape)}: (N, E) is wanted, or (N, T, E)")
        if len(whole) != len(names):
            raise UserError(
                f"{path} has vectors of {len(whole)} pictures, and the data has {len(names)}: one row a "
                "picture is wanted, in their order"
            )
        vectors = _checked(path, whole, "it")
        counts = [1 if vectors.ndim == 2 else vectors.shape[1]] * len(names)
        return Embeddings(vectors.flatten(0, -2), _offsets(counts))
    if missing := [name for name in names if name not in named]:
        raise UserError(
            f"{path} has no vector of {len(missing)} of {len(names)} pictures, such as {missing[0]}: its tensors are "
            f"named by the pictures' file names, and the first is {min(named, default='nowhere')}"
        )
    parts = []
    for name in names:
        tensor = named[name]
        if tensor.ndim not in (1, 2) or 0 in tensor.shape:
            raise UserError(f"{path}: {name} has a tensor {tuple(tensor.shape)}: (E,) is wanted, or (T, E)")
        parts.append(_checked(path, tensor, name).reshape(-1, tensor.shape[-1]))
        if parts[-1].shape[1] != parts[0].shape[1]:
            raise UserError(f"{path}: {name} has {parts[-1].shape[1]} numbers, and {names[0]} {parts[0].shape[1]}")
    return Embeddings(torch.cat(parts), _offsets([len(part) for part in parts]))


def read_vectors(path: str | Path) -> Float[Tensor, "N E"]:
    """Vectors to sample from: the rows of a `.npy` file, or of a tensor `embeddings` of a `.safetensors` file.

    Raises:
        UserError: If it is no such file.
    """
    path = Path(path)
    whole, _ = _read(path)
    if whole is None or whole.ndim not in (1, 2) or not whole.numel():
        shape = "no such array" if whole is None else f"an array {tuple(whole.shape)}"
        raise UserError(f"{path} holds {shape}: (N, E) is wanted, a row for each caption")
    return _checked(path, whole, "it").reshape(-1, whole.shape[-1])


def _read(path: Path) -> tuple[Tensor | None, dict[str, Tensor]]:
    """The one tensor of a file, or else all by their names.

    Raises:
        UserError: It cannot be read.
    """
    kind = path.suffix.lower()
    if kind not in (".npy", ".safetensors"):
        raise UserError(f"embeddings come in a .npy or .safetensors file, not {path}")
    try:
        if kind == ".npy":
            array: Any = np.load(path, allow_pickle=False)
            if array.dtype.kind not in "fiu":
                raise UserError(f"{path} holds {array.dtype}, not numbers")
            return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)), {}
        named = load(path.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, EOFError, safetensors.SafetensorError) as error:
        raise UserError(f"{path} is no {kind} file, or a damaged one") from error
    return (named[WHOLE], {}) if [*named] == [WHOLE] else (None, named)


def _checked(path: Path, tensor: Tensor, what: str) -> Tensor:
    """Its numbers as float32.

    Raises:
        UserError: Some are not finite.
    """
    tensor = tensor.float()
    if not tensor.isfinite().all():
        raise UserError(f"{path}: {what} has numbers that are not finite")
    return tensor
