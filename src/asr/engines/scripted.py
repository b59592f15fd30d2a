"""A recogniser that hears what its script says: for tests and load.

`script` lists the texts of a session's utterances, in order, over and over; an empty one has no words. A partial grows
by one word per `word_s` of audio. Directives in front of a text: `[[error]]` fails the utterance, `[[slow N]]` makes
the final N seconds late, `[[hang]]` never answers.
"""

from __future__ import annotations

import re
import time

from asr.recognizer import Final, Partial, RecognizerConfig, RecognizerInfo, Word
from base.audio import UPLINK_RATE
from base.errors import Internal

DIRECTIVE = re.compile(r"\[\[(error|hang|slow)(?: ([0-9.]+))?\]\]\s*")


class ScriptedDecoder:
    def __init__(self, script: tuple[str, ...], word_s: float) -> None:
        self._script = script
        self._word_s = word_s
        self._count = 0
        self._utterance = 0
        self._start = 0
        self._samples = 0
        self._words: list[str] = []
        self._said = 0
        self._directive = ""
        self._slow_s = 0.0

    def start(self, utterance: int, sample: int) -> None:
        text = self._script[self._count % len(self._script)] if self._script else ""
        self._count += 1
        found = DIRECTIVE.match(text)
        self._directive = found.group(1) if found else ""
        self._slow_s = float(found.group(2) or 1.0) if found else 0.0
        self._words = (text[found.end() :] if found else text).split()
        self._utterance, self._start, self._samples, self._said = utterance, sample, 0, 0

    def push(self, pcm: bytes) -> Partial | None:
        self._samples += len(pcm) // 2
        said = min(len(self._words), int(self._samples / UPLINK_RATE / self._word_s))
        if said == self._said:
            return None
        self._said = said
        return Partial(self._utterance, " ".join(self._words[:said]))

    def finish(self) -> Final:
        if self._directive == "error":
            raise Internal("the script says that this utterance fails")
        if self._directive == "slow":
            time.sleep(self._slow_s)
        if self._directive == "hang":
            time.sleep(3600)
        step = self._samples // max(1, len(self._words))
        words = tuple(
            Word(w, self._start + i * step, self._start + (i + 1) * step, 1.0) for i, w in enumerate(self._words)
        )
        return Final(self._utterance, " ".join(self._words), 1.0 if words else 0.0, words)

    def cancel(self) -> None:
        pass

    def close(self) -> None:
        pass


class ScriptedRecognizer:
    """Costs nothing; decodes on the caller's thread, and blocks only where its script says so."""

    def __init__(
        self, script: tuple[str, ...] = (), *, word_s: float = 0.25, languages: tuple[str, ...] = ("en",)
    ) -> None:
        self._script = script
        self._word_s = word_s
        self.info = RecognizerInfo("scripted", languages, "Apache-2.0")

    def open(self, config: RecognizerConfig) -> ScriptedDecoder:
        return ScriptedDecoder(self._script or config.phrases, self._word_s)

    def close(self) -> None:
        pass
