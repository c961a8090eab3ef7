"""The command line. Exit status 0, or 2 with one plain line that says what is wrong and what to do.

PyTorch is imported only by the commands that compute, so that `--help` answers at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, TypeVar

import tyro

from ganvas import systems
from ganvas.errors import UserError
from ganvas.systems import nearest

if TYPE_CHECKING:
    from ganvas.engine.system import Preset

HELP = """\
usage: ganvas COMMAND ...

Train, measure, show and ship generative adversarial networks.

  list                        systems and their presets
  describe SYSTEM PRESET      networks, parameter counts, settings
  train SYSTEM PRESET --data SRC --out RUN
                              train on a folder of pictures, a zip or built-in data
  resume RUN                  go on with a run that stopped
  sample RUN --out PATH       draw pictures: one grid, or a folder of files
  data check SRC              what a folder holds, and every file that cannot be used
  data prepare SRC OUT --size S
                              read, resize and keep pictures for training

`ganvas COMMAND --help` tells more; `ganvas train SYSTEM PRESET --help` shows every setting.
Add --json where a program reads the answer, --debug to see where an error comes from.
"""

Arguments = TypeVar("Arguments")
MARKERS = (tyro.conf.OmitArgPrefixes, tyro.conf.PositionalMetavarFromFieldName)


@dataclass
class Common:
    """Options of every command."""

    debug: tyro.conf.FlagCreatePairsOff[bool] = False
    """Show the whole traceback of an error."""


@dataclass
class Listing(Common):
    """Systems and their presets."""

    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object."""


@dataclass
class Describing(Common):
    """Networks, parameter counts and settings."""

    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object."""


@dataclass
class Training(Common):
    """Train a system on pictures."""

    data: str = dataclasses.field(kw_only=True)
    """The pictures: a folder, a zip or the name of built-in data."""

    out: Path = dataclasses.field(kw_only=True)
    """Folder of the new run."""

    init_from: Path | None = None
    """A run whose weights to start from."""


@dataclass
class Resuming(Common):
    """Go on with a run that stopped, as if it had not."""

    run: tyro.conf.Positional[Path] = dataclasses.field(kw_only=True)
    """The run's folder."""

    steps: int | None = None
    """Steps of training in all, if other than the run was started with."""

    data: str | None = None
    """Where the same pictures are now, if they have moved."""

    device: Literal["auto", "cpu", "cuda", "mps"] | None = None
    """Where to compute, if elsewhere than before."""


@dataclass
class Sampling(Common):
    """Draw pictures from a run's averaged weights."""

    run: tyro.conf.Positional[Path] = dataclasses.field(kw_only=True)
    """The run's folder."""

    out: Path = dataclasses.field(kw_only=True)
    """A .png file for one grid, or a folder for one file a picture."""

    n: int = 64
    """Pictures."""

    seed: int = 0
    """Seed of the first picture; the next ones count on from it."""

    truncation: float | None = None
    """Where latents are cut off, in standard deviations: 2 is mild, 0.5 is strong. Default: nowhere."""

    classes: Annotated[str | None, tyro.conf.arg(name="class")] = None
    """Draw this class only, by name or number."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute."""


