"""Replies begun shortly before the user's turn ends, over real sockets: sine for a voice, a script for ears."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from orchestrator.conversation.history import Item, Role
from orchestrator.messages import Endpointing, Explain, Reply, SessionUpdate, State, TurnEnded, TurnFinished
from orchestrator.ports import Context, Delta, Done, Text
from tests.support.house import house, until
from tests.support.user import user

pytestmark = pytest.mark.integration

FAST = {"options": {"char_s": 0.02}}
USUAL = Endpointing(endpoint_ms=600, mode="fixed")
LONG = Endpointing(endpoint_ms=2000, mode="fixed")
"""Its last second is the moment in which somebody may go on speaking."""


class Listens:
    """Says how many it is. Class attributes are of the last test."""

    name = "listens"
    early = True
    begun = 0
    closed = 0
    history: tuple[Item, ...] = ()

    async def reply(self, history: tuple[Item, ...], context: Context) -> AsyncIterator[Delta]:
        Listens.begun += 1
        Listens.history = history
        done = False
        try:
            yield Text(f"This is number {Listens.begun}.")
            await context.progress.wait_accepted()
            done = True
            yield Done()
        finally:
            Listens.closed += not done

    async def warm(self) -> None:
        pass

    async def close(self) -> None:
        pass


class Hasty(Listens):
    """The same, and does not bear to be thrown away."""

    early = False


def brain(name: str = "Listens") -> str:
    Listens.begun = Listens.closed = 0
    return f"{__name__}:{name}"


@pytest.fixture
def wants() -> dict[str, Any]:
    return {"speaks": True, "greeting": True, "endpointing": USUAL}


async def test_the_answer_is_begun_before_the_turn_has_ended_and_heard_whole(wants: dict[str, Any]) -> None:
    async with house(tts_settings=FAST) as here:
        async with user(here.url, phrases=["tell me a story"], responder="echo", **wants) as u:
            await u.greeted()
            await u.speaks()
            finished = await u.finished()
            assert (finished.turn, finished.heard, finished.reason) == (2, "tell me a story", "complete")
            assert len(u.heard(2)) == 2 * finished.samples
            assert not u.player.jumps
            told = [(type(e).__name__, e.turn) for e in u.events if isinstance(e, TurnEnded | Reply)]
            assert told[1:] == [("TurnEnded", 2), ("Reply", 2)]
            facts = (await u.wait(Explain, turn=2)).facts
            assert isinstance(facts["early_ms"], float)
            assert facts["early_ms"] > 0
        found = await here.happened()
        assert found["head_starts"] == found["head_accepted"] == 1
        assert "early_starts" not in found


async def test_who_says_more_in_that_moment_hears_nothing_of_it_nor_does_history(wants: dict[str, Any]) -> None:
    wants |= {"endpointing": LONG, "phrases": ["tell me a story", "about a fish"]}
    async with house(tts_settings=FAST, responder=brain(), head_start_ms=1000) as here:
        async with user(here.url, **wants) as u:
            await u.greeted()
            await u.speaks()
            await until(lambda: Listens.begun == 2, "a head start")
            assert not u.all(TurnEnded)
            await u.speaks()
            finished = await u.finished()
            assert finished.heard == "This is number 3."
            assert [(e.turn, e.transcript) for e in u.all(TurnEnded)] == [(3, "tell me a story about a fish")]
            assert finished.turn == 3
            assert {e.turn for e in u.events if isinstance(e, Reply | TurnFinished)} == {1, 3}
            assert u.heard(2) == b""
            said = [(item.role, item.text) for item in Listens.history]
            assert said == [
                (Role.ASSISTANT, "This is number 1."),
                (Role.USER, "tell me a story about a fish"),
            ]
            assert Listens.closed == 1
            assert not u.errors()
        found = await here.happened()
        assert (found["head_starts"], found["head_dropped"], found["head_accepted"]) == (2, 1, 1)
        assert found["early_wasted_chars"] > 0


async def test_none_is_begun_for_a_brain_that_does_not_bear_it_or_where_it_is_off(wants: dict[str, Any]) -> None:
    async with house(tts_settings=FAST, responder=brain("Hasty")) as here:
        async with user(here.url, phrases=["tell me a story"], **wants) as u:
            await u.greeted()
            await u.speaks()
            await u.finished()
        assert "head_starts" not in await here.happened()
    async with house(tts_settings=FAST, responder=brain(), head_start_ms=0) as here:
        async with user(here.url, phrases=["tell me a story"], **wants) as u:
            await u.greeted()
            await u.speaks()
            await u.finished()
        assert "head_starts" not in await here.happened()


async def test_another_brain_is_not_begun_before_it_has_answered_once(wants: dict[str, Any]) -> None:
    async with house(tts_settings=FAST, responder=brain()) as here:
        async with user(here.url, phrases=["tell me a story", "what is your name"], **wants) as u:
            await u.greeted()
            u.session.send(SessionUpdate(responder="echo"))
            await u.speaks()
            assert (await u.finished()).heard == "tell me a story"
            assert Listens.begun == 1
            await u.wait(State, state="idle")
            await u.speaks()
            assert (await u.finished()).heard == "what is your name"
        assert (await here.happened())["head_starts"] == 1
