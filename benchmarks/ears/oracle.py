"""A recogniser that knows what was said: ears without fault, so that what follows them can be judged by itself.

It hears a session by its name, the only phrase of its configuration, and understands each word when its last sample has
come. It is the benchmark's own; no worker can be started with it.

It is two recognisers, because the rules meet two kinds: `oracle` gives words alone, as PocketSphinx does; `oracle.`
puts a mark after each final, as Whisper does, whether it is a sentence or a fragment. That is the harder test: its
stop means nothing. What reads as a question (by the rules' own lists, so nothing is learnt from that mark) gets "?",
all else "."; a transcript's own mark at a final's end stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from asr.recognizer import Final, Partial, RecognizerConfig, RecognizerInfo
from base.audio import UPLINK_RATE
from orchestrator.conversation.endpointing import QUESTION, read


@dataclass(frozen=True, slots=True)
class Spoken:
    """A word and the samples of the session between which it is said."""

    text: str
    start: int
    end: int


def spoken(ends: tuple[tuple[str, float], ...], longest_s: float = 0.6) -> tuple[Spoken, ...]:
    """Words of a session in order, each with its end: it begins where the one before ends, or `longest_s` before."""
    out, before = [], 0
    for text, end_s in ends:
        end = round(end_s * UPLINK_RATE)
        out.append(Spoken(text, max(before, end - round(longest_s * UPLINK_RATE)), end))
        before = end
    return tuple(out)


def marked(text: str, language: str) -> str:
    """As Whisper would have it: see the module."""
    if not text or not text[-1].isalnum():
        return text
    return text + ("?" if read(text, language) == QUESTION else ".")


class OracleDecoder:
    def __init__(self, said: tuple[Spoken, ...], language: str | None = None) -> None:
        """`language`: of the marks that finals get; None: they get none."""
        self._said = said
        self._language = language
        self._told = 0
        """Words that were told in an utterance that is over."""
        self._utterance = self._now = self._start = 0
        self._text = ""

    def start(self, utterance: int, sample: int) -> None:
        self._utterance, self._start, self._now, self._text = utterance, sample, sample, ""

    def push(self, pcm: bytes) -> Partial | None:
        self._now += len(pcm) // 2
        text = self._understood()
        if text == self._text:
            return None
        self._text = text
        return Partial(self._utterance, text, stable=len(text))

    def finish(self) -> Final:
        text = self._understood()
        self._told = sum(word.end <= self._now for word in self._said)
        if self._language is not None:
            text = marked(text, self._language)
        return Final(self._utterance, text, 1.0 if text else 0.0)

    def cancel(self) -> None:
        self._told = sum(word.end <= self._now for word in self._said)

    def close(self) -> None:
        pass

    def _understood(self) -> str:
        """Words that ended by now, in this utterance; of one that has only its end here, nothing."""
        return " ".join(
            word.text
            for word in self._said[self._told :]
            if word.end <= self._now and (word.start + word.end) / 2 >= self._start
        )


class OracleRecognizer:
    """`sessions`: the words of each, by its name. `marks`: finals are punctuated."""

    info = RecognizerInfo("oracle", ("en", "*"), "Apache-2.0", phrases=True)

    def __init__(self, sessions: Mapping[str, tuple[Spoken, ...]], *, marks: bool = False) -> None:
        self._sessions = sessions
        self._marks = marks

    def open(self, config: RecognizerConfig) -> OracleDecoder:
        said = self._sessions.get(config.phrases[0] if config.phrases else "", ())
        return OracleDecoder(said, config.language if self._marks else None)

    def close(self) -> None:
        pass
