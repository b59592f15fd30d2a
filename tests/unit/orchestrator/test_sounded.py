"""What a loudspeaker played lately, against what was really in the air by the clock."""

from __future__ import annotations

import numpy as np
import pytest

from base.audio import SAMPLE_RATES, StreamResampler, from_float, to_float
from benchmarks.speech import synthetic_speech
from orchestrator.decimator import Sound
from orchestrator.likeness import RATE, likeness
from orchestrator.sounded import KEPT_S, Sounded

pytestmark = pytest.mark.unit

VOICE = synthetic_speech(6.0, seed=5)


def at_rate(rate: int) -> bytes:
    resampler = StreamResampler(16_000, rate)
    return resampler.process(VOICE) + resampler.flush()


def voice() -> Sound:
    """As it sounds, at `likeness.RATE`."""
    return to_float(at_rate(RATE))


def send(sounded: Sounded, pcm: bytes, rate: int, begin_s: float, end_s: float) -> None:
    """In messages of 60 ms."""
    begin, end = round(begin_s * rate) * 2, round(end_s * rate) * 2
    size = rate * 60 // 1000 * 2
    for at in range(begin, end, size):
        sounded.sent(pcm[at : min(end, at + size)])


def agrees(found: Sound, air: Sound) -> bool:
    """Sample by sample, within what a filter does."""
    assert len(found) == len(air)
    power = float(air @ air)
    return float((found - air) @ (found - air)) < 0.1 * power if power else not found.any()


def in_the_air(*parts: tuple[float, float, float]) -> Sound:
    """Ten seconds from second 100 on: (when it sounded, from where of the voice, to where)."""
    air, sound = np.zeros(10 * RATE, np.float32), voice()
    for when_s, first_s, last_s in parts:
        piece = sound[round(first_s * RATE) : round(last_s * RATE)]
        at = round((when_s - 100) * RATE)
        air[at : at + len(piece)] = piece
    return air


def cut(air: Sound, end_s: float, span_s: float) -> Sound:
    end = round((end_s - 100) * RATE)
    return air[end - round(span_s * RATE) : end]


@pytest.mark.parametrize("rate", SAMPLE_RATES)
def test_at_every_rate_it_is_what_was_sent_to_the_millisecond(rate: int) -> None:
    sounded = Sounded(rate)
    send(sounded, at_rate(rate), rate, 0.0, 3.0)
    played = sounded.sound(103.0, 102.9, 1.4)
    assert len(played) == pytest.approx(1.4 * RATE, abs=2)
    heard = cut(in_the_air((100.0, 0.0, 3.0)), 102.5, 0.3)
    found = likeness(heard, played)
    assert found.share > 0.9
    assert found.lag / RATE == pytest.approx(0.4, abs=0.001)


def test_before_and_after_it_there_is_silence() -> None:
    sounded = Sounded(RATE)
    send(sounded, at_rate(RATE), RATE, 0.0, 0.5)
    air = in_the_air((101.0, 0.0, 0.5))
    assert agrees(sounded.sound(101.5, 101.9, 1.5), cut(air, 101.9, 1.5))
    assert agrees(sounded.sound(101.5, 101.3, 1.0), cut(air, 101.3, 1.0))
    assert not sounded.sound(101.5, 103.0, 1.0).any()
    assert not sounded.sound(101.5, 101.0, 0.9).any()
    assert not Sounded(RATE).sound(0.0, 101.0, 1.0).any()


def test_where_it_was_held_there_is_silence_and_it_goes_on_with_what_had_not_sounded() -> None:
    sounded, pcm = Sounded(RATE), at_rate(RATE)
    send(sounded, pcm, RATE, 0.0, 1.2)  # 0.2 s of it wait at the loudspeaker
    assert agrees(
        sounded.sound(101.0, 101.3, 1.0, unplayed=round(0.2 * RATE)), cut(in_the_air((100.0, 0.0, 1.0)), 101.3, 1.0)
    ), "while it is held"
    sounded.fell_silent(101.0, round(0.2 * RATE))
    send(sounded, pcm, RATE, 1.2, 1.8)
    air = in_the_air((100.0, 0.0, 1.0), (101.5, 1.0, 1.8))
    assert agrees(sounded.sound(102.3, 102.3, 1.6), cut(air, 102.3, 1.6))
    assert agrees(sounded.sound(102.3, 101.9, 1.6), cut(air, 101.9, 1.6))


def test_what_is_dropped_never_sounded_and_another_turn_follows() -> None:
    sounded, pcm = Sounded(RATE), at_rate(RATE)
    send(sounded, pcm, RATE, 0.0, 1.2)
    sounded.fell_silent(101.0, round(0.2 * RATE), dropped=True)
    assert agrees(sounded.sound(0.0, 101.4, 1.0), cut(in_the_air((100.0, 0.0, 1.0)), 101.4, 1.0))
    send(sounded, pcm, RATE, 3.0, 3.5)
    air = in_the_air((100.0, 0.0, 1.0), (101.3, 3.0, 3.5))
    assert agrees(sounded.sound(101.8, 101.8, 1.5), cut(air, 101.8, 1.5))


def test_held_again_and_again() -> None:
    sounded, pcm = Sounded(RATE), at_rate(RATE)
    parts, when = [], 100.0
    for number in range(40):
        send(sounded, pcm, RATE, 0.1 * number, 0.1 * (number + 1))
        parts.append((when, 0.1 * number, 0.1 * (number + 1)))
        sounded.fell_silent(when + 0.1)
        when += 0.13
    air = in_the_air(*parts)
    assert agrees(sounded.sound(0.0, when - 0.03, 1.6), cut(air, when - 0.03, 1.6))


def test_it_is_kept_for_a_while_only() -> None:
    sounded, pcm = Sounded(48_000), bytes(48_000 * 2)
    for number in range(30):
        sounded.sent(pcm)
        for again in range(10):
            sounded.fell_silent(100.0 + number + again, 10)
    assert sum(map(len, sounded._pieces)) <= (KEPT_S + 1) * RATE, "the oldest message counts whole"
    assert sounded._size < 48_000 * 2 * 0.2
    assert len(sounded._silences) <= 64


def test_of_two_that_seem_to_overlap_the_newer_counts() -> None:
    """The playhead is put right by news of the listener."""
    sounded, pcm = Sounded(RATE), at_rate(RATE)
    send(sounded, pcm, RATE, 0.0, 1.0)
    sounded.fell_silent(101.05)
    send(sounded, pcm, RATE, 1.0, 2.0)
    found = sounded.sound(102.0, 102.0, 1.0)
    assert agrees(found, cut(in_the_air((101.0, 1.0, 2.0)), 102.0, 1.0))


def test_less_was_remembered_than_is_unplayed() -> None:
    sounded = Sounded(RATE)
    sounded.sent(from_float(np.full(80, 0.5, np.float32)))
    sounded.fell_silent(100.0, 800)
    assert not sounded.sound(100.0, 100.0, 0.5, unplayed=800).any()
    assert sounded.sound(100.1, 100.1, 0.5).any()
