"""structlog, without what it loads to paint tracebacks where that is installed: 3 MB a process, for nothing here."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _absent(name: str) -> Iterator[None]:
    """As if a module were not installed; it can be imported afterwards."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]


with _absent("rich"):
    import structlog

__all__ = ["structlog"]
