"""A real gRPC server over the scripted recogniser."""

import asyncio
from contextlib import AsyncExitStack

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from asr import app
from asr.settings import AsrWorkerSettings
from base import rpc
from base.version import VERSION
from pb.antiphon.v1 import recognition_pb2, recognition_pb2_grpc
from registry import app as registry_app
from registry.records import WorkerKind
from registry.settings import RegistrySettings
from registry.stores.remote import remote_store
from tests.support.recognition import LIMIT_S, Request, Stream, asr_worker

pytestmark = pytest.mark.integration

SECOND = bytes(32_000)
WORDS = "one two three four"


async def opened(stub, **config):
    stream = Stream(stub)
    await stream.open(**config)
    return stream


async def details(stream):
    async with asyncio.timeout(LIMIT_S):
        return await stream.call.code(), await stream.call.details()


async def test_ready_names_the_model_and_its_languages():
    async with asr_worker(engine="scripted", script=(WORDS,), script_languages=("en", "de")) as stub:
        ready = await Stream(stub).open(language="de-AT")
        assert ready.model == "scripted"
        assert list(ready.languages) == ["en", "de"]


async def test_partials_grow_and_the_final_has_all_words():
    async with asr_worker(engine="scripted", script=(WORDS,)) as stub:
        stream = await opened(stub)
        final = await stream.hear(1, SECOND)
        assert final.text == WORDS
        assert [w.text for w in final.words] == WORDS.split()
        assert WORDS.startswith(stream.partials[1][-1].text)


async def test_the_next_utterance_may_come_before_the_final_of_the_last():
    async with asr_worker(engine="scripted", script=("[[slow 0.5]] one", "two")) as stub:
        stream = await opened(stub)
        await stream.say(1, SECOND)
        await stream.end(1)
        await stream.say(2, SECOND)
        await stream.end(2)
        assert (await stream.final(2)).text == "two"
        assert (await stream.final(1)).text == "one"


async def test_a_hundred_utterances_on_one_stream():
    async with asr_worker(engine="scripted", script=("a", "", "b c")) as stub:
        stream = await opened(stub)
        found = [(await stream.hear(u, SECOND[:3_200])).text for u in range(100)]
        assert found == ["a", "", "b c"] * 33 + ["a"]


async def test_an_error_of_one_utterance_leaves_the_stream():
    async with asr_worker(engine="scripted", script=("[[error]]", "fine")) as stub:
        stream = await opened(stub)
        await stream.say(1, SECOND)
        await stream.end(1)
        error = await stream.error(1)
        assert error.code == grpc.StatusCode.INTERNAL.value[0]
        assert "the script says" in error.message
        assert (await stream.hear(2, SECOND)).text == "fine"


async def test_a_client_has_no_directives():
    async with asr_worker(engine="scripted") as stub:
        for said in ("[[crash]] boom", "[[hang]] forever", "[[error]] no"):
            stream = await opened(stub, phrases=(said,))
            assert (await stream.hear(1, SECOND)).text == said


async def test_a_stream_without_config_is_not_kept():
    async with asr_worker(engine="scripted", config_s=0.2) as stub:
        code, said = await details(Stream(stub))
        assert code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert "config" in said


async def test_a_worker_has_so_many_streams():
    async with asr_worker(engine="scripted", script=(WORDS,), max_streams=1) as stub:
        first = await opened(stub)
        code, said = await details(Stream(stub))
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "1 stream" in said
        await first.done()
        assert (await (await opened(stub)).hear(1, SECOND)).text == WORDS


async def test_a_stream_opened_before_the_drain_and_configured_after_is_refused():
    settings = AsrWorkerSettings(registry="", engine="scripted", script=(WORDS,))
    async with app.serving(settings) as service, rpc.channel(service.address) as channel:
        stub = recognition_pb2_grpc.SpeechToTextStub(channel)
        early, other = Stream(stub), Stream(stub)
        opening = asyncio.create_task(early.call.read())  # which sends its headers
        await asyncio.sleep(0.1)
        await other.open()  # so that the worker has seen the one before
        await service.drain()
        await early.call.write(Request(config=recognition_pb2.RecognitionConfig()))
        await asyncio.wait([opening], timeout=LIMIT_S)
        assert opening.exception() is not None or opening.result() is grpc.aio.EOF
        assert (await details(early))[0] is grpc.StatusCode.UNAVAILABLE


