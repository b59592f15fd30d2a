"""A real livekit-server for a test: loopback only, on ports of its own, with keys of its own.

    async with livekit_server() as server:
        token = server.token("anna", "kitchen")
        await room.connect(server.url, token)

Its binary is what `ANTIPHON_LIVEKIT_SERVER` names, `livekit-server` on PATH, or what CI builds and keeps (`BUILT`).
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from antiphon.livekit_files import VERSION

BUILT = Path(f"~/.cache/antiphon/livekit-{VERSION}/server")
LIMIT_S = 60.0
TRIES = 5


def why_not() -> str:
    """Empty when tests with LiveKit can run here."""
    try:
        import livekit.api
        import livekit.rtc
    except ImportError as error:
        return f"{error.name} is missing (./antiphon install livekit)"
    del livekit
    return "" if binary() is not None else "livekit-server is missing (./antiphon livekit get)"


def require() -> None:
    """Skips the test where there is no LiveKit; in CI that is a failure."""
    if reason := why_not():
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


def binary() -> Path | None:
    if named := os.environ.get("ANTIPHON_LIVEKIT_SERVER"):
        return Path(named)
    if found := shutil.which("livekit-server"):
        return Path(found)
    built = BUILT.expanduser()
    return built if built.exists() else None


@dataclass
class LiveKitServer:
    """One that runs, or ran: `stop` and `start` restart it at the same address with the same keys."""

    place: Path
    port: int
    rtc_tcp_port: int
    rtc_udp_port: int
    key: str
    secret: str = field(repr=False)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def key_file(self) -> Path:
        """As LiveKit's own: one line, `KEY: SECRET`."""
        return self.place / "livekit-keys.yaml"

    def log(self) -> str:
        return (self.place / "livekit.log").read_text(errors="replace")

    def token(
        self,
        identity: str,
        room: str,
        *,
        name: str = "",
        attributes: Mapping[str, str] | None = None,
        ttl_s: float = 600.0,
        agents: Iterable[str] = (),
        secret: str | None = None,
        **grants: Any,
    ) -> str:
        """For `identity` in `room`; `grants` are VideoGrants' fields. `agents` are dispatched with the room by name."""
        from livekit import api

        # Absolute names as `room_admin=True`; a room may be joined and used unless they say otherwise.
        video = api.VideoGrants(**{"room_join": True, "room": room, **grants})
        token = api.AccessToken(self.key, secret or self.secret).with_identity(identity).with_grants(video)
        token = token.with_name(name or identity).with_ttl(timedelta(seconds=ttl_s))
        if attributes:
            token = token.with_attributes(dict(attributes))
        if agents:
            dispatches = [api.RoomAgentDispatch(agent_name=agent) for agent in agents]
            token = token.with_room_config(api.RoomConfiguration(agents=dispatches))
        return token.to_jwt()

    @asynccontextmanager
    async def api(self) -> AsyncIterator[Any]:
        """A `livekit.api.LiveKitAPI` of this server: rooms, participants, dispatches."""
        from livekit import api

        client = api.LiveKitAPI(self.http_url, self.key, self.secret)
        try:
            yield client
        finally:
            await client.aclose()

    async def start(self) -> None:
        """Returns when it answers. Raises `RuntimeError` when it ended, with what it said."""
        program = binary()
        assert program is not None
        config = self.place / "livekit.yaml"
        config.write_text(self._config())
        config.chmod(0o600)
        self.key_file.write_text(f"{self.key}: {self.secret}\n")
        self.key_file.chmod(0o600)
        with (self.place / "livekit.log").open("ab") as log:
            self.process = subprocess.Popen(  # noqa: ASYNC220
                [str(program), "--config", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            await self._wait_answers(self.process)
        except BaseException:
            await self.stop(kill=True)
            raise

    async def stop(self, *, kill: bool = False) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        # LiveKit waits for its participants to leave on the first SIGTERM, and goes on the second.
        for number in (signal.SIGKILL,) if kill else (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(process.wait, 0.5 if number is signal.SIGTERM else LIMIT_S)
                return

    async def _wait_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + LIMIT_S
        async with aiohttp.ClientSession() as client:
            while True:
                if process.poll() is not None:
                    raise RuntimeError(f"livekit-server ended with {process.returncode}: {self.log()[-2000:]}")
                with suppress(aiohttp.ClientError):
                    async with client.get(self.http_url) as answer:
                        if answer.status == 200:
                            return
                assert time.monotonic() < deadline, f"livekit-server does not answer: {self.log()[-2000:]}"
                await asyncio.sleep(0.05)

    def _config(self) -> str:
        return "\n".join(
            (
                f"port: {self.port}",
                "bind_addresses: [127.0.0.1]",
                "rtc:",
                f"  tcp_port: {self.rtc_tcp_port}",
                f"  udp_port: {self.rtc_udp_port}",
                "  node_ip: 127.0.0.1",
                "  use_external_ip: false",
                "  enable_loopback_candidate: true",
                "  ips:",
                "    includes: [127.0.0.1/32]",
                # Without these, every client is told of public STUN servers.
                "  stun_servers: []",
                "keys:",
                f"  {self.key}: {self.secret}",
                "room:",
                "  empty_timeout: 30",
                "  departure_timeout: 2",
                "logging:",
                "  level: info",
                "  json: false",
                "",
            )
        )


@asynccontextmanager
async def livekit_server(*, start: bool = True) -> AsyncIterator[LiveKitServer]:
    """Runs while the block does; with `start=False` it has an address, and `start()` is the block's."""
    require()
    with tempfile.TemporaryDirectory(prefix="antiphon-livekit-") as place:
        server = _new(Path(place))
        try:
            if start:
                server = await _start(server)
            yield server
        finally:
            await server.stop(kill=True)


async def _start(server: LiveKitServer) -> LiveKitServer:
    """A port that was free may be taken by another before LiveKit has it: then others are tried."""
    for _ in range(TRIES - 1):
        try:
            await server.start()
        except RuntimeError as error:
            if "address already in use" not in str(error):
                raise
            (server.place / "livekit.log").unlink()
            server = _new(server.place)
        else:
            return server
    await server.start()
    return server


def _new(place: Path) -> LiveKitServer:
    port, tcp = _free_ports(socket.SOCK_STREAM, 2)
    (udp,) = _free_ports(socket.SOCK_DGRAM, 1)
    key = f"API{secrets.token_hex(6)}"
    return LiveKitServer(place, port, tcp, udp, key, secrets.token_urlsafe(32))


def _free_ports(kind: socket.SocketKind, count: int) -> list[int]:
    probes = [socket.socket(socket.AF_INET, kind) for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
