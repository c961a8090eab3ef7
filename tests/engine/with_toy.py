"""The `ganvas` command with the toy system among the others, for tests that need a process of their own."""

from pathlib import Path

import ganvas.systems

ganvas.systems.__path__.append(str(Path(__file__).parent / "systems"))

if __name__ == "__main__":
    from ganvas.cli import main

    main()
