"""What people say, type and are answered appears in no log, whatever goes wrong, unless the operator asked for it."""

from __future__ import annotations

import json

import pytest

from base.errors import AntiphonError
from benchmarks.speech import synthetic_speech
from orchestrator.messages import Error, TurnEnded
from tests.support.house import Service, plainly, service, until
from tests.support.user import raw, user

pytestmark = pytest.mark.integration

SAID = "xylophone parade"
TYPED = "marzipan elephants"
WORDS = (
    *("xylophone", "parade", "marzipan", "elephants", "porcupine", "quicksilver", "wheelbarrow"),
    *("kaleidoscope", "saxophone", "trampoline", "umbrella", "zeppelin", "cinnamon"),
)
"""Each is said once, in its own way."""
MODELS = json.dumps([{"id": "sine", "engine": "sine", "options": {"char_s": 0.01}}, {"id": "e", "engine": "espeak"}])


async def converse(url: str) -> None:
    async with user(
        url,
        speaks=True,
        responder="client",
        greeting="porcupine",
        instructions="quicksilver",
        history=[{"role": "user", "text": "wheelbarrow"}],
        phrases=[SAID, "cinnamon"],
    ) as u:
        await u.finished()
        await u.speaks(0.5)
        ended = await u.wait(TurnEnded)
        assert ended.transcript == SAID
        u.answers(ended.turn, "I heard kaleidoscope.")
        assert (await u.finished(turn=ended.turn)).heard == "I heard kaleidoscope."
        u.session.update(responder="echo")
        await u.asks(TYPED)
        # A barge-in, cut off in a word.
        u.session.ask("saxophone " * 20)
        await u.hears(0.2, 4)
        u.microphone.say_nowait(synthetic_speech(1.0))
        await u.finished(turn=4)
        assert (await u.finished(turn=5)).heard == "cinnamon"
        # Engines that fail, one with an exception of its own.
        await u.asks("[[error]] trampoline")
        await u.wait(Error)
        await u.asks("[[fault]] umbrella")
        u.session.update(voice="en-us")
        await u.asks("zeppelin")
        u.session.update(voice="zeppelin")
        await u.wait(Error, reason="VOICE_UNKNOWN")
    with pytest.raises(AntiphonError):
        async with user(url, voice="cinnamon", responder="umbrella"):
            pass
    async with raw(url) as client:
        await client.ws.send_str('{"type": "text", "text": "saxophone')
        await client.ws.send_str('{"type": "session_start", "resume": "trampoline"}')
        await client.wait("error", 2)


def logged(services: list[Service]) -> str:
    return "".join("".join(s.log) for s in services)


async def test_nothing_that_was_said_is_logged_unless_it_was_asked_for() -> None:
    free = ("--port", "0", "--grpc-port", "0", "--responder", "echo")
    async with plainly(), service("registry", "--port", "0", "--log-level", "debug") as registry:
        common = ("--registry", registry.address, "--log-level", "debug")
        async with (
            service("tts-worker", "--models", MODELS, *common) as voice,
            service("asr-worker", "--engine", "scripted", *common) as ears,
            service("orchestrator", *free, *common) as front,
            service("orchestrator", *free, "--log-pii", *common) as open_front,
        ):
            await converse(f"http://{front.address}")
            private = [registry, voice, ears, front]
            await until(lambda: "session_closed" in logged([front]), "the log")
            text = logged(private)
            assert not [word for word in WORDS if word in text.lower()]
            # There is something to read all the same.
            for event in ("session_opened", "worker_failed", "turn.done"):
                assert event in text
            turns = [json.loads(line) for line in front.log if '"event": "turn"' in line]
            assert [turn["outcome"] for turn in turns][:3] == ["complete"] * 3
            assert not any(key.startswith("pii.") for turn in turns for key in turn)

            async with user(f"http://{open_front.address}", speaks=True, phrases=[SAID]) as u:
                await u.asks(TYPED)
                await u.speaks(0.3)
                await u.finished(turn=2)
            await until(lambda: "session_closed" in logged([open_front]), "the log")
            turns = [json.loads(line) for line in open_front.log if '"event": "turn"' in line]
            assert [turn["pii.user"] for turn in turns] == ["", SAID]
            assert [turn["pii.heard"] for turn in turns] == [TYPED, SAID]
