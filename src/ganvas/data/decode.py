"""From the bytes of any picture file to a square of uint8 pixels.

In this order: size checked from the header, decoded whole, turned as EXIF says, reduced to 8 bits, laid on
the background where it is transparent, cut or padded to a square, resized with Lanczos. Transparency goes
before resizing, because the colour of a transparent pixel means nothing and must not bleed into others; where
it is kept (2 and 4 channels), Pillow weighs colours by it. Arrays are cut and resized channel by channel.
"""

from __future__ import annotations

import contextlib
import io
import math
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, UnidentifiedImageError

from ganvas.data.options import DataOptions
from ganvas.data.source import Item, Unusable
from ganvas.errors import UserError

Colour = tuple[int, int, int]

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each EXIF orientation."""

ORIENTATION = 0x0112

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
"""Pillow's name for pixels of so many channels; 2 and 4 keep the transparency."""

ARRAY = b"\x93NUMPY"
"""What a `.npy` file begins with."""


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    Attributes:
        layers: The picture, upright, mode L or RGB, or LA or RGBA where transparency is kept; of an array of five
            channels or more one of mode L for each.
        mode: Pillow's name for how the file stores its pixels; of an array its number of channels.
        format: Pillow's name of the file format; of an array NPY.
        note: What a reader should know although the picture is used.
    """

    layers: tuple[Image.Image, ...]
    mode: str
    format: str
    note: str | None = None

    @property
    def image(self) -> Image.Image:
        """Its first layer, which is all of it if it has at most four channels."""
        return self.layers[0]


def background_colour(options: DataOptions) -> Colour:
    """The background as (red, green, blue), 0 to 255.

    Raises:
        UserError: It is no colour.
    """
    with contextlib.suppress(ValueError):
        colour = ImageColor.getrgb(options.background)
        if len(colour) == 3:  # not with a fourth value, for transparency
            return colour
    raise UserError(f"Unknown background colour {options.background!r}; give a name such as white, or #rrggbb.")


class Decoder:
    """Decodes items on several threads, with a limit on the pixels that are in memory at once."""

    def __init__(self, options: DataOptions):
        self.options = options
        self.background = background_colour(options)
        self.free = 2 * options.max_pixels
        self.changed = threading.Condition()

    @contextlib.contextmanager
    def open(self, item: Item, side: int, channels: int | None = None) -> Iterator[Picture]:
        """The item decoded; its memory counts against the limit until the block ends.

        Args:
            item: The picture.
            side: Pixels: what sources that can draw at any size are asked for.
            channels: What it is wanted with: transparency is kept for 2 (gray) and 4 (colour), and an array must have
                just so many. None takes any array, and keeps no transparency.

        Raises:
            Unusable: The item cannot be used; the message says why.
        """
        try:
            given = _opened(item.read(side))
            width, height = given.size if isinstance(given, Image.Image) else given.shape[1::-1]
            pixels = width * height
            if pixels > self.options.max_pixels:
                raise Unusable(f"{pixels:,} pixels, more than max_pixels ({self.options.max_pixels:,})")
            if min(width, height) < self.options.min_side:
                raise Unusable(f"{width}x{height} pixels; min_side is {self.options.min_side}")
            with self._hold(pixels):
                yield self._decode(given, item.half, channels)
        except (Unusable, UserError):
            raise
        # Decoders of damaged files raise whatever they stumble over: struct.error, SyntaxError, KeyError, ...
        except Exception as error:
            raise Unusable(_reason(error)) from error

    def _decode(self, given: Image.Image | NDArray[np.uint8], half: str, channels: int | None) -> Picture:
        if isinstance(given, np.ndarray):
            count = given.shape[2]
            if channels not in (None, count):
                raise Unusable(f"an array of {_channels(count)}, not {channels}")
            layers = [given] if count in MODES else np.split(given, count, axis=2)
            images = [Image.fromarray(layer[:, :, 0] if layer.shape[2] == 1 else layer) for layer in layers]
            mode, kind, note = _channels(count), "NPY", None
        else:
            if channels is not None and channels not in MODES:
                raise Unusable(f"a picture, which has at most 4 channels: {channels} come from arrays alone (.npy)")
            mode, kind = given.mode, given.format or "array"
            several = getattr(given, "is_animated", False) and kind != "MPO"  # MPO: one photo with its previews
            note = "several frames or pages; the first is used" if several else None
            given.load()
            # After loading, because some decoders (TIFF) turn the picture themselves and then say so.
            images = [_eight_bits(_turned(given))]
        if half:
            images = [_half(image, half) for image in images]
        if channels in (2, 4):
            return Picture((images[0].convert("RGBA").convert(MODES[channels]),), mode, kind, note)
        return Picture(tuple(_opaque(image, self.background) for image in images), mode, kind, note)

    @contextlib.contextmanager
    def _hold(self, pixels: int) -> Iterator[None]:
        with self.changed:
            self.changed.wait_for(lambda: self.free >= pixels)
            self.free -= pixels
        try:
            yield
        finally:
            with self.changed:
                self.free += pixels
                self.changed.notify_all()


def to_square(image: Image.Image, side: int, channels: int, fit: str, background: Colour) -> NDArray[np.uint8]:
    """A square of pixels.

    Args:
        image: Mode L or RGB, or LA or RGBA for 2 or 4 channels.
        side: Pixels.
        channels: 1 (luma), 2 (luma, opacity), 3, or 4 (colour, opacity).
        fit: `crop`, `pad` or `stretch`, as in `DataOptions`.
        background: What padding is filled with; with transparency kept it is transparent instead.

    Returns:
        (side, side, channels).
    """
    mode = MODES[channels]
    width, height = image.size
    if fit == "crop" and width != height:
        short = min(width, height)
        left, top = (width - short) // 2, (height - short) // 2
        image = image.crop((left, top, left + short, top + short))
    if fit == "pad" and width != height:
        inner = inner_size(width, height, side)
        canvas = Image.new("RGB", (side, side), background) if channels % 2 else Image.new(mode, (side, side))
        small = _resized(image, inner)
        canvas.paste(small.convert(canvas.mode), ((side - inner[0]) // 2, (side - inner[1]) // 2))
        image = canvas
    else:
        image = _resized(image, (side, side))
    return pixels_of(image, channels)


def inner_size(width: int, height: int, side: int) -> tuple[int, int]:
    """Width and height of a picture that is padded to a square of `side` pixels."""
    scale = side / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def pixels_of(image: Image.Image, channels: int) -> NDArray[np.uint8]:
    """The pixels of a picture as it is: (H, W, channels); see `to_square`."""
    pixels = np.array(image.convert(MODES[channels]), dtype=np.uint8).reshape(image.height, image.width, channels)
    if channels in (2, 4):
        pixels[pixels[:, :, -1] == 0] = 0  # what cannot be seen has no colour, resized or not
    return pixels


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Pillow's warnings about odd files are left out: what matters of them comes back as `Unusable`.

    Around the whole pool, since Python's warning filters are shared by all threads.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


def _opened(data: bytes | Image.Image) -> Image.Image | NDArray[np.uint8]:
    """A picture whose pixels are yet to be decoded, or an array."""
    if isinstance(data, Image.Image):
        return data
    if not data:
        raise Unusable("the file is empty")
    return _array(data) if data.startswith(ARRAY) else Image.open(io.BytesIO(data))


def _array(data: bytes) -> NDArray[np.uint8]:
    """The (H, W, C) values of a `.npy` file of bytes, (H, W) being one channel.

    Raises:
        Unusable: It holds something else.
        ValueError: It is damaged.
    """
    file = io.BytesIO(data)
    read = np.lib.format.read_array_header_1_0 if np.lib.format.read_magic(file) == (1, 0) else None
    shape, _, kind = (read or np.lib.format.read_array_header_2_0)(file)
    if kind != np.uint8 or len(shape) not in (2, 3):
        raise Unusable(f"an array of {kind} with shape {shape}; bytes (uint8) of height, width, channels are wanted")
    # Before it is loaded, which would make room for whatever the header claims.
    if math.prod(shape) != len(data) - file.tell():
        raise ValueError("more or less than its header says")
    values: NDArray[np.uint8] = np.load(io.BytesIO(data), allow_pickle=False)
    if not values.size:
        raise Unusable("an array without a value")
    return np.ascontiguousarray(values if values.ndim == 3 else values[:, :, None])


def _channels(count: int) -> str:
    return f"{count} channel" + "s" * (count != 1)


def _half(image: Image.Image, half: str) -> Image.Image:
    """One of two pictures of the same size that lie side by side.

    Raises:
        Unusable: They cannot.
    """
    width, height = image.size
    if width % 2 or width < height:
        why = "an odd width" if width % 2 else "higher than wide"
        raise Unusable(f"{width}x{height} pixels are not two pictures side by side ({why})")
    left = 0 if half == "left" else width // 2
    return image.crop((left, 0, left + width // 2, height))


def _turned(image: Image.Image) -> Image.Image:
    try:
        turn = TURNS.get(image.getexif().get(ORIENTATION, 1))
    except Exception:  # damaged EXIF says nothing about the pixels
        turn = None
    return image if turn is None else image.transpose(turn)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Sixteen-bit gray scaled to eight; Pillow's own conversion would clip it at 255."""
    if image.mode == "F":
        raise Unusable("floating-point pixels, whose range is not stated; store it with 8 or 16 bits")
    if not image.mode.startswith("I"):
        return image
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise Unusable("32-bit pixels, whose range is not stated; store it with 8 or 16 bits")
    gray = Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        gray.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    return gray


def _opaque(image: Image.Image, background: Colour) -> Image.Image:
    if image.has_transparency_data:
        canvas = Image.new("RGBA", image.size, (*background, 255))
        return Image.alpha_composite(canvas, image.convert("RGBA")).convert("RGB")
    mode = "L" if image.mode in ("1", "L") else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _reason(error: Exception) -> str:
    """One line for a person."""
    text = " ".join(str(getattr(error, "strerror", None) or error).split())
    if isinstance(error, UnidentifiedImageError):
        return "not a picture in a format that Pillow reads"
    if isinstance(error, Image.DecompressionBombError):
        return "more pixels than Pillow's safety limit"
    if isinstance(error, PermissionError):
        return "no permission to read it"
    if isinstance(error, OSError | EOFError | SyntaxError | ValueError | struct.error | zlib.error):
        return f"damaged or unreadable ({text})" if text else "damaged or unreadable"
    return f"damaged or unreadable ({type(error).__name__}: {text})"
