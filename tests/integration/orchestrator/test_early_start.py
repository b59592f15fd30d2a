"""Replies that are begun before the user's turn has ended, over real sockets: sine for a voice, a script for ears."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from orchestrator.conversation.history import Item
from orchestrator.messages import Endpointing, Explain, Reply, SessionUpdate, TurnEnded, TurnFinished
from orchestrator.ports import Adjust, Context, Delta, Done, Text
from tests.support.house import house, until
from tests.support.user import User, cable, user

pytestmark = pytest.mark.integration

FAST = {"options": {"char_s": 0.02}}
EARLY = Endpointing(endpoint_ms=600, mode="fixed", early=True)
WHOLE = "tell me a story please and make it short"


class Ponders:
    """Writes a sentence, waits until it is wanted, writes another. Class attributes are of the last test."""

    name = "ponders"
    early = True
    begun = 0
    closed = 0
    accepted = 0

    async def reply(self, history: tuple[Item, ...], context: Context) -> AsyncIterator[Delta]:
        Ponders.begun += 1
        done = False
        try:
            yield Text("Well. ")
            await context.progress.wait_accepted()
            Ponders.accepted += 1
            yield Text("You said it.")
            done = True
            yield Done()
        finally:
            Ponders.closed += not done

    async def warm(self) -> None:
        pass

    async def close(self) -> None:
        pass


class Hasty(Ponders):
    """The same, and does not bear to be thrown away."""

    early = False


class Breaks(Ponders):
    """The second reply breaks."""

    async def reply(self, history: tuple[Item, ...], context: Context) -> AsyncIterator[Delta]:
        Ponders.begun += 1
        if Ponders.begun == 2:
            raise RuntimeError("as the test wants it")
        yield Text("You said it.")
        yield Done()


class Hurries(Ponders):
    """Speaks faster when it is begged."""

    async def reply(self, history: tuple[Item, ...], context: Context) -> AsyncIterator[Delta]:
        rates.append(context.voice.rate)
        if history and history[-1].text.endswith("please"):
            yield Adjust(rate=1.7)
        yield Text("You said it.")
        yield Done()


rates: list[float] = []


def brain(name: str) -> str:
    Ponders.begun = Ponders.closed = Ponders.accepted = 0
    return f"{__name__}:{name}"


def order(u: User, *kinds: type) -> list[tuple[str, int]]:
    return [(type(event).__name__, event.turn) for event in u.events if isinstance(event, kinds)]  # type: ignore[attr-defined]


@pytest.fixture
def wants() -> dict[str, Any]:
    return {"speaks": True, "greeting": True, "endpointing": EARLY}


async def test_an_answer_that_was_begun_early_is_told_and_heard_whole_once_the_turn_has_ended(
    wants: dict[str, Any],
) -> None:
    async with house(tts_settings=FAST) as here:
        async with user(here.url, phrases=["tell me a story"], responder="echo", **wants) as u:
            await u.greeted()
            await u.speaks()
            finished = await u.finished()
            assert (finished.turn, finished.heard, finished.reason) == (2, "tell me a story", "complete")
            assert len(u.heard(2)) == 2 * finished.samples
            assert not u.player.jumps
            assert order(u, TurnEnded, Reply)[1:] == [("TurnEnded", 2), ("Reply", 2)]
            facts = (await u.wait(Explain, turn=2)).facts
            assert isinstance(facts["early_ms"], float)
            assert facts["early_ms"] > 0
            assert [mark.turn for mark in u.all_marks()].count(2) == 4
        found = await here.happened()
        assert found["early_starts"] == found["early_accepted"] == 1
        assert "early_dropped" not in found


async def test_who_speaks_on_gets_one_answer_and_hears_nothing_of_the_other(wants: dict[str, Any]) -> None:
    async with house(tts_settings=FAST) as here:
        async with user(here.url, phrases=[WHOLE], responder="echo", **wants) as u:
            await u.greeted()
            await u.speaks(2.4)
            finished = await u.finished()
            assert finished.heard == WHOLE
            assert u.written(finished.turn) == WHOLE
            ended = u.all(TurnEnded)
            assert [(e.turn, e.transcript) for e in ended] == [(finished.turn, WHOLE)]
            assert finished.turn > 2  # a number went with the one that was dropped
            assert {turn for _, turn in order(u, Reply, TurnFinished)} == {1, finished.turn}
            assert not u.errors()
        found = await here.happened()
        assert found["early_dropped"] == 1
        assert found["early_wasted_chars"] == len("tell me a story please")


async def test_a_responder_is_closed_when_its_early_reply_is_dropped_and_may_wait_until_it_is_wanted(
    wants: dict[str, Any],
) -> None:
    async with house(tts_settings=FAST, responder=brain("Ponders")) as here:
        async with user(here.url, phrases=[WHOLE], **wants) as u:
            await u.greeted()
            await u.speaks(2.4)
            assert (await u.finished()).heard == "Well. You said it."
            assert (Ponders.begun, Ponders.closed, Ponders.accepted) == (3, 1, 2)
        await here.wait_free()


async def test_a_responder_that_does_not_say_that_it_bears_it_is_never_asked_early(wants: dict[str, Any]) -> None:
    async with house(tts_settings=FAST, responder=brain("Hasty")) as here:
        async with user(here.url, phrases=[WHOLE], **wants) as u:
            await u.greeted()
            await u.speaks(2.4)
            await u.finished()
            assert (Ponders.begun, Ponders.closed) == (2, 0)
            u.session.send(SessionUpdate(responder="echo"))
            for _ in range(2):  # it has to answer once before it is asked early
                await u.speaks(2.4)
                assert (await u.finished()).heard == WHOLE
        assert (await here.happened())["early_dropped"] == 1


async def test_one_that_breaks_early_is_asked_again_and_nobody_hears_of_it(wants: dict[str, Any]) -> None:
    async with house(tts_settings=FAST, responder=brain("Breaks")) as here:
        async with user(here.url, phrases=["tell me a story"], **wants) as u:
            await u.greeted()
            await u.speaks()
            assert (await u.finished()).heard == "You said it."
            assert Ponders.begun == 3
            assert not u.errors()
        assert (await here.happened())["early_failed"] == 1


async def test_a_lost_connection_drops_it_and_the_turn_is_answered_all_the_same(wants: dict[str, Any]) -> None:
    slow = Endpointing(endpoint_ms=3000, mode="fixed", early=True)
    wants |= {"endpointing": slow, "phrases": ["tell me a story"]}
    async with house(tts_settings=FAST, responder=brain("Ponders")) as here:
        async with cable(here.url) as line, user(line.url, **wants) as u:
            await u.greeted()
            await u.speaks()
            await until(lambda: Ponders.begun == 2, "an early start")
            line.cut()
            await until(lambda: Ponders.closed == 1, "its end")
            line.plug()
            assert (await u.finished()).heard == "Well. You said it."
        await here.wait_free()


async def test_off_unless_it_is_switched_on(wants: dict[str, Any]) -> None:
    usual = Endpointing(endpoint_ms=600, mode="fixed")
    async with house(tts_settings=FAST) as here:
        async with user(here.url, phrases=[WHOLE, WHOLE], responder="echo", **wants | {"endpointing": usual}) as u:
            await u.greeted()
            await u.speaks(2.4)
            await u.finished()
            u.session.send(SessionUpdate(endpointing=Endpointing(early=True)))
            await u.speaks(2.4)
            await u.finished()
            switched = [event.turn for event in u.all(TurnFinished)]
        assert switched[1] == 2  # nothing was begun early: no turn is missing
        assert (await here.happened())["early_starts"] >= 1


async def test_an_operator_switches_it_on_for_everybody(wants: dict[str, Any]) -> None:
    async with house(tts_settings=FAST, early_start=True) as here:
        usual = Endpointing(endpoint_ms=600, mode="fixed")
        async with user(here.url, phrases=["tell me a story"], responder="echo", **wants | {"endpointing": usual}) as u:
            await u.greeted()
            await u.speaks()
            await u.finished()
        assert (await here.happened())["early_accepted"] == 1


@pytest.mark.parametrize(("said", "rate"), [(WHOLE, 1.0), ("tell me a story please", 1.7)])
async def test_how_it_changed_the_voice_counts_only_if_it_is_accepted(
    wants: dict[str, Any], said: str, rate: float
) -> None:
    rates.clear()
    async with house(tts_settings=FAST, responder=brain("Hurries")) as here:
        async with user(here.url, phrases=[said, "hello there"], **wants) as u:
            await u.greeted()
            await u.speaks(2.4)
            await u.finished()
            await u.speaks()
            await u.finished()
            assert rates[-1] == rate
        assert (await here.happened())["early_starts"] >= 2
