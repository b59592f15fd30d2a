"""Moonshine's two networks in ONNX Runtime: what was heard as states, and tokens from them, the likeliest each time.

Jeffries et al. 2024, "Moonshine: Speech Recognition for Live Transcription and Voice Commands": the encoder takes the
waveform as it is, of any length, and makes a state of every 384 samples; the decoder says a token at a time and keeps
keys and values of what it said and of what it hears. How many layers, heads and dimensions there are is asked of the
decoder's own inputs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from base.errors import Misconfigured

HOP = 384
"""Samples from one state to the next."""
SHORTEST = 2_000
"""Samples: the encoder's own convolutions need some 1400; what is shorter is followed by silence."""
TOKENS_A_SECOND = 6.5
"""More nobody says; without this limit a decode may go round in circles (the paper's own way)."""
TOKENS_MORE = 2
_PAST = re.compile(r"past_key_values\.(\d+)\.(decoder|encoder)\.(key|value)")

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Said:
    """Tokens with the logarithm of each one's probability. `ended`: the network said so, and not the limit."""

    tokens: tuple[int, ...]
    log_probabilities: tuple[float, ...]
    ended: bool


class Network:
    """Raises Misconfigured, which names the file, for a network that cannot be loaded or is another one."""

    def __init__(self, encoder: Path, decoder: Path, threads: int) -> None:
        self._encoder = _open(encoder, threads)
        self._decoder = _open(decoder, threads)
        takes = {each.name for each in self._encoder.get_inputs()}
        if "input_values" not in takes or not takes <= {"input_values", "attention_mask"}:
            raise _other(encoder, takes, "input_values")
        self._masked = "attention_mask" in takes
        inputs = {each.name: each.shape for each in self._decoder.get_inputs()}
        self._past = {name: shape for name, shape in inputs.items() if _PAST.fullmatch(name)}
        needed = {"input_ids", "encoder_hidden_states", "use_cache_branch", *self._past}
        if not self._past or set(inputs) - {"encoder_attention_mask"} != needed:
            raise _other(decoder, set(inputs), "input_ids, encoder_hidden_states, use_cache_branch, past_key_values.…")
        self._decoder_masked = "encoder_attention_mask" in inputs
        size = next((each.shape[-1] for each in self._decoder.get_outputs() if each.name == "logits"), 0)
        self.vocabulary: int = size if isinstance(size, int) else 0
        """How many tokens it knows; 0 where its file does not tell."""
        self._own = [name for name in self._past if ".decoder." in name]
        self._heard = [name for name in self._past if ".encoder." in name]

    def encode(self, samples: Floats) -> Floats:
        """States, (1, count, size), of mono samples at 16 kHz; full scale is 1."""
        if len(samples) < SHORTEST:
            samples = np.pad(samples, (0, SHORTEST - len(samples)))
        feed: dict[str, Any] = {"input_values": samples[None, :]}
        if self._masked:
            feed["attention_mask"] = np.ones((1, len(samples)), np.int64)
        states: Floats = self._encoder.run(None, feed)[0]
        return states

    def decode(self, states: Floats, begin: int, end: int, most: int, draft: Sequence[int] = ()) -> Said:
        """At most `most` tokens. `draft` is a guess of them, such as what a decode of less audio said: one run tells
        how far it holds, which costs little more than one token does. Where one of its tokens is another, the rest is
        tried after that one.
        """
        cache = self._begin(states)
        tokens: list[int] = []
        sure: list[float] = []
        guess = tuple(draft[:most])
        rows = self._more(states, (begin, *guess), cache)
        at = 0
        while True:
            token = int(rows[at].argmax())
            if token == end or len(tokens) == most:
                return Said(tuple(tokens), tuple(sure), token == end)
            sure.append(float(rows[at, token] - _log_sum(rows[at])))
            tokens.append(token)
            if at < len(guess) and token == guess[at]:
                at += 1
                continue
            if at < len(guess):
                self._forget(cache, len(tokens))
            # Two misses in a row: it is a guess no longer.
            guess = guess[at + 1 :] if at or len(tokens) == 1 else ()
            rows = self._more(states, (token, *guess), cache)
            at = 0

    def _begin(self, states: Floats) -> dict[str, Any]:
        """Nothing said, and nothing of the states kept yet."""
        return {name: np.zeros((1, shape[1], 0, shape[3]), np.float32) for name, shape in self._past.items()}

    def _forget(self, cache: dict[str, Any], length: int) -> None:
        """What was taken in after the first `length` tokens."""
        for name in self._own:
            cache[name] = np.ascontiguousarray(cache[name][:, :, :length])

    def _more(self, states: Floats, tokens: Sequence[int], cache: dict[str, Any]) -> Floats:
        """The logits of what follows each of `tokens`; `cache` then knows that they were said."""
        first = not cache[self._own[0]].shape[2]
        kept = [*self._own, *self._heard] if first else self._own
        wanted = ["logits", *(name.replace("past_key_values", "present") for name in kept)]
        logits, *presents = self._run(states, tokens, cache, wanted)
        cache.update(zip(kept, presents, strict=True))
        found: Floats = logits[0]
        return found

    def _run(self, states: Floats, tokens: Sequence[int], cache: Mapping[str, Any], wanted: Sequence[str]) -> list[Any]:
        feed = {
            "input_ids": np.array([tokens], np.int64),
            "encoder_hidden_states": states,
            "use_cache_branch": np.array([cache[self._own[0]].shape[2] > 0]),
            **cache,
        }
        if self._decoder_masked:
            # One for each sample, of which the network takes every 384th.
            feed["encoder_attention_mask"] = np.ones((1, states.shape[1] * HOP), np.int64)
        found: list[Any] = self._decoder.run(wanted, feed)
        return found


def most_tokens(samples: int) -> int:
    return int(TOKENS_A_SECOND * samples / 16_000) + TOKENS_MORE


def _log_sum(logits: Floats) -> float:
    top = float(logits.max())
    return top + float(np.log(np.exp(logits - top).sum()))


def _open(path: Path, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Between decodes there is nothing to wait for in a loop.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has no common base of its errors
        raise Misconfigured(
            f"{path} cannot be loaded: {str(error)[:300]}; get the model again", reason="BAD_MODEL"
        ) from error


def _other(path: Path, takes: set[str], wanted: str) -> Misconfigured:
    return Misconfigured(
        f"{path} is not Moonshine's: it takes {', '.join(sorted(takes))[:300]}; wanted is {wanted}", reason="BAD_MODEL"
    )
