"""How long the command takes to answer: `python benchmarks/startup.py`. Medians of whole processes."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from ganvas.engine.folder import environment

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import ganvas": [sys.executable, "-c", "import ganvas"],
    "ganvas --help": [sys.executable, "-m", "ganvas", "--help"],
    "ganvas list": [sys.executable, "-m", "ganvas", "list"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--out", type=Path, help="also write the figures there, as JSON")
    args = parser.parse_args()
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(args.repeats + 1):  # in turn, and the first round is a warm-up
        for name, command in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values[1:]) for name, values in times.items()}
    for name, value in medians.items():
        print(f"{name:16} {value:.3f} s")
    if args.out:
        about = {"command": " ".join(["python", *sys.argv]), "environment": environment()}
        args.out.write_text(json.dumps(about | {"seconds": medians}, indent=2) + "\n")


if __name__ == "__main__":
    main()
