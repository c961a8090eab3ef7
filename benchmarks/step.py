"""Speed of a training step: `python benchmarks/step.py unetgan --size 128 --width 32 --batch 8`.

Four things run in turn, over and over, so that a machine whose speed drifts slows all of them alike; medians count.

* `ganvas`: the step as `ganvas train` makes it, with its choice of precision.
* `naive`: the same networks and losses in float32, contiguous, unfolded, with a power iteration of spectral norm at
  every forward pass, and PyTorch's default Adam: what the published code does.
* `peak`: a plain 3x3 convolution, the fastest of several shapes, in the precision of `ganvas`.
* `data`: drawing a batch from 2,000 prepared pictures of that size.
* `overhead`: the step of the same system with the narrowest networks there are, on two pictures: what it costs to call
  everything that a step calls, with next to nothing to compute.

GFLOP an image are counted while a step runs (2 for a multiply and an add, convolutions and matrix products).
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from ganvas.data import DataOptions, Sampler, open_data
from ganvas.engine.checkpoint import State
from ganvas.engine.distributed import Ranks
from ganvas.engine.ema import Average
from ganvas.engine.folder import environment, setting_names
from ganvas.engine.loop import Loop
from ganvas.engine.precision import autocast, resolve_device, resolve_precision
from ganvas.launch import override
from ganvas.losses.perceptual import VGG
from ganvas.nn.optim import FusedAdam
from ganvas.nn.weights import reference_scope
from ganvas.systems import find, find_preset

# Settings that make a step of each kind, by system; a system that is not named has one kind.
VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "unetgan": {"plain": {"cutmix": 0.0, "consistency": 0.0}, "cutmix": {"cutmix": 1.0, "cutmix_warmup": 0}},
    # The steps after both warm-ups.
    "simgan": {"step": {"refiner_warmup": 0, "discriminator_warmup": 0}},
    "srgan": {
        "srresnet": {"adversarial_weight": 0.0, "content": "mse"},
        "mse": {"adversarial_weight": 1e-3, "content": "mse"},
        "vgg22": {"adversarial_weight": 1e-3, "content": "vgg", "vgg_layer": (2, 2)},
        "vgg54": {"adversarial_weight": 1e-3, "content": "vgg", "vgg_layer": (5, 4)},
    },
    "gancls": {"cls": {"interpolate": False}, "int-cls": {"interpolate": True}},
    "gawwn": {"box": {"model": "box"}, "keypoints": {"model": "keypoints"}},
}
# What `auto` stands for, as in the papers: numbers in an embedded caption, and parts of a bird.
FROM_DATA = {"classes": 2, "embedding": 1024, "keypoints": 15}
# Settings that make the networks as narrow as can be.
NARROWEST: dict[str, dict[str, Any]] = {
    "gan": {"width": 1, "generator_layers": (1, 1), "maxout_units": (1, 1)},
    "cgan": {"width": 1, "units": 24},
    "srgan": {"width": 1, "content": "mse"},
}


class Step:
    """One training step of a system, ready to be called again and again."""

    def __init__(self, name: str, config: Any, training: Any, sampler: Sampler, ranks: Ranks, naive: bool) -> None:
        torch.manual_seed(0)
        layout = torch.contiguous_format if naive else torch.channels_last
        system = find(name).SYSTEM(config).to(ranks.device, memory_format=layout)
        optimizers = system.optimizers()
        if naive:
            optimizers = {
                key: {FusedAdam: torch.optim.Adam}.get(type(optimizer), type(optimizer))(
                    [
                        {key: group[key] for key in ("params", "lr", "betas", "momentum") if key in group}
                        for group in optimizer.param_groups
                    ]
                )
                for key, optimizer in optimizers.items()
            }

        class Contiguous:
            def batch(self, *place: int, **more: int) -> dict[str, torch.Tensor]:
                return {key: value.contiguous() for key, value in sampler.batch(*place, **more).items()}

        self.precision = "fp32" if naive else resolve_precision(training.precision, ranks.device)
        context = reference_scope if naive else partial(autocast, self.precision, ranks.device)
        self.loop = Loop(
            State(system, optimizers, Average(system, training.ema, 0)),
            Contiguous() if naive else sampler,
            training,
            ranks,
            context,
            checkpoints=None,
            log=None,
            about={},
            preview=None,
            judge=None,
            report=None,
            stop=None,
        )
        system.train()

    def __call__(self) -> None:
        self.loop.step()

    def gflop_an_image(self) -> float:
        with FlopCounterMode(display=False) as counter:
            self()
        return counter.get_total_flops() / self.loop.training.batch / 1e9


class Peak:
    """A 3x3 convolution, the fastest of several shapes; `gflops` holds the rate of every call."""

    def __init__(self, precision: str, device: torch.device) -> None:
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self.cases = []
        for channels, side in ((64, 64), (128, 32), (256, 16)):
            x = torch.randn(16, channels, side, side, dtype=dtype, device=device)
            w = torch.randn(channels, channels, 3, 3, dtype=dtype, device=device)
            x, w = (t.contiguous(memory_format=torch.channels_last) for t in (x, w))
            self.cases.append((x, w, 2 * 9 * 16 * channels**2 * side**2 / 1e9))
        self.gflops: list[float] = []

    def __call__(self) -> None:
        best = 0.0
        with torch.no_grad():
            for x, w, gflop in self.cases:
                best = max(best, *(gflop / seconds(partial(F.conv2d, x, w, padding=1), x.device) for _ in range(4)))
        self.gflops.append(best)


def seconds(run: Any, device: torch.device) -> float:
    start = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def pictures(folder: Path, name: str, config: Any, count: int = 2000) -> Any:
    """Prepared random pictures of two classes, on both sides where there are two; points where those are learnt."""
    size, channels, sides = config.size, config.channels, find(name).SYSTEM.sides
    if size == 1:
        data = "mixtures2d" if sides else "normal1d"
        return open_data(data, DataOptions(), size=1, channels=channels, source_channels=channels, sides=sides)
    generator = np.random.default_rng(0)
    for label in "01":
        (folder / "pictures" / label).mkdir(parents=True)
    for i in range(count):
        noise = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((size, size)).save(folder / "pictures" / str(i % 2) / f"{i}.bmp")
    options, data = DataOptions(cache=folder / "cache"), str(folder / "pictures")
    if hasattr(config, "embedding"):
        return described(folder / "pictures", options, config, count)
    if (scale := getattr(config, "scale", 1)) > 1:
        return open_data(data, options, size=size, channels=channels, sides=sides, scale=scale)
    if not sides:
        return open_data(data, options, size=size, channels=channels)
    return open_data(
        f"{data}::{data}", options, size=size, channels=channels, source_channels=config.source_channels, sides=sides
    )


def described(folder: Path, options: DataOptions, config: Any, count: int) -> Any:
    """The same pictures, each with four embedded captions, a box and keypoints, all of them random."""
    random = np.random.default_rng(1)
    parts = [f"part {k}" for k in range(FROM_DATA["keypoints"])]
    rows = []
    for i in range(count):
        points = {part: [*random.random(2), int(random.random() < 0.8)] for part in parts}
        row = {"file_name": f"{i % 2}/{i}.bmp", "label": i % 2, "bbox": [*random.random(2) / 2, 0.4, 0.4]}
        rows.append(json.dumps(row | {"keypoints": points}))
    (folder / "metadata.jsonl").write_text("\n".join(rows))
    captions = folder.parent / "captions.npy"
    np.save(captions, random.standard_normal((count, 4, config.embedding)).astype(np.float32))
    options = replace(options, embeddings=captions)
    needs = frozenset({"image", "text", "boxes", "keypoints"})
    return open_data(str(folder), options, size=config.size, channels=config.channels, needs=needs)


def measure(name: str, args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    preset = find_preset(name, args.preset)
    changes = {key: getattr(args, key) for key in ("size", "width") if getattr(args, key) is not None}
    changes |= {key: value for key, value in FROM_DATA.items() if getattr(preset.config, key, 0)}
    preset = override(preset, changes)
    training = replace(preset.training, batch=args.batch, micro_batch=0, device=args.device)
    if args.precision is not None:
        training = replace(training, precision=args.precision)
    ranks = Ranks(device=resolve_device(args.device))
    size = preset.config.size
    prepared = pictures(folder, name, preset.config)
    sampler = partial(prepared.sampler, seed=0, options=DataOptions(), device=ranks.device, size=size)
    pair, sampler = sampler(batch=2), sampler(batch=args.batch)
    kinds = VARIANTS.get(name, {"step": {}})
    if args.kinds:
        kinds = {kind: kinds[kind] for kind in args.kinds}
    if "vgg_weights" in setting_names(preset.config):  # random ones take as long
        weights = folder / "vgg.pt"
        torch.save(VGG(preset.config.vgg).state_dict(), weights)
        preset = override(preset, {"vgg_weights": weights})
    steps, flops, narrow = {}, {}, {}
    for kind, options in kinds.items():
        narrowest = override(preset, options | NARROWEST.get(name, {"width": 1})).config
        narrow[kind] = Step(name, narrowest, replace(training, batch=2), pair, ranks, False)
        for naive in (False, True):
            step = Step(name, override(preset, options).config, training, sampler, ranks, naive)
            steps[kind, naive] = step
            # Counted unfolded too; run outside the timing, it is the warm-up as well.
            flops[kind, naive] = step.gflop_an_image()
    precision = steps[next(iter(kinds)), False].precision
    peak, times, data = Peak(precision, ranks.device), {key: [] for key in steps}, []
    calling: dict[str, list[float]] = {kind: [] for kind in kinds}
    for repeat in range(args.repeats):
        peak()
        for key, step in steps.items():
            gc.collect()
            step()  # the caches hold another network's weights
            times[key].append(seconds(step, ranks.device))
        for kind, step in narrow.items():
            calling[kind] += [seconds(step, ranks.device) for _ in range(3)]
        data += [seconds(partial(sampler.batch, repeat * 10 + i), ranks.device) for i in range(10)]
    top, drawing = max(peak.gflops), statistics.median(data)
    rows = []
    for kind in kinds:
        fast, slow = times[kind, False], times[kind, True]
        median = statistics.median(fast)
        achieved = flops[kind, False] * args.batch / median
        rows.append(
            {
                "step": kind,
                "images_per_second": args.batch / median,
                "naive_images_per_second": args.batch / statistics.median(slow),
                "speedup": statistics.median(b / a for a, b in zip(fast, slow, strict=True)),
                "gflop_an_image": flops[kind, False],
                "naive_gflop_an_image": flops[kind, True],
                "achieved_gflops": achieved,
                "share_of_peak": achieved / top,
                "data_share": drawing / median,
                "overhead_share": statistics.median(calling[kind]) / median,
                "seconds": fast,
                "naive_seconds": slow,
            }
        )
    return {"precision": precision, "peak_gflops": top, "peak_gflops_runs": peak.gflops, "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("system")
    parser.add_argument("--preset", default="demo")
    parser.add_argument("--size", "--crop", type=int)
    parser.add_argument("--kinds", nargs="+", help="which kinds of step, of a system that has several")
    parser.add_argument("--width", type=int)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), help="the preset's, if not given")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--out", type=Path, help="also write the figures there, as JSON")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(args.system, args, Path(folder))
    print(f"{args.system}, batch {args.batch}, {result['precision']}; medians of {args.repeats} interleaved runs")
    print(f"convolution peak {result['peak_gflops']:.0f} GFLOP/s")
    print("step     images/s   naive  speed-up  GFLOP/image (naive)  GFLOP/s  of peak  data   overhead")
    for row in result["rows"]:
        print(
            f"{row['step']:8} {row['images_per_second']:8.2f} {row['naive_images_per_second']:7.2f} "
            f"{row['speedup']:8.2f}x {row['gflop_an_image']:11.2f} ({row['naive_gflop_an_image']:.2f})"
            f" {row['achieved_gflops']:11.0f} {row['share_of_peak']:8.0%} {row['data_share']:6.2%}"
            f" {row['overhead_share']:7.1%}"
        )
    if args.out:
        about = {"command": " ".join(["python", *sys.argv]), "environment": environment()}
        args.out.write_text(json.dumps(about | result, indent=2) + "\n")


if __name__ == "__main__":
    main()
