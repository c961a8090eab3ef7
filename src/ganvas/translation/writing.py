"""Encoding what comes out: formats, transparency, and what a file says about itself."""

from __future__ import annotations

import copy
import io
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8, UInt16
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from ganvas.data.decode import MODES
from ganvas.data.layout import ARRAYS
from ganvas.errors import UserError
from ganvas.translation.reading import Read

Format = Literal["png", "jpg", "webp", "tiff"]

EXTENSIONS = {
    ".png": "png", ".jpg": "jpg", ".jpeg": "jpg", ".webp": "webp", ".tif": "tiff", ".tiff": "tiff", ARRAYS: "npy",
}  # fmt: skip
"""The format of each file name."""

LONGEST = {"jpg": 65_500, "webp": 16_383}
"""Pixels: the longest side that a format can hold."""


def format_of(name: str, asked: Format | None, channels: int) -> str:
    """The format of a file, or of all files of a folder.

    Args:
        name: The file's name; empty for a folder.
        asked: What the user wants.
        channels: Of the pictures to be written; more than 4 make arrays.

    Raises:
        UserError: The name says nothing, or something else; or the format cannot hold such pictures.
    """
    known = [extension for extension in EXTENSIONS if (extension == ARRAYS) == (channels not in MODES)]
    named = EXTENSIONS.get(PurePath(name).suffix.lower()) if name else None
    if name and (named is None or (named == "npy") != (channels not in MODES)):
        raise UserError(f"{name} says no format for pictures of {channels} channels: end it in {', '.join(known)}")
    if channels not in MODES:
        if asked:
            raise UserError(f"pictures of {channels} channels are written as arrays (.npy): leave out --format")
        return "npy"
    if named and asked and named != asked:
        raise UserError(f"{name} is not the name of a {asked} file: leave out --format, or change the name")
    found = named or asked or "png"
    if found == "jpg" and channels in (2, 4):
        raise UserError("this run draws transparency, which JPEG cannot hold: choose png, webp or tiff")
    return found


MOST = 2**29
"""Pixels of an enlarged picture: one of so many, its copy in Pillow and its file take a few GiB."""


def encode(
    pixels: UInt8[np.ndarray, "H W C"] | UInt16[np.ndarray, "H W C"],
    read: Read,
    kind: str,
    quality: int,
    about: Mapping[str, str],
) -> bytes:
    """A file.

    Args:
        pixels: What it shows; 16 bits are of gray ones, and become 8 where the format has no more.
        read: What it was made from: its transparency, EXIF, PNG texts, colour profile and pixels an inch are kept as
            far as the format can.
        kind: One of `EXTENSIONS`.
        quality: Of JPEG and WebP, 1 to 100.
        about: `Software`, `Source` and `Copyright`, which say where it comes from; they take the place of what `read`
            has under the same name, but for the copyright, which is added to.

    Raises:
        ValueError: The format cannot hold it.
    """
    file = io.BytesIO()
    if kind == "npy":
        np.save(file, pixels)
        return file.getvalue()
    if pixels.dtype == np.uint16 and kind not in ("png", "tiff"):
        pixels = ((pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    if read.alpha is not None and kind != "jpg":
        image.putalpha(Image.fromarray(read.alpha))
    more: dict[str, Any] = {"icc_profile": read.profile} if read.profile else {}
    if read.dpi and kind != "webp":
        more["dpi"] = read.dpi
    texts = {**read.texts, **about, "Copyright": _both(read.texts.get("Copyright"), about.get("Copyright"))}
    if kind == "png":
        info = PngInfo()
        for name, text in texts.items():
            if text:
                info.add_itxt(name, text)
        image.save(file, "PNG", pnginfo=info, exif=read.exif or b"", **more)
        return file.getvalue()
    exif = copy.deepcopy(read.exif) or Image.Exif()
    exif[ExifTags.Base.Software] = about["Software"].encode()
    exif[ExifTags.Base.ImageDescription] = _both(exif.get(ExifTags.Base.ImageDescription), about["Source"]).encode()
    if rights := _both(exif.get(ExifTags.Base.Copyright), texts["Copyright"]):
        exif[ExifTags.Base.Copyright] = rights.encode()
    if kind == "jpg":
        image.save(file, "JPEG", quality=quality, exif=exif, **more)
    elif kind == "webp":
        image.save(file, "WEBP", quality=quality, exif=exif, **more)
    else:
        image.save(file, "TIFF", compression="tiff_deflate", exif=exif, **more)
    return file.getvalue()


def _both(first: bytes | str | None, second: str | None) -> str:
    """Two remarks in one, the second only if it is not in the first."""
    text = first.decode("utf-8", "replace") if isinstance(first, bytes) else first or ""
    found = [text.strip("\0 "), second or ""]
    return "; ".join(filter(None, found if found[1] not in found[0] else found[:1]))
