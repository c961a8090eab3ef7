"""F29: do encoder and decoder often disagree about the same picture? (Schonfeld et al. 2020, Figure 7)

`python experiments/unetgan_disagreement.py openmoji` shows real pictures and samples to the discriminators of the
ablation's runs. Encoder and decoder disagree where one calls a picture real and the other does not. A discriminator
trained with CutMix leans towards "fake" in its encoder, so the share is also counted with each head's line put at its
own median over real pictures and samples together: what is left is disagreement about which pictures are better.
"""

from __future__ import annotations

import numpy as np
import torch
from matplotlib import pyplot as plt

import ganvas
from findings import batches, over_seeds, save
from ganvas.inspect.verdicts import disagreement, separation, verdicts
from unetgan_runs import arguments, pictures_of, study_of, trained, write


def looked_at(path, n: int) -> dict[str, torch.Tensor]:
    """Encoder logits, and decoder logits averaged over pixels, of real pictures and samples."""
    run = ganvas.load(path)
    found = {}
    for kind, images in zip(("real", "fake"), pictures_of(run, n), strict=True):
        parts = [verdicts(run.system.discriminator, batch) for (batch,) in batches(images)]
        found[f"{kind} encoder"] = torch.cat([encoder for encoder, _ in parts])
        found[f"{kind} decoder"] = torch.cat([decoder.mean((1, 2)) for _, decoder in parts])
    return found


def main() -> None:
    args = arguments(__doc__)
    study = study_of(args.data)
    names = [variant.name for variant in study.variants if variant.chosen.config.discriminator == "unet"]
    runs = {name: trained(study, args.runs, name) for name in names}
    logits = {name: [looked_at(run.path, args.n) for run in runs[name]] for name in names}
    result = {}
    for name in names:
        rows = []
        for found in logits[name]:
            encoder = torch.cat([found["real encoder"], found["fake encoder"]])
            decoder = torch.cat([found["real decoder"], found["fake decoder"]])
            plain = disagreement(encoder, decoder)
            centred = disagreement(encoder - encoder.median(), decoder - decoder.median())
            rows.append(
                {
                    "share": plain.share,
                    "share_at_medians": centred.share,
                    "spearman": plain.spearman,
                    "encoder_separates": separation(found["real encoder"], found["fake encoder"]),
                    "decoder_separates": separation(found["real decoder"], found["fake decoder"]),
                }
            )
        result[name] = {key: over_seeds([row[key] for row in rows]) for key in rows[0]}
    full = result[names[-1]]["share_at_medians"]
    found = {
        "finding": "F29: encoder and decoder often disagree on the same picture",
        "pictures": {"real": args.n, "samples": args.n},
        "by_variant": result,
        "reproduced": bool(full["excludes_zero"] and full["low"] > 0.05),
        "criterion": "full model: the 95 % interval of the share at medians lies above 5 % of the pictures",
    }
    path = args.results / f"unetgan_disagreement_{study.name.removeprefix('unetgan_ablation_')}.json"
    write(path, study, [run for of in runs.values() for run in of], found)

    figure, axes = plt.subplots(1, len(names), figsize=(4.4 * len(names), 4.2))
    for axis, name in zip(np.atleast_1d(axes), names, strict=True):
        seed = logits[name][0]
        for kind, colour in (("real", "tab:green"), ("fake", "tab:red")):
            axis.scatter(seed[f"{kind} encoder"], seed[f"{kind} decoder"], s=6, alpha=0.5, color=colour, label=kind)
        axis.axhline(0, color="black", linewidth=0.6)
        axis.axvline(0, color="black", linewidth=0.6)
        share = result[name]["share"]["mean"]
        axis.set(
            xlabel="encoder logit", ylabel="mean decoder logit", title=f"{name}\n{share:.0%} on opposite sides of 0"
        )
        axis.legend(fontsize=8)
    save(figure, path.with_suffix(".png"))


if __name__ == "__main__":
    main()
