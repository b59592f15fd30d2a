"""What residency is told, what it answers, and what it says of itself: frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from base.errors import AntiphonError


class State(Enum):
    """Of one model. Who may follow whom stands in `residency.FOLLOWS`."""

    ABSENT = "absent"
    LOADING = "loading"
    WARMING = "warming"
    READY = "ready"
    DRAINING = "draining"
    UNLOADING = "unloading"
    FAILED = "failed"


FOREVER = -1.0


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """What an operator says of one model.

    `base`: the id of the model that this one, an adapter, is loaded onto; "" for a model of its own. `estimate`: bytes
    that it is thought to take; measured bytes take its place once there are any. `ttl_s`: how long it stays after its
    last release; 0: not at all, FOREVER: until its room is wanted. `pinned`: never evicted. `isolated`: it lives in a
    process of its own, so that a load that hangs can be ended.
    """

    id: str
    device: str = "cpu"
    base: str = ""
    estimate: int = 0
    ttl_s: float = FOREVER
    pinned: bool = False
    isolated: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """`most` models and `budget` bytes a device (0: no such limit), and seconds.

    `wait_s`: how long whoever wants a model for which there is no room waits for some; `load_s`: how long a load may
    take, warm-up and all; `drain_s`: how long a forced unload lets leases finish. A failed load is tried again after
    `backoff_s`, twice as long each time, at most `backoff_max_s`.
    """

    most: int = 0
    budget: int = 0
    wait_s: float = 5.0
    load_s: float = 120.0
    drain_s: float = 10.0
    backoff_s: float = 1.0
    backoff_max_s: float = 60.0


# --- events -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Acquire:
    """`ticket` (never used before) wants a lease. Answered by Granted or Refused."""

    ticket: int
    model: str


@dataclass(frozen=True, slots=True)
class Release:
    """The lease, or the wish for one, is over; a ticket that holds neither is forgotten already. With `linger_s` its
    holder keeps the model warm for so long: it is not evicted meanwhile.
    """

    ticket: int
    linger_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Prefetch:
    """The model will be wanted soon. It is loaded if there is room, or room can be made, and kept for `linger_s`."""

    model: str
    linger_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Reset:
    """A failure is forgiven: the next who wants the model has it loaded at once."""

    model: str


@dataclass(frozen=True, slots=True)
class UnloadAsked:
    """Somebody wants the model gone; refused (by `check_unload`) while it is leased, unless `force`."""

    model: str
    force: bool = False


@dataclass(frozen=True, slots=True)
class Loaded:
    """Load number `load` has its model in memory, and warms it up."""

    load: int


@dataclass(frozen=True, slots=True)
class Warmed:
    """It gave audio: the model can serve. `size`: bytes it takes; 0 if that could not be measured."""

    load: int
    size: int = 0


@dataclass(frozen=True, slots=True)
class LoadFailed:
    """Load or warm-up failed; nothing of it is left in memory."""

    load: int
    error: AntiphonError


@dataclass(frozen=True, slots=True)
class Unloaded:
    """What load number `load` had loaded is out of memory."""

    load: int


@dataclass(frozen=True, slots=True)
class Lost:
    """The process that load number `load` lives in is gone, and the model with it."""

    load: int
    error: AntiphonError


Event = Acquire | Release | Prefetch | Reset | UnloadAsked | Loaded | Warmed | LoadFailed | Unloaded | Lost


# --- commands ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Granted:
    ticket: int


@dataclass(frozen=True, slots=True)
class Refused:
    ticket: int
    error: AntiphonError


@dataclass(frozen=True, slots=True)
class Load:
    """Answered by Loaded and Warmed, or by LoadFailed."""

    model: str
    load: int


@dataclass(frozen=True, slots=True)
class Unload:
    """Answered by Unloaded, soon."""

    model: str
    load: int


@dataclass(frozen=True, slots=True)
class Kill:
    """The load took too long; its process is to be ended. Answered by Unloaded."""

    model: str
    load: int


@dataclass(frozen=True, slots=True)
class Revoke:
    """The model goes although this ticket holds a lease: its holder is to be told `error`, and releases."""

    ticket: int
    error: AntiphonError


@dataclass(frozen=True, slots=True)
class Wedged:
    """A load in our own process hangs: nothing more can be loaded on `device` until the process is started anew."""

    device: str
    model: str


Command = Granted | Refused | Load | Unload | Kill | Revoke | Wedged


@dataclass(frozen=True, slots=True)
class Status:
    """One model, to be shown. `measured`: whether `size` is more than an estimate.

    `ttl_left_s` is None where it does not run; times are on the caller's clock.
    """

    model: str
    state: State
    size: int = 0
    measured: bool = False
    leases: int = 0
    waiting: int = 0
    lingering: bool = False
    pinned: bool = False
    last_release_s: float | None = None
    ttl_left_s: float | None = None
    error: AntiphonError | None = None
    retry_at_s: float | None = None
