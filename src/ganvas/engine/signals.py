"""Stopping on request: finish the step, save, leave."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Self


class StopRequest:
    """A context in which SIGTERM and Ctrl-C set `made` instead of ending the process.

    A second Ctrl-C ends it at once, by `KeyboardInterrupt`. Outside the main thread, where Python delivers no
    signals, nothing is installed.
    """

    def __init__(self) -> None:
        self.made = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        """Installs the handlers."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        """Puts back the handlers that were there before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.made and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.made = True
