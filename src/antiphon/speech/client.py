"""Text to audio through a worker of a running system, or through one of our own for as long as it takes."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from antiphon.places import worker_token
from antiphon.speech import wire
from antiphon.up.child import Child
from base import rpc
from base.errors import Internal, NotFound, Unavailable
from pb.antiphon.v1 import synthesis_pb2_grpc
from registry.placement import Wanted, choose
from registry.records import WorkerKind, WorkerRecord
from registry.stores.remote import remote_store

READY_S = 60.0
SPEAK_S = 600.0


async def workers(registry: str) -> tuple[WorkerRecord, ...]:
    """Everybody the registry at "host:port" knows; raises Unavailable where there is none."""
    async with remote_store(registry, token=worker_token()) as store:
        return await store.snapshot()


def able(records: tuple[WorkerRecord, ...], *, model: str, voice: str, language: str) -> tuple[WorkerRecord, str]:
    """The TTS worker that is best at what is wanted, and which of its models does it.

    Raises NotFound with what there is, Unavailable for nobody.
    """
    if not any(r.kind is WorkerKind.TTS and not r.draining for r in records):
        raise Unavailable("no TTS worker is registered")
    # A voice may be named with a variant ("en-gb+f3"), which no list has; the worker has the last word.
    wanted = Wanted(kind=WorkerKind.TTS, model=model, voice=voice.partition("+")[0], language=language)
    found = choose(records, wanted, random.random)
    if not found:
        names = sorted({v.id for r in records if r.kind is WorkerKind.TTS for m in r.models for v in m.voices})
        asked = ", ".join(f"{k} {v!r}" for k, v in (("model", model), ("voice", voice), ("language", language)) if v)
        raise NotFound(f"no worker has {asked}; voices are {', '.join(names[:20])}{' …' if len(names) > 20 else ''}")
    return found[0].worker, found[0].model.id


async def speak(
    address: str,
    text: str,
    *,
    model: str = "",
    voice: str = "",
    language: str = "",
    rate: float = 1.0,
    pitch: float = 0.0,
    sample_rate: int = 48_000,
) -> AsyncIterator[bytes]:
    """PCM (mono s16le) of `text` from the worker at `address`, as it is made. Raises what the worker says."""
    request = wire.speak_request(
        text, model=model, voice=voice, language=language, rate=rate, pitch=pitch, sample_rate=sample_rate
    )
    async with rpc.channel(address, worker_token()) as channel:
        stub = synthesis_pb2_grpc.TextToSpeechStub(channel)
        call = stub.Speak(request, timeout=SPEAK_S)
        try:
            async for frame in call:
                if complaint := wire.complaint_of(frame):
                    raise Internal(f"the worker at {address} failed: {complaint}")
                if pcm := wire.pcm_of(frame):
                    yield pcm
        except grpc.aio.AioRpcError as failed:
            raise rpc.error_from_rpc(failed) from failed
        finally:
            call.cancel()


def _answer(future: asyncio.Future[str], address: str) -> None:
    if not future.done():
        future.set_result(address)


@asynccontextmanager
async def worker_of_our_own(config: str | None = None) -> AsyncIterator[str]:
    """A TTS worker that nobody else knows, gone with the block. Raises Unavailable with its last words."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    argv = [sys.executable, "-P", "-m", "antiphon", "tts-worker", "--announce-ready", "--parent-watch"]
    argv += ["--host", "127.0.0.1", "--port", "0", "--registry", "", "--log-level", "error"]
    argv += ["--config", config] if config else []
    child = Child("tts-worker", argv, on_ready=lambda address: _answer(ready, address))
    running = asyncio.create_task(child.run())
    try:
        both: list[asyncio.Future[Any]] = [ready, running]
        await asyncio.wait(both, timeout=READY_S, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            said = "\n".join(child.tail) or "it said nothing"
            fate = f"ended with code {running.result()}" if running.done() else f"was not ready after {READY_S:g} s"
            raise Unavailable(f"the TTS worker {fate}: {said}")
        yield ready.result()
    finally:
        ready.cancel()
        child.terminate()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5.0):
                await asyncio.shield(running)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
