"""Folders that runs are shipped in: made, filled, and told of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganvas.engine.files import write_atomically
from ganvas.errors import UserError
from ganvas.shipping.onnx import Exported


@dataclass(frozen=True)
class Folder:
    """A folder that was written.

    Attributes:
        path: Where it is.
        format: `safetensors`, `web` or `space`.
        use: What to do with it, in one line.
        network: The ONNX file in it, if there is one.
        url: Where it was pushed to, if it was.
    """

    path: Path
    format: str
    use: str
    network: Exported | None = None
    url: str | None = None

    def sizes(self) -> dict[str, int]:
        """Bytes of every file, by its name in the folder."""
        files = sorted(path for path in self.path.rglob("*") if path.is_file())
        return {path.relative_to(self.path).as_posix(): path.stat().st_size for path in files}

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        network = None if self.network is None else self.network.to_json()
        return {"path": str(self.path), "format": self.format, "files": self.sizes(), "network": network,
                "url": self.url}  # fmt: skip

    def lines(self) -> list[str]:
        """For people to read."""
        sizes = self.sizes()
        told = [f"{self.path}: {len(sizes)} files, {sum(sizes.values()) / 1e6:.1f} MB"]
        told += [] if self.network is None else self.network.lines()
        return [*told, self.use, *([] if self.url is None else [f"pushed to {self.url}"])]


def make_folder(path: Path, force: bool) -> None:
    """A folder to write into.

    Raises:
        UserError: Something is there already, and `force` does not say to write over it; or it cannot be made.
    """
    if path.exists() and not path.is_dir():
        raise UserError(f"{path} is a file, not a folder: write elsewhere")
    if path.is_dir() and any(path.iterdir()) and not force:
        raise UserError(f"{path} is not empty: give --force to write into it all the same, or write elsewhere")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make {path}: {error.strerror or error}") from error


def put(path: Path, data: bytes | str) -> None:
    """Writes a file.

    Raises:
        UserError: It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data.encode() if isinstance(data, str) else data)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
