"""The programs that `up` runs, and the flags by which each learns where the others are."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from antiphon.exits import MISCONFIGURED
from antiphon.livekit_server import KEYS
from antiphon.services import service
from antiphon.up import ports
from antiphon.up.brains import Brain
from antiphon.up.plan import Service
from antiphon.up.supervisor import Program
from base import settings

LIVEKIT = "livekit-server"


class Place:
    """Where a service listens: on the port that is wanted, or on the next free one, which it then keeps."""

    def __init__(self, name: str, host: str, wanted: int, tell: Callable[[str], None]) -> None:
        self.host = host
        self._name = name
        self._wanted = wanted
        self._tell = tell
        self._port: int | None = None

    @property
    def known(self) -> int:
        """The port of its last start, or the one that is wanted."""
        return self._port or self._wanted

    def port(self, address: str) -> int:
        """For its next start. `address` is what it announced the last time: others have been told of it."""
        if address:
            self._wanted = int(address.rpartition(":")[2])
            if ports.is_free(self.host, self._wanted):
                self._port = self._wanted
                return self._port
        found = ports.next_free(self.host, self._wanted)
        if found != self._wanted:
            self._tell(f"port {self._wanted} on {self.host} is taken; the {self._name} gets {found}")
        self._port = found
        return found

    @property
    def address(self) -> str:
        """Where it listens, as far as it was decided; empty before that."""
        return f"{self.host}:{self._port}" if self._port else ""

    def excuse(self, code: int) -> bool:
        """A port that was free when we looked may be taken when the service did: no wrong setting, try again."""
        return code == MISCONFIGURED and bool(self._port) and not ports.is_free(self.host, self._port or 0)


@dataclass(frozen=True, slots=True)
class LiveKit:
    """A livekit-server of ours: where, which program, and the private folder with its key file."""

    place: Place
    program: Path
    folder: Path

    @property
    def url(self) -> str:
        return f"ws://{self.place.host}:{self.place.known}"


@dataclass(frozen=True, slots=True)
class Layout:
    """What is started, and with what. `config` is the configuration file, absolute; `responder` is who answers.

    `lan`: where HTTPS listens beside the page, with `front`, the orchestrator's flags for it and for its keys.
    """

    page: Place
    registry: Place
    lan: Place | None = None
    front: tuple[str, ...] = ()
    grpc: Place | None = None
    """None: the orchestrator opens no gRPC door, or the one that its settings say."""
    config: Path | None = None
    brain: Brain = field(default_factory=Brain)
    responder: str = ""
    tts_workers: int = 1
    asr_workers: int = 1
    livekit: LiveKit | None = None
    ears: tuple[str, ...] = ()
    listening: tuple[str, ...] = ()
    """Flags of the ASR workers, and of the orchestrator for such ears: what `up.ears` found for them."""

    def programs(self) -> list[Program]:
        workers = [
            *self._workers("tts-worker", self.tts_workers),
            *self._workers("asr-worker", self.asr_workers, self.ears),
        ]
        # Not a need: the orchestrator goes on without LiveKit, and looks for it until it is there.
        livekit = (
            [Program(Service(LIVEKIT), functools.partial(self._livekit, self.livekit), self.livekit.place.excuse)]
            if self.livekit
            else []
        )
        uses = tuple(w.service.name for w in (*workers, *livekit))
        return [
            Program(Service("registry", vital=True), self._registry, self.registry.excuse),
            *livekit,
            *workers,
            Program(
                Service("orchestrator", needs=("registry",), uses=uses, vital=True),
                self._orchestrator,
                self._excuse,
            ),
        ]

    def _registry(self, addresses: Mapping[str, str]) -> Sequence[str]:
        port = self.registry.port(addresses["registry"])
        return self._command("registry", "--host", self.registry.host, "--port", str(port))

    def _orchestrator(self, addresses: Mapping[str, str]) -> Sequence[str]:
        port = self.page.port(addresses["orchestrator"])
        where = ["--host", self.page.host, "--port", str(port), "--registry", addresses["registry"]]
        if self.lan is not None:
            where += ["--tls-port", str(self.lan.port(self.lan.address))]
        if self.grpc is not None:
            where += ["--grpc-port", str(self.grpc.port(""))]
        # After the brain's flags: of a flag that is given twice the last counts.
        responder = ["--responder", self.responder] if self.responder else []
        livekit = (
            ["--livekit-url", self.livekit.url, "--livekit-key-file", str(self.livekit.folder / KEYS)]
            if self.livekit
            else []
        )
        return self._command(
            "orchestrator", *where, *self.front, *self.listening, *self.brain.flags, *responder, *livekit
        )

    def _livekit(self, livekit: LiveKit, addresses: Mapping[str, str]) -> Sequence[str]:
        port = livekit.place.port(addresses[LIVEKIT])
        program, folder = str(livekit.program), str(livekit.folder)
        flags = ["--program", program, "--folder", folder, "--host", livekit.place.host, "--port", str(port)]
        own = [sys.executable, "-P", "-m", "antiphon", "livekit", "run", "--announce-ready", "--parent-watch"]
        return [*own, *flags]

    def _excuse(self, code: int) -> bool:
        return any(place.excuse(code) for place in (self.page, self.lan, self.grpc) if place is not None)

    def _workers(self, command: str, count: int, flags: Sequence[str] = ()) -> list[Program]:
        made = []
        for number in range(count):
            name = command if number == 0 else f"{command}-{number + 1}"
            # Several cannot share a port that was set for one; nobody needs to know a worker's port beforehand.
            port = [] if number == 0 and self._is_set(command, "port") else ["--port", "0"]
            made.append(
                Program(Service(name, needs=("registry",)), functools.partial(self._worker, command, [*port, *flags]))
            )
        return made

    def _worker(self, command: str, flags: list[str], addresses: Mapping[str, str]) -> Sequence[str]:
        return self._command(command, *flags, "--registry", addresses["registry"])

    def _command(self, name: str, *flags: str) -> list[str]:
        """-P: what lies in the user's folder must not stand in for our packages."""
        config = ["--config", str(self.config)] if self.config else []
        return [sys.executable, "-P", "-m", "antiphon", name, "--announce-ready", "--parent-watch", *config, *flags]

    def _is_set(self, command: str, name: str) -> bool:
        return is_set(command, name, self.config)


def is_set(command: str, name: str, config: Path | None) -> bool:
    """Whether the user set this setting of a service, in the file or the environment."""
    module = service(command)
    values = settings.explain(module.settings(), section=module.section, file=config, env=os.environ)
    return any(v.row.name == name and v.source != "default" for v in values)
