"""A run as a folder for others: its networks, what builds them, and a model card."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from ganvas import systems
from ganvas.engine.checkpoint import MODEL, save_model
from ganvas.engine.folder import Settings, to_text
from ganvas.engine.system import System
from ganvas.errors import UserError
from ganvas.losses.history import PARTS, History
from ganvas.run import Run
from ganvas.shipping.card import CARD, PICTURES, card_of
from ganvas.shipping.folder import put

SHOWN = 36
"""Pictures of the card."""


def write_weights(run: Run, out: Path, name: str | None = None) -> None:
    """Writes `model.safetensors`, `config.json`, `README.md` and `samples.png`.

    The networks have the averaged weights and the statistics that sampling uses; generated pictures that losses have
    kept are left out. Of paths only the last parts are told: the others say where somebody keeps files.

    Args:
        run: On the CPU, in fp32.
        out: The folder, which exists.
        name: Of the repository that it is for, USER/NAME.

    Raises:
        UserError: A file cannot be written.
    """
    try:
        save_model(out / MODEL, _tensors(run.system), run.step)
    except OSError as error:
        raise UserError(f"cannot write {out / MODEL}: {error.strerror or error}") from error
    put(out / "config.json", to_text(without_paths(run.settings).to_json()))
    pictures = _pictures(run, out / PICTURES)
    put(out / CARD, card_of(run, name, pictures))


def without_paths(settings: Settings) -> Settings:
    """Settings in which places of this machine are names alone."""
    options, data = settings.chosen.data, dict(settings.data)
    if data.get("encoder"):
        data["encoder"] = {**data["encoder"], "name": _last(data["encoder"]["name"])}
    embeddings = None if options.embeddings is None else Path(options.embeddings.name)
    options = replace(options, cache=None, embeddings=embeddings, encoder=_last(options.encoder))
    return replace(
        settings, chosen=replace(settings.chosen, data=options), data=data,
        source="::".join(map(_last, settings.source.split("::"))),
        init_from=None if settings.init_from is None else _last(settings.init_from),
    )  # fmt: skip


def _last(text: str) -> str:
    """The last part of a path; names of built-in data and of encoders on the hub as they are."""
    path = Path(text).expanduser()
    return path.name if path.is_absolute() or path.exists() else text


def _tensors(system: System) -> dict[str, Tensor]:
    tensors: dict[str, Any] = system.state_dict()
    for path, module in system.named_modules():
        if isinstance(module, History):
            empty = History(module.size).state_dict()
            tensors |= {f"{path}.{name}": empty[name] for name in (*PARTS, "filled")}
    return tensors


def _pictures(run: Run, path: Path) -> bool:
    """A grid of what the run makes; of translations the last one of the training. Whether there is one."""
    if not systems.find(run.settings.system).SYSTEM.sides and run.config.size > 1:
        run.save_samples(path, SHOWN)
        return True
    known = run.folder.newest_grid() or run.path / PICTURES
    if known.is_file() and known != path:
        shutil.copyfile(known, path)
    return path.is_file()
