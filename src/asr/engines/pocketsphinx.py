"""PocketSphinx (CMU): English, small, on a CPU, its model in its package. A demonstrator.

What is done so that it hears as well as it can:
- Its feature means (CMN) start from the session's own voice: after the first utterance from what it learnt there
  (`adaptation`), before that from the first second of the utterance, which is held back for it. This takes a third off
  the word error rate of a first utterance.
- Digital silence, which a muted or gated microphone gives and no room, becomes faint noise: the model has never heard
  it, and takes what stands beside it for other words.
- One pass and a best path through its lattice, no second flat pass: the final comes a few ms after the end.
- `phrases` become a grammar that the whole utterance is decoded with once more (at 1 % of real time). The grammar wins
  if a phrase is complete and the evidence is for it (`asr.scores.Evidence`).
- A word counts when its posterior reaches `floor`, it is not implausibly long, and the utterance sounds like speech.
- Nothing is decoded until what came sounds like speech: music costs more than speech (nothing fits, so the search is
  wide), and is not heard. What waits is decoded as soon as it does, or at the end; where nothing in `_UNLIKELY` did, it
  is dropped and what follows is judged by itself.
- After `_SEGMENT` of speech without an end, what was heard is settled and decoding starts afresh: an utterance of any
  length needs bounded memory, and its settled words are stable.

A decoder here holds the GIL while it decodes: see `asr.pool`.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pocketsphinx

from asr.phrases import Phrase, grammar, prepare
from asr.recognizer import Final, Partial, RecognizerConfig, RecognizerInfo, Word
from asr.scores import Decoded, Segment, evidence, words
from asr.speechlike import Speechlike
from base.audio import UPLINK_RATE
from base.errors import AtCapacity, BadRequest, Misconfigured, WrongState
from base.language import matches

INFO = RecognizerInfo("pocketsphinx", ("en",), "BSD-2-Clause", partials=True, phrases=True)

CHILD_BYTES = 150_000_000
"""Memory of a process with one decoder, at most."""

_PARTIAL_EVERY = UPLINK_RATE // 5
_CALIBRATION = UPLINK_RATE
_SEGMENT = 20 * UPLINK_RATE
_PAUSE_AFTER = 10 * UPLINK_RATE
_PAUSE_FRAMES = 30
_UNLIKELY = 5 * UPLINK_RATE
"""Samples that may wait for a sound like speech among them."""
_GRAMMARS = 8
_SHORTEST_PHRASE = 340 * UPLINK_RATE // 1000
"""Samples of words; fewer need the open model's word. Measured: a cough gives at most 290 ms, a phrase 420 or more."""
_PHRASE_FLOOR = 0.5
_ALONE_FLOOR = 0.3
"""Confidence of a word that is alone in its utterance: most of what is heard in a noise is one word."""
_QUIET = UPLINK_RATE // 5 * 2
"""Bytes of pre-roll that say nothing about the voice."""
_TAIL = bytes(UPLINK_RATE // 5 * 2)
"""Silence that a phrase's last word ends in, whatever followed it."""
_MOST = {"maxhmmpf": 3_000, "maxwpf": 20}
"""Models and words that the open search may follow at a time. Unbounded (30,000 in effect), noise that nothing fits
takes it two seconds a second. Measured on 48 sentences of three voices: word error rate 0.769 with these, 0.781
without, at 60 to 70 % of the time."""
_GRAMMAR_SEARCH = {"beam": 1e-60, "pbeam": 1e-60, "wbeam": 1e-40, "bestpath": False, "maxhmmpf": 30_000, "maxwpf": -1}
"""A grammar is small: its search can afford to follow what fits badly at first. The best path through its lattice
would forget that a phrase must be complete."""
_OPEN, _IDLE = "_default", "idle"
"""Names of searches: the open language model, and one that hears silence only."""
_UNIT = 1024
"""Scores of paths come divided by this; so do those of segments, but not from a lattice."""
_ROOM_RMS = 12.0
_ROOM_PEAK = 12
_WARM_UP = bytes(UPLINK_RATE)


class PocketSphinxRecognizer:
    """A loaded model; `decoders` is how many utterances it decodes at once (~130 MB the first, ~75 MB each more).

    `floor` is the confidence that a word needs. Raises Misconfigured where the package has no model.
    """

    info = INFO

    def __init__(self, *, decoders: int = 1, floor: float = 0.1) -> None:
        self._most = max(1, decoders)
        self._floor = floor
        self._free = [_Sphinx()]
        self._made = 1

    def open(self, config: RecognizerConfig) -> SphinxDecoder:
        """Raises BadRequest for a language that is not English."""
        if config.language and not any(matches(config.language, tag) for tag in INFO.languages):
            raise BadRequest(
                f"pocketsphinx does not hear {config.language!r}; it hears: {', '.join(INFO.languages)}",
                reason="LANGUAGE_UNKNOWN",
            )
        return SphinxDecoder(self, config, self._floor)

    def close(self) -> None:
        self._free.clear()

    def take(self) -> _Sphinx:
        """A free decoder; raises AtCapacity where there is none."""
        if not self._free:
            if self._made >= self._most:
                raise AtCapacity(f"all {self._most} decoders are in use; try again soon", retry_after_s=1.0)
            self._made += 1
            return _Sphinx()
        return self._free.pop()

    def give_back(self, sphinx: _Sphinx) -> None:
        self._free.append(sphinx)


class SphinxDecoder:
    """One session's. It holds a decoder of the recogniser's from `start` to `finish` or `cancel`."""

    def __init__(self, recognizer: PocketSphinxRecognizer, config: RecognizerConfig, floor: float) -> None:
        self._recognizer = recognizer
        self._texts = config.phrases
        self._floor = floor
        self._means = _Means.parse(config.adaptation)
        self._sphinx: _Sphinx | None = None
        self._phrases: tuple[Phrase, ...] = ()
        self._utterance = 0
        self._reset(0)

    def _reset(self, sample: int) -> None:
        self._first = sample
        self._held = bytearray()
        self._audio = bytearray()
        """Of the present segment; so many bytes of it were decoded."""
        self._fed = 0
        self._settled: list[Word] = []
        self._began = False
        self._likely = False
        self._asked = 0
        self._said = ""
        self._sound = Speechlike()
        self._room = _Room()

    def start(self, utterance: int, sample: int) -> None:
        if self._sphinx is not None:
            raise WrongState(f"utterance {self._utterance} has not ended")
        self._sphinx = self._recognizer.take()
        self._phrases = prepare(self._texts, self._sphinx.knows).phrases
        self._utterance = utterance
        self._reset(sample)

    def push(self, pcm: bytes) -> Partial | None:
        sphinx = self._running()
        self._sound.push(pcm)
        pcm = self._room.fill(pcm)
        if not self._began:
            self._held += pcm
            if self._means is None and len(self._held) < _CALIBRATION * 2:
                return None
            pcm = self._begin(sphinx)
        self._audio += pcm
        samples = len(self._audio) // 2
        due = samples - self._asked >= _PARTIAL_EVERY
        if due:
            self._asked = samples
            self._likely = self._sound.verdict()
        long = samples - self._fed // 2 >= _UNLIKELY
        if self._likely or (long and self._fed):
            self._feed(sphinx)
        if not due:
            return None
        heard = sphinx.heard() if self._likely else Decoded()
        partial = self._partial(heard)
        pause = samples >= _PAUSE_AFTER and heard.segments and _is_pause(heard.segments[-1])
        if pause or samples >= _SEGMENT or (long and not self._fed):
            self._settle(sphinx)
        return partial

    def finish(self) -> Final:
        sphinx = self._running()
        likely = self._sound.verdict()
        if likely:
            if not self._began:
                self._audio += self._begin(sphinx)
            self._feed(sphinx)
        whole = not self._settled and len(self._audio) <= _SEGMENT * 2
        heard = sphinx.end() if self._began else Decoded()
        found = self._counted(heard) if likely else []
        if likely and (found or self._settled):
            self._means = sphinx.means(self._means)
        given = self._phrase(sphinx, heard) if likely and whole else None
        self._give_back()
        if given is not None:
            return given
        said = [*self._settled, *found]
        sure = sum(w.confidence for w in said) / len(said) if said else 0.0
        return Final(self._utterance, _text(said), sure, tuple(said))

    def cancel(self) -> None:
        if self._sphinx is not None:
            if self._began:
                self._sphinx.end()
            self._give_back()

    def close(self) -> None:
        self.cancel()

    def adaptation(self) -> str:
        return "" if self._means is None else str(self._means)

    def _running(self) -> _Sphinx:
        if self._sphinx is None:
            raise WrongState("no utterance has started")
        return self._sphinx

    def _give_back(self) -> None:
        if self._sphinx is not None:
            self._recognizer.give_back(self._sphinx)
            self._sphinx = None
        self._held, self._audio = bytearray(), bytearray()

    def _begin(self, sphinx: _Sphinx) -> bytes:
        held = bytes(self._held)
        self._held.clear()
        self._began = True
        sphinx.begin(self._means or sphinx.measure(held))
        return held

    def _feed(self, sphinx: _Sphinx) -> None:
        """Decodes what was held back."""
        if self._fed < len(self._audio):
            sphinx.process(bytes(self._audio[self._fed :]))
            self._fed = len(self._audio)

    def _counted(self, heard: Decoded) -> list[Word]:
        found = words(heard.segments, self._first, self._running().phones, self._floor)
        alone = len(found) == 1 and not self._settled
        return [] if alone and found[0].confidence < max(self._floor, _ALONE_FLOOR) else found

    def _partial(self, heard: Decoded) -> Partial | None:
        """News of the words so far. They have no posteriors yet: a first word waits for what follows it."""
        found = words(heard.segments, self._first, self._running().phones, 0.0)
        if len(found) == 1 and not heard.segments[-1].is_filler:
            found = []
        text = _text([*self._settled, *found])
        if text == self._said:
            return None
        self._said = text
        return Partial(self._utterance, text, stable=len(_text(self._settled)))

    def _settle(self, sphinx: _Sphinx) -> None:
        heard = sphinx.end()
        if self._likely:
            self._settled += self._counted(heard)
        nothing = not self._fed
        self._first += len(self._audio) // 2
        self._audio.clear()
        self._asked = self._fed = 0
        self._likely = False
        self._sound = Speechlike()
        if nothing:
            self._began = False  # what it began with says nothing about a voice either
        else:
            sphinx.begin(sphinx.means(self._means))

    def _phrase(self, sphinx: _Sphinx, heard: Decoded) -> Final | None:
        """The phrase of the grammar that the whole utterance is, or None."""
        if not self._phrases:
            return None
        own = sphinx.means(None).with_(self._means or _Means(_TYPICAL, _TYPICAL_FRAMES))
        given = sphinx.decode_phrases(self._phrases, bytes(self._audio), own)
        found = self._complete(given)
        proof = evidence(given, heard, sphinx.phones) if found is not None else None
        sure = proof.confidence() if proof is not None else 0.0
        if sure < _PHRASE_FLOOR:
            # Both agree, or the open model alone heard a phrase.
            found, given = self._complete(heard), heard
            sure = max(sure, _PHRASE_FLOOR)
        if found is None:
            return None
        timed = words(given.segments, self._first, sphinx.phones, 0.0)
        if timed and timed[-1].end - timed[0].start < _SHORTEST_PHRASE and self._complete(heard) is not found:
            # A cough is as long as a hurried "hello", and the grammar knows nothing else to call it.
            return None
        return Final(self._utterance, found.text, sure, tuple(Word(w.text, w.start, w.end, sure) for w in timed))

    def _complete(self, decoded: Decoded) -> Phrase | None:
        return next((p for p in self._phrases if p.words == decoded.words), None)


def dictionary() -> frozenset[str]:
    """The words that the default model knows, read from its package without loading it (~15 MB)."""
    with open(_model("cmudict-en-us.dict"), encoding="utf-8") as lines:
        return frozenset(word for line in lines if line.strip() and "(" not in (word := line.split(None, 1)[0]))


def _model(name: str) -> str:
    spec = importlib.util.find_spec("pocketsphinx")
    for place in (spec.submodule_search_locations if spec is not None else None) or ():
        path = Path(place) / "model" / "en-us" / name
        if path.exists():
            return str(path)
    raise Misconfigured(f"the pocketsphinx package has no model file {name!r}; install pocketsphinx 5.0.4 or newer")


class _Room:
    """The noise of a quiet room (-69 dBFS) in place of what is quieter than any: the same one every time."""

    _PIECE = UPLINK_RATE // 100

    def __init__(self) -> None:
        self._noise = np.random.default_rng(1)

    def fill(self, pcm: bytes) -> bytes:
        samples = np.frombuffer(pcm, dtype="<i2")
        starts = np.arange(0, len(samples), self._PIECE)
        if not len(starts):
            return pcm
        silent = np.maximum.reduceat(np.abs(samples.astype(np.int32)), starts) < _ROOM_PEAK
        if not silent.any():
            return pcm
        where = np.repeat(silent, self._PIECE)[: len(samples)]
        noise = np.rint(self._noise.normal(0.0, _ROOM_RMS, len(samples))).astype(np.int16)
        return bytes(np.where(where, noise, samples).astype("<i2").tobytes())


def _is_pause(segment: Segment) -> bool:
    return segment.is_filler and segment.frames >= _PAUSE_FRAMES


def _text(found: list[Word]) -> str:
    return " ".join(w.text for w in found)


_TYPICAL = (41.0, -5.0, 4.0, 11.0, -3.0, -2.0, -0.5, -6.0, -1.0, -2.0, 2.0, 1.0, 1.0)
"""Feature means of speech at a usual level; `_TYPICAL_FRAMES` is how much they weigh against what was measured."""
_TYPICAL_FRAMES = 30
_SPHINX_FRAMES = 500
"""Frames that PocketSphinx counts means as that it is given (CMN_WIN)."""
_EXACT_FRAMES = 300
"""Up to so many, what it measured can be told from what it was given; then it forgets (CMN_WIN_HWM)."""


@dataclass(frozen=True, slots=True)
class _Means:
    """Cepstral means over `frames` frames of a session's speech."""

    values: tuple[float, ...]
    frames: int

    @classmethod
    def parse(cls, text: str) -> _Means | None:
        if not text:
            return None
        frames, _, values = text.partition(";")
        return cls(_numbers(values), int(frames))

    def __str__(self) -> str:
        return f"{self.frames};{_joined(self.values)}"

    def with_(self, other: _Means) -> _Means:
        """Both together; what is old fades."""
        mine = min(self.frames, _SPHINX_FRAMES)
        total = mine + other.frames
        pairs = zip(self.values, other.values, strict=True)
        return _Means(tuple((a * mine + b * other.frames) / total for a, b in pairs), total)


class _Sphinx:
    """PocketSphinx's decoder, one utterance at a time, in numbers that mean something."""

    def __init__(self) -> None:
        self._decoder = pocketsphinx.Decoder(
            hmm=_model("en-us"),
            lm=_model("en-us.lm.bin"),
            dict=_model("cmudict-en-us.dict"),
            loglevel="FATAL",
            fwdflat=False,
            fsgusefiller=False,
            **_MOST,
        )
        self._given = _Means(_TYPICAL, _SPHINX_FRAMES)
        self._decoder.add_fsg(_IDLE, self._decoder.create_fsg(_IDLE, 0, 1, [(0, 1, 1.0, "<sil>")]))
        # Ready means ready: what a first utterance would fault in or allocate is there now.
        self.begin(self._given)
        self.process(_WARM_UP)
        self.end()
        self._grammars: dict[tuple[Phrase, ...], str] = {}
        self._named = 0

    def knows(self, word: str) -> bool:
        return self._decoder.lookup_word(word) is not None

    def phones(self, word: str) -> int:
        return len((self._decoder.lookup_word(word) or "").split())

    def measure(self, pcm: bytes) -> _Means:
        """The means of `pcm`, which is not empty, leaning on typical ones where it is short."""
        # The end of an utterance searches what was not searched yet: with a search that has next to nothing to do.
        self._decoder.activate_search(_IDLE)
        try:
            self.begin(_Means(_TYPICAL, _TYPICAL_FRAMES))
            self._decoder.process_raw(pcm[_QUIET:] if len(pcm) > 2 * _QUIET else pcm, True, False)
            self._decoder.end_utt()
        finally:
            self._decoder.activate_search(_OPEN)
        return self.means(None).with_(_Means(_TYPICAL, _TYPICAL_FRAMES))

    def begin(self, means: _Means) -> None:
        self._given = means
        self._decoder.set_cmn(_joined(means.values))
        self._decoder.start_utt()

    def process(self, pcm: bytes) -> None:
        self._decoder.process_raw(pcm, False, False)

    def heard(self, fit_unit: int = 1) -> Decoded:
        """The search's path so far, or at the end."""
        hypothesis = self._decoder.hyp()
        if hypothesis is None:
            return Decoded()
        segments = tuple(
            Segment(s.word, s.start_frame, s.end_frame + 1, s.prob, fit_unit * _log(s.ascore))
            for s in self._decoder.seg()
        )
        return Decoded(segments, _UNIT * _log(hypothesis.score), self._decoder.n_frames())

    def end(self) -> Decoded:
        self._decoder.end_utt()
        return self.heard()

    def means(self, before: _Means | None) -> _Means:
        """What the utterance's frames had for means, together with those `before` it."""
        now = _numbers(self._decoder.get_cmn(True))
        frames = max(1, self._decoder.n_frames())
        if frames <= _EXACT_FRAMES:
            pairs = zip(now, self._given.values, strict=True)
            now = tuple(a + (a - b) * _SPHINX_FRAMES / frames for a, b in pairs)
        own = _Means(now, min(frames, _SPHINX_FRAMES))
        return own if before is None else before.with_(own)

    def decode_phrases(self, phrases: tuple[Phrase, ...], pcm: bytes, means: _Means) -> Decoded:
        """Decodes `pcm` once more, with a grammar of `phrases` alone."""
        self._decoder.activate_search(self._grammar(phrases))
        try:
            self.begin(means)
            self.process(pcm + _Room().fill(_TAIL))
            self._decoder.end_utt()
            return self.heard(fit_unit=_UNIT)
        finally:
            self._decoder.activate_search(_OPEN)

    def _set(self, values: Mapping[str, float]) -> None:
        for key, value in values.items():
            self._decoder.config[key] = value

    def _grammar(self, phrases: tuple[Phrase, ...]) -> str:
        """Its name; the last few stay loaded."""
        name = self._grammars.pop(phrases, None)
        if name is None:
            if len(self._grammars) >= _GRAMMARS:
                self._decoder.remove_search(self._grammars.pop(next(iter(self._grammars))))
            self._named += 1
            name = f"phrases{self._named}"
            # A search takes its settings from the configuration when it is made.
            open_ = {key: self._decoder.config[key] for key in _GRAMMAR_SEARCH}
            self._set(_GRAMMAR_SEARCH)
            self._decoder.add_fsg(name, self._decoder.create_fsg(name, 0, 1, grammar(phrases)))
            self._set(open_)
        self._grammars[phrases] = name
        return name


def _log(probability: float) -> float:
    return math.log(probability) if probability > 0.0 else -745.0


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(number) for number in text.split(","))


def _joined(values: tuple[float, ...]) -> str:
    return ",".join(f"{value:.4f}" for value in values)
