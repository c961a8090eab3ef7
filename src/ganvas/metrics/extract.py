"""Features of many pictures, and keeping them on disk so that the data's are computed once."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from jaxtyping import UInt8
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ganvas.engine.distributed import Ranks
from ganvas.engine.files import write_atomically
from ganvas.errors import UserError
from ganvas.metrics.networks import FeatureNetwork, Features


def extract(
    network: FeatureNetwork,
    batches: Iterable[UInt8[Tensor, "_B _H _W _C"]],
    *,
    progress: Callable[[int], None] | None = None,
) -> Features:
    """Features of all pictures, in their order.

    Args:
        network: What to extract them with.
        batches: Pictures, gray or RGB; how they are cut into batches does not matter.
        progress: Called after each batch with the number of pictures done.

    Raises:
        UserError: If features are not finite.
    """
    vectors = [torch.empty(0, network.dimensions)]
    probabilities = [torch.empty(0, network.classes)]
    done = 0
    for images in batches:
        found = network.features(images)
        done += len(found)
        vectors.append(found.vectors)
        if found.probabilities is not None:
            probabilities.append(found.probabilities)
        if not all(bool(torch.isfinite(parts[-1]).all()) for parts in (vectors, probabilities)):
            raise UserError(
                f"the feature network {network.name} gives numbers that are not finite for a picture among the first "
                f"{done}: choose --precision fp32, or another network"
            )
        if progress:
            progress(done)
    return Features(torch.cat(vectors), torch.cat(probabilities) if network.classes else None)


def cached(
    folder: Path, key: Mapping[str, Any], compute: Callable[[], Features], ranks: Ranks | None = None
) -> Features:
    """Features from `folder` if they are there, else computed and kept there.

    A damaged file is written anew. Where nothing can be written, nothing is kept.

    Args:
        folder: Holds one safetensors file a key, named by the SHA-256 of the key.
        key: All that determines the features, JSON values: data, which pictures, protocol.
        compute: Computes them; called in all processes or in none.
        ranks: This process among those that call this together; alone by default.
    """
    ranks = ranks or Ranks()
    text = json.dumps(key, sort_keys=True, separators=(",", ":"), allow_nan=False)
    path = folder / f"{hashlib.sha256(text.encode()).hexdigest()}.safetensors"
    found = _read(path, text)
    lacking = ranks.any(found is None)
    if found is None or lacking:
        found = compute()
        if ranks.first:
            with contextlib.suppress(OSError):
                folder.mkdir(parents=True, exist_ok=True)
                write_atomically(path, _encode(found, text))
    return found


def _encode(features: Features, key: str) -> bytes:
    tensors = {"vectors": features.vectors.contiguous()}
    if features.probabilities is not None:
        tensors["probabilities"] = features.probabilities.contiguous()
    return safetensors.torch.save(tensors, {"key": key, "sha256": _digest(tensors)})


def _read(path: Path, key: str) -> Features | None:
    """The features in a file; None unless it is there, whole, and of this key."""
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a mapping)
    except (OSError, SafetensorError):
        return None
    if about.get("key") != key or about.get("sha256") != _digest(tensors):
        return None
    return Features(tensors["vectors"], tensors.get("probabilities"))


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of the tensors' names and bytes: safetensors itself does not notice changed numbers."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].numpy().data)
    return digest.hexdigest()
