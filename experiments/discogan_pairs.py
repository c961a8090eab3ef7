"""F22: unpaired translation finds the hidden pairing, well above chance and below pix2pix (Kim et al. 2017, section 4).

`python experiments/discogan_pairs.py` trains DiscoGAN on relief maps and satellite pictures of different places
(`earth-maps:train --halves`: no place is ever seen from both sides), with the paper's losses and with the published
code's, and pix2pix on all pairs; three seeds each. Then all translate the regions of `earth-maps:test`, which no run
has seen, and the nearest of all true pictures is looked up, by pixels and by features of efficientnet_lite0: how often
is it that of the same place? Beside it what needs no training: chance, and sources that are not translated at all. And
what is translated there and back: how often is its own source the nearest one?

Writes results/discogan_pairs_earth.json and .png. About a minute a run on one core.
"""

from __future__ import annotations

from pathlib import Path

import torch
from matplotlib import pyplot as plt

import ganvas
from findings import above, arguments, features, over_seeds, paired, show, trained, write
from ganvas.metrics.translation import Retrieval, l1, retrieval, unit_length
from pix2pix_runs import Pairs, pairs

DISCOGAN = ("discogan", "discogan-code")
UPPER = "pix2pix"
EXAMPLES = 8
MEASURES = ("first by pixels", "first by features")
BACK = (MEASURES[0], "l1")
WAYS = {"AtoB": "relief to satellite", "BtoA": "satellite to relief"}


class Truth:
    """The pictures that translations are looked for among."""

    def __init__(self, pictures: torch.Tensor) -> None:
        self.pictures, self.features = pictures, unit_length(features(pictures))

    def scores(self, outputs: torch.Tensor) -> dict[str, float]:
        """How well outputs, in the order of the true pictures, find them."""
        found: dict[str, float] = {}
        for name, by in (
            ("pixels", retrieval(outputs.flatten(1), self.pictures.flatten(1))),
            ("features", retrieval(unit_length(features(outputs)), self.features)),
        ):
            found |= self.places(name, by)
        return found | {"l1": float(l1(outputs, self.pictures).mean())}

    @staticmethod
    def places(name: str, found: Retrieval) -> dict[str, float]:
        """The share found first, among the first five, and the mean place."""
        return {
            f"first by {name}": float(found.within(1).mean()),
            f"among five by {name}": float(found.within(5).mean()),
            f"mean place by {name}": float(found.ranks.mean()),
        }


