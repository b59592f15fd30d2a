"""Carries out what residency decides: loads and unloads on threads of its own, hands out leases, watches the clock.

Belongs to one event loop. What a load gives is the worker's own business: `Models` says how to load, warm up, measure
and close one, each on a thread, where they may block.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeVar

from base.errors import AntiphonError, Internal
from base.log import get_logger
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
    Status,
    Unload,
    UnloadAsked,
    Unloaded,
    Warmed,
    Wedged,
)

log = get_logger("models")

M = TypeVar("M")


class Loading(Protocol[M]):
    """One load of one model. All but `kill` run on the load's own thread, in this order, and may block."""

    def load(self) -> M:
        """Raises an AntiphonError that names the model; nothing is left in memory then."""
        ...

    def warm_up(self, model: M) -> int:
        """Has it speak, or hear, for nobody; returns the bytes that it takes, 0 if unknown. Raises likewise."""
        ...

    def close(self, model: M) -> None: ...

    def kill(self) -> None:
        """Ends the process that a load which takes too long lives in; from another thread. Nothing to do otherwise."""
        ...


Starts = Callable[[str, Callable[[AntiphonError], None]], Loading[M]]
"""Makes a load of the model of that id. The other argument may be called from any thread, once, when the process that
the model lives in is gone.
"""


class Lease(Generic[M]):
    """A turn's hold on a model. Release it exactly once; again changes nothing."""

    def __init__(
        self, loader: Loader[M], ticket: int, id: str, model: M, revoked: Callable[[AntiphonError], None]
    ) -> None:
        self.id = id
        self.model = model
        self.ticket = ticket
        self._loader: Loader[M] | None = loader
        self._revoked = revoked

    def release(self, linger_s: float = 0.0) -> None:
        """With `linger_s` the model is kept warm for so long."""
        loader, self._loader = self._loader, None
        if loader is not None:
            loader.release_nowait(self.ticket, linger_s)

    def revoke(self, error: AntiphonError) -> None:
        """The loader's word that the model goes; the holder is told, and is to release soon."""
        self._revoked(error)


Answer = Callable[["Lease[M] | AntiphonError"], None]


@dataclass(slots=True)
class _Wish(Generic[M]):
    id: str
    answer: Answer[M]
    revoked: Callable[[AntiphonError], None]


@dataclass(slots=True)
class _Copy(Generic[M]):
    """One load, as long as anything of it is in memory."""

    id: str
    loading: Loading[M]
    model: M | None = None
    killed: bool = False


