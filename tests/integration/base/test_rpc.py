"""base.rpc through a real server: options, errors there and back, health, reflection, binding."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from base import log, rpc, tracing
from base.errors import (
    AntiphonError,
    AtCapacity,
    BadRequest,
    Denied,
    Internal,
    Misconfigured,
    NotFound,
    TimedOut,
    Unavailable,
    WrongState,
)
from pb.antiphon.v1 import registry_pb2, registry_pb2_grpc

pytestmark = pytest.mark.integration

NAME = "antiphon.v1.Registry"
SRC = Path(rpc.__file__).parents[1]


class Servicer(registry_pb2_grpc.RegistryServicer):
    """Raises what it is told to."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.closed = asyncio.Event()
        self.closed_by_its_own_task = False
        self.trace: tracing.Trace | None = None

    async def List(self, request: registry_pb2.ListRequest, context: grpc.aio.ServicerContext) -> Any:
        self.trace = tracing.current()
        if self.error is not None:
            raise self.error
        return registry_pb2.ListResponse()

    async def Watch(
        self, request: registry_pb2.WatchRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[registry_pb2.WatchResponse]:
        task = asyncio.current_task()
        try:
            while True:
                yield registry_pb2.WatchResponse(removed="x" * 1_000)
                if self.error is not None:
                    raise self.error
        finally:
            await asyncio.sleep(0)
            self.closed_by_its_own_task = asyncio.current_task() is task
            self.closed.set()


@asynccontextmanager
async def serving(servicer: Servicer) -> AsyncIterator[tuple[str, rpc.Health]]:
    server = rpc.server()
    registry_pb2_grpc.add_RegistryServicer_to_server(servicer, server)
    health = await rpc.add_standard_services(server, [NAME])
    address = rpc.bind(server, "127.0.0.1", 0)
    await server.start()
    try:
        yield address, health
    finally:
        await server.stop(None)


@asynccontextmanager
async def calling() -> AsyncIterator[tuple[Servicer, registry_pb2_grpc.RegistryStub]]:
    servicer = Servicer()
    async with serving(servicer) as (address, _), rpc.channel(address) as channel:
        yield servicer, registry_pb2_grpc.RegistryStub(channel)


async def failure(stub: registry_pb2_grpc.RegistryStub) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.List(registry_pb2.ListRequest(), timeout=20)
    return caught.value


async def test_every_error_comes_back_as_it_was() -> None:
    async with calling() as (servicer, stub):
        for type_ in (
            BadRequest, NotFound, WrongState, Denied, AtCapacity, Unavailable, TimedOut, Misconfigured, Internal
        ):  # fmt: skip
            servicer.error = type_("no room for «ü»", retry_after_s=1.25)
            error = rpc.error_from_rpc(await failure(stub))
            assert type(error) is type_
            assert (error.message, error.reason, error.retry_after_s) == (
                "no room for «ü»",
                type_.default_reason,
                1.25,
            )


async def test_errors_are_standard_rich_status() -> None:
    async with calling() as (servicer, stub):
        servicer.error = AtCapacity("full", reason="SLOTS", retry_after_s=2)
        status = rpc_status.from_call(await failure(stub))
        assert status is not None
        info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        assert status.details[0].Unpack(info)
        assert status.details[1].Unpack(retry)
        assert (info.reason, info.domain, retry.retry_delay.seconds) == ("SLOTS", "antiphon", 2)


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    before = structlog.get_config()
    out = io.StringIO()
    log.configure(stream=out)
    yield out
    structlog.configure(**before)


async def test_a_fault_is_internal_and_keeps_its_words_to_itself(logged: io.StringIO) -> None:
    async with calling() as (servicer, stub):
        servicer.error = ZeroDivisionError("secret")
        error = rpc.error_from_rpc(await failure(stub))
        assert (type(error), error.reason) == (Internal, "FAULT")
        assert "secret" not in error.message
        assert "ZeroDivisionError" in error.message
    line = json.loads(logged.getvalue().splitlines()[0])
    assert (line["event"], line["method"]) == ("rpc.fault", f"/{NAME}/List")


async def test_a_message_that_is_no_protobuf_is_the_callers_fault(logged: io.StringIO) -> None:
    async with serving(Servicer()) as (address, _), rpc.channel(address) as channel:
        for call in (channel.unary_unary(f"/{NAME}/Register"), channel.unary_stream(f"/{NAME}/Watch")):
            answer = call(b"\xff\xff\xff")
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await (answer.read() if hasattr(answer, "read") else answer)
            error = rpc.error_from_rpc(failed.value)
            assert (type(error), error.reason) == (BadRequest, "MALFORMED")
    assert "rpc.fault" not in logged.getvalue()
    assert "DecodeError" not in logged.getvalue()


async def test_a_task_groups_error_is_unwrapped() -> None:
    async with calling() as (servicer, stub):
        servicer.error = ExceptionGroup("tasks", [ValueError("x"), ExceptionGroup("more", [NotFound("no such")])])
        assert type(rpc.error_from_rpc(await failure(stub))) is NotFound


async def test_a_stream_fails_with_rich_status_after_its_answers() -> None:
    async with calling() as (servicer, stub):
        servicer.error = AtCapacity("enough")
        call = stub.Watch(registry_pb2.WatchRequest(), timeout=20)
        assert (await call.read()).removed
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert type(rpc.error_from_rpc(caught.value)) is AtCapacity
        assert servicer.closed.is_set()


async def test_a_generator_is_closed_in_its_own_task_when_its_caller_leaves() -> None:
    """Nobody reads, so it is left while its answer is being written: there it is not run, and would be garbage."""
    async with calling() as (servicer, stub):
        call = stub.Watch(registry_pb2.WatchRequest())
        async for _ in call:
            break
        call.cancel()
        async with asyncio.timeout(20):
            await servicer.closed.wait()
        assert servicer.closed_by_its_own_task


async def test_a_long_message_is_cut_not_lost() -> None:
    async with calling() as (servicer, stub):
        servicer.error = BadRequest("x" * 100_000)
        error = rpc.error_from_rpc(await failure(stub))
        assert type(error) is BadRequest
        assert 500 < len(error.message) < 2_000


async def test_the_callers_trace_is_current_in_the_servicer() -> None:
    async with calling() as (servicer, stub):
        with tracing.use(tracing.new()) as trace:
            await stub.List(registry_pb2.ListRequest(), metadata=tracing.metadata(), timeout=20)
        assert servicer.trace is not None
        assert servicer.trace.trace_id == trace.trace_id
        await stub.List(registry_pb2.ListRequest(), timeout=20)
        assert servicer.trace is None


async def test_nobody_there_is_unreachable_whatever_proxy_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with calling() as (_, stub):
        await stub.List(registry_pb2.ListRequest(), timeout=20)
    server = rpc.server()
    address = rpc.bind(server, "127.0.0.1", 0)
    await server.stop(None)
    async with rpc.channel(address) as channel:
        error = rpc.error_from_rpc(await failure(registry_pb2_grpc.RegistryStub(channel)))
        assert (type(error), error.reason) == (Unavailable, rpc.UNREACHABLE)


async def test_a_status_without_details_becomes_the_closest_error() -> None:
    for code, type_ in (
        (grpc.StatusCode.UNIMPLEMENTED, BadRequest),
        (grpc.StatusCode.DEADLINE_EXCEEDED, TimedOut),
        (grpc.StatusCode.UNKNOWN, Internal),
        (grpc.StatusCode.CANCELLED, Unavailable),
    ):
        bare = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(("grpc-status-details-bin", b"\xff")))
        error = rpc.error_from_rpc(bare)
        assert isinstance(error, AntiphonError)
        assert type(error) is type_
        assert code.name in error.message


