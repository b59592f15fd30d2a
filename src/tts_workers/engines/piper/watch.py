"""Ends runs of ONNX Runtime in the middle.

A run blocks its thread inside the library, which looks at the flag `RunOptions.terminate` between two nodes of the
graph. Somebody else must set it: one thread a model, which asks the requests of the runs in progress whether they are
cancelled, and sleeps while there are none.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

POLL_S = 0.01
CLOSE_S = 5.0
"""How long runs that were told to end may take: no node of a graph computes longer."""


class Terminable(Protocol):
    """`onnxruntime.RunOptions`."""

    terminate: bool


class Run:
    """One run; `cancelled` once it was told to end."""

    def __init__(self, options: Terminable, wanted: Callable[[], bool]) -> None:
        self._options = options
        self._wanted = wanted
        self.cancelled = False

    def look(self) -> None:
        if self._wanted():
            self.end()

    def end(self) -> None:
        self.cancelled = True
        self._options.terminate = True


class Watch:
    """Any thread may begin and end runs."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._runs: set[Run] = set()
        self._thread: threading.Thread | None = None
        self._closed = False

    def begin(self, options: Terminable, cancelled: Callable[[], bool]) -> Run:
        """Watches `cancelled` until `finish`; after `close` a run is told to end at once."""
        run = Run(options, cancelled)
        with self._changed:
            if self._closed:
                run.end()
                return run
            self._runs.add(run)
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="piper-watch", daemon=True)
                self._thread.start()
            self._changed.notify()
        return run

    def finish(self, run: Run) -> bool:
        """The run has ended; whether it was told to."""
        with self._changed:
            self._runs.discard(run)
            if not self._runs:
                self._changed.notify_all()
        return run.cancelled

    def close(self) -> None:
        """Tells all runs to end and waits for them, if not for ever, and for the thread."""
        with self._changed:
            self._closed = True
            for run in self._runs:
                run.end()
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._runs, CLOSE_S)
        if self._thread is not None:
            self._thread.join()

    def _look(self) -> None:
        with self._changed:
            while not self._closed:
                for run in self._runs:
                    run.look()
                self._changed.wait(POLL_S if self._runs else None)
