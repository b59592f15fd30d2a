"""Which process to start, stop and start again, and when: the decisions of `antiphon up`, pure.

    WAITING ──needs are up──> STARTING ──ready──> READY
       ^                         │ exit             │ exit
       └────── BACKOFF <─────────┴──────────────────┘        exit with a code that says "no use": FAILED
    stop: STARTING, READY ──> STOPPING ──exit──> DOWN        too slow: Kill

The driver carries out `Start`, `Terminate` and `Kill`, and tells `ready`, `exited` and `stop`. Every start has a `life`
of its own, so that news about an earlier one changes nothing. A crash is followed by a pause that doubles up to
`cap_s`, with jitter, and begins anew after `stable_s` of being ready. What needs another service waits for it at the
first start only: later they find each other again by themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum


class Phase(Enum):
    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    BACKOFF = "restarting"
    STOPPING = "stopping"
    FAILED = "failed"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Service:
    """`needs` must have been ready once before it starts. `uses` only orders the stop: it is stopped before those."""

    name: str
    needs: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    vital: bool = False
    """Without it there is nothing to talk to: if it never comes up, all is stopped."""


@dataclass(frozen=True, slots=True)
class Policy:
    base_s: float = 0.5
    cap_s: float = 30.0
    stable_s: float = 30.0
    ready_s: float = 60.0
    """A process that is not ready by then hangs."""
    stop_s: float = 10.0
    """How long a process may take to stop before it is killed."""
    first_tries: int = 3
    """Starts of a vital service that was never ready."""


@dataclass(frozen=True, slots=True)
class Start:
    name: str
    life: int


@dataclass(frozen=True, slots=True)
class Terminate:
    name: str
    life: int


@dataclass(frozen=True, slots=True)
class Kill:
    name: str
    life: int


@dataclass(frozen=True, slots=True)
class Crashed:
    """To be told to the user, with the last lines of its log. `again_s` None: it is not started again."""

    name: str
    code: int
    again_s: float | None
    hung: bool = False


@dataclass(frozen=True, slots=True)
class Finish:
    """Everything is down; `code` is the exit code."""

    code: int


Command = Start | Terminate | Kill | Crashed | Finish

EXIT_FAULT = 1
EXIT_STOPPED = 130
"""Stopped at once: what a service had begun was not finished."""
USELESS = frozenset({2, 78})
"""Exit codes that say that starting again will not help: usage and configuration."""


class _State:
    __slots__ = ("address", "deadline", "failures", "life", "phase", "ready_since", "service", "was_ready")

    def __init__(self, service: Service) -> None:
        self.service = service
        self.phase = Phase.WAITING
        self.life = 0
        self.failures = 0
        self.was_ready = False
        self.ready_since = 0.0
        self.deadline: float | None = None
        self.address = ""

    @property
    def alive(self) -> bool:
        return self.phase in (Phase.STARTING, Phase.READY, Phase.STOPPING)


class Plan:
    """See the module. `jitter()` gives a number in [0, 1)."""

    def __init__(self, services: tuple[Service, ...], policy: Policy, jitter: Callable[[], float]) -> None:
        self._states = {s.name: _State(s) for s in services}
        self._policy = policy
        self._jitter = jitter
        self._stopping = False
        self._hurried = False
        self._finished = False
        self._code = 0
        for service in services:
            for name in (*service.needs, *service.uses):
                if name not in self._states:
                    raise ValueError(f"service {service.name!r} names {name!r}, which is not among the services")

    # --- events --------------------------------------------------------------------------------------------------

    def start(self, now: float) -> list[Command]:
        return self._advance(now)

    def ready(self, name: str, life: int, address: str, now: float) -> list[Command]:
        state = self._states[name]
        if state.life != life or state.phase is not Phase.STARTING:
            return []
        state.phase = Phase.READY
        state.address = address
        state.was_ready = True
        state.ready_since = now
        state.deadline = None
        return self._advance(now)

    def exited(self, name: str, life: int, code: int, now: float) -> list[Command]:
        """`code` as the operating system has it; negative: the signal that ended it."""
        state = self._states[name]
        if state.life != life or not state.alive:
            return []
        hung = state.phase is Phase.STOPPING and not self._stopping
        was_ready = state.phase is Phase.READY
        state.deadline = None
        if self._stopping:
            state.phase = Phase.DOWN
            return self._advance(now)
        if was_ready and now - state.ready_since >= self._policy.stable_s:
            state.failures = 0
        state.failures += 1
        if code in USELESS or (
            state.service.vital and not state.was_ready and state.failures >= self._policy.first_tries
        ):
            state.phase = Phase.FAILED
            news: list[Command] = [Crashed(name, code, None, hung)]
            if not state.was_ready:
                self._code = code if code in USELESS else EXIT_FAULT
                news += self.stop(now)
            return news
        pause = self.pause_s(state.failures)
        state.phase = Phase.BACKOFF
        state.deadline = now + pause
        return [Crashed(name, code, pause, hung), *self._advance(now)]

    def stop(self, now: float, *, code: int | None = None) -> list[Command]:
        """Ends everything in order. Said again, it hurries: what is left is killed."""
        if code is not None and not self._stopping:
            self._code = code
        if self._stopping and not self._hurried:
            self._hurried = True
            self._code = self._code or EXIT_STOPPED
            return [Kill(s.service.name, s.life) for s in self._states.values() if s.alive]
        self._stopping = True
        for state in self._states.values():
            if not state.alive:
                state.phase = Phase.DOWN
                state.deadline = None
        return self._advance(now)

    def next_deadline(self) -> float | None:
        return min((s.deadline for s in self._states.values() if s.deadline is not None), default=None)

    def handle_timer(self, now: float) -> list[Command]:
        commands: list[Command] = []
        for name, state in self._states.items():
            if state.deadline is None or state.deadline > now:
                continue
            state.deadline = None
            if state.phase is Phase.BACKOFF:
                state.phase = Phase.WAITING
            elif state.phase is Phase.STARTING:
                state.phase = Phase.STOPPING
                commands.append(Kill(name, state.life))
            elif state.phase is Phase.STOPPING:
                commands.append(Kill(name, state.life))
        return commands + self._advance(now)

    # --- for the status line -------------------------------------------------------------------------------------

    def phase(self, name: str) -> Phase:
        return self._states[name].phase

    def address(self, name: str) -> str:
        """Where it is, or was when it was last ready."""
        return self._states[name].address

    def pause_s(self, failures: int) -> float:
        """Doubles with every failure up to the cap; between half of it and all of it, so that not all come at once."""
        full = min(self._policy.cap_s, self._policy.base_s * 2.0 ** min(failures - 1, 30))
        return full * (0.5 + self._jitter() / 2)

    # --- decisions -----------------------------------------------------------------------------------------------

    def _advance(self, now: float) -> list[Command]:
        if self._stopping:
            return self._wind_down(now)
        commands: list[Command] = []
        for name, state in self._states.items():
            if state.phase is Phase.WAITING and all(self._states[n].was_ready for n in state.service.needs):
                state.phase = Phase.STARTING
                state.life += 1
                state.deadline = now + self._policy.ready_s
                commands.append(Start(name, state.life))
        return commands

    def _wind_down(self, now: float) -> list[Command]:
        commands: list[Command] = []
        wanted = {n for s in self._states.values() if s.alive for n in (*s.service.needs, *s.service.uses)}
        for name, state in self._states.items():
            if state.phase in (Phase.STARTING, Phase.READY) and name not in wanted:
                state.phase = Phase.STOPPING
                state.deadline = now + self._policy.stop_s
                commands.append(Terminate(name, state.life))
        if not self._finished and not any(s.alive for s in self._states.values()):
            self._finished = True
            commands.append(Finish(self._code))
        return commands
