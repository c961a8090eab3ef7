"""Speed and memory of `ganvas translate`: `python benchmarks/translate.py --system pix2pix --preset demo`.

Each picture goes through the command in a process of its own, file to file; the peak of its resident memory counts
Python and PyTorch as well. Without `--run` a run is made first, one step long on random pairs: speed and memory do not
depend on what the weights are.

    python benchmarks/translate.py --run runs/maps --width 4000 --height 3000
    python benchmarks/translate.py --run runs/photos        # of srgan: pictures of 512 and 4,000 pixels

The network alone is what the calls of `System.translate` within the command take, tile for tile: so both are measured
at the same moment. `tiling` is how many times as long a pixel of the result takes as one of those tiles, from pixels to
pixels; `files` also counts reading, encoding and writing.
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
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import ganvas
from ganvas.engine.folder import environment
from ganvas.launch import override
from ganvas.systems import find_preset
from ganvas.translation.tiles import Tiling, translate_tiled, translate_whole

MEASURED = """
import json, pathlib, re, resource, sys, time
import torch
from ganvas.cli import run
from ganvas.run import Run
from ganvas.translation import work

network, whole = [0, 0.0], [0.0]

def timed(function, spent):
    def call(*given):
        start = time.perf_counter()
        found = function(*given)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        spent(found, time.perf_counter() - start)
        return found
    return call

def of_network(found, seconds):
    network[0] += found.numel() // found.shape[1]
    network[1] += seconds

def of_whole(found, seconds):
    whole[0] += seconds

translator = Run.translator

def watched(self, direction="AtoB"):
    found = translator(self, direction)
    found.system.translate = timed(found.system.translate, of_network)
    return found

Run.translator = watched
work.translate_tiled = timed(work.translate_tiled, of_whole)
work.translate_whole = timed(work.translate_whole, of_whole)
status = run(sys.argv[1:])
memory = pathlib.Path("/proc/self/status")
if memory.exists():
    peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", memory.read_text())[1]) * 1024
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps({"status": status, "peak": peak, "network": network, "whole": whole[0]}))
"""
"""Runs the command, and says how much memory that took at most, in bytes, and how long the network and all around it.

Linux's getrusage begins at the peak of the process that started this one, which may have trained.
"""


def make_run(folder: Path, args: argparse.Namespace) -> Path:
    preset = find_preset(args.system, args.preset)
    changes = {"size": args.size, "width": args.channels_wide}
    config = override(preset, {k: v for k, v in changes.items() if v is not None}).config
    sides = {
        "a": (config.source_channels, config.size // getattr(config, "scale", 1)), "b": (config.channels, config.size)
    }  # fmt: skip
    generator = np.random.default_rng(0)
    for side, (count, size) in sides.items():
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


def photograph(path: Path, width: int, height: int, of: Path | None) -> None:
    """A picture, or noise as smooth as photographs are, so that encoding takes no longer than of one."""
    if of is not None:
        with Image.open(of) as image:
            image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS).save(path)
        return
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
    pixels, alone = used["network"]
    return {
        "megapixels": found["megapixels"],
        "megapixels_per_second": found["megapixels_per_second"],
        "seconds": found["seconds"],
        "seconds_with_start": round(seconds, 2),
        "peak_mib": round(used["peak"] / 2**20),
        "network_megapixels_per_second": round(pixels / alone / 1e6, 3),
        "tiling": round(used["whole"] / found["megapixels"] / (alone / pixels * 1e6), 3),
        "files": round(found["seconds"] / found["megapixels"] / (alone / pixels * 1e6), 3),
    }


def seam(run: ganvas.Run, picture: Path, tile: int | None) -> float:
    """Levels of 255 by which a picture in tiles differs at most from what the network makes of it in one piece."""
    translator = run.translator()
    usual = Tiling.fitting(tile, None, None, translator.multiple, translator.scale)
    side = 6 * usual.overlap
    with Image.open(picture) as image:
        part = np.asarray(image.convert("RGB").crop((0, 0, 2 * side, side + side // 2)))[..., : translator.inputs]
    pixels = part.astype(np.uint16) * 257  # as 16 bits, so that rounding does not count
    whole = translate_whole(translator, [pixels], [0])[0].astype(int)
    tiled = translate_tiled(translator, pixels, 0, replace(usual, side=side))
    return round(float(abs(tiled - whole).max()) / 257, 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="a run that translates; one is made if not given")
    parser.add_argument("--system", default="pix2pix")
    parser.add_argument("--preset", default="demo")
    parser.add_argument("--size", type=int, help="side of the pictures in training, pixels; the preset's, if not given")
    parser.add_argument("--channels-wide", type=int, help="the system's setting `width`; the preset's, if not given")
    parser.add_argument("--width", type=int, default=4000, help="of the large picture, pixels")
    parser.add_argument("--height", type=int, default=3000)
    parser.add_argument("--medium", type=int, default=512, help="width of another, of a run that enlarges, pixels")
    parser.add_argument("--picture", type=Path, help="a photograph that these are made of; noise, if not given")
    parser.add_argument("--count", type=int, default=64, help="pictures of the folder of small ones")
    parser.add_argument("--tile", type=int, help="the command's own choice, if not given")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--device", default="cpu", choices=("auto", "cpu", "cuda", "mps"))
    parser.add_argument("--out", type=Path, help="also write the figures there, as JSON")
    args = parser.parse_args()
    flags = ["--precision", args.precision, "--device", args.device]
    flags += [] if args.tile is None else ["--tile", str(args.tile)]
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        run = args.run or make_run(place, args)
        opened = ganvas.Run(run, "cpu")
        settings = opened.settings
        size, scale = settings.chosen.config.size, getattr(settings.chosen.config, "scale", 1)
        photograph(place / "large.png", args.width, args.height, args.picture)
        photograph(place / "medium.png", args.medium, args.medium * args.height // args.width, args.picture)
        (place / "small").mkdir()
        for number in range(args.count):
            photograph(place / "small" / f"{number}.png", size // scale, size // scale, args.picture)
        large = f"{args.width}x{args.height}"
        jobs = [(large, "large.png", "large-out.png"), (f"{large} to jpg", "large.png", "large-out.jpg")]
        if scale > 1:
            jobs = [(f"{args.medium} px", "medium.png", "medium-out.png"), jobs[0]]
        for name, source, out in (*jobs, (f"{args.count} of {size // scale}x{size // scale}", "small", "small-out")):
            rows[name] = measure(run, place / source, place / out, flags)
        about = {"seam": seam(opened, place / "medium.png", args.tile)} if scale > 1 and args.tile != 0 else {}
    title = f"{settings.system} {settings.preset}, {size} px" + (f", {scale} times" if scale > 1 else "")
    tile = "tiles as by default" if args.tile is None else f"tiles of {args.tile} px"
    print(f"{title}, {tile}, {args.precision}")
    print(f"{'':24} megapixels/s  network alone   tiling   files   seconds (with start)   peak MiB")
    for name, row in rows.items():
        print(
            f"{name:24} {row['megapixels_per_second']:12.2f} {row['network_megapixels_per_second']:14.2f}"
            f" {row['tiling']:8.3f} {row['files']:7.3f} {row['seconds']:9.2f} ({row['seconds_with_start']:.2f})"
            f" {row['peak_mib']:17}"
        )
    for name, value in about.items():
        print(f"{name}: at most {value} gray levels from the picture in one piece")
    if args.out:
        made = {"command": " ".join(["python", *sys.argv]), "environment": environment()}
        facts = {"run": title, "tile": args.tile, "precision": args.precision, "rows": rows} | about
        args.out.write_text(json.dumps(made | facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
