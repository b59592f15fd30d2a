from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.turn_audio import TurnAudio

pytestmark = pytest.mark.unit


def pcm(first: int, last: int) -> bytes:
    return b"".join(i.to_bytes(2, "little") for i in range(first, last))


def test_what_came_can_be_taken_until_it_is_forgotten() -> None:
    audio = TurnAudio()
    audio.add(0, pcm(1, 11))
    audio.add(10, pcm(11, 21))
    assert audio.received == 20
    assert audio.take(5, 15) == pcm(6, 16)
    audio.forget(8)
    audio.forget(3)
    assert (audio.kept, audio.received) == (8, 20)
    assert audio.take(8, 12) == pcm(9, 13)
    audio.forget(50)
    assert (audio.kept, audio.received) == (20, 20)


def test_the_end_is_padded_to_a_frame() -> None:
    audio = TurnAudio()
    audio.add(0, pcm(1, 8))
    audio.forget(3)
    audio.pad(5)
    assert audio.received == 10
    assert audio.take(5, 10) == pcm(6, 8) + bytes(6)
    audio.pad(5)
    assert audio.received == 10


def test_silence_takes_the_place_of_what_was_heard() -> None:
    audio = TurnAudio()
    audio.add(0, pcm(1, 11))
    audio.forget(2)
    audio.silence(0, 4)
    assert audio.take(2, 6) == bytes(4) + pcm(5, 7)
    assert audio.received == 10


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=12))
def test_every_sample_has_its_place(pieces: list[tuple[int, int]]) -> None:
    """Twice is once, and what never came is silence."""
    audio = TurnAudio()
    expected: list[int] = []
    for sample, length in pieces:
        audio.add(sample, pcm(sample + 1, sample + 1 + length))
        expected += [0] * (sample - len(expected))
        expected += [i + 1 for i in range(len(expected), sample + length)]
    assert audio.received == len(expected)
    assert audio.take(0, audio.received) == b"".join(i.to_bytes(2, "little") for i in expected)
    assert audio.gap == expected.count(0)


@given(
    st.lists(
        st.tuples(st.sampled_from(["add", "forget", "silence", "pad"]), st.integers(0, 30), st.integers(0, 30)),
        max_size=30,
    )
)
def test_pieces_are_as_one_buffer(steps: list[tuple[str, int, int]]) -> None:
    audio = TurnAudio()
    whole = bytearray()
    kept = 0
    for what, one, two in steps:
        if what == "add":
            length = one % 12
            piece = pcm(len(whole) + 1, len(whole) + 1 + length)
            audio.add(len(whole) // 2, piece)
            whole += piece
        elif what == "forget":
            audio.forget(one)
            kept = max(kept, min(one, len(whole) // 2))
        elif what == "silence":
            audio.silence(one, one + two)
            first, last = max(one, kept), min(one + two, len(whole) // 2)
            if first < last:
                whole[2 * first : 2 * last] = bytes(2 * (last - first))
        else:
            audio.pad(one % 7 + 1)
            whole += bytes(2 * (-(len(whole) // 2) % (one % 7 + 1)))
        assert (audio.kept, audio.received) == (kept, len(whole) // 2)
        assert audio.take(kept, audio.received) == whole[2 * kept :]
        start, end = sorted((max(kept, one), max(kept, two)))
        assert audio.take(start, end) == whole[2 * start : 2 * end]
