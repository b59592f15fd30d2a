from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from base.audio import BYTES_PER_SAMPLE, to_float
from base.errors import WrongState
from orchestrator.conversation.events import FirstAudio, ReplyEnded, ReplyFailed, ReplyStopped
from orchestrator.decimator import Sound
from orchestrator.downlink import AHEAD_MOST_S, EARLY_S, TAIL_S
from orchestrator.likeness import likeness
from orchestrator.messages import Clear, Hold, Resume
from orchestrator.ports import SynthAudio, SynthFinished, SynthMarks
from tests.support.downlink import FRAME, NUMBERS, RATE, FarTransport, World

pytestmark = pytest.mark.unit

KINDS: dict[str, dict[str, Any]] = {
    "holding": {"holds": True},
    "holding, far": {"holds": True, "delay_s": 0.06},
    "copied": {"holds": False},
    "copied, far": {"holds": False, "delay_s": 0.06},
}
ROOM = {"holds": False, "keeps": True}


@pytest.fixture(params=KINDS.values(), ids=KINDS.keys())
def world(request: pytest.FixtureRequest) -> World:
    world = World()
    world.attach(**request.param)
    return world


@pytest.fixture
def near() -> World:
    world = World()
    world.attach()
    return world


# --- what is being heard ---------------------------------------------------------------------------------------------


def test_what_is_being_heard_is_known_by_its_words(world: World) -> None:
    assert world.downlink.playing() is None
    world.reply(15 * RATE)
    assert world.downlink.playing() is None
    world.run_until(lambda: len(world.heard()) >= 7.5 * RATE * BYTES_PER_SAMPLE)
    playing = world.downlink.playing()
    assert playing is not None
    assert playing.turn == world.turn
    assert "eight" in playing.near
    assert playing.near in playing.text
    assert NUMBERS[playing.start :].startswith(playing.text)
    assert len(playing.text) < 40
    assert not playing.asks


def test_the_last_words_are_heard_for_a_moment_longer(near: World) -> None:
    near.reply(RATE, "Shall I go on?")
    near.run_until(lambda: near.outcome() is not None)
    playing = near.downlink.playing()
    assert playing is not None
    assert playing.text.endswith("go on?")
    assert playing.asks
    near.run(TAIL_S + 0.1)
    assert near.downlink.playing() is None


def test_a_reply_that_is_held_for_long_is_not_heard(near: World) -> None:
    near.reply(5 * RATE)
    near.run(1.0)
    near.downlink.hold_nowait(near.turn)
    near.run(0.2)
    assert near.downlink.playing() is not None
    near.run(TAIL_S)
    assert near.downlink.playing() is None
    near.downlink.resume_nowait(near.turn)
    near.run(0.1)
    assert near.downlink.playing() is not None


