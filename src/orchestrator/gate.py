"""Who may talk here, as a running server asks it: `access` with its clocks, and the file of keys as it is now."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from base.errors import Denied, Misconfigured, NotFound
from base.log import get_logger
from orchestrator.access import Access, Caller, Grant, Policy, bucket_of, networks
from orchestrator.key_file import KeyFile, Stamp, access_keys
from orchestrator.keys import TALK, KeyRecord, Keys, clean_name, plain_keys
from orchestrator.livekit_keys import livekit_keys
from orchestrator.ports import Peer
from orchestrator.settings import OrchestratorSettings
from orchestrator.tokens import Signer, mint, prepare

log = get_logger("gate")

LOOK_S = 0.5
"""How soon a change of the file is noticed."""
SECRET_CHARACTERS = 32


class Gate:
    """See the module. `run` watches the file of keys; `on_change` is called when the keys are others."""

    def __init__(
        self,
        access: Access,
        file: KeyFile | None,
        plain: tuple[KeyRecord, ...],
        clock: Callable[[], float],
        today: Callable[[], float],
        *,
        token_ttl_s: float = 600.0,
    ) -> None:
        """Reads the file. Raises Misconfigured."""
        self.on_change: Callable[[], None] = lambda: None
        self.token_ttl_s = token_ttl_s
        self._access = access
        self._file = file
        self._plain = plain
        self._clock = clock
        self._today = today
        self._seen: Stamp | None = None
        self._bad = False
        if file is not None:
            self._seen = file.stamp()
        self._take(file.read() if file is not None else Keys())
        if self.keyed or access.signer.livekit:
            prepare()

    @property
    def keyed(self) -> bool:
        """Whether there are any keys."""
        return bool(self._access.keys.records)

    @property
    def denied(self) -> int:
        return self._access.denied

    # --- sessions ----------------------------------------------------------------------------------------------------

    def check(self, peer: Peer, scope: str = TALK, *, key: str = "", resuming: Grant | None = None) -> Grant:
        """Who this is. Raises Denied, AtCapacity."""
        return self._access.check(_caller(peer, key), scope, self._clock(), self._today(), resuming=resuming)

    def admitted(self, key: str) -> Grant:
        """For a session in a room that LiveKit let somebody into with a token of this key. Raises Denied."""
        return self._access.admitted(key, self._today())

    def open(self, grant: Grant) -> None:
        self._access.open(grant, self._clock())

    def close(self, grant: Grant) -> None:
        self._access.close(grant)

    def is_good(self, grant: Grant) -> Denied | None:
        return self._access.is_good(grant)

    # --- tokens and devices ------------------------------------------------------------------------------------------

    def mint(self, grant: Grant, *, room: str, identity: str, name: str) -> str:
        """Raises AtCapacity for one who asks too often."""
        self._access.take_token(grant, self._clock())
        return mint(
            self._access.signer,
            room=room,
            identity=identity,
            name=name,
            key=grant.key,
            now=self._today(),
            ttl_s=self.token_ttl_s,
        )

    async def pair(self, peer: Peer, code: str, name: str) -> tuple[str, KeyRecord]:
        """A device's own key for a pairing code. Raises NotFound, AtCapacity."""
        self._access.take_pairing(_caller(peer, ""), self._clock())
        if self._file is None:
            raise NotFound("this server pairs no devices: it has no keys_file", reason="PAIRING_UNKNOWN")
        made = await asyncio.to_thread(self._file.pair, code, clean_name(name) or "a device", self._today())
        await self.look()
        log.info("device_paired", key=made[1].id, address=bucket_of(_caller(peer, "")))
        return made

    # --- the file ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled. A file that cannot be read leaves the keys as they were."""
        while True:
            await asyncio.sleep(LOOK_S)
            await self.look()

    async def look(self) -> None:
        """Takes the file as it is now."""
        if self._file is None:
            return
        try:
            stamp = self._file.stamp()
            if stamp == self._seen:
                return
            keys = await asyncio.to_thread(self._file.read)
            if keys.records:
                await asyncio.to_thread(prepare)
        except Misconfigured as error:
            if not self._bad:
                log.error("keys_file_unreadable", message=f"{error.message}; the keys stay as they were")
            self._bad = True
            return
        self._seen, self._bad = stamp, False
        self._take(keys)
        log.info("keys_changed", keys=len(keys.records))
        self.on_change()

    def _take(self, keys: Keys) -> None:
        self._access.keys = replace(keys, records=(*self._plain, *keys.records))


def make_gate(settings: OrchestratorSettings, clock: Callable[[], float], today: Callable[[], float]) -> Gate:
    """From the settings; LiveKit's secrets come from their file or the environment. Raises Misconfigured."""
    plain = plain_keys(access_keys(settings.access_key_file), today())
    return Gate(
        Access(policy_of(settings), signer(settings)),
        KeyFile(Path(settings.keys_file)) if settings.keys_file else None,
        plain,
        clock,
        today,
        token_ttl_s=settings.token_ttl_s,
    )


def policy_of(settings: OrchestratorSettings) -> Policy:
    return Policy(
        without_key=settings.without_key,
        open_networks=networks(settings.open_networks, "open_networks"),
        sessions=settings.address_sessions,
        per_minute=settings.address_sessions_per_minute,
        tokens_per_minute=settings.tokens_per_minute,
    )


def signer(settings: OrchestratorSettings) -> Signer:
    """LiveKit's key where there is LiveKit, else the secret of the file, else one that ends with this process."""
    livekit = livekit_keys(settings)
    if livekit is not None:
        return Signer(livekit[1], issuer=livekit[0], agent=settings.livekit_agent)
    path = settings.token_secret_file
    if not path:
        return Signer(secrets.token_hex(32))
    try:
        secret = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise Misconfigured(f"token_secret_file {path!r} cannot be read: {error}", reason="BAD_SECRET") from error
    if len(secret) < SECRET_CHARACTERS:
        raise Misconfigured(
            f"token_secret_file {path!r}: the secret has {len(secret)} characters; {SECRET_CHARACTERS} are the least "
            "(`openssl rand -hex 32` makes one)",
            reason="SHORT_SECRET",
        )
    return Signer(secret)


def _caller(peer: Peer, key: str) -> Caller:
    return Caller(peer.address, peer.proxied, key or peer.key)
