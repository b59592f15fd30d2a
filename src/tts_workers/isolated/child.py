"""The process of an isolated model, `python -P -m tts_workers.isolated.child PARENT`: it holds one and speaks with it.

It talks `tts_workers.isolated.pipe` on its standard input and output; whatever a library prints goes to standard error.
The first message says what to load. Each request runs on a thread of its own and waits whenever its window is full. The
load, and the model's end, run on the main thread.

It ends, and with it what it started, when its input ends; on Linux the kernel ends it with its parent. Signals of the
terminal are the parent's business.
"""

from __future__ import annotations

import ctypes
import os
import queue
import signal
import sys
import threading
import time
import traceback
from typing import BinaryIO, NoReturn

from base.errors import AntiphonError, AtCapacity, Internal
from tts_workers import catalogue
from tts_workers.engine import Model
from tts_workers.isolated import pipe
from tts_workers.isolated.endings import OUT_OF_MEMORY, is_want_of_memory, out_of_memory_error

MOST_REQUESTS = 256
"""At once; engines that don't heed a cancel may still be at some that nobody wants."""
TRACE_CHARS = 3500
PR_SET_PDEATHSIG = 1


def main(parent: int) -> NoReturn:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    _die_with(parent)
    source, out = _take_pipes()
    first: queue.SimpleQueue[pipe.Load] = queue.SimpleQueue()
    serving = _Serving(out)
    threading.Thread(target=_read, args=(source, first, serving), name="reader", daemon=True).start()
    load = first.get()
    try:
        model = _load(load)
        serving.ready(load, model)
    except MemoryError:
        # Not even a message may fit.
        os._exit(OUT_OF_MEMORY)
    except Exception as error:
        serving.send(_failure(pipe.LOAD, load.model, error, "while it was loaded", load.memory_limit))
        os._exit(0)
    serving.wanted.wait()
    model.close()
    os._exit(0)


def _load(load: pipe.Load) -> Model:
    if load.memory_limit and sys.platform == "linux":
        import resource

        # Counts what is written to, not what is mapped: a gigabyte of weights mapped from a file is no harm.
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        most = load.memory_limit if hard == resource.RLIM_INFINITY else min(hard, load.memory_limit)
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    engine = catalogue.make(load.model, load.factory)
    if "base.log" in sys.modules:
        # Only where the engine logs: structlog takes longer to import than all the rest.
        sys.modules["base.log"].configure()
    loaded = engine.load(load.spec())
    if isinstance(loaded, Model):
        return loaded
    from tts_workers.batching import Batched

    return Batched(loaded)


class _Request:
    """How far one request may go, and whether anybody still wants it."""

    def __init__(self, ahead_s: float) -> None:
        self._changed = threading.Condition()
        self._until = pipe.WINDOW
        self._sent = 0
        self._cancelled = False
        self._ahead_s = ahead_s

    def allow(self, until: int, ahead_s: float) -> None:
        with self._changed:
            self._until = until
            self._ahead_s = ahead_s
            self._changed.notify()

    def cancel(self) -> None:
        with self._changed:
            self._cancelled = True
            self._changed.notify()

    def cancelled(self) -> bool:
        return self._cancelled

    def ahead_s(self) -> float:
        return self._ahead_s

    def sent(self, size: int) -> None:
        self._sent += size

    def wait(self) -> bool:
        """Until there is room in the window; False when nothing more is wanted."""
        with self._changed:
            self._changed.wait_for(lambda: self._cancelled or self._sent < self._until)
        return not self._cancelled