def main() -> None:
    args = arguments(__doc__, "discogan_pairs", 1000)
    names = (*DISCOGAN, UPPER)
    runs = trained(args.study, args.runs, names, args.parallel)
    first = args.study.variants[0]
    config = first.chosen.config
    held = pairs(first.data.replace(":train", ":test"), config.size, config.channels, config.source_channels, args.n)
    sources = {"AtoB": held.source, "BtoA": held.truth}
    truths = {"AtoB": Truth(held.truth), "BtoA": Truth(held.source)}
    values: dict[str, dict[str, list[dict[str, float]]]] = {way: {} for way in WAYS}
    outputs: dict[str, dict[str, torch.Tensor]] = {way: {} for way in WAYS}
    for name, of in runs.items():
        for run in of:
            opened = ganvas.load(run.path)
            for way in opened.system.directions:
                translated = opened.translate(sources[way], direction=way, batch=64)
                outputs[way].setdefault(name, translated)
                values[way].setdefault(name, []).append(truths[way].scores(translated))
                if len(opened.system.directions) > 1:
                    other = next(one for one in WAYS if one != way)
                    back = truths[other].scores(opened.translate(translated, direction=other, batch=64))
                    values[way][name][-1] |= {f"{score}, there and back": back[score] for score in BACK}
    untranslated = {way: truths[way].scores(sources[way]) for way in WAYS}
    chance = 1 / len(held.truth)
    gaps = {
        measure: {
            **{
                f"{name}, {WAYS[way]}, minus chance": over_seeds([of[measure] - chance for of in values[way][name]])
                for way in WAYS
                for name in DISCOGAN
            },
            **{
                f"{name}, {WAYS[way]}, minus untranslated": over_seeds(
                    [of[measure] - untranslated[way][measure] for of in values[way][name]]
                )
                for way in WAYS
                for name in DISCOGAN
            },
            **{
                f"{UPPER} minus {name}, {WAYS['AtoB']}": paired(
                    *([of[measure] for of in values["AtoB"][either]] for either in (UPPER, name))
                )
                for name in DISCOGAN
            },
        }
        for measure in MEASURES
    }
    reproduced = {
        name: {
            measure: {
                "above chance": all(above(gaps[measure][f"{name}, {told}, minus chance"]) for told in WAYS.values()),
                "below pix2pix": above(gaps[measure][f"{UPPER} minus {name}, {WAYS['AtoB']}"]),
            }
            for measure in MEASURES
        }
        for name in DISCOGAN
    }
    found = {
        "finding": "F22: unpaired translation recovers the hidden pairing, above chance and below pix2pix",
        "pairs": len(held.truth),
        "chance": {"first": chance, "among five": min(1, 5 * chance), "mean place": (len(held.truth) + 1) / 2},
        "untranslated": {WAYS[way]: of for way, of in untranslated.items()},
        "by direction and variant": {
            WAYS[way]: {
                name: {score: over_seeds([of[score] for of in rows]) for score in rows[0]} for name, rows in of.items()
            }
            for way, of in values.items()
        },
        "differences": gaps,
        "reproduced by variant": reproduced,
        "reproduced": all(holds for of in reproduced.values() for by in of.values() for holds in by.values()),
    }
    path = args.results / "discogan_pairs_earth.json"
    write(path, found, args.study.seeds, [run for of in runs.values() for run in of])
    draw(path.with_suffix(".png"), held, outputs, values, untranslated, chance)


def draw(path: Path, held: Pairs, outputs: dict, values: dict, untranslated: dict, chance: float) -> None:
    """Translations of the first seed, both ways, and how often all seeds find the true picture."""
    columns = {"relief": held.source, **{f"{name}\nto satellite": of for name, of in outputs["AtoB"].items()}}
    columns["satellite"] = held.truth
    columns |= {f"{name}\nto relief": of for name, of in outputs["BtoA"].items()}
    places = torch.linspace(0, len(held.truth) - 1, min(EXAMPLES, len(held.truth))).long()
    figure = plt.figure(figsize=(1.2 * len(columns), 1.2 * len(places) + 3.4))
    upper, lower = figure.subfigures(2, 1, height_ratios=[1.2 * len(places) + 0.4, 3])
    axes = upper.subplots(len(places), len(columns), squeeze=False, gridspec_kw={"wspace": 0.05, "hspace": 0.05})
    for (title, pictures), column in zip(columns.items(), axes.T, strict=True):
        for row, (axis, place) in enumerate(zip(column, places, strict=True)):
            show(axis, pictures[place].expand(3, -1, -1), "" if row else title)
    upper.subplots_adjust(left=0.02, right=0.98, bottom=0.02, top=0.95)
    for axis, way in zip(lower.subplots(1, len(WAYS)), WAYS, strict=True):
        rows = {"untranslated": [untranslated[way]], **values[way]}
        for measure, colour, shift in (
            ("first by pixels", "tab:blue", -0.12),
            ("first by features", "tab:orange", 0.12),
        ):
            for place, of in enumerate(rows.values()):
                found = [100 * one[measure] for one in of]
                axis.plot(found, [place + shift] * len(found), "o", color=colour, label="" if place else measure)
        axis.axvline(100 * chance, color="gray", linestyle="--", label="chance")
        axis.set_yticks(range(len(rows)), rows, fontsize=8)
        axis.invert_yaxis()
        axis.set_xlim(left=0)
        axis.set_title(f"{WAYS[way]}: same place found first, %", fontsize=8)
        if way == "BtoA":
            axis.legend(fontsize=6, loc="center right")
        axis.grid(axis="x", alpha=0.3)
    lower.subplots_adjust(left=0.12, right=0.98, bottom=0.1, top=0.9, wspace=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Copyright": held.licence} if held.licence else None)
    print(path)


if __name__ == "__main__":
    main()
