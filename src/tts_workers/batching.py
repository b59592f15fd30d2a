"""A model that batches, as a model like any other: one thread steps it for all its streams.

Requests wait until there is a place in the batch; the one with the least audio ahead of its listener comes first. A
request that is cancelled, or left, is dropped before the next step. While everybody has enough that is not read yet,
nothing is stepped; a stream that reads slowly beside a hungry one gets at most the rest of its own request.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator

from base.audio import BYTES_PER_SAMPLE
from base.errors import AntiphonError, Internal, Unavailable
from base.log import get_logger
from tts_workers.engine import Audio, BatchModel, Done, Mark, Request

ENOUGH_S = 0.5
"""Audio of one stream that waits to be read before the batch may rest."""
POLL_S = 0.02
"""How often a cancel is looked for while nothing comes."""

log = get_logger("engine")


class _Stream:
    """One request's place: what came of it and was not read yet. Guarded by the lock of its `Batched`."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.id: int | None = None
        self.items: deque[Audio | Mark | Done] = deque()
        self.unread = 0
        self.left = False

    def put(self, item: Audio | Mark | Done) -> None:
        self.items.append(item)
        if isinstance(item, Audio):
            self.unread += len(item.data) // BYTES_PER_SAMPLE

    def take(self) -> Audio | Mark | Done | None:
        if not self.items:
            return None
        item = self.items.popleft()
        if isinstance(item, Audio):
            self.unread -= len(item.data) // BYTES_PER_SAMPLE
        return item


class Batched:
    """A `Model` made of a `BatchModel`. Its thread is a daemon and ends with `close`."""

    def __init__(self, model: BatchModel) -> None:
        if model.info.batch < 1:
            raise ValueError(f"engine {model.info.name!r} batches, so its info.batch must be at least 1")
        self.info = model.info
        self._model = model
        self._enough = round(ENOUGH_S * model.info.sample_rate)
        self._changed = threading.Condition()
        self._waiting: list[_Stream] = []
        self._live: dict[int, _Stream] = {}
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"batch-{model.info.name}", daemon=True)
        self._thread.start()

    def synthesize(self, request: Request) -> Iterator[Audio | Mark]:
        stream = _Stream(request)
        with self._changed:
            if self._closed:
                raise Unavailable(f"the model of engine {self.info.name!r} was closed", reason="CLOSED")
            self._waiting.append(stream)
            self._changed.notify_all()
        try:
            while (item := self._next(stream)) is not None:
                yield item
        finally:
            with self._changed:
                stream.left = True
                self._changed.notify_all()

    def close(self) -> None:
        """Ends what is being made; returns when the thread has."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        self._model.close()

    # --- a stream's side ----------------------------------------------------------------------------------------------

    def _next(self, stream: _Stream) -> Audio | Mark | None:
        """None at the end, or after a cancel; raises the request's error."""
        with self._changed:
            while not stream.request.cancelled():
                item = stream.take()
                if isinstance(item, Done):
                    if item.error is not None:
                        raise item.error
                    return None
                if item is not None:
                    self._changed.notify_all()
                    return item
                self._changed.wait(POLL_S)
        return None

    # --- the thread's -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while self._prepare():
            try:
                made = self._model.step()
            except Exception as fault:
                self._fail_all(fault)
                continue
            with self._changed:
                for id, item in made:
                    self._deliver(id, item)
                self._changed.notify_all()

    def _prepare(self) -> bool:
        """Drops who left and takes in who waits; waits until there is something to step. False: the end."""
        while True:
            with self._changed:
                while not self._closed and not self._work():
                    self._changed.wait(POLL_S if self._live or self._waiting else None)
                if self._closed:
                    self._end(Unavailable(f"the model of engine {self.info.name!r} was closed", reason="CLOSED"))
                    return False
                gone = [id for id, s in self._live.items() if s.left or s.request.cancelled()]
                for id in gone:
                    del self._live[id]
                self._waiting = [s for s in self._waiting if not (s.left or s.request.cancelled())]
                chosen = self._most_urgent()
            for id in gone:
                self._drop(id)
            if chosen is not None:
                self._add(chosen)
            elif self._live:
                return True

    def _work(self) -> bool:
        """Whether somebody left, can come in, or is hungry."""
        if any(s.left or s.request.cancelled() for s in (*self._live.values(), *self._waiting)):
            return True
        if self._waiting and len(self._live) < self.info.batch:
            return True
        return any(s.unread < self._enough for s in self._live.values())

    def _most_urgent(self) -> _Stream | None:
        if not self._waiting or len(self._live) >= self.info.batch:
            return None
        chosen = min(self._waiting, key=lambda s: s.request.ahead_s())
        self._waiting.remove(chosen)
        return chosen

    def _add(self, stream: _Stream) -> None:
        try:
            id = self._model.add(stream.request)
        except Exception as fault:
            error = _as_error(self.info.name, fault)
            with self._changed:
                stream.put(Done(error))
                self._changed.notify_all()
            return
        with self._changed:
            stream.id = id
            self._live[id] = stream

    def _deliver(self, id: int, item: Audio | Mark | Done) -> None:
        stream = self._live.get(id)
        if stream is None:
            return
        stream.put(item)
        if isinstance(item, Done):
            del self._live[id]

    def _fail_all(self, fault: Exception) -> None:
        """A step that broke: whose fault it was nobody can tell."""
        with self._changed:
            ids = list(self._live)
            self._end_live(_as_error(self.info.name, fault))
        for id in ids:
            self._drop(id)

    def _drop(self, id: int) -> None:
        """An engine whose `drop` breaks is to blame for what it still makes of it; the others speak on."""
        try:
            self._model.drop(id)
        except Exception as fault:
            log.error("engine.fault", engine=self.info.name, exc_info=fault)

    def _end(self, error: AntiphonError) -> None:
        self._end_live(error)
        for stream in self._waiting:
            stream.put(Done(error))
        self._waiting.clear()

    def _end_live(self, error: AntiphonError) -> None:
        for stream in self._live.values():
            stream.put(Done(error))
        self._live.clear()
        self._changed.notify_all()


def _as_error(engine: str, fault: Exception) -> AntiphonError:
    if isinstance(fault, AntiphonError):
        return fault
    log.error("engine.fault", engine=engine, exc_info=fault)
    return Internal(f"the engine broke ({type(fault).__name__}); the worker's log says more", reason="FAULT")
