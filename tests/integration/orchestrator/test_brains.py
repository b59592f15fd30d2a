"""Brains are anybody's code: what they may do, and what happens when they break."""

from __future__ import annotations

import pytest

from orchestrator import reply
from orchestrator.messages import Error, Notice, Reply
from tests.support.brains import Sleepy
from tests.support.house import house, until
from tests.support.user import User, raw, user

pytestmark = pytest.mark.integration

BRAIN = "tests.support.brains:Obedient"


async def heard(u: User, text: str) -> str:
    finished = await u.asks(text)
    assert finished.reason == "complete"
    return finished.heard


async def test_a_brain_that_breaks_ends_its_turn_and_what_it_wrote_is_spoken(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with house(responder=BRAIN) as here, user(here.url, at_once=True) as u:
        finished = await u.asks("break")
        assert (finished.reason, finished.heard) == ("failed", "I begin. And then")
        error = await u.wait(Error)
        assert (error.code, error.fatal) == ("internal", False)
        assert "ValueError" in error.message
        assert (await u.finished()).heard.startswith("Sorry")
        assert await heard(u, "hello") == "hello"
    said = capsys.readouterr().err
    assert "responder_fault" in said
    assert "brains.py" in said
    assert "a secret of this brain" not in said + error.message


async def test_a_brain_that_is_not_ready_is_told_of_and_asked_all_the_same() -> None:
    async with house(responder=BRAIN) as here, user(here.url, at_once=True) as u:
        notice = await u.wait(Notice)
        assert notice.code == "responder_not_ready"
        assert "not today" not in notice.message
        assert await heard(u, "hello") == "hello"


async def test_a_brain_that_is_not_needed_any_more_is_closed() -> None:
    async with house(responder=BRAIN) as here:
        async with user(here.url, at_once=True) as u:
            u.session.ask("hang")
            await u.wait(Reply)
            assert await heard(u, "closed") == "hang"
            u.session.ask("hang")
            await until(lambda: u.written(3))
        await here.wait_free()
        async with user(here.url, at_once=True) as u:
            assert await heard(u, "closed") == "hang, closed, hang"


async def test_a_brain_chooses_the_voice_from_those_there_are() -> None:
    async with house(responder=BRAIN) as here, user(here.url, at_once=True) as u:
        await heard(u, "Low.")
        assert await heard(u, "alto") == "My own voice."
        await heard(u, "low")
        assert u.heard(3) != u.heard(1), "at once"
        await heard(u, "Low.")
        assert u.heard(4) == u.heard(3), "and from then on"


async def test_tools_and_what_was_heard_are_history() -> None:
    async with house(responder=BRAIN) as here, user(here.url, at_once=True) as u:
        await heard(u, "tool")
        assert await heard(u, "history") == "user tool / tool_call {} / tool_result noon / assistant It is noon."


async def test_a_brain_may_wait_until_it_was_heard() -> None:
    async with house(responder=BRAIN) as here, user(here.url) as u:
        u.session.ask("wait")
        await u.hears(0.3, 1)
        assert u.written(1) == "First this. "
        assert (await u.finished()).heard == "First this. And when that was heard, this."


async def test_a_session_may_ask_only_for_the_brains_that_the_operator_has() -> None:
    async with house(responder=BRAIN) as here, user(here.url, at_once=True) as u:
        u.session.update(responder="tests.support.brains:Other")
        assert (await u.wait(Error)).reason == "RESPONDER_UNKNOWN"
        u.session.update(responder="echo")
        assert await heard(u, "tool") == "tool"


async def test_changing_the_brain_and_the_language_all_the_time_starts_and_tells_little() -> None:
    async with house(responder=BRAIN) as here, raw(here.url) as client:
        await client.start()
        for number in range(300):
            brain, language = (("echo", "en"), ("", "fi"))[number % 2]
            await client.send(type="session_update", responder=brain, language=language)
        # The last of it has stayed, and is told.
        await until(lambda: "cannot_hear" in [n["code"] for n in client.all("notice")][-1:], "the last notice")
        await client.send(type="session_update", responder="echo")
        await client.send(type="text", text="hello")
        assert (await client.wait("turn_finished"))["heard"] == "hello"
        assert len(client.all("notice")) < 15


async def test_one_brain_at_a_time_is_warmed_and_none_when_the_session_is_over() -> None:
    async with house(responder="tests.support.brains:Sleepy") as here:
        async with raw(here.url) as client:
            await client.start()
            for number in range(50):
                await client.send(type="session_update", responder=("echo", "")[number % 2])
            await client.send(type="session_update", responder="echo")
            await client.send(type="text", text="hello")
            assert (await client.wait("turn_finished"))["heard"] == "hello"
            assert Sleepy.warming == 1
            await client.send(type="session_end")
            await client.closed()
        await here.wait_free()
        assert Sleepy.warming == 0


@pytest.mark.parametrize("how", ["cancel", "exit"])
async def test_one_that_cancels_or_exits_fails_its_turn_and_no_more(how: str) -> None:
    async with house(responder=BRAIN) as here, user(here.url, at_once=True) as u:
        finished = await u.asks(how)
        assert (finished.reason, finished.heard) == ("failed", "I begin. And then")
        assert "the responder broke" in u.all(Error)[0].message
        assert (await u.asks("go on")).heard == "go on"


@pytest.mark.parametrize(("how", "says"), [("number", "int, which is none of Text"), ("nothing", "Text with NoneType")])
async def test_one_that_yields_what_is_nothing_is_told_so(how: str, says: str) -> None:
    async with house(responder=BRAIN) as here, user(here.url, at_once=True) as u:
        assert (await u.asks(how)).reason == "failed"
        assert says in u.all(Error)[0].message


async def test_halves_of_characters_are_joined_or_replaced() -> None:
    async with house(responder=BRAIN) as here, user(here.url, at_once=True) as u:
        finished = await u.asks("halves")
        assert finished.reason == "complete"
        written = "".join(m.text for m in u.all(Reply) if m.turn == finished.turn)
        assert written == "Well \N{GRINNING FACE} then. \N{REPLACEMENT CHARACTER} Done."
        assert (await u.asks("half a tool")).heard == "It is noon."
        assert (await u.asks("go on")).heard == "go on"


async def test_much_that_cannot_be_spoken_holds_up_nobody_and_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply, "MOST_CHARS", 150_000)
    async with house(responder=BRAIN) as here, user(here.url) as beside, user(here.url, at_once=True) as u:
        beside.session.ask("one two three four five six seven eight nine ten")
        await beside.hears(0.2, 1)
        assert (await u.asks("brackets")).heard.endswith("Done.")
        assert (await u.asks("endless")).reason == "failed"
        assert "150,000 characters" in u.all(Error)[0].message
        assert (await beside.finished(turn=1)).reason == "complete"
        assert beside.player.statistics().gaps == 0
