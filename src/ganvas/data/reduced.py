"""Photos and their small versions, which are made as batches are drawn: what super-resolution learns from.

A small version is the antialiased bicubic one of `ganvas.data.resizing`, stored with 8 bits. If asked for, the photo is
filtered with a Gaussian before that, and after it the small version is given noise and stored as a JPEG.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ganvas.data.options import DataOptions
from ganvas.data.resizing import REACH, as_stored, reduce
from ganvas.data.sampler import Sampler, share, stream, to_float
from ganvas.data.source import Problem
from ganvas.data.store import Prepared

TAIL = 4
"""Standard deviations to either side that a Gaussian filter is cut off at."""

BEST = 95
"""The highest quality of JPEG that is drawn; Pillow advises against more."""


@dataclass(frozen=True)
class Reduced:
    """Photos whose small versions are made as batches are drawn.

    Takes the place of `Prepared` in training.

    Attributes:
        photos: The large pictures.
        scale: How many times as high and wide they are as their small versions.
    """

    photos: Prepared
    scale: int

    labels = None
    unlabelled = "photos and their small versions have no classes"

    def __len__(self) -> int:
        return len(self.photos)

    def keys(self) -> frozenset[str]:
        """The keys of a batch drawn from it."""
        return ReducedSampler.keys

    @property
    def classes(self) -> list[str]:
        """None."""
        return []

    @property
    def pictures(self) -> Prepared:
        """The photos, which those that are made can be compared with."""
        return self.photos

    @property
    def name(self) -> str:
        """What the user called it."""
        return self.photos.source

    @property
    def amount(self) -> str:
        """How much there is of what, in words."""
        return self.photos.amount

    @property
    def licence(self) -> str | None:
        """The lines of attribution of the photos, or None."""
        return self.photos.licence

    @property
    def skipped(self) -> list[Problem]:
        """What could not be used, and why."""
        return self.photos.skipped

    @property
    def hash(self) -> str:
        """SHA-256 of the photos and of the scale."""
        return hashlib.sha256(json.dumps([self.photos.hash, self.scale]).encode()).hexdigest()

    def describe(self) -> dict[str, Any]:
        """What it is, as JSON values."""
        return self.photos.describe() | {
            "keys": sorted(self.keys()),
            "classes": self.classes,
            "hash": self.hash,
            "scale": self.scale,
        }

    def sampler(
        self,
        *,
        batch: int,
        seed: int,
        options: DataOptions,
        device: torch.device | str,
        size: int,
        rank: int = 0,
        world: int = 1,
    ) -> ReducedSampler:
        """What batches are drawn by: see `ReducedSampler`.

        Raises:
            UserError: As `ganvas.data.sampler.Sampler` does.
        """
        return ReducedSampler(
            self, batch=batch, seed=seed, options=options, device=device, size=size, rank=rank, world=world
        )


class ReducedSampler:
    """Draws batches of squares of photos and of their small versions: functions of (seed, step, draw, attempt) alone.

    A square is drawn with a margin as wide as filter and kernel reach, which is cut off in the end, so that its small
    version is the very part of the whole picture's. Pictures too small for that are continued symmetrically, as whole
    ones are.
    """

    keys = frozenset({"source", "image"})
    """The keys of a batch."""

    def __init__(
        self,
        data: Reduced,
        *,
        batch: int,
        seed: int,
        options: DataOptions,
        device: torch.device | str,
        size: int,
        rank: int = 0,
        world: int = 1,
    ):
        """Put the photos on the device, if they fit there.

        Args:
            data: Photos, at least `size` pixels wide.
            batch: Pairs in a batch, all ranks together.
            seed: Seed of the run.
            options: `flip`, `balance`, `blur`, `noise` and `jpeg` are used.
            device: Where batches are wanted.
            size: Side of the large pictures of a batch, in pixels, a multiple of the scale.
            rank: Which part of each batch to return.
            world: In how many parts it is cut.

        Raises:
            UserError: As `ganvas.data.sampler.Sampler` does.
        """
        self.scale, self.options, self.seed, self.global_batch = data.scale, options, seed, batch
        self.radius = math.ceil(TAIL * options.blur)
        self.margin = REACH * data.scale + self.radius
        self.photos = Sampler(
            data.photos, batch=batch, seed=seed, options=options, device=device, size=size, rank=rank, world=world,
            margin=self.margin,
        )  # fmt: skip
        self.part = share(batch, rank, world)

    def batch(self, step: int, draw: int = 0, attempt: int = 0) -> dict[str, Tensor]:
        """This rank's part of a batch.

        Args:
            step: Of training, from 0.
            draw: Which batch of the step; each number is a stream of its own.
            attempt: Counts repetitions of a step that failed; each is a stream of its own.

        Returns:
            `source`: (b, C, size / scale, size / scale) float32 in [-1, 1], of 256 levels, channels-last in memory,
                b = batch / world.
            `image`: (b, C, size, size), the same.
        """
        photos = self.photos.batch(step, draw, attempt)["image"]
        random = stream(self.seed, "degrade", draw, attempt, step)
        # For the whole batch, and whether used or not, so that one option does not change what another draws.
        sigma, deviation, quality = random.random((3, self.global_batch))

        soft = blurred(photos, self._put(self.options.blur * sigma), self.radius) if self.options.blur else photos
        small = inside(reduce(soft, self.scale), REACH)
        if self.options.noise:
            normal = random.standard_normal((self.global_batch, *small.shape[1:]))
            small = small + self._put(self.options.noise / 127.5 * deviation[:, None, None, None] * normal)
        small = as_stored(small)
        if lowest := self.options.jpeg:
            small = compressed(small, (lowest + quality[self.part] * (BEST + 1 - lowest)).astype(np.int64))
        pair = {"source": small, "image": inside(photos, self.margin)}
        return {key: images.contiguous(memory_format=torch.channels_last) for key, images in pair.items()}

    def _put(self, values: NDArray[np.floating[Any]]) -> Float32[Tensor, "b ..."]:
        """This rank's part of what was drawn for the batch."""
        return torch.from_numpy(values[self.part].astype(np.float32)).to(self.photos.device)


