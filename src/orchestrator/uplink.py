"""The user's voice, from transport to news: VAD, pre-roll, recogniser.

Frames come in stamped with their offset in the session's media time, and are heard as they come: a queue with a task
behind it would cost a turn of the loop for each. What comes faster than a microphone speaks waits in a bounded
drop-oldest channel, so that nobody's burst keeps the others waiting. What is lost on the way (lost here, or never sent)
is fed on as zeros: media time stays true. What comes later than the zeros fed in its place is dropped and counted.

No audio is not silence. With none for 300 ms, or at once when the input is muted or released or the transport is gone,
zeros are fed until the utterance has ended.

What begins over a reply is compared with what sounds (self_echo.py), and an echo is over as soon as it is known for
one: a false alarm without words. What goes on of it is kept out. It costs about a millisecond each time, four or five
times a sound until there was an echo, every 40 ms at most after that, once however many frames come at one moment, and
nothing while no reply sounds.

Speech that a judge dismisses (asr/judged.py) is at once over and without words: its recognition is cancelled, and the
machine hears what it would hear of a recogniser that found nothing. What was heard is kept: should the judge change its
mind, the utterance begins with it.

This is one of the two places where media time meets the clock: `at_s` of an event is when its sample would have come
over a network without jitter, estimated as the smallest `now - media` seen in the last ten seconds or so.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from asr.vad import FrameVad, SpeechDismissed
from asr.vad import SpeechStarted as VadStarted
from base.audio import UPLINK_RATE
from base.channels import Channel, ChannelClosed, Policy
from orchestrator.conversation.events import Event, FinalHeard, Input, InputChanged, SpeechEnded, SpeechStarted
from orchestrator.decimator import Sound, decimated, to_sound
from orchestrator.likeness import RATE as LIKENESS_RATE
from orchestrator.self_echo import DOUBT_S, LONGEST_S, WINDOW_S, SelfEcho, Verdict

FRAME_SAMPLES = UPLINK_RATE // 50
ZEROS = bytes(FRAME_SAMPLES * 2)
PREROLL_SAMPLES = UPLINK_RATE * 300 // 1000
MESSAGE_BYTES = UPLINK_RATE // 10 * 2
ABSENT_S = 0.3
AGAIN_SAMPLES = UPLINK_RATE * 60 // 1000
"""Between two looks at an echo that goes on."""
REST_S = 0.015
"""Between two looks at anything: frames may come in bursts."""
LEAD_SAMPLES = UPLINK_RATE // 50
"""What is looked at begins so long before the first voiced sample."""
BURST_S, BURST = 0.1, 10
"""So many frames in such a time are heard at once: a microphone gives half of them."""
LONGEST_GAP_S = 2.0
HEARD_S = 8
"""What is kept of the user's voice, for who has to tell from its sound whether they are done."""
CLOCK_WINDOW_S = 5.0
CLOCK_JUMP_S = 2.0
"""A frame later than this, by what is known, tells of another clock rather than of a slow network."""


class Loudspeaker(Protocol):
    def remember_nowait(self) -> None:
        """There is a microphone: what is played may be asked for from now on."""
        ...

    def sounds(self) -> bool:
        """Whether a reply sounds, or did a moment ago."""
        ...

    def sounding(self, heard_s: float, end_s: float) -> Sound:
        """What left the loudspeaker in the `heard_s` before `end_s` (monotonic seconds), before that what may still
        have been on its way, and a moment after it: as `likeness` takes it.
        """
        ...


class Ears(Protocol):
    """The recogniser as the uplink sees it. None of these waits."""

    def audio_nowait(self, utterance: int, sample: int, pcm: bytes) -> None: ...

    def end_nowait(self, utterance: int, sample: int) -> None: ...

    def cancel_nowait(self, utterance: int) -> None: ...


@dataclass(slots=True)
class UplinkCounts:
    frames: int = 0
    dropped: int = 0
    late: int = 0
    zeros: int = 0
    muted: int = 0
    dismissed: int = 0
    echoes: int = 0


