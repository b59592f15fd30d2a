"""The uplink on a detector that takes what is not zero for speech."""

import asyncio

import numpy as np
import pytest

from asr.vad import FrameVad, VadSettings
from base.audio import from_float, to_float
from benchmarks.speech import synthetic_speech
from orchestrator.conversation.events import FinalHeard, Input, InputChanged, SpeechEnded, SpeechStarted
from orchestrator.downlink import TAIL_S
from orchestrator.uplink import BURST, FRAME_SAMPLES, PREROLL_SAMPLES, MediaClock, Uplink

pytestmark = pytest.mark.unit

F = FRAME_SAMPLES
QUIET = bytes(F * 2)
LOUD = b"\x00\x40\x00\xc0" * (F // 2)
HANGOVER = VadSettings().hangover


class NotZero:
    frame_samples = F

    def probability(self, pcm):
        return 1.0 if any(pcm) else 0.0


class Ears:
    """Keeps what a recogniser would get."""

    def __init__(self):
        self.heard = {}
        self.ended = {}
        self.cancelled = []
        self.messages = []

    def audio_nowait(self, utterance, sample, pcm):
        self.messages.append(len(pcm))
        start, so_far = self.heard.setdefault(utterance, (sample, b""))
        assert start + len(so_far) // 2 == sample, "a hole, or a sample twice"
        self.heard[utterance] = (start, so_far + pcm)

    def end_nowait(self, utterance, sample):
        self.ended[utterance] = sample

    def cancel_nowait(self, utterance):
        self.cancelled.append(utterance)


class World:
    def __init__(self, *, remembers=False, judge=None, loudspeaker=None):
        self.now = 100.0
        self.news = []
        self.ears = Ears()
        self.up = Uplink(
            vad=FrameVad(NotZero(), judge=judge),
            ears=self.ears,
            post=self.news.append,
            clock=lambda: self.now,
            remembers=remembers,
            loudspeaker=loudspeaker,
        )
        self.sample = 0

    def send(self, *frames, at=None):
        for pcm in frames:
            self.now += 0.02
            self.up.audio_nowait(self.sample if at is None else at, pcm, self.now)
            self.up._drain()
            self.sample = (self.sample if at is None else at) + F

    def kinds(self):
        return [type(n).__name__ for n in self.news]


@pytest.fixture
def world():
    return World()


def test_an_utterance_has_its_preroll_and_its_end(world):
    world.send(*[QUIET] * 30, *[LOUD] * 10, *[QUIET] * HANGOVER)
    started, ended = world.news
    assert started == SpeechStarted(1, 30 * F, pytest.approx(100 + 30 * 0.02))
    assert ended == SpeechEnded(1, 40 * F, pytest.approx(100 + 40 * 0.02))
    first, pcm = world.ears.heard[1]
    assert first == 30 * F - PREROLL_SAMPLES
    assert pcm == QUIET * 15 + LOUD * 10 + QUIET * HANGOVER
    assert world.ears.ended == {1: (40 + HANGOVER) * F}


def test_messages_are_at_most_100_ms(world):
    world.send(*[LOUD] * 33, *[QUIET] * 20)
    assert max(world.ears.messages) == 5 * F * 2


def test_a_second_utterance_begins_with_nothing_of_the_first(world):
    world.send(*[LOUD] * 5, *[QUIET] * HANGOVER, *[QUIET] * 3, *[LOUD] * 5, *[QUIET] * HANGOVER)
    first, pcm = world.ears.heard[1]
    second, _ = world.ears.heard[2]
    assert second >= first + len(pcm) // 2


def test_what_was_never_sent_is_fed_as_zeros(world):
    world.send(*[LOUD] * 5)
    world.sample += 3 * F
    world.send(*[LOUD] * 5, *[QUIET] * HANGOVER)
    _, pcm = world.ears.heard[1]
    assert pcm == LOUD * 5 + QUIET * 3 + LOUD * 5 + QUIET * HANGOVER
    assert world.up.counts.zeros == 3


def test_what_was_dropped_here_is_fed_as_zeros_and_counted(world):
    for i in range(60):
        world.up.audio_nowait(i * F, LOUD, 100.0 + i * 0.02)
    world.up._drain()
    assert world.up.counts.dropped == 10
    assert world.up.counts.zeros == 10


def test_no_audio_for_300_ms_ends_the_utterance_and_what_comes_late_is_dropped(world):
    world.send(*[LOUD] * 10)
    world.now += 0.29
    world.up.tick(world.now)
    assert world.kinds() == ["SpeechStarted"]
    world.now += 0.02
    world.up.tick(world.now)
    assert world.news[-1] == SpeechEnded(1, 10 * F, pytest.approx(100.2))
    world.send(*[LOUD] * HANGOVER)
    assert world.up.counts.late == HANGOVER
    assert world.kinds() == ["SpeechStarted", "SpeechEnded"]
    world.send(*[LOUD] * 2)
    assert world.kinds()[-1] == "SpeechStarted"


def test_silence_outside_an_utterance_needs_no_zeros(world):
    world.send(QUIET)
    world.now += 60
    world.up.tick(world.now)
    assert world.up.counts.zeros == 0


@pytest.mark.parametrize("state", [Input.MUTED, Input.RELEASED])
def test_muting_ends_the_utterance_at_once_and_first(world, state):
    world.send(*[LOUD] * 10)
    world.up.input_nowait(state)
    assert world.kinds() == ["SpeechStarted", "SpeechEnded", "InputChanged"]
    assert world.news[-1] == InputChanged(state)
    world.send(*[LOUD] * 10)
    assert world.up.counts.muted == 10
    assert world.kinds()[-1] == "InputChanged"


@pytest.mark.parametrize("state", [Input.MUTED, Input.RELEASED])
def test_what_came_before_a_mute_is_heard_first(world, state):
    world.send(*[LOUD] * 5)
    for number in range(5, 9):
        world.up.audio_nowait(number * F, LOUD, world.now)
    world.up.input_nowait(state)
    assert world.news[-2].sample == 9 * F
    _, pcm = world.ears.heard[1]
    assert pcm == LOUD * 9 + QUIET * HANGOVER


def test_what_came_during_a_mute_is_not_heard_after_it(world):
    world.up.input_nowait(Input.MUTED)
    for number in range(5):
        world.up.audio_nowait(number * F, LOUD, world.now)
    world.up.input_nowait(Input.OPEN)
    world.up._drain()
    assert world.up.counts.muted == 5
    assert world.kinds() == ["InputChanged", "InputChanged"]


@pytest.mark.parametrize("counts_on", [True, False])
def test_nothing_is_lost_after_a_mute_whether_or_not_the_client_counts_on(world, counts_on):
    world.send(*[LOUD] * 10)
    world.up.input_nowait(Input.MUTED)
    if counts_on:
        world.sample += 500 * F
        world.now += 10
    world.up.input_nowait(Input.OPEN)
    world.send(*[LOUD] * 4, *[QUIET] * HANGOVER)
    assert world.up.counts.late == 0
    _, pcm = world.ears.heard[2]
    assert pcm.startswith(LOUD * 4) or pcm.lstrip(b"\x00").startswith(LOUD.lstrip(b"\x00") + LOUD * 3)


@pytest.mark.parametrize("opens", [True, False])
def test_a_new_transport_may_begin_at_zero(world, opens):
    world.send(*[QUIET] * 50)
    world.up.rebase_nowait()
    if opens:
        world.up.input_nowait(Input.OPEN)
    world.sample = 0
    world.send(*[LOUD] * 3)
    assert world.kinds()[-1] == "SpeechStarted"
    assert world.up.counts.late == 0
    assert world.up.next_sample == 3 * F


def test_media_time_is_when_a_frame_would_have_come_without_jitter():
    clock = MediaClock()
    for i, delay in enumerate([0.0, 0.03, 0.01, 0.12, 0.05]):
        clock.seen((i + 1) * F, 50 + (i + 1) * 0.02 + delay)
    assert clock.at(4 * F, 60.0) == pytest.approx(50.08)
    assert clock.at(4 * F, 50.05) == 50.05, "never in the future"


def test_media_time_follows_a_clock_that_drifts():
    clock = MediaClock()
    for i in range(50 * 60 * 10):
        clock.seen((i + 1) * F, (i + 1) * 0.02 * 1.0002)
    last = 50 * 60 * 10
    assert clock.at(last * F, 1e9) == pytest.approx(last * 0.02 * 1.0002, abs=0.005)


@pytest.mark.parametrize("how", ["muted", "another transport", "another transport, opened", "nothing said"])
def test_a_pause_that_the_client_does_not_count_is_no_delay(world, how):
    world.send(*[QUIET] * 20)
    if how == "muted":
        world.up.input_nowait(Input.MUTED)
        world.up.input_nowait(Input.OPEN)
    elif how.startswith("another transport"):
        world.up.rebase_nowait()
        if how.endswith("opened"):
            world.up.input_nowait(Input.OPEN)
    world.now += 60 if how != "another transport, opened" else 1.5
    world.send(*[LOUD] * 5, *[QUIET] * HANGOVER)
    started, ended = (n for n in world.news if isinstance(n, SpeechStarted | SpeechEnded))
    spoke = world.now - (5 + HANGOVER) * 0.02
    assert started.at_s == pytest.approx(spoke, abs=0.03)
    assert ended.at_s == pytest.approx(spoke + 0.1, abs=0.03)


def test_a_stall_of_the_network_is_a_delay():
    clock = MediaClock()
    for i in range(200):
        clock.seen((i + 1) * F, 50 + (i + 1) * 0.02)
    clock.seen(201 * F, 50 + 201 * 0.02 + 1.5)
    assert clock.at(201 * F, 60.0) == pytest.approx(50 + 201 * 0.02)


def test_what_came_before_speech_is_ended_is_heard_first(world):
    world.send(*[LOUD] * 5)
    for number in range(5, 9):
        world.up.audio_nowait(number * F, LOUD, world.now)
    world.up.end_speech_nowait()
    assert world.kinds() == ["SpeechStarted", "SpeechEnded"]
    assert world.news[-1].sample == 9 * F
    _, pcm = world.ears.heard[1]
    assert pcm == LOUD * 9 + QUIET * HANGOVER


@pytest.mark.parametrize("remembers", [True, False])
def test_what_was_heard_is_kept_only_for_who_asks(remembers):
    world = World(remembers=remembers)
    world.send(*[LOUD] * 3)
    assert world.up.heard == (LOUD * 3 if remembers else b"")


# --- a judge beside the detector -------------------------------------------------------------------------------------


class Judge:
    """Says what it is told to."""

    frame_samples = F

    def __init__(self):
        self.sure = 0.0

    def probability(self, pcm):
        return self.sure

    def reset(self):
        pass


@pytest.fixture
def judge():
    return Judge()


@pytest.fixture
def judged(judge):
    return World(judge=judge)


def test_a_start_over_a_reply_that_is_dismissed_is_over_at_once_and_has_no_words(judged):
    judged.up.over_reply_nowait(True)
    judged.send(*[QUIET] * 30, *[LOUD] * 10)
    assert judged.kinds() == ["SpeechStarted", "SpeechEnded", "FinalHeard"]
    assert judged.news[1].sample == 40 * F
    assert judged.news[2] == FinalHeard(1, "", dismissed=True)
    assert judged.ears.cancelled == [1]
    assert judged.ears.ended == {}
    assert not judged.up.speaking
    assert judged.up.counts.dismissed == 1
    judged.send(*[LOUD] * 10, *[QUIET] * 30)
    assert len(judged.news) == 3


def test_speech_that_was_dismissed_too_soon_is_heard_from_its_beginning(judged, judge):
    judged.up.over_reply_nowait(True)
    judged.send(*[QUIET] * 30, *[LOUD] * 11)
    judge.sure = 0.9
    judged.send(*[LOUD] * 10)
    judge.sure = 0.0
    judged.send(*[QUIET] * HANGOVER)
    first, pcm = judged.ears.heard[2]
    assert first <= 30 * F, "no sample is lost"
    assert pcm[2 * (30 * F - first) :] == LOUD * 21 + QUIET * HANGOVER
    assert judged.kinds()[-2:] == ["SpeechStarted", "SpeechEnded"]


def test_a_late_start_has_all_of_its_preroll(judged, judge):
    judged.send(*[QUIET] * 40, *[LOUD] * 8)
    assert judged.news == []
    judge.sure = 0.9
    judged.send(LOUD)
    (started,) = judged.news
    assert started.sample == 40 * F
    judged.send(*[LOUD] * 5)
    first, _ = judged.ears.heard[1]
    assert first == 40 * F - PREROLL_SAMPLES


def test_muting_in_doubt_ends_it(judged):
    judged.up.over_reply_nowait(True)
    judged.send(*[LOUD] * 3)
    judged.up.input_nowait(Input.MUTED)
    assert judged.kinds() == ["SpeechStarted", "SpeechEnded", "FinalHeard", "InputChanged"]
    assert not judged.up.speaking


async def test_what_a_microphone_gives_is_heard_at_once_and_a_burst_waits_its_turn(world):
    running = asyncio.ensure_future(world.up.run())
    await asyncio.sleep(0)
    for number in range(40):  # two tenths of a second's worth in no time, and more
        world.up.audio_nowait(number * F, QUIET, world.now)
    assert world.up.counts.frames == BURST
    await asyncio.sleep(0)
    assert BURST < world.up.counts.frames <= 2 * BURST + 1, "others have their turn in between"
    while world.up.counts.frames < 40:
        await asyncio.sleep(0)
    world.now += 0.1
    for number in range(40, 50):
        world.now += 0.02
        world.up.audio_nowait(number * F, QUIET, world.now)
        assert world.up.counts.frames == number + 1
    assert world.up.next_sample == 50 * F
    assert not world.up.counts.dropped
    world.up.close()
    await running


# --- a loudspeaker that the microphone hears -------------------------------------------------------------------------


class Sounds:
    """A loudspeaker that plays `pcm` (16 kHz) from the world's first moment on; silent without."""

    def __init__(self, pcm):
        self.sound = to_float(pcm)
        self.begins_s = 100.0
        self.silent = False
        self.remembers = False

    def remember_nowait(self):
        self.remembers = True

    def sounds(self):
        return not self.silent

    def sounding(self, heard_s, end_s):
        end = round((end_s + 0.1 - self.begins_s) * 16_000)
        whole = np.concatenate([np.zeros(3 * 16_000, np.float32), self.sound])[: 3 * 16_000 + end]
        return whole[-round((heard_s + 0.9) * 16_000) :][::2]


REPLY = synthetic_speech(6.0, seed=3)


def echo(pcm, *, delay=1600, gain=0.4):
    """As frames, that much later."""
    sound = np.append(np.zeros(delay, np.float32), gain * to_float(pcm))
    return [from_float(sound[at : at + F]) for at in range(0, len(sound) - F + 1, F)]


def hear(world, frames, user=b""):
    """Plays them in; `user` speaks from the first of them on."""
    for number, frame in enumerate(frames):
        said = user[number * F * 2 : (number + 1) * F * 2].ljust(F * 2, b"\0")
        world.send(from_float(to_float(frame) + to_float(said)))


def test_an_echo_begins_at_once_and_is_over_without_words_as_soon_as_it_is_known():
    world = World(loudspeaker=Sounds(REPLY))
    hear(world, echo(REPLY)[:40])
    started, ended, final = world.news
    assert isinstance(started, SpeechStarted)
    assert isinstance(ended, SpeechEnded)
    assert final == FinalHeard(1, "", loudspeaker=True)
    assert ended.at_s - started.at_s < 0.25
    assert world.ears.cancelled == [1]
    assert not world.ears.ended
    assert world.up.counts.echoes == 1
    assert not world.up.speaking


def test_who_speaks_over_an_echo_that_is_kept_out_begins_an_utterance():
    world = World(loudspeaker=Sounds(REPLY))
    frames = echo(REPLY)
    hear(world, frames[:50])
    assert len(world.news) == 3
    user = from_float(2 * to_float(synthetic_speech(1.0, pitch_hz=210, seed=8)))
    hear(world, frames[50:90], user)
    assert world.news[3].utterance == 2
    assert isinstance(world.news[3], SpeechStarted)
    assert world.up.speaking


def test_a_user_is_heard_as_if_there_were_no_loudspeaker():
    user = synthetic_speech(0.5, pitch_hz=210, seed=8)
    found = []
    for loudspeaker in (None, Sounds(REPLY)):
        world = World(loudspeaker=loudspeaker)
        world.send(*[QUIET] * 20)
        hear(world, [QUIET] * 40, user)
        found.append((world.news, world.ears.heard, world.ears.ended))
    assert found[0] == found[1]


def test_where_no_reply_sounds_nothing_is_compared():
    loudspeaker = Sounds(REPLY)
    loudspeaker.silent = True
    world = World(loudspeaker=loudspeaker)
    hear(world, echo(REPLY)[:60])
    assert world.up.compared == 0
    assert [type(x) for x in world.news] == [SpeechStarted]


def test_after_three_echoes_the_next_one_does_not_begin_and_the_user_does():
    world = World(loudspeaker=Sounds(REPLY))
    frames = echo(REPLY)
    for at in range(0, 160, 40):
        hear(world, frames[at : at + 20])
        world.send(*[QUIET] * 20)
    assert [type(x) for x in world.news] == [SpeechStarted, SpeechEnded, FinalHeard] * 3
    assert world.up.counts.echoes == 4
    world.news.clear()
    world.ears.heard.clear()
    user = synthetic_speech(0.6, pitch_hz=210, seed=8)
    hear(world, [QUIET] * 50, user)
    assert [type(x) for x in world.news] == [SpeechStarted, SpeechEnded]
    (heard,) = world.ears.heard.values()
    assert user[: 2 * F * 10] in heard[1], "what was said until it was known is not lost"


def test_what_is_played_is_kept_once_there_is_a_microphone():
    loudspeaker = Sounds(REPLY)
    world = World(loudspeaker=loudspeaker)
    assert not loudspeaker.remembers
    world.send(QUIET)
    assert loudspeaker.remembers


def test_a_user_is_compared_a_few_times_until_there_was_an_echo():
    world = World(loudspeaker=Sounds(REPLY))
    world.send(*[QUIET] * 20)
    hear(world, [QUIET] * 60, synthetic_speech(1.0, pitch_hz=210, seed=8))
    assert [type(x) for x in world.news] == [SpeechStarted, SpeechEnded]
    assert 1 <= world.up.compared <= 4


@pytest.mark.parametrize("kept_out", [False, True])
def test_frames_that_come_at_one_moment_are_compared_once(kept_out):
    """A comparison takes a millisecond of everybody's time."""
    world = World(loudspeaker=Sounds(REPLY))
    frames = echo(REPLY)
    hear(world, frames[: 40 if kept_out else 12])
    compared = world.up.compared
    for frame in frames[40 if kept_out else 12 :][:10]:
        world.up.audio_nowait(world.sample, frame, world.now)
        world.up._drain()
        world.sample += F
    assert world.up.compared - compared <= 1
    compared = world.up.compared
    world.up.input_nowait(Input.MUTED)  # zeros until it is over
    assert world.up.compared - compared <= 1


@pytest.mark.parametrize("late", [0.3, 0.45, 0.75])
def test_the_echo_of_the_last_words_ends_as_one_though_the_loudspeaker_has_been_silent_for_long(late):
    loudspeaker = Sounds(REPLY[: 2 * 16_000])
    world = World(loudspeaker=loudspeaker)
    for number, frame in enumerate(echo(REPLY[: 2 * 16_000], delay=round(late * 16_000)) + [QUIET] * 40):
        loudspeaker.silent = number * 0.02 > 1.0 + TAIL_S
        world.send(frame)
    assert [type(x) for x in world.news] == [SpeechStarted, SpeechEnded, FinalHeard]
    assert world.up.counts.echoes == 1


def test_an_echo_that_is_kept_out_ends_with_the_input():
    world = World(loudspeaker=Sounds(REPLY))
    frames = echo(REPLY)
    hear(world, frames[:40])
    world.up.input_nowait(Input.MUTED)
    world.up.input_nowait(Input.OPEN)
    world.news.clear()
    world.send(*[LOUD] * 5)
    assert [type(x) for x in world.news] == [SpeechStarted]
