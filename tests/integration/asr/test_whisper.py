"""Whisper through the real ASR worker: real loading and decoding, of tiny models."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest

from asr.app import serving
from asr.settings import AsrWorkerSettings
from base import rpc
from base.errors import AntiphonError, Misconfigured
from pb.antiphon.v1 import models_pb2, models_pb2_grpc, recognition_pb2_grpc, registry_pb2
from tests.support import whisper_models
from tests.support.recognition import Stream, asr_worker
from tests.support.speech import chords, cough, hum, white_noise
from tests.support.whisper_models import sound

pytestmark = pytest.mark.integration

LIMIT_S = 30.0


@pytest.fixture(scope="module")
def english(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whisper_models.build(tmp_path_factory.mktemp("models") / "tiny.en")


@pytest.fixture(scope="module")
def multilingual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whisper_models.build(tmp_path_factory.mktemp("models") / "tiny", multilingual=True)


def worker(folder: Path, **settings: Any) -> Any:
    return asr_worker(engine="whisper", model=str(folder), threads=1, **settings)


async def opened(stub: Any, **config: Any) -> Stream:
    stream = Stream(stub)
    await stream.open(**config)
    return stream


async def test_what_is_said_comes_out_in_partials_and_a_final_with_times(english: Path) -> None:
    async with worker(english) as stub:
        stream = Stream(stub)
        ready = await stream.open()
        assert (ready.model, list(ready.languages)) == ("tiny.en", ["en"])
        await stream.say(1, sound("what time is it tell me a story"), sample=160_000, pace=0.05)
        await stream.end(1)
        final = await stream.final(1)
        assert final.text == "what time is it tell me a story"
        assert [(w.start_sample - 160_000) / 8_000 for w in final.words] == pytest.approx(range(8), abs=0.2)
        assert min(w.confidence for w in final.words) > 0.9
        published = ""
        for partial in stream.partials[1]:
            assert partial.text.startswith(published)
            published = partial.text[: partial.stable]
        assert published
        assert final.text.startswith(published)


async def test_streaming_hears_what_decoding_the_whole_clip_hears(english: Path) -> None:
    said = "yes no one two three. what time is it tell me a story two one no yes is it time"
    async with worker(english) as stub:
        stream = await opened(stub)
        await stream.say(1, sound(said), pace=0.03)
        await stream.end(1)
        assert (await stream.final(1)).text == said
        assert (await stream.hear(2, sound(said))).text == said


async def test_the_language_is_detected_and_kept_or_given(multilingual: Path) -> None:
    async with worker(multilingual) as stub:
        stream = Stream(stub)
        assert list((await stream.open()).languages) == ["en", "de", "fr"]
        assert (await stream.hear(1, sound("ja nein gut"))).text == "ja nein gut"
        german = await opened(stub, language="de-AT")
        assert (await german.hear(1, sound("gut ja"))).text == "gut ja"


async def test_a_language_that_the_model_lacks_is_refused_with_those_it_has(multilingual: Path) -> None:
    async with worker(multilingual) as stub:
        stream = Stream(stub)
        with pytest.raises((EOFError, grpc.aio.AioRpcError)):
            await stream.open(language="ja")
        assert "en, de, fr" in await stream.call.details()


async def test_phrases_reach_the_prompt(english: Path) -> None:
    """The model's places move by what stands before: with a prompt of n tokens it hears n words less."""
    said = "yes no one two three. what time is it tell me a story"
    async with worker(english) as stub:
        stream = await opened(stub, phrases=("ab",))  # "<|startofprev|>", " ", "a" and "b" are four
        assert (await stream.hear(1, sound(said))).text == "three. what time is it tell me a story"
        endless = await opened(stub, phrases=tuple(f"phrase number {n}" for n in range(2_000)))
        assert isinstance((await endless.hear(1, sound(said))).text, str)


@pytest.fixture(scope="module")
def chatterer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whisper_models.build(tmp_path_factory.mktemp("models") / "chatter", chatter="yes no one")


@pytest.mark.parametrize("noise", [hum, white_noise, chords, None])
async def test_a_model_that_talks_in_its_sleep_is_not_believed(chatterer: Path, noise: Any) -> None:
    async with worker(chatterer) as stub:
        stream = await opened(stub)
        pcm = bytes(64_000) if noise is None else noise(2.0)
        await stream.say(1, pcm, pace=0.02)
        await stream.end(1)
        assert (await stream.final(1)).text == ""
        assert not stream.partials.get(1)
        await stream.say(2, cough())
        await stream.end(2)
        assert (await stream.final(2)).text == ""
        assert (await stream.hear(3, sound("what time is it"))).text


async def test_it_is_loaded_and_unloaded_like_any_model(english: Path) -> None:
    settings = AsrWorkerSettings(registry="", engine="whisper", model=str(english), threads=1, linger_s=0.0)
    async with serving(settings) as service, rpc.channel(service.address) as channel:
        manager = models_pb2_grpc.ModelManagerStub(channel)
        listed = await manager.ListModels(models_pb2.ListModelsRequest())
        assert [(m.id, m.engine, m.device) for m in listed.models] == [("tiny.en", "whisper", "cpu")]
        await manager.UnloadModel(models_pb2.UnloadModelRequest(model="tiny.en", force=True))
        stream = await opened(recognition_pb2_grpc.SpeechToTextStub(channel))
        assert (await stream.hear(1, sound("tell me a story"))).text == "tell me a story"
        await service.drain()


