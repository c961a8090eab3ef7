"""Reading a command's words into its options; what is wrong with them, in one line."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import re
from typing import TYPE_CHECKING, Any, TypeVar

import tyro

from ganvas import systems
from ganvas.errors import UserError

if TYPE_CHECKING:
    from ganvas.engine.system import Preset

Arguments = TypeVar("Arguments")
MARKERS = (tyro.conf.OmitArgPrefixes, tyro.conf.PositionalMetavarFromFieldName)


def system_and_preset(words: list[str], command: str) -> tuple[str, str]:
    """Takes the two names off the front of the words.

    Raises:
        UserError: If they are not there, or there is no such system or preset.
    """
    names = [word for word in words[:2] if not word.startswith("-")]
    if len(names) == 2:
        systems.find_preset(*names)
        del words[:2]
        return names[0], names[1]
    known = [*systems.find(names[0]).PRESETS] if names else systems.names()
    usage = f"ganvas {command} {names[0] if names else 'SYSTEM'} PRESET [flags]"
    what = f"presets: {', '.join(known)}" if names else f"systems: {', '.join(known)}"
    if {"-h", "--help"} & set(words):
        print(f"usage: {usage}\n\n{what}\n\nA system and a preset before --help show every setting.")
        raise SystemExit(0)
    raise UserError(f"{command} takes a system and a preset, `{usage}`; {what}")


def parse_with_settings(
    kind: type[Arguments], words: list[str], command: str, system: str, preset: str
) -> tuple[Arguments, Preset]:
    """Reads a command's own options and, flat beside them, every setting of a preset."""
    from ganvas.engine.system import Preset

    given = systems.find_preset(system, preset)
    parts = {"config": given.config, "training": given.training, "data": given.data}
    fields: list[Any] = [(command, kind)]
    fields += [(name, type(part), dataclasses.field(default=part)) for name, part in parts.items()]
    flat = dataclasses.make_dataclass("Settings", fields, namespace={"__doc__": kind.__doc__})
    parsed: Any = parse(flat, words, f"{command} {system} {preset}")
    return getattr(parsed, command), Preset(parsed.config, parsed.training, parsed.data)


def parse_with_options(kind: type[Arguments], words: list[str], command: str) -> tuple[Arguments, Any]:
    """Reads a command's own options and, flat beside them, how data is read."""
    from ganvas.data.options import DataOptions

    own = command.split()[-1]
    fields: list[Any] = [(own, kind), ("data", DataOptions, dataclasses.field(default=DataOptions()))]
    flat = dataclasses.make_dataclass("Options", fields, namespace={"__doc__": kind.__doc__})
    parsed: Any = parse(flat, words, command)
    return getattr(parsed, own), parsed.data


def parse(kind: type[Arguments], words: list[str], command: str) -> Arguments:
    """Reads options.

    Raises:
        UserError: If they are not right, in one line.
        SystemExit: After printing help.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(kind, args=words, prog=f"ganvas {command}", config=MARKERS)
    except SystemExit as end:
        if end.code in (0, None):
            raise
        raise UserError(f"{plain_complaint(said.getvalue())} (see `ganvas {command} --help`)") from None


def plain_complaint(box: str) -> str:
    """What tyro draws as a box of several lines, of Unicode or ASCII characters, as one line."""
    box = re.sub(r"\x1b\[[0-9;]*m", "", box)
    rows = [line[2:].rstrip(" │╮") for line in box.splitlines()[1:]]
    rows = rows[1:] if rows and not rows[0].strip("─-") else rows
    # Below the first rule is help that takes more than a line.
    head = list(itertools.takewhile(lambda row: row.strip("─-╰╯"), rows))
    if head and head[0].startswith("Missing from"):
        missing = [row.split()[0] for row in head if re.match(r" {4}\S", row)]
        return f"missing {' and '.join(missing)}"
    message = " ".join(" ".join(head).split(" Got errors:")[0].split())
    message = re.sub(r"invalid literal for int\(\) with base 10: (.*)", r"\1 is not a whole number", message)
    message = re.sub(r"could not convert string to float: (.*)", r"\1 is not a number", message)
    # A setting that its dataclass refuses: pydantic's report of several lines.
    if found := re.search(r"validation errors? for \w+ (?:Value error, |(\w+) )(.*?) \[type=", message):
        flag = f"--{found[1].replace('_', '-')}: " if found[1] else ""
        message = flag + found[2]
    message = message.removeprefix("Error parsing ").rstrip(".")
    if "Perhaps you meant:" in rows:
        meant = rows[rows.index("Perhaps you meant:") + 1].split()[0].rstrip(",")
        message += f": did you mean {meant}?"
    return message or "the arguments are not right"


def which(checkpoint: str) -> Any:
    """The checkpoint that a flag means.

    Raises:
        UserError: If it is none of the three kinds.
    """
    if checkpoint in ("newest", "best"):
        return checkpoint
    if checkpoint.isdecimal():
        return int(checkpoint)
    raise UserError(f"--checkpoint is newest, best or a number of steps, not {checkpoint!r}")


def seeds(text: str | None, flag: str) -> tuple[int, ...]:
    """Seeds as a flag names them, with commas between them; none if it is not given.

    Raises:
        UserError: They are not whole numbers of 0 or more.
    """
    if text is None:
        return ()
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise UserError(f"{flag} takes seeds with commas between them, such as 3,17,42, not {text!r}")
    return tuple(map(int, parts))


def numbers(text: str | None, flag: str) -> tuple[float, ...] | None:
    """The four numbers of a box as a flag names them, with commas or spaces between them; None if it is not given.

    Raises:
        UserError: They are not four numbers.
    """
    if text is None:
        return None
    parts = text.replace(",", " ").split()
    try:
        found = tuple(map(float, parts))
    except ValueError:
        found = ()
    if len(found) != 4:
        raise UserError(f"{flag} takes x,y,width,height, such as 0.25,0.25,0.5,0.5, not {text!r}")
    return found