class Loader(Generic[M]):
    """`start` begins a load; `changed` is called after every change of a model's state; `wedged` with the device and
    model of a load in our own process that hangs: the worker is to drain and end.
    """

    def __init__(
        self,
        plans: Iterable[ModelPlan],
        limits: Limits,
        start: Starts[M],
        *,
        changed: Callable[[], None] = lambda: None,
        wedged: Callable[[str, str], None] = lambda device, model: None,
    ) -> None:
        self._plans = {plan.id: plan for plan in plans}
        self._residency = Residency(self._plans.values(), limits)
        self._start = start
        self._changed = changed
        self._wedged = wedged
        self._loop = asyncio.get_running_loop()
        self._tickets = itertools.count(1)
        self._wishes: dict[int, _Wish[M]] = {}
        self._leases: dict[int, Lease[M]] = {}
        self._copies: dict[int, _Copy[M]] = {}
        self._current: dict[str, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due: float | None = None
        """When it goes off: uvloop's handles do not always tell."""
        self._states: dict[str, State] = {}
        self._moved = asyncio.Event()
        self._closed = False

    # --- leases -------------------------------------------------------------------------------------------------------

    def acquire_nowait(
        self, id: str, answer: Answer[M], revoked: Callable[[AntiphonError], None] = lambda error: None
    ) -> int:
        """`answer` gets a lease or the reason for none, exactly once, unless `release_nowait(ticket)` comes before: for
        a ready model before this returns. Returns the ticket.
        """
        ticket = next(self._tickets)
        self._wishes[ticket] = _Wish(id, answer, revoked)
        self._tell(Acquire(ticket, id))
        return ticket

    async def acquire(self, id: str) -> Lease[M]:
        """Waits for it. Raises AntiphonErrors."""
        answered: asyncio.Future[Lease[M]] = self._loop.create_future()

        def answer(found: Lease[M] | AntiphonError) -> None:
            if isinstance(found, AntiphonError):
                answered.set_exception(found)
            else:
                answered.set_result(found)

        ticket = self.acquire_nowait(id, answer)
        try:
            return await answered
        except asyncio.CancelledError:
            self.release_nowait(ticket)
            raise

    def release_nowait(self, ticket: int, linger_s: float = 0.0) -> None:
        """Gives up a lease, or the wish for one."""
        self._wishes.pop(ticket, None)
        self._leases.pop(ticket, None)
        self._tell(Release(ticket, linger_s))

    def prefetch_nowait(self, id: str, linger_s: float = 0.0) -> None:
        """The model will be wanted soon."""
        self._tell(Prefetch(id, linger_s))

    def estimate(self, id: str, size: int) -> None:
        """Bytes that a model is thought to take, where its plan does not say."""
        self._residency.estimate(id, size)

    def refusal(self, id: str) -> AntiphonError | None:
        """Why there is no use in waiting for the model now; None: it can be had, or may be soon."""
        return self._residency.refusal(id, self._loop.time())

    # --- what an operator asks ----------------------------------------------------------------------------------------

    async def load(self, id: str, linger_s: float = 0.0) -> None:
        """Loads it now, whatever failed before. Raises AntiphonErrors."""
        if id in self._plans:
            self._tell(Reset(id))
        lease = await self.acquire(id)
        lease.release(linger_s)

    async def unload(self, id: str, *, force: bool) -> None:
        """Returns when it is out of memory. Raises NotFound, and WrongState while it is in use, unless `force`."""
        if (refusal := self._residency.unload_refusal(id, force=force)) is not None:
            raise refusal
        self._tell(UnloadAsked(id, force))
        number = self._current.get(id)
        while number is not None and self._current.get(id) == number:
            await self.wait_change()

    # --- looking ------------------------------------------------------------------------------------------------------

    def statuses(self) -> tuple[Status, ...]:
        """Times are on the loop's clock."""
        return self._residency.statuses(self._loop.time())

    def leases(self, id: str) -> int:
        """How many hold it."""
        return self._residency.leases(id)

    def state(self, id: str) -> State:
        return self._residency.state(id)

    def model(self, id: str) -> M | None:
        """What is loaded, if it is ready; only to look at: without a lease it may go any time."""
        number = self._current.get(id)
        ready = number is not None and self._residency.state(id) is State.READY
        return self._copies[number].model if ready and number is not None else None

    async def wait_change(self) -> None:
        """Until a model's state, or who holds it, has changed."""
        await self._moved.wait()

    # --- end ----------------------------------------------------------------------------------------------------------

    async def close(self, within_s: float) -> None:
        """Closes what is loaded; leases must be over. What hangs is left to the end of the process."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        copies = list(self._copies.values())
        for copy in copies:
            if copy.model is None:
                copy.killed = True
                _thread(f"kill-{copy.id}", copy.loading.kill)

        left = {copy.id for copy in copies}
        empty = asyncio.Event()

        def closed(id: str) -> None:
            left.discard(id)
            if not left:
                empty.set()

        for copy in copies:
            _thread(f"close-{copy.id}", partial(self._close, copy, partial(closed, copy.id)))
        try:
            async with asyncio.timeout(within_s if left else 0.0):
                await empty.wait()
        except TimeoutError:
            if left:
                log.warning("models.hang", models=sorted(left))

    def _close(self, copy: _Copy[M], closed: Callable[[], None]) -> None:
        model, copy.model = copy.model, None
        if model is not None:
            _quietly(copy.id, copy.loading, model)
        self._post(closed)

    # --- carrying out -------------------------------------------------------------------------------------------------

    def _tell(self, event: Event) -> None:
        if not self._closed:
            self._do(self._residency.handle(event, self._loop.time()))

    def _do(self, commands: list[Command]) -> None:
        """Decided first, all of it; then told: an answer may ask for more, which is decided on top."""
        answers: list[Callable[[], None]] = []
        try:
            for command in commands:
                answers += self._do_one(command)
        finally:
            self._arm()
        self._note()
        for answer in answers:
            answer()

    def _do_one(self, command: Command) -> list[Callable[[], None]]:
        match command:
            case Granted(ticket=ticket):
                return self._granted(ticket)
            case Refused(ticket=ticket, error=error):
                wish = self._wishes.pop(ticket, None)
                return [lambda: wish.answer(error)] if wish is not None else []
            case Revoke(ticket=ticket, error=error):
                lease = self._leases.get(ticket)
                return [lambda: lease.revoke(error)] if lease is not None else []
            case Load(model=id, load=number):
                self._load(id, number)
            case Unload(load=number):
                self._unload(number)
            case Kill(load=number):
                self._kill(number)
            case Wedged(device=device, model=id):
                log.error("device.wedged", device=device, model=id)
                return [lambda: self._wedged(device, id)]
        return []

    def _granted(self, ticket: int) -> list[Callable[[], None]]:
        wish = self._wishes.pop(ticket, None)
        if wish is None:
            return []
        model = self._copies[self._current[wish.id]].model
        assert model is not None
        lease = Lease(self, ticket, wish.id, model, wish.revoked)
        self._leases[ticket] = lease
        return [lambda: wish.answer(lease)]

    def _load(self, id: str, number: int) -> None:
        def lost(error: AntiphonError) -> None:
            self._post(lambda: self._gone(number, Lost(number, error)))

        copy = _Copy(id, self._start(id, lost))
        self._copies[number] = copy
        self._current[id] = number
        log.info("model.loading", model=id)
        _thread(f"load-{id}", lambda: self._run_load(number, copy))

    def _run_load(self, number: int, copy: _Copy[M]) -> None:
        began = self._loop.time()
        model: M | None = None
        try:
            model = copy.loading.load()
            self._post(lambda: self._tell(Loaded(number)))
            size = copy.loading.warm_up(model)
        except Exception as fault:
            error = fault if isinstance(fault, AntiphonError) else _broken(copy.id, fault)
            if model is not None:
                _quietly(copy.id, copy.loading, model)
            self._post(lambda: self._failed(number, error))
        else:
            ready = model
            took_s = self._loop.time() - began
            self._post(lambda: self._ready(number, copy.loading, ready, size, took_s))

    def _ready(self, number: int, loading: Loading[M], model: M, size: int, took_s: float) -> None:
        copy = self._copies.get(number)
        if copy is None or copy.killed or self._closed:
            # Nobody will ask for it any more; a killed one is gone anyway.
            _thread(f"close-late-{number}", partial(_quietly, "late", loading, model))
            return
        copy.model = model
        log.info("model.ready", model=copy.id, took_s=round(took_s, 3), bytes=size)
        self._tell(Warmed(number, size))

    def _failed(self, number: int, error: AntiphonError) -> None:
        copy = self._copies.get(number)
        if copy is None or copy.killed:
            return
        log.error("model.failed", model=copy.id, reason=error.reason, message=error.message)
        self._gone(number, LoadFailed(number, error))

    def _unload(self, number: int) -> None:
        copy = self._copies[number]
        model, copy.model = copy.model, None

        def close() -> None:
            if model is not None:
                _quietly(copy.id, copy.loading, model)
            self._post(lambda: self._gone(number, Unloaded(number)))

        log.info("model.unloading", model=copy.id)
        _thread(f"unload-{copy.id}", close)

    def _kill(self, number: int) -> None:
        copy = self._copies[number]
        copy.killed = True

        def kill() -> None:
            copy.loading.kill()
            self._post(lambda: self._gone(number, Unloaded(number)))

        log.error("model.killed", model=copy.id)
        _thread(f"kill-{copy.id}", kill)

    def _gone(self, number: int, event: Event) -> None:
        """Nothing of a load is in memory any more."""
        copy = self._copies.pop(number, None)
        if copy is None:
            return
        if self._current.get(copy.id) == number:
            del self._current[copy.id]
        self._tell(event)

    def _post(self, call: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:
            # The loop is closed: nobody is left to tell.
            log.debug("models.late")

    # --- time and news ------------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        due = self._residency.next_deadline(self._loop.time())
        if self._timer is not None:
            if due == self._due:
                return
            self._timer.cancel()
            self._timer = None
        self._due = due
        if due is not None and not self._closed:
            self._timer = self._loop.call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._do(self._residency.handle_timer(self._loop.time()))

    def _note(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
        states = {id: self._residency.state(id) for id in self._plans}
        if states != self._states:
            self._states = states
            self._changed()


def _quietly(id: str, loading: Loading[M], model: M) -> None:
    """A close that fails is logged: there is nobody to tell, and nothing else to do."""
    try:
        loading.close(model)
    except Exception as fault:
        log.error("model.close_failed", model=id, exc_info=fault)


def _broken(id: str, fault: Exception) -> AntiphonError:
    log.error("model.fault", model=id, exc_info=fault)
    return Internal(
        f"model {id!r} broke while it was loaded ({type(fault).__name__}); the worker's log says more", reason="FAULT"
    )


def _thread(name: str, target: Callable[[], None]) -> threading.Thread:
    """A daemon: one that hangs does not keep the process from ending."""
    thread = threading.Thread(target=target, name=name, daemon=True)
    thread.start()
    return thread
