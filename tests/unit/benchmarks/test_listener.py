"""The simulated user: what its microphone sends, what its loudspeaker played, when."""

from __future__ import annotations

import pytest

from benchmarks.listener import FRAME, Listener
from benchmarks.sound import Span
from benchmarks.websocket import BINARY, TEXT
from orchestrator import messages as m

pytestmark = pytest.mark.unit

BLOCK = 480


class Wire:
    """Stands where a connection would: keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, bytes]] = []

    def send(self, kind: int, payload: bytes) -> None:
        self.sent.append((kind, payload))

    def close(self) -> None:
        pass

    @property
    def frames(self) -> list[m.Audio]:
        return [m.unpack_audio(payload) for kind, payload in self.sent if kind == BINARY]

    @property
    def played(self) -> list[m.Played]:
        texts = (m.parse_client(payload) for kind, payload in self.sent if kind == TEXT)
        return [text for text in texts if isinstance(text, m.Played)]


def listener(*, hold: bool = True) -> tuple[Listener, Wire]:
    made = Listener(m.SessionStart(hold=hold), clock=lambda: 0.0, keep_audio=True)
    wire = Wire()
    made._connection = wire  # type: ignore[assignment]
    return made, wire


def audio(turn: int, sample: int, samples: int, value: int = 5000) -> bytes:
    return m.pack_audio(m.Audio(turn, sample, value.to_bytes(2, "little", signed=True) * samples))


def told(made: Listener, message: m.ServerMessage) -> None:
    made._take(TEXT, m.server_encoder.encode(message))


async def test_words_begin_where_they_are_said_to() -> None:
    made, wire = listener()
    made.speak(100.0)
    said = made.say(b"\x01\x00" * 500, offset=100)
    made.speak(100.02)
    made.speak(100.04)
    made.speak(100.06)
    assert [f.sample for f in wire.frames] == [0, FRAME, 2 * FRAME, 3 * FRAME]
    assert wire.frames[1].pcm == bytes(200) + b"\x01\x00" * 220
    assert wire.frames[2].pcm == b"\x01\x00" * 280 + bytes(80)
    assert wire.frames[3].pcm == bytes(640)
    # The frame that leaves at 100.02 began at 100.00.
    assert said.began_s == pytest.approx(100.0 + 100 / 16_000)
    assert said.ended_s == pytest.approx(100.0 + 600 / 16_000)


async def test_the_loudspeaker_notes_what_it_took_and_when() -> None:
    made, wire = listener()
    made.hear(1.0)
    made._take(BINARY, audio(1, 0, 700))
    made.hear(1.01)
    made.hear(1.02)
    assert made.log.spans == [Span(1, 0, 480), Span(1, 480, 220)]
    assert len(made.log.audio) == 1400
    assert made.log.first_sound_s == {1: 1.01}
    assert made.log.ended_s == pytest.approx(1.02 + 220 / 48_000)
    assert wire.played == [m.Played(turn=1, samples=700)]


async def test_a_gap_is_dry_and_an_end_or_a_hold_is_not() -> None:
    made, _ = listener()
    made._take(BINARY, audio(1, 0, BLOCK))
    made.hear(1.0)
    made.hear(1.01)
    assert made.log.dry == 0
    made._take(BINARY, audio(1, BLOCK, BLOCK))
    made.hear(1.02)
    assert made.log.dry == BLOCK
    told(made, m.Hold(turn=1))
    made.hear(1.03)
    told(made, m.Resume(turn=1, sample=2 * BLOCK))
    made._take(BINARY, audio(1, 2 * BLOCK, BLOCK))
    made.hear(1.04)
    made.hear(1.05)
    made._take(BINARY, audio(2, 0, BLOCK))
    made.hear(1.06)
    assert made.log.dry == BLOCK
    assert made.log.played == 4 * BLOCK


async def test_who_cannot_hold_plays_the_turn_again_from_where_it_was_cleared() -> None:
    made, wire = listener(hold=False)
    made._take(BINARY, audio(1, 0, 3 * BLOCK))
    made.hear(1.0)
    told(made, m.Clear(turn=1))
    assert wire.played[-1] == m.Played(turn=1, samples=BLOCK)
    made.hear(1.01)
    made._take(BINARY, audio(1, BLOCK, 2 * BLOCK))
    made.hear(1.02)
    assert made.spans(1) == [Span(1, 0, 2 * BLOCK)]
    assert made.log.dry == 0


async def test_a_scene_waits_for_news() -> None:
    made, _ = listener()
    told(made, m.TurnEnded(turn=1, transcript="x", reason="silence"))
    await made.until(lambda: made.count(m.TurnEnded) == 1, "turn_ended")
    news = made.last(m.TurnEnded)
    assert news is not None
    assert news.transcript == "x"
