"""Moonshine through ONNX Runtime, on the CPU. Imported in the child alone (`asr.shared_child`).

Nothing is ever fetched, and of the package that carries the model no code is run. English alone; phrases help it in
nothing, for it takes no prompt.

**Drafts.** Of a growing utterance the last decode's tokens are kept: what of them still holds is told by one run of the
decoder, and only what is new is decoded token by token. No other utterance's ever are: the package's network quantises
the activations of such a run together, so that a draft, though never believed, may tip a word that is in the balance.

**Times.** Moonshine tells none, and its attention is not among what the network gives. So what lies between two quiet
moments, a second or two apart, is decoded alone, to see which words of the whole it says; between these `Anchor`s times
are estimated (`times.spread`). They, too, are kept while their words stay. The last decode of an utterance, for which
somebody waits, looks for none.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from math import exp

import numpy as np
from numpy.typing import NDArray

from asr.capacity import usable_cores
from asr.engines.moonshine import guard, times, tokens
from asr.engines.moonshine.files import MoonshineFiles, find_model
from asr.engines.moonshine.network import Network, Said, most_tokens
from asr.engines.moonshine.times import Anchor
from asr.quiet import is_quiet
from asr.speechlike import Speechlike
from asr.transcriber import Clip, ClipWord, Transcript
from asr.warm_up import decode_seconds
from base.audio import BYTES_PER_SAMPLE, UPLINK_RATE, to_float
from base.errors import Misconfigured

MOST_THREADS = 4
"""Where nobody says how many: more make such a small network no quicker."""
KEPT = 64
"""Utterances of which the last decode is kept."""
_HEAD = UPLINK_RATE // 2 * BYTES_PER_SAMPLE
"""By so much of its beginning an utterance is found again; that all of it is the same is then looked at."""
_FIRST = 4 * UPLINK_RATE
"""A shorter clip needs no anchors: it is not cut, and its words are not far apart."""
_APART = UPLINK_RATE
"""Anchors are so far apart, at least."""
_TAIL = UPLINK_RATE // 2
"""At the clip's very end there is none: a word may be half said there."""
_PAUSE = UPLINK_RATE * 2 // 5
"""So much silence follows the last decode's clip: one that ends too soon after a word is taken for one that goes on,
and gets a comma there. What was decoded without it, and got no full stop, is decoded once more."""
_STOPS = (".", "?", "!")

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Known:
    """What the last decode of an utterance said, and the anchors that were found by `tried`. Its clip had `size` bytes,
    of which `sound` is the digest.
    """

    tokens: tuple[int, ...] = ()
    keys: tuple[str, ...] = ()
    anchors: tuple[Anchor, ...] = ()
    tried: int = 0
    size: int = 0
    sound: bytes = b""

    def is_of(self, pcm: bytes) -> bool:
        """Whether what was decoded is how `pcm` begins, and not another utterance that began alike."""
        return self.size <= len(pcm) and self.sound == _digest(pcm[: self.size])

    def kept(self, said: Said, keys: tuple[str, ...], size: int) -> _Known:
        """After another decode: an anchor holds where the word before it is still there."""
        anchors = tuple(a for a in times.moved(self.anchors, self.keys, keys) if a.sample < size)
        whole = len(anchors) == len(self.anchors)
        return _Known(said.tokens, keys, anchors, self.tried if whole else anchors[-1].sample if anchors else 0)