class Ear:
    """Beside the loudspeaker: hears what is played as it is played."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.sound = np.zeros(0, np.float32)
        self._heard = len(self._all())

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.02)):
            self.world.run(0.02)
            new = self._all()[self._heard :]
            self._heard += len(new)
            self.sound = np.concatenate([self.sound, new, np.zeros(RATE // 50 - len(new), np.float32)])

    def _all(self) -> Sound:
        """Of all turns, at the present transport."""
        return to_float(b"".join(bytes(pcm) for pcm in self.world.transport.listener.heard.values()))

    def late_s(self, heard_s: float = 0.3, before_s: float = 0.0) -> float:
        """By how much later it heard what `sounding` says; fails where what it heard is not nearly all in that."""
        played = self.world.downlink.sounding(heard_s, self.world.now - before_s)
        end = len(self.sound) - round(before_s * RATE)
        found = likeness(self.sound[end - round(heard_s * RATE) : end], played)
        assert found.share > 0.85
        return found.lag / RATE - EARLY_S


def test_what_sounds_is_what_the_listener_plays_by_the_clock(world: World) -> None:
    """A far listener is some tens of milliseconds off."""
    assert not world.downlink.sounds()
    world.downlink.remember_nowait()
    world.reply(8 * RATE)
    ear = Ear(world)
    ear.run(1.6)
    assert -0.07 < ear.late_s() < 0.07
    world.downlink.hold_nowait(world.turn)
    ear.run(0.3)
    assert -0.07 < ear.late_s(before_s=0.2) < 0.07
    world.downlink.resume_nowait(world.turn)
    ear.run(0.6)
    assert -0.07 < ear.late_s() < 0.07
    assert -0.07 < ear.late_s(before_s=0.8) < 0.07, "before the hold, too"
    ear.run(3.0)
    assert -0.07 < ear.late_s() < 0.07


def test_until_there_is_a_microphone_nothing_is_kept(near: World) -> None:
    near.reply(8 * RATE)
    near.run(1.0)
    assert near.downlink._sounded is None
    near.downlink.remember_nowait()
    ear = Ear(near)
    ear.run(1.0)
    assert -0.07 < ear.late_s() < 0.07


@pytest.mark.parametrize("kind", ["mute", "copied, mute", "acknowledges nothing"])
def test_what_sounds_at_a_listener_that_says_nothing_is_known_by_the_clock(kind: str) -> None:
    world = World()
    world.attach(holds="copied" not in kind, mute=True, acknowledges=kind != "acknowledges nothing")
    world.downlink.remember_nowait()
    world.reply(8 * RATE)
    ear = Ear(world)
    ear.run(1.6)
    assert -0.07 < ear.late_s() < 0.07
    world.downlink.hold_nowait(world.turn)
    ear.run(0.3)
    world.downlink.resume_nowait(world.turn)
    ear.run(0.6)
    assert -0.07 < ear.late_s() < 0.07
    assert -0.07 < ear.late_s(before_s=0.8) < 0.07
    world.downlink.stop_nowait(world.turn)
    ear.run(0.2)
    assert -0.07 < ear.late_s(before_s=0.15) < 0.07


def test_what_sounded_before_it_was_stopped_is_known_to_the_last_sample_that_the_listener_played(world: World) -> None:
    world.downlink.remember_nowait()
    world.reply(8 * RATE)
    ear = Ear(world)
    ear.run(1.6)
    late_s = ear.late_s()
    world.downlink.stop_nowait(world.turn)
    ear.run(0.4)
    last = int(np.flatnonzero(ear.sound)[-1])
    before_s = (len(ear.sound) - last) / RATE
    assert ear.late_s(0.1, before_s=before_s) == pytest.approx(late_s, abs=0.03), "as it was while it sounded"
    played = world.downlink.sounding(0.4, world.now)
    after_s = (len(played) - 1 - int(np.flatnonzero(played)[-1])) / RATE - EARLY_S
    assert after_s == pytest.approx(before_s, abs=0.07), "and nothing after it"


def test_the_end_of_a_turn_still_sounds_when_the_next_has_begun(world: World) -> None:
    world.downlink.remember_nowait()
    world.reply(RATE)
    ear = Ear(world)
    while world.outcome() is None:
        ear.run(0.02)
    ear.run(0.2)
    world.reply(4 * RATE)
    ear.run(0.4)
    ended_s = 0.6 if world.transport.delay_s == 0 else 0.5
    assert -0.15 < ear.late_s(0.2, before_s=ended_s + 0.1) < 0.15
    assert -0.07 < ear.late_s(0.2) < 0.07
    ear.run(1.0)
    assert -0.07 < ear.late_s() < 0.07


def test_while_the_voice_is_late_there_is_silence(near: World) -> None:
    near.downlink.remember_nowait()
    near.reply(8 * RATE)
    near.finished = True  # the voice works by hand
    ear = Ear(near)
    near.voice(20)
    ear.run(0.7)
    assert -0.07 < ear.late_s(0.2, before_s=0.4) < 0.07
    assert not near.downlink.sounding(0.1, near.now)[-round((0.1 + EARLY_S) * RATE) :].any(), "just now"
    near.voice(25)
    ear.run(0.3)
    assert -0.07 < ear.late_s(0.2) < 0.07
    assert -0.07 < ear.late_s(0.2, before_s=0.7) < 0.07, "before the gap, too"


def test_at_another_transport_nothing_of_the_last_one_sounds() -> None:
    world = World()
    world.attach()
    world.downlink.remember_nowait()
    world.reply(8 * RATE)
    ear = Ear(world)
    ear.run(1.6)
    world.detach()
    world.run(0.1)
    world.attach()
    ear = Ear(world)
    ear.run(0.1)
    played = world.downlink.sounding(0.1, world.now)
    assert int(np.flatnonzero(played)[0]) > len(played) - round((EARLY_S + 0.18) * RATE)
    ear.run(1.0)
    assert -0.07 < ear.late_s() < 0.07


def test_the_last_sound_is_there_for_a_moment_longer(near: World) -> None:
    near.downlink.remember_nowait()
    near.reply(RATE)
    ear = Ear(near)
    while near.outcome() is None:
        ear.run(0.02)
    ear.run(0.1)
    assert -0.07 < ear.late_s(before_s=0.12) < 0.07
    near.run(TAIL_S + 0.1)
    assert not near.downlink.sounds()


def test_a_reply_that_is_held_for_long_does_not_sound(near: World) -> None:
    near.reply(5 * RATE)
    near.run(1.0)
    near.downlink.hold_nowait(near.turn)
    near.run(TAIL_S + 0.1)
    assert not near.downlink.sounds()


# --- pacing and credit -----------------------------------------------------------------------------------------------


def test_a_reply_is_heard_whole_and_then_ended(world: World) -> None:
    audio = world.reply(3 * RATE + 37)
    world.run_until(lambda: world.outcome() is not None)
    outcome = world.outcome()
    assert isinstance(outcome, ReplyEnded)
    assert world.heard()[: len(audio)] == audio
    assert not any(world.heard()[len(audio) :])
    assert (outcome.heard.text, outcome.heard.unheard, outcome.heard.complete) == (NUMBERS, "", True)
    assert outcome.heard.samples == 3 * RATE + 37
    assert len(world.of(FirstAudio)) == 1
    assert world.downlink.statistics().get("underruns", 0) == 0


def test_the_first_frame_goes_out_when_it_comes(near: World) -> None:
    near.reply(RATE)
    assert not near.first_audio()
    near.voice(1)
    assert near.first_audio()
    assert len(near.transport.sent) == 1


def test_no_more_than_the_lead_is_in_hand_and_little_of_it_is_wasted_on_messages(near: World) -> None:
    near.reply(5 * RATE)
    most = 0
    near.run(0.5)
    before = len(near.transport.sent)
    for _ in range(300):
        near.run(0.01)
        most = max(most, near.ahead())
        assert near.ahead() >= 0.05 * RATE
    assert 0.15 * RATE <= most <= 0.2 * RATE
    assert len(near.transport.sent) - before <= 3 / 0.06 + 2


def test_a_distant_listener_keeps_as_much_in_hand_as_a_near_one() -> None:
    world = World()
    world.attach(delay_s=0.12)
    world.reply(6 * RATE)
    world.run(1.0)
    for _ in range(40):
        world.run(0.1)
        assert world.transport.listener.queued >= 0.04 * RATE
    assert world.downlink.statistics().get("underruns", 0) == 0


def test_a_blind_sink_is_fed_little_ahead() -> None:
    world = World()
    world.attach(holds=False, acknowledges=False)
    world.reply(2 * RATE)
    for _ in range(100):
        world.run(0.01)
        assert world.ahead() <= 0.04 * RATE + FRAME
    world.run_until(lambda: world.outcome() is not None)
    assert isinstance(world.outcome(), ReplyEnded)
    assert world.heard() == world.audio


def test_nothing_goes_where_there_is_no_room(near: World) -> None:
    near.transport.free = 0
    near.reply(RATE)
    near.run(0.5)
    assert near.transport.sent == []
    near.transport.free = FRAME + 1
    near.run(0.05)
    assert {len(a.pcm) for a in near.transport.sent} == {FRAME * BYTES_PER_SAMPLE}


def test_credit_follows_the_listener_in_steps() -> None:
    world = World(speed=100)
    world.attach()
    world.reply(6 * RATE)
    assert world.credits == [(1, RATE)]
    while world.outcome() is None:
        world.run(0.02)
        played = len(world.heard()) // BYTES_PER_SAMPLE
        assert world.credits[-1][1] <= played + RATE + FRAME
        assert world.voiced - played <= 1.05 * RATE
    steps = [b - a for (_, a), (_, b) in pairwise(world.credits)]
    assert min(steps) >= 0.4 * RATE
    assert len(steps) >= 10


def test_a_hold_grants_no_credit(near: World) -> None:
    near.reply(6 * RATE)
    near.run(1.0)
    near.downlink.hold_nowait(1)
    before = len(near.credits)
    near.run(3.0)
    assert len(near.credits) == before
    assert near.downlink.statistics()["buffered_samples"] <= 2.1 * RATE


def test_a_voice_that_ignores_its_credit_loses_its_turn(near: World) -> None:
    near.reply(9 * RATE)
    for _ in range(30):
        near.voice(5)
    near.run_until(lambda: near.outcome() is not None)
    outcome = near.outcome()
    assert isinstance(outcome, ReplyFailed)
    assert outcome.code == "internal"
    assert near.downlink.statistics()["bad_audio"] == 1


# --- the fence -------------------------------------------------------------------------------------------------------


def test_only_the_last_turn_passes(near: World) -> None:
    near.reply(RATE)
    near.voice(1, turn=7)
    near.downlink.synth_nowait(SynthFinished(7, 0, 0))
    assert near.transport.sent == []
    near.run(0.2)
    near.downlink.stop_nowait(1)
    sent = len(near.transport.sent)
    near.voice(2)
    near.run(0.2)
    assert len(near.transport.sent) == sent
    assert near.downlink.statistics()["fenced"] >= 3


def test_a_turn_that_begins_takes_the_place_of_one_that_was_not_stopped(near: World) -> None:
    near.reply(2 * RATE)
    near.run(0.3)
    near.reply(RATE)
    assert near.transport.told == [Clear(turn=1)]
    near.run_until(lambda: near.outcome() is not None)
    assert near.heard() == near.audio
    assert near.downlink.statistics()["superseded"] == 1


def test_audio_that_comes_twice_or_not_at_all_keeps_its_place(near: World) -> None:
    near.reply(RATE)
    frame = FRAME * BYTES_PER_SAMPLE
    near.downlink.synth_nowait(SynthAudio(1, 0, near.audio[: 2 * frame]))
    near.downlink.synth_nowait(SynthAudio(1, FRAME, near.audio[frame : 3 * frame]))
    near.downlink.synth_nowait(SynthAudio(1, 4 * FRAME, near.audio[4 * frame : 5 * frame]))
    near.finished = True
    near.downlink.synth_nowait(SynthFinished(1, 5 * FRAME, 0))
    near.run_until(lambda: near.outcome() is not None)
    assert near.heard() == near.audio[: 3 * frame] + bytes(frame) + near.audio[4 * frame : 5 * frame]
    counts = near.downlink.statistics()
    assert (counts["overlap_samples"], counts["gap_samples"]) == (FRAME, FRAME)


# --- hold and resume -------------------------------------------------------------------------------------------------


def test_a_false_alarm_loses_nothing_and_repeats_nothing(world: World) -> None:
    audio = world.reply(3 * RATE)
    for pause in (0.31, 0.4, 0.07, 1.3):
        world.run(pause)
        world.downlink.hold_nowait(1)
        world.run(0.2)
        heard = world.heard()
        world.run(0.5)
        assert world.heard() == heard
        world.downlink.resume_nowait(1)
    world.run_until(lambda: world.outcome() is not None)
    assert isinstance(world.outcome(), ReplyEnded)
    assert world.heard() == audio
    assert world.transport.listener.jumps == []


def test_a_hold_taken_back_at_once_loses_nothing(world: World) -> None:
    audio = world.reply(2 * RATE)
    world.run(0.5)
    for gap in (0.0, 0.01, 0.05, 0.1):
        world.downlink.hold_nowait(1)
        world.run(gap)
        world.downlink.resume_nowait(1)
        world.run(0.17)
        world.downlink.hold_nowait(1)
        world.downlink.resume_nowait(1)
        world.downlink.hold_nowait(1)
        world.run(gap)
        world.downlink.resume_nowait(1)
    world.run_until(lambda: world.outcome() is not None)
    assert world.heard() == audio
    assert world.transport.listener.jumps == []


def test_a_near_listener_goes_on_at_the_sample_at_which_it_was_held(near: World) -> None:
    near.reply(2 * RATE)
    near.run(0.503)
    near.downlink.hold_nowait(1)
    held_at = near.transport.listener.position[1]
    near.downlink.resume_nowait(1)
    assert near.transport.told == [Hold(turn=1), Resume(turn=1, sample=held_at)]


def test_held_before_the_first_sample_none_goes_out(near: World) -> None:
    audio = near.reply(RATE)
    near.downlink.hold_nowait(1)
    near.run(0.5)
    assert near.transport.sent == []
    assert near.transport.told == []
    assert not near.first_audio()
    near.downlink.resume_nowait(1)
    assert near.first_audio()
    near.run_until(lambda: near.outcome() is not None)
    assert near.heard() == audio


def test_a_held_turn_ends_after_its_resume(near: World) -> None:
    near.reply(RATE)
    near.run(0.9)
    near.downlink.hold_nowait(1)
    near.run(3)
    assert near.outcome() is None
    near.downlink.resume_nowait(1)
    near.run_until(lambda: near.outcome() is not None)
    assert isinstance(near.outcome(), ReplyEnded)


def test_a_turn_held_when_all_of_it_was_heard_is_over() -> None:
    world = World()
    world.attach(delay_s=0.05)
    world.reply(RATE)
    world.run_until(lambda: len(world.heard()) == 2 * RATE)
    world.downlink.hold_nowait(1)
    world.run_until(lambda: world.outcome() is not None, 0.3)
    assert isinstance(world.outcome(), ReplyEnded)


@pytest.mark.parametrize("holds", [True, False])
@pytest.mark.parametrize("delay_s", [0.02, 0.05])
def test_a_hold_ends_with_its_turn_and_the_next_one_is_heard(holds: bool, delay_s: float) -> None:
    world = World()
    world.attach(holds=holds, delay_s=delay_s)
    world.reply(RATE)
    world.run_until(lambda: len(world.heard()) == 2 * RATE)
    world.downlink.hold_nowait(1)
    world.run_until(lambda: world.outcome() is not None)
    assert isinstance(world.outcome(), ReplyEnded)
    assert world.transport.told[-1] == Clear(turn=1)
    audio = world.reply(RATE)
    world.run_until(lambda: world.outcome() is not None)
    assert world.heard() == audio


@pytest.mark.parametrize("holds", [True, False])
def test_a_turn_whose_end_comes_with_the_answer_to_a_hold_ends_once(holds: bool) -> None:
    world = World(speed=100)
    world.attach(holds=holds)
    world.reply(1)
    world.run(0.001)
    world.downlink.hold_nowait(1)
    world.run_until(lambda: world.outcome() is not None)
    assert world.transport.told[-1] == Clear(turn=1)
    assert not world.transport.listener.held


def test_a_held_turn_that_breaks_holds_nobody(near: World) -> None:
    near.reply(2 * RATE)
    near.run(0.5)
    near.downlink.hold_nowait(1)
    near.downlink.fault_nowait()
    assert isinstance(near.outcome(), ReplyFailed)
    assert near.transport.told[-1] == Clear(turn=1)
    audio = near.reply(RATE)
    near.run_until(lambda: near.outcome() is not None)
    assert near.heard() == audio


# --- stop ------------------------------------------------------------------------------------------------------------


def test_stop_tells_the_words_that_were_heard(world: World) -> None:
    world.reply(len(NUMBERS) * 400)
    place = NUMBERS.index("seven") + 2
    world.run_until(lambda: len(world.heard()) // BYTES_PER_SAMPLE > place * 400)
    world.downlink.stop_nowait(1)
    world.run_until(lambda: world.outcome() is not None, 0.3)
    outcome = world.outcome()
    assert isinstance(outcome, ReplyStopped)
    assert outcome.heard.text.endswith("five, six,")
    assert outcome.heard.unheard.startswith("seven, eight,")
    assert outcome.heard.samples == len(world.heard()) // BYTES_PER_SAMPLE
    assert not outcome.heard.complete
    assert world.transport.told[-1] == Clear(turn=1)


def test_stop_during_a_hold_answers_at_once(world: World) -> None:
    world.reply(3 * RATE)
    world.run(1.0)
    world.downlink.hold_nowait(1)
    world.run(0.3)
    world.downlink.stop_nowait(1)
    outcome = world.outcome()
    assert isinstance(outcome, ReplyStopped)
    assert outcome.heard.samples == len(world.heard()) // BYTES_PER_SAMPLE


def test_stop_before_any_audio_answers_at_once(near: World) -> None:
    near.reply(RATE)
    near.downlink.stop_nowait(1)
    outcome = near.outcome()
    assert isinstance(outcome, ReplyStopped)
    assert (outcome.heard.samples, outcome.heard.text, outcome.heard.unheard) == (0, "", NUMBERS)
    assert near.transport.told == []


@pytest.mark.parametrize("clear_lost", [True, False])
def test_a_reply_stopped_while_nobody_is_there_is_cleared_at_the_next_transport(clear_lost: bool) -> None:
    """The client may have kept what it had of it."""
    world = World()
    world.attach(delay_s=0.02)
    world.reply(3 * RATE)
    world.run(0.5)
    if clear_lost:
        world.downlink.stop_nowait(1)
        world.detach()
    else:
        world.detach()
        world.downlink.hold_nowait(1)
        world.downlink.stop_nowait(1)
    assert isinstance(world.outcome(), ReplyStopped)
    world.attach()
    assert world.transport.told == [Clear(turn=1)]
    audio = world.reply(RATE)
    world.run_until(lambda: world.outcome() is not None)
    assert world.heard() == audio


def test_the_last_word_of_a_listener_is_not_awaited_for_ever() -> None:
    world = World()
    world.attach(delay_s=0.02)
    world.reply(2 * RATE)
    world.run(0.5)
    world.transport.mute = True
    world.downlink.stop_nowait(1)
    world.run(0.1)
    assert world.outcome() is None
    world.run(0.1)
    outcome = world.outcome()
    assert isinstance(outcome, ReplyStopped)
    assert abs(outcome.heard.samples - 0.5 * RATE) < 0.1 * RATE
    assert world.downlink.statistics()["played_awaited_in_vain"] == 1


@pytest.mark.parametrize("holds", [True, False])
def test_a_listener_that_answers_at_once_is_believed_before_the_time_is_up(holds: bool) -> None:
    """It plays in blocks of 5 ms, and the stop comes at the end of one: the clock is ahead of it."""
    world = World()
    world.attach(holds=holds)
    world.reply(2 * RATE)
    world.run(0.52)
    world.transport.mute = True
    world.now += 0.004
    world.downlink.stop_nowait(1)
    world.now += 0.002
    heard = len(world.heard()) // BYTES_PER_SAMPLE
    world.downlink.played_nowait(1, heard)
    world.run_until(lambda: world.outcome() is not None, 0.06)
    outcome = world.outcome()
    assert isinstance(outcome, ReplyStopped)
    assert outcome.heard.samples == heard


def test_every_stop_is_answered(near: World) -> None:
    near.reply(RATE // 2)
    near.run_until(lambda: near.outcome() is not None)
    near.downlink.stop_nowait(1)
    near.downlink.stop_nowait(5)
    ended = near.of(ReplyEnded)[0]
    late, never = near.of(ReplyStopped)
    assert isinstance(ended, ReplyEnded)
    assert isinstance(late, ReplyStopped)
    assert isinstance(never, ReplyStopped)
    assert late.heard == ended.heard
    assert (never.turn, never.heard.samples, never.heard.text) == (5, 0, "")


# --- listeners that lie or say nothing -------------------------------------------------------------------------------


@pytest.mark.parametrize("holds", [True, False])
def test_a_listener_that_never_says_anything_hears_all(holds: bool) -> None:
    world = World()
    world.attach(holds=holds, mute=True)
    audio = world.reply(3 * RATE)
    world.run_until(lambda: world.outcome() is not None, 5)
    assert isinstance(world.outcome(), ReplyEnded)
    assert world.heard() == audio


def test_a_short_reply_to_a_silent_listener_ends_after_a_second() -> None:
    world = World()
    world.attach(mute=True)
    world.reply(RATE // 4)
    begin = world.now
    world.run_until(lambda: world.outcome() is not None, 2)
    assert 0.9 <= world.now - begin <= 1.2


def test_a_holding_listener_that_says_nothing_loses_nothing() -> None:
    world = World()
    world.attach(mute=True, delay_s=0.05)
    audio = world.reply(3 * RATE)
    for _ in range(4):
        world.run(0.4)
        world.downlink.hold_nowait(1)
        world.run(0.3)
        world.downlink.resume_nowait(1)
    world.run_until(lambda: world.outcome() is not None)
    world.run(0.5)
    assert world.heard() == audio
    assert world.transport.listener.jumps == []


def test_words_about_what_was_never_sent_are_clamped(near: World) -> None:
    near.reply(2 * RATE)
    near.run(0.2)
    near.downlink.played_nowait(1, 2**62)
    near.downlink.played_nowait(9, 5)
    near.run(0.05)
    near.downlink.stop_nowait(1)
    near.run(0.2)
    outcome = near.outcome()
    assert isinstance(outcome, ReplyStopped)
    assert outcome.heard.samples <= 0.5 * RATE
    counts = near.downlink.statistics()
    assert counts["played_clamped"] >= 1
    assert counts["played_stale"] >= 1


def test_a_loudspeaker_that_stands_still_ends_the_turn(near: World) -> None:
    near.transport.mute = True
    near.reply(2 * RATE)
    for _ in range(120):
        near.run(0.1)
        near.downlink.played_nowait(1, 0)
    outcome = near.outcome()
    assert isinstance(outcome, ReplyFailed)
    assert outcome.code == "not_played"
    assert outcome.heard.text == ""


# --- failures --------------------------------------------------------------------------------------------------------


def test_when_the_voice_fails_what_came_is_played(near: World) -> None:
    audio = near.reply(5 * RATE)
    near.run(0.5)
    near.fail()
    came = near.voiced * BYTES_PER_SAMPLE
    near.run_until(lambda: near.outcome() is not None)
    outcome = near.outcome()
    assert isinstance(outcome, ReplyFailed)
    assert (outcome.code, outcome.message) == ("unavailable", "the worker is gone")
    assert near.heard() == audio[:came]
    assert outcome.heard.text.startswith("One,")
    assert outcome.heard.unheard
    assert not outcome.heard.complete


def test_when_the_voice_fails_while_held_the_turn_is_over(near: World) -> None:
    near.reply(5 * RATE)
    near.run(0.5)
    near.downlink.hold_nowait(1)
    near.run(0.3)
    near.fail()
    outcome = near.outcome()
    assert isinstance(outcome, ReplyFailed)
    assert outcome.heard.samples == len(near.heard()) // BYTES_PER_SAMPLE
    assert near.transport.told[-1] == Clear(turn=1)


def test_when_the_responder_fails_what_it_wrote_is_spoken(near: World) -> None:
    audio = near.reply(RATE)
    near.downlink.fail_nowait(1, "unavailable", "the model is gone")
    near.run_until(lambda: near.outcome() is not None)
    outcome = near.outcome()
    assert isinstance(outcome, ReplyFailed)
    assert outcome.message == "the model is gone"
    assert near.heard() == audio


def test_when_both_fail_the_turn_still_ends(near: World) -> None:
    near.reply(2 * RATE)
    near.run(0.1)
    near.finished = True
    near.downlink.fail_nowait(1, "unavailable", "the model is gone")
    near.run_until(lambda: near.outcome() is not None, 10)
    assert isinstance(near.outcome(), ReplyFailed)


def test_a_turn_with_nothing_to_speak_ends(near: World) -> None:
    near.reply(0, "😀")
    near.finish()
    outcome = near.outcome()
    assert isinstance(outcome, ReplyEnded)
    assert outcome.heard.complete
    assert near.transport.sent == []
    near.reply(0, "…")
    near.downlink.hold_nowait(2)
    near.finish()
    assert near.outcome() is None
    near.downlink.resume_nowait(2)
    assert isinstance(near.outcome(), ReplyEnded)


def test_a_fault_ends_the_turn_and_nobody_elses(near: World) -> None:
    other = World(now=near.now)
    other.attach()
    other.reply(RATE)
    near.ticker.add(other.downlink)
    near.reply(RATE)
    near.run(0.1)
    near.transport.broken = near.finished = True
    near.run(0.3)
    assert [type(e) for e in near.events] == [FirstAudio, ReplyFailed]
    assert near.ticker.statistics()["faults"] == 1
    assert len(near.ticker) == 1


# --- another transport -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", KINDS.values(), ids=KINDS.keys())
@pytest.mark.parametrize("second", [True, False], ids=["then holding", "then copied"])
def test_a_reply_goes_on_over_another_connection(first: dict[str, Any], second: bool) -> None:
    world = World()
    world.attach(**first)
    audio = world.reply(3 * RATE)
    world.run(1.013)
    world.detach()
    world.downlink.hold_nowait(1)
    said = world.heard()
    world.run(2.0)
    new = world.attach(holds=second)
    world.run(0.2)
    assert new.sent == []
    world.downlink.resume_nowait(1)
    world.run_until(lambda: world.outcome() is not None)
    outcome = world.outcome()
    assert isinstance(outcome, ReplyEnded)
    assert outcome.heard.complete
    heard = bytes(new.listener.heard[1])
    begin = new.sent[0].sample * BYTES_PER_SAMPLE
    silent = len(heard) - len(heard.lstrip(b"\0"))
    assert silent < FRAME * BYTES_PER_SAMPLE
    assert heard[silent:] == audio[begin + silent :]
    assert begin + silent <= len(said), "nothing is lost"
    assert len(said) - begin - silent <= 0.25 * RATE * BYTES_PER_SAMPLE, "little is repeated"


def test_who_says_what_it_played_when_it_comes_back_hears_everything_once() -> None:
    world = World()
    world.attach(delay_s=0.04)
    audio = world.reply(3 * RATE)
    world.run(1.013)
    old = world.transport
    world.detach()
    world.run(2.0)
    played = len(world.heard(old)) // BYTES_PER_SAMPLE - 7
    assert played % FRAME
    world.downlink.hold_nowait(1)
    new = world.attach()
    world.downlink.played_nowait(1, played)
    world.downlink.resume_nowait(1)
    world.run_until(lambda: world.outcome() is not None)
    heard = world.heard(new)
    pause = heard[: played % FRAME * BYTES_PER_SAMPLE]
    assert not any(pause)
    assert world.heard(old)[: -7 * BYTES_PER_SAMPLE] + heard[len(pause) :] == audio
    assert world.downlink.statistics().get("played_clamped", 0) == 0


def test_a_turn_that_nobody_holds_goes_on_when_a_transport_is_there() -> None:
    world = World()
    audio = world.reply(RATE)
    world.run(0.5)
    assert not world.first_audio()
    world.attach()
    world.run_until(lambda: world.outcome() is not None)
    assert world.heard() == audio


def test_stop_without_a_transport_answers_at_once(near: World) -> None:
    near.reply(2 * RATE)
    near.run(0.5)
    near.detach()
    near.downlink.stop_nowait(1)
    outcome = near.outcome()
    assert isinstance(outcome, ReplyStopped)
    assert outcome.heard.text.startswith("One,")


def test_losing_the_transport_while_its_last_word_is_awaited() -> None:
    world = World()
    world.attach(delay_s=0.1)
    world.reply(2 * RATE)
    world.run(0.5)
    world.downlink.stop_nowait(1)
    assert world.outcome() is None
    world.detach()
    assert isinstance(world.outcome(), ReplyStopped)


def test_a_turn_does_not_change_its_rate(near: World) -> None:
    near.reply(RATE)
    with pytest.raises(WrongState, match="8000"):
        near.downlink.attach_nowait(FarTransport(lambda: near.now, output_rate=16_000))
    near.run_until(lambda: near.outcome() is not None)
    near.downlink.attach_nowait(FarTransport(lambda: near.now, output_rate=16_000))
    near.downlink.begin_nowait(2)
    assert near.credits[-1] == (2, 16_000)


# --- words -----------------------------------------------------------------------------------------------------------


def test_marks_are_told_in_the_responders_places(near: World) -> None:
    near.reply(RATE, "Say **it** now.")
    words = [(start, end) for _, start, end, _, _ in near.marks]
    assert words == [(0, 3), (6, 8), (11, 15)]
    near.downlink.synth_nowait(SynthMarks(9, ()))
    assert near.downlink.statistics()["fenced"] == 1


async def test_wait_heard_returns_when_it_was_heard(near: World) -> None:
    near.reply(RATE)
    near.run(0.2)
    waiting = asyncio.create_task(near.downlink.wait_heard(1))
    await asyncio.sleep(0)
    near.run(0.7)
    await asyncio.sleep(0)
    assert not waiting.done()
    near.run(0.3)
    async with asyncio.timeout(10):
        await waiting
    async with asyncio.timeout(10):
        await near.downlink.wait_heard(1)


async def test_wait_heard_returns_when_the_turn_is_over(near: World) -> None:
    near.reply(RATE)
    near.run(0.2)
    waiting = [asyncio.create_task(near.downlink.wait_heard(1)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    near.downlink.stop_nowait(1)
    near.run(0.2)
    async with asyncio.timeout(10):
        await asyncio.gather(*waiting[1:])


async def test_closing_lets_everybody_go(near: World) -> None:
    near.reply(RATE)
    near.run(0.2)
    waiting = asyncio.create_task(near.downlink.wait_heard(1))
    await asyncio.sleep(0)
    before = list(near.events)
    near.downlink.close()
    async with asyncio.timeout(10):
        await waiting
    near.run(2)
    near.downlink.begin_nowait(2)
    assert near.events == before
    assert len(near.ticker) == 0


# --- a reply that sets out before it is due ---------------------------------------------------------------------------

DUE_S = 0.1


@pytest.fixture
def draft() -> World:
    """A reply of 3 s that is due in 0.1 s, in a room."""
    return drafted(3 * RATE)


def drafted(samples: int, *, keeps: bool = True) -> World:
    world = World()
    world.attach(holds=False, keeps=keeps)
    world.reply(samples)
    world.downlink.hold_nowait(1)
    world.downlink.expect_nowait(1, world.now + DUE_S)
    return world


def under_way(samples: int = 3 * RATE) -> World:
    """The same, just before it is due."""
    world = drafted(samples)
    world.run(DUE_S - 0.01)
    assert world.transport.sent
    return world


def whole(world: World) -> bool:
    """All of it, at the last transport."""
    world.run_until(lambda: world.outcome() is not None)
    world.run(0.2)
    outcome = world.outcome()
    assert isinstance(outcome, ReplyEnded)
    return outcome.heard.complete and world.heard(world.transport)[: len(world.audio)] == world.audio


def test_its_sound_sets_out_before_it_is_due_and_is_heard_from_its_first_sample_when_it_is(draft: World) -> None:
    keeper = draft.transport.keeper
    assert keeper is not None
    draft.run(DUE_S - keeper.way_s - 0.02)
    assert not draft.transport.sent
    draft.run(keeper.way_s + 0.02)
    due_s = draft.now
    assert draft.transport.sent
    assert keeper.orders == [("hold", 1)]
    assert not draft.first_audio()
    assert draft.downlink.playing() is None
    assert not draft.downlink.sounds()
    draft.downlink.resume_nowait(1)
    assert draft.first_audio()
    assert draft.downlink.playing() is not None
    assert whole(draft)
    assert keeper.orders == [("hold", 1), ("resume", 1)]
    assert len(draft.of(FirstAudio)) == 1
    assert keeper.since_s[1] - due_s < keeper.way_s / 2  # its way lies behind it


def test_where_nobody_keeps_it_silent_nothing_sets_out() -> None:
    world = drafted(3 * RATE, keeps=False)
    world.run(DUE_S)
    assert not world.transport.sent
    world.downlink.resume_nowait(1)
    assert whole(world)


def test_one_that_is_dropped_was_never_heard() -> None:
    world = under_way()
    world.run(0.1)  # the sink has played some of it
    world.downlink.stop_nowait(1)
    outcome = world.outcome()  # at once: there is no last word to wait for
    assert isinstance(outcome, ReplyStopped)
    assert (outcome.heard.samples, outcome.heard.text, outcome.heard.unheard) == (0, "", NUMBERS)
    assert world.transport.keeper is not None
    assert world.transport.keeper.orders == [("hold", 1), ("clear", 1)]
    world.run(0.5)
    assert world.heard() == b""
    assert world.downlink.playing() is None
    assert not world.first_audio()


@pytest.mark.parametrize("held_s", [0.0, 0.01, 0.15, 2.0])
def test_one_that_is_not_due_any_more_stands_still_until_it_is_wanted(held_s: float) -> None:
    world = under_way()
    world.downlink.expect_nowait(1, None)
    sent = len(world.transport.sent)
    world.run(held_s)
    assert world.heard() == b""
    assert len(world.transport.sent) == sent
    world.downlink.resume_nowait(1)
    assert whole(world)
    assert len(world.of(FirstAudio)) == 1


def test_of_one_that_stood_still_little_is_taken_for_heard_before_it_was() -> None:
    world = under_way()
    world.downlink.expect_nowait(1, None)
    world.run(1.0)
    world.downlink.resume_nowait(1)
    world.downlink.stop_nowait(1)
    world.run_until(lambda: world.outcome() is not None)
    outcome = world.outcome()
    assert isinstance(outcome, ReplyStopped)
    assert outcome.heard.samples <= 0.08 * RATE  # the way, and half a tick


def test_one_that_is_not_due_any_more_does_not_set_out(draft: World) -> None:
    draft.downlink.expect_nowait(1, None)
    draft.run(1.0)
    assert not draft.transport.sent
    draft.downlink.expect_nowait(1, draft.now + DUE_S)
    draft.run(DUE_S)
    assert draft.transport.sent
    draft.downlink.resume_nowait(1)
    assert whole(draft)


def test_one_that_stands_is_due_again_later() -> None:
    world = under_way()
    world.downlink.expect_nowait(1, None)
    world.run(0.1)
    sent = len(world.transport.sent)
    world.downlink.expect_nowait(1, world.now + DUE_S)
    world.run(DUE_S)
    assert len(world.transport.sent) == sent
    world.downlink.resume_nowait(1)
    assert whole(world)


def test_one_that_is_not_wanted_for_long_after_it_set_out_stands_still(draft: World) -> None:
    draft.run(DUE_S + AHEAD_MOST_S + 0.05)
    sent = len(draft.transport.sent)
    draft.run(1.0)
    assert len(draft.transport.sent) == sent
    assert draft.heard() == b""
    draft.downlink.resume_nowait(1)
    assert whole(draft)


@pytest.mark.parametrize("samples", [1, FRAME, RATE // 10])
def test_a_short_one_ends_when_it_was_heard_not_while_it_is_silent(samples: int) -> None:
    world = under_way(samples)
    world.run(0.3)
    assert world.outcome() is None
    world.downlink.resume_nowait(1)
    assert whole(world)
    assert world.events == [*world.of(FirstAudio), world.outcome()]


def test_one_whose_voice_fails_was_never_heard() -> None:
    world = under_way()
    world.run(0.1)
    world.fail()
    outcome = world.outcome()
    assert isinstance(outcome, ReplyFailed)
    assert (outcome.heard.samples, outcome.heard.text) == (0, "")
    world.downlink.resume_nowait(1)
    world.run(0.5)
    assert world.heard() == b""
    assert not world.first_audio()


def test_one_in_whose_place_another_is_begun_was_never_heard() -> None:
    world = under_way()
    world.run(0.1)
    world.reply(RATE)
    world.downlink.stop_nowait(1)
    (stopped,) = world.of(ReplyStopped)
    assert isinstance(stopped, ReplyStopped)
    assert (stopped.turn, stopped.heard.samples, stopped.heard.text) == (1, 0, "")
    assert whole(world)


@pytest.mark.parametrize("second", [*KINDS.values(), ROOM], ids=[*KINDS, "a room"])
@pytest.mark.parametrize("accepted_before", [True, False])
def test_one_whose_listener_is_lost_is_heard_whole_by_the_next(second: dict[str, Any], accepted_before: bool) -> None:
    world = under_way()
    world.run(0.1)
    world.detach()
    if accepted_before:
        world.downlink.resume_nowait(1)
        world.run(0.2)
        assert not world.first_audio()
    world.attach(**second)
    world.downlink.resume_nowait(1)
    assert whole(world)
    assert len(world.of(FirstAudio)) == 1


def test_a_hold_just_after_it_was_accepted_loses_nothing() -> None:
    world = under_way()
    world.downlink.resume_nowait(1)
    world.run(0.015)
    world.downlink.hold_nowait(1)
    world.downlink.expect_nowait(1, world.now)  # of one that has sounded it says nothing
    world.run(0.5)
    heard = len(world.heard())
    assert heard < len(world.audio)
    world.run(0.5)
    assert len(world.heard()) == heard
    world.downlink.resume_nowait(1)
    assert whole(world)


def test_what_was_kept_silent_did_not_sound_before_it_was_wanted() -> None:
    world = under_way()
    world.downlink.remember_nowait()
    world.downlink.expect_nowait(1, None)
    world.run(1.0)
    world.downlink.resume_nowait(1)
    world.run(0.02)
    sounding = world.downlink.sounding(0.5, world.now)
    assert np.count_nonzero(sounding) <= 0.3 * len(sounding)


async def test_who_waits_for_it_to_be_heard_waits_until_it_was() -> None:
    world = under_way(FRAME)
    waiting = asyncio.create_task(world.downlink.wait_heard(1))
    await asyncio.sleep(0)
    world.run(0.5)
    await asyncio.sleep(0)
    assert not waiting.done()
    again = asyncio.create_task(world.downlink.wait_heard(1))
    await asyncio.sleep(0)
    assert not again.done()
    world.downlink.resume_nowait(1)
    assert whole(world)
    await waiting
    await again


# --- anything, in any order ------------------------------------------------------------------------------------------


class DownlinkMachine(RuleBasedStateMachine):
    """Hold, resume, lies and pauses at any moment, near and far, slow voices and fast: what is heard is always the
    beginning of what was spoken, and in the end all of it, once."""

    @initialize(
        holds=st.booleans(),
        delay_s=st.sampled_from([0.0, 0.0, 0.01, 0.035, 0.07]),
        speed=st.sampled_from([0.7, 1.3, 5.0, 100.0]),
        samples=st.integers(1, 4 * RATE),
        keeps=st.booleans(),
        draft=st.booleans(),
    )
    def begin(self, holds: bool, delay_s: float, speed: float, samples: int, keeps: bool, draft: bool) -> None:
        """`draft`: nobody is to hear it before it is resumed."""
        self.world = World(speed=speed)
        if keeps:
            self.world.attach(**ROOM)
        else:
            self.world.attach(holds=holds, delay_s=delay_s)
        self.audio = self.world.reply(samples)
        self.draft = draft
        if draft:
            self.world.downlink.hold_nowait(1)

    @rule(s=st.sampled_from([0.001, 0.004, 0.013, 0.02, 0.05, 0.11, 0.31, 0.7]))
    def wait(self, s: float) -> None:
        self.world.run(s)

    @rule()
    def hold(self) -> None:
        self.world.downlink.hold_nowait(1)

    @rule()
    def resume(self) -> None:
        self.world.downlink.resume_nowait(1)
        self.draft = False

    @rule(in_s=st.sampled_from([None, -0.3, 0.0, 0.02, 0.06, 0.1]), soon_s=st.sampled_from([0.0, 0.05, 0.3]))
    def expect(self, in_s: float | None, soon_s: float) -> None:
        self.world.downlink.expect_nowait(1, None if in_s is None else self.world.now + in_s)
        self.world.run(soon_s)

    @rule(s=st.sampled_from([0.16, 0.2, 1.0]))
    def stay_held(self, s: float) -> None:
        """A hold is silence once it has arrived, and stays so."""
        self.world.downlink.hold_nowait(1)
        self.world.run(s)
        heard = self.world.heard()
        self.world.run(0.4)
        assert self.world.heard() == heard

    @rule(samples=st.integers(4 * RATE + 2 * FRAME, 2**62))
    def lie_ahead_of_all(self, samples: int) -> None:
        """What was never sent: counted, and no harm to a stranger's turn."""
        self.world.downlink.played_nowait(9, samples)

    @rule(frames=st.integers(1, 3))
    def strange_audio(self, frames: int) -> None:
        self.world.downlink.synth_nowait(SynthAudio(9, 0, bytes(frames * FRAME * BYTES_PER_SAMPLE)))

    @rule(free=st.sampled_from([0, FRAME, 10 * FRAME, 10**9]))
    def room(self, free: int) -> None:
        self.world.transport.free = free

    @invariant()
    def heard_is_a_beginning(self) -> None:
        if hasattr(self, "world"):
            heard = self.world.heard()
            assert heard[: len(self.audio)] == self.audio[: len(heard)]
            assert not any(heard[len(self.audio) :])
            assert not self.draft or not (heard or self.world.events or self.world.downlink.playing())

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        world.transport.free = 10**9
        world.downlink.resume_nowait(1)
        world.run_until(lambda: world.outcome() is not None)
        outcome = world.outcome()
        assert isinstance(outcome, ReplyEnded)
        assert outcome.heard.complete
        assert outcome.heard.samples == len(self.audio) // BYTES_PER_SAMPLE
        assert [e.turn for e in world.of(FirstAudio)] == [1]  # type: ignore[attr-defined]
        world.run(0.2)
        assert world.heard()[: len(self.audio)] == self.audio
        assert world.transport.listener.jumps == []


