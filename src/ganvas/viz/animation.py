"""Moving pictures: GIF with Pillow, MP4 with PyAV (`pip install "ganvas[video]"`), written whole or not at all."""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ganvas.engine.files import write_atomically
from ganvas.errors import UserError

Frames = UInt8[np.ndarray, "N H W C"]
"""Gray (one channel) or RGB pictures, in the order in which they are shown."""

PALETTE_FROM = 2**14
"""Pixels that a palette is chosen for, evenly spread; of all of them it would take ten times as long."""

QUALITY = 18
"""x264's constant rate factor: losses that one has to look for."""


BT709 = 1
"""The number of that standard for primaries, transfer and matrix (ITU-T H.273)."""

LIMITED = 1
"""FFmpeg's number for brightness from 16 to 235, as video has it."""


def save_gif(path: Path, frames: Frames, fps: float, texts: Mapping[str, str] | None = None) -> None:
    """Writes a GIF; see `gif`.

    Args:
        path: The file; its folder must exist.
        frames: At least one.
        fps: Frames a second, up to 50.
        texts: What the file says about itself.

    Raises:
        UserError: As `gif` does, or the file cannot be written.
    """
    _write(path, gif(frames, fps, texts))


def gif(frames: Frames, fps: float, texts: Mapping[str, str] | None = None) -> bytes:
    """A GIF that repeats without end.

    A GIF counts time in hundredths of a second: each frame lasts so many whole ones that the whole keeps the pace. It
    has 256 colours a frame, of which the nearest are taken; gray is exact. Frames that are alike become one that
    lasts longer.

    Args:
        frames: At least one.
        fps: Frames a second, up to 50: what browsers show as it is meant.
        texts: What the file says about itself, such as `Copyright`; it becomes the GIF's comment.

    Raises:
        UserError: These are no frames, or the pace is not possible.
    """
    _check(frames, fps, 50)
    ends = [round(100 * number / fps) for number in range(len(frames) + 1)]
    pictures = [_indexed(frame) for frame in frames]
    file = io.BytesIO()
    pictures[0].save(
        file,
        "GIF",
        save_all=True,
        append_images=pictures[1:],
        duration=[10 * (end - start) for start, end in itertools.pairwise(ends)],
        loop=0,
        comment="\n".join(f"{key}: {value}" for key, value in (texts or {}).items()).encode(),
    )
    return file.getvalue()


def save_mp4(path: Path, frames: Frames, fps: float, texts: Mapping[str, str] | None = None) -> None:
    """Writes an MP4 (H.264, 4:2:0, BT.709), which any browser and player shows.

    The format stores a colour for every 2x2 pixels and wants even sides: an odd one gets its last row or column twice.

    Args:
        path: The file; its folder must exist.
        frames: At least one.
        fps: Frames a second, up to 240.
        texts: What the file says about itself: `Copyright` becomes that field, and all of them the comment.

    Raises:
        UserError: PyAV is not installed, these are no frames, the pace is not possible, or the file cannot be written.
    """
    try:
        import av
    except ImportError:
        raise UserError('MP4 files are written with PyAV: pip install "ganvas[video]"') from None
    _check(frames, fps, 240)
    _, height, width, channels = frames.shape
    frames = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        for key, value in (texts or {}).items():
            if key.lower() == "copyright":
                container.metadata["copyright"] = value
        container.metadata["comment"] = "\n".join(f"{key}: {value}" for key, value in (texts or {}).items())
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.options = {"crf": str(QUALITY), "preset": "medium"}
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        # Said in the file, since players guess otherwise, and differently.
        about = stream.codec_context
        about.colorspace = about.color_primaries = about.color_trc = BT709
        about.color_range = LIMITED
        for pixels in frames:
            rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels.repeat(4 - channels, -1)[..., :3]), "rgb24")
            stored = rgb.reformat(
                format="yuv420p",
                src_colorspace="ITU709", dst_colorspace="ITU709", src_color_range="JPEG", dst_color_range="MPEG",
            )  # fmt: skip
            container.mux(stream.encode(stored))
        container.mux(stream.encode())
    _write(path, file.getvalue())


def enlarged(frames: Frames, least: int) -> UInt8[np.ndarray, "N height width C"]:
    """Frames whose longer side is `least` pixels or more: small ones by a whole factor, pixel for pixel."""
    factor = max(1, -(-least // max(frames.shape[1:3])))
    return frames.repeat(factor, axis=1).repeat(factor, axis=2)


def _indexed(frame: UInt8[np.ndarray, "H W C"]) -> Image.Image:
    """A frame with a palette of its own, of the method that errs least. Not dithered, since noise would flicker."""
    if frame.shape[-1] == 1:
        return Image.fromarray(frame[..., 0])
    every = max(1, round((frame.shape[0] * frame.shape[1] / PALETTE_FROM) ** 0.5))
    some = Image.fromarray(np.ascontiguousarray(frame[every // 2 :: every, every // 2 :: every]))
    palette = some.quantize(256, Image.Quantize.MAXCOVERAGE)
    return Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)


def _check(frames: Frames, fps: float, most: int) -> None:
    if frames.ndim != 4 or not frames.size or frames.shape[-1] not in (1, 3) or frames.dtype != np.uint8:
        raise UserError(f"frames are uint8 (N, H, W, 1 or 3), not {frames.dtype} {tuple(frames.shape)}")
    if not 0.1 <= fps <= most:
        raise UserError(f"frames a second are from 0.1 to {most}, not {fps:g}")


def _write(path: Path, data: bytes) -> None:
    try:
        write_atomically(path, data)
    except OSError as error:
        raise UserError(f"cannot write to {path}: {error.strerror or error}") from error
