"""Batches of training pictures: chosen, cut and mirrored as whole batches, on the device."""

from __future__ import annotations

import functools
import hashlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from numpy.typing import NDArray
from torch import Tensor

from ganvas.data.options import DataOptions
from ganvas.data.resizing import continued
from ganvas.data.store import Prepared
from ganvas.errors import UserError

DEVICE_SHARE = 0.4
"""Of the accelerator's free memory: the most that the pictures may take."""


def to_float(images: UInt8[Tensor, "B H W C"]) -> Float[Tensor, "B C H W"]:
    """Bytes to [-1, 1]: 0 becomes exactly -1 and 255 exactly 1. The result is channels-last in memory."""
    return images.permute(0, 3, 1, 2).to(torch.float32).div_(127.5).sub_(1.0)


def mirror(images: UInt8[Tensor, "B H W C"], mask: Bool[Tensor, " B"]) -> UInt8[Tensor, "B H W C"]:
    """Left and right exchanged in the pictures that `mask` chooses."""
    return torch.where(mask[:, None, None, None], images.flip(2), images)


def cut(
    images: UInt8[Tensor, "B L L C"], top: Int64[Tensor, " B"], left: Int64[Tensor, " B"], size: int
) -> UInt8[Tensor, "B H W C"]:
    """A square of `size` pixels out of each picture, whose first row and column are `top` and `left`.

    Both are from 0 to L - size.
    """
    batch, side, _, channels = images.shape
    steps = torch.arange(size, device=images.device)
    # Rows first, as whole lines of L pixels: fast, and what is left to pick pixels from is smaller.
    lines = (torch.arange(batch, device=images.device) * side + top)[:, None] + steps
    rows = images.reshape(batch * side, side * channels).index_select(0, lines.flatten())
    columns = (left[:, None] * channels + torch.arange(size * channels, device=images.device))[:, None, :]
    rows = rows.view(batch, size, side * channels)
    return rows.gather(2, columns.expand(batch, size, size * channels)).view(batch, size, size, channels)