async def test_a_cancel_ends_an_utterance_whose_final_never_comes():
    async with asr_worker(engine="scripted", script=("[[hang]] never", "fine")) as stub:
        stream = await opened(stub)
        await stream.say(1, SECOND)
        await stream.end(1)
        await stream.cancel(1)
        assert (await stream.hear(2, SECOND)).text == "fine"
        await stream.done()
        assert list(stream.ends) == [2]


async def test_a_full_worker_refuses_an_utterance_and_says_when_to_try_again():
    async with asr_worker(engine="scripted", script=(WORDS,), decoders=1) as stub:
        one, two = await opened(stub), await opened(stub)
        await one.say(1, SECOND)
        await one.wait_partial(1)
        await two.say(1, SECOND)
        error = await two.error(1)
        assert error.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
        assert error.reason == "AT_CAPACITY"
        assert error.retry_after_ms > 0
        await one.end(1)
        assert (await one.final(1)).text == WORDS
        assert (await two.hear(2, SECOND)).text == WORDS


async def test_an_utterance_too_long_is_ended_with_what_was_heard():
    async with asr_worker(engine="scripted", script=(WORDS,), utterance_s=2.0) as stub:
        stream = await opened(stub)
        await stream.say(1, SECOND * 3)
        assert (await stream.final(1)).text == WORDS
        assert (await stream.hear(2, SECOND)).text == WORDS


@pytest.mark.parametrize(
    ("config", "code", "words"),
    [
        ({"language": "ja"}, grpc.StatusCode.INVALID_ARGUMENT, ("ja", "en")),
        ({"model": "gpt-ear"}, grpc.StatusCode.NOT_FOUND, ("gpt-ear", "scripted")),
    ],
    ids=["language", "model"],
)
async def test_what_it_cannot_do_is_refused_with_what_it_can(config, code, words):
    async with asr_worker(engine="scripted") as stub:
        stream = Stream(stub)
        with pytest.raises((EOFError, grpc.aio.AioRpcError)):
            await stream.open(**config)
        found, said = await details(stream)
        assert found is code
        assert all(word in said for word in words)


@pytest.mark.parametrize(
    ("rate", "encoding", "word"), [(48_000, 0, "16000"), (16_000, 7, "PCM_S16LE")], ids=["rate", "encoding"]
)
async def test_another_audio_format_is_refused(rate, encoding, word):
    async with asr_worker(engine="scripted") as stub:
        stream = Stream(stub)
        config = recognition_pb2.RecognitionConfig()
        config.format.sample_rate = rate
        config.format.encoding = encoding
        await stream.call.write(Request(config=config))
        code, said = await details(stream)
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert word in said


async def test_config_twice_ends_the_stream():
    async with asr_worker(engine="scripted") as stub:
        stream = await opened(stub)
        await stream.call.write(Request(config=recognition_pb2.RecognitionConfig()))
        code, said = await details(stream)
        assert code is grpc.StatusCode.FAILED_PRECONDITION
        assert "twice" in said


async def test_an_unknown_arm_is_ignored():
    async with asr_worker(engine="scripted", script=("fine",)) as stub:
        stream = await opened(stub)
        await stream.call.write(Request())
        assert (await stream.hear(1, SECOND)).text == "fine"


async def test_a_client_that_hangs_up_after_its_last_word_still_hears_it():
    async with asr_worker(engine="scripted", script=("fine",)) as stub:
        stream = await opened(stub)
        await stream.say(1, SECOND)
        await stream.done()
        assert stream.ends[1].text == "fine"


