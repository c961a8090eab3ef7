"""The encoder's against the decoder's opinion of whole pictures (fig. 7 of U-Net GAN)."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from ganvas.inspect.sheet import resized, to_rgb
from ganvas.inspect.subject import Drawn, NotMade, Subject
from ganvas.inspect.verdicts import disagreement, ranks, separation
from ganvas.viz.figures import axes_at, new_figure, save_figure

COLOURS = {"real": "C0", "generated": "C1"}
THUMBNAILS = 4
"""Pictures on each side."""

# Pixels of the file: a thumbnail, the space under it, the strip on each side of the scatter.
SIDE = 128
UNDER = 32
EDGE = SIDE + 40


def draw(subject: Subject, path: Path) -> Drawn:
    """Draws a point a picture, and the pictures on which the two differ most.

    Raises:
        NotMade: There is no data or no checkpoint, or the discriminator lacks one of the two heads.
    """
    labels = subject.real["label"] if subject.classes else None
    groups = {"real": subject.real["image"], "generated": subject.fake["image"]}
    judged = {name: subject.judge(subject.system, images, labels) for name, images in groups.items()}
    encoders, decoders = {}, {}
    for name, group in judged.items():
        if group.encoder is None or group.decoder is None:
            raise NotMade(group.note or "the discriminator has no head with one logit a picture")
        encoders[name], decoders[name] = group.encoder, group.decoder.mean((1, 2))
    encoder, decoder = torch.cat([*encoders.values()]), torch.cat([*decoders.values()])
    measured = {name: disagreement(encoders[name], decoders[name]) for name in groups}
    measured["all"] = disagreement(encoder, decoder)
    _plot(subject, path, encoder, decoder, torch.cat([*groups.values()]), len(groups["real"]))
    whole = measured["all"]
    caption = (
        "A point a picture: the encoder's logit against the mean of the decoder's logits; 0 divides fake from real. "
        "Beside it the pictures on which the two differ most in rank: on the left those that the decoder likes more, "
        "plausible in every place but not as a whole, on the right the reverse; under each, its point. "
        f"The two disagree about real or fake on {whole.share:.0%} of the {whole.n} pictures "
        f"({measured['real'].share:.0%} of the real, {measured['generated'].share:.0%} of the generated ones); "
        f"correlation {_text(whole.pearson)} (Pearson), {_text(whole.spearman)} (of ranks), among real ones alone "
        f"{_text(measured['real'].spearman)}, among generated ones {_text(measured['generated'].spearman)} (of ranks)."
    )
    apart = {
        "encoder_separation": separation(encoders["real"], encoders["generated"]),
        "decoder_separation": separation(decoders["real"], decoders["generated"]),
    }
    caption += (
        " Wherever the line between fake and real is drawn, a real picture gets a larger logit than a generated one in "
        f"{apart['encoder_separation']:.0%} of pairs from the encoder, {apart['decoder_separation']:.0%} from the "
        "decoder."
    )
    return Drawn(caption, numbers={name: asdict(numbers) for name, numbers in measured.items()} | apart)


def extremes(encoder: Float[Tensor, " B"], decoder: Float[Tensor, " B"], count: int) -> tuple[list[int], list[int]]:
    """Pictures that the decoder likes most in comparison with the encoder, and the reverse.

    Compared are ranks among all the pictures, so that the two need not count in the same unit.

    Args:
        encoder: Logits.
        decoder: Mean logits.
        count: The most pictures in each of the two lists.

    Returns:
        Positions, the largest difference first. A picture of equal ranks is in neither list.
    """
    difference = ranks(decoder) - ranks(encoder)
    order = difference.argsort(descending=True, stable=True).tolist()
    return (
        [i for i in order[:count] if difference[i] > 0],
        [i for i in order[::-1][:count] if difference[i] < 0],
    )


def _plot(subject: Subject, path: Path, encoder: Tensor, decoder: Tensor, images: Tensor, real: int) -> None:
    """The scatter in the middle, thumbnails beside it with the letters of their points; the first `real` are real."""
    from matplotlib.patheffects import withStroke

    top, tall = 70, THUMBNAILS * (SIDE + UNDER) - UNDER
    width, height = 2 * EDGE + 760, top + tall + 70
    figure = new_figure(width, height)
    panel = axes_at(figure, EDGE + 70, top, width - 2 * EDGE - 80, tall)
    for name, points in (("real", slice(0, real)), ("generated", slice(real, None))):
        x, y = encoder[points].numpy(), decoder[points].numpy()
        panel.scatter(x, y, s=22, alpha=0.7, linewidths=0, color=COLOURS[name], label=f"{name} ({len(x)})")
    panel.axhline(0, color="0.5", linewidth=0.8, zorder=0)
    panel.axvline(0, color="0.5", linewidth=0.8, zorder=0)
    panel.set(xlabel="encoder: logit of the picture", ylabel="decoder: mean logit of its pixels")
    panel.grid(alpha=0.3)
    panel.legend(loc="best")
    title = f"{subject.name}, step {subject.run.step}: encoder against decoder"
    figure.text(0.5, 1 - 22 / height, title, fontsize=12, ha="center", va="center", parse_math=False)
    letters = iter("ABCDEFGH")
    for left, heading, chosen in zip(
        (20, width - EDGE + 20), ("decoder more real", "encoder more real"),
        extremes(encoder, decoder, THUMBNAILS), strict=True,
    ):  # fmt: skip
        figure.text((left + SIDE / 2) / width, 1 - (top - 14) / height, heading, ha="center", va="center")
        for place, index in enumerate(chosen):
            letter, at = next(letters), (float(encoder[index]), float(decoder[index]))
            colour = COLOURS["real" if index < real else "generated"]
            axes = axes_at(figure, left, top + place * (SIDE + UNDER), SIDE, SIDE)
            axes.imshow(resized(to_rgb(images[index]), SIDE), interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set(color=colour, linewidth=2.5)
            axes.set_xlabel(f"{letter}  ({at[0]:.2f}, {at[1]:.2f})", fontsize=9, labelpad=4)
            panel.scatter(*at, s=60, facecolors="none", edgecolors="black", linewidths=1)
            beside = (-13 if left == 20 else 5, 5 if place % 2 == 0 else -12)  # neighbours in turn above and below
            tag = panel.annotate(letter, at, beside, textcoords="offset points", fontweight="bold")
            tag.set_path_effects([withStroke(linewidth=3, foreground="white")])
    save_figure(figure, path, subject.texts)


def _text(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.2f}"