@dataclass
class Checking(Common):
    """What a folder, zip or built-in holds, and every file that cannot be used."""

    source: tyro.conf.Positional[str] = dataclasses.field(kw_only=True)
    """The pictures."""

    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object."""


@dataclass
class Preparing(Common):
    """Read and resize pictures once, into a folder to train from."""

    source: tyro.conf.Positional[str] = dataclasses.field(kw_only=True)
    """The pictures."""

    out: tyro.conf.Positional[Path] = dataclasses.field(kw_only=True)
    """A new folder."""

    size: int = dataclasses.field(kw_only=True)
    """Side of the prepared pictures, pixels."""

    channels: int = 3
    """3 for colour, 1 for gray."""


def main() -> NoReturn:
    """Runs the command that the process was started with, and exits."""
    sys.exit(run(sys.argv[1:]))


def run(words: Sequence[str]) -> int:
    """Runs a command.

    Args:
        words: What follows `ganvas` on the command line.

    Returns:
        The exit status.
    """
    try:
        command(list(words))
        sys.stdout.flush()
        return 0
    except UserError as error:
        if "--debug" in words:
            raise
        if os.environ.get("RANK", "0") == "0":  # processes of one run fail alike
            complain(str(error))
        return 2
    except BrokenPipeError:  # such as `ganvas list | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        complain("interrupted")
        return 130
    except Exception as error:
        if "--debug" in words:
            raise
        complain(f"internal error, {type(error).__name__}: {error} (--debug shows where)")
        return 1


def complain(message: str) -> None:
    """One plain line on standard error."""
    print(f"ganvas: {' '.join(message.split())}", file=sys.stderr)


def command(words: list[str]) -> None:
    """Finds the command among the words and runs it with the others."""
    if not words or words[0] in ("-h", "--help"):
        print(HELP, end="")
        return
    if words[0] == "--version":
        from importlib.metadata import version

        print(version("ganvas"))
        return
    name = words.pop(0)
    if name == "data":
        if not words or words[0] in ("-h", "--help"):
            print("usage: ganvas data check SRC [--json]\n       ganvas data prepare SRC OUT --size S")
            return
        name += f" {words.pop(0)}"
    if name not in COMMANDS:
        raise UserError(f"there is no command {name!r}{nearest(name, COMMANDS)}")
    COMMANDS[name](words)


def list_systems(words: list[str]) -> None:
    """`ganvas list`."""
    arguments = parse(Listing, words, "list")
    modules = {name: systems.find(name) for name in systems.names()}
    if arguments.json:
        found = {name: {"presets": [*m.PRESETS], "paper": m.PAPER} for name, m in modules.items()}
        print(json.dumps({"systems": found}))
        return
    width = max(map(len, modules), default=0)
    for name, module in modules.items():
        print(f"{name:{width}}  {module.PAPER}  {', '.join(module.PRESETS)}")


def describe(words: list[str]) -> None:
    """`ganvas describe`."""
    system, preset = system_and_preset(words, "describe")
    arguments, chosen = parse_with_settings(Describing, words, "describe", system, preset)
    from ganvas.launch import describe as facts

    found = facts(system, preset, chosen)
    if arguments.json:
        print(json.dumps(found))
        return
    print(f"{system} {preset}, needs {', '.join(found['needs'])}")
    for name, network in found["networks"].items():
        print(f"  {name}: {network['parameters']:,} parameters")
    for part in ("config", "training", "data"):
        print(part)
        for name, value in found[part].items():
            print(f"  {name} = {value}")


def train(words: list[str]) -> None:
    """`ganvas train`."""
    system, preset = system_and_preset(words, "train")
    arguments, chosen = parse_with_settings(Training, words, "train", system, preset)
    from ganvas.launch import start

    out = arguments.out
    start(system, preset, chosen, data=arguments.data, out=out, init_from=arguments.init_from)
    tell_where(out)


def resume(words: list[str]) -> None:
    """`ganvas resume`."""
    arguments = parse(Resuming, words, "resume")
    from ganvas.launch import resume

    resume(arguments.run, steps=arguments.steps, data=arguments.data, device=arguments.device)
    tell_where(arguments.run)


def sample(words: list[str]) -> None:
    """`ganvas sample`."""
    arguments = parse(Sampling, words, "sample")
    from ganvas.run import load

    run = load(arguments.run, device=arguments.device)
    run.save_samples(arguments.out, arguments.n, arguments.seed, arguments.truncation, classes=arguments.classes)
    print(arguments.out)


def check_data(words: list[str]) -> None:
    """`ganvas data check`."""
    arguments, options = parse_with_options(Checking, words, "data check")
    from ganvas.data import check_data

    report = check_data(arguments.source, options, progress=True)
    if arguments.json:
        print(json.dumps(report.to_json()))
    else:
        print("\n".join(report.lines()))


def prepare_data(words: list[str]) -> None:
    """`ganvas data prepare`."""
    arguments, options = parse_with_options(Preparing, words, "data prepare")
    from ganvas.data import prepare_data

    size, channels = arguments.size, arguments.channels
    prepared = prepare_data(arguments.source, arguments.out, options, size=size, channels=channels, progress=True)
    skipped = f", {len(prepared.skipped)} files skipped" if prepared.skipped else ""
    print(f"{len(prepared)} pictures in {arguments.out}{skipped}")


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "list": list_systems,
    "describe": describe,
    "train": train,
    "resume": resume,
    "sample": sample,
    "data check": check_data,
    "data prepare": prepare_data,
}


def tell_where(path: Path) -> None:
    """Prints where a run and its newest grid are."""
    if os.environ.get("RANK", "0") != "0":
        return
    from ganvas.engine.folder import RunFolder

    if grid := RunFolder(path).newest_grid():
        print(f"samples: {grid}")
    print(f"run: {path}")


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
