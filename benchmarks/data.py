"""Speed and memory of preparing pictures: `python benchmarks/data.py --count 10000`.

Makes that many JPEG files of random blobs, prepares them at 64 px into an empty cache, and prints
pictures a second, how many cores were busy, and the memory of the process along the way; then opens them again.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ganvas.data import DataOptions, open_data
from ganvas.engine.folder import environment


def make_pictures(folder: Path, count: int) -> None:
    generator = np.random.default_rng(0)
    folder.mkdir()
    for i in range(count):
        blobs = Image.fromarray(generator.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        blobs.resize((400, 300), Image.Resampling.BICUBIC).save(folder / f"{i:06d}.jpg", quality=90)


def resident() -> float:
    """Anonymous memory of this process, MB: what it allocated, without the pages of mapped files."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1000
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--out", type=Path, help="also write the figures there, as JSON")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_pictures(folder / "pictures", args.count)
        memory: list[tuple[int, float]] = []

        def progress(what: str, done: int, total: int) -> None:
            if done % max(1, total // 10) == 0 and total >= args.count // 2:
                memory.append((done, resident()))

        options = DataOptions(cache=folder / "cache")
        wall, cpu = time.perf_counter(), time.process_time()
        open_data(folder / "pictures", options, size=args.size, progress=progress)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        start = time.perf_counter()
        open_data(folder / "pictures", options, size=args.size)
        again = time.perf_counter() - start
    result: dict[str, Any] = {
        "pictures": args.count,
        "seconds": wall,
        "cores_busy": cpu / wall,
        "cores": os.cpu_count(),
        "memory_mb": memory,
        "seconds_to_open_again": again,
    }
    print(f"{args.count} JPEGs of 400x300 to {args.size} px: {wall:.1f} s, {args.count / wall:.0f} pictures/s")
    print(f"cores busy: {cpu / wall:.2f} of {os.cpu_count()}; opened again in {again:.2f} s")
    print("memory, MB: " + ", ".join(f"{megabytes:.0f} after {done}" for done, megabytes in memory))
    if args.out:
        about = {"command": " ".join(["python", *sys.argv]), "environment": environment()}
        args.out.write_text(json.dumps(about | result, indent=2) + "\n")


if __name__ == "__main__":
    main()
