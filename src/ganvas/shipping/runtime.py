"""onnxruntime-web, which runs ONNX files in browsers: the few files of it that a page needs."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ganvas.data.options import DataOptions, cache_folder
from ganvas.errors import UserError

PACKAGE = "onnxruntime-web"
VERSION = "1.30.0"
SCRIPT = "ort.wasm.min.js"
MODULE = "ort-wasm-simd-threaded.mjs"
BINARY = "ort-wasm-simd-threaded.wasm"
SECONDS = 300
"""How long npm may take."""


@dataclass(frozen=True)
class Runtime:
    """The files, and what they are.

    Attributes:
        folder: Where they are.
        version: Of the package.
    """

    folder: Path
    version: str

    @property
    def files(self) -> list[Path]:
        """Those that a page needs: for processors, in one thread."""
        return [self.folder / name for name in (SCRIPT, MODULE, BINARY)]


def find_runtime(given: str | Path | None = None) -> Runtime:
    """The package that is named, or that of a `node_modules` here or further up, or in the cache, put there by npm.

    Args:
        given: The package's folder.

    Raises:
        UserError: It is not there, and npm cannot bring it.
    """
    if given is not None:
        found = _in(Path(given).expanduser())
        if found is None:
            raise UserError(f"{given} is not the npm package {PACKAGE}: it has no dist/{SCRIPT}, dist/{BINARY}")
        return found
    here = Path.cwd()
    cache = cache_folder(DataOptions()) / "npm" / f"{PACKAGE}-{VERSION}"
    for place in (here, *here.parents, cache):
        if found := _in(place / "node_modules" / PACKAGE):
            return found
    _install(cache)
    if found := _in(cache / "node_modules" / PACKAGE):
        return found
    raise UserError(f"npm has installed {PACKAGE} without dist/{SCRIPT}: give --runtime DIR, a folder of the package")


def _in(folder: Path) -> Runtime | None:
    for place in (folder / "dist", folder):
        if all((place / name).is_file() for name in (SCRIPT, MODULE, BINARY)):
            try:
                about = json.loads((place.parent / "package.json").read_text(encoding="utf-8"))
                return Runtime(place, str(about["version"]))
            except (OSError, ValueError, KeyError, TypeError):
                return Runtime(place, "of unknown version")
    return None


def _install(cache: Path) -> None:
    """Brings the package into the cache.

    Raises:
        UserError: There is no npm, or it fails.
    """
    npm, how = shutil.which("npm"), f"give --runtime DIR, a folder of the npm package {PACKAGE} {VERSION}"
    if npm is None:
        raise UserError(f"pages need {PACKAGE}, which is not here, and neither is npm to bring it: {how}")
    words = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(cache)]
    try:
        cache.mkdir(parents=True, exist_ok=True)
        done = subprocess.run([*words, f"{PACKAGE}@{VERSION}"], capture_output=True, text=True, timeout=SECONDS)
        said = (done.stderr.strip().splitlines() or [""])[0]
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"npm cannot bring {PACKAGE} ({' '.join(str(error).split())[:200]}): {how}") from error
    if done.returncode:
        raise UserError(f"npm cannot bring {PACKAGE} ({said[:200]}): {how}")
