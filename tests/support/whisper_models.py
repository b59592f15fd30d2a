"""Tiny Whisper models that the real code loads and decodes with, and the sounds that they understand.

A model is made with CTranslate2's own spec classes, the ones its converter fills, and saved as a converter saves it.
Its weights are not trained but set, so that it understands a made-up speech: every word takes half a second and is a
gliding hum with a whistle in it, whose height tells which word it is. The encoder tells the whistles apart and marks
each moment with the half second that it lies in; the decoder, at its nth word, attends to the nth half second and says
the word that it finds there, or ends where there is none. So what comes out depends on what went in, word by word,
through mel spectrogram, cross-attention, timestamps and alignment of the real implementation.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from base.audio import UPLINK_RATE, from_float

WORDS = (
    "what",
    "time",
    "is",
    "it",
    "tell",
    "me",
    "a",
    "story",
    "yes",
    "no",
    "one",
    "two",
    "three.",
    "ja",
    "nein",
    "gut",
)
GERMAN = ("ja", "nein", "gut")
SLOT_S = 0.5
SLOTS = 60
WIDTH = 80
LANGUAGES = ("en", "de", "fr")
TIMESTAMPS = 1501
_TALL = 10.0
"""Of what marks a half second."""
_AT = 16
"""Where the marks begin; before them stand the words."""
_BAND = 45
"""The mel band of the first word's whistle; the others follow every second band."""

Floats = NDArray[np.float32]


def sound(text: str, *, level: float = 0.1) -> bytes:
    """`text`, which consists of WORDS, as the models hear it; mono s16le at 16 kHz."""
    return b"".join(_word(WORDS.index(word), level) for word in text.split())


def _word(number: int, level: float) -> bytes:
    t = np.arange(round(SLOT_S * UPLINK_RATE)) / UPLINK_RATE
    x = t / SLOT_S
    envelope = 0.08 + 0.92 * np.sin(np.pi * x) ** 2
    voice = np.zeros(len(t))
    formant = 300 + 900 * (1 - np.abs(2 * x - 1))
    for n in range(1, 14):
        hz = 110 * n
        voice += np.sin(2 * np.pi * hz * t) / (1 + ((hz - formant) / 120) ** 2)
    whistle = np.sin(2 * np.pi * _hz(_BAND + 2 * number) * t)
    mixed = envelope * (voice * 0.5 + whistle)
    return from_float(np.clip(mixed * level * 2, -0.99, 0.99).astype(np.float32))


def _hz(band: int) -> float:
    mel = (band + 1) * 45.245640471924965 / 81
    return float(1000 * np.exp(np.log(6.4) / 27 * (mel - 15)))


