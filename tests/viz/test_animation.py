"""GIF and MP4 files, read back with Pillow and PyAV: frames, times, sizes, colours, what they say about themselves."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image, ImageSequence

from ganvas.errors import UserError
from ganvas.viz.animation import enlarged, save_gif, save_mp4

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 100, 30), (250, 240, 10), (255, 255, 255), (0, 0, 0)]
"""Swapped channels, or a matrix of another standard, move each of the first five by 20 and more."""
TEXTS = {"Software": "ganvas", "Copyright": "CC BY-SA 4.0, ümlaut"}


def plain(height=18, width=26):
    """A frame a colour, the right half of each twice as dark."""
    frames = np.zeros((len(COLOURS), height, width, 3), np.uint8)
    frames[:] = np.array(COLOURS, np.uint8)[:, None, None]
    frames[:, :, width // 2 :] //= 2
    return frames


def read_gif(path):
    with Image.open(path) as picture:
        about = (picture.info.get("comment", b"").decode(), picture.info["loop"])
        frames = [
            (frame.info["duration"], np.asarray(frame.convert("RGB"))) for frame in ImageSequence.Iterator(picture)
        ]
    return [duration for duration, _ in frames], np.stack([pixels for _, pixels in frames]), about


def test_a_gif_read_back(tmp_path):
    frames = plain()
    save_gif(tmp_path / "a.gif", frames, 12, TEXTS)
    durations, found, (comment, loop) = read_gif(tmp_path / "a.gif")
    assert found.shape == frames.shape and np.abs(found.astype(int) - frames).max() <= 2
    # 12 frames a second are 8 1/3 hundredths each: 8, 9 (16.67), 8 (25), ... in milliseconds.
    assert durations == [80, 90, 80, 80, 90, 80, 80] and sum(durations) == round(100 * 7 / 12) * 10
    assert (comment, loop) == ("Software: ganvas\nCopyright: CC BY-SA 4.0, ümlaut", 0)
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]


def test_gray_is_exact_and_many_colours_are_near(tmp_path):
    gray = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(2, 0)
    gray[1] = gray[1, ::-1]
    save_gif(tmp_path / "gray.gif", gray, 5)
    assert np.array_equal(read_gif(tmp_path / "gray.gif")[1], gray.repeat(3, -1))
    y, x = np.mgrid[:64, :64] * 4
    colours = np.stack([x, y, 255 - x], -1).astype(np.uint8)[None]  # 4096 of them, 256 are kept
    save_gif(tmp_path / "colours.gif", colours, 5)
    off = np.abs(read_gif(tmp_path / "colours.gif")[1].astype(int) - colours)
    assert 0 < off.mean() < 4.5 and off.max() < 20


def test_frames_that_are_alike_last_longer(tmp_path):
    frames = plain()[[0, 0, 0, 1, 2]]
    save_gif(tmp_path / "a.gif", frames, 10)
    durations, found, _ = read_gif(tmp_path / "a.gif")
    assert durations == [300, 100, 100] and tuple(found[1, 0, 0]) == (0, 255, 0)
    save_gif(tmp_path / "one.gif", frames[:1], 10)
    with Image.open(tmp_path / "one.gif") as picture:
        assert getattr(picture, "n_frames", 1) == 1 and picture.size == (26, 18)


@pytest.mark.parametrize("channels", [1, 3])
def test_an_mp4_read_back(channels, tmp_path):
    """Decoded by PyAV with the matrix that the file names; an odd side has got one more pixel."""
    av = pytest.importorskip("av", reason="needs PyAV")
    frames = plain(33, 42)[..., :channels]
    save_mp4(tmp_path / "a.mp4", frames, 12.5, TEXTS)
    with av.open(tmp_path / "a.mp4") as container:
        (stream,) = container.streams
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height, float(stream.average_rate)) == (42, 34, 12.5)
        assert (
            container.metadata["copyright"] == TEXTS["Copyright"]
            and "Software: ganvas" in container.metadata["comment"]
        )
        decoded = [*container.decode(video=0)]
        assert [float(frame.pts * frame.time_base) for frame in decoded] == pytest.approx(np.arange(7) / 12.5)
        assert {(frame.colorspace, frame.color_range) for frame in decoded} == {(1, 1)}  # BT.709, 16 to 235
        found = np.stack([frame.to_ndarray(format="rgb24") for frame in decoded]).astype(int)
    assert found.shape == (7, 34, 42, 3)
    expected = frames.repeat(4 - channels, -1)[..., :3]
    inside = np.r_[2:18, 24:40]  # not at the edge between the halves, which two pixels share
    assert np.abs(found[:, :33, inside] - expected[:, :, inside]).max() <= 6
    assert np.abs(found[:, 33] - found[:, 32]).max() <= 6
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_small_frames_are_enlarged_by_a_whole_factor():
    frames = np.arange(2 * 3 * 4 * 1, dtype=np.uint8).reshape(2, 3, 4, 1)
    large = enlarged(frames, 9)
    assert large.shape == (2, 9, 12, 1) and np.array_equal(large[:, 1::3, 1::3], frames)
    assert np.array_equal(large[0, :3, :3, 0], np.zeros((3, 3)))
    assert enlarged(frames, 2).shape == frames.shape


@pytest.mark.parametrize("save", [save_gif, save_mp4])
def test_what_cannot_be_written(save, tmp_path, monkeypatch):
    if save is save_mp4:
        pytest.importorskip("av", reason="needs PyAV")
    path = tmp_path / "a"
    for frames in (plain()[:0], plain()[0], plain()[..., :2], plain().astype(np.float32)):
        with pytest.raises(UserError, match="frames are uint8"):
            save(path, frames, 10)
    for fps in (0, 1000, float("nan")):
        with pytest.raises(UserError, match=r"frames a second are from 0\.1 to"):
            save(path, plain(), fps)
    with pytest.raises(UserError, match="cannot write to"):
        save(tmp_path / "nowhere" / "a", plain(), 10)
    assert not list(tmp_path.iterdir())
    if save is save_mp4:
        monkeypatch.setitem(sys.modules, "av", None)
        with pytest.raises(UserError, match=r'pip install "ganvas\[video\]"'):
            save(path, plain(), 10)
