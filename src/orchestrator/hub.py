"""All sessions of one orchestrator: opens them, lets them be resumed, ticks them, ends them.

A session outlives its transport by the grace time. `session_started` carries a token; `session_start` with it goes on
with the session, on any transport. The token is the session's for its life, so that an answer lost on the way costs
nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace

from asr.vad import VadSettings
from base import log as logs
from base.audio import UPLINK_RATE
from base.errors import AtCapacity, BadRequest, NotFound, Unavailable
from orchestrator import messages as m
from orchestrator.access import Grant
from orchestrator.conversation.machine import Policy
from orchestrator.gate import Gate
from orchestrator.ports import ClientSide, Peer, Transport, VoiceChoice
from orchestrator.session import SHUTDOWN, Services, Session, cannot_hear
from orchestrator.settings import OrchestratorSettings
from orchestrator.wishes import changed_choice, changed_policy, check_formats, settled_choice

log = logs.get_logger("hub")

TICK_S = 0.05
NO_VOICE = "no voice is there yet: what I answer can be read, and is heard as soon as a TTS worker has started"


@dataclass(frozen=True, slots=True)
class HubStatistics:
    sessions: int
    connected: int
    opened: int
    resumed: int
    refused: int
    denied: int
    """Requests without a right, over HTTP, too."""


class SessionHub:
    """The `Hub` of ports. `run` is the parent of every session."""

    def __init__(
        self,
        settings: OrchestratorSettings,
        services: Services,
        clock: Callable[[], float],
        *,
        gate: Gate | None = None,
    ) -> None:
        """Without a gate everybody may open a session."""
        self._settings = settings
        self._gate = gate
        self._grants: dict[str, Grant] = {}
        """By session: what whoever opened it was found to be."""
        self._services = services
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._tokens: dict[bytes, Session] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._closing = asyncio.Event()
        self._draining = False
        self._quiet = asyncio.Event()
        self._observe = services.observe_session
        self._opened = self._resumed = self._refused = 0

    async def run(self) -> None:
        """Until `close`; then every session is ended and awaited."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            ticking = tasks.create_task(self._tick())
            await self._closing.wait()
            ticking.cancel()
            for session in list(self._sessions.values()):
                session.end_nowait(SHUTDOWN)

    def close(self) -> None:
        self._closing.set()

    async def drain(self) -> None:
        """Takes no new sessions, lets the replies that are being given end; returns when nobody speaks."""
        self._draining = True
        await self._quiet.wait()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            now = self._clock()
            for session in list(self._sessions.values()):
                session.tick(now)
            if self._draining and not any(session.busy for session in self._sessions.values()):
                self._quiet.set()

    # --- Hub --------------------------------------------------------------------------------------------------------

    def open_nowait(self, start: m.SessionStart, transport: Transport, peer: Peer) -> ClientSide:
        if self._tasks is None or self._draining or self._closing.is_set():
            raise Unavailable("this server is shutting down; connect again in a moment", retry_after_s=2.0)
        if start.protocol != m.PROTOCOL:
            raise BadRequest(
                f"protocol {start.protocol} is not spoken here; use {m.PROTOCOL}",
                reason="BAD_PROTOCOL",
                where="protocol",
            )
        check_formats(start)
        grant = self._check(start, peer)
        if start.resume:
            return self._resume(start, transport, grant)
        if len(self._sessions) >= self._settings.max_sessions:
            self._refused += 1
            raise AtCapacity(
                f"all {self._settings.max_sessions} sessions are taken; try again later", retry_after_s=10.0
            )
        return self._open(start, transport, peer, grant)

    def _open(self, start: m.SessionStart, transport: Transport, peer: Peer, grant: Grant | None) -> Session:
        assert self._tasks is not None
        workers = self._services.workers
        wish = changed_choice(VoiceChoice(model=start.model), start)
        choice = settled_choice(wish, self._services.usual, workers.language_of)
        workers.check_voice(choice)
        workers.check_ear(choice.ear)
        session = self._made(start, choice, grant)
        self._sessions[session.id] = session
        if grant is not None:
            self._grants[session.id] = grant
        self._tokens[_digest(session.token)] = session
        self._opened += 1
        task = self._tasks.create_task(session.run())
        # Not in the task: one that is cancelled before it runs has no chance to do anything.
        task.add_done_callback(lambda _: self._over(session))
        session.attach_nowait(transport, self._started(session, start, resumed=False))
        if not workers.can_hear(choice.heard, choice.ear):
            session.notice_nowait("cannot_hear", cannot_hear(workers, choice.heard))
        if not workers.can_speak(choice):
            session.notice_nowait("cannot_speak", NO_VOICE)
        log.info("session_opened", session=session.id, transport=peer.kind, language=choice.language)
        return session

    def _made(self, start: m.SessionStart, choice: VoiceChoice, grant: Grant | None) -> Session:
        """Counted in what the grant's limits count; one that cannot be made after all is not."""
        if grant is not None and self._gate is not None:
            try:
                self._gate.open(grant)
            except AtCapacity:
                self._refused += 1
                raise
        try:
            return Session(secrets.token_hex(8), start, self._policy(start, choice), choice, self._services)
        except BaseException:
            if grant is not None and self._gate is not None:
                self._gate.close(grant)
            raise

    def _policy(self, start: m.SessionStart, choice: VoiceChoice) -> Policy:
        s = self._settings
        policy = Policy(
            endpoint_ms=s.endpoint_ms,
            adaptive=s.endpointing == "adaptive",
            endpoint_floor=s.endpoint_floor,
            endpoint_ceiling=s.endpoint_ceiling,
            early=s.early_start,
            head_start_ms=s.head_start_ms,
            final_ms=s.final_ms,
            confirm_ms=s.confirm_ms,
            resume_ms=s.resume_ms,
            grace_s=s.grace_s,
            hangover_ms=VadSettings().hangover * 20,
            language=choice.language,
        )
        if not self._services.workers.gives_partials(choice.heard, choice.ear):
            policy = policy.without_partials()
        return changed_policy(policy, start)

    def _check(self, start: m.SessionStart, peer: Peer) -> Grant | None:
        """Who this is; None where nobody asks, or somebody else did."""
        if self._gate is None:
            return None
        if peer.admitted:
            # Who goes on was found good when it began; a key that was revoked since has ended the session.
            return self._gate.admitted(peer.behind) if peer.behind and not start.resume else None
        resumed = self._tokens.get(_digest(start.resume)) if start.resume else None
        resuming = self._grants.get(resumed.id) if resumed is not None else None
        return self._gate.check(peer, key=start.key, resuming=resuming)

    def expel_revoked(self) -> None:
        """Sessions whose key was revoked end, and are told why. Call it when the keys are others."""
        for id, grant in list(self._grants.items()):
            error = self._gate.is_good(grant) if self._gate is not None else None
            if error is not None:
                log.info("session_expelled", session=id, key=grant.key)
                self._sessions[id].expel_nowait(error)

    def _over(self, session: Session) -> None:
        session.close()
        self._sessions.pop(session.id, None)
        self._tokens.pop(_digest(session.token), None)
        grant = self._grants.pop(session.id, None)
        if grant is not None and self._gate is not None:
            self._gate.close(grant)
        self._observe(session.statistics())
        log.info("session_closed", session=session.id)

    def _resume(self, start: m.SessionStart, transport: Transport, grant: Grant | None) -> Session:
        session = self._tokens.get(_digest(start.resume))
        if session is None or session.ended:
            raise NotFound(
                "resume: this token is of no session here; its grace time "
                f"({self._settings.grace_s:g} s) may be over; start a new session without it",
                reason="RESUME_UNKNOWN",
                where="resume",
            )
        if start.output_rate != session.start.output_rate:
            raise BadRequest(
                f"resume: the session's output_rate is {session.start.output_rate}, not {start.output_rate}",
                reason="BAD_SAMPLE_RATE",
                where="output_rate",
            )
        if grant is not None and session.id not in self._grants:
            # It began in a room behind which there is no key. From here on it is this caller's and ends with their key;
            # no limit counts it, so that a fallback is never refused.
            self._grants[session.id] = replace(grant, held=())
        self._resumed += 1
        session.attach_nowait(transport, self._started(session, start, resumed=True))
        log.info("session_resumed", session=session.id)
        return session

    def _started(self, session: Session, start: m.SessionStart, *, resumed: bool) -> m.SessionStarted:
        workers = self._services.workers
        choice = session.voice
        return m.SessionStarted(
            session=session.id,
            protocol=m.PROTOCOL,
            resume=session.token,
            resumed=resumed,
            input_rate=start.input_rate,
            output_rate=start.output_rate,
            voice=choice.voice or workers.default_voice(choice.language),
            language=choice.language,
            hears=workers.hears(),
            speaks=workers.speaks(),
            can_hear=workers.can_hear(choice.heard, choice.ear),
            responder=session.responder_name,
            grace_s=self._settings.grace_s,
            next_input_sample=session.next_input_sample * start.input_rate // UPLINK_RATE,
        )

    # --- for operators ------------------------------------------------------------------------------------------------

    def statistics(self) -> HubStatistics:
        return HubStatistics(
            sessions=len(self._sessions),
            connected=sum(1 for s in self._sessions.values() if s.connected),
            opened=self._opened,
            resumed=self._resumed,
            refused=self._refused,
            denied=self._gate.denied if self._gate is not None else 0,
        )


def _digest(token: str) -> bytes:
    """Tokens are looked up by digest, so that no comparison of secrets leaks by its time."""
    return hashlib.sha256(token.encode()).digest()
