"""Checkpoints: one file holds everything that a run needs to go on as if nothing had happened.

A checkpoint is a safetensors file, `step-00001000.safetensors`: tensors, and in its metadata a JSON text with
everything else and the SHA-256 of the file. Reading one never executes code.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor
from torch.optim import Optimizer

from ganvas.engine.ema import Average
from ganvas.engine.files import write_atomically
from ganvas.engine.system import System
from ganvas.errors import UserError

FORMAT = 1
MODEL = "model.safetensors"
"""Name of a file that holds nothing but networks ready to sample from, in the place of a run's checkpoints."""
_NO_DIGEST = "0" * 64
_NAME = re.compile(r"step-(\d{8,})\.safetensors")


@dataclass
class State:
    """All that changes while a run trains.

    Attributes:
        system: Networks and buffers.
        optimizers: One for each update's name.
        average: Averaged weights.
        step: Steps done.
        attempt: How often the run has gone back to a checkpoint; part of every seed, so that a retry differs.
        failures: Those times since the run last made progress.
        failed_at: The step at which it last failed, -1 if never.
    """

    system: System
    optimizers: dict[str, Optimizer]
    average: Average
    step: int = 0
    attempt: int = 0
    failures: int = 0
    failed_at: int = -1


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint read from disk and found whole.

    Attributes:
        path: The file.
        tensors: Every tensor, on the CPU, named `system.*`, `average.*` or `optimizer.*`.
        meta: Everything else, JSON types: `step`, `attempt`, `optimizers`, what the run says about itself.
        damaged: Newer files that were passed over, each with the reason.
    """

    path: Path
    tensors: dict[str, Tensor]
    meta: dict[str, Any]
    damaged: list[str] = field(default_factory=list)

    def weights(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose names start with `prefix` and a dot, without it."""
        cut = len(prefix) + 1
        return {name[cut:]: value for name, value in self.tensors.items() if name.startswith(prefix + ".")}

    def restore(self, state: State) -> None:
        """Puts everything back into `state`, in place.

        Raises:
            UserError: If the checkpoint is of other networks than those of `state`.
        """
        try:
            state.system.load_state_dict(self.weights("system"))
            averages = self.weights("average")
            for path, network in state.average.copies.items():
                network.load_state_dict(
                    {key.removeprefix(f"{path}."): averages[key] for key in averages if key.startswith(f"{path}.")}
                )
            for name, optimizer in state.optimizers.items():
                _restore_optimizer(optimizer, self.meta["optimizers"][name], self.weights(f"optimizer.{name}"))
        except (RuntimeError, KeyError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"{self.path} is of other networks than this run's: {reason}") from error
        for key in ("step", "attempt", "failures", "failed_at"):
            setattr(state, key, self.meta[key])


