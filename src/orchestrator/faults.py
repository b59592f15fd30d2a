"""A fault for the log: what broke and where, without the words of its message, which may be somebody's speech."""

from __future__ import annotations

import traceback
from pathlib import PurePath


def fault(error: BaseException) -> dict[str, str]:
    """Fields of a log line: `fault`, the kinds of error, outermost first; `where`, the innermost places in our code."""
    kinds = [type(error).__name__]
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
        kinds.append(type(error).__name__)
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    where = " < ".join(f"{PurePath(f.filename).name}:{f.lineno} {f.name}" for f in reversed(frames))
    return {"fault": " ".join(kinds), "where": where}