def share(batch: int, rank: int, world: int) -> slice:
    """Which part of a batch is a rank's.

    Raises:
        UserError: It cannot be divided among the ranks.
    """
    if batch < 1 or batch % world:
        raise UserError(f"A batch of {batch} cannot be divided among {world} processes; use a multiple of {world}.")
    return slice(rank * batch // world, (rank + 1) * batch // world)


def stream(seed: int, use: str, *numbers: int) -> np.random.Generator:
    """Random numbers that depend on the arguments alone, the same on every machine."""
    # A hash, so that neighbouring numbers give unrelated streams and any integers are good.
    text = " ".join([use, str(seed), *map(str, numbers)])
    return np.random.Generator(np.random.Philox(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")))


@dataclass(frozen=True)
class Drawn:
    """What is done to the pictures of a whole batch.

    Attributes:
        mask: (batch,), which are mirrored; for pictures that are not mirrored at all it says nothing.
        top: (batch,) int64, first row of the square that is cut out of each prepared picture.
        left: (batch,) int64, its first column.
    """

    mask: NDArray[np.bool_]
    top: NDArray[np.int64]
    left: NDArray[np.int64]


class Sampler:
    """Draws batches from prepared data.

    A batch is a function of (seed, step, draw, attempt) alone, so a resumed run needs no state, and it is
    drawn as a whole before a rank takes its part, so several ranks together see what one would. Every epoch
    shows every picture once, in a new order; batches run on across the border of an epoch.

    With `balance` each class has epochs of its own, and every batch has as many pictures of one class as of another,
    or one more. Which classes have one more goes round: with K classes, K / gcd(batch, K) batches make a cycle in
    which all are equally often drawn.
    """

    keys: frozenset[str]
    """The keys of a batch."""

    def __init__(
        self,
        data: Prepared,
        *,
        batch: int,
        seed: int,
        options: DataOptions,
        device: torch.device | str,
        size: int,
        rank: int = 0,
        world: int = 1,
        rows: NDArray[np.int64] | None = None,
        margin: int = 0,
        unit: int = 1,
    ):
        """Put the pictures on the device, if they fit there.

        Args:
            data: Prepared pictures, at least `size` pixels wide.
            batch: Pictures in a batch, all ranks together.
            seed: Seed of the run.
            options: `flip` and `balance` are used; larger pictures than `size` are cut at random.
            device: Where batches are wanted.
            size: Side of the pictures of a batch, in pixels.
            rank: Which part of each batch to return.
            world: In how many parts it is cut.
            rows: Positions of the pictures to draw from; None for all of them, in their order.
            margin: Pixels that a square is drawn with more on each side. Pictures too small for that are continued
                symmetrically.
            unit: Squares begin at multiples of this, in pixels.

        Raises:
            UserError: There are fewer pictures than a batch holds, or they are too small, the batch cannot be
                divided among the ranks, or classes are to be balanced where there are none.
        """
        self.count = len(data) if rows is None else len(rows)
        if self.count < batch:
            raise UserError(
                f"{data.source} holds {self.count} usable pictures, fewer than a batch of {batch}; "
                f"use --batch {self.count} or less."
            )
        self.part = share(batch, rank, world)
        if data.images.shape[1] < size:
            raise UserError(f"{data.source} is prepared at {data.images.shape[1]} pixels, smaller than {size}.")
        if options.balance and data.labels is None:
            why = f" ({data.unlabelled})" if data.unlabelled else ""
            raise UserError(
                f"--balance draws classes equally often, and {data.source} has no labels{why}; leave it out."
            )
        self.device = torch.device(device)
        self.keys = data.keys()
        self.global_batch, self.seed, self.size = batch, seed, size
        self.flip, self.rows, self.unit = options.flip, rows, unit
        self.side = size + 2 * margin
        self.border = margin if data.images.shape[1] < self.side else 0
        # Mapped again, copy-on-write: PyTorch wants memory that could be written. Ranks still share it.
        pixels = torch.from_numpy(np.load(data.path / "images.npy", mmap_mode="c"))
        self.images = pixels.to(self.device) if fits(pixels, self.device) else pixels
        self.labels = None if data.labels is None else torch.from_numpy(data.labels).to(self.device)
        self.members: list[NDArray[np.int64]] = []
        if options.balance and data.labels is not None:
            labels = data.labels if rows is None else data.labels[rows]
            self.members = [np.flatnonzero(labels == label) for label in np.unique(labels).tolist()]
        # Eight epochs of everything, whether that is one permutation each or one for each class.
        self._order = functools.lru_cache(maxsize=8 * max(1, len(self.members)))(self._permutation)

    def batch(self, step: int, draw: int = 0, attempt: int = 0) -> dict[str, Tensor]:
        """This rank's part of a batch.

        Args:
            step: Of training, from 0.
            draw: Which batch of the step; each number is a stream of its own.
            attempt: Counts repetitions of a step that failed; each is a stream of its own.

        Returns:
            `image`: (b, C, size, size) float32 in [-1, 1], channels-last in memory, b = batch / world; with a margin
                that much larger.
            `label`: (b,) int64, where there are labels.
        """
        return self.pictures(self.indices(step, draw, attempt), self.squares(step, draw, attempt))

    @property
    def slack(self) -> int:
        """How many pixels there are beyond the square that is cut out of a picture."""
        return self.images.shape[1] + 2 * self.border - self.side

    def squares(self, step: int, draw: int = 0, attempt: int = 0) -> Drawn:
        """Where the whole batch is cut and which pictures are mirrored."""
        random = stream(self.seed, "augment", draw, attempt, step)
        # For the whole batch, and whether used or not, so that one option does not change what another draws.
        mask = random.random(self.global_batch) < 0.5
        top = self.unit * random.integers(0, self.slack // self.unit + 1, self.global_batch)
        left = self.unit * random.integers(0, self.slack // self.unit + 1, self.global_batch)
        return Drawn(mask, top, left)

    def pictures(self, index: NDArray[np.int64], drawn: Drawn) -> dict[str, Tensor]:
        """This rank's part of a batch of given pictures; see `batch`.

        Args:
            index: (batch,), positions in the data.
            drawn: What is done to them.
        """
        chosen = self._put(index[self.part])
        images = self.images.index_select(0, chosen.to(self.images.device))
        if self.images.device != self.device:
            if self.device.type == "cuda":
                images = images.pin_memory()
            images = images.to(self.device, non_blocking=True)
        if self.border:
            images = continued(images.permute(0, 3, 1, 2), self.border).permute(0, 2, 3, 1).contiguous()
        if self.slack:
            images = cut(images, self._put(drawn.top[self.part]), self._put(drawn.left[self.part]), self.side)
        if self.flip:
            images = mirror(images, self._put(drawn.mask[self.part]))
        batch = {"image": to_float(images)}
        if self.labels is not None:
            batch["label"] = self.labels.index_select(0, chosen)
        return batch

    def indices(self, step: int, draw: int = 0, attempt: int = 0) -> NDArray[np.int64]:
        """Which pictures the whole batch holds: (batch,), positions in the data."""
        index = self._balanced(step, draw, attempt) if self.members else self._in_turn(step, draw, attempt)
        return index if self.rows is None else self.rows[index]

    def _in_turn(self, step: int, draw: int, attempt: int) -> NDArray[np.int64]:
        """The batch's positions among the pictures to draw from."""
        epoch, offset = divmod(step * self.global_batch, self.count)
        index = self._order(draw, attempt, epoch)[offset : offset + self.global_batch]
        missing = self.global_batch - len(index)
        if missing:
            index = np.concatenate([index, self._order(draw, attempt, epoch + 1)[:missing]])
        return index

    def _balanced(self, step: int, draw: int, attempt: int) -> NDArray[np.int64]:
        """The same with classes equally often.

        A cycle is the least number of pictures that both whole batches and whole rounds of all classes fill. Its
        rounds have the classes in the same order, so any batch holds each of them equally often up to one.
        """
        classes = len(self.members)
        rounds = self.global_batch // math.gcd(self.global_batch, classes)
        cycle, start = divmod(step * self.global_batch, rounds * classes)
        places = np.arange(start, start + self.global_batch)
        labels = stream(self.seed, "classes", draw, attempt, cycle).permutation(classes)[places % classes]
        # How many of its class were drawn before each, from step 0 on, says where in the class's epochs it is.
        before = cycle * rounds + places // classes
        index = np.empty(self.global_batch, np.int64)
        for label in np.unique(labels).tolist():
            members, mine = self.members[label], labels == label
            epochs, offsets = np.divmod(before[mine], len(members))
            first = int(epochs[0])
            orders = [self._order(draw, attempt, epoch, label) for epoch in range(first, int(epochs[-1]) + 1)]
            index[mine] = members[np.stack(orders)[epochs - first, offsets]]
        return index

    def _permutation(self, draw: int, attempt: int, epoch: int, *label: int) -> NDArray[np.int64]:
        count = len(self.members[label[0]]) if label else self.count
        return stream(self.seed, "order", draw, attempt, epoch, *label).permutation(count)

    def _put(self, values: NDArray[Any]) -> Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(values))
        if self.device.type == "cuda":
            # From pinned memory the copy does not make the host wait for the device.
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor.to(self.device)


def fits(pixels: Tensor, device: torch.device) -> bool:
    """Whether a tensor should be copied to a device, and leaves room there for a network."""
    if device.type == "cpu":
        return False  # the memory map is the processor's memory already
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return pixels.nbytes <= DEVICE_SHARE * free
    return pixels.nbytes <= 2 * 2**30  # an accelerator that does not say what is free
