"""A model that lives in a process of its own, behind the port of any other.

`Loading.load` starts the process, has it load the model and gives an `IsolatedModel`, whose `synthesize` may run on
many threads at once. Unloading ends the process, so that all of its memory comes back, and a load that hangs can be
killed. What goes wrong in there is raised here, as it was; a process that dies ends its requests, and `lost` is told.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable, Iterator

from base.errors import AntiphonError, Misconfigured, TimedOut, Unavailable
from base.log import get_logger
from tts_workers.engine import Audio, EngineInfo, Mark, ModelSpec, Request
from tts_workers.isolated import pipe
from tts_workers.isolated.endings import closed, died
from tts_workers.isolated.process import Process
from worker import memory

POLL_S = 0.02
"""How often a request that waits for its model is asked whether it is cancelled."""
CLOSE_S = 2.0
"""How long a model may take to close by itself before its process is killed."""

log = get_logger("isolated")

Lost = Callable[[AntiphonError], None]
_News = queue.SimpleQueue["pipe.FromChild | AntiphonError"]


def nobody(error: AntiphonError) -> None:
    pass


class Loading:
    """One load of one model, in a process that `kill` ends.

    `factory` ("module:Class") makes the engine in there; it is the operator's word, never a client's. `memory_limit`
    in bytes, where the system can limit it (Linux); 0: none. `lost` is called once, on a thread that may not wait, if
    the process goes after the load without being asked to.
    """

    def __init__(self, spec: ModelSpec, factory: str, *, memory_limit: int = 0, lost: Lost = nobody) -> None:
        self._host = _Host(spec, factory, memory_limit, lost)

    def load(self) -> IsolatedModel:
        """Blocks until the model is loaded. Raises an AntiphonError that names it; nothing is left of it then."""
        return IsolatedModel(self._host, self._host.load())

    def kill(self) -> None:
        """Ends the process, whatever it does, and waits until it is gone. From any thread, at any time.

        A `load` that waits raises Unavailable; a model that is loaded is closed.
        """
        self._host.kill()


class IsolatedModel:
    """Made by `Loading`."""

    def __init__(self, host: _Host, info: EngineInfo) -> None:
        self.info = info
        self._host = host

    @property
    def pid(self) -> int:
        """Of its process; 0 when that is gone."""
        return self._host.pid

    def resident_bytes(self) -> int:
        """What its process takes, and those that it started; 0 where the system does not tell (Linux does)."""
        return memory.resident_bytes(self.pid) if self.pid else 0

    def synthesize(self, request: Request) -> Iterator[Audio | Mark]:
        if request.cancelled():
            return
        id, news = self._host.begin(request)
        window = pipe.Window()
        over = False
        try:
            while not request.cancelled():
                try:
                    message = news.get(timeout=POLL_S)
                except queue.Empty:
                    continue
                match message:
                    case pipe.Sound() | pipe.Word():
                        yield message.item()
                        if window.take(message):
                            self._host.send(pipe.More(id, window.until, request.ahead_s()))
                    case pipe.Failed():
                        over = True
                        raise self._host.error(message)
                    case AntiphonError():
                        over = True
                        raise message
                    case pipe.Done():
                        over = True
                        return
        finally:
            self._host.end(id, cancel=not over)

    def close(self) -> None:
        """Closes the model and ends its process; blocks until that is gone. Requests that still run fail."""
        self._host.close()

    def kill(self) -> None:
        """The same at once, without a word to the model."""
        self._host.kill()


class _Host:
    """The process, and whom its news is for."""

    def __init__(self, spec: ModelSpec, factory: str, memory_limit: int, lost: Lost) -> None:
        self._spec = spec
        self._limit = memory_limit
        self._lost = lost
        self._ids = itertools.count(pipe.LOAD + 1)
        self._news: dict[int, _News] = {}
        self._loaded = False
        self._over: AntiphonError | None = None
        """Why nothing more comes."""
        self._ending = threading.Lock()
        self._oom_kills = memory.oom_kills()
        try:
            first = pipe.encode(pipe.Load(spec.id, spec.engine, factory, dict(spec.options), memory_limit))
        except (TypeError, ValueError, OverflowError) as error:
            raise Misconfigured(
                f"model {spec.id!r}: its options cannot be given to a process of its own: {error}"
            ) from error
        self._process = Process(first, self._take, self._ended)

    @property
    def pid(self) -> int:
        return self._process.pid

    def load(self) -> EngineInfo:
        news = self._news[pipe.LOAD] = _News()
        if self._over is not None:
            raise _again(self._over)
        self._process.start()
        try:
            match message := news.get():
                case pipe.Loaded():
                    return message.info
                case pipe.Failed():
                    raise self.error(message)
                case AntiphonError():
                    raise message
                case _:
                    raise AssertionError(message)
        except BaseException:
            self.kill()
            raise
        finally:
            del self._news[pipe.LOAD]

    def begin(self, request: Request) -> tuple[int, _News]:
        id = next(self._ids)
        news = self._news[id] = _News()
        if self._over is not None:
            del self._news[id]
            raise _again(self._over)
        self._process.send(pipe.speak(id, request))
        return id, news

    def send(self, message: pipe.ToChild) -> None:
        self._process.send(message)

    def end(self, id: int, *, cancel: bool) -> None:
        """Takes no lock: the garbage collector may be who ends a request."""
        self._news.pop(id, None)
        if cancel:
            self._process.send(pipe.Cancel(id))

    def error(self, failed: pipe.Failed) -> AntiphonError:
        if failed.trace:
            trace = failed.trace.decode("utf-8", "replace")
            log.error("engine.fault", model=self._spec.id, engine=self._spec.engine, trace=trace)
        return failed.error()

    def close(self) -> None:
        self._end(closed(self._spec.id))
        self._process.send(pipe.Close())
        self._process.wait(CLOSE_S)
        self._process.kill()

    def kill(self) -> None:
        self._end(closed(self._spec.id))
        self._process.kill()

    # --- on the thread that reads -------------------------------------------------------------------------------------

    def _take(self, message: pipe.FromChild) -> None:
        if isinstance(message, pipe.Loaded):
            self._loaded = True
        id = pipe.LOAD if isinstance(message, pipe.Loaded) else message.id
        if (news := self._news.get(id)) is not None:
            news.put(message)

    def _ended(self, code: int | None, why: str) -> None:
        error = self._death(code, why)
        if self._end(error) and self._loaded:
            log.error("model.lost", model=self._spec.id, reason=error.reason, message=error.message)
            self._lost(error)

    def _death(self, code: int | None, why: str) -> AntiphonError:
        id = self._spec.id
        if code is None:
            return Unavailable(f"the process of model {id!r} is not there: {why}", reason="NO_PROCESS")
        if why:
            return TimedOut(f"the process of model {id!r} was ended: {why}", reason="ENGINE_STALLED", retry_after_s=0)
        kills = memory.oom_kills()
        oom_killed = kills is None or kills != self._oom_kills
        return died(id, code, loading=not self._loaded, limit=self._limit, oom_killed=oom_killed)

    def _end(self, error: AntiphonError) -> bool:
        """Whoever waits for news is told; False if there was an end already."""
        with self._ending:
            if self._over is not None:
                return False
            self._over = error
        for news in list(self._news.values()):
            news.put(_again(error))
        return True


def _again(error: AntiphonError) -> AntiphonError:
    """One error a raise: each collects its own trace."""
    return type(error)(error.message, reason=error.reason, retry_after_s=error.retry_after_s)