async def test_a_port_that_is_taken_is_said() -> None:
    first, second = rpc.server(), rpc.server()
    address = rpc.bind(first, "127.0.0.1", 0)
    await first.start()
    _, port = rpc.split_address(address)
    assert port > 0
    with pytest.raises(Misconfigured, match=rf"port {port} on 127\.0\.0\.1 is taken") as caught:
        rpc.bind(second, "127.0.0.1", port)
    assert caught.value.reason == "PORT_TAKEN"
    with pytest.raises(Misconfigured) as caught:
        rpc.bind(second, "192.0.2.1", 0)
    assert caught.value.reason == "BAD_ADDRESS"
    await first.stop(None)
    await second.stop(None)


async def test_health_follows_the_service_and_reflection_names_it() -> None:
    async with serving(Servicer()) as (address, health), rpc.channel(address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)

        async def status(name: str) -> str:
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=20)
            return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))

        assert [await status(n) for n in ("", NAME)] == ["NOT_SERVING", "NOT_SERVING"]
        await health.set_serving(True)
        assert [await status(n) for n in ("", NAME)] == ["SERVING", "SERVING"]
        await health.set_serving(False)
        assert await status(NAME) == "NOT_SERVING"

        reflect: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        asked = [reflection_pb2.ServerReflectionRequest(list_services="")]
        async for answer in reflect.ServerReflectionInfo(iter(asked), timeout=20):
            names = {service.name for service in answer.list_services_response.service}
        assert {NAME, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"} <= names


def test_addresses() -> None:
    assert rpc.split_address("[::1]:80") == ("::1", 80)
    assert rpc.join_address("::1", 80) == "[::1]:80"
    for bad in ("localhost", ":80", "a:b", "::1:80", "a:70000"):
        with pytest.raises(Misconfigured, match="host:port"):
            rpc.split_address(bad)
    assert rpc.reachable_address("127.0.0.1:7") == "127.0.0.1:7"
    assert rpc.reachable_address("0.0.0.0:7", "gpu1") == "gpu1:7"
    assert rpc.reachable_address("0.0.0.0:7", "gpu1:9") == "gpu1:9"
    host, port = rpc.split_address(rpc.reachable_address("0.0.0.0:7"))
    assert (host != "0.0.0.0", port) == (True, 7)


def test_in_a_network_that_leads_nowhere_the_hosts_own_name_says_its_address(tmp_path: Path) -> None:
    """As in a container on an internal network: no route, and /etc/hosts has the container's name and address."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n172.30.77.5 container\n")
    code = "from base import rpc; print(rpc.reachable_address('0.0.0.0:7'))"
    namespace = ["unshare", "--net", "--mount", "--uts", "--map-root-user"]
    inside = f'mount --bind {hosts} /etc/hosts && hostname container && exec {sys.executable} -c "{code}"'
    if shutil.which("unshare") is None or subprocess.run([*namespace, "true"], capture_output=True).returncode:
        pytest.skip("no namespaces here")
    env = {"PYTHONPATH": str(SRC), "PATH": os.environ["PATH"]}
    done = subprocess.run([*namespace, "sh", "-c", inside], env=env, capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.returncode) == ("172.30.77.5:7", 0), done.stderr
