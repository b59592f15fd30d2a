"""Which models are in memory: leases, TTL, LRU, caps. Pure; the one owner of every model's state.

`handle(event, now)` and `handle_timer(now)` return commands, which the loader carries out in order. The rules:

- A turn holds a *lease* from Granted to Release. A leased model is never evicted, nor is one that lingers for a session
  between two turns, a pinned one, one that loads, or the base of an adapter that is in memory.
- However many want an absent model, it is loaded once; one load at a time a device; what is ready serves meanwhile.
- Room is made by evicting what was released longest ago, as little as will do. Where that is not enough, whoever waits
  does so for `wait_s` and is then told what is in the way. What was asked for first is looked at first; what fits may
  pass it.
- A model stays `ttl_s` after its last release (after the end of its lingering, if that is later).
- Bytes are the estimate's until they are measured. What proves larger than thought sends others away, or itself.
- A load that fails is not tried again before its back-off is over, except by Reset. A pinned model is tried by itself.
  A model that is lost is had back at once, unless that, or a failure, was before, and it has not served for long since.
- A load has a deadline: past it a process of its own is killed; in our own process the device is *wedged*: nothing more
  is loaded there, what is ready serves on until the process ends. A draining or unloading that never ends is the same.
- Draining is one-way. Leases have `drain_s` to end, then they are revoked.
- Each load has a number; news of another than the current one is of something that is not wanted any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from base.errors import AntiphonError, AtCapacity, NotFound, TimedOut, Unavailable, WrongState
from worker.residency_values import (
    FOREVER,
    Acquire,
    Command,
    Event,
    Granted,
    Kill,
    Limits,
    Load,
    Loaded,
    LoadFailed,
    Lost,
    ModelPlan,
    Prefetch,
    Refused,
    Release,
    Reset,
    Revoke,
    State,
    Status,
    Unload,
    UnloadAsked,
    Unloaded,
    Warmed,
    Wedged,
)

FOLLOWS: dict[State, frozenset[State]] = {
    State.ABSENT: frozenset({State.LOADING}),
    State.LOADING: frozenset({State.WARMING, State.UNLOADING, State.FAILED}),
    State.WARMING: frozenset({State.READY, State.UNLOADING, State.FAILED}),
    State.READY: frozenset({State.DRAINING, State.UNLOADING, State.FAILED}),
    State.DRAINING: frozenset({State.UNLOADING, State.FAILED}),
    State.UNLOADING: frozenset({State.ABSENT, State.FAILED}),
    State.FAILED: frozenset({State.LOADING, State.ABSENT}),
}

_GONE = frozenset({State.ABSENT, State.FAILED})
_NEVER = float("-inf")


@dataclass(slots=True)
class _Model:
    plan: ModelPlan
    state: State = State.ABSENT
    load: int = 0
    since: float = 0.0
    """When it came into its state; when its load began, for LOADING and WARMING."""
    size: int = 0
    """Measured bytes, also of its last time in memory; 0: never measured."""
    leases: set[int] = field(default_factory=set)
    waiting: dict[int, float] = field(default_factory=dict)
    """Tickets and when they came."""
    wish_until: float = _NEVER
    """Somebody would like it loaded who does not wait for it, and has lost interest by then."""
    wish_linger_s: float = 0.0
    queued: float | None = None
    """Since when it is wanted and not being loaded."""
    blocked: float | None = None
    """Since when there is no room for it and none can be made."""
    released: float = _NEVER
    linger_until: float = _NEVER
    doomed: bool = False
    """It loads, and is to go again at once."""
    revoked: bool = False
    failures: int = 0
    error: AntiphonError | None = None
    retry_at: float = _NEVER

    @property
    def bytes(self) -> int:
        return self.size or self.plan.estimate

    @property
    def resident(self) -> bool:
        return self.state not in _GONE

    @property
    def idle_since(self) -> float:
        return max(self.released, self.linger_until)


class Residency:
    """See the module. Plans name each model once; an adapter's base is one of them, on the same device."""

    def __init__(self, plans: Iterable[ModelPlan], limits: Limits) -> None:
        self._limits = limits
        self._models = {plan.id: _Model(plan) for plan in plans}
        self._adapters: dict[str, list[_Model]] = {}
        for model in self._models.values():
            if base := model.plan.base:
                owner = self._models.get(base)
                if owner is None or owner.plan.base or owner.plan.device != model.plan.device:
                    raise ValueError(f"the base of {model.plan.id!r} is {base!r}, which is no model of its device")
                self._adapters.setdefault(base, []).append(model)
        self._tickets: dict[int, _Model] = {}
        self._by_load: dict[int, _Model] = {}
        self._loads = 0
        self._wedged: set[str] = set()
        self._commands: list[Command] = []

    # --- what the driver calls ----------------------------------------------------------------------------------------

    def handle(self, event: Event, now: float) -> list[Command]:
        """Takes one event; returns what to do, in order."""
        match event:
            case Acquire():
                self._acquire(event, now)
            case Release():
                self._release(event, now)
            case Prefetch():
                self._prefetch(event, now)
            case Reset(model=id):
                self._reset(self._models[id], now)
            case UnloadAsked():
                self._unload_asked(self._models[event.model], now)
            case _:
                self._take_news(event, now)
        return self.handle_timer(now)

    def handle_timer(self, now: float) -> list[Command]:
        """What time alone brings about."""
        self._expire(now)
        self._settle(now)
        commands, self._commands = self._commands, []
        return commands

    def next_deadline(self, now: float) -> float | None:
        """When to call `handle_timer`, if nothing else happens before."""
        due: list[float] = []
        for model in self._models.values():
            due += self._deadlines(model, now)
        return min(due, default=None)

    def estimate(self, id: str, size: int) -> None:
        """Bytes that a model is thought to take, where its plan does not say."""
        model = self._models[id]
        if not model.plan.estimate:
            model.plan = replace(model.plan, estimate=size)

    def refusal(self, id: str, now: float) -> AntiphonError | None:
        """Why Acquire would be refused at once."""
        model = self._models.get(id)
        return self._unknown(id) if model is None else self._refusal(model, now)

    def unload_refusal(self, id: str, *, force: bool) -> AntiphonError | None:
        """Why the model can't be unloaded now; None: UnloadAsked would do it."""
        model = self._models.get(id)
        if model is None:
            return self._unknown(id)
        above = [m.plan.id for m in self._adapters.get(id, []) if m.resident]
        if force or not (model.leases or model.waiting or above):
            return None
        if above:
            what = f"adapters are loaded on it ({', '.join(above)}): unload them first"
        elif model.leases:
            what = f"it is in use by {_count(len(model.leases), 'turn')}: wait"
        else:
            what = f"{_count(len(model.waiting), 'turn')} more to come: wait"
        return WrongState(f"model {id!r} is not unloaded: {what}, or force it", reason="MODEL_IN_USE")

    def leases(self, id: str) -> int:
        return len(self._models[id].leases)

    def state(self, id: str) -> State:
        return self._models[id].state

    def statuses(self, now: float) -> tuple[Status, ...]:
        return tuple(self._status(model, now) for model in self._models.values())

    # --- events -------------------------------------------------------------------------------------------------------

    def _acquire(self, event: Acquire, now: float) -> None:
        if event.ticket in self._tickets:
            raise ValueError(f"ticket {event.ticket} is in use: a ticket is used once")
        if (error := self.refusal(event.model, now)) is not None:
            self._commands.append(Refused(event.ticket, error))
            return
        model = self._tickets[event.ticket] = self._models[event.model]
        model.waiting[event.ticket] = now

    def _release(self, event: Release, now: float) -> None:
        model = self._tickets.pop(event.ticket, None)
        if model is None:
            return
        if event.ticket in model.leases:
            model.leases.discard(event.ticket)
            model.released = now
            if event.linger_s > 0 and model.state is State.READY:
                model.linger_until = max(model.linger_until, now + event.linger_s)
        else:
            del model.waiting[event.ticket]

    def _prefetch(self, event: Prefetch, now: float) -> None:
        model = self._models.get(event.model)
        if model is None or self._refusal(model, now) is not None:
            return
        if model.state is State.READY:
            model.linger_until = max(model.linger_until, now + event.linger_s)
        else:
            model.wish_until = max(model.wish_until, now + self._limits.wait_s)
            model.wish_linger_s = max(model.wish_linger_s, event.linger_s)

    def _reset(self, model: _Model, now: float) -> None:
        model.failures = 0
        if model.state is State.FAILED:
            self._become(model, State.ABSENT, now)
            model.error = None

    def _unload_asked(self, model: _Model, now: float) -> None:
        for adapter in self._adapters.get(model.plan.id, []):
            self._unload_asked(adapter, now)
        model.wish_until = model.linger_until = _NEVER
        gone = Unavailable(f"model {model.plan.id!r} was unloaded by its operator", reason="MODEL_UNLOADED")
        self._refuse_waiting(model, gone)
        if model.state in (State.LOADING, State.WARMING):
            model.doomed = True
        elif model.state is State.READY:
            model.revoked = False
            self._become(model, State.DRAINING, now)

    def _take_news(self, event: Event, now: float) -> None:
        assert isinstance(event, Loaded | Warmed | LoadFailed | Unloaded | Lost)
        model = self._by_load.get(event.load)
        if model is None or model.load != event.load:
            self._stale(event)
            return
        match event:
            case Loaded() if model.state is State.LOADING:
                since = model.since
                self._become(model, State.WARMING, now)
                model.since = since
            case Warmed(size=size) if model.state in (State.LOADING, State.WARMING):
                self._warmed(model, size, now)
            case LoadFailed(error=error) if model.state in (State.LOADING, State.WARMING):
                self._fail(model, error, now)
            case Lost(error=error):
                self._lost(model, error, now)
            case Unloaded() if model.state is State.UNLOADING:
                self._unloaded(model, now)

    def _stale(self, event: Event) -> None:
        """A load that was given up came to an end after all."""
        if isinstance(event, Warmed) and (model := self._by_load.pop(event.load, None)) is not None:
            self._commands.append(Unload(model.plan.id, event.load))
        elif isinstance(event, LoadFailed | Unloaded | Lost):
            self._by_load.pop(event.load, None)

    def _warmed(self, model: _Model, size: int, now: float) -> None:
        if model.state is State.LOADING:
            self._become(model, State.WARMING, now)
        model.size = size or model.size
        self._become(model, State.READY, now)
        model.error = None
        model.released = now
        if model.wish_until >= now:
            model.linger_until = max(model.linger_until, now + model.wish_linger_s)
        model.wish_until, model.wish_linger_s = _NEVER, 0.0
        if model.doomed:
            self._start_unload(model, now)
        elif (error := self._too_large(model)) is not None:
            self._refuse_waiting(model, error)
            self._start_unload(model, now)
            model.error = error
        elif self._over(model) and not self._evict((model.plan.device, 0, 0), now, spare=model):
            self._refuse_waiting(model, self._no_room(model))
            self._start_unload(model, now)

    def _lost(self, model: _Model, error: AntiphonError, now: float) -> None:
        for adapter in self._adapters.get(model.plan.id, []):
            if adapter.resident:
                self._lost(adapter, error, now)
        for ticket in sorted(model.leases):
            self._commands.append(Revoke(ticket, error))
            del self._tickets[ticket]
        model.leases.clear()
        if model.state is State.UNLOADING:
            self._unloaded(model, now)
            return
        if model.state is State.READY and now >= model.since + self._limits.backoff_max_s:
            model.failures = 0
        # The first time it is had back at once; one that is lost again and again is waited for longer and longer.
        at_once = model.failures == 0 and model.state is not State.LOADING
        self._fail(model, error, now, wait_s=0.0 if at_once else None)

    def _unloaded(self, model: _Model, now: float) -> None:
        self._by_load.pop(model.load, None)
        model.load = 0
        model.doomed = model.revoked = False
        if model.error is None:
            model.failures = 0
            self._become(model, State.ABSENT, now)
        else:
            self._back_off(model, now)

    def _fail(self, model: _Model, error: AntiphonError, now: float, wait_s: float | None = None) -> None:
        self._by_load.pop(model.load, None)
        model.load = 0
        model.doomed = model.revoked = False
        model.error = error
        self._back_off(model, now, wait_s)

    def _back_off(self, model: _Model, now: float, wait_s: float | None = None) -> None:
        """`wait_s`: by its failures."""
        assert model.error is not None
        self._become(model, State.FAILED, now)
        doubled = self._limits.backoff_s * 2.0 ** min(model.failures, 30)
        wait = min(self._limits.backoff_max_s, doubled) if wait_s is None else wait_s
        model.failures += 1
        model.retry_at = now + wait
        model.wish_until = model.linger_until = _NEVER
        self._refuse_waiting(model, _again(model.error, wait))

    # --- time ---------------------------------------------------------------------------------------------------------

    def _expire(self, now: float) -> None:
        limits = self._limits
        for model in self._models.values():
            if model.state in (State.LOADING, State.WARMING) and now >= model.since + limits.load_s:
                self._load_hangs(model, now)
            elif model.state is State.DRAINING and not model.revoked and now >= model.since + limits.drain_s:
                model.revoked = True
                error = Unavailable(f"model {model.plan.id!r} was unloaded by force", reason="MODEL_UNLOADED")
                self._commands += [Revoke(ticket, error) for ticket in sorted(model.leases)]
            if self._stuck_at(model) <= now:
                self._wedge(model)

    def _load_hangs(self, model: _Model, now: float) -> None:
        seconds = self._limits.load_s
        error = TimedOut(f"model {model.plan.id!r} did not load within {seconds:g} s", reason="LOAD_TIMEOUT")
        model.error = error
        if model.plan.isolated:
            self._become(model, State.UNLOADING, now)
            self._commands.append(Kill(model.plan.id, model.load))
            self._refuse_waiting(model, error)
            return
        self._wedge(model)
        # Its number stays known: should it load after all, it is to be unloaded.
        model.load = 0
        model.doomed = False
        self._back_off(model, now)

    def _wedge(self, model: _Model) -> None:
        device = model.plan.device
        if device not in self._wedged:
            self._wedged.add(device)
            self._commands.append(Wedged(device, model.plan.id))

    def _stuck_at(self, model: _Model) -> float:
        """When an end that never comes is taken for one that hangs."""
        if model.plan.device in self._wedged:
            return float("inf")
        if model.state is State.UNLOADING:
            return model.since + self._limits.load_s
        if model.state is State.DRAINING:
            return model.since + self._limits.drain_s + self._limits.load_s
        return float("inf")

    def _deadlines(self, model: _Model, now: float) -> list[float]:
        due = []
        limits = self._limits
        if model.state in (State.LOADING, State.WARMING):
            due.append(model.since + limits.load_s)
        elif model.state is State.DRAINING and not model.revoked:
            due.append(model.since + limits.drain_s)
        elif model.state is State.FAILED and model.plan.pinned and model.retry_at > now:
            due.append(model.retry_at)
        if (stuck := self._stuck_at(model)) != float("inf"):
            due.append(stuck)
        if self._evictable(model, now) and model.plan.ttl_s != FOREVER:
            due.append(max(model.idle_since, now) if model.plan.ttl_s == 0 else model.idle_since + model.plan.ttl_s)
        if model.linger_until > now:
            due.append(model.linger_until)
        if model.blocked is not None:
            due += [max(model.blocked, asked) + limits.wait_s for asked in model.waiting.values()]
            if model.wish_until > now:
                due.append(model.wish_until)
        return due

    # --- settling -----------------------------------------------------------------------------------------------------

    def _settle(self, now: float) -> None:
        for model in self._models.values():
            self._grant(model, now)
        self._let_go(now)
        self._queue(now)
        # Whoever was refused may have been all that kept a base.
        self._let_go(now)

    def _let_go(self, now: float) -> None:
        for model in self._models.values():
            if model.state is State.DRAINING and not model.leases and not self._resident_adapters(model):
                self._start_unload(model, now)
            over = model.plan.ttl_s != FOREVER and now >= model.idle_since + model.plan.ttl_s
            if over and self._evictable(model, now):
                self._start_unload(model, now)

    def _grant(self, model: _Model, now: float) -> None:
        if model.state is State.READY and model.waiting:
            for ticket in model.waiting:
                model.leases.add(ticket)
                self._commands.append(Granted(ticket))
            model.waiting.clear()

    def _queue(self, now: float) -> None:
        for model in self._models.values():
            wanted = model.state in _GONE and self._wanted(model, now)
            if not wanted:
                model.queued = model.blocked = None
            elif model.queued is None:
                model.queued = now
        line = sorted((m for m in self._models.values() if m.queued is not None), key=lambda m: (m.queued, m.plan.id))
        for model in line:
            self._try_load(model, now)

    def _wanted(self, model: _Model, now: float) -> bool:
        if model.waiting or model.wish_until > now:
            return True
        if model.plan.pinned and model.state is State.FAILED and now >= model.retry_at:
            return model.plan.device not in self._wedged
        return any(m.state in _GONE and (m.waiting or m.wish_until > now) for m in self._adapters_of(model))

    def _try_load(self, model: _Model, now: float) -> None:
        base = self._models.get(model.plan.base)
        if base is not None and base.state is not State.READY:
            refusal = self._refusal(base, now)
            if refusal is not None:
                self._refuse_waiting(model, refusal)
            self._share_block(model, base, now)
            return
        if model.plan.device in self._wedged:
            self._refuse_waiting(model, self._wedged_error(model))
        elif model.state is State.FAILED and now < model.retry_at:
            # Only a base that its adapters want comes here.
            return
        elif self._has_room(model):
            model.blocked = None
            if not self._device_busy(model):
                self._start_load(model, now)
        elif self._room_is_coming(model) or self._evict(self._lack(model), now, spare=base):
            model.blocked = None
        else:
            self._block(model, now)

    def _block(self, model: _Model, now: float) -> None:
        if model.blocked is None:
            model.blocked = now
        error = self._no_room(model)
        for ticket, asked in list(model.waiting.items()):
            if now >= max(model.blocked, asked) + self._limits.wait_s:
                self._refuse(model, ticket, error)

    def _share_block(self, model: _Model, base: _Model, now: float) -> None:
        """An adapter whose base finds no room waits no longer than the base would."""
        if base.blocked is None:
            model.blocked = None
            return
        if model.blocked is None:
            model.blocked = now
        error = self._no_room(base)
        for ticket, asked in list(model.waiting.items()):
            if now >= max(model.blocked, asked) + self._limits.wait_s:
                self._refuse(model, ticket, error)

    def _start_load(self, model: _Model, now: float) -> None:
        self._loads += 1
        model.load = self._loads
        self._by_load[model.load] = model
        model.queued = model.blocked = None
        self._become(model, State.LOADING, now)
        self._commands.append(Load(model.plan.id, model.load))

    def _start_unload(self, model: _Model, now: float) -> None:
        self._become(model, State.UNLOADING, now)
        model.linger_until = _NEVER
        self._commands.append(Unload(model.plan.id, model.load))

    # --- room ---------------------------------------------------------------------------------------------------------

    def _on(self, device: str) -> list[_Model]:
        return [m for m in self._models.values() if m.resident and m.plan.device == device]

    def _fits(self, count: int, size: int) -> bool:
        limits = self._limits
        return (not limits.most or count <= limits.most) and (not limits.budget or size <= limits.budget)

    def _has_room(self, model: _Model) -> bool:
        there = self._on(model.plan.device)
        return self._fits(len(there) + 1, sum(m.bytes for m in there) + model.bytes)

    def _room_is_coming(self, model: _Model) -> bool:
        staying = [m for m in self._on(model.plan.device) if m.state is not State.UNLOADING]
        return self._fits(len(staying) + 1, sum(m.bytes for m in staying) + model.bytes)

    def _over(self, model: _Model) -> bool:
        there = self._on(model.plan.device)
        return not self._fits(len(there), sum(m.bytes for m in there))

    def _lack(self, model: _Model) -> tuple[str, int, int]:
        """Where room is to be made, and for how much."""
        return model.plan.device, 1, model.bytes

    def _evict(self, lack: tuple[str, int, int], now: float, *, spare: _Model | None) -> bool:
        """Unloads as little as will do, longest released first; False, and nothing is done, where it would not do."""
        device, count, size = lack
        staying = [m for m in self._on(device) if m.state is not State.UNLOADING]
        chosen: list[_Model] = []

        def fits(going: list[_Model]) -> bool:
            left = [m for m in staying if m not in going]
            return self._fits(len(left) + count, sum(m.bytes for m in left) + size)

        while not fits(chosen):
            next_ = [
                m for m in staying if m not in chosen and m is not spare and self._evictable(m, now, without=chosen)
            ]
            if not next_:
                return False
            chosen.append(min(next_, key=lambda m: (m.idle_since, m.plan.id)))
        for model in chosen[::-1]:
            rest = [m for m in chosen if m is not model]
            if fits(rest) and not any(m.plan.id == model.plan.base for m in rest):
                chosen = rest
        for model in chosen:
            # A base follows when its adapters are out.
            if not self._resident_adapters(model):
                self._start_unload(model, now)
        return True

    def _evictable(self, model: _Model, now: float, without: Iterable[_Model] = ()) -> bool:
        if model.state is not State.READY or model.plan.pinned or model.leases or model.waiting:
            return False
        if model.linger_until > now:
            return False
        gone = list(without)
        if any(m not in gone for m in self._resident_adapters(model)):
            return False
        return not any(m.state in _GONE and (m.waiting or m.wish_until > now) for m in self._adapters_of(model))

    def _device_busy(self, model: _Model) -> bool:
        return any(m.state in (State.LOADING, State.WARMING) for m in self._on(model.plan.device))

    # --- small things -------------------------------------------------------------------------------------------------

    def _become(self, model: _Model, state: State, now: float) -> None:
        if state not in FOLLOWS[model.state]:
            raise AssertionError(f"model {model.plan.id!r} cannot go from {model.state.value} to {state.value}")
        model.state = state
        model.since = now

    def _adapters_of(self, model: _Model) -> list[_Model]:
        return self._adapters.get(model.plan.id, [])

    def _resident_adapters(self, model: _Model) -> list[_Model]:
        return [m for m in self._adapters_of(model) if m.resident]

    def _refuse(self, model: _Model, ticket: int, error: AntiphonError) -> None:
        del model.waiting[ticket]
        del self._tickets[ticket]
        self._commands.append(Refused(ticket, error))

    def _refuse_waiting(self, model: _Model, error: AntiphonError) -> None:
        for ticket in list(model.waiting):
            self._refuse(model, ticket, error)

    # --- why not ------------------------------------------------------------------------------------------------------

    def _refusal(self, model: _Model, now: float) -> AntiphonError | None:
        """Why nobody may even wait for it."""
        if model.state not in _GONE:
            return None
        if model.plan.device in self._wedged:
            return self._wedged_error(model)
        if (error := self._too_large(model)) is not None:
            return error
        if model.state is State.FAILED and now < model.retry_at and model.error is not None:
            return _again(model.error, model.retry_at - now)
        base = self._models.get(model.plan.base)
        return self._refusal(base, now) if base is not None else None

    def _too_large(self, model: _Model) -> AntiphonError | None:
        base = self._models.get(model.plan.base)
        size = model.bytes + (base.bytes if base is not None else 0)
        limits = self._limits
        if limits.budget and size > limits.budget:
            with_base = f" with its base {base.plan.id!r}" if base is not None else ""
            return WrongState(
                f"model {model.plan.id!r}{with_base} takes {_mib(size)}, more than the {_mib(limits.budget)} that "
                f"device {model.plan.device!r} may hold; raise the budget, or choose a smaller model",
                reason="MODEL_TOO_LARGE",
            )
        if limits.most and base is not None and limits.most < 2:
            return WrongState(
                f"model {model.plan.id!r} needs its base {base.plan.id!r} beside it, and device "
                f"{model.plan.device!r} may hold one model; let it hold two",
                reason="MODEL_TOO_LARGE",
            )
        return None

    def _no_room(self, model: _Model) -> AntiphonError:
        there = [m for m in self._on(model.plan.device) if m is not model]
        names = ", ".join(f"{m.plan.id} ({_why(m)})" for m in there)
        return AtCapacity(
            f"there is no room for model {model.plan.id!r} ({_mib(model.bytes)}): in the way are {names}",
            reason="NO_ROOM",
            retry_after_s=max(1.0, self._limits.wait_s),
        )

    def _wedged_error(self, model: _Model) -> AntiphonError:
        return Unavailable(
            f"device {model.plan.device!r} hangs in a load, so model {model.plan.id!r} cannot be loaded; "
            "the worker is restarting: go to another",
            reason="DEVICE_WEDGED",
            retry_after_s=5.0,
        )

    def _unknown(self, id: str) -> AntiphonError:
        known = ", ".join(self._models) or "none"
        return NotFound(f"there is no model {id[:80]!r}; there are {known}", reason="UNKNOWN_MODEL")

    def _status(self, model: _Model, now: float) -> Status:
        ttl = model.plan.ttl_s
        runs = ttl != FOREVER and self._evictable(model, now)
        return Status(
            model=model.plan.id,
            state=model.state,
            size=model.bytes if model.resident and model.state not in (State.LOADING, State.WARMING) else 0,
            measured=model.size > 0 and model.resident,
            leases=len(model.leases),
            waiting=len(model.waiting),
            lingering=model.state is State.READY and model.linger_until > now,
            pinned=model.plan.pinned,
            last_release_s=model.released if model.released != _NEVER else None,
            ttl_left_s=max(0.0, model.idle_since + ttl - now) if runs else None,
            error=model.error if model.state is State.FAILED else None,
            retry_at_s=model.retry_at if model.state is State.FAILED else None,
        )


def _again(error: AntiphonError, after_s: float) -> AntiphonError:
    return type(error)(error.message, reason=error.reason, retry_after_s=max(0.0, after_s))


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _mib(size: int) -> str:
    return f"{size / 2**20:.0f} MiB" if size else "unknown size"


def _why(model: _Model) -> str:
    if model.leases:
        return f"leased by {_count(len(model.leases), 'turn')}"
    return "pinned" if model.plan.pinned else "kept warm" if model.state is State.READY else model.state.value