def inside(images: Float[Tensor, "B C H W"], margin: int) -> Float[Tensor, "B C h w"]:
    """Pictures without `margin` pixels on each side."""
    height, width = images.shape[2:]
    return images[:, :, margin : height - margin, margin : width - margin]


def blurred(images: Float[Tensor, "B C H W"], sigma: Float[Tensor, " B"], radius: int) -> Float[Tensor, "B C h w"]:
    """Pictures filtered with Gaussians, without the `radius` pixels on each side that something is missing from.

    Args:
        images: Any.
        sigma: The standard deviation for each, pixels; 0 is no filter.
        radius: Pixels that the filters reach to either side.
    """
    place = torch.arange(-radius, radius + 1, device=images.device)
    kernel = torch.exp(-(place**2) / (2 * sigma[:, None].clamp(min=1e-3) ** 2))
    kernel /= kernel.sum(1, keepdim=True)
    # Tap by tap: no convolution, which some devices compute with fewer digits, and which each device does in its way.
    for axis in (2, 3):
        length, whole = images.shape[axis] - 2 * radius, images
        images = torch.zeros_like(whole.narrow(axis, 0, length))
        for i, weight in enumerate(kernel.unbind(1)):
            images.addcmul_(weight[:, None, None, None], whole.narrow(axis, i, length))
    return images


def compressed(images: Float[Tensor, "B C h w"], quality: NDArray[np.int64]) -> Float[Tensor, "B C h w"]:
    """Pictures of 256 levels as they are once they were stored as JPEG, on the processor.

    Args:
        images: Gray or colour, in [-1, 1].
        quality: Pillow's, 1 to 95, for each.
    """
    pixels = images.add(1).mul(127.5).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    found = np.empty_like(pixels)
    for i, (picture, value) in enumerate(zip(pixels, quality.tolist(), strict=True)):
        file = io.BytesIO()
        Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture).save(file, "JPEG", quality=value)
        with Image.open(file) as stored:
            found[i] = np.asarray(stored).reshape(picture.shape)
    return to_float(torch.from_numpy(found).to(images.device))
