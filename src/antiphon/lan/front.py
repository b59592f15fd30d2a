"""The door to the network, made ready: what the orchestrator is told, and what the user is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from socket import gethostname

from antiphon.lan.addresses import lan_addresses, lan_names
from antiphon.lan.files import Certificates, certificates
from antiphon.settings import UpSettings
from orchestrator.key_file import KeyFile
from orchestrator.keys import KeyRecord
from orchestrator.settings import OrchestratorSettings

ANY = "0.0.0.0"
CODE_S = 600.0


@dataclass(slots=True)
class Front:
    """`hosts`: under which the page is reached, the best first. `code` is the pairing code on the screen."""

    hosts: tuple[str, ...]
    certificates: Certificates
    keys: KeyFile
    flags: tuple[str, ...]
    code: str = ""
    _known: set[str] = field(default_factory=set)

    def url(self, port: int) -> str:
        return f"https://{self.hosts[0]}:{port}"

    def others(self, port: int) -> tuple[str, ...]:
        return tuple(f"https://{host}:{port}" for host in self.hosts[1:])

    def offer(self) -> str:
        """A new pairing code. Blocks; raises Misconfigured."""
        self._known = {record.id for record in self.keys.read().records}
        self.code = self.keys.offer_pairing(time.time(), CODE_S)
        return self.code

    def paired(self) -> list[KeyRecord]:
        """Devices that came since this was asked the last time. Blocks; raises Misconfigured."""
        new = [r for r in self.keys.read().records if r.device and r.id not in self._known]
        self._known |= {r.id for r in new}
        return new


def prepare(
    settings: UpSettings,
    page: OrchestratorSettings,
    folder: Path,
    keys: Path,
    *,
    is_set: Callable[[str], bool],
    host: str = "",
) -> Front:
    """Blocks. Raises Misconfigured. `is_set` says whether the user set an orchestrator's setting: it is left alone."""
    addresses = lan_addresses(settings.lan_addresses)
    names = lan_names(host or gethostname())
    made = certificates(folder, names, addresses, datetime.now(UTC))
    hosts = tuple(dict.fromkeys([*page.allowed_hosts, *(n for n in names if n != "localhost")]))
    flags = ["--tls-cert", str(made.cert), "--tls-key", str(made.key), "--tls-ca", str(made.ca), "--tls-host", ANY]
    flags += ["--allowed-hosts", ",".join(hosts)]
    if not is_set("without_key"):
        # Whoever sits at this machine needs no key of their own; what came through a proxy is not this machine.
        flags += ["--without-key", "loopback"]
    reached = (*(str(a) for a in addresses), *(n for n in names if n != "localhost"))
    return Front(reached, made, KeyFile(keys), tuple(flags))
