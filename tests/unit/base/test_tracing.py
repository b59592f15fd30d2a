from __future__ import annotations

import pytest
import structlog

from base import tracing

pytestmark = pytest.mark.unit

HEADER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_header_comes_back_as_it_was() -> None:
    trace = tracing.parse(HEADER)
    assert trace is not None
    assert trace.header() == HEADER
    made = tracing.new()
    assert tracing.parse(made.header()) == made


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00-0-0-01",
        HEADER + "-more",
        HEADER.upper(),
        "ff" + HEADER[2:],
        HEADER.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32),
        HEADER.replace("b7ad6b7169203331", "0" * 16),
    ],
)
def test_what_is_no_traceparent_is_none(header: str) -> None:
    assert tracing.parse(header) is None


def test_a_later_version_may_say_more() -> None:
    assert tracing.parse("cc" + HEADER[2:] + "-what-the-future") is not None


def test_inside_use_calls_and_logs_carry_the_trace() -> None:
    trace = tracing.new()
    assert tracing.metadata() == ()
    with tracing.use(trace):
        assert tracing.current() == trace
        assert structlog.contextvars.get_contextvars() == {"trace": trace.trace_id}
        sent = tracing.from_metadata(tracing.metadata())
        assert sent is not None
        assert (sent.trace_id, sent.flags) == (trace.trace_id, trace.flags)
        assert sent.span_id != trace.span_id
    assert tracing.current() is None
    assert structlog.contextvars.get_contextvars() == {}
