"""One stream's utterances: what comes in goes to the ears, what they tell comes out in order. Pure; nothing waits.

Ids increase. A new utterance ends the one before it. Every utterance gets exactly one Final or Failed, unless it is
cancelled; an error of one ends only that one; one that gets too long is ended, with a Final of what was heard, which
says where that was. News
waits here until it is taken, where a newer partial replaces an older one; there is room for that of `MOST_NEWS`
utterances, and who leaves more unread is refused.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from asr.ears import EarsSession, Failed, Hearing, News
from asr.recognizer import Final, Partial
from base.audio import BYTES_PER_SAMPLE, UPLINK_RATE
from base.errors import AntiphonError, AtCapacity, BadRequest, Unavailable

LONGEST_MESSAGE = UPLINK_RATE * BYTES_PER_SAMPLE
"""Bytes of audio in one message: a second; 100 ms is what it should be."""
MOST_LIVE = 4
"""Utterances of one stream that are being heard."""
MOST_NEWS = 256
"""Utterances with news that waits to be taken."""


@dataclass(slots=True)
class _Live:
    hearing: Hearing
    size: int = 0
    ended: bool = False
    cut: int = 0
    """Where it was ended as too long."""


class Utterances:
    """`longest_s` ends an utterance; `wake` is called when there is news to take, or fewer are heard."""

    def __init__(self, session: EarsSession, *, longest_s: float, wake: Callable[[], None]) -> None:
        self._session = session
        self._longest = int(longest_s * UPLINK_RATE) * BYTES_PER_SAMPLE
        self._wake = wake
        self._newest = -1
        self._live: dict[int, _Live] = {}
        self._news: OrderedDict[int, News] = OrderedDict()
        self._unread = False
        """There was more news than may wait: the client does not read."""
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
        self._check_read()
        if utterance > self._newest:
            self._begin(utterance, sample)
        live = self._live.get(utterance)
        if live is None or live.ended:
            return
        live.size += len(pcm)
        if wrong := self._wrong(pcm):
            live.hearing.cancel_nowait()
            self._tell(Failed(utterance, wrong))
        elif live.size > self._longest:
            live.cut = sample
            self._end(utterance)
        elif pcm:
            live.hearing.push_nowait(pcm)

    def end(self, utterance: int) -> None:
        """Raises as `audio` does."""
        self._check_read()
        self._end(utterance)

    def _end(self, utterance: int) -> None:
        live = self._live.get(utterance)
        if live is not None and not live.ended:
            live.ended = True
            live.hearing.finish_nowait()
        elif utterance > self._newest:
            # It ended before any audio of it came: there are no words in it.
            self._end(self._newest)
            self._newest = utterance
            self._tell(Final(utterance, ""))

    def end_last(self) -> None:
        """There is no more to come of any."""
        self._end(self._newest)

    def cancel(self, utterance: int) -> None:
        """Nothing more is told of it. Like audio of a new one, it ends the one before. Raises as `audio` does."""
        self._check_read()
        if utterance > self._newest:
            self._end(self._newest)
            self._newest = utterance
        live = self._live.pop(utterance, None)
        self._news.pop(utterance, None)
        if live is not None:
            live.hearing.cancel_nowait()
        self._wake()

    def take(self) -> News | None:
        """The oldest news, or None. Raises AtCapacity where some was lost."""
        if self._news:
            return self._news.popitem(last=False)[1]
        self._check_read()
        return None

    def _check_read(self) -> None:
        if self._unread:
            raise AtCapacity(f"the client left {MOST_NEWS} answers unread; read them as they come", reason="UNREAD")

    def _begin(self, utterance: int, sample: int) -> None:
        self._end(self._newest)
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

    def _wrong(self, pcm: bytes) -> AntiphonError | None:
        if len(pcm) % BYTES_PER_SAMPLE:
            return BadRequest(f"audio of {len(pcm)} bytes: send whole 16-bit samples", reason="ODD_AUDIO")
        if len(pcm) > LONGEST_MESSAGE:
            return BadRequest(
                f"audio of {len(pcm)} bytes in one message; send up to 100 ms (3200 bytes)", reason="AUDIO_TOO_LONG"
            )
        return None

    def _tell(self, news: News) -> None:
        if not isinstance(news, Partial):
            live = self._live.pop(news.utterance, None)
            if live is not None and live.cut and isinstance(news, Final):
                news = replace(news, end=live.cut)
            self._news.pop(news.utterance, None)
        elif news.utterance in self._news:
            self._news[news.utterance] = news
            return
        if len(self._news) >= MOST_NEWS:
            self._unread = True
        else:
            self._news[news.utterance] = news
        self._wake()