class LyingListenerMachine(RuleBasedStateMachine):
    """Whatever a listener says, loses or does not say, every turn ends, answered once, with words that were sent."""

    @initialize(holds=st.booleans(), mute=st.booleans(), delay_s=st.sampled_from([0.0, 0.05, 0.4]), keeps=st.booleans())
    def begin(self, holds: bool, mute: bool, delay_s: float, keeps: bool) -> None:
        self.world = World()
        self.kind: dict[str, Any] = {"holds": holds and not keeps, "mute": mute, "delay_s": delay_s, "keeps": keeps}
        self.there = True
        self.world.attach(**self.kind)
        self.world.reply(3 * RATE)

    @rule(due_s=st.sampled_from([0.0, 0.1]))
    def draft(self, due_s: float) -> None:
        """The reply is another one, which is not to be heard yet."""
        self.world.reply(3 * RATE)
        self.world.downlink.hold_nowait(self.world.turn)
        self.world.downlink.expect_nowait(self.world.turn, self.world.now + due_s)

    @rule(s=st.sampled_from([0.004, 0.02, 0.11, 0.5, 1.2]))
    def wait(self, s: float) -> None:
        self.world.run(s)

    @rule(samples=st.integers(0, 4 * RATE))
    def say(self, samples: int) -> None:
        self.world.downlink.played_nowait(self.world.turn, samples)

    @rule(back=st.booleans())
    def lose(self, back: bool) -> None:
        if self.there:
            self.world.detach()
        if back:
            self.world.attach(**self.kind)
        self.there = back

    @rule(hold=st.booleans())
    def hold(self, hold: bool) -> None:
        self.world.downlink.hold_nowait(self.world.turn)
        if not hold:
            self.world.downlink.resume_nowait(self.world.turn)

    @rule(how=st.sampled_from(["stop", "voice", "responder", "not at all"]))
    def end(self, how: str) -> None:
        world = self.world
        if how == "voice":
            world.fail()
        elif how == "responder":
            world.downlink.fail_nowait(world.turn, "internal", "the responder broke")
        if not self.there:
            world.attach(**self.kind)
            self.there = True
        world.downlink.resume_nowait(world.turn)
        if how == "stop" and world.outcome() is None:
            world.downlink.stop_nowait(world.turn)
        world.run_until(lambda: world.outcome() is not None, 40)
        outcome = world.outcome()
        assert outcome is not None
        heard = outcome.heard
        assert heard.samples <= max((a.sample * 2 + len(a.pcm) for t in world.transports for a in t.sent), default=0)
        assert " ".join(f"{heard.text} {heard.unheard}".split()) == NUMBERS
        world.reply(3 * RATE)

    @invariant()
    def little_is_in_hand(self) -> None:
        if hasattr(self, "world"):
            assert self.world.downlink.statistics().get("buffered_samples", 0) <= 3.5 * RATE


TestDownlinkMachine = DownlinkMachine.TestCase
TestDownlinkMachine.settings = settings(max_examples=100, stateful_step_count=25, deadline=None)
TestLyingListenerMachine = LyingListenerMachine.TestCase
TestLyingListenerMachine.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
