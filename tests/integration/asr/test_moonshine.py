"""Moonshine through the real ASR worker, with its own model: what it hears of espeak's voice, and what is no model."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from asr.engines.moonshine.files import bundled
from asr.engines.moonshine.model import MoonshineTranscriber
from asr.transcriber import Clip
from base.audio import UPLINK_RATE
from base.errors import AntiphonError, Misconfigured
from benchmarks.words import edits, words
from tests.support.moonshine import needs_moonshine
from tests.support.recognition import Stream, asr_worker
from tests.support.speech import chords, cough, hum, speaking, white_noise

pytestmark = [pytest.mark.integration, needs_moonshine]

ROOM = bytes(UPLINK_RATE)  # half a second
SHORT = "please remind me to call my mother tonight"
LONG = (
    "the train leaves at seven in the morning and my brother lives in a small village near the river",
    "it will rain again tomorrow afternoon so we should meet for lunch on friday in the old house",
    "the children are playing in the garden and my sister wants a cup of coffee with milk",
    "could you tell me how far it is from here to the station and where the next bus stops",
    "we bought bread and apples at the market and then we walked home along the wide road",
)


def worker(model: str = "", **settings: Any) -> Any:
    return asr_worker(engine="moonshine", model=model, threads=1, **settings)


async def opened(stub: Any, **config: Any) -> Stream:
    stream = Stream(stub)
    await stream.open(**config)
    return stream


@pytest.fixture(scope="module")
def say() -> Iterator[Callable[[str], bytes]]:
    with speaking() as say:
        yield say


def apart(one: str, other: str) -> float:
    """Of two transcripts: words that differ, over those there are."""
    return edits(words(one), words(other)) / max(1, len(words(one)))


async def test_it_says_what_it_is_and_that_phrases_do_not_help_it() -> None:
    async with worker() as stub:
        stream = Stream(stub)
        ready = await stream.open(language="en-GB", phrases=("a", "b"))
        assert (ready.model, list(ready.languages)) == ("moonshine-tiny-en", ["en"])
        assert ["2 phrases" in warning for warning in ready.warnings] == [True]
        plain = Stream(stub)
        assert not (await plain.open()).warnings
        foreign = Stream(stub)
        with pytest.raises((EOFError, grpc.aio.AioRpcError)):
            await foreign.open(language="de")
        assert "it hears: en" in await foreign.call.details()


async def test_streaming_hears_what_decoding_the_whole_clip_hears(say: Callable[[str], bytes]) -> None:
    pcm = ROOM + say(SHORT) + ROOM
    async with worker() as stub:
        stream = await opened(stub)
        await stream.say(1, pcm, sample=160_000, pace=0.05)
        await stream.end(1)
        streamed = await stream.final(1)
        whole = await stream.hear(2, pcm)
    assert len(words(whole.text)) > 4
    assert apart(whole.text, streamed.text) <= 0.2
    published = ""
    for partial in stream.partials[1]:
        assert partial.text.startswith(published)
        published = partial.text[: partial.stable]
    assert published
    assert streamed.text.startswith(published)
    at = 160_000
    for word in streamed.words:
        assert at <= word.start_sample <= word.end_sample <= 160_000 + len(pcm) // 2
        assert 0.0 < word.confidence <= 1.0
        at = word.start_sample


async def test_long_speech_without_a_pause_loses_and_doubles_nothing(say: Callable[[str], bytes]) -> None:
    """Cut after cut; against what the same recogniser hears of each piece alone."""
    pieces = [say(text) for text in LONG]
    async with worker() as stub:
        stream = await opened(stub)
        alone = [(await stream.hear(n, ROOM + pcm + ROOM)).text for n, pcm in enumerate(pieces)]
        pcm = b"".join(pieces)
        assert len(pcm) > 20 * 2 * UPLINK_RATE
        await stream.say(100, pcm, pace=0.05)
        await stream.end(100)
        streamed = (await stream.final(100)).text
    heard = words(" ".join(alone))
    assert abs(len(words(streamed)) - len(heard)) <= 0.1 * len(heard)
    assert apart(" ".join(alone), streamed) <= 0.25


async def test_noise_has_no_words_and_no_partials() -> None:
    async with worker() as stub:
        stream = await opened(stub)
        for number, noise in enumerate((bytes(64_000), hum(2.0), white_noise(2.0), chords(2.0), cough())):
            await stream.say(number, noise, pace=0.02)
            await stream.end(number)
            assert (await stream.final(number)).text == ""
            assert not stream.partials.get(number)


def test_a_click_a_knock_and_a_moment_of_noise_have_no_words() -> None:
    folder = bundled()
    assert folder is not None
    transcriber = MoonshineTranscriber(str(folder), 1)
    random = np.random.default_rng(1)
    for ms in (10, 50, 100, 200):
        for level in (300, 3_000):
            noise = random.normal(0, level, 16 * ms)
            for sound in (noise, noise * np.exp(-np.arange(len(noise)) / (len(noise) / 5))):
                pcm = ROOM + np.clip(sound, -32_768, 32_767).astype("<i2").tobytes() + ROOM
                assert transcriber.transcribe(Clip(pcm, last=True)).words == ()


def test_what_has_no_words_yet_is_decoded_once_more_when_it_has_ended(say: Callable[[str], bytes]) -> None:
    """Of some it says nothing until it is sure that nothing follows."""
    folder = bundled()
    assert folder is not None
    transcriber = MoonshineTranscriber(str(folder), 1)
    for text in ("hello there", "no", "stop"):
        pcm = bytes(9_600) + say(text) + bytes(9_600)
        for end in range(len(pcm) - 12_800, len(pcm) + 1, 3_200):
            growing, last = (transcriber.transcribe(Clip(pcm[:end], last=last)) for last in (False, True))
            assert growing.words or not growing.sure or not last.words


def test_what_is_known_of_another_utterance_changes_nothing(say: Callable[[str], bytes]) -> None:
    """Neither words, which a draft may tip where they are noisy, nor times; both begin with the same silence."""
    folder = bundled()
    assert folder is not None
    fresh, used = (MoonshineTranscriber(str(folder), 1) for _ in range(2))
    first = Clip(6 * ROOM + say(LONG[0]))  # somebody who said nothing for three seconds
    second = noisy(ROOM, ROOM + say(SHORT) + say(LONG[1]) + ROOM)
    assert used.transcribe(first).words
    found = [t.transcribe(Clip(second)) for t in (fresh, used)]
    assert found[0].words
    assert found[0] == found[1]


def noisy(before: bytes, pcm: bytes) -> bytes:
    noise = np.random.default_rng(3).normal(0, 600, len(pcm) // 2)
    return before + np.clip(np.frombuffer(pcm, dtype="<i2") + noise, -32_768, 32_767).astype("<i2").tobytes()


def test_a_growing_clip_has_words_with_times_that_stay(say: Callable[[str], bytes]) -> None:
    folder = bundled()
    assert folder is not None
    transcriber = MoonshineTranscriber(str(folder), 1)
    pcm = ROOM + say(LONG[0]) + say(LONG[1]) + ROOM
    for end in range(22_400, len(pcm), 22_400):
        words = transcriber.transcribe(Clip(pcm[:end])).words
        at = 0
        for word in words:
            assert at <= word.start <= word.end <= end // 2
            at = word.start
    assert len(words) > 20


def test_an_utterance_that_ended_does_not_read_as_one_that_goes_on(say: Callable[[str], bytes]) -> None:
    """A clip that ends with its last word gets a comma; after the last decode nothing follows."""
    folder = bundled()
    assert folder is not None
    transcriber = MoonshineTranscriber(str(folder), 1)
    pcm = ROOM + say(SHORT)
    growing, last = (transcriber.transcribe(Clip(pcm, last=last)) for last in (False, True))
    assert growing.sure == growing.words[-1].text.endswith((".", "?", "!"))
    assert last.sure
    assert last.words[-1].text.endswith((".", "?", "!"))


# --- models that are none ---------------------------------------------------------------------------------------------


async def refused(model: str, **settings: Any) -> AntiphonError:
    """Why the worker does not start."""
    with pytest.raises((AntiphonError, BaseExceptionGroup)) as caught:
        async with worker(model, **settings):
            pass
    error: BaseException = caught.value
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, Misconfigured), error
    return error


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    folder = bundled()
    assert folder is not None
    return Path(shutil.copytree(folder, tmp_path / "broken"))


PARTS = ["encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin"]


@pytest.mark.parametrize("part", PARTS)
async def test_parts_that_are_missing_are_named(broken: Path, part: str) -> None:
    (broken / part).unlink()
    error = await refused(str(broken))
    assert (error.reason, part in error.message) == ("PARTS_MISSING", True)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("keep", [0, 10, 5_000])
async def test_a_truncated_part_is_told(broken: Path, part: str, keep: int) -> None:
    (broken / part).write_bytes((broken / part).read_bytes()[:keep])
    error = await refused(str(broken))
    assert error.reason == "BAD_MODEL"
    assert str(broken / part) in error.message


async def test_a_tokenizer_that_lacks_tokens_is_told(broken: Path) -> None:
    """One that is cut between two tokens reads like a whole one, and would leave words out."""
    path = broken / "tokenizer.bin"
    data = path.read_bytes()
    end = data.index("▁the".encode())
    path.write_bytes(data[: end - 1])
    error = await refused(str(broken))
    assert (error.reason, "tokens" in error.message) == ("BAD_MODEL", True)
    assert str(path) in error.message


async def test_networks_that_are_swapped_are_told(broken: Path) -> None:
    encoder, decoder = (broken / part for part in PARTS[:2])
    encoder.rename(broken / "away")
    decoder.rename(encoder)
    (broken / "away").rename(decoder)
    error = await refused(str(broken))
    assert (error.reason, "is not Moonshine's" in error.message) == ("BAD_MODEL", True)


async def test_a_directory_that_is_none_and_a_device_that_it_cannot_use_are_told(tmp_path: Path) -> None:
    assert (await refused("nowhere", models_dir=str(tmp_path))).reason == "NO_SUCH_MODEL"
    assert (await refused("a\0b")).reason == "BAD_PATH"
    error = await refused("", device="cuda")
    assert (error.reason, "cpu" in error.message) == ("NO_CUDA", True)


async def test_a_directory_like_the_packages_is_heard_with(broken: Path) -> None:
    async with worker(broken.name, models_dir=str(broken.parent)) as stub:
        assert (await Stream(stub).open()).model == "broken"
