"""Which request a log line belongs to, across processes: W3C trace context, and no more.

A trace id comes in with the gRPC metadata key `traceparent` (https://www.w3.org/TR/trace-context/), or is made where a
session starts; it goes out with every call made with `metadata()`, and every log line made inside `use` carries it.
There are no spans, no sampling and no exporter: whoever wants those puts a collector's agent around the processes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from base.lean import structlog

KEY = "traceparent"

_HEADER = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_current: ContextVar[Trace | None] = ContextVar("antiphon_trace", default=None)


@dataclass(frozen=True, slots=True)
class Trace:
    """`trace_id` is 32 lower-case hex digits, `span_id` 16; `flags` is the byte of the header."""

    trace_id: str
    span_id: str
    flags: int = 1

    def header(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"


def new() -> Trace:
    """A trace of its own, with random ids."""
    return Trace(os.urandom(16).hex(), os.urandom(8).hex())


def child(trace: Trace) -> Trace:
    """The same trace, for one call made in it."""
    return Trace(trace.trace_id, os.urandom(8).hex(), trace.flags)


def parse(header: str) -> Trace | None:
    """None for what is no traceparent; a later version's extra fields are ignored, as the standard wants."""
    found = _HEADER.fullmatch(header.strip())
    if found is None:
        return None
    version, trace_id, span_id, flags, rest = found.groups()
    if version == "ff" or (version == "00" and rest) or not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return Trace(trace_id, span_id, int(flags, 16))


def from_metadata(metadata: Iterable[tuple[str, str | bytes]] | None) -> Trace | None:
    """The caller's trace in a call's metadata, if it sent one."""
    for key, value in metadata or ():
        if key == KEY and isinstance(value, str):
            return parse(value)
    return None


def current() -> Trace | None:
    return _current.get()


@contextmanager
def use(trace: Trace) -> Iterator[Trace]:
    """Makes `trace` the current one, and its id a field of every log line, in this context and tasks made in it."""
    token = _current.set(trace)
    try:
        with structlog.contextvars.bound_contextvars(trace=trace.trace_id):
            yield trace
    finally:
        _current.reset(token)


def metadata() -> tuple[tuple[str, str | bytes], ...]:
    """What to send with a call, `metadata=tracing.metadata()`: the current trace, or nothing."""
    trace = _current.get()
    return () if trace is None else ((KEY, child(trace).header()),)
