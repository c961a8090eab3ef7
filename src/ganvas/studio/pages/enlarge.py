"""*Super-resolve*: a small picture before and after a run has enlarged it, and how near both are to the original."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8

from ganvas.data.sampler import to_float
from ganvas.errors import UserError
from ganvas.metrics.photos import cut_to_multiple, enlarged, enlarger, small_version
from ganvas.metrics.translation import WINDOW, psnr, ssim
from ganvas.studio.actions import Ask, Name, action
from ganvas.studio.pages.translate import training_pictures
from ganvas.studio.panel import panel
from ganvas.studio.pictures import MOST_BYTES, Upload, decoded, uri_of, uris
from ganvas.studio.studio import Opened, Studio
from ganvas.translation.enlarging import bicubic

TITLE, ADDRESS = "Super-resolve", "enlarge"
WORDS = "Upload a small picture and compare it before and after."

MOST = 256
"""Pixels: the longest side of what is enlarged; of a larger picture the middle is."""

MOST_AFTER = 1024
"""Pixels: the longest side of what comes out."""

COMPARED = ("bicubic", "run")
"""What is scored beside an original; nearest neighbours are only shown, for SSIM takes a second or more."""

Pixels = UInt8[np.ndarray, "H W C"]


class Enlarging(Ask):
    """A small picture, or its original that the small one is made of, or both, which are compared."""

    run: Name
    small: Upload | None = None
    original: Upload | None = None


class Beginning(Ask):
    """A run whose training pictures are wanted."""

    run: Name


def fits(studio: Studio) -> bool:
    """Whether a run makes pictures larger."""
    return bool(studio.fitting(enlarges))


def enlarges(opened: Opened) -> bool:
    """Whether what it makes of a picture is larger."""
    return opened.translates and opened.untrained.scale > 1


def most_of(scale: int) -> int:
    """Pixels: the longest side of what is enlarged by so much."""
    return min(MOST, MOST_AFTER // scale)


def build(studio: Studio) -> None:
    """The page."""
    runs = [opened.facts() | {"most": most_of(opened.untrained.scale)} for opened in studio.fitting(enlarges)]
    actions = [action(enlarge, studio)] + ([] if studio.public else [action(originals, studio)])
    panel("enlarge", actions, {"runs": runs, "data": not studio.public, "bytes": MOST_BYTES})


def enlarge(studio: Studio, asked: Enlarging) -> dict[str, Any]:
    """The small picture as it was, enlarged by interpolation and by the run, and the original if there is one."""
    opened = studio.find(asked.run)
    scale, channels = opened.untrained.scale, opened.config.channels
    small, original, words = pictures_of(asked, scale, channels)
    with studio.at_work(asked.run) as run:
        after = enlarger(run)(small, 0)
        step = run.step
    shown = {"bicubic": bicubic(small, scale), "nearest": enlarged(small, scale, "nearest"), "run": after}
    height, width, _ = after.shape
    words.append(f"{small.shape[1]}x{small.shape[0]} pixels became {width}x{height}, step {step:,}")
    scores = [] if original is None else [scores_of(name, shown[name], original, scale) for name in COMPARED]
    if original is not None:
        shown["original"] = original
    return {
        "pictures": {name: uri_of(pixels) for name, pixels in shown.items()},
        "small": uri_of(small),
        "words": ". ".join(words) + ".",
        "scores": scores,
        "protocol": protocol(scale, channels) if scores else "",
    }


def originals(studio: Studio, asked: Beginning) -> dict[str, Any]:
    """Training pictures, at their high resolution."""
    found = training_pictures(studio, studio.find(asked.run))
    if isinstance(found, str):
        return {"pictures": [], "note": found}
    return {"pictures": uris(found["image"]), "note": ""}


def pictures_of(asked: Enlarging, scale: int, channels: int) -> tuple[Pixels, Pixels | None, list[str]]:
    """The picture to enlarge, its original or None, and what was done to them.

    Raises:
        UserError: There is nothing to enlarge, or the two do not belong together.
    """
    most, words = most_of(scale), list[str]()
    original = None if asked.original is None else cut_to_multiple(decoded(asked.original, channels), scale)
    if original is not None and not original.size:
        raise UserError(f"the original has not {scale} pixels a side: choose a larger one")
    if asked.small is None:
        if original is None:
            raise UserError("no picture arrived: choose a small one, or an original to be made small")
        original = middle(original, scale * most, scale)
        words.append(f"Made small from {original.shape[1]}x{original.shape[0]} pixels of the original")
        return small_version(original, scale), original, words
    small = decoded(asked.small, channels)
    height, width, _ = small.shape
    if original is not None and original.shape[:2] != (scale * height, scale * width):
        tall, wide, _ = original.shape
        raise UserError(
            f"the original of {wide}x{tall} pixels is not {scale} times the {width}x{height} of the small picture: "
            "choose the one it was made of, or have it made from this original"
        )
    if max(height, width) > most:
        small = middle(small, most, 1)
        original = None if original is None else middle(original, scale * most, scale)
        words.append(f"Of {width}x{height} pixels the middle was taken, at most {most} a side")
    return small, original, words


def middle(pixels: Pixels, most: int, unit: int) -> Pixels:
    """The middle of a picture, at most so many pixels a side, cut at multiples of `unit`."""
    height, width, _ = pixels.shape
    top, left = (max(0, length - most) // 2 // unit * unit for length in (height, width))
    return np.ascontiguousarray(pixels[top : top + most, left : left + most])


def scores_of(name: str, pixels: Pixels, original: Pixels, border: int) -> dict[str, Any]:
    """PSNR in decibels and SSIM beside the original; None where SSIM's window does not fit in."""
    ours, theirs = (to_float(torch.from_numpy(np.ascontiguousarray(of))[None]) for of in (pixels, original))
    luma, least = pixels.shape[2] == 3, min(pixels.shape[:2]) - 2 * border
    return {
        "name": name,
        "psnr": psnr(ours, theirs, luma=luma, border=border).item() if least > 0 else None,
        "ssim": ssim(ours, theirs, luma=luma, border=border).item() if least >= WINDOW else None,
    }


def protocol(scale: int, channels: int) -> str:
    """How they are computed."""
    of = "Y of BT.601" if channels == 3 else "gray"
    return (
        f"PSNR in decibels and SSIM of {of}, without {scale} pixels at each edge, pictures of 8 bits; higher is nearer."
    )
