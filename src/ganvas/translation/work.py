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
from ganvas.translation.reading import Read, read
from ganvas.translation.tiles import Tiling, translate_tiled, translate_whole
from ganvas.translation.translator import Translator
from ganvas.translation.writing import LONGEST, encode

WRITERS = 2
"""Threads that encode and write, beside one that reads: more would hold more pictures in memory."""


@dataclass(frozen=True)
class Job:
    """One picture on its way.

    Attributes:
        number: Its place among those of the source.
        read: What was read of it; None if it cannot be used.
        note: Why not, or what a reader should know of it.
        pixels: What it became; None until then.
    """

    number: int
    read: Read | None
    note: str | None = None
    pixels: UInt8[np.ndarray, "H W C"] | None = None


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

    def __call__(self, numbers: Sequence[int], report: Progress) -> Iterator[Job]:
        """Does it.

        Args:
            numbers: Which pictures.
            report: Called with what is being done, how many are done, and how many there are, pictures or tiles of one.

        Yields:
            The pictures as they are written, without pixels where they cannot be used; roughly in order.

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
        channels, side = self.translator.inputs, self.size or self.run.config.size
        try:
            found = read(self.decoder, self.source.items[number], channels, side, self.size)
        except Unusable as error:
            return Job(number, None, str(error))
        height, width, _ = found.pixels.shape
        if max(height, width) > LONGEST.get(self.kind, height + width):
            return Job(
                number, None, f"{width}x{height} pixels are more than {self.kind} can hold: give another --format"
            )
        return Job(number, found, found.note)

    def computed(self, jobs: Iterable[Job], progress: Callable[[int, int], None]) -> Iterator[Job]:
        """Translates pictures: small ones of one size that follow each other together, large ones in tiles."""
        together: list[Job] = []
        for job in jobs:
            if job.read is None:
                yield job
                continue
            shape = job.read.pixels.shape
            if together and (_shape(together[0]) != shape or len(together) == self.at_once(shape)):
                yield from self.at_a_time(together)
                together = []
            if self.tiling.whole(*shape[:2]):
                together.append(job)
            else:
                seed = self.seed + job.number
                pixels = translate_tiled(self.translator, job.read.pixels, seed, self.tiling, progress)
                yield replace(job, pixels=pixels)
        if together:
            yield from self.at_a_time(together)

    def at_a_time(self, jobs: Sequence[Job]) -> Iterator[Job]:
        """Translates pictures of one size, each in one piece."""
        given = [job.read.pixels for job in jobs if job.read]
        found = translate_whole(self.translator, given, [self.seed + job.number for job in jobs])
        for job, pixels in zip(jobs, found, strict=True):
            yield replace(job, pixels=pixels)

    def at_once(self, shape: tuple[int, ...]) -> int:
        """How many pictures of this size pass through the network together."""
        height, width = (self.translator.padded(length) for length in shape[:2])
        return self.tiling.at_once(height, width, self.translator.device)

    def written(self, job: Job) -> Job:
        """Encodes and writes a picture."""
        if job.read is None or job.pixels is None:
            return job
        path = self.paths[job.number]
        data = encode(job.pixels, job.read, self.kind, self.quality, self.about(job.number))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, data)
        except OSError as error:
            more = "; --continue goes on with the pictures that are missing" if len(self.paths) > 1 else ""
            raise UserError(f"cannot write {printable(str(path))}: {error.strerror or error}{more}") from error
        return replace(job, read=None)

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


def _shape(job: Job) -> tuple[int, ...]:
    return job.read.pixels.shape if job.read else ()
