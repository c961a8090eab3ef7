"""What the experiments on the U-Net GAN share: the runs of a study; how results are written is in findings.py.

The runs are those of `experiments/unetgan_ablation_DATA.toml`; `python experiments/unetgan_ablation.py DATA` trains
and scores them, the other experiments look into what it left.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import findings
from ganvas.data import open_data
from ganvas.data.sampler import to_float
from ganvas.losses.cutmix import cutmix_mask
from ganvas.metrics.pictures import Choice
from ganvas.run import Run
from ganvas.study import load_study
from ganvas.study.file import Study
from ganvas.study.plan import StudyRun

HERE = Path(__file__).parent
COLOURS = {
    "biggan": "tab:gray",
    "unet": "tab:blue",
    "unet-cutmix": "tab:orange",
    "unet-cutmix-consistency": "tab:red",
}


def arguments(description: str | None) -> argparse.Namespace:
    """The command line of every experiment here."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="openmoji or earth, or the path of another study of the same four variants")
    parser.add_argument("--runs", type=Path, help="where the runs are; runs/NAME of the study by default")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--n", type=int, default=500, help="pictures to look at, of a run")
    return parser.parse_args()


def study_of(data: str) -> Study:
    """The study of a set of data."""
    return load_study(data if data.endswith(".toml") else HERE / f"unetgan_ablation_{data}.toml")


def trained(study: Study, out: Path | None, variant: str) -> list[StudyRun]:
    """The finished runs of a variant, one a seed."""
    runs = [run for run in study.runs(out) if run.variant == variant]
    if missing := [run.name for run in runs if not run.trained]:
        sys.exit(f"{', '.join(missing)}: not trained yet, run experiments/unetgan_ablation.py first")
    return runs


def pictures_of(run: Run, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """As many pictures of the data and samples, (n, C, H, W) in [-1, 1]: the same ones for every run of a study."""
    config, options = run.config, run.settings.chosen.data
    prepared = open_data(run.settings.source, options, size=config.size, channels=config.channels)
    real = Choice.draw(prepared, n, 0, config.size)
    return to_float(real(range(len(real)))), run.sample(len(real), seed=10_000)


def masks(images: torch.Tensor) -> torch.Tensor:
    """A CutMix mask for every picture, the same ones each time."""
    torch.manual_seed(0)
    return cutmix_mask(len(images), *images.shape[2:], images.device)


def smooth(values: Sequence[float], width: int = 5) -> np.ndarray:
    """Running mean; shorter at the ends."""
    kernel = np.ones(min(width, len(values)))
    return np.convolve(values, kernel, "same") / np.convolve(np.ones(len(values)), kernel, "same")


def write(path: Path, study: Study, runs: Sequence[StudyRun], found: dict[str, Any]) -> None:
    """Writes what an experiment found, with what it takes to find it again."""
    findings.write(path, {"study": study.name} | found, study.seeds, runs)
