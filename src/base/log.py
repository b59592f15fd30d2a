"""Logs: events with constant names and fields, to stderr; JSON for machines, short lines on a terminal.

    log = base.log.get_logger("worker")
    log.info("turn.done", session=session_id, turn=3, first_audio_s=0.081)

Fields named `pii.…` hold what people said (`log.info("final", **{"pii.text": text})`); they are dropped unless
`configure(pii=True)`. Logging never raises: a field that cannot be shown is shown as well as it can be, and a stderr
that is gone is ignored. Text is escaped, so that nothing from the network can forge a line or drive a terminal.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, TextIO

from base.lean import structlog

LEVELS = ("debug", "info", "warning", "error")
PII = "pii."

_MAX_CHARS = 4_000
"""Of one text field; the rest is cut."""

_Event = MutableMapping[str, Any]


def get_logger(component: str) -> structlog.typing.FilteringBoundLogger:
    """A logger whose lines carry `component`. May be called at import; `configure` counts also afterwards."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(component=component)
    return logger


def configure(
    *, level: str = "info", as_json: bool | None = None, pii: bool = False, stream: TextIO | None = None
) -> None:
    """Sets up logging of the whole process. `as_json` None: unless the stream is a terminal.

    The standard library's loggers (grpc, aiohttp, …) are sent the same way, from WARNING up. Raises ValueError for an
    unknown level.
    """
    if level not in LEVELS:
        raise ValueError(f"log level {level!r} is unknown; use one of {', '.join(LEVELS)}")
    number = getattr(logging, level.upper())
    _configure(number, _is_terminal(stream or sys.stderr) if as_json is None else not as_json, pii, stream)
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, _FromStandardLibrary)]:
        root.removeHandler(handler)
    root.addHandler(_FromStandardLibrary(max(number, logging.WARNING)))


def _configure(number: int, for_people: bool, pii: bool, stream: TextIO | None) -> None:
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _keep_pii if pii else _drop_pii,
            _as_line if for_people else _as_json,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: _Writer(stream),
        cache_logger_on_first_use=False,
    )


class _Writer:
    """Writes finished lines; what structlog calls for every level. None: stderr, as it is at that moment."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        stream = self._stream or sys.stderr
        try:
            stream.write(line + "\n")
            stream.flush()
        except (OSError, ValueError):
            pass  # stderr is gone or closed: there is nobody to tell

    debug = info = warning = error = critical = exception = msg


class _FromStandardLibrary(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        try:
            said = record.getMessage()
        except Exception:  # a wrong format string in somebody's call
            said = str(record.msg)
        level = "error" if record.levelno >= logging.ERROR else "warning"
        logger = structlog.get_logger(component=record.name)
        getattr(logger, level)("library", message=said, exc_info=record.exc_info if record.exc_info else None)


# --- processors: (logger, method, event) -> event, the last one -> line ----------------------------------------------


def _keep_pii(_logger: Any, _method: str, event: _Event) -> _Event:
    return event


def _drop_pii(_logger: Any, _method: str, event: _Event) -> _Event:
    for key in [k for k in event if k.startswith(PII)]:
        del event[key]
    return event


def _as_json(_logger: Any, _method: str, event: _Event) -> str:
    line = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "level": event.pop("level", ""),
        "event": event.pop("event", ""),
        **_fields(event),
    }
    try:
        return json.dumps(line, default=_text, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):  # keys that are no text, cycles
        return json.dumps({str(k): _text(v) for k, v in line.items()}, ensure_ascii=False)


def _as_line(_logger: Any, _method: str, event: _Event) -> str:
    level, name, component = (str(event.pop(key, "")) for key in ("level", "event", "component"))
    fields = _fields(event)
    failure = fields.pop("error_trace", "")
    pairs = " ".join(f"{key}={_shown(value)}" for key, value in fields.items())
    line = f"{time.strftime('%H:%M:%S')} {level:<7} {component + ' ' if component else ''}{name} {pairs}".rstrip()
    return f"{line}\n{_escaped(failure, keep=chr(10))}" if failure else line


def _fields(event: _Event) -> dict[str, Any]:
    """The event's own fields, with an exception as text under `error_trace`."""
    failure = event.pop("exc_info", None)
    fields = {key: value[:_MAX_CHARS] if isinstance(value, str) else value for key, value in event.items()}
    if failure is True:
        failure = sys.exc_info()
    if isinstance(failure, tuple):
        failure = failure[1]
    if isinstance(failure, BaseException):
        try:
            fields["error_trace"] = "".join(traceback.format_exception(failure)).rstrip()
        except Exception:  # an exception whose own __str__ raises
            fields["error_trace"] = type(failure).__name__
    return fields


def _text(value: object) -> str:
    try:
        return str(value)[:_MAX_CHARS]
    except Exception:  # a value whose own __str__ raises must not take the caller down
        return f"<{type(value).__name__}>"


def _shown(value: object) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else _text(value)
    if text and text.isprintable() and " " not in text and '"' not in text:
        return text
    return _escaped(json.dumps(text, ensure_ascii=False))


def _escaped(text: str, keep: str = "") -> str:
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except (AttributeError, ValueError):
        return False


# structlog left alone writes to stdout, which belongs to the program's own output.
_configure(logging.WARNING, True, False, None)