async def test_a_stream_that_is_gone_frees_what_it_had():
    async with asr_worker(engine="scripted", script=("[[hang]] never",), decoders=2) as stub:
        for _ in range(4):
            stream = await opened(stub)
            async with asyncio.timeout(LIMIT_S):
                for utterance in range(1_000):
                    await stream.say(utterance, SECOND)
                    if not await refused(stream, utterance):
                        break
            await stream.end(utterance)
            stream.call.cancel()


async def refused(stream, utterance):
    """Whether the utterance failed, rather than being heard."""
    while utterance not in stream.ends and utterance not in stream.partials:
        await stream.read()
    return utterance in stream.ends


async def test_health_and_reflection_know_the_service():
    settings = AsrWorkerSettings(registry="", engine="scripted")
    async with app.serving(settings) as service, rpc.channel(service.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        name = "antiphon.v1.SpeechToText"
        answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        asked = reflection_pb2.ServerReflectionRequest(list_services="")
        call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([asked]))
        listed = [s.name async for response in call for s in response.list_services_response.service]
        assert name in listed


async def test_it_stands_in_the_registry_with_what_it_does_and_leaves_when_it_ends():
    async with (
        registry_app.serving(RegistrySettings(port=0, drain_s=0)) as registry,
        remote_store(registry.address) as store,
    ):

        async def until(condition):
            async with asyncio.timeout(LIMIT_S):
                while not condition(workers := await store.snapshot()):
                    await asyncio.sleep(0.02)
            return workers

        settings = AsrWorkerSettings(registry=registry.address, engine="scripted", decoders=3, script=(WORDS,))
        async with app.serving(settings) as service:
            (found,) = await until(bool)
            assert found.kind is WorkerKind.ASR
            assert found.address == service.address
            assert (found.slots, found.slots_used) == (3, 0)
            assert found.version == VERSION
            (model,) = found.models
            assert model.is_default
            assert "partials" in model.features
            assert model.languages == ("en",)
            async with rpc.channel(service.address) as channel:
                stream = await opened(recognition_pb2_grpc.SpeechToTextStub(channel))
                await stream.say(1, SECOND)
                await until(lambda workers: workers[0].slots_used == 1)
                await stream.end(1)
                await stream.final(1)
                await until(lambda workers: workers[0].slots_used == 0)
                await stream.done()
            await service.drain()
            await until(lambda workers: workers[0].draining)
        await until(lambda workers: not workers)


async def test_who_drains_finishes_what_is_heard_and_begins_nothing_new():
    settings = AsrWorkerSettings(registry="", engine="scripted", script=("[[slow 0.5]] heard", "not"))
    async with app.serving(settings) as service, rpc.channel(service.address) as channel:
        stub = recognition_pb2_grpc.SpeechToTextStub(channel)
        stream = await opened(stub)
        await stream.say(1, SECOND)
        await stream.end(1)
        await stream.wait_partial(1)
        draining = asyncio.create_task(service.drain())
        assert (await stream.final(1)).text == "heard"
        async with asyncio.timeout(LIMIT_S):
            await draining
        await stream.say(2, SECOND)
        assert (await stream.error(2)).reason == "DRAINING"
        late = Stream(stub)
        with pytest.raises((EOFError, grpc.aio.AioRpcError)):
            await late.open()
        assert (await details(late))[0] is grpc.StatusCode.UNAVAILABLE


async def test_a_stop_with_an_open_stream_is_no_fault(capfd):
    async with AsyncExitStack() as later:
        async with app.serving(AsrWorkerSettings(registry="", engine="scripted", script=(WORDS,))) as service:
            channel = await later.enter_async_context(rpc.channel(service.address))
            stream = await opened(recognition_pb2_grpc.SpeechToTextStub(channel))
            await stream.say(1, SECOND)
            await stream.wait_partial(1)
        with pytest.raises((EOFError, grpc.aio.AioRpcError)):
            await stream.wait_end(1)
        code, _ = await details(stream)
    assert code in (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE)
    assert "rpc.fault" not in capfd.readouterr().err
