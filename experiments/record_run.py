"""Keep what a run gave: `python experiments/record_run.py RUN results/NAME`.

Writes, into a new folder, the last grid, the grids along the way as one picture, the loss curves, and `run.json` with
command, commit, machine, settings, steps, minutes of training, and every line of its log.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from PIL import Image

from ganvas.engine.log import read_stats
from ganvas.viz.curves import loss_curves


def timeline(grids: list[Path], out: Path, count: int = 8, rows: int = 2) -> None:
    """The first rows of some of the grids, evenly chosen, one below the other."""
    chosen = [grids[round(i * (len(grids) - 1) / (count - 1))] for i in range(count)]
    pictures = [Image.open(path) for path in chosen]
    height = round(pictures[0].height * rows / 8)  # grids of 64 have 8 rows
    sheet = Image.new("RGB", (pictures[0].width, height * count), "white")
    for i, picture in enumerate(pictures):
        sheet.paste(picture.crop((0, 0, picture.width, height)), (0, i * height))
    sheet.save(out, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    args.out.mkdir(parents=True)
    config = json.loads((args.run / "config.json").read_text())
    environment = json.loads((args.run / "environment.json").read_text())
    stats = read_stats(args.run / "stats.jsonl")
    batch = config["training"]["batch"]
    seconds, before = 0.0, 0
    losses = [entry for entry in stats if "event" not in entry]
    for entry in losses:
        seconds += (entry["step"] - before) * batch / entry["images_per_second"]
        before = entry["step"]
    grids = sorted((args.run / "samples").glob("step-*.png"))
    shutil.copy(grids[-1], args.out / "grid.png")
    shutil.copy(args.run / "samples" / "real.png", args.out / "real.png")
    timeline(grids[1:], args.out / "timeline.png")
    loss_curves(stats, args.out / "curves.png", f"{config['system']} {config['preset']}, {before} steps")
    if licence := config["data"]["licence"]:
        (args.out / "LICENCE-OF-PICTURES.txt").write_text(licence + "\n")
    # Where things lay on the machine says nothing to anybody else.
    words = [Path(word).name if Path(word).is_absolute() else word for word in environment.pop("command")]
    record = {
        "command": " ".join(words),
        "steps": before,
        "minutes": round(seconds / 60, 1),
        "environment": environment,
        "config": config,
        "stats": stats,
    }
    (args.out / "run.json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"{before} steps, {seconds / 60:.1f} minutes of training: {args.out}")


if __name__ == "__main__":
    main()
