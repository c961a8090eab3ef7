"""Speed and memory of `ganvas translate`: `python benchmarks/translate.py --system pix2pix --preset demo`.

Each picture goes through the command in a process of its own, file to file; the peak of its resident memory counts
Python and PyTorch as well. Without `--run` a run is made first, one step long on random pairs: speed and memory do not
depend on what the weights are.

    python benchmarks/translate.py --run runs/maps --width 4000 --height 3000
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import ganvas
from ganvas.engine.folder import environment
from ganvas.launch import override
from ganvas.systems import find_preset

MEASURED = """
import json, pathlib, re, resource, sys
from ganvas.cli import run
status = run(sys.argv[1:])
memory = pathlib.Path("/proc/self/status")
if memory.exists():
    peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", memory.read_text())[1]) * 1024
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps({"status": status, "peak": peak}))
"""
"""Runs the command and says how much memory that took at most, in bytes.

Linux's getrusage begins at the peak of the process that started this one, which may have trained.
"""


def make_run(folder: Path, args: argparse.Namespace) -> Path:
    preset = find_preset(args.system, args.preset)
    changes = {"size": args.size, "width": args.channels_wide}
    size = override(preset, {k: v for k, v in changes.items() if v is not None}).config.size
    channels = {"a": preset.config.source_channels, "b": preset.config.channels}
    generator = np.random.default_rng(0)
    for side, count in channels.items():
        (folder / side).mkdir()
        for number in range(4):
            values = generator.integers(0, 256, (size, size, 3), dtype=np.uint8)
            Image.fromarray(values).convert("L" if count == 1 else "RGB").save(folder / side / f"{number}.png")
    ganvas.train(
        args.system, args.preset, data=f"{folder / 'a'}::{folder / 'b'}", out=folder / "run", device=args.device,
        steps=1, batch=2, grid_every=0, score_every=0, load_size=0, cache=folder / "cache",
        **{k: v for k, v in changes.items() if v is not None},
    )  # fmt: skip
    return folder / "run"


def photograph(path: Path, width: int, height: int) -> None:
    """A picture as smooth as photographs are, so that encoding takes no longer than of one."""
    noise = np.random.default_rng(0).integers(0, 256, (height // 16 + 1, width // 16 + 1, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC).save(path)


def measure(run: Path, source: Path, out: Path, flags: list[str]) -> dict[str, Any]:
    words = ["translate", str(run), str(source), str(out), "--json", "--force", *flags]
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *words], capture_output=True, text=True, env=os.environ, check=False
    )
    seconds = time.perf_counter() - start
    if done.returncode or not done.stdout:
        raise SystemExit(done.stderr)
    found, used = (json.loads(line) for line in done.stdout.splitlines() if re.match(r"\{", line))
    if used["status"]:
        raise SystemExit(done.stderr)
    return {
        "megapixels": found["megapixels"],
        "megapixels_per_second": found["megapixels_per_second"],
        "seconds": found["seconds"],
        "seconds_with_start": round(seconds, 2),
        "peak_mib": round(used["peak"] / 2**20),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="a run that translates; one is made if not given")
    parser.add_argument("--system", default="pix2pix")
    parser.add_argument("--preset", default="demo")
    parser.add_argument("--size", type=int, help="side of the pictures in training, pixels; the preset's, if not given")
    parser.add_argument("--channels-wide", type=int, help="the system's setting `width`; the preset's, if not given")
    parser.add_argument("--width", type=int, default=4000, help="of the large picture, pixels")
    parser.add_argument("--height", type=int, default=3000)
    parser.add_argument("--count", type=int, default=64, help="pictures of the folder of small ones")
    parser.add_argument("--tile", type=int, default=512)
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--device", default="cpu", choices=("auto", "cpu", "cuda", "mps"))
    parser.add_argument("--out", type=Path, help="also write the figures there, as JSON")
    args = parser.parse_args()
    flags = ["--tile", str(args.tile), "--precision", args.precision, "--device", args.device]
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        run = args.run or make_run(place, args)
        settings = ganvas.Run(run, "cpu").settings
        size = settings.chosen.config.size
        photograph(place / "large.png", args.width, args.height)
        (place / "small").mkdir()
        for number in range(args.count):
            photograph(place / "small" / f"{number}.png", size, size)
        for name, source, out in (
            (f"{args.width}x{args.height}", "large.png", "large-out.png"),
            (f"{args.width}x{args.height} to jpg", "large.png", "large-out.jpg"),
            (f"{args.count} of {size}x{size}", "small", "small-out"),
        ):
            rows[name] = measure(run, place / source, place / out, flags)
    title = f"{settings.system} {settings.preset}, {size} px"
    print(f"{title}, tiles of {args.tile} px, {args.precision}")
    print(f"{'':24} megapixels/s   seconds (with start)   peak MiB")
    for name, row in rows.items():
        print(
            f"{name:24} {row['megapixels_per_second']:12.2f} {row['seconds']:9.2f} ({row['seconds_with_start']:.2f})"
            f" {row['peak_mib']:17}"
        )
    if args.out:
        about = {"command": " ".join(["python", *sys.argv]), "environment": environment()}
        facts = {"run": title, "tile": args.tile, "precision": args.precision, "rows": rows}
        args.out.write_text(json.dumps(about | facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
