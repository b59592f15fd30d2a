"""A loader that is not there: what residency commands is done when a test says so, and checked against its promises."""

from __future__ import annotations

from base.errors import Internal
from worker.residency import Residency
from worker.residency_values import (
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
    Unload,
    UnloadAsked,
    Unloaded,
    Warmed,
    Wedged,
)


class Loader:
    """`now` is the only clock. Every command is checked when it comes."""

    def __init__(self, plans: list[ModelPlan], limits: Limits) -> None:
        self.plans = {plan.id: plan for plan in plans}
        self.limits = limits
        self.residency = Residency(plans, limits)
        self.now = 1000.0
        self.tickets = 0
        self.waiting: dict[int, tuple[str, float]] = {}
        self.leases: dict[int, str] = {}
        self.refused: dict[int, Refused] = {}
        self.revoked: list[Revoke] = []
        self.loading: dict[int, str] = {}
        self.hung: set[int] = set()
        """Loads that were given up and may still end."""
        self.leaving: dict[int, str] = {}
        self.memory: dict[int, str] = {}
        self.wedged: list[Wedged] = []
        self.commands: list[Command] = []
        self.loads = 0

    # --- what a test does ---------------------------------------------------------------------------------------------

    def acquire(self, model: str) -> int:
        self.tickets += 1
        self.waiting[self.tickets] = (model, self.now)
        self.tell(Acquire(self.tickets, model))
        return self.tickets

    def release(self, ticket: int, linger_s: float = 0.0) -> None:
        self.waiting.pop(ticket, None)
        self.leases.pop(ticket, None)
        self.tell(Release(ticket, linger_s))

    def prefetch(self, model: str, linger_s: float = 0.0) -> None:
        self.tell(Prefetch(model, linger_s))

    def reset(self, model: str) -> None:
        self.tell(Reset(model))

    def unload(self, model: str, *, force: bool = False) -> bool:
        """False when it was refused."""
        if self.residency.unload_refusal(model, force=force) is not None:
            return False
        self.tell(UnloadAsked(model, force))
        return True

    def warm(self, load: int | None = None, size: int | None = None) -> None:
        """The load (the only one, if none is named) succeeds."""
        load = next(iter(self.loading)) if load is None else load
        model = self.loading.pop(load)
        self.memory[load] = model
        self.tell(Loaded(load))
        self.tell(Warmed(load, self.plans[model].estimate if size is None else size))

    def fail(self, load: int | None = None) -> None:
        load = next(iter(self.loading)) if load is None else load
        model = self.loading.pop(load)
        self.tell(LoadFailed(load, Internal(f"{model} broke")))

    def lose(self, load: int) -> None:
        """Its process dies."""
        model = self.memory.get(load) or self.loading[load]
        for other in [n for n, m in (*self.memory.items(), *self.loading.items()) if self.plans[m].base == model]:
            self._forget(other)
        self._forget(load)
        self.tell(Lost(load, Internal(f"{model} died")))

    def end_hung(self, load: int) -> None:
        """A load that was given up succeeds after all."""
        self.hung.discard(load)
        self.tell(Warmed(load, 1))

    def unloaded(self, load: int | None = None) -> None:
        load = next(iter(self.leaving)) if load is None else load
        self._forget(load)
        self.tell(Unloaded(load))

    def pass_time(self, seconds: float) -> None:
        """Timers go off on the way."""
        until = self.now + seconds
        for _ in range(1000):
            due = self.residency.next_deadline(self.now)
            if due is None or due > until:
                self.now = until
                return
            assert due > self.now, f"a deadline that was not met: {self.residency.statuses(self.now)}"
            self.now = max(self.now, due)
            self.do(self.residency.handle_timer(self.now))
        raise AssertionError("a storm of timers")

    def state(self, model: str) -> State:
        return self.residency.state(model)

    # --- inside -------------------------------------------------------------------------------------------------------

    def tell(self, event: Event) -> None:
        self.do(self.residency.handle(event, self.now))

    def do(self, commands: list[Command]) -> None:
        for command in commands:
            self.commands.append(command)
            self._do(command)
        self.check()

    def _do(self, command: Command) -> None:
        match command:
            case Granted(ticket=ticket):
                model, _ = self.waiting.pop(ticket)
                self.leases[ticket] = model
            case Refused(ticket=ticket):
                del self.waiting[ticket]
                self.refused[ticket] = command
            case Revoke(ticket=ticket):
                assert ticket in self.leases
                self.revoked.append(command)
                if self.state(self.leases[ticket]) is State.FAILED:
                    del self.leases[ticket]
            case Load(model=model, load=load):
                self._load(model, load)
            case Unload(model=model, load=load):
                assert load not in self.leaving
                assert model not in self.leases.values(), "unloaded while leased"
                used = [m for m in self.memory.values() if self.plans[m].base == model]
                assert not used or load not in self.memory, "unloaded below its adapters"
                self.leaving[load] = model
            case Kill(model=model, load=load):
                assert self.plans[model].isolated
                del self.loading[load]
                self.leaving[load] = model
            case Wedged():
                assert command.device not in {w.device for w in self.wedged}
                self.wedged.append(command)

    def _load(self, model: str, load: int) -> None:
        plan = self.plans[model]
        self.loads += 1
        assert model not in self.memory.values(), "a second copy"
        # A load that hung is none any more; its device is wedged.
        for number, other in list(self.loading.items()):
            assert other != model, "a second load"
            assert self.plans[other].device != plan.device, f"two loads at once on {plan.device}: {number}"
        assert plan.device not in {w.device for w in self.wedged}
        if plan.base:
            assert plan.base in self.memory.values()
        self.loading[load] = model

    def _forget(self, load: int) -> None:
        for where in (self.loading, self.leaving, self.memory):
            where.pop(load, None)

    def check(self) -> None:
        """What must hold at any time."""
        due = self.residency.next_deadline(self.now)
        assert due is None or due > self.now, f"a deadline that is past: {self.residency.statuses(self.now)}"
        for model in self.leases.values():
            assert self.state(model) in (State.READY, State.DRAINING)
        for model in {m for m, _ in self.waiting.values()}:
            assert self.state(model) is not State.READY, "who waits for a ready model was forgotten"
        given_up = [n for n, m in self.loading.items() if self.state(m) is State.FAILED]
        for load in given_up:
            del self.loading[load]
            self.hung.add(load)
        for device in {plan.device for plan in self.plans.values()}:
            there = [*self.memory.items(), *self.loading.items()]
            mine = {load: m for load, m in there if self.plans[m].device == device}
            assert not self.limits.most or len(mine) <= self.limits.most
            sizes = [self.plans[m].estimate for m in mine.values()]
            assert not self.limits.budget or sum(sizes) <= self.limits.budget
