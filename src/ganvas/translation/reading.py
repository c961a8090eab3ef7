"""Pictures as a network takes them, with what their files say about themselves beside the pixels."""

from __future__ import annotations

import functools
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8, UInt16
from PIL import ExifTags, Image, ImageOps, PngImagePlugin
from scipy import ndimage

from ganvas.data.decode import ARRAY, MODES, Decoder
from ganvas.data.folder import read_file
from ganvas.data.layout import ARRAYS, looks_like_picture
from ganvas.data.options import DataOptions
from ganvas.data.pairing import open_two
from ganvas.data.source import Item, Source, builtin_names, find_builtin, open_source, printable, split_sides
from ganvas.errors import UserError

KEPT = (
    ExifTags.Base.ImageDescription, ExifTags.Base.Make, ExifTags.Base.Model, ExifTags.Base.DateTime,
    ExifTags.Base.Artist, ExifTags.Base.Copyright,
)  # fmt: skip
"""EXIF that says what a picture is, and not how its pixels are stored."""

NOT_KEPT = (
    ExifTags.Base.MakerNote, ExifTags.Base.ColorSpace, ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight,
    ExifTags.Base.ExifInteroperabilityOffset,
)  # fmt: skip
"""In the EXIF of how a picture was taken: what is not true any more, or not readable at another place in a file."""


GRAY = {"1", "L", "LA", "La", "I"}
"""Pillow's names of gray pixels, as far as a semicolon."""

PROFILES = {1: b"GRAY", 3: b"RGB "}
"""What an ICC profile of so many colours has at its 16th byte."""


@dataclass(frozen=True)
class Read:
    """One picture.

    Attributes:
        pixels: With the channels that were asked for; to be enlarged, gray ones have one channel and up to 16 bits.
        alpha: Its transparency, where the file has some that the network does not see.
        exif: What the file says of how it was taken, without its orientation; None for nothing.
        texts: What a PNG says about itself.
        note: What a reader should know although the picture is used.
        dpi: Pixels an inch across and down; None where it is not said, or not kept.
        profile: Its colour profile (ICC); None where it has none, or it is not kept.
    """

    pixels: UInt8[np.ndarray, "H W C"] | UInt16[np.ndarray, "H W C"]
    alpha: UInt8[np.ndarray, "H W"] | None = None
    exif: Image.Exif | None = None
    texts: Mapping[str, str] = field(default_factory=dict)
    note: str | None = None
    dpi: tuple[float, float] | None = None
    profile: bytes | None = None


def open_input(spec: str | Path, options: DataOptions, direction: str) -> tuple[Source, bool]:
    """What a user wants to have translated.

    Args:
        spec: A picture, a folder, a zip or built-in data. Of data with two sides, `FIRST::SECOND` or a built-in, the
            side that `direction` starts from.
        options: How the run's data is read.
        direction: `AtoB` or `BtoA`.

    Returns:
        The pictures, and whether it is a single file.

    Raises:
        UserError: There is no such thing, or it holds no pictures.
    """
    found = find_builtin(spec)
    if split_sides(spec) or (found and hasattr(found[0], "open_sides")):
        two = open_two(spec, options)
        kept, other = (two.source, two.target) if direction == "AtoB" else (two.target, two.source)
        other.release()
        return kept, False
    path = Path(spec).expanduser()
    if found is None and not os.path.lexists(path):
        *others, last = builtin_names()
        shown = printable(str(spec))
        raise UserError(f"there is no picture, folder or zip {shown}; built in are {', '.join(others)} and {last}")
    if found is None and path.is_file():

        def head(name: str, length: int) -> bytes:
            with path.open("rb") as file:
                return file.read(length)

        if looks_like_picture(path.name, head) or path.suffix.lower() == ARRAYS:
            one = Item(printable(path.name), functools.partial(read_file, path, options.max_bytes))
            return Source(printable(str(spec)), [one], lambda progress: [""]), True
    return open_source(spec, options), False


