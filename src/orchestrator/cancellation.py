"""Telling our own cancellation from one that foreign code raised."""

from __future__ import annotations

import asyncio


def is_cancelled(error: BaseException) -> bool:
    """Whether the running task is being cancelled, and `error` is that: not a cancellation that foreign code raised."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0
