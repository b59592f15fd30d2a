from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from base import log

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before, handlers = structlog.get_config(), list(logging.getLogger().handlers)
    yield
    structlog.configure(**before)
    logging.getLogger().handlers[:] = handlers


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_json_where_nobody_watches() -> None:
    out = io.StringIO()
    log.configure(stream=out)
    log.get_logger("worker").info("turn.done", turn=3, first_audio_s=0.081)
    (line,) = lines(out)
    assert (line["level"], line["event"], line["component"]) == ("info", "turn.done", "worker")
    assert (line["turn"], line["first_audio_s"]) == (3, 0.081)
    assert line["time"].endswith("+00:00")


def test_what_people_said_is_dropped_unless_asked_for() -> None:
    for pii, expected in ((False, False), (True, True)):
        out = io.StringIO()
        log.configure(stream=out, pii=pii)
        log.get_logger("asr").info("final", **{"pii.text": "my secret", "turn": 1})
        assert ("my secret" in out.getvalue()) is expected
        assert lines(out)[0]["turn"] == 1


def test_below_the_level_nothing_is_written() -> None:
    out = io.StringIO()
    log.configure(stream=out, level="warning")
    log.get_logger("x").info("quiet")
    log.get_logger("x").warning("loud")
    assert [line["event"] for line in lines(out)] == ["loud"]
    with pytest.raises(ValueError, match="'loud' is unknown; use one of debug"):
        log.configure(level="loud")


def test_a_logger_made_before_configure_heeds_it() -> None:
    early = log.get_logger("early")
    out = io.StringIO()
    log.configure(stream=out)
    early.info("now")
    assert lines(out)[0]["component"] == "early"


class Spiteful:
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


class Failing(Exception):
    __str__ = Spiteful.__str__


@pytest.mark.parametrize("as_json", [True, False])
def test_logging_never_raises(as_json: bool) -> None:
    out = io.StringIO()
    log.configure(stream=out, as_json=as_json)
    cycle: list[Any] = []
    cycle.append(cycle)
    log.get_logger("x").error("bad", it=Spiteful(), cycle=cycle, keys={(1, 2): 3}, exc_info=Failing())
    assert "bad" in out.getvalue()
    out.close()
    log.get_logger("x").error("nobody.reads")


@pytest.mark.parametrize("as_json", [True, False])
def test_a_failure_comes_with_its_trace(as_json: bool) -> None:
    out = io.StringIO()
    log.configure(stream=out, as_json=as_json)
    try:
        raise RuntimeError("broken\x1b[2J")
    except RuntimeError:
        log.get_logger("x").exception("failed")
    assert "RuntimeError: broken" in out.getvalue()
    assert "\x1b" not in out.getvalue()


def test_a_terminal_gets_short_lines_that_text_cannot_forge() -> None:
    out = Terminal()
    log.configure(stream=out)
    log.get_logger("hub").warning("odd", name="a b\n\x1b[31m", n=0.123456, ok=True, word="grün")
    (line,) = out.getvalue().splitlines()
    assert "warning" in line
    assert r'hub odd name="a b\n\u001b[31m" n=0.1235 ok=True word=grün' in line


def test_long_text_is_cut() -> None:
    out = io.StringIO()
    log.configure(stream=out)
    log.get_logger("x").info("long", text="x" * 100_000)
    assert len(out.getvalue()) < 5_000


def test_the_standard_librarys_warnings_come_the_same_way() -> None:
    logging.getLogger().handlers.clear()  # pytest's own would raise at the wrong format string
    out = io.StringIO()
    log.configure(stream=out)
    logging.getLogger("somebody").warning("hello %s", "there")
    logging.getLogger("somebody").warning("wrong %d", "there")
    logging.getLogger("somebody").info("not this")
    first, second = lines(out)
    assert (first["component"], first["message"], first["level"]) == ("somebody", "hello there", "warning")
    assert second["message"] == "wrong %d"
