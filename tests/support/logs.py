"""What is logged, for a test to look at."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog

from base import log


@contextmanager
def captured() -> Iterator[list[MutableMapping[str, Any]]]:
    """Lines from INFO up, whatever other tests made of the level; they are not printed."""
    log.configure(level="info")
    try:
        with structlog.testing.capture_logs() as lines:
            yield lines
    finally:
        log.configure(level="warning")
