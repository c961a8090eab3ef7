"""Real, generated and CutMix pictures as the discriminator sees them (fig. 3 of U-Net GAN)."""

from __future__ import annotations

from pathlib import Path

import torch

from ganvas.engine.seeding import seed_for
from ganvas.inspect.sheet import Row, draw_sheet, fitting
from ganvas.inspect.subject import Drawn, Judged, NotMade, Subject
from ganvas.inspect.verdicts import localisation, separation
from ganvas.losses.cutmix import cutmix_mask, mix

COLUMNS = 7


def draw(subject: Subject, path: Path) -> Drawn:
    """Draws pairs of a real and a generated picture, mixed by random masks, with the discriminator's word on each.

    Raises:
        NotMade: There is no data or no checkpoint, or no discriminator that answers.
    """
    real_images, fake_images = subject.real["image"], subject.fake["image"]
    labels = subject.real["label"] if subject.classes else None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for("inspect cutmix", subject.seed))
        mask = cutmix_mask(len(real_images), *real_images.shape[2:])
    groups = {"real": real_images, "generated": fake_images, "cutmix": mix(real_images, fake_images, mask)}
    judged = {name: subject.judge(subject.system, images, labels) for name, images in groups.items()}
    note = judged["real"].note
    if judged["real"].encoder is None and judged["real"].decoder is None:
        raise NotMade(note)
    overlap = None if judged["cutmix"].decoder is None else localisation(judged["cutmix"].decoder, mask)

    count = min(len(mask), fitting(real_images.shape[-1], COLUMNS))
    ratios = [f"real share {float(part.mean()):.2f}" for part in mask[:count]]
    under = [judged["cutmix"].said(i) for i in range(count)]
    if overlap is not None:
        under = [f"{said}\nIoU {float(value):.2f}".lstrip() for said, value in zip(under, overlap, strict=False)]
    rows = [
        *_rows("real", judged["real"].part(0, count)),
        *_rows("generated", judged["generated"].part(0, count)),
        Row("mask M\n(white: real)", mask[:count] * 2 - 1, ratios, apart=True),
        *_rows("CutMix", judged["cutmix"].part(0, count), under, apart=False),
    ]
    title = f"{subject.name}, step {subject.run.step}: CutMix pictures as the discriminator sees them"
    draw_sheet(path, title, rows, [""] * count, subject.texts)
    if note:
        note = f"there are no maps: {note}"
    return Drawn(caption(subject, judged["real"]), note, numbers(judged, mask, overlap))


def caption(subject: Subject, real: Judged) -> str:
    """What the sheet shows, in sentences."""
    changed = "; it has changed since" if subject.is_other_data else ""
    sentences = [
        "Real pictures, generated ones of the averaged generator, and both mixed by the mask M, white where the real "
        "one shows.",
        f"The real ones are of the data that was trained on, cut and mirrored as in training{changed}.",
    ]
    if real.decoder is not None:
        sentences += [
            subject.reading(),
            "IoU: intersection over union of map and M, the mean of that for real and for fake pixels.",
        ]
    if real.encoder is not None:
        sentences += [
            f"{real.judge_name}: its probability that the picture is real.",
            "In training with CutMix its target for mixed pictures is 0: most of what it is shown then counts as fake, "
            "and it may well say less than 1/2 of real ones.",
        ]
    return " ".join(sentences)


def numbers(judged: dict[str, Judged], mask: torch.Tensor, overlap: torch.Tensor | None) -> dict[str, object]:
    """What is measured on all pictures, not only on those shown.

    `*_called_real`: share of pictures that the head for whole pictures calls real. `localisation_iou`: see
    `verdicts.localisation`; `localisation_iou_all_real`: what a map reaches that says real everywhere.
    `localisation_separation`: `verdicts.separation` of the real from the fake pixels of one mixed picture, which does
    not depend on where the decoder draws the line. Both are means over the mixed pictures.
    """
    found: dict[str, object] = {"n": len(mask)}
    for name, group in judged.items():
        if group.encoder is not None:
            found[f"{name}_called_real"] = float((group.encoder > 0).double().mean())
    decoder = judged["cutmix"].decoder
    if overlap is not None and decoder is not None:
        everywhere = torch.ones_like(decoder)
        inside = [(logits[part[0] > 0], logits[part[0] == 0]) for logits, part in zip(decoder, mask, strict=True)]
        apart = [separation(real, fake) for real, fake in inside if len(real) and len(fake)]
        found["localisation_iou"] = float(overlap.double().mean())
        found["localisation_iou_all_real"] = float(localisation(everywhere, mask).double().mean())
        found["localisation_separation"] = sum(apart) / len(apart) if apart else float("nan")
    return found


def _rows(name: str, group: Judged, texts: list[str] | None = None, apart: bool = True) -> list[Row]:
    """A row of pictures and, if there are any, one of maps; the texts go under the last of them."""
    texts = [group.said(i) for i in range(len(group.images))] if texts is None else texts
    texts = texts if any(texts) else []
    if group.decoder is None:
        return [Row(name, group.images, texts, apart)]
    return [Row(name, group.images, (), apart), Row("D decoder", torch.sigmoid(group.decoder), texts)]
