"""Held-out pictures that a run of pix2pix translates: input, output and truth, side by side.

`python experiments/pix2pix_pictures.py RUN DATA FILE.png` takes pairs from all over the data, none chosen.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

import ganvas
from ganvas.viz.grids import beside, grid, save_png
from pix2pix_runs import pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("data", help="with two sides, such as earth-maps:test")
    parser.add_argument("file", type=Path)
    parser.add_argument("--n", type=int, default=24, help="pairs")
    args = parser.parse_args()
    run = ganvas.load(args.run)
    config = run.config
    swap = run.settings.chosen.data.swap
    found = pairs(args.data, config.size, config.channels, config.source_channels, swap=swap)
    places = torch.linspace(0, len(found.source) - 1, min(args.n, len(found.source))).long()
    source, truth = found.source[places], found.truth[places]
    pictures, columns = beside(source, run.translate(source), truth)
    args.file.parent.mkdir(parents=True, exist_ok=True)
    save_png(args.file, grid(pictures, columns), {"Copyright": found.licence} if found.licence else None)
    print(args.file)


if __name__ == "__main__":
    main()
