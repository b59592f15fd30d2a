"""Users in rooms that another program has: its pipe, with a stand-in; and the program itself, where it was built."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

pytest.importorskip("livekit.rtc", reason="needs ./antiphon install livekit")

from benchmarks import crowd, speech
from benchmarks.listener import Lost
from benchmarks.rooms import crew
from benchmarks.rooms.guest import token
from benchmarks.stack import Failed
from orchestrator import messages as m
from tests.support.livekit import livekit_server
from tests.support.transports import PATIENCE_S, until

pytestmark = pytest.mark.integration

STAND_IN = """#!PYTHON
import json, struct, sys, time
HEAD = struct.Struct("<IBH")
out = sys.stdout.buffer
def tell(kind, user, payload=b""):
    out.write(HEAD.pack(len(payload), ord(kind), user) + payload)
    out.flush()
while head := sys.stdin.buffer.read(HEAD.size):
    size, kind, user = HEAD.unpack(head)
    payload = sys.stdin.buffer.read(size)
    if chr(kind) == "J":
        plan = json.loads(payload)
        if plan["url"] == "nowhere":
            tell("x", user, b"there is no such room")
            continue
        now = time.monotonic()
        tell("j", user, struct.pack("<dd", now - 0.1, now))
        tell("t", user, struct.pack("<d", now))
    elif chr(kind) == "S":
        tell("b", user, struct.pack("<d", 12.5))
        # A loudspeaker gives back what the microphone heard.
        tell("h", user, struct.pack("<d", 12.6) + payload[4:])
        tell("l", user, struct.pack("<ff", 0.25, 0.5))
    elif chr(kind) == "W" and b"session_end" in payload:
        sys.exit()
    elif chr(kind) == "W":
        tell("d", user, b'{"type": "notice", "code": "told", "message": "%d bytes"}' % len(payload))
"""


@asynccontextmanager
async def running(program: Path) -> AsyncIterator[crew.Crew]:
    made = await crew.Crew.start(program)
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(made.read())
        try:
            yield made
        finally:
            await made.stop()
            reading.cancel()


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    path = tmp_path / "users"
    path.write_text(STAND_IN.replace("PYTHON", sys.executable))
    path.chmod(0o700)
    return path


def member(many: crew.Crew) -> crew.Member:
    return many.member(crowd.start(hold=False), clock=time.monotonic, coarse=False, phase_s=0.0)


async def test_what_the_program_tells_is_each_users_own(stand_in: Path) -> None:
    async with running(stand_in) as many:
        anna, bert = member(many), member(many)
        await anna.join("ws://here", "token")
        await bert.join("ws://here", "token")
        assert anna.joined_s - anna.asked_s == pytest.approx(0.1)
        await until(lambda: anna.agent_is_here() and bert.agent_is_here())
        bert.expect(7)
        pcm = speech.synthetic_speech(0.1)
        said = bert.say(pcm, offset=3)
        async with asyncio.timeout(PATIENCE_S):
            await said.wait_begun()
            await bert.until(lambda: 7 in bert.log.first_sound_s, "its own voice")
        assert said.began_s == 12.5
        assert 12.6 <= bert.log.first_sound_s[7] < 12.7
        await until(lambda: bert.late == [0.25, 0.5])
        assert not anna.late
        assert not anna.log.first_sound_s
        anna.send(m.TextInput(text="hello"))
        await until(lambda: anna.last(m.Notice) is not None)
        assert bert.last(m.Notice) is None


async def test_who_cannot_join_is_told_why_and_the_others_go_on(stand_in: Path) -> None:
    async with running(stand_in) as many:
        anna, bert = member(many), member(many)
        with pytest.raises(Lost, match="no such room"):
            await anna.join("nowhere", "token")
        await anna.leave()
        await bert.join("ws://here", "token")
        assert not bert.lost


async def test_all_are_lost_when_the_program_ends(stand_in: Path) -> None:
    async with running(stand_in) as many:
        anna, bert = member(many), member(many)
        await anna.join("ws://here", "token")
        await bert.join("ws://here", "token")
        anna.send(m.SessionEnd())
        await until(lambda: bool(anna.lost and bert.lost))
        assert "program ended" in bert.lost


def test_what_is_missing_to_build_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Failed, match=r"go, gcc.* not found.*golang"):
        crew.build()


async def test_the_program_itself_hears_in_a_room_what_it_says_in_it() -> None:
    """Two users of one program: what one says, the other hears. It takes minutes to build; CI does not."""
    program = crew.program()
    if not program.exists():
        pytest.skip("the users' program is not built (./antiphon bench --only livekit does)")
    async with livekit_server() as server, running(program) as many:
        anna, bert = member(many), member(many)
        await anna.join(server.url, token(server.key, server.secret, "two", "anna"))
        await bert.join(server.url, token(server.key, server.secret, "two", "bert"))
        await until(lambda: anna.agent_is_here() and bert.agent_is_here(), "no tracks")
        bert.expect(1)
        said = anna.say(speech.synthetic_speech(0.5))
        async with asyncio.timeout(PATIENCE_S):
            await said.wait_begun()
            await bert.until(lambda: 1 in bert.log.first_sound_s, "the other's voice")
        assert bert.log.first_sound_s[1] > said.began_s
        await until(lambda: bert.log.played >= 0.3 * 48_000)
        assert not anna.log.first_sound_s
        await until(lambda: len(anna.late) > 0)


def test_the_lock_names_no_registry() -> None:
    assert "://" not in (crew.SOURCE / "go.sum").read_text(encoding="utf-8")