async def test_a_model_that_is_gone_when_its_child_is_replaced_is_listed_as_failed_and_had_back(
    english: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(english, tmp_path / "tiny.en"))
    settings = AsrWorkerSettings(registry="", engine="whisper", model=str(folder), threads=1)
    async with serving(settings) as service, rpc.channel(service.address) as channel:
        manager = models_pb2_grpc.ModelManagerStub(channel)

        async def wait(state: registry_pb2.ModelState.ValueType) -> models_pb2.ModelStatus:
            async with asyncio.timeout(LIMIT_S):
                while True:
                    (model,) = (await manager.ListModels(models_pb2.ListModelsRequest())).models
                    if model.state == state:
                        return model
                    await asyncio.sleep(0.02)

        (folder / "tokenizer.json").rename(tmp_path / "away")
        (child,) = [p for p in psutil.Process().children() if "asr.shared_child" in p.cmdline()]
        child.kill()
        failed = await wait(registry_pb2.MODEL_STATE_FAILED)
        assert failed.error_reason == "PARTS_MISSING"
        (tmp_path / "away").rename(folder / "tokenizer.json")
        await wait(registry_pb2.MODEL_STATE_READY)
        stream = await opened(recognition_pb2_grpc.SpeechToTextStub(channel))
        assert (await stream.hear(1, sound("tell me a story"))).text == "tell me a story"


# --- models that are none ---------------------------------------------------------------------------------------------


async def refused(folder: Path, **settings: Any) -> AntiphonError:
    """Why the worker does not start."""
    with pytest.raises((AntiphonError, BaseExceptionGroup)) as caught:
        async with worker(folder, **settings):
            pass
    error: BaseException = caught.value
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, AntiphonError), error
    return error


@pytest.fixture
def broken(english: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(english, tmp_path / "broken"))


@pytest.mark.parametrize("part", ["model.bin", "tokenizer.json", "config.json", "vocabulary.json"])
async def test_parts_that_are_missing_are_named(broken: Path, part: str) -> None:
    (broken / part).unlink()
    error = await refused(broken)
    assert isinstance(error, Misconfigured)
    assert error.reason == "PARTS_MISSING"
    assert part in error.message


@pytest.mark.parametrize("keep", [0, 10, 5_000, -100])
async def test_a_truncated_model_is_told(broken: Path, keep: int) -> None:
    weights = (broken / "model.bin").read_bytes()
    (broken / "model.bin").write_bytes(weights[:keep])
    error = await refused(broken)
    assert isinstance(error, Misconfigured), error
    assert error.reason == "BAD_MODEL"
    assert str(broken) in error.message


@pytest.mark.parametrize("part", ["tokenizer.json", "config.json", "vocabulary.json", "preprocessor_config.json"])
@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"'])
async def test_parts_that_are_nonsense_are_told(broken: Path, part: str, text: str) -> None:
    (broken / part).write_text(text)
    if part == "preprocessor_config.json" and text in ("", "{"):
        return  # faster-whisper takes its defaults, which are right for this model
    error = await refused(broken)
    assert isinstance(error, Misconfigured), error
    assert error.reason == "BAD_MODEL"


async def test_a_model_for_more_bands_than_it_is_given_is_told(broken: Path) -> None:
    (broken / "preprocessor_config.json").write_text('{"feature_size": 128}')
    error = await refused(broken)
    assert (error.reason, "80" in error.message, "128" in error.message) == ("BAD_MODEL", True, True)


async def test_a_model_for_pytorch_is_told_how_to_convert(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"x")
    error = await refused(tmp_path)
    assert error.reason == "NOT_CONVERTED"
    assert "ct2-transformers-converter" in error.message


async def test_a_name_is_never_looked_for_on_the_network(tmp_path: Path) -> None:
    error = await refused(Path("tiny.en"), models_dir=str(tmp_path))
    assert error.reason == "NO_SUCH_MODEL"
    assert str(tmp_path / "tiny.en") in error.message


async def test_a_name_is_found_in_the_models_directory(english: Path) -> None:
    async with worker(Path(english.name), models_dir=str(english.parent)) as stub:
        assert (await (await opened(stub)).hear(1, sound("yes"))).text == "yes"


async def test_no_path_a_zero_byte_and_a_file_are_told(english: Path) -> None:
    assert (await refused(Path(""), models_dir="")).reason in ("NO_PATH", "PARTS_MISSING")
    assert (await refused(Path("a\0b"))).reason == "BAD_PATH"
    assert (await refused(english / "model.bin")).reason == "NO_SUCH_MODEL"


async def test_cuda_is_never_replaced_by_the_cpu(english: Path) -> None:
    import ctranslate2

    if ctranslate2.get_cuda_device_count():
        pytest.skip("there is a GPU here")
    error = await refused(english, device="cuda")
    assert (error.reason, type(error)) == ("NO_CUDA", Misconfigured)


async def test_a_compute_type_that_the_device_lacks_is_told_with_those_it_has(english: Path) -> None:
    error = await refused(english, compute_type="float99")
    assert error.reason == "COMPUTE_TYPE"
    assert "int8" in error.message
