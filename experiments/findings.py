"""What experiments share: runs that are trained where they are missing, intervals, and how results are written."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import numpy as np
import torch
from matplotlib import pyplot as plt

from ganvas.data import DataOptions, open_data
from ganvas.data.sampler import to_float
from ganvas.engine.distributed import Ranks
from ganvas.engine.folder import environment
from ganvas.metrics import networks
from ganvas.metrics.interval import Interval, difference, interval
from ganvas.metrics.pictures import features_of
from ganvas.study import load_study, run_study
from ganvas.study.file import Study
from ganvas.study.plan import StudyRun
from ganvas.study.results import minutes_of_training
from ganvas.viz.grids import to_bytes

HERE = Path(__file__).parent
START = time.perf_counter()


def arguments(description: str | None, study: str, n: int) -> argparse.Namespace:
    """The command line of an experiment that looks into the runs of a study.

    Args:
        description: The experiment's docstring.
        study: Name of the study.
        n: Pictures to look at, of a run, by default.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", type=Path, default=HERE / f"{study}.toml", help="another study of the same variants")
    parser.add_argument("--runs", type=Path, help=f"where the runs are; runs/{study} by default")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--parallel", type=int, default=2, help="runs at a time, where they must be trained")
    parser.add_argument("--n", type=int, default=n, help="pictures to look at, of a run")
    args = parser.parse_args()
    args.study = load_study(args.study)
    return args


def trained(study: Study, out: Path | None, names: Sequence[str], parallel: int = 1) -> dict[str, list[StudyRun]]:
    """The runs of some variants by name, one a seed; what is missing is trained, and scored where that is asked for."""
    part = dataclasses.replace(study, variants=tuple(v for v in study.variants if v.name in names))
    runs = {name: [run for run in part.runs(out) if run.variant == name] for name in names}
    if not all(run.finished for of in runs.values() for run in of):
        folder = Path("runs", study.name) if out is None else out
        result = run_study(part, out, parallel=parallel, results=folder)
        if result.stopped or result.failed:
            sys.exit("not all runs are trained: the same command goes on")
    return runs


def real_pictures(data: str, size: int, channels: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """All pictures of a set of data, (N, C, H, W) in [-1, 1], and their labels; shuffled, always alike."""
    prepared = open_data(data, DataOptions(flip=False), size=size, channels=channels)
    order = np.random.default_rng(0).permutation(len(prepared))
    labels = np.full(len(prepared), -1) if prepared.labels is None else prepared.labels
    return to_float(torch.from_numpy(prepared.images[order])), torch.from_numpy(labels[order])


def features(images: torch.Tensor) -> torch.Tensor:
    """Features of pictures in [-1, 1], of the network that scores take by default."""
    network = networks.find("efficientnet_lite0", device=torch.device("cpu"), precision="bf16")
    pixels = torch.from_numpy(to_bytes(images))
    return features_of(network, lambda numbers: pixels[list(numbers)], len(pixels), Ranks()).vectors


def batches(*tensors: torch.Tensor, size: int = 32) -> Iterator[tuple[torch.Tensor, ...]]:
    """Slices of tensors that belong together."""
    for start in range(0, len(tensors[0]), size):
        yield tuple(tensor[start : start + size] for tensor in tensors)


def said(found: Interval) -> dict[str, Any]:
    """An interval as JSON, with whether it excludes zero."""
    return asdict(found) | {"excludes_zero": found.excludes_zero}


def paired(a: Sequence[float], b: Sequence[float]) -> dict[str, Any]:
    """The interval of mean(a) - mean(b), seed by seed."""
    return said(difference(a, b, paired=True))


def over_seeds(values: Sequence[float]) -> dict[str, Any]:
    """The interval of a mean over seeds, with the values."""
    return {"per_seed": [round(value, 5) for value in values], **said(interval(values))}


def above(found: dict[str, Any]) -> bool:
    """Whether a difference is above zero with its whole interval."""
    return bool(found["excludes_zero"] and found["mean"] > 0)


def write(path: Path, found: dict[str, Any], seeds: Sequence[int], runs: Sequence[StudyRun] = ()) -> None:
    """Writes what an experiment found, with what it takes to find it again."""
    environments = [json.loads((run.path / "environment.json").read_text()) for run in runs]
    about: dict[str, Any] = {
        # Of files that lie elsewhere on each machine the name is enough.
        "command": " ".join(["python", *(Path(word).name if Path(word).is_absolute() else word for word in sys.argv)]),
        "environment": {key: value for key, value in environment().items() if key != "command"},
        "seeds": list(seeds),
        "minutes": round((time.perf_counter() - START) / 60, 2),
    }
    if runs:
        about["commits_of_the_runs"] = sorted({str(entry["commit"]) for entry in environments})
        about["minutes_of_training"] = {run.name: round(minutes_of_training(run), 2) for run in runs}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(about | found, indent=1) + "\n")
    print(json.dumps(found, indent=1))
    print(path)


def save(figure: plt.Figure, path: Path) -> None:
    """Writes a figure."""
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    print(path)


def show(axis: plt.Axes, picture: torch.Tensor, title: str = "") -> None:
    """Draws a picture (C, H, W) in [-1, 1] without axes."""
    axis.imshow((picture.permute(1, 2, 0).clamp(-1, 1) + 1) / 2, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axis.set_xticks([])
    axis.set_yticks([])
    if title:
        axis.set_title(title, fontsize=7)
