"""The systems, one file each. A file's name is its system's name; there is no other list.

A system's module has `PAPER`, its arXiv id; `Config`, its settings; `SYSTEM`, the class built as `SYSTEM(config)`; and
`PRESETS`, which map a name to a `ganvas.engine.system.Preset`.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterable
from types import ModuleType
from typing import TYPE_CHECKING

from ganvas.errors import UserError

if TYPE_CHECKING:
    from ganvas.engine.system import Preset


def names() -> list[str]:
    """Names of all systems, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))


def find(name: str) -> ModuleType:
    """The module of a system.

    Raises:
        UserError: If there is none of that name.
    """
    if name not in names():
        raise UserError(f"there is no system {name!r}{nearest(name, names())}")
    return importlib.import_module(f"{__name__}.{name}")


def find_preset(system: str, name: str) -> Preset:
    """A preset of a system.

    Raises:
        UserError: If there is no such system or preset.
    """
    presets: dict[str, Preset] = find(system).PRESETS
    if name not in presets:
        raise UserError(f"{system} has no preset {name!r}{nearest(name, presets)}")
    return presets[name]


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of an error message: the known name most like `name`, if one is, and all of them."""
    known = list(known)
    close = difflib.get_close_matches(name, known, 1, 0.5)
    meant = f": did you mean {close[0]}?" if close else ""
    return f"{meant or ':'} known are {', '.join(known)}" if known else meant
