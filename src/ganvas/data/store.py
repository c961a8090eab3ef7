"""Prepared data on disk: a folder of two files.

    images.npy    uint8 (N, H, W, C), NumPy's own format, read as a memory map
    index.json    everything else, below

`index.json` holds `format` ("ganvas-prepared"), `version` (1), `source`, `shape`, `hash` (SHA-256 of pixels,
shape, labels and class names), `blocks` (CRC-32 of each 4 MiB of pixels), `names` (one for each picture),
`labels` (integers, or null), `classes`, `unlabelled` (why there are no labels; may be missing), `columns` (what
else is known, N values for each column), `sizes` (width and height of each picture as it was read, or null; may be
missing), `skipped` and `notes` (pairs of name and reason), `licence`, `options`, and `checksum` (SHA-256 of all the
rest, as JSON with sorted keys and no spaces).

It is written last, so a folder that has it is whole.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganvas.data.cache import write_text
from ganvas.data.options import DataOptions
from ganvas.data.source import Item, Problem, Progress, Source
from ganvas.data.squares import picture_of
from ganvas.errors import UserError

if TYPE_CHECKING:
    import torch

    from ganvas.data.sampler import Sampler

FORMAT, VERSION = "ganvas-prepared", 1
IMAGES, INDEX = "images.npy", "index.json"
BLOCK = 4 * 2**20
CHECKED_BLOCKS = 64
"""Blocks whose checksum is compared when data is opened: all of 256 MiB, an even choice of what is larger."""


class Damaged(Exception):
    """Prepared data that is not as it was written."""


@dataclass(frozen=True)
class Prepared:
    """Pictures of one size, ready to be sampled.

    Attributes:
        images: uint8 (N, H, W, C), a read-only memory map.
        labels: int64 (N,), or None.
        classes: Names of the labels; empty without labels.
        names: For each picture, its name in the source; a square cut out of one has its place behind that.
        hash: SHA-256 of shape, pixels, labels and class names: equal for equal data, wherever it came from.
        skipped: What could not be used, and why.
        notes: What is used, but not as it is in the file (the first frame of an animation).
        columns: What else is known about the pictures: for each column, N values, None where there is none. `bbox`
            and `keypoints` are in shares of the square: see `ganvas.data.places`.
        licence: A line of attribution that must go with what is made from the pictures, or None.
        source: What the user called the source.
        options: The options that determine the pixels.
        path: The folder that it is kept in.
        unlabelled: Why there are no labels, where one might think there are; else empty.
        sizes: int64 (N, 2), width and height of each picture as it was read, in pixels, before it was cut; None where
            not known.
    """

    images: np.memmap[Any, np.dtype[np.uint8]]
    labels: NDArray[np.int64] | None
    classes: list[str]
    names: list[str]
    hash: str
    skipped: list[Problem]
    notes: list[Problem]
    columns: dict[str, list[Any]]
    licence: str | None
    source: str
    options: dict[str, Any]
    path: Path
    unlabelled: str = ""
    sizes: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def keys(self) -> frozenset[str]:
        """The keys of a batch drawn from it."""
        return frozenset({"image"} if self.labels is None else {"image", "label"})

    @property
    def amount(self) -> str:
        """How much there is of what, in words."""
        if self.options.get("fit") == "tiles":
            pictures = len({*map(picture_of, self.names)})
            return f"{len(self)} squares of {pictures} picture" + "s" * (pictures != 1)
        return f"{len(self)} pictures"

    @property
    def pictures(self) -> Prepared:
        """Itself: the pictures that features can be taken of."""
        return self

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
        rows: NDArray[np.int64] | None = None,
        margin: int = 0,
        unit: int = 1,
    ) -> Sampler:
        """What batches are drawn by: see `ganvas.data.sampler.Sampler`.

        Raises:
            UserError: As there.
        """
        from ganvas.data.sampler import Sampler  # here, because it needs this class itself

        return Sampler(
            self, batch=batch, seed=seed, options=options, device=device, size=size, rank=rank, world=world, rows=rows,
            margin=margin, unit=unit,
        )  # fmt: skip

    def describe(self) -> dict[str, Any]:
        """What it is, as JSON values; without the pictures' own names and columns."""
        _, height, width, channels = self.images.shape
        return {
            "source": self.source,
            "count": len(self),
            "height": height,
            "width": width,
            "channels": channels,
            "keys": sorted(self.keys()),
            "classes": self.classes,
            "hash": self.hash,
            "skipped": len(self.skipped),
            "notes": len(self.notes),
            "columns": sorted(self.columns),
            "licence": self.licence,
            "options": self.options,
        }