class _Serving:
    """Requests to one model. `take` is the reader's."""

    def __init__(self, out: BinaryIO) -> None:
        self.wanted = threading.Event()
        """Set when the model is to be closed."""
        self._out = out
        self._writing = threading.Lock()
        self._requests: dict[int, _Request] = {}
        self._model: Model | None = None
        self._load: pipe.Load | None = None

    def ready(self, load: pipe.Load, model: Model) -> None:
        self._load, self._model = load, model
        self.send(pipe.Loaded(model.info))

    def take(self, message: pipe.ToChild) -> None:
        match message:
            case pipe.Speak():
                self._start(message)
            case pipe.More():
                if (request := self._requests.get(message.id)) is not None:
                    request.allow(message.until, message.ahead_s)
            case pipe.Cancel():
                if (request := self._requests.get(message.id)) is not None:
                    request.cancel()
            case pipe.Close():
                self.wanted.set()

    def send(self, message: pipe.FromChild) -> None:
        data = pipe.encode(message)
        try:
            with self._writing:
                self._out.write(data)
                self._out.flush()
        except OSError:
            _end()

    def _start(self, speak: pipe.Speak) -> None:
        assert self._load is not None
        if len(self._requests) >= MOST_REQUESTS:
            busy = f"model {self._load.model!r} is at {MOST_REQUESTS} requests, the most there may be; it may hang"
            self.send(pipe.failed(speak.id, AtCapacity(busy, reason="ENGINE_BUSY", retry_after_s=1.0)))
            return
        request = self._requests[speak.id] = _Request(speak.ahead_s)
        try:
            threading.Thread(target=self._run, args=(speak, request), name=f"speak-{speak.id}", daemon=True).start()
        except (RuntimeError, MemoryError) as error:
            # "can't start new thread": there is no memory for its stack.
            del self._requests[speak.id]
            self._fail(speak.id, MemoryError(str(error)))

    def _run(self, speak: pipe.Speak, request: _Request) -> None:
        try:
            self._speak(speak, request)
            self.send(pipe.Done(speak.id))
        except BaseException as error:
            self._fail(speak.id, error)
        finally:
            del self._requests[speak.id]

    def _speak(self, speak: pipe.Speak, request: _Request) -> None:
        assert self._model is not None
        items = iter(self._model.synthesize(speak.request(request.cancelled, request.ahead_s)))
        try:
            while request.wait() and (item := next(items, None)) is not None:
                for message in pipe.pieces(speak.id, item):
                    if not request.wait():
                        return
                    request.sent(pipe.cost(message))
                    self.send(message)
        finally:
            if (close := getattr(items, "close", None)) is not None:
                close()

    def _fail(self, id: int, error: BaseException) -> None:
        assert self._load is not None
        try:
            self.send(_failure(id, self._load.model, error, "in the middle of its work", self._load.memory_limit))
        except MemoryError:
            os._exit(OUT_OF_MEMORY)


def _failure(id: int, model: str, error: BaseException, during: str, limit: int) -> pipe.Failed:
    """An error in the words that its client gets; a fault's trace is for the log."""
    if is_want_of_memory(error, limit):
        return pipe.failed(id, out_of_memory_error(model, during, limit))
    if isinstance(error, AntiphonError):
        return pipe.failed(id, error)
    words = f"model {model!r} broke {during} ({type(error).__name__}); the worker's log says more"
    trace = "".join(traceback.format_exception(error))[-TRACE_CHARS:]
    return pipe.failed(id, Internal(words, reason="FAULT"), trace)


def _read(source: BinaryIO, first: queue.SimpleQueue[pipe.Load], serving: _Serving) -> None:
    frames = pipe.Frames()
    try:
        while data := os.read(source.fileno(), 65536):
            for message in map(pipe.to_child, frames.feed(data)):
                if isinstance(message, pipe.Load):
                    first.put(message)
                else:
                    serving.take(message)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except Exception:
        traceback.print_exc()
    _end()


def _end() -> NoReturn:
    """At once, with all that this process started: nobody is left to hear of it."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
        time.sleep(1)
    os._exit(0)


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Standard input and output, out of the reach of libraries."""
    source = os.fdopen(os.dup(0), "rb", buffering=0)
    out = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return source, out


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
