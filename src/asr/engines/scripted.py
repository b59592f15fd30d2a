"""A recogniser that hears what its script says: for tests and load.

`script` lists the texts of a session's utterances, in order, over and over; an empty one has no words. A partial grows
by one word per `word_s` of audio. Directives in front of a text: `[[error]]` fails the utterance, `[[slow N]]` makes
the final N seconds late, `[[hang]]` never answers (a cancel ends it), `[[crash]]` ends the process. Where it has no
script it says its session's phrases, which come from a client: in them a directive is two brackets and a word.
"""

from __future__ import annotations

import os
import re
import threading

from asr.recognizer import Final, Partial, RecognizerConfig, RecognizerInfo, Word
from base.audio import UPLINK_RATE
from base.errors import Internal

DIRECTIVE = re.compile(r"\[\[(error|hang|slow|crash)(?: ([0-9.]+))?\]\]\s*")
FOREVER_S = 3600.0
EXIT_CRASH = 70


class ScriptedDecoder:
    """`cancel` may come from another thread while `finish` waits."""

    def __init__(self, script: tuple[str, ...], word_s: float, count: int = 0, *, directives: bool = True) -> None:
        self._script = script
        self._directives = directives
        self._word_s = word_s
        self._count = count
        self._utterance = 0
        self._start = 0
        self._samples = 0
        self._words: list[str] = []
        self._said = 0
        self._directive = ""
        self._wait_s = 0.0
        self._cancelled = threading.Event()

    def start(self, utterance: int, sample: int) -> None:
        text = self._script[self._count % len(self._script)] if self._script else ""
        self._count += 1
        found = DIRECTIVE.match(text) if self._directives else None
        self._directive = found.group(1) if found else ""
        self._wait_s = float(found.group(2) or 1.0) if found else 0.0
        self._words = (text[found.end() :] if found else text).split()
        self._utterance, self._start, self._samples, self._said = utterance, sample, 0, 0
        self._cancelled.clear()

    def push(self, pcm: bytes) -> Partial | None:
        self._samples += len(pcm) // 2
        said = min(len(self._words), int(self._samples / UPLINK_RATE / self._word_s))
        if said == self._said:
            return None
        self._said = said
        text = " ".join(self._words[:said])
        return Partial(self._utterance, text, stable=len(text))

    def finish(self) -> Final:
        match self._directive:
            case "error":
                raise Internal("the script says that this utterance fails")
            case "crash":
                os._exit(EXIT_CRASH)
            case "slow":
                self._cancelled.wait(self._wait_s)
            case "hang":
                self._cancelled.wait(FOREVER_S)
        step = self._samples // max(1, len(self._words))
        words = tuple(
            Word(w, self._start + i * step, self._start + (i + 1) * step, 1.0) for i, w in enumerate(self._words)
        )
        return Final(self._utterance, " ".join(self._words), 1.0 if words else 0.0, words)

    def cancel(self) -> None:
        self._cancelled.set()

    def close(self) -> None:
        self._cancelled.set()

    def adaptation(self) -> str:
        """Where it is in the script: a child's next decoder for the session goes on from there."""
        return str(self._count)


class ScriptedRecognizer:
    """Costs nothing; decodes on the caller's thread, and blocks only where its script says so.

    Without a script it hears the session's phrases, one after another.
    """

    def __init__(
        self, script: tuple[str, ...] = (), *, word_s: float = 0.25, languages: tuple[str, ...] = ("en",)
    ) -> None:
        self._script = tuple(script)
        self._word_s = word_s
        self.info = RecognizerInfo("scripted", tuple(languages), "Apache-2.0")

    def open(self, config: RecognizerConfig) -> ScriptedDecoder:
        said, count = self._script or config.phrases, int(config.adaptation or 0)
        return ScriptedDecoder(said, self._word_s, count, directives=bool(self._script))

    def close(self) -> None:
        pass
