"""What the boxes of GAWWN cost: `python benchmarks/warps.py --preset demo --batch 16`.

The step of the box model as `ganvas train` makes it, and beside it, in turn, all that it does with boxes, forward and
backward: features laid into the box in the generator, cut out of it three times for the discriminator's loss and once
for the generator's, and masks. Medians of interleaved runs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from functools import partial
from pathlib import Path

import torch

from ganvas.data import DataOptions
from ganvas.engine.distributed import Ranks
from ganvas.engine.folder import environment
from ganvas.engine.precision import resolve_device, resolve_precision
from ganvas.launch import override
from ganvas.nn.boxes import box_mask, crop, paste
from ganvas.systems import find_preset
from ganvas.systems.gawwn import GRID
from step import FROM_DATA, Step, pictures, seconds

CROPS = {"with its gradient": 4, "masks": 5}
"""Cut out of real, generated and mismatched pictures, and once more for the generator; masks for these and one more."""


def warps(width: int, boxes: torch.Tensor, dtype: torch.dtype) -> None:
    """All that a step does with boxes; features have 2 `width` channels."""
    maps = torch.randn(len(boxes), 2 * width, GRID, GRID, dtype=dtype).contiguous(memory_format=torch.channels_last)
    maps.requires_grad_()
    moved = [paste(maps, boxes), *(crop(maps, boxes) for _ in range(CROPS["with its gradient"]))]
    torch.autograd.backward(moved, [torch.ones_like(one) for one in moved])
    for _ in range(CROPS["masks"]):
        box_mask(boxes, GRID, GRID)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="demo")
    parser.add_argument("--width", type=int)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--out", type=Path, help="also write the figures there, as JSON")
    args = parser.parse_args()
    changes = FROM_DATA | ({} if args.width is None else {"width": args.width})
    preset = override(find_preset("gawwn", args.preset), {k: v for k, v in changes.items() if k != "classes"})
    ranks = Ranks(device=resolve_device("cpu"))
    precision = resolve_precision("auto", ranks.device)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    with tempfile.TemporaryDirectory() as folder:
        data = pictures(Path(folder), "gawwn", preset.config, count=max(100, args.batch))
        sampler = data.sampler(
            batch=args.batch, seed=0, options=DataOptions(), device=ranks.device, size=preset.config.size
        )
        step = Step("gawwn", preset.config, override(preset, {"batch": args.batch}).training, sampler, ranks, False)
        boxes = sampler.batch(0)["boxes"]
        moving = partial(warps, preset.config.width, boxes, dtype)
        step()
        moving()
        whole, part = [], []
        for _ in range(args.repeats):
            whole.append(seconds(step, ranks.device))
            part.append(seconds(moving, ranks.device))
    share = statistics.median(part) / statistics.median(whole)
    print(
        f"a step {statistics.median(whole):.3f} s, its boxes {statistics.median(part):.4f} s: {share:.1%} ({precision})"
    )
    if args.out:
        about = {"command": " ".join(["python", *sys.argv]), "environment": environment()}
        found = {"precision": precision, "share": share, "step_seconds": whole, "box_seconds": part}
        args.out.write_text(json.dumps(about | found, indent=2) + "\n")


if __name__ == "__main__":
    main()
