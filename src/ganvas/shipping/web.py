"""A page that draws or translates in the browser: a folder of plain files for any web server."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ganvas.conditions import captions_of
from ganvas.engine.folder import ganvas_version, to_text
from ganvas.engine.seeding import latents
from ganvas.errors import UserError
from ganvas.nn.text import STANDING
from ganvas.run import Run
from ganvas.shipping.card import front_matter
from ganvas.shipping.folder import put
from ganvas.shipping.network import conditions_of
from ganvas.shipping.onnx import Exported, export_onnx
from ganvas.shipping.runtime import BINARY, MODULE, Runtime, find_runtime

PAGE = Path(__file__).parent / "page"
SEEDS = STANDING
"""Seeds whose latents, and kept conditions, come with the page; after as many conditions begin anew."""

MOST = 512
"""Pixels of the longer side of what the page translates, or of what it makes where it enlarges."""


def write_web(
    run: Run,
    out: Path,
    direction: str = "AtoB",
    noise: bool = True,
    text: Sequence[str] = (),
    runtime: str | Path | None = None,
) -> Exported:
    """Writes the page, the network as ONNX, what it draws from, and onnxruntime-web.

    Args:
        run: On the CPU, in fp32.
        out: The folder, which exists.
        direction: Of a run that translates.
        noise: See `ganvas.shipping.network.network_of`.
        text: Captions that the page offers, as vectors; a run that learnt captions has those of training pictures too.
        runtime: See `find_runtime`.

    Raises:
        UserError: As `export_onnx` and `find_runtime` do, or the run reads no captions.
    """
    found = find_runtime(runtime)
    captions = captions_of(run, list(text) or None, None)
    network = export_onnx(run, out / "model.onnx", direction, noise)
    manifest = _about(run, found) | (
        _translation(run, network, noise) if run.system.sides else _drawing(run, out, network, list(text))
    )
    if captions is not None:
        _put_floats(out / "captions.bin", captions.vectors)
        manifest["kept"].append("captions")
    try:
        (out / "runtime").mkdir(exist_ok=True)
        for file in found.files:
            shutil.copyfile(file, out / "runtime" / file.name)
        for file in PAGE.iterdir():
            shutil.copyfile(file, out / file.name)
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror or error}") from error
    put(out / "manifest.json", to_text(manifest))
    put(out / "README.md", _readme(run, manifest))
    return network


def _about(run: Run, runtime: Runtime) -> dict[str, Any]:
    settings = run.settings
    return {
        "title": f"{settings.system} {settings.preset}",
        "about": f"{run.step:,} steps on {settings.data['count']:,} pictures. It computes in this browser; nothing is "
        "sent anywhere.",
        "licence": settings.data["licence"] or "",
        "made": f"Made with ganvas {ganvas_version()} and onnxruntime-web {runtime.version} (MIT licence).",
        "runtime": {"mjs": MODULE, "wasm": BINARY},
        "channels": run.config.channels,
        "kept": [],
    }


def _drawing(run: Run, out: Path, network: Exported, captions: list[str]) -> dict[str, Any]:
    system, seeds = run.system, range(SEEDS)
    prior = system.prior
    assert prior is not None
    conditions = {name: value for name, value in conditions_of(system, seeds).items() if name != "label"}
    for name, values in {"latents": latents(seeds, prior.dim), **conditions}.items():
        _put_floats(out / f"{name}.bin", values)
    _, channels, height, width = network.output.split()
    names = list(run.classes) if len(run.classes) == system.classes else [f"class {i}" for i in range(system.classes)]
    return {
        "kind": "draw", "channels": int(channels), "height": int(height), "width": int(width), "seeds": SEEDS,
        "latent": prior.dim, "prior": {"kind": prior.kind, "scale": prior.scale, "centre": prior.centre},
        "classes": names if system.classes else [], "captions": captions,
        "conditions": {name: list(value.shape[1:]) for name, value in conditions.items()},
        "kept": ["latents", *conditions],
    }  # fmt: skip


def _translation(run: Run, network: Exported, noise: bool) -> dict[str, Any]:
    scale = run.system.scale
    inputs, outputs = (int(shape.split()[1]) for shape in (network.inputs["source"], network.output))
    quiet = "" if noise else " Its dropout is left out."
    return {
        "kind": "translate", "sourceChannels": inputs, "channels": outputs, "multiple": network.multiple,
        "scale": scale, "side": run.config.size // scale, "most": max(MOST // scale, run.config.size // scale),
        "about": _about(run, Runtime(Path(), ""))["about"] + quiet,
    }  # fmt: skip


def _put_floats(path: Path, values: Tensor) -> None:
    put(path, values.detach().cpu().numpy().astype(np.dtype("<f4")).tobytes())


def _readme(run: Run, manifest: dict[str, Any]) -> str:
    head = front_matter(run, title=manifest["title"], sdk="static", app_file="index.html", pinned=False)
    licence = manifest["licence"] or "not known"
    return (
        f"{head}\n\n# {manifest['title']}\n\nA page that computes pictures in the browser. Any web server serves it, "
        "such as `python -m http.server` in this folder; a file that is opened without one may not read others.\n\n"
        f"Licence of the training pictures: {licence}\n\n{manifest['made']}\n"
    )
