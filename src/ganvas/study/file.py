"""The file that a study is written in: what varies, over which seeds, and how the runs are scored."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganvas import systems
from ganvas.cli.options import Evaluating
from ganvas.cli.parsing import parse_with_options
from ganvas.data.options import DataOptions
from ganvas.data.source import absolute
from ganvas.engine.distributed import Ranks
from ganvas.engine.system import Preset
from ganvas.errors import UserError
from ganvas.launch import describe, override
from ganvas.metrics.compute import METRICS, check_names
from ganvas.study.plan import StudyRun, flags

KEYS = ("system", "preset", "data", "seeds", "settings", "evaluate", "variants")
OF_A_VARIANT = ("system", "preset", "data")
START = "init_from"
"""Key of a variant whose runs start from those of another one, seed by seed."""


@dataclass(frozen=True)
class Variant:
    """One of the things that a study compares.

    Attributes:
        name: Its name, also of its folder.
        system: Name of the system.
        preset: Name of the preset it starts from.
        data: The pictures.
        chosen: The preset with the study's and the variant's own settings.
        changed: Names of those settings.
        init_from: The variant whose weights its runs start from, that of the same seed.
    """

    name: str
    system: str
    preset: str
    data: str
    chosen: Preset
    changed: tuple[str, ...]
    init_from: str | None = None


@dataclass(frozen=True)
class Study:
    """Variants times seeds.

    Attributes:
        path: The file it was read from.
        seeds: Seed of each run of a variant.
        variants: What is compared, in the order of the file; the first is what the others are compared with.
        evaluate: Options of `ganvas evaluate` for every finished run; None leaves runs unscored.
    """

    path: Path
    seeds: tuple[int, ...]
    variants: tuple[Variant, ...]
    evaluate: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """The name of the file, without its ending."""
        return self.path.stem

    def runs(self, out: str | Path | None = None) -> list[StudyRun]:
        """Every run, the first seed of all variants first, so that a study that was interrupted is balanced.

        Args:
            out: Folder of all runs; `runs/NAME` by default.
        """
        folder = Path("runs", self.name) if out is None else Path(out)
        return [
            StudyRun(
                name=f"{variant.name}/seed-{seed}",
                variant=variant.name,
                seed=seed,
                path=folder.absolute() / variant.name / f"seed-{seed}",
                system=variant.system,
                preset=variant.preset,
                data=absolute(variant.data),
                chosen=override(variant.chosen, {"seed": seed}),
                changed=(*variant.changed, "seed"),
                evaluate=self.evaluate,
                init_from=variant.init_from and str(folder.absolute() / variant.init_from / f"seed-{seed}"),
            )
            for seed in self.seeds
            for variant in self.variants
        ]


def load_study(path: str | Path) -> Study:
    """Reads a study and makes sure that every variant can be built.

    Args:
        path: A TOML file, see docs/studies.md.

    Raises:
        UserError: If anything in the file is not right; it names the key.
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the study {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a TOML file: {error}") from error
    try:
        return _study(path, content)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _study(path: Path, content: dict[str, Any]) -> Study:
    for key in content:
        if key not in KEYS:
            raise UserError(f"{key}: there is no such key{systems.nearest(key, KEYS)}")
    tables = _table(content, "variants")
    if not tables:
        raise UserError("variants: a study needs at least one, such as [variants.baseline]")
    variants = []
    for name in tables:
        # It becomes the name of a folder.
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", name):
            raise UserError(f"variants.{name}: name variants with letters, digits and . _ + - only")
        variants.append(_variant(name, content, _table(tables, name, f"variants.{name}")))
    _check_starts(variants)
    return Study(path, _seeds(content), tuple(variants), _evaluate(content, variants))


def _variant(name: str, content: dict[str, Any], own: dict[str, Any]) -> Variant:
    """A variant with its settings, if the system can be built with them.

    Raises:
        UserError: If not; it names the key.
    """
    source = {}
    for key in OF_A_VARIANT:
        place = f"variants.{name}.{key}" if key in own else key
        value = own.get(key, content.get(key))
        if value is None:
            raise UserError(f'{key}: it is missing: give {key} = "..." at the top of the file')
        if not isinstance(value, str):
            raise UserError(f"{place}: it is a text in quotes, not {value!r}")
        source[key] = value
    shared = _table(content, "settings")
    start = own.get(START)
    own = {key: value for key, value in own.items() if key not in (*OF_A_VARIANT, START)}
    try:
        chosen = systems.find_preset(source["system"], source["preset"])
    except UserError as error:
        raise UserError(f"variants.{name}: {error}") from error
    for key, value in {**shared, **own}.items():
        place = f"variants.{name}.{key}" if key in own else f"settings.{key}"
        if key == "seed":
            raise UserError(f"{place}: a study's seeds are the list `seeds` at the top of the file")
        try:
            chosen = override(chosen, {key: value})
        except UserError as error:
            raise UserError(f"{place}: {str(error).removeprefix(f'{key}: ')}") from error
    try:
        describe(source["system"], source["preset"], chosen)
        Ranks().cut(chosen.training.batch, chosen.training.micro_batch)
    except UserError as error:
        raise UserError(f"variants.{name}: {error}") from error
    return Variant(name, **source, chosen=chosen, changed=tuple({**shared, **own}), init_from=start)


def _check_starts(variants: Sequence[Variant]) -> None:
    """Makes sure that runs start from those of variants that are there and start from nothing themselves.

    Raises:
        UserError: If not.
    """
    first = [variant.name for variant in variants if variant.init_from is None]
    for variant in variants:
        if variant.init_from is not None and variant.init_from not in first:
            raise UserError(
                f"variants.{variant.name}.{START}: it names a variant that starts from no other itself, not "
                f"{variant.init_from!r}{systems.nearest(str(variant.init_from), first)}"
            )


def _evaluate(content: dict[str, Any], variants: Sequence[Variant]) -> dict[str, Any] | None:
    """Options of `ganvas evaluate`, read here as the command line will."""
    if "evaluate" not in content:
        return None
    options = _table(content, "evaluate")
    if len({variant.data for variant in variants}) > 1 and "data" not in options:
        raise UserError("evaluate.data: variants have different data: name the pictures that all are compared with")
    fields = {field.name for kind in (Evaluating, DataOptions) for field in dataclasses.fields(kind)}
    known = sorted(fields - {"subject", "json", "debug"})
    for key in options:
        if key not in known:
            raise UserError(f"evaluate.{key}: there is no such option{systems.nearest(key, known)}")
    try:
        parsed, _ = parse_with_options(Evaluating, ["RUN", *flags(options)], "evaluate")
        check_names(METRICS if parsed.metrics is None else parsed.metrics)
    except UserError as error:
        raise UserError(f"evaluate: {error}") from error
    return options


def _table(content: dict[str, Any], key: str, place: str = "") -> dict[str, Any]:
    """A table of the file; an empty one if it is not there."""
    table = content.get(key, {})
    if not isinstance(table, dict):
        raise UserError(f"{place or key}: it is a table, [{place or key}], not {table!r}")
    return table


def _seeds(content: dict[str, Any]) -> tuple[int, ...]:
    seeds = content.get("seeds")
    whole = isinstance(seeds, list) and all(type(seed) is int and seed >= 0 for seed in seeds)
    if not whole or not seeds or len(set(seeds)) < len(seeds):
        raise UserError("seeds: it is a list of different whole numbers, such as seeds = [0, 1, 2]")
    return tuple(seeds)