@dataclass
class Writer:
    """Writes prepared data picture by picture, holding one block of pixels in memory.

    Used with `with`; nothing is left in the folder unless `finish` was called.
    """

    folder: Path
    side: int
    channels: int
    names: list[str] = field(default_factory=list)
    labels: list[int | None] = field(default_factory=list)
    columns: list[dict[str, Any]] = field(default_factory=list)
    sizes: list[tuple[int, int] | None] = field(default_factory=list)

    def __enter__(self) -> Writer:
        self.part = self.folder / f"{IMAGES}.part"
        self.file = self.part.open("wb")
        self.header = self._header(0)
        self.file.write(self.header)
        self.block = bytearray()
        self.blocks: list[int] = []
        self.digest = hashlib.sha256()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()
        self.part.unlink(missing_ok=True)

    def add(self, item: Item, pixels: NDArray[np.uint8], size: tuple[int, int] | None = None) -> None:
        """Append one picture, (side, side, channels), that was read with this width and height."""
        self.names.append(item.name)
        self.labels.append(item.label)
        self.columns.append(dict(item.columns))
        self.sizes.append(size)
        self.block += pixels.tobytes()
        while len(self.block) >= BLOCK:
            self._flush(BLOCK)

    def finish(self, source: Source, skipped: list[Problem], notes: list[Problem], options: dict[str, Any]) -> None:
        """Complete the folder. Classes of which no picture is left are left out."""
        self._flush(len(self.block))
        self.file.seek(0)
        self.file.write(self._header(len(self.names)))
        self.file.close()
        present = sorted({label for label in self.labels if label is not None})
        place = {label: i for i, label in enumerate(present)}
        labels = [place[label] for label in self.labels if label is not None] if present else None
        classes = [source.classes[label] for label in present]
        shape = [len(self.names), self.side, self.side, self.channels]
        self.digest.update(_json([shape, labels, classes]).encode())
        keys = sorted({key for row in self.columns for key in row})
        index = {
            "format": FORMAT,
            "version": VERSION,
            "source": source.name,
            "shape": shape,
            "hash": self.digest.hexdigest(),
            "blocks": self.blocks,
            "names": self.names,
            "labels": labels,
            "classes": classes,
            "unlabelled": source.unlabelled,
            "columns": {key: [row.get(key) for row in self.columns] for key in keys},
            "sizes": None if None in self.sizes else self.sizes,
            "skipped": [[p.name, p.reason] for p in skipped],
            "notes": [[p.name, p.reason] for p in notes],
            "licence": source.licence,
            "options": options,
        }
        index["checksum"] = _checksum(index)
        self.part.rename(self.folder / IMAGES)
        write_text(self.folder / INDEX, _json(index))

    def _flush(self, length: int) -> None:
        if length:
            block = bytes(self.block[:length])
            del self.block[:length]
            self.digest.update(block)
            self.blocks.append(zlib.crc32(block))
            self.file.write(block)

    def _header(self, count: int) -> bytes:
        # By hand, and always 128 bytes, because the count is known only at the end.
        shape = (count, self.side, self.side, self.channels)
        text = repr({"descr": "|u1", "fortran_order": False, "shape": shape}).ljust(117) + "\n"
        return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def is_prepared(folder: Path) -> bool:
    """Whether a folder looks like one that `Writer` completed."""
    try:
        with (folder / INDEX).open("rb") as file:
            return (folder / IMAGES).is_file() and FORMAT.encode() in file.read()
    except OSError:
        return False


def load(folder: Path) -> Prepared:
    """Open prepared data.

    Raises:
        Damaged: It is incomplete, or does not match its checksums.
    """
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        written = index.pop("checksum")
        if _checksum(index) != written or index["format"] != FORMAT or index["version"] != VERSION:
            raise Damaged(f"{folder / INDEX} does not match its checksum")
        images = np.load(folder / IMAGES, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, KeyError, AttributeError, TypeError, EOFError) as error:
        raise Damaged(f"{folder}: {error}") from error
    if not isinstance(images, np.memmap) or list(images.shape) != index["shape"] or images.dtype != np.uint8:
        raise Damaged(f"{folder / IMAGES} is not what {INDEX} says")
    flat = images.reshape(-1)
    count = len(index["blocks"])
    for i in sorted({round(i) for i in np.linspace(0, count - 1, min(count, CHECKED_BLOCKS))}):
        if zlib.crc32(flat[i * BLOCK : (i + 1) * BLOCK].data) != index["blocks"][i]:
            raise Damaged(f"{folder / IMAGES} does not match its checksums")
    return Prepared(
        images=images,
        labels=None if index["labels"] is None else np.array(index["labels"], dtype=np.int64),
        classes=index["classes"],
        names=index["names"],
        hash=index["hash"],
        skipped=[Problem(*pair) for pair in index["skipped"]],
        notes=[Problem(*pair) for pair in index["notes"]],
        columns=index["columns"],
        licence=index["licence"],
        source=index["source"],
        options=index["options"],
        path=folder,
        unlabelled=index.get("unlabelled", ""),
        sizes=np.array(index["sizes"], dtype=np.int64) if index.get("sizes") else None,
    )


def load_or_refuse(folder: Path) -> Prepared:
    """`load`, for data that cannot simply be prepared again.

    Raises:
        UserError: It is damaged.
    """
    try:
        return load(folder)
    except Damaged as error:
        raise UserError(f"The prepared data in {folder} is damaged ({error}); prepare it again.") from None


def as_source(folder: Path) -> Source:
    """Prepared data as a source, to prepare it at another size.

    Raises:
        UserError: It is damaged.
    """
    data = load_or_refuse(folder)

    def read(i: int, side: int) -> Image.Image | bytes:
        pixels = np.asarray(data.images[i])
        if pixels.shape[2] > 4:
            file = io.BytesIO()
            np.save(file, pixels)
            return file.getvalue()
        return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)

    def tokens(progress: Progress) -> list[str]:
        return [f"{data.hash}:{i}" for i in range(len(data))]

    items = [
        Item(
            name,
            functools.partial(read, i),
            None if data.labels is None else int(data.labels[i]),
            {key: values[i] for key, values in data.columns.items() if values[i] is not None},
        )
        for i, name in enumerate(data.names)
    ]
    return Source(
        data.source,
        items,
        tokens,
        data.classes,
        data.skipped,
        data.licence,
        unlabelled=data.unlabelled,
        coordinates="relative" if data.options.get("coordinates") else "",
        prepared=data,
    )


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _checksum(index: dict[str, Any]) -> str:
    return hashlib.sha256(_json(index).encode()).hexdigest()
