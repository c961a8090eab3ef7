"""Do the scores say what they should? `python experiments/metrics_sanity.py` compares one half of openmoji with

* the other half: distances near zero, precision and coverage near those of equal distributions, no copying;
* noise: large distances, precision zero;
* the other half with a quarter replaced by copies of the first half, and with few pictures many times: both flagged.

Every comparison is of 800 pictures of 64 px, features of efficientnet_lite0; fewer than its 1280 features, so the
Frechet distance is refused and the kernel distance stands for it. Writes results/metrics_sanity.json. About 2 minutes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import ganvas
from ganvas.data import DataOptions, open_data
from ganvas.engine.folder import environment
from ganvas.errors import UserError

METRICS = ("kd", "prdc", "is", "diversity", "copies")


def folder_of(path: Path, pictures: np.ndarray) -> Path:
    path.mkdir()
    for number, pixels in enumerate(pictures):
        Image.fromarray(pixels).save(path / f"{number:04}.png")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=800, help="pictures on each side")
    parser.add_argument("--out", type=Path, default=Path("results/metrics_sanity.json"))
    args = parser.parse_args()
    data = open_data("openmoji", DataOptions(), size=64)
    random = np.random.default_rng(0)
    order = random.permutation(len(data))[: 2 * args.n]
    one, other = np.asarray(data.images[order[: args.n]]), np.asarray(data.images[order[args.n :]])
    quarter, few = args.n // 4, other[: args.n // 8]
    subjects = {
        "the other half": other,
        "noise": random.integers(0, 256, one.shape, dtype=np.uint8),
        "a quarter copied": np.concatenate([one[:quarter], other[quarter:]]),
        "few pictures, eight times each": np.concatenate([few] * 8),
    }
    found = {}
    with tempfile.TemporaryDirectory() as place:
        reference = folder_of(Path(place) / "one", one)
        for name, pictures in subjects.items():
            folder = folder_of(Path(place) / name.replace(" ", "-"), pictures)
            try:
                ganvas.evaluate(folder, data=reference, metrics=("fd",), n=8, reference=8)
                raise AssertionError("a Frechet distance of fewer pictures than features must be refused")
            except UserError as error:
                refused = str(error)
            evaluation = ganvas.evaluate(folder, data=reference, metrics=METRICS)
            found[name] = {
                "scores": {
                    score: {"value": round(at.value, 5)} | ({} if at.error is None else {"error": round(at.error, 5)})
                    for score, at in evaluation.scores.items()
                },
                "repeats": evaluation.scores["copies_efficientnet_lite0"].protocol["repeats"],
                "flags": evaluation.flags,
            }
            print(name, json.dumps(found[name], indent=1))
    features = evaluation.scores["kd_efficientnet_lite0"].protocol["features"]
    about = {"command": " ".join(["python", *sys.argv]), "environment": environment()}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    record = about | {"n": args.n, "features": features, "refused": refused, "against one half": found}
    args.out.write_text(json.dumps(record, indent=1) + "\n")
    print(args.out)


if __name__ == "__main__":
    main()
