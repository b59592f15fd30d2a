from __future__ import annotations

import numpy as np
import pytest

from orchestrator.decimator import Sound
from orchestrator.likeness import RATE
from orchestrator.self_echo import KNOWN, SelfEcho, Verdict
from tests.unit.orchestrator.test_likeness import DELAYS, voice

pytestmark = pytest.mark.unit

DELAY = 1_200


class Room:
    """A loudspeaker that has played for two seconds until `stop`, and goes on if that is None."""

    def __init__(self, stop: int | None = None) -> None:
        self.played = voice(4.0)[: 3 * RATE].copy()
        if stop is not None:
            self.played[2 * RATE + stop :] = 0.0
        self.echo = np.zeros(len(self.played) + DELAY, np.float32)
        self.echo[DELAY:] = 0.3 * self.played

    def at(self, start: int, end: int, user: Sound | None = None) -> tuple[Sound, Sound]:
        """From `start` to `end` after the two seconds."""
        first, last = 2 * RATE + start, 2 * RATE + end
        heard = self.echo[first:last].copy()
        if user is not None:
            heard += user[: len(heard)]
        return heard, self.played[last - len(heard) - DELAYS : last]


def user(louder: float = 1.0, seconds: float = 1.0) -> Sound:
    sound = voice(seconds, pitch_hz=190, seed=7)
    return (louder * 0.3 * sound).astype(np.float32)


def test_an_echo_is_known_as_soon_as_there_is_enough_of_it() -> None:
    echo, room = SelfEcho(), Room()
    assert not echo.due(900)
    assert echo.due(1_400)
    assert echo.going_on(*room.at(0, 1_400)) is Verdict.ECHO
    echo.begins()
    assert echo.due(900)
    assert echo.going_on(*room.at(0, 900)) is Verdict.ECHO, "at a delay that is known, sooner"


def looked_at(echo: SelfEcho, room: Room) -> list[int]:
    """At which of its lengths a sound that is the user's is looked at, in frames."""
    echo.begins()
    found = []
    for frames in range(1, 50):
        if echo.due(frames * 160):
            found.append(frames)
            echo.going_on(*room.at(0, frames * 160, user(3.0)))
    return found


def test_a_sound_is_looked_at_seldom_until_there_was_an_echo_and_not_for_long() -> None:
    echo, room = SelfEcho(), Room()
    assert looked_at(echo, room) == [8, 12, 18, 27]
    assert echo.going_on(*room.at(0, 2_000)) is Verdict.ECHO
    assert looked_at(echo, room) == list(range(5, 31, 2))


def test_a_user_is_no_echo_at_any_length() -> None:
    echo, room = SelfEcho(), Room()
    room.echo[:] = 0.0
    for end in range(800, 4_800, 320):
        assert echo.going_on(*room.at(0, end, user())) is Verdict.OPEN
    assert echo.ended(*room.at(0, 4_000, user())) is Verdict.USER


def test_a_user_over_the_echo_is_left_to_the_words() -> None:
    echo, room = SelfEcho(), Room()
    for end in range(800, 4_800, 320):
        assert echo.going_on(*room.at(0, end, user(2.0))) is Verdict.OPEN
    assert echo.ended(*room.at(0, 4_000, user(2.0))) is Verdict.USER


def test_what_ends_with_the_loudspeaker_is_its_echo_and_who_is_heard_after_it_is_not() -> None:
    room = Room(stop=1_600)
    assert SelfEcho().ended(*room.at(0, 1_600 + DELAY)) is Verdict.ECHO
    later = np.zeros(6_000, np.float32)
    later[DELAY + 1_600 :] = user(0.5)[: 6_000 - DELAY - 1_600]
    assert SelfEcho().ended(*room.at(0, 1_600 + DELAY + 1_600, later)) is Verdict.USER


def test_after_some_echoes_the_next_is_expected_until_somebody_speaks() -> None:
    echo, room = SelfEcho(), Room()
    for number in range(KNOWN):
        assert echo.known is False, number
        assert echo.going_on(*room.at(0, 2_000)) is Verdict.ECHO
    assert echo.known
    assert echo.ended(*room.at(0, 2_000, user(3.0))) is Verdict.USER
    assert not echo.known


def test_another_microphone_is_another_room() -> None:
    echo, room = SelfEcho(), Room()
    for _ in range(KNOWN):
        echo.going_on(*room.at(0, 2_000))
    echo.forget()
    assert not echo.known
    echo.begins()
    assert not echo.due(900)


def test_who_speaks_over_an_echo_that_goes_on_is_noticed_at_the_second_look() -> None:
    echo, room = SelfEcho(), Room()
    assert echo.going_on(*room.at(0, 1_600)) is Verdict.ECHO
    assert echo.still(*room.at(0, 1_900)) is Verdict.ECHO
    assert echo.still(*room.at(300, 2_220, user(1.5))) is Verdict.OPEN
    assert echo.still(*room.at(600, 2_540, user(1.5))) is Verdict.USER


def test_an_echo_that_dies_away_is_nobody() -> None:
    echo, room = SelfEcho(), Room(stop=1_600)
    assert echo.going_on(*room.at(0, 1_600 + DELAY)) is Verdict.ECHO
    for end in range(1_800, 4_000, 320):
        assert echo.still(*room.at(end + DELAY - 1_920, end + DELAY)) is not Verdict.USER
