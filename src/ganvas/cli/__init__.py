"""The command line. Exit status 0, or 2 with one plain line that says what is wrong and what to do."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from ganvas.errors import UserError

HELP = """\
usage: ganvas COMMAND ...

Train, measure, show and ship generative adversarial networks.

  list                        systems and their presets
  describe SYSTEM PRESET      networks, parameter counts, settings
  train SYSTEM PRESET --data SRC --out RUN
                              train on a folder of pictures, a zip or built-in data
  resume RUN                  go on with a run that stopped
  sample RUN --out PATH       draw pictures: one grid, or a folder of files
  translate RUN INPUT OUTPUT  turn pictures into others: a file, folder or zip, any size
  export RUN OUT              for others: ONNX, weights with a model card, a web page, a Space
  evaluate RUN_OR_FOLDER --data SRC
                              score a run's samples, or any pictures, against others
  inspect RUN                 what the discriminator sees, walks, curves: pictures of a run
  compare RUN RUN ...         a table over runs, mean and interval over seeds
  studio [RUN ...]            pages in a browser: watch, play with, compare and judge runs
  study FILE                  train and score variants times seeds
  data check SRC              what a folder holds, and every file that cannot be used
  data prepare SRC OUT --size S
                              read, resize and keep pictures for training
  turing prepare --real SRC --generated RUN_OR_SRC --out FOLDER
                              pictures for people to tell real from generated
  turing score FOLDER         how well they could
  mos prepare --truth SRC --methods NAME=RUN_OR_SRC ... --out STUDY
                              enlarged photos for people to rate from 1 to 5
  mos score STUDY             what they made of each method

`ganvas COMMAND --help` tells more; `ganvas train SYSTEM PRESET --help` shows every setting.
Add --json where a program reads the answer, --debug to see where an error comes from.
"""

USAGES = {
    "data": "usage: ganvas data check SRC [--json]\n       ganvas data prepare SRC OUT --size S",
    "turing": "usage: ganvas turing prepare --real SRC --generated RUN_OR_SRC --out FOLDER\n"
    "       ganvas turing score FOLDER [--answers FILE ...] [--json]",
    "mos": "usage: ganvas mos prepare --truth SRC --methods NAME=RUN_OR_SRC ... --out STUDY [--raters N]\n"
    "       ganvas mos score STUDY [ANSWERS.csv ...] [--json]",
}
"""Of the commands of two words."""


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
    from ganvas.cli.commands import COMMANDS
    from ganvas.systems import nearest

    name = words.pop(0)
    if name in USAGES:
        if not words or words[0] in ("-h", "--help"):
            print(USAGES[name])
            return
        name += f" {words.pop(0)}"
    if name not in COMMANDS:
        raise UserError(f"there is no command {name!r}{nearest(name, COMMANDS)}")
    COMMANDS[name](words)
