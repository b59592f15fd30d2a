"""Where the logs of one `up` go: the folder that was named, or one in it where another `up` has that already."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

OWN = "up-"
"""Begins the name of a folder of an `up` that was not alone; its process id follows."""


@contextmanager
def log_folder(wanted: Path, tell: Callable[[str], None]) -> Iterator[Path | None]:
    """The folder for as long as the block runs; None, and `tell` is told why, where none can be written."""
    with contextlib.ExitStack() as stack:
        folder: Path | None = wanted
        try:
            wanted.mkdir(parents=True, exist_ok=True)
            # The system lets go of it however we end.
            lock = stack.enter_context((wanted / ".lock").open("a"))
            if not _take(lock.fileno()):
                _clear(wanted)
                folder = wanted / f"{OWN}{os.getpid()}"
                folder.mkdir(exist_ok=True)
        except OSError as error:
            tell(f"cannot write logs to {wanted}: {error.strerror}; none are kept")
            folder = None
        yield folder


def _take(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks: as if we were alone
    return True


def _clear(folder: Path) -> None:
    """Logs of those who were not alone, and are no more."""
    for old in folder.glob(f"{OWN}*"):
        try:
            os.kill(int(old.name.removeprefix(OWN)), 0)
        except ProcessLookupError:
            shutil.rmtree(old, ignore_errors=True)
        except (ValueError, OSError):
            pass
