"""Mean spectra of samples and of real pictures, and how much of a checkerboard is in them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganvas.inspect.subject import Drawn, NotMade, Subject
from ganvas.metrics.checkerboard import LEAST, STEP, nyquist, phase_score, power_spectrum
from ganvas.viz.figures import axes_at, new_figure, save_figure

PERIODS = (2, 4)
SIDE = 420
"""Pixels of a panel."""


def draw(subject: Subject, path: Path) -> Drawn:
    """Draws the mean logarithmic spectrum of samples beside that of real pictures.

    Raises:
        NotMade: There is no checkpoint, or pictures are too small.
    """
    system, note = subject.system, ""
    if subject.run.config.size < LEAST:
        raise NotMade(f"a spectrum needs pictures of {LEAST} pixels or more, the run's have {subject.run.config.size}")
    try:
        groups = {"samples": subject.fake["image"], "real pictures": subject.real["image"]}
    except NotMade as problem:
        seeds = range(subject.seed, subject.seed + subject.n)
        groups, note = {"samples": subject.draw(system, seeds, subject.labels(seeds))}, str(problem)
    measured = {name: checkerboard(images) for name, images in groups.items()}
    _plot(subject, path, groups, measured)
    caption = (
        f"The mean power of each frequency of {len(groups['samples'])} pictures of each kind, in decibels; in the "
        "middle the coarsest, at the edges and corners the finest, where a checkerboard shows as bright points. Under "
        "each, the share of a picture's variance that is a pattern of a period of 2 or 4 pixels (mean over pictures), "
        "and by how much the finest frequencies stand out of their neighbours, in columns, in rows and in both."
    )
    return Drawn(caption, note, measured)


def checkerboard(images: Tensor) -> dict[str, Any]:
    """The scores of `ganvas.metrics.checkerboard` of pictures (B, C, H, W) in [-1, 1], by name."""
    scores = {f"phase_{period}": float(phase_score(images, period).mean()) for period in PERIODS}
    return {**scores, **{f"nyquist_{name}": value for name, value in asdict(nyquist(images)).items()}}


def _plot(subject: Subject, path: Path, groups: dict[str, Tensor], measured: dict[str, dict[str, Any]]) -> None:
    spectra = [10 * torch.log10(torch.fft.fftshift(power_spectrum(images)) + STEP**2) for images in groups.values()]
    lowest, highest = float(torch.stack(spectra).min()), float(torch.stack(spectra).max())
    left, top, gap = 80, 80, 50
    width, height = left + len(spectra) * (SIDE + gap) + 80, top + SIDE + 110
    # A pixel is centred on its frequency, the constant part on 0.
    rows, columns = spectra[0].shape
    extent = (-0.5 - 0.5 / columns, 0.5 - 0.5 / columns, 0.5 - 0.5 / rows, -0.5 - 0.5 / rows)
    figure = new_figure(width, height)
    title = f"{subject.name}, step {subject.run.step}: mean spectra"
    figure.text(left / width, 1 - 22 / height, title, fontsize=12, va="center", parse_math=False)
    for i, (name, spectrum) in enumerate(zip(groups, spectra, strict=True)):
        axes = axes_at(figure, left + i * (SIDE + gap), top, SIDE, SIDE)
        shown = axes.imshow(spectrum.numpy(), vmin=lowest, vmax=highest, extent=extent, interpolation="nearest")
        axes.set(xlabel="periods a pixel, across", ylabel="down" if i == 0 else "", title=name)
        scores = measured[name]
        said = ", ".join(f"period {period}: {scores[f'phase_{period}']:.2%}" for period in PERIODS)
        finest = ", ".join(f"{scores[f'nyquist_{way}']:+.1f}" for way in ("horizontal", "vertical", "both"))
        middle = (left + i * (SIDE + gap) + SIDE / 2) / width
        figure.text(middle, 30 / height, f"{said}\nfinest frequencies: {finest} dB", ha="center", va="center")
    scale = axes_at(figure, width - 80 - gap + 20, top, 16, SIDE)
    figure.colorbar(shown, cax=scale, label="power, dB")
    save_figure(figure, path, subject.texts)
