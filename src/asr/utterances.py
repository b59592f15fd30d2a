"""One stream's utterances: what comes in goes to the ears, what they tell comes out in order. Pure; nothing waits.

Ids increase. A new utterance ends the one before it. Every utterance gets exactly one Final or Failed, unless it is
cancelled; an error of one ends only that one. News waits here until it is taken, where a newer partial replaces an
older one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from asr.ears import EarsSession, Failed, Hearing, News
from asr.recognizer import Final, Partial
from base.audio import BYTES_PER_SAMPLE, UPLINK_RATE
from base.errors import AntiphonError, AtCapacity, BadRequest, Unavailable

LONGEST_MESSAGE = UPLINK_RATE * BYTES_PER_SAMPLE
"""Bytes of audio in one message: a second; 100 ms is what it should be."""
MOST_LIVE = 4
"""Utterances of one stream that are being heard."""
MOST_NEWS = 256


@dataclass(slots=True)
class _Live:
    hearing: Hearing
    size: int = 0
    ended: bool = False


class Utterances:
    """`longest_s` bounds an utterance; `wake` is called when there is news to take, or fewer are heard."""

    def __init__(self, session: EarsSession, *, longest_s: float, wake: Callable[[], None]) -> None:
        self._session = session
        self._longest = int(longest_s * UPLINK_RATE) * BYTES_PER_SAMPLE
        self._wake = wake
        self._newest = -1
        self._live: dict[int, _Live] = {}
        self._news: list[News] = []
        self._draining = False

    @property
    def hearing(self) -> int:
        """How many are being heard."""
        return len(self._live)

    def drain(self) -> None:
        """From now on new utterances are refused."""
        self._draining = True

    def audio(self, utterance: int, sample: int, pcm: bytes) -> None:
        """Audio of an utterance that is over, or was never begun because a later one was, changes nothing.

        Raises AtCapacity for a client that leaves too much news unread.
        """
        if len(self._news) > MOST_NEWS:
            raise AtCapacity(f"the client left {len(self._news)} answers unread; read them", reason="UNREAD")
        if utterance > self._newest:
            self._begin(utterance, sample)
        live = self._live.get(utterance)
        if live is None or live.ended:
            return
        live.size += len(pcm)
        if wrong := self._wrong(pcm, live.size):
            live.hearing.cancel_nowait()
            self._tell(Failed(utterance, wrong))
        elif pcm:
            live.hearing.push_nowait(pcm)

    def end(self, utterance: int) -> None:
        live = self._live.get(utterance)
        if live is not None and not live.ended:
            live.ended = True
            live.hearing.finish_nowait()
        elif utterance > self._newest:
            # It ended before any audio of it came: there are no words in it.
            self.end(self._newest)
            self._newest = utterance
            self._tell(Final(utterance, ""))

    def end_last(self) -> None:
        """There is no more to come of any."""
        self.end(self._newest)

    def cancel(self, utterance: int) -> None:
        """Nothing more is told of it. Like audio of a new one, it ends the one before."""
        if utterance > self._newest:
            self.end(self._newest)
            self._newest = utterance
        live = self._live.pop(utterance, None)
        self._news = [news for news in self._news if news.utterance != utterance]
        if live is not None:
            live.hearing.cancel_nowait()
        self._wake()

    def take(self) -> News | None:
        """The oldest news, or None."""
        return self._news.pop(0) if self._news else None

    def _begin(self, utterance: int, sample: int) -> None:
        self.end(self._newest)
        self._newest = utterance
        try:
            if self._draining:
                raise Unavailable("this worker is shutting down; use another", reason="DRAINING")
            if len(self._live) >= MOST_LIVE:
                raise AtCapacity(
                    f"{MOST_LIVE} utterances of this stream wait for their finals; wait for one", retry_after_s=1.0
                )
            self._live[utterance] = _Live(self._session.begin_nowait(utterance, sample, self._tell))
        except AntiphonError as error:
            self._tell(Failed(utterance, error))

    def _wrong(self, pcm: bytes, size: int) -> AntiphonError | None:
        if len(pcm) % BYTES_PER_SAMPLE:
            return BadRequest(f"audio of {len(pcm)} bytes: send whole 16-bit samples", reason="ODD_AUDIO")
        if len(pcm) > LONGEST_MESSAGE:
            return BadRequest(
                f"audio of {len(pcm)} bytes in one message; send up to 100 ms (3200 bytes)", reason="AUDIO_TOO_LONG"
            )
        if size > self._longest:
            limit = self._longest / BYTES_PER_SAMPLE / UPLINK_RATE
            return BadRequest(f"the utterance is longer than {limit:g} s; end it sooner", reason="UTTERANCE_TOO_LONG")
        return None

    def _tell(self, news: News) -> None:
        if not isinstance(news, Partial):
            self._live.pop(news.utterance, None)
            self._news = [n for n in self._news if not (isinstance(n, Partial) and n.utterance == news.utterance)]
        else:
            for i, waiting in enumerate(self._news):
                if isinstance(waiting, Partial) and waiting.utterance == news.utterance:
                    self._news[i] = news
                    return
        self._news.append(news)
        self._wake()
