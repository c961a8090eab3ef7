"""Many pictures one after another: one thread reads ahead, this one computes, two encode and write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from ganvas.data.decode import Decoder
from ganvas.data.parallel import in_order
from ganvas.data.source import Progress, Source, Unusable, printable
from ganvas.engine.files import write_atomically
from ganvas.engine.folder import ganvas_version
from ganvas.errors import UserError
from ganvas.run import Run
from ganvas.translation.enlarging import bicubic, comparison, on_background
from ganvas.translation.reading import Read, read
from ganvas.translation.tiles import Drawn, Tiling, translate_tiled, translate_whole
from ganvas.translation.translator import Translator
from ganvas.translation.writing import LONGEST, MOST, encode
from ganvas.viz.grids import save_png

WRITERS = 2
"""Threads that encode and write, beside one that reads: more would hold more pictures in memory."""

LARGE = 2**26
"""Pixels: a larger result is written before the next is computed, so that it is alone in memory."""


@dataclass(frozen=True)
class Job:
    """One picture on its way.

    Attributes:
        number: Its place among those of the source.
        read: What was read of it; None if it cannot be used.
        note: Why not, or what a reader should know of it.
        pixels: What it became; None before and once it is written.
        size: Height and width of what was written; None until then.
    """

    number: int
    read: Read | None
    note: str | None = None
    pixels: Drawn | None = None
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Work:
    """What is done to each picture.

    Attributes:
        run: What is named in the files.
        translator: Its network.
        tiling: How large pictures are taken apart.
        source: The pictures.
        paths: For each picture the file to write.
        kind: Format of these.
        quality: Of JPEG and WebP.
        seed: Of the first picture.
        size: Pixels to resize shorter sides to, or None.
        decoder: Reads as training did.
        compares: For each picture the file that shows it before and after; empty for none.
    """

    run: Run
    translator: Translator
    tiling: Tiling
    source: Source
    paths: Sequence[Path]
    kind: str
    quality: int
    seed: int
    size: int | None
    decoder: Decoder
    compares: Sequence[Path] = ()

    def __call__(self, numbers: Sequence[int], report: Progress) -> Iterator[Job]:
        """Does it.

        Args:
            numbers: Which pictures.
            report: Called with what is being done, how many are done, and how many there are, pictures or tiles of one.

        Yields:
            The pictures as they are written, without a size where they cannot be used; roughly in order.

        Raises:
            UserError: One cannot be written, or the network cannot be used.
        """

        def of_tiles(done: int, total: int) -> None:
            if len(numbers) == 1:
                report("translating", done, total)

        with (
            in_order(self.taken, numbers, 1) as taken,
            in_order(self.written, self.computed(taken, of_tiles), WRITERS) as written,
        ):
            for done, job in enumerate(written, 1):
                if len(numbers) > 1:
                    report("translating", done, len(numbers))
                yield job

    def taken(self, number: int) -> Job:
        """Reads a picture."""
        channels, side, scale = self.translator.inputs, self.size or self.run.config.size, self.translator.scale
        try:
            found = read(self.decoder, self.source.items[number], channels, side, self.size, enlarged=scale > 1)
        except Unusable as error:
            return Job(number, None, str(error))
        height, width = (scale * length for length in found.pixels.shape[:2])
        shown = f"{width}x{height} pixels" + (f", {scale} times as many each way," if scale > 1 else "")
        if max(height, width) > LONGEST.get(self.kind, height + width):
            return Job(number, None, f"{shown} are more than {self.kind} can hold: give another --format")
        if scale > 1 and height * width > MOST:
            fits = int(min(height, width) * (MOST / (height * width)) ** 0.5) // scale
            return Job(number, None, f"{shown} are more than {MOST:,} in all: give --size {fits} or cut it up")
        return Job(number, found, found.note)

    def computed(self, jobs: Iterable[Job], progress: Callable[[int, int], None]) -> Iterator[Job]:
        """Translates pictures: small ones of one size and kind that follow each other together, large ones in tiles."""
        together: list[Job] = []
        for job in jobs:
            if job.read is None:
                yield job
                continue
            shape = job.read.pixels.shape
            if together and (_kind(together[0]) != _kind(job) or len(together) == self.at_once(shape)):
                yield from self.at_a_time(together)
                together = []
            if self.tiling.whole(*shape[:2]):
                together.append(job)
            else:
                seed = self.seed + job.number
                pixels = translate_tiled(self.translator, job.read.pixels, seed, self.tiling, progress)
                yield self.passed_on(replace(job, pixels=pixels))
        if together:
            yield from self.at_a_time(together)

    def at_a_time(self, jobs: Sequence[Job]) -> Iterator[Job]:
        """Translates pictures of one size, each in one piece."""
        given = [job.read.pixels for job in jobs if job.read]
        found = translate_whole(self.translator, given, [self.seed + job.number for job in jobs])
        for job, pixels in zip(jobs, found, strict=True):
            yield self.passed_on(replace(job, pixels=pixels))

    def passed_on(self, job: Job) -> Job:
        """A result for the threads that write, or written at once if it is large."""
        return self.written(job) if job.pixels is not None and job.pixels[..., 0].size > LARGE else job

    def at_once(self, shape: tuple[int, ...]) -> int:
        """How many pictures of this size pass through the network together."""
        height, width = (self.translator.padded(length) for length in shape[:2])
        return self.tiling.at_once(height, width, self.translator.device)

    def written(self, job: Job) -> Job:
        """Encodes and writes a picture."""
        if job.read is None or job.pixels is None:
            return job
        path, size = self.paths[job.number], job.pixels.shape[:2]
        where = compare = self.compares[job.number] if self.compares else path
        try:
            if self.compares:
                compare.parent.mkdir(parents=True, exist_ok=True)
                save_png(compare, self.comparison(job.read, job.pixels), self.about(job.number))
            where = path
            path.parent.mkdir(parents=True, exist_ok=True)
            drawn = self.as_written(job.pixels, job.read)
            write_atomically(path, encode(drawn.pixels, drawn, self.kind, self.quality, self.about(job.number)))
        except OSError as error:
            more = "; --continue goes on with the pictures that are missing" if len(self.paths) > 1 else ""
            raise UserError(f"cannot write {printable(str(where))}: {error.strerror or error}{more}") from error
        return replace(job, read=None, pixels=None, size=size)

    def as_written(self, pixels: Drawn, read: Read) -> Read:
        """A result with what its file is to say besides: transparency and resolution are enlarged with the picture.

        JPEG shows what is transparent before the run's background.
        """
        scale = self.translator.scale
        if scale == 1:
            return replace(read, pixels=pixels)
        alpha = None
        if read.alpha is not None:
            alpha = bicubic(read.alpha[:, :, None], scale)[:, :, 0]
            if self.kind == "jpg":
                pixels, alpha = on_background(pixels, alpha, self.decoder.background), None
            else:
                pixels[alpha == 0] = 0  # what cannot be seen has no colour
        return replace(read, pixels=pixels, alpha=alpha, dpi=read.dpi and (scale * read.dpi[0], scale * read.dpi[1]))

    def comparison(self, read: Read, pixels: Drawn) -> UInt8[np.ndarray, "H W 3"]:
        """A picture before and after."""
        settings, scale = self.run.settings, self.translator.scale
        words = ["before", "after"]
        if scale > 1:
            by = f"{settings.system} {settings.preset}, step {self.run.step:,}"
            words = [f"{scale} times by bicubic interpolation", f"{scale} times by {by}"]
        return comparison(read, pixels, scale, self.decoder.background, words)

    def about(self, number: int) -> dict[str, str]:
        """What a file says of where it comes from."""
        settings = self.run.settings
        source = f"{settings.system} {settings.preset}, step {self.run.step}, {self.translator.direction}"
        rights = dict.fromkeys(filter(None, (settings.data["licence"], self.source.licence)))
        return {
            "Software": f"ganvas {ganvas_version()}",
            "Source": f"{source}, seed {self.seed + number}",
            "Copyright": "; ".join(rights),
        }


def _kind(job: Job) -> tuple[object, ...]:
    """What pictures that pass through the network together have in common: size, channels and bits."""
    return (job.read.pixels.shape, job.read.pixels.dtype) if job.read else ()
