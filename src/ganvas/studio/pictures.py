"""Pictures between a page and PyTorch: as text in both directions, and never as files."""

from __future__ import annotations

import base64
import binascii
import io
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field
from torch import Tensor

from ganvas.data import DataOptions
from ganvas.data.decode import Decoder, pixels_of
from ganvas.data.source import Item, Unusable
from ganvas.errors import UserError
from ganvas.viz.grids import to_bytes

MOST_BYTES = 12 * 2**20
"""Of an uploaded file."""

MOST_PIXELS = 12_000_000
"""Of an uploaded picture; more are not decoded."""

MOST_TEXT = MOST_BYTES * 4 // 3 + 200
"""Letters of an uploaded file as a data URI."""

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""What is decoded of what strangers send; others, such as EPS, would have Pillow start programs."""

Upload = Annotated[str, Field(max_length=MOST_TEXT)]
"""A picture as the page sends it: a `data:` URI, base64."""

_decoder = Decoder(DataOptions(max_pixels=MOST_PIXELS, min_side=1))


def uri_of(pixels: UInt8[np.ndarray, "H W C"]) -> str:
    """Pixels of 1 or 3 channels as a PNG in a `data:` URI, without anything else in it."""
    file = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(file, "PNG", compress_level=1)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def uris(images: Float[Tensor, "B C H W"]) -> list[str]:
    """Pictures in [-1, 1], each as a `data:` URI; of other channels than 1 and 3 the first one or three are shown."""
    shown = images[:, :3] if images.shape[1] >= 3 else images[:, :1]
    return [uri_of(pixels) for pixels in to_bytes(shown)]


def decoded(upload: str, channels: int, most: int | None = None) -> UInt8[NDArray[np.uint8], "H W C"]:
    """The pixels of an upload, upright, on white where they were transparent.

    Args:
        upload: See `Upload`.
        channels: 1 or 3.
        most: Longest side, pixels; larger pictures are made smaller. None keeps them.

    Raises:
        UserError: It is no picture that can be used.
    """
    head, comma, text = upload.partition(",")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        raise UserError("no picture arrived: choose or draw one")
    if len(upload) > MOST_TEXT:
        raise UserError(f"the picture has more than {MOST_BYTES // 2**20} MiB: choose a smaller one")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise UserError("the picture arrived damaged: choose it again") from None
    try:
        with _decoder.open(Item("upload", lambda _: Image.open(io.BytesIO(data), formats=FORMATS)), 0) as picture:
            image = picture.image
            if most is not None and max(image.size) > most:
                image.thumbnail((most, most), Image.Resampling.LANCZOS)
            return pixels_of(image, channels)
    except Unusable as unusable:
        raise UserError(f"the picture cannot be used: {unusable}") from unusable


def tensor_of(pixels: UInt8[np.ndarray, "H W C"]) -> Float[Tensor, "1 C H W"]:
    """Pixels as a batch of one, in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float() / 127.5 - 1