class MoonshineTranscriber:
    """Raises Misconfigured for a model that cannot be loaded."""

    def __init__(self, folder: str, threads: int = 0) -> None:
        files = find_model(folder, "")
        self._folder = files.folder
        self._vocabulary = _vocabulary(files)
        self._network = Network(files.encoder, files.decoder, threads or min(MOST_THREADS, usable_cores()))
        count = len(self._vocabulary.pieces)
        if count < self._network.vocabulary:
            raise Misconfigured(
                f"{files.tokenizer} has {count} tokens, and {files.decoder.name} says {self._network.vocabulary}: it "
                "is cut short, or another model's; get the model again",
                reason="BAD_MODEL",
            )
        self._known: OrderedDict[bytes, _Known] = OrderedDict()

    def warm_up(self) -> float:
        try:
            return decode_seconds(lambda noise: self._decode(noise, ()))
        except Exception as error:  # ONNX Runtime has no common base of its errors
            raise Misconfigured(
                f"{self._folder} does not run: {str(error)[:300]}; get the model again", reason="BAD_MODEL"
            ) from error

    def transcribe(self, clip: Clip) -> Transcript:
        samples = to_float(clip.pcm)
        if is_quiet(samples):
            return Transcript()
        sound = Speechlike()
        sound.push(clip.pcm)
        speechlike = sound.verdict()
        if not speechlike and not clip.last:
            return Transcript(sure=False)
        known = self._known.pop(clip.pcm[:_HEAD], _Known())
        if not known.is_of(clip.pcm):
            known = _Known()
        said = self._decode(np.pad(samples, (0, _PAUSE)) if clip.last else samples, known.tokens)
        words = tokens.spoken(said.tokens, self._vocabulary)
        if not said.ended:
            words = words[: guard.before_a_loop(tuple(map(_key, words)))]
        text = "".join(w.text for w in words)
        if not words or not guard.is_said(text, float(np.mean(said.log_probabilities)), speechlike=speechlike):
            return Transcript(sure=clip.last)  # with silence after it, it may say more
        known = known.kept(said, tuple(map(_key, words)), len(samples))
        if not clip.last:
            known = self._anchor(samples, said, words, known)
            self._known[clip.pcm[:_HEAD]] = replace(known, size=len(clip.pcm), sound=_digest(clip.pcm))
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
        spans = times.spread([w.text for w in words], samples, known.anchors)
        heard = tuple(
            ClipWord(w.text, start, end, exp(float(np.mean(said.log_probabilities[w.first : w.last]))))
            for w, (start, end) in zip(words, spans, strict=True)
        )
        return Transcript(heard, sure=clip.last or text.endswith(_STOPS))

    def close(self) -> None:
        self._known.clear()

    def _decode(self, samples: Floats, draft: Sequence[int]) -> Said:
        states = self._network.encode(samples)
        begin, end = self._vocabulary.begin, self._vocabulary.end
        return self._network.decode(states, begin, end, most_tokens(len(samples)), draft)

    def _anchor(self, samples: Floats, said: Said, words: Sequence[tokens.Spoken], known: _Known) -> _Known:
        """With the anchors that can be found after the last one."""
        anchors = list(known.anchors)
        loud = times.levels(samples)
        tried = known.tried
        while len(samples) >= _FIRST:
            last = anchors[-1] if anchors else Anchor(0, 0)
            begin = max(tried, last.sample) + _APART
            if begin + _APART > len(samples) - _TAIL:
                break
            tried = begin
            (moment,) = times.quiet_moments(loud, [(tried, tried + _APART)])
            found = self._said_by(moment, samples, said, words, last)
            if found is not None:
                anchors.append(found)
        return replace(known, anchors=tuple(anchors), tried=tried)

    def _said_by(
        self, moment: int, samples: Floats, said: Said, words: Sequence[tokens.Spoken], last: Anchor
    ) -> Anchor | None:
        """How many words had been said then, by what is heard since the last anchor; None if that is not sure."""
        heard = samples[last.sample : moment]
        if is_quiet(heard):
            return Anchor(moment, last.words)
        first = words[last.words].first if last.words < len(words) else len(said.tokens)
        found = tokens.spoken(self._decode(heard, said.tokens[first:]).tokens, self._vocabulary)
        more = times.beginning(tuple(map(_key, found)), tuple(map(_key, words[last.words :])))
        return None if more is None else Anchor(moment, last.words + more)


def _vocabulary(files: MoonshineFiles) -> tokens.Vocabulary:
    try:
        return tokens.read(files.tokenizer.read_bytes())
    except (OSError, ValueError) as error:
        raise Misconfigured(f"{files.tokenizer} {error}; get the model again", reason="BAD_MODEL") from error


def _digest(pcm: bytes) -> bytes:
    return blake2b(pcm, digest_size=16).digest()


def _key(word: tokens.Spoken) -> str:
    return "".join(filter(str.isalnum, word.text.casefold()))