class MediaClock:
    """Maps media samples to monotonic seconds by the least delayed frame of a sliding window."""

    def __init__(self) -> None:
        self._best = self._next = float("inf")
        self._turned_s = float("-inf")

    def seen(self, sample: int, now: float) -> None:
        """The sample before `sample` came at `now`."""
        offset = now - sample / UPLINK_RATE
        if offset - self._best > CLOCK_JUMP_S:
            self.reset()
        if now - self._turned_s > CLOCK_WINDOW_S:
            self._best, self._next, self._turned_s = min(self._next, offset), offset, now
        else:
            self._best = min(self._best, offset)
            self._next = min(self._next, offset)

    def reset(self) -> None:
        """Media time stood still, or was counted anew."""
        self._best = self._next = float("inf")
        self._turned_s = float("-inf")

    def at(self, sample: int, now: float) -> float:
        """When `sample` was due; never later than `now`."""
        return min(now, self._best + sample / UPLINK_RATE)


class Uplink:
    """One session's uplink. `run` consumes; everything else hands over or is called by the session's ticks.

    `remembers`: it keeps what `heard` gives, a quarter of a megabyte.
    """

    def __init__(
        self,
        *,
        vad: FrameVad,
        ears: Ears,
        post: Callable[[Event], None],
        clock: Callable[[], float],
        remembers: bool = False,
        loudspeaker: Loudspeaker | None = None,
    ) -> None:
        self._vad = vad
        self._ears = ears
        self._post = post
        self._clock = clock
        self._frames: Channel[tuple[int, bytes, float]] = Channel("uplink", 50, Policy.DROP_OLDEST)
        self._media = MediaClock()
        self._heard: deque[bytes] = deque(maxlen=HEARD_S * 50 if remembers else 0)
        self._recent: deque[tuple[int, bytes]] = deque(maxlen=32)
        self._running = False
        self._burst_s, self._burst = float("-inf"), 0
        self._next = 0
        self._shift = 0
        self._rebase = False
        self._input = Input.OPEN
        self._last_audio_s = clock()
        self._utterance: int | None = None
        self._last_utterance = 0
        self._loudspeaker = loudspeaker
        self._echo = SelfEcho()
        self._first: int | None = None
        """The first sample of a sound that is looked at, or of an echo that is kept out."""
        self._doubted = self._kept_out = False
        """It has not begun, until it is known whether it is an echo; it is one."""
        self._look_from = 0
        self._looked_s = float("-inf")
        self._pending = bytearray()
        self._pending_from = 0
        self.counts = UplinkCounts()
        self.level_dbfs = -120.0
        """The loudest 5 ms of the current or last utterance, as the VAD measures them."""

    @property
    def next_sample(self) -> int:
        """Where media time goes on (16 kHz), in the transport's own count."""
        return self._next - self._shift

    @property
    def heard(self) -> bytes:
        """The last `HEARD_S` seconds, silence included."""
        return b"".join(self._heard)

    @property
    def speaking(self) -> bool:
        return self._utterance is not None

    @property
    def compared(self) -> int:
        """How often what was heard was compared with what was played."""
        return self._echo.reckoned

    # --- from the transport and the session -------------------------------------------------------------------------

    def audio_nowait(self, sample: int, pcm: bytes, now: float) -> None:
        if self._frames.closed:
            return
        if now - self._burst_s > BURST_S:
            self._burst_s, self._burst = now, 0
        self._burst += 1
        if self._running and self._burst <= BURST and not len(self._frames):
            self._frame(sample, pcm, now)
        elif self._frames.put_nowait((sample, pcm, now)) is not None:
            self.counts.dropped += 1

    def input_nowait(self, state: Input) -> None:
        """The client opened, muted or released its microphone. The event follows the end of the speech, if any."""
        # What came before this was heard as the input was then.
        self._drain()
        if state is Input.OPEN:
            self._rebase = self._rebase or self._input is not Input.OPEN
        else:
            self.silence_nowait()
        self._input = state
        self._post(InputChanged(state))

    def end_speech_nowait(self) -> None:
        """Speech is over, whatever comes: what was said until now counts, and silence follows it."""
        self._drain()
        self.silence_nowait()

    def silence_nowait(self) -> None:
        """Feeds zeros until the utterance has ended."""
        limit = int(LONGEST_GAP_S * 50)
        while (self._utterance is not None or self._kept_out or self._doubted) and limit:
            self._zero()
            limit -= 1

    def rebase_nowait(self) -> None:
        """A new transport: whatever offset it begins with is where media time goes on, unless it lies ahead."""
        self._rebase = True
        self._echo.forget()

    def set_trigger_nowait(self, frames: int) -> None:
        self._vad.set_trigger(frames)

    def over_reply_nowait(self, over: bool) -> None:
        """Whether a reply sounds, or may do so in a moment."""
        self._vad.set_over_reply(over)

    def relearn_noise_nowait(self) -> None:
        self._vad.relearn_noise()

    def tick(self, now: float) -> None:
        """Call every 50 ms or so: notices that no audio comes."""
        sounds = self._utterance is not None or self._kept_out or self._doubted
        if sounds and not len(self._frames) and now - self._last_audio_s > ABSENT_S:
            self.silence_nowait()

    def close(self) -> None:
        self._frames.close()

    async def run(self) -> None:
        """Until closed. What came before is heard first."""
        self._running = True
        try:
            while True:
                for _ in range(BURST):
                    self._frame(*await self._frames.get())
                await asyncio.sleep(0)
        except ChannelClosed:
            return
        finally:
            self._running = False

    # --- inside -----------------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        while (item := self._frames.get_nowait()) is not None:
            self._frame(*item)

    def _frame(self, sample: int, pcm: bytes, now: float) -> None:
        self.counts.frames += 1
        if self.counts.frames == 1 and self._loudspeaker is not None:
            self._loudspeaker.remember_nowait()
        if self._input is not Input.OPEN:
            self.counts.muted += 1
            return
        sample += self._shift
        if self._rebase:
            self._rebase = False
            self._media.reset()
            if sample < self._next or sample > self._next + UPLINK_RATE:
                self._shift += self._next - sample
                sample = self._next
        if sample < self._next:
            self.counts.late += 1
            return
        self._last_audio_s = now
        gap = sample - self._next
        if gap > LONGEST_GAP_S * UPLINK_RATE:
            self.silence_nowait()
            self._next = sample
        while self._next + FRAME_SAMPLES <= sample:
            self._zero()
        if self._next < sample:
            # Less than a frame is missing: the clock jumps, nothing is fed.
            self._next = sample
        self._media.seen(sample + FRAME_SAMPLES, now)
        self._feed(pcm)

    def _zero(self) -> None:
        self.counts.zeros += 1
        self._feed(ZEROS)

    def _feed(self, pcm: bytes) -> None:
        sample, now = self._next, self._clock()
        self._next += FRAME_SAMPLES
        self._recent.append((sample, pcm))
        self._heard.append(pcm)
        if self._utterance is not None:
            self._send(sample, pcm)
        found = self._vad.push(sample, pcm)
        if self._utterance is not None:
            self.level_dbfs = max(self.level_dbfs, self._vad.loudest_dbfs)
        for news in found:
            if isinstance(news, VadStarted):
                self._begin(news.sample, now)
            elif isinstance(news, SpeechDismissed):
                self._dismiss(news.sample, now)
            else:
                self._end(news.sample, now)
        if self._first is not None and not found:
            self._look(now)

    # --- the loudspeaker's echo -------------------------------------------------------------------------------------

    def _begin(self, sample: int, now: float) -> None:
        sounds = self._loudspeaker is not None and self._loudspeaker.sounds()
        self._first = sample if sounds else None
        self._echo.begins()
        self._kept_out, self._doubted = False, sounds and self._echo.known
        if not self._doubted:
            self._start(sample, now)

    def _look(self, now: float) -> None:
        """Whether what began over a reply is its echo, or what was one still is."""
        assert self._first is not None
        rested = now - self._looked_s >= REST_S
        if self._kept_out:
            if rested and self._next >= self._look_from:
                self._look_again(now)
            return
        so_long = self._next - self._first
        due = rested and self._echo.due((so_long + LEAD_SAMPLES) * LIKENESS_RATE // UPLINK_RATE)
        if due and self._compared(self._echo.going_on, self._first, self._next, now) is Verdict.ECHO:
            self._is_echo(self._next, now)
        elif self._doubted and so_long >= DOUBT_S * UPLINK_RATE:
            self._doubted = False
            self._start(self._first, now)

    def _look_again(self, now: float) -> None:
        assert self._first is not None
        start = max(self._first, self._next - round(WINDOW_S * UPLINK_RATE))
        if self._compared(self._echo.still, start, self._next, now) is Verdict.USER:
            self._kept_out = False
            self._first = start
            self._start(start, now)

    def _is_echo(self, sample: int, now: float) -> None:
        self.counts.echoes += 1
        self._kept_out, self._doubted = True, False
        if self._utterance is None:
            return
        utterance, self._utterance = self._utterance, None
        self._pending.clear()
        self._ears.cancel_nowait(utterance)
        self._post(SpeechEnded(utterance, sample, self._media.at(sample, now)))
        self._post(FinalHeard(utterance, "", loudspeaker=True))

    def _compared(self, how: Callable[[Sound, Sound], Verdict], start: int, end: int, now: float) -> Verdict:
        """What is heard from `start` to `end` with what is played meanwhile."""
        self._looked_s, self._look_from = now, end + AGAIN_SAMPLES
        start -= LEAD_SAMPLES
        frames = [(at, pcm) for at, pcm in self._recent if start - FRAME_SAMPLES < at < end]
        if not frames or self._loudspeaker is None:
            return Verdict.OPEN
        pcm = b"".join(pcm for _, pcm in frames)
        pcm = pcm[max(0, start - frames[0][0]) * 2 : (end - frames[0][0]) * 2]
        heard = to_sound(decimated(np.frombuffer(pcm, "<i2"), UPLINK_RATE // LIKENESS_RATE))
        return how(heard, self._loudspeaker.sounding(len(heard) / LIKENESS_RATE, self._media.at(end, now)))

    # --- to the recogniser ------------------------------------------------------------------------------------------

    def _start(self, sample: int, now: float) -> None:
        self._last_utterance += 1
        utterance = self._utterance = self._last_utterance
        self.level_dbfs = self._vad.loudest_dbfs
        self._post(SpeechStarted(utterance, sample, self._media.at(sample, now)))
        for at, pcm in self._recent:
            if at + FRAME_SAMPLES > sample - PREROLL_SAMPLES:
                self._send(at, pcm)

    def _end(self, sample: int, now: float) -> None:
        first, self._first = self._first, None
        if first is not None and not self._kept_out and sample - first <= LONGEST_S * UPLINK_RATE:
            if self._compared(self._echo.ended, first, sample, now) is Verdict.ECHO:
                self._is_echo(sample, now)
        elif first is not None and not self._kept_out:
            self._echo.not_one()
        if self._doubted and not self._kept_out and first is not None:
            self._start(first, now)
        self._doubted = self._kept_out = False
        utterance = self._utterance
        if utterance is None:
            self._recent.clear()
            return
        self._flush()
        self._utterance = None
        self._recent.clear()
        self._ears.end_nowait(utterance, self._next)
        self._post(SpeechEnded(utterance, sample, self._media.at(sample, now)))

    def _dismiss(self, sample: int, now: float) -> None:
        self._first, self._doubted, self._kept_out = None, False, False
        utterance = self._utterance
        if utterance is None:
            return
        self.counts.dismissed += 1
        self._pending.clear()
        self._utterance = None
        self._ears.cancel_nowait(utterance)
        self._post(SpeechEnded(utterance, sample, self._media.at(sample, now)))
        self._post(FinalHeard(utterance, "", dismissed=True))

    def _send(self, sample: int, pcm: bytes) -> None:
        if not self._pending:
            self._pending_from = sample
        self._pending += pcm
        if len(self._pending) >= MESSAGE_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._pending and self._utterance is not None:
            self._ears.audio_nowait(self._utterance, self._pending_from, bytes(self._pending))
        self._pending.clear()
