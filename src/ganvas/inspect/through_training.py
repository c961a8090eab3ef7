"""Samples through training, with the per-pixel word of each checkpoint's own discriminator (fig. 1 of U-Net GAN)."""

from __future__ import annotations

from pathlib import Path

import torch

from ganvas.inspect.sheet import Row, draw_sheet, fitting
from ganvas.inspect.subject import Drawn, Judged, NotMade, Subject

ROWS = 4
COLUMNS = 8


def draw(subject: Subject, path: Path) -> Drawn:
    """Draws the same latents at every checkpoint that is there, the oldest and the newest among them.

    Raises:
        NotMade: There is no checkpoint that is whole.
    """
    subject.refuse_sides()
    seeds = range(subject.seed, subject.seed + ROWS)
    labels = subject.labels(seeds)
    chosen = spread(subject.steps, fitting(subject.run.config.size, COLUMNS))
    columns: dict[int, Judged] = {}
    notes = []
    for step in chosen:
        try:
            system = subject.system_at(step)
        except NotMade as problem:
            notes.append(f"step {step} is left out: {problem}")
            continue
        columns[step] = subject.judge(system, subject.draw(system, seeds, labels), labels)
    if not columns:
        raise NotMade("; ".join(notes) or f"there is no checkpoint in {subject.run.path}")
    of_last = columns[max(columns)]
    if of_last.note:
        notes.append(f"there are no maps under the pictures: {of_last.note}")
    if len(columns) == 1:
        notes.append("only one checkpoint is there, so nothing is seen to change: train with a larger --keep")
    rows = []
    for i, seed in enumerate(seeds):
        name = subject.named(f"seed {seed}", None if labels is None else int(labels[i]))
        said = [column.said(i) for column in columns.values()]
        pictures = torch.stack([column.images[i] for column in columns.values()])
        maps = [column.decoder[i] for column in columns.values() if column.decoder is not None]
        rows.append(Row(name, pictures, () if maps or not any(said) else said, apart=True))
        if maps:
            rows.append(Row("D decoder", torch.sigmoid(torch.stack(maps)), said))
    headings = [f"step {step}" for step in columns]
    draw_sheet(path, f"{subject.name}: samples through training", rows, headings, subject.texts)
    caption = (
        f"The same {ROWS} latents at {len(columns)} of the {len(subject.steps)} checkpoints that are there, "
        "from the averaged generator of each."
    )
    if of_last.decoder is not None:
        caption += f" Under each picture, what that checkpoint's discriminator says of its pixels. {subject.reading()}"
    if of_last.encoder is not None:
        caption += f" {of_last.judge_name}: its probability that the picture is real."
    return Drawn(caption, "; ".join(notes), {"steps": list(columns)})


def spread(steps: list[int], most: int) -> list[int]:
    """At most `most` of the steps, evenly spaced in the list, with the first and the last; the last if only one."""
    if len(steps) <= most:
        return steps
    if most == 1:
        return steps[-1:]
    return [steps[round(i * (len(steps) - 1) / (most - 1))] for i in range(most)]