class Checkpoints:
    """The checkpoints of a run: the newest `keep`, and those protected by name."""

    def __init__(self, folder: Path, keep: int = 2) -> None:
        """Takes over a folder, which need not exist yet.

        Args:
            folder: Where the files are.
            keep: How many of the newest to keep.
        """
        self.folder = folder
        self.keep = keep

    def steps(self) -> list[int]:
        """Steps of the checkpoints that are there, oldest first."""
        names = self.folder.iterdir() if self.folder.is_dir() else ()
        return sorted(int(match[1]) for name in names if (match := _NAME.fullmatch(name.name)))

    def path(self, step: int) -> Path:
        """Where the checkpoint after `step` steps is or will be."""
        return self.folder / f"step-{step:08d}.safetensors"

    def save(self, state: State, about: Mapping[str, Any], protect: Collection[int] = ()) -> Path:
        """Writes a checkpoint, then removes those no longer kept.

        The file appears under its name only when all of it is on the disk; until then the one before stays.

        Args:
            state: What to write.
            about: What the run says about itself, JSON types.
            protect: Steps whose checkpoints stay however old they are, such as the best one's.

        Raises:
            OSError: If the disk is full or fails; nothing is lost then but this checkpoint.
        """
        tensors = {f"system.{key}": value for key, value in state.system.state_dict().items()}
        tensors |= {f"average.{key}": value for key, value in state.average.state_dict().items()}
        optimizers = {}
        for name, optimizer in state.optimizers.items():
            optimizers[name], of_optimizer = _pack_optimizer(optimizer)
            tensors |= {f"optimizer.{name}.{key}": value for key, value in of_optimizer.items()}
        meta = {
            **about,
            "format": FORMAT,
            "step": state.step,
            "attempt": state.attempt,
            "failures": state.failures,
            "failed_at": state.failed_at,
            "optimizers": optimizers,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.path(state.step)
        write_atomically(path, _encode(tensors, meta))
        kept = {*self.steps()[-self.keep :], *protect, state.step}
        for step in self.steps():
            if step not in kept:
                self.path(step).unlink(missing_ok=True)
        return path

    def load(self, step: int | None = None, parts: Collection[str] | None = None) -> Checkpoint:
        """The newest checkpoint that is whole, or the one after `step` steps.

        Args:
            step: Which one; None takes the newest, and passes over damaged ones.
            parts: Of `system`, `average` and `optimizer` those whose tensors are wanted; None for all. The
                optimisers' are most of a checkpoint.

        Raises:
            UserError: If there is none, or the one asked for is not there or not whole.
        """
        if step is not None and step not in self.steps():
            kept = ", ".join(map(str, self.steps())) or "none"
            raise UserError(f"there is no checkpoint of step {step} in {self.folder} (saved steps: {kept})")
        damaged: list[str] = []
        for candidate in reversed(self.steps()) if step is None else (step,):
            path = self.path(candidate)
            try:
                with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                    tensors, meta = _decode(data, parts)
            except (OSError, ValueError, SafetensorError) as error:
                damaged.append(f"{path.name}: {error}")
                continue
            if meta.get("format") != FORMAT:
                raise UserError(f"{path} was written by another version of ganvas, {meta.get('ganvas', '?')}")
            return Checkpoint(path, tensors, meta, damaged)
        if damaged:
            raise UserError(f"no checkpoint in {self.folder} is whole ({'; '.join(damaged)})")
        raise UserError(f"there is no checkpoint in {self.folder}")


def save_model(path: Path, tensors: Mapping[str, Tensor], step: int) -> None:
    """Writes networks that are ready to sample from.

    Args:
        path: The new file.
        tensors: `System.state_dict()` after `prepare_sampling`.
        step: Steps of training behind them.

    Raises:
        OSError: If it cannot be written.
    """
    write_atomically(path, _encode(dict(tensors), {"format": FORMAT, "step": step, "ready": True}))


def load_model(path: Path) -> Checkpoint:
    """Reads what `save_model` wrote.

    Raises:
        UserError: If it is not whole, or another kind of file.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            tensors, meta = _decode(data)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise UserError(f"cannot read {path}: {error}") from error
    if not isinstance(meta.get("step"), int) or not meta.get("ready"):
        raise UserError(f"{path} holds no networks of ganvas")
    return Checkpoint(path, {f"system.{name}": value for name, value in tensors.items()}, meta)


def _encode(tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> bytes:
    """A safetensors file whose metadata holds the file's own digest, taken while that read as zeros."""
    seen: set[int] = set()
    ready: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        value = tensor.detach().to("cpu").contiguous()
        if value.data_ptr() in seen:  # safetensors refuses tied weights: each gets a copy
            value = value.clone()
        seen.add(value.data_ptr())
        ready[name] = value
    data = safetensors.torch.save(ready, {"sha256": _NO_DIGEST, "meta": json.dumps(meta, allow_nan=True)})
    at = _digest_position(data)
    return b"".join((data[:at], hashlib.sha256(data).hexdigest().encode(), data[at + len(_NO_DIGEST) :]))


def _decode(data: bytes | mmap.mmap, parts: Collection[str] | None = None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and metadata of a file, if it is whole.

    Raises:
        ValueError: If the file is cut short, changed or no checkpoint.
    """
    at = _digest_position(data)
    whole = hashlib.sha256(data[:at])
    whole.update(_NO_DIGEST.encode())
    with memoryview(data) as view, view[at + len(_NO_DIGEST) :] as rest:
        whole.update(rest)
    if whole.hexdigest().encode() != data[at : at + len(_NO_DIGEST)]:
        raise ValueError("it is torn or damaged (its SHA-256 does not match)")
    if isinstance(data, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        data.madvise(mmap.MADV_DONTNEED)  # what was read for the digest need not stay in memory
    begin = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:begin])
    meta = header.pop("__metadata__")["meta"]
    tensors: dict[str, Tensor] = {}
    for name, entry in header.items():
        if parts is None or name.partition(".")[0] in parts:
            # One at a time, as a file of its own, so that nothing but the tensors is ever held.
            first, last = entry["data_offsets"]
            head = json.dumps({name: entry | {"data_offsets": [0, last - first]}}).encode()
            alone = len(head).to_bytes(8, "little") + head + data[begin + first : begin + last]
            tensors |= safetensors.torch.load(alone)
    return tensors, json.loads(meta)


def _digest_position(data: bytes | mmap.mmap) -> int:
    """Where the 64 digits of the digest start; only the header is searched."""
    header = data[8 : 8 + min(int.from_bytes(data[:8], "little"), len(data))]
    match = re.search(rb'"sha256":"([0-9a-f]{64})"', header)
    if match is None:
        raise ValueError("it is torn or damaged (it has no digest)")
    return 8 + match.start(1)


def _pack_optimizer(optimizer: Optimizer) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """An optimiser's state as JSON types and tensors; a tensor's place in the JSON reads {"tensor": NAME}."""
    state = optimizer.state_dict()
    tensors: dict[str, Tensor] = {}

    def pack(value: Any, name: str) -> Any:
        if not isinstance(value, Tensor):
            return value
        tensors[name] = value
        return {"tensor": name}

    return {
        "state": {
            str(index): {key: pack(value, f"{index}.{key}") for key, value in entries.items()}
            for index, entries in state["state"].items()
        },
        "groups": [
            {key: pack(value, f"group{number}.{key}") for key, value in group.items()}
            for number, group in enumerate(state["param_groups"])
        ],
    }, tensors


def _restore_optimizer(optimizer: Optimizer, packed: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Undoes `_pack_optimizer` into an optimiser of the same parameters."""

    def unpack(value: Any) -> Any:
        return tensors[value["tensor"]].clone() if isinstance(value, dict) and "tensor" in value else value

    groups = [{key: unpack(value) for key, value in group.items()} for group in packed["groups"]]
    for group, current in zip(groups, optimizer.param_groups, strict=True):
        for key, value in group.items():
            if isinstance(current.get(key), tuple) and isinstance(value, list):
                group[key] = tuple(value)  # JSON knows no tuples, and Adam's betas are one
    state = {
        int(index): {key: unpack(value) for key, value in entries.items()} for index, entries in packed["state"].items()
    }
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    # Fused kernels read a parameter and its state side by side: the state takes the parameter's memory order.
    for parameter, entries in optimizer.state.items():
        for key, value in entries.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape and value.dim() > 0:
                entries[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
