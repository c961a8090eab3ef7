"""F26: a visual Turing test of refined pictures, taken by a judge that is a classifier (SimGAN, section 3.1, table 1).

`python experiments/simgan_turing.py` makes the tests with `ganvas turing prepare`, of raw digits from fonts and of
those that each run has refined: 500 real pictures of `digits:test`, which no run has seen, and 500 others, so that
there are 1,000 answers, as the ten people of the paper gave. Two judges fill in the answers and `ganvas turing score`
scores them: one is trained on 1,000 real pictures (`digits:train`) and 1,000 of the others that are not in the test,
one on 50 of each. No people were asked.

The refiners change from one checkpoint to the next, so the mean of the weights of the last four is tested as well.
A judge is nearer to chance on refined pictures if the interval over seeds of its accuracy on raw less that on refined
lies above zero; it is near chance if the exact binomial intervals of all runs hold one half.

Writes results/simgan_turing.json and .png. A minute a run on one core, and four for the judges.
"""

from __future__ import annotations

import csv
import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from matplotlib import pyplot as plt

from findings import above, arguments, over_seeds, paired, real_pictures, save, trained, write
from ganvas.data import DataOptions, open_data
from ganvas.data.sampler import to_float
from ganvas.metrics import turing
from ganvas.metrics.judges import Classifier, train_classifier
from ganvas.run import Run
from simgan_refined import HELD_OUT, LAST, opened, refined, rows_of_pictures, sides

FULL = "full"
AVERAGED = "averaged"
"""Refined by the mean of the weights of the last checkpoints."""
SEEN = {"judge of 1,000": 1000, "judge of 50": 50}
COLOURS = {"raw": "tab:blue", "refined": "tab:red", AVERAGED: "tab:orange"}
STEPS = 300
"""Of a judge's training, about."""


def named(source: str, size: int) -> tuple[torch.Tensor, list[str]]:
    """All pictures of a source in its own order, (N, 1, H, W) in [-1, 1], and their names."""
    data = open_data(source, DataOptions(flip=False), size=size, channels=1)
    return to_float(torch.from_numpy(np.array(data.images))), data.names


def answer(folder: Path, judge: Classifier, size: int) -> turing.Confusion:
    """Fills in the answers of a test as the judge gives them, and scores them."""
    pictures, names = named(str(folder / "pictures"), size)
    path = folder / "judge.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(turing.HEADER)
        for name, said in zip(names, judge.classes(pictures).tolist(), strict=True):
            rows.writerow([Path(name).name, (turing.GENERATED, turing.REAL)[said]])
    return turing.score(folder, [path]).pooled


def judged(
    run: Run | None, source: str, simulated: tuple[torch.Tensor, list[str]], real: torch.Tensor, n: int, seed: int
) -> dict[str, turing.Confusion]:
    """Makes a test and has the judges take it.

    Args:
        run: What refines the pictures that are tested; None tests the raw ones.
        source: What those are drawn from.
        simulated: All of them, (N, 1, S, S), and their names.
        real: Real pictures to train judges on.
        n: Real pictures in the test, and as many others.
        seed: Of the test and of the judges.
    """
    size = simulated[0].shape[-1]
    generated = source if run is None else run
    found = {}
    with tempfile.TemporaryDirectory() as place:
        folder = turing.prepare(HELD_OUT, generated, Path(place, "test"), n=n, seed=seed, size=size, device="cpu")
        key = json.loads((folder / "key.json").read_text())["pictures"].values()
        tested = {of["from"].rpartition(", seed ")[0] or of["from"] for of in key if of["is"] == turing.GENERATED}
        others = torch.tensor([row for row, name in enumerate(simulated[1]) if name not in tested])
        if len(others) != len(simulated[1]) - n:
            raise RuntimeError("the pictures of the test are not those of the data")
        others = others[torch.randperm(len(others), generator=torch.Generator().manual_seed(seed))]
        pictures = simulated[0][others[: max(SEEN.values())]]
        made = pictures if run is None else refined(run, pictures)
        for name, count in SEEN.items():
            count = min(count, len(real), len(made))
            pictures = torch.cat([made[:count], real[:count]])
            labels = torch.tensor([0, 1]).repeat_interleave(count)
            epochs = max(1, round(STEPS / (len(labels) / 64)))
            found[name] = answer(folder, train_classifier(pictures, labels, 2, seed=seed, epochs=epochs), size)
    return found


