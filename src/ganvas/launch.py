"""Training, resuming and describing: what the command line does, for Python."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from ganvas import systems
from ganvas.data import Data, open_data
from ganvas.data.described import Described
from ganvas.data.source import absolute
from ganvas.engine.distributed import Ranks, join
from ganvas.engine.folder import RunFolder, Settings, one_line, plain, setting_names
from ganvas.engine.precision import resolve_precision
from ganvas.engine.session import train_run
from ganvas.engine.system import Preset, System
from ganvas.engine.training import Device
from ganvas.errors import UserError
from ganvas.run import Run, build


def train(
    system: str,
    preset: str,
    *,
    data: str | Path,
    out: str | Path,
    init_from: str | Path | None = None,
    **overrides: Any,
) -> Run:
    """Trains a system and returns the run; an interrupted one is saved and returned as far as it is.

    Args:
        system: Name of the system, such as `unetgan`.
        preset: Name of one of its presets, such as `demo`.
        data: The pictures: a folder, a zip or the name of built-in data; for a system that translates two of these,
            `FIRST::SECOND`, or one that holds both sides.
        out: Folder of the new run.
        init_from: A run whose weights to start from.
        **overrides: Fields of the system's `Config`, of `Training` or of `DataOptions` to change in the preset.

    Raises:
        UserError: If anything asked for is not possible, or training fails.
    """
    chosen = override(systems.find_preset(system, preset), overrides)
    return start(system, preset, chosen, data=str(data), out=Path(out), init_from=init_from)


def override(preset: Preset, changes: dict[str, Any]) -> Preset:
    """A preset with fields changed, each found in the one of its three parts that has it.

    Raises:
        UserError: If no part has such a field, or its value is not allowed.
    """
    parts = {"config": preset.config, "training": preset.training, "data": preset.data}
    for name, value in changes.items():
        for part, settings in parts.items():
            if name in setting_names(settings):
                try:
                    parts[part] = _changed(settings, name, value)
                except ValidationError as error:
                    raise UserError(one_line(error)) from error
                break
        else:
            known = [known for settings in parts.values() for known in setting_names(settings)]
            raise UserError(f"there is no setting {name!r}{systems.nearest(name, known)}")
    return Preset(**parts)


def _changed(settings: Any, name: str, value: Any) -> Any:
    """Settings with one of them changed, wherever in their groups it is."""
    for field in dataclasses.fields(settings):
        group = getattr(settings, field.name)
        if field.name == name:
            return dataclasses.replace(settings, **{name: value})
        if dataclasses.is_dataclass(group) and name in setting_names(group):
            return dataclasses.replace(settings, **{field.name: _changed(group, name, value)})
    raise KeyError(name)


def start(
    system: str, preset: str, chosen: Preset, *, data: str, out: Path, init_from: str | Path | None = None
) -> Run:
    """Trains a new run with complete settings; see `train`."""
    folder = RunFolder(out)
    with join(chosen.training.device) as ranks:
        if ranks.any(ranks.first and _used(folder)):
            folder.refuse_used()
        if init_from is None and _stand_in(system, chosen.config).inherited:
            raise UserError("this stage goes on from a run of the stages before it: give --init-from RUN")
        prepared = _open(system, data, chosen, ranks)
        precision = resolve_precision(chosen.training.precision, ranks.device)
        # Stored as found, so that a resumed run computes in the same format.
        chosen = Preset(
            _from_data(chosen.config, prepared),
            dataclasses.replace(chosen.training, precision=precision),
            chosen.data,
        )
        source_run = None if init_from is None else absolute(str(init_from))
        settings = Settings(system, preset, chosen, absolute(data), _facts(prepared), source_run)
        networks = build(settings, ranks.device)
        _check_needs(networks, prepared, system)
        train_run(folder, settings, prepared, networks, ranks)
    return Run(out, chosen.training.device)


def resume(
    path: str | Path, *, steps: int | None = None, data: str | Path | None = None, device: Device | None = None
) -> Run:
    """Goes on with a run from its newest good checkpoint, as if it had not stopped.

    Args:
        path: The run's folder.
        steps: Steps of training in all, if other than the run was started with.
        data: Where the same pictures are now, if they have moved.
        device: Where to compute, if elsewhere than before.

    Raises:
        UserError: If it is not a run, its data has changed, another process trains it, or training fails.
    """
    run = Run(path, "cpu")
    if run.shipped:
        raise UserError(f"{path} holds networks without their training: start a new run with --init-from {path}")
    settings = run.settings
    changes = {name: value for name, value in (("steps", steps), ("device", device)) if value is not None}
    settings = dataclasses.replace(settings, chosen=override(settings.chosen, changes))
    if data is not None:
        settings = dataclasses.replace(settings, source=absolute(str(data)))
    with join(settings.chosen.training.device) as ranks:
        prepared = _open(settings.system, settings.source, settings.chosen, ranks)
        if prepared.hash != settings.data["hash"]:
            raise UserError(
                f"the pictures of {settings.source} are no longer those that {path} was trained on: put them back, "
                f"or start a new run with --init-from {path}"
            )
        networks = build(settings, ranks.device)
        # A run killed before its first checkpoint starts again.
        checkpoints = run.folder.checkpoints()
        checkpoint = checkpoints.load() if checkpoints.steps() else None
        train_run(run.folder, settings, prepared, networks, ranks, checkpoint)
    return Run(path, settings.chosen.training.device)


def _open(system: str, data: str, chosen: Preset, ranks: Ranks) -> Data:
    """The prepared data; the first process prepares it, the others find it done."""
    config = chosen.config
    wanted = {
        "size": config.size,
        "channels": getattr(config, "channels", 3),
        "source_channels": getattr(config, "source_channels", None),
        "sides": systems.find(system).SYSTEM.sides,
        "scale": getattr(config, "scale", 1),
        "needs": _stand_in(system, config).needs,
    }
    return ranks.in_turn(lambda: open_data(data, chosen.data, **wanted, progress=ranks.first))


def _used(folder: RunFolder) -> bool:
    try:
        folder.refuse_used()
    except UserError:
        return True
    return False


def _facts(prepared: Data) -> dict[str, Any]:
    """What a run notes about its data."""
    return {
        "hash": prepared.hash,
        "classes": list(prepared.classes or []),
        "licence": prepared.licence or "",
        "count": prepared.describe()["count"],
        **({"encoder": prepared.encoder, "parts": list(prepared.parts)} if isinstance(prepared, Described) else {}),
    }


STAND_INS = {"classes": 2, "embedding": 1024, "keypoints": 15}
"""What `auto` is where there is no data to ask: least classes, the embedding of GAN-CLS, the parts of a bird."""


def _stand_in(system: str, config: Any) -> System:
    """A system without weights, of a configuration that may leave something to the data."""
    kind = systems.find(system).SYSTEM
    for name, value in STAND_INS.items():
        if getattr(config, name, 0) == "auto":
            # Systems that can do without classes are then without.
            needed = name != "classes" or "label" in kind.needs
            config = dataclasses.replace(config, **{name: value if needed else 0})
    with torch.device("meta"):
        built: System = kind(config)
    return built


def _from_data(config: Any, prepared: Data) -> Any:
    """The configuration with `classes`, `embedding` and `keypoints` as the data has them.

    Raises:
        UserError: If it asks for another number than the data has, or for classes of data without any.
    """
    there = {}
    if isinstance(prepared, Described):
        there = {"embedding": prepared.embedding, "keypoints": len(prepared.parts)}
    for name, found in there.items():
        asked = getattr(config, name, 0)
        if asked == "auto" and found:
            config = dataclasses.replace(config, **{name: found})
        elif found and asked and asked != found:
            what = "numbers in an embedded caption" if name == "embedding" else "keypoints"
            raise UserError(f"--{name} is {asked} but the data has {found} {what}: give --{name} auto")
    return _with_classes(config, prepared)


def _with_classes(config: Any, prepared: Data) -> Any:
    """The configuration with `classes` as the data has them.

    Raises:
        UserError: If it asks for another number of classes than the data has, or for those of data without any.
    """
    asked, found = getattr(config, "classes", 0), len(prepared.classes or [])
    if asked == "auto":
        if not found:
            why = f" ({prepared.unlabelled})" if prepared.unlabelled else ""
            raise UserError(
                f"--classes auto needs labels and the data has none{why}: use class folders, or --classes 0"
            )
        return dataclasses.replace(config, classes=found)
    if asked and asked != found:
        raise UserError(f"--classes is {asked} but the data has {found} classes: give --classes auto, or other data")
    return config


def _check_needs(system: System, prepared: Data, name: str) -> None:
    """Refuses data without what the system is trained on.

    Raises:
        UserError: If something is missing.
    """
    missing = sorted(system.needs - set(prepared.keys()))
    if missing:
        raise UserError(
            f"{name} with these settings needs {' and '.join(missing)} for every picture, and the data has only "
            f"{', '.join(sorted(prepared.keys()))}"
        )


def describe(system: str, preset: str, chosen: Preset) -> dict[str, Any]:
    """Networks, parameter counts and settings of a system that is not trained yet, JSON types.

    Nothing is allocated: the networks are built on PyTorch's meta device. What is `auto` without data is taken from
    `STAND_INS`; classes are none where a system can do without.

    Raises:
        UserError: If the settings contradict each other.
    """
    built = _stand_in(system, chosen.config)
    networks, seen = {}, set[int]()
    for name, network in built.named_children():
        # A network that a loss refers to as well is counted where it comes first.
        own = {id(p): p.numel() for p in network.parameters() if id(p) not in seen}
        if own:
            networks[name] = {"parameters": sum(own.values())}
        seen |= own.keys()
    return {
        "system": system,
        "preset": preset,
        "needs": sorted(built.needs),
        "networks": networks,
        "config": plain(chosen.config),
        "training": plain(chosen.training),
        "data": plain(chosen.data),
    }
