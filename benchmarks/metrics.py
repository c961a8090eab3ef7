"""Speed of evaluation: `python benchmarks/metrics.py`.

The feature network alone, on input that is ready, and `ganvas.evaluate` of that many samples of a small run, with the
features of the data already cached, take turns: one round of each, over and over; medians count. Evaluation draws the
samples, resizes them, extracts features and computes the scores, so its share of the bare network's images/s says
what all the rest costs. Then the same in bf16, and by how much that changes the scores.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

import ganvas
from ganvas.data import DataOptions
from ganvas.engine.folder import environment
from ganvas.engine.precision import autocast, resolve_device
from ganvas.metrics import networks

METRICS = ("kd", "prdc", "is", "fd")


def bare(features: str, precision: str, device: torch.device, seconds: float) -> float:
    """Images a second through the feature network alone."""
    network = networks.find(features, device=device, precision=precision)
    pictures = torch.randint(0, 256, (network.chunk, 32, 32, 3), dtype=torch.uint8, device=device)
    inputs = network.prepare(pictures)
    done = 0
    with torch.no_grad(), autocast(network.precision, device):
        for _ in range(3):
            network.forward(inputs)
        start = time.perf_counter()
        while time.perf_counter() - start < seconds:
            network.forward(inputs)[0].cpu()  # a result has to arrive, on a GPU as well
            done += network.chunk
    return done / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="openmoji")
    parser.add_argument("--features", default="efficientnet_lite0")
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15.0, help="of the bare network, a round")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, help="also write the figures there, as JSON")
    args = parser.parse_args()
    device = resolve_device(args.device)
    found: dict[str, dict[str, float]] = {}
    scores: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        # One step at the size of the demo: what is drawn does not matter here, what it costs does.
        settings = {"steps": 1, "grid_every": 0, "score_every": 0, "device": args.device}
        run = ganvas.train("unetgan", "demo", data=args.data, out=path, **settings)
        options = DataOptions(cache=str(Path(folder) / "cache"))
        for precision in ("fp32", "bf16"):
            given = {
                "data": args.data,
                "metrics": METRICS if args.n > 1280 else METRICS[:-1],
                "features": args.features,
                "n": args.n,
            }
            given |= {"options": options, "device": args.device, "precision": precision}
            ganvas.evaluate(run, **given | {"n": max(64, args.n // 10), "metrics": ("kd",)})  # the data's, once
            rates: dict[str, list[float]] = {"bare": [], "features": [], "evaluate": []}
            for _ in range(args.repeats):
                rates["bare"].append(bare(args.features, precision, device, args.seconds))
                start = time.perf_counter()
                evaluation = ganvas.evaluate(run, **given)
                rates["evaluate"].append(args.n / (time.perf_counter() - start))
                rates["features"].append(evaluation.images_per_second)
            found[precision] = {name: round(statistics.median(values), 2) for name, values in rates.items()}
            ratios = [e / b for e, b in zip(rates["evaluate"], rates["bare"], strict=True)]
            found[precision]["evaluate / bare"] = round(statistics.median(ratios), 3)
            scores[precision] = {name: score.value for name, score in evaluation.scores.items()}
    change = {name: round(scores["bf16"][name] / value - 1, 5) for name, value in scores["fp32"].items() if value}
    print(f"{args.n} samples, {args.features}, images/s")
    for precision, rates_found in found.items():
        print(f"  {precision}  " + "  ".join(f"{name} {value:g}" for name, value in rates_found.items()))
    print("bf16 changes  " + "  ".join(f"{name} {value:+.2%}" for name, value in change.items()))
    if args.out:
        about = {"command": " ".join(["python", *sys.argv]), "environment": environment()}
        record = about | {"n": args.n, "images_per_second": found, "scores": scores, "bf16_change": change}
        args.out.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
