"""What every recogniser keeps to behind the ASR worker's gRPC, the scripted one and the real ones alike.

Whisper hears with a tiny model of our own, whose speech is made of sounds that stand for words. Moonshine hears with
its own model, and writes as people do: "What time is it?".
"""

import asyncio
import itertools
import time

import grpc
import pytest

from asr.engines.pocketsphinx import PocketSphinxRecognizer
from asr.recognizer import RecognizerConfig
from benchmarks.words import words
from tests.support import whisper_models
from tests.support.moonshine import needs_moonshine
from tests.support.recognition import Stream, asr_worker
from tests.support.speech import chords, hum, speaking, white_noise

pytestmark = pytest.mark.contract

PHRASES = ("what time is it", "tell me a story")
WORKERS = {
    "scripted": {"engine": "scripted", "script": PHRASES},
    "pocketsphinx": {"engine": "pocketsphinx", "decoders": 2},
    "moonshine": {"engine": "moonshine", "threads": 1},
    "whisper": {"engine": "whisper", "threads": 1},
}
MARKS = {"moonshine": needs_moonshine}
QUIET = bytes(16_000 * 2 // 2)


@pytest.fixture(params=[pytest.param(name, marks=MARKS.get(name, ())) for name in WORKERS])
def engine(request):
    return request.param


@pytest.fixture(scope="module")
def whisper_model(tmp_path_factory):
    return str(whisper_models.build(tmp_path_factory.mktemp("models") / "tiny.en"))


@pytest.fixture
async def stub(engine, whisper_model):
    model = {"model": whisper_model} if engine == "whisper" else {}
    async with asr_worker(**WORKERS[engine], **model) as made:
        yield made


@pytest.fixture(scope="module")
def human_speech():
    with speaking() as say:
        yield {phrase: QUIET[:9600] + say(phrase) + QUIET[:6400] for phrase in PHRASES}


@pytest.fixture
def speech(engine, human_speech):
    if engine == "whisper":
        return {phrase: whisper_models.sound(phrase) + QUIET[:6400] for phrase in PHRASES}
    return human_speech


@pytest.fixture
def phrases(engine):
    """What helps a recogniser. Our tiny Whisper model is none that could make use of a prompt; it is moved by one."""
    return () if engine == "whisper" else PHRASES


def plain(text):
    """As it was said, however it is written."""
    return " ".join(words(text))


async def opened(stub, **config):
    stream = Stream(stub)
    await stream.open(**config)
    return stream


async def test_it_says_what_it_hears_in_partials_and_one_final(stub, speech, phrases):
    stream = await opened(stub, language="en", phrases=phrases)
    await stream.say(1, speech[PHRASES[0]] + QUIET, pace=0.05)
    await stream.end(1)
    final = await stream.final(1)
    assert plain(final.text) == PHRASES[0]
    assert 0.0 < final.confidence <= 1.0
    assert stream.partials[1]
    assert " ".join(w.text for w in final.words) == final.text
    assert all(w.start_sample <= w.end_sample for w in final.words)
    assert all(0.0 <= w.confidence <= 1.0 for w in final.words)


async def test_words_lie_in_the_sessions_media_time(stub, speech, phrases):
    stream = await opened(stub, phrases=phrases)
    pcm = speech[PHRASES[0]]
    await stream.say(1, pcm, sample=160_000)
    await stream.end(1)
    final = await stream.final(1)
    assert final.words
    assert all(160_000 <= w.start_sample <= w.end_sample <= 160_000 + len(pcm) // 2 + 16_000 for w in final.words)


async def test_many_utterances_share_a_stream_in_order(stub, speech, phrases):
    stream = await opened(stub, phrases=phrases)
    for utterance, phrase in enumerate(PHRASES, 1):
        assert plain((await stream.hear(utterance, speech[phrase])).text) == phrase


async def test_a_cancelled_utterance_has_no_final_and_the_next_is_heard(stub, speech, phrases):
    stream = await opened(stub, phrases=phrases)
    await stream.say(1, speech[PHRASES[0]][:16_000])
    await stream.cancel(1)
    assert plain((await stream.hear(2, speech[PHRASES[1]])).text) == PHRASES[1]
    await stream.done()
    assert 1 not in stream.ends


async def test_an_utterance_without_audio_has_no_words_and_deafens_nobody(stub, speech, phrases):
    stream, other = await opened(stub, phrases=phrases), await opened(stub)
    heard = (await stream.hear(1, speech[PHRASES[0]])).text
    assert heard
    for utterance in range(1, 4):  # on every decoder there is
        await other.audio(utterance, b"")
        await other.end(utterance)
        assert isinstance((await other.final(utterance)).text, str)
    assert plain((await stream.hear(2, speech[PHRASES[1]])).text) == PHRASES[1]


@pytest.mark.parametrize("data", [b"\0", bytes(16_000 * 2 * 3)], ids=["odd", "too long"])
async def test_bad_audio_ends_its_utterance_only(stub, speech, phrases, data):
    stream = await opened(stub, phrases=phrases)
    await stream.audio(1, data)
    error = await stream.error(1)
    assert "bytes" in error.message
    assert error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert isinstance((await stream.hear(2, speech[PHRASES[1]])).text, str)


async def test_audio_before_config_is_refused(stub):
    stream = Stream(stub)
    await stream.audio(1, QUIET[:3200])
    assert await stream.call.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "config" in await stream.call.details()


async def test_a_language_that_it_does_not_hear_is_refused_with_those_it_does(stub):
    stream = Stream(stub)
    with pytest.raises((EOFError, grpc.aio.AioRpcError)):
        await stream.open(language="ja")
    details = await stream.call.details()
    assert "ja" in details
    assert "en" in details


async def test_two_sessions_do_not_hear_each_other(stub, speech, phrases):
    async def hear(phrase):
        stream = await opened(stub, phrases=phrases and (phrase,))
        return [plain((await stream.hear(u, speech[phrase])).text) for u in (1, 2)]

    one, other = await asyncio.gather(*(hear(p) for p in PHRASES))
    if one != list(PHRASES):  # the scripted one says what its script says
        assert (one, other) == ([PHRASES[0]] * 2, [PHRASES[1]] * 2)


async def test_an_utterance_that_nobody_ends_dies_with_its_stream(stub, speech, phrases):
    for _ in range(5):
        stream = await opened(stub)
        await stream.say(1, speech[PHRASES[0]])
        stream.call.cancel()
    stream = await opened(stub, phrases=phrases)
    async with asyncio.timeout(30):
        for utterance in itertools.count(1):
            await stream.say(utterance, speech[PHRASES[0]])
            await stream.end(utterance)
            end = await stream.wait_end(utterance)
            if getattr(end, "reason", "") != "AT_CAPACITY":
                break  # those that were left behind are gone
    assert plain(end.text) in PHRASES


@pytest.mark.parametrize(
    "engine", ["pocketsphinx", "whisper", pytest.param("moonshine", marks=needs_moonshine)], indirect=True
)
@pytest.mark.parametrize("noise", [hum, white_noise, chords, None])
async def test_noise_has_no_words(stub, noise):
    stream = await opened(stub)
    pcm = bytes(16_000 * 2 * 2) if noise is None else noise(2.0)
    final = await stream.hear(1, pcm)
    assert final.text == ""
    await stream.done()


def test_music_takes_next_to_no_time_to_decode():
    recognizer = PocketSphinxRecognizer()
    decoder = recognizer.open(RecognizerConfig("en"))
    began = time.process_time()
    for utterance in (1, 2):
        decoder.start(utterance, 0)
        pcm = chords(12.0)
        for at in range(0, len(pcm), 3_200):
            decoder.push(pcm[at : at + 3_200])
        assert decoder.finish().text == ""
    assert time.process_time() - began < 12.0  # half of real time


async def test_who_speaks_after_much_music_is_heard(human_speech):
    async with asr_worker(engine="pocketsphinx", decoders=1) as stub:
        stream = await opened(stub, phrases=PHRASES)
        final = await stream.hear(1, chords(5.5) + human_speech[PHRASES[0]])
        assert final.text == PHRASES[0]
        assert final.words[0].start_sample > 5 * 16_000
