"""What a feature network is: pictures in, vectors and class probabilities out, whatever batches they come in."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from ganvas.engine.precision import autocast

RESIZE = "bicubic, antialiased (a = -0.5, as Pillow), to a square, not rounded, cut to [0, 255]"
"""What `resize` does, for protocols."""


@dataclass(frozen=True)
class Features:
    """What a network says of pictures, on the CPU.

    Attributes:
        vectors: float32 (B, D).
        probabilities: float32 (B, K), each row of sum 1; None from a network that knows no classes.
    """

    vectors: Float[Tensor, "B D"]
    probabilities: Float[Tensor, "B K"] | None = None

    def __len__(self) -> int:
        return len(self.vectors)


@dataclass(frozen=True, kw_only=True)
class FeatureNetwork:
    """A network with fixed weights, and all that a score must say about it.

    It always sees `chunk` pictures at a time, the last ones filled up: libraries choose other kernels for other
    batch sizes, so only then are a picture's features the same bits whichever pictures come with it.

    Attributes:
        name: As in the score's name, `fd_NAME`.
        dimensions: D, numbers in a vector.
        classes: K, 0 if it gives no probabilities.
        size: Side in pixels of the square that pictures are resized to.
        resize: How they are resized, in words.
        normalisation: What is done to RGB values after that, in words.
        weights: SHA-256 of the file of the weights.
        device: Where it computes.
        precision: Number format of its layers; what comes out is float32.
        chunk: Pictures that it sees at a time.
        prepare: (chunk, H, W, 3) uint8 on the device -> the input of `forward`.
        forward: That input -> (chunk, D) vectors and (chunk, K) logits or None.
        maps: That input -> feature maps, (chunk, C, h, w) each; None where the network has none.
    """

    name: str
    dimensions: int
    classes: int
    size: int
    resize: str
    normalisation: str
    weights: str
    device: torch.device
    precision: Literal["fp32", "bf16"]
    chunk: int
    prepare: Callable[[Tensor], Tensor]
    forward: Callable[[Tensor], tuple[Tensor, Tensor | None]]
    maps: Callable[[Tensor], list[Tensor]] | None = None

    @property
    def protocol(self) -> dict[str, Any]:
        """All that determines the features of a picture, as JSON values."""
        return {
            "network": self.name,
            "size": self.size,
            "resize": self.resize,
            "normalisation": self.normalisation,
            "weights": self.weights,
            "dtype": {"fp32": "float32", "bf16": "bfloat16"}[self.precision],
        }

    def features(self, images: UInt8[Tensor, "B H W C"]) -> Features:
        """The vectors, and where there are any the probabilities, of pictures.

        Args:
            images: Gray (one channel, which is repeated) or RGB, on any device.

        Raises:
            ValueError: If `images` are not such.
        """

        def outputs(inputs: Tensor) -> list[Tensor]:
            vectors, logits = self.forward(inputs)
            return [vectors.float()] if logits is None else [vectors.float(), logits.float().softmax(1)]

        parts = self._in_chunks(images, outputs, torch.device("cpu"))
        if not parts:
            parts = [torch.empty(0, self.dimensions), *([torch.empty(0, self.classes)] if self.classes else [])]
        return Features(*parts)

    def stages(self, images: UInt8[Tensor, "B H W C"]) -> list[Float[Tensor, "B _C _H _W"]]:
        """Feature maps of several depths, fine to coarse, for distances between pictures such as LPIPS.

        Args:
            images: As for `features`.

        Returns:
            float32 on the network's device; an empty list where the network has none.

        Raises:
            ValueError: As `features` does.
        """
        return [] if self.maps is None else self._in_chunks(images, self.maps, self.device)

    def _in_chunks(
        self, images: Tensor, function: Callable[[Tensor], list[Tensor]], device: torch.device
    ) -> list[Tensor]:
        """What `function` gives for all pictures, put together as float32 on `device`."""
        if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[3] not in (1, 3):
            raise ValueError(f"pictures are uint8 (B, H, W, 1 or 3), not {images.dtype} {tuple(images.shape)}")
        found = []
        with torch.no_grad(), repeatable(self.device):
            for start in range(0, len(images), self.chunk):
                part = images[start : start + self.chunk]
                full = torch.cat([part, part[-1:].expand(self.chunk - len(part), -1, -1, -1)])
                inputs = self.prepare(full.to(self.device).expand(-1, -1, -1, 3))
                with autocast(self.precision, self.device):
                    results = function(inputs)
                found.append([result[: len(part)].float().to(device) for result in results])
        return [torch.cat(parts) for parts in zip(*found, strict=True)]


def repeatable(device: torch.device) -> AbstractContextManager[object]:
    """On CUDA, fp32 convolutions in fp32 (the default there is TF32, 10 bits), by one and the same algorithm."""
    if device.type != "cuda":
        return nullcontext()
    return torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False, fp32_precision="ieee"
    )


def chunk_size(device: torch.device, cpu: int) -> int:
    """Pictures at a time: `cpu` on a processor, where large activations cost page faults; elsewhere 32."""
    return cpu if device.type == "cpu" else 32


def resize(images: UInt8[Tensor, "B H W C"], side: int) -> Float[Tensor, "B C side side"]:
    """Resizes to a square: see `RESIZE`. The proportions of a picture that is not square change.

    Args:
        images: Pictures.
        side: Of the square, in pixels.

    Returns:
        float32 from 0 to 255.
    """
    _, height, width, _ = images.shape
    planes = images.permute(0, 3, 1, 2).to(torch.float32)
    rows, columns = _resizing(height, side, images.device), _resizing(width, side, images.device)
    return (rows @ planes @ columns.T).clamp_(0, 255)


@functools.lru_cache(maxsize=32)
def _resizing(length: int, side: int, device: torch.device) -> Float[Tensor, "side length"]:
    """What the resize does along one dimension, as a matrix: two products are several times faster than the kernel."""
    identity = torch.eye(length)[None, None]
    return F.interpolate(identity, size=(side, length), mode="bicubic", antialias=True)[0, 0].to(device)