def main() -> None:
    args = arguments(__doc__, "simgan", 500)
    runs = trained(args.study, args.runs, (FULL,), args.parallel)[FULL]
    size = args.study.variants[0].chosen.config.size
    source, target = sides(args.study)
    simulated = named(source, size)
    real, _ = real_pictures(target, size)
    answers: dict[str, list[dict[str, turing.Confusion]]] = {"raw": [], "refined": [], AVERAGED: []}
    shown = [("real", real), ("raw", simulated[0])]
    for run in runs:
        arms = {"raw": None, "refined": opened(run), AVERAGED: opened(run, averaged=LAST)}
        for name, of in arms.items():
            answers[name].append(judged(of, source, simulated, real, args.n, run.seed))
        shown.append((f"seed {run.seed}", refined(arms["refined"], simulated[0][:20])))
        shown.append(("averaged", refined(arms[AVERAGED], simulated[0][:20])))
    accuracy = {name: {kind: [found[name].accuracy for found in of] for kind, of in answers.items()} for name in SEEN}
    ways = ("refined", AVERAGED)
    versus = {name: {way: paired(of["raw"], of[way]) for way in ways} for name, of in accuracy.items()}
    near, nearer = {}, {}
    for name in SEEN:
        intervals = {way: [found[name].interval() for found in answers[way]] for way in ways}
        near[name] = {way: all(low <= 0.5 <= high for low, high in of) for way, of in intervals.items()}
        nearer[name] = {way: above(gap) for way, gap in versus[name].items()}
    found = {
        "finding": "F26: a judge is near chance on refined pictures, far from it on raw ones",
        "people asked": 0,
        "answers a test": 2 * args.n,
        "paper, people": {"refined": "517 of 1,000", "raw": "162 of 200"},
        "accuracy": {name: {kind: over_seeds(v) for kind, v in of.items()} for name, of in accuracy.items()},
        "raw minus": versus,
        "by run": {
            kind: {name: [found[name].to_json() for found in of] for name in SEEN} for kind, of in answers.items()
        },
        "nearer to chance on refined": nearer,
        "near chance on refined": near,
        "reproduced": {name: {way: nearer[name][way] and near[name][way] for way in ways} for name in SEEN},
    }
    path = args.results / "simgan_turing.json"
    write(path, found, args.study.seeds, runs)
    draw(path.with_suffix(".png"), shown, answers)


def draw(
    path: Path, shown: list[tuple[str, torch.Tensor]], answers: dict[str, list[dict[str, turing.Confusion]]]
) -> None:
    """Some pictures, and how often each judge was right, a point a seed."""
    figure = plt.figure(figsize=(10, 7))
    top, bottom = figure.add_gridspec(2, 1, height_ratios=(1, 1.2))
    rows_of_pictures(top, shown, 20)
    axis = bottom.subgridspec(1, 1).subplots()
    place = 0
    ticks = []
    for name in SEEN:
        for kind, of in answers.items():
            for offset, test in zip((-0.2, 0, 0.2), of, strict=False):
                low, high = test[name].interval()
                middle = test[name].accuracy
                error = [[middle - low], [high - middle]]
                axis.errorbar(place + offset, middle, error, fmt="o", color=COLOURS[kind])
            ticks.append(f"{name},\n{kind}")
            place += 1
    axis.axhline(0.5, color="gray", linestyle="--", label="guessing")
    axis.axhline(0.517, color="black", linestyle=":", label="people in the paper, refined")
    axis.axhline(0.81, color="black", linestyle="-.", label="people in the paper, raw")
    axis.set_xticks(range(place), ticks, fontsize=8)
    axis.set_ylabel("right answers, 95 % binomial", fontsize=8)
    axis.legend(fontsize=8)
    axis.grid(axis="y", alpha=0.3)
    save(figure, path)


if __name__ == "__main__":
    main()