def read(
    decoder: Decoder, item: Item, channels: int, side: int, shorter: int | None, *, enlarged: bool = False
) -> Read:
    """Reads a picture.

    Args:
        decoder: Reads as training did.
        item: The picture.
        channels: What the network takes: 1 (gray), 2 (gray, opacity), 3, 4 (colour, opacity), or as many as the arrays
            (`.npy`) have that it was trained on.
        side: Pixels: what sources that can draw at any size are asked for.
        shorter: Pixels to resize the shorter side to, with Lanczos; None for the picture's own size.
        enlarged: Whether it is to be the same picture with more pixels: gray and 16 bits of gray are kept then, colours
            are what the file has, not what they are on a background, and profile and resolution stay true.

    Raises:
        Unusable: It cannot be read; the message says why.
    """
    opened: list[Image.Image] = []
    stored: list[str] = []  # known until it is loaded

    def handed_over(side: int) -> bytes | Image.Image:
        if not opened:
            data = item.read(side)
            if isinstance(data, bytes) and (not data or data.startswith(ARRAY)):
                return data
            opened.append(Image.open(io.BytesIO(data)) if isinstance(data, bytes) else data)
            stored.extend(_stored_modes(opened[0]))
        return opened[0]

    own = replace(item, read=handed_over)
    with decoder.open(own, side, channels) as picture:
        layers = [_resized(layer, shorter) for layer in picture.layers]
    if not opened:
        return Read(_pixels(layers, channels), note=picture.note)
    image, alpha = opened[0], None
    gray = enlarged and channels in (1, 3) and any(mode.partition(";")[0] in GRAY for mode in stored)
    shown = 1 if gray else channels
    pixels = _pixels(layers, shown)
    if channels in (1, 3) and image.has_transparency_data:
        with decoder.open(own, side, shown + 1 if enlarged else 4) as clear:
            resized = _resized(clear.image, shorter)
            alpha = np.asarray(resized.getchannel("A"))
            if enlarged:
                pixels = spread(_pixels([resized], shown + 1)[..., :-1], alpha)
    if not enlarged:
        return Read(pixels, alpha, _exif(image), _texts(image), picture.note)
    note, deep = picture.note, any(mode == "I" or ";16" in mode for mode in stored)
    if deep and gray and alpha is None:
        pixels = _sixteen_bits(image, shorter)
    elif deep:
        note = "; ".join(filter(None, [note, "of 16 bits the upper 8 are used: all of them are of gray ones alone"]))
    return Read(pixels, alpha, _exif(image), _texts(image), note, _dpi(image), _profile(image, shown))


def spread(pixels: UInt8[np.ndarray, "H W C"], alpha: UInt8[np.ndarray, "H W"]) -> UInt8[np.ndarray, "H W C"]:
    """Pixels of which those that cannot be seen have the colour of the nearest that can.

    What a file has there means nothing, and a network would draw it, or a background, into the edge of what is seen.
    """
    clear = alpha == 0
    if not clear.any() or clear.all():
        return pixels
    nearest = ndimage.distance_transform_edt(clear, return_distances=False, return_indices=True)
    found: UInt8[np.ndarray, "H W C"] = pixels[tuple(nearest)]
    return found


def _stored_modes(image: Image.Image) -> list[str]:
    """Pillow's names of the pixels that it makes of a file, and of those that are in it, which may have more bits."""
    modes = [image.mode]
    for tile in getattr(image, "tile", ()):
        raw = tile[3] if isinstance(tile[3], str) else (tile[3] or ("",))[0]
        modes += [raw] if isinstance(raw, str) else []
    return modes


def _sixteen_bits(image: Image.Image, shorter: int | None) -> UInt16[np.ndarray, "H W 1"]:
    upright = ImageOps.exif_transpose(image)
    values = np.asarray(upright)
    if shorter is not None and shorter != min(upright.size):
        values = np.asarray(_resized(Image.fromarray(values.astype(np.float32)), shorter)).clip(0, 65535).round()
    return values.astype(np.uint16)[:, :, None]


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if across > 0 and down > 0 else None


def _profile(image: Image.Image, channels: int) -> bytes | None:
    """The colour profile, if it is one of as many colours as the pixels have."""
    profile = image.info.get("icc_profile")
    return profile if isinstance(profile, bytes) and profile[16:20] == PROFILES.get(channels) else None


def _pixels(layers: Sequence[Image.Image], channels: int) -> UInt8[np.ndarray, "H W C"]:
    if len(layers) > 1:
        return np.stack([np.asarray(layer) for layer in layers], axis=2)
    pixels = np.atleast_3d(np.array(layers[0].convert(MODES[channels])))
    if channels in (2, 4):
        pixels[pixels[:, :, -1] == 0] = 0  # what cannot be seen has no colour, as in training
    return pixels


def _texts(image: Image.Image) -> dict[str, str]:
    if not isinstance(image, PngImagePlugin.PngImageFile):
        return {}
    return {name: str(text) for name, text in image.text.items()}


def _exif(image: Image.Image) -> Image.Exif | None:
    kept, places = Image.Exif(), {}
    try:
        exif = image.getexif()
        kept.update({tag: _as_stored(exif[tag]) for tag in KEPT if tag in exif})
        for place in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            places[place] = {tag: of for tag, of in exif.get_ifd(place).items() if tag not in NOT_KEPT}
            kept.get_ifd(place).update(places[place])
        kept.tobytes()
    except Exception:  # damaged EXIF says nothing that could be kept
        return None
    return kept if len(kept) or any(places.values()) else None


def _as_stored(value: object) -> object:
    """A remark of EXIF as bytes: Pillow reads it as Latin-1, whatever it is, and would write ASCII alone."""
    return value.encode("latin-1") if isinstance(value, str) else value


def _resized(image: Image.Image, shorter: int | None) -> Image.Image:
    if shorter is None or shorter == min(image.size):
        return image
    scale = shorter / min(image.size)
    width, height = (max(1, round(length * scale)) for length in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)