def in_a_room(text: str) -> bytes:
    """`text` after a quiet second and a hum, and before a quiet second: what a microphone hears of it. Its first word
    begins half a second after what a session gives to the recogniser, which hears 0.3 s of the room first: it is for a
    model with `lead=1`."""
    quiet = from_float((np.random.default_rng(1).standard_normal(UPLINK_RATE) * 3e-4).astype(np.float32))
    t = np.arange(UPLINK_RATE // 5) / UPLINK_RATE
    hum = sum(np.sin(2 * np.pi * 110 * n * t) / (1 + ((110 * n - 700) / 120) ** 2) for n in range(1, 14))
    return quiet + from_float((0.1 * hum).astype(np.float32)) + sound(text) + quiet


def build(
    folder: Path, *, multilingual: bool = False, chatter: str = "", words: Sequence[str] = WORDS, lead: int = 0
) -> Path:
    """A model in `folder`, the same one every time. `chatter`: it says these of its words whatever it hears. `lead`: so
    many half seconds go before the first word."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = _vocabulary(words, multilingual)
    spec = _spec(vocabulary, words, multilingual, chatter.split(), lead)
    spec.register_vocabulary(vocabulary)
    spec.validate()
    spec.optimize(quantization="int8")
    spec.save(str(folder))
    _tokenizer(vocabulary).save(str(folder / "tokenizer.json"))
    (folder / "preprocessor_config.json").write_text(json.dumps({"feature_size": 80}))
    return folder


# --- tokens -----------------------------------------------------------------------------------------------------------


def _bytes() -> list[str]:
    """The 256 characters that stand for bytes in a byte-level BPE."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in kept]
    return [chr(b) for b in kept] + [chr(256 + n) for n in range(len(rest))]


def _vocabulary(words: Sequence[str], multilingual: bool) -> list[str]:
    text = [*_bytes(), *(f"Ġ{word}" for word in words)]
    special = ["<|endoftext|>", "<|startoftranscript|>", *(f"<|{code}|>" for code in LANGUAGES)]
    special += ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>"]
    special += ["<|notimestamps|>", *(f"<|{n * 0.02:.2f}|>" for n in range(TIMESTAMPS))]
    # CTranslate2 tells a multilingual model by a token that is empty.
    return [*text, *([""] if multilingual else []), *special]


def _tokenizer(vocabulary: list[str]) -> Any:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    first = vocabulary.index("<|endoftext|>")
    ids = {token: id for id, token in enumerate(vocabulary[:first])}
    made = Tokenizer(models.BPE(vocab=ids, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in vocabulary[first:]])
    assert made.token_to_id("<|notimestamps|>") == vocabulary.index("<|notimestamps|>")
    return made


# --- weights ----------------------------------------------------------------------------------------------------------


def _zeros(*shape: int) -> Floats:
    return np.zeros(shape, dtype=np.float32)


def _linear(spec: Any, out: int, into: int = WIDTH) -> Floats:
    """A linear layer of zeros; returns its weights, to be set."""
    spec.weight, spec.bias = _zeros(out, into), _zeros(out)
    weight: Floats = spec.weight
    return weight


def _norm(spec: Any) -> None:
    spec.gamma, spec.beta = np.ones(WIDTH, dtype=np.float32), _zeros(WIDTH)


def _spec(vocabulary: list[str], words: Sequence[str], multilingual: bool, chatter: Sequence[str], lead: int) -> Any:
    from ctranslate2.specs import WhisperSpec

    spec = WhisperSpec(1, 1, 1, 1)
    config = spec.config
    config.suppress_ids = []
    config.suppress_ids_begin = [vocabulary.index("Ġ"), vocabulary.index("<|endoftext|>")]
    config.alignment_heads = [(0, 0)]
    config.lang_ids = [vocabulary.index(f"<|{code}|>") for code in LANGUAGES]
    _encoder(spec.encoder, len(words))
    _decoder(spec.decoder, vocabulary, words, multilingual, chatter, lead)
    return spec


def _encoder(spec: Any, words: int) -> None:
    first, second = _zeros(WIDTH, 80, 3), _zeros(WIDTH, WIDTH, 3)
    bias = _zeros(WIDTH)
    for number in range(words):
        # A whistle gives about 1.16 in its band, a little less the higher it is, and 0.2 less in the bands beside it.
        first[number, _BAND + 2 * number, 1] = 16.0
        bias[number] = -16.0 * (0.85 - 0.0083 * number)
        second[number, number, 1] = 1.0
    spec.conv1.weight, spec.conv1.bias = first, bias
    spec.conv2.weight, spec.conv2.bias = second, _zeros(WIDTH)
    marks = _zeros(1500, WIDTH)
    for frame in range(1500):
        marks[frame, _AT + int(frame * 0.02 / SLOT_S)] = _TALL
    spec.position_encodings.encodings = marks
    _norm(spec.layer_norm)
    layer = spec.layer[0]
    _norm(layer.self_attention.layer_norm)
    _linear(layer.self_attention.linear[0], 3 * WIDTH)
    _linear(layer.self_attention.linear[1], WIDTH)
    _feed_forward(layer.ffn)


def _feed_forward(spec: Any) -> None:
    _norm(spec.layer_norm)
    _linear(spec.linear_0, WIDTH)
    _linear(spec.linear_1, WIDTH)


def _decoder(
    spec: Any, vocabulary: list[str], words: Sequence[str], multilingual: bool, chatter: Sequence[str], lead: int
) -> None:
    # The language is told by the first half second. The last token of the prompt gives the timestamp that must come
    # first, and the timestamp the first word.
    places = _zeros(448, WIDTH)
    before = 3 if multilingual else 1
    places[0, _AT + lead] = _TALL
    for slot in range(SLOTS - lead):
        if before + slot:
            places[before + slot, _AT + slot + lead] = _TALL
    for slot, word in enumerate(chatter):
        # As likely as two others: what a model says that has heard nothing.
        for other in range(3):
            places[before + slot, (list(words).index(word) + other) % len(words)] = 20.0
    spec.embeddings.weight = _zeros(len(vocabulary), WIDTH)
    spec.position_encodings.encodings = places
    _norm(spec.layer_norm)
    layer = spec.layer[0]
    _norm(layer.self_attention.layer_norm)
    _linear(layer.self_attention.linear[0], 3 * WIDTH)
    _linear(layer.self_attention.linear[1], WIDTH)
    _norm(layer.attention.layer_norm)
    marks = np.arange(_AT, _AT + SLOTS)
    queries = _linear(layer.attention.linear[0], WIDTH)
    queries[marks, marks] = 2.5
    keys_and_values = _linear(layer.attention.linear[1], 2 * WIDTH)
    keys_and_values[marks, marks] = 1.0
    said = np.arange(len(words))
    keys_and_values[WIDTH + said, said] = 1.0
    out = _linear(layer.attention.linear[2], WIDTH)
    out[said, said] = 8.0
    _feed_forward(layer.ffn)
    projection = _linear(spec.projection, len(vocabulary))
    for number, word in enumerate(words):
        projection[vocabulary.index(f"Ġ{word}"), number] = 15.0
        if word in GERMAN:
            projection[vocabulary.index("<|de|>"), number] = 15.0
    spec.projection.bias[vocabulary.index("<|en|>")] = 12.0
    spec.projection.bias[vocabulary.index("<|endoftext|>")] = 24.0
    spec.projection.bias[vocabulary.index("<|0.00|>")] = 12.0
