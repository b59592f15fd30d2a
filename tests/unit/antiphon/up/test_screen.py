from __future__ import annotations

import errno
import io
import json
import sys
from pathlib import Path

import pytest

from antiphon.output import StatusLine, printable, table
from antiphon.up.plan import Crashed, Phase
from antiphon.up.run import page_url
from antiphon.up.screen import JsonScreen, Screen, how_it_ended, readable, status

pytestmark = pytest.mark.unit


def screen(stream: io.StringIO, *, moving: bool = False) -> Screen:
    return Screen(StatusLine(stream), verbose=False, log_dir=Path("log"), moving=moving)


def test_without_a_terminal_lines_are_plain() -> None:
    out = io.StringIO()
    shown = screen(out)
    shown.ready("registry", "127.0.0.1:1", again=False)
    shown.crashed(Crashed("tts-worker", -9, 0.5), ["last words\x1b[31m"])
    shown.ready("tts-worker", "127.0.0.1:2", again=True)
    assert out.getvalue().splitlines() == [
        "registry is ready at 127.0.0.1:1",
        "tts-worker was ended by SIGKILL; starting it again in 0.5 s",
        "    last words\N{REPLACEMENT CHARACTER}[31m",
        "    (all of it: log/tts-worker.log)",
        "tts-worker is back at 127.0.0.1:2",
    ]


def test_how_it_ended() -> None:
    assert how_it_ended(Crashed("x", 3, None)) == "ended with code 3"
    assert how_it_ended(Crashed("x", -9, None, hung=True)) == "did not get ready"
    assert how_it_ended(Crashed("x", -99, None)) == "was ended by signal 99"


def test_the_status_line() -> None:
    phases = {"registry": Phase.READY, "tts-worker": Phase.BACKOFF}
    assert status(phases, {"sessions": 2}) == "registry ok · tts-worker restarting · 2 sessions"


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    shown = JsonScreen()
    shown.ready("registry", "a:1", again=False)
    shown.crashed(Crashed("x", 1, None), ["why"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == ["ready", "crashed"]
    assert lines[1]["tail"] == ["why"]


def test_a_reader_that_has_gone_is_told_of_once_and_a_stop_is_not_hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    for stopped_before, expected in ((False, [0]), (True, [])):
        codes: list[int] = []
        shown = JsonScreen()
        shown.on_gone = codes.append
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", Gone())
            if stopped_before:
                shown.stopping(hurried=False)
            shown.ready("registry", "a:1", again=False)
            shown.ready("tts-worker", "a:2", again=False)
            shown.stopping(hurried=False)
        assert codes == expected


def test_a_wildcard_is_reached_as_localhost() -> None:
    assert page_url("0.0.0.0:8765") == "http://localhost:8765"
    assert page_url("127.0.0.1:1") == "http://127.0.0.1:1"
    assert page_url("[::1]:1") == "http://[::1]:1"


def test_a_table_is_as_wide_as_it_needs_to_be() -> None:
    assert table(("a", "name"), [("x", ""), ("long", "y")]) == "a     name\nx     -\nlong  y"


def test_text_from_elsewhere_cannot_drive_the_terminal() -> None:
    assert printable("a\x1b[2Jb\nc") == "a\N{REPLACEMENT CHARACTER}[2Jb c"


def test_a_terminal_that_is_gone_is_nothing_to_stop_for() -> None:
    out = io.StringIO()
    line = StatusLine(out)
    out.close()
    line.note("into the void")
    line.show("x")
    line.close()


def test_a_json_log_line_reads_as_a_sentence() -> None:
    line = {"time": "t", "level": "error", "event": "service.failed", "component": "x", "port": 3}
    assert readable(json.dumps(line | {"error_trace": "Traceback\n  File\nValueError: no"})) == (
        "error service.failed ValueError: no port=3"
    )
    assert readable(json.dumps(line | {"message": "taken"})) == "error service.failed taken port=3"
    for other in ("plain words", "[1]", '"x"', "{}", "3"):
        assert readable(other) == other
