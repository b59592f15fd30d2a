"""Children that espeak-ng lives in: lent to one request at a time, replaced when they die, gone when we are."""

from __future__ import annotations

import json
import select
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from base.errors import AntiphonError, AtCapacity, Internal, TimedOut, Unavailable
from base.log import get_logger

ANSWER_S = 12.0
"""Longer than the child gives itself."""
START_S = 20.0
WAIT_S = 5.0
_POLL_S = 0.05
CRASHED = "ENGINE_CRASHED"

log = get_logger("espeak")


class Child:
    """One process. Not for two threads at once."""

    def __init__(self, library: str, data: str, answer_s: float = ANSWER_S) -> None:
        self._answer_s = answer_s
        program = str(Path(__file__).with_name("child.py"))
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", program, library, data],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,  # so that `poll` sees all there is
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in = self._process.stdin
        self._out = self._process.stdout
        self._poll = select.poll()
        self._poll.register(self._out, select.POLLIN)
        try:
            self.hello = self._message(time.monotonic() + START_S)
        except BaseException:
            self.kill()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Raises `Unavailable` when the process died of it, `TimedOut` when it hangs: then it is of no more use."""
        deadline = time.monotonic() + self._answer_s
        body = json.dumps(request).encode()
        try:
            self._in.write(struct.pack("<I", len(body)) + body)
        except BrokenPipeError:
            raise self._died() from None
        answer = self._message(deadline)
        if "error" in answer:
            raise Internal(answer["error"], reason="ENGINE_FAILED")
        return answer, self._read(answer["bytes"], deadline)

    def kill(self) -> None:
        """Ends the process and waits for it: it dies at once."""
        self._process.kill()
        self._process.wait()
        self._in.close()
        self._out.close()

    def _message(self, deadline: float) -> dict[str, Any]:
        size = struct.unpack("<I", self._read(4, deadline))[0]
        message: dict[str, Any] = json.loads(self._read(size, deadline))
        return message

    def _read(self, size: int, deadline: float) -> bytes:
        parts: list[bytes] = []
        left = size
        while left:
            if not self._poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise TimedOut("espeak-ng did not answer in time", reason="ENGINE_STALLED")
            part = self._out.read(left)
            if not part:
                raise self._died()
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def _died(self) -> AntiphonError:
        code = self._process.wait()
        why = f"signal {-code}" if code < 0 else f"exit code {code}"
        return Unavailable(f"espeak-ng ended in the middle of its work ({why})", reason=CRASHED, retry_after_s=0)


class Pool:
    """At most `size` children, started when they are needed. Any thread may ask. `answer_s` bounds each answer."""

    def __init__(self, library: str, data: str, size: int, *, answer_s: float = ANSWER_S) -> None:
        self._answer_s = answer_s
        self._library = library
        self._data = data
        self._size = size
        self._lock = threading.Condition()
        self._idle: list[Child] = []
        self._all: set[Child] = set()
        self._starting = 0
        self._closed = False

    def hello(self) -> dict[str, Any]:
        """What the library says of itself."""
        child = self._borrow(lambda: False)
        try:
            return child.hello
        finally:
            self._give_back(child)

    def ask(self, request: dict[str, Any], cancelled: Callable[[], bool]) -> tuple[dict[str, Any], bytes]:
        """One request to whichever child is free. Raises `AtCapacity` when none is for long, else as `Child.ask`.

        A child may have died since its last request: nothing of one is kept for the next, so another is asked, once.
        """
        try:
            return self._ask(request, cancelled)
        except Unavailable as error:
            if error.reason != CRASHED:
                raise
        return self._ask(request, cancelled)

    def _ask(self, request: dict[str, Any], cancelled: Callable[[], bool]) -> tuple[dict[str, Any], bytes]:
        child = self._borrow(cancelled)
        try:
            answer = child.ask(request)
        except Internal:
            self._give_back(child)
            raise
        except BaseException as error:
            log.warning("espeak.lost", pid=child.pid, message=str(error))
            self._remove(child)
            raise
        self._give_back(child)
        return answer

    def pids(self) -> list[int]:
        with self._lock:
            return [child.pid for child in self._all]

    def close(self) -> None:
        with self._lock:
            self._closed = True
            children, self._all, self._idle = self._all, set(), []
            self._lock.notify_all()
        for child in children:
            child.kill()

    def _borrow(self, cancelled: Callable[[], bool]) -> Child:
        until = time.monotonic() + WAIT_S
        with self._lock:
            for dead in [child for child in self._idle if not child.alive]:
                self._idle.remove(dead)
                self._all.discard(dead)
                dead.kill()
            while not self._idle:
                if self._closed:
                    raise Unavailable("the model is closed", reason="MODEL_CLOSED")
                if len(self._all) + self._starting < self._size:
                    self._starting += 1
                    break
                if time.monotonic() > until or cancelled():
                    raise AtCapacity(f"no espeak-ng process was free for {WAIT_S:g} s", retry_after_s=1.0)
                self._lock.wait(_POLL_S)
            else:
                return self._idle.pop()
        try:
            child = Child(self._library, self._data, self._answer_s)
        except BaseException:
            with self._lock:
                self._starting -= 1
                self._lock.notify()
            raise
        with self._lock:
            self._starting -= 1
            closed = self._closed
            if not closed:
                self._all.add(child)
        if closed:
            child.kill()
            raise Unavailable("the model is closed", reason="MODEL_CLOSED")
        return child

    def _give_back(self, child: Child) -> None:
        with self._lock:
            if child in self._all:
                self._idle.append(child)
                self._lock.notify()

    def _remove(self, child: Child) -> None:
        with self._lock:
            self._all.discard(child)
            self._lock.notify()
        child.kill()
