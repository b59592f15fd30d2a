"""The process of an isolated model, as its worker has it: started, written to, read from, ended.

It is spawned, never forked, and leads a session of its own: what it starts itself ends with it, and a Ctrl-C at the
terminal does not reach it. It ends with its standard input, so also when the worker is killed, and on Linux the kernel
ends it even while it hangs. That is tied to the *thread* that started it, so the thread that reads from it does.

Nothing from the network reaches its arguments or its environment.
"""

from __future__ import annotations

import math
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from base.log import get_logger
from tts_workers.isolated import pipe

SOURCE = Path(__file__).resolve().parents[2]
STUCK_S = 10.0
"""How long a child may leave its input unread, once the pipe is full."""
EXIT_S = 2.0
"""How long a child whose output has ended may take to end by itself."""
GONE_S = 0.25
"""How often one that says nothing is looked at, whether it is there still."""
KILL_S = 10.0
"""How long a killed process may take to be gone."""
_POLL_S = 0.005

log = get_logger("isolated")


class Process:
    """`first` is sent at once. `take` gets every message, `ended` the exit code (below zero a signal's; None: it could
    not be started) and why, exactly once: both are called on the thread that reads, and may not wait.
    """

    def __init__(
        self, first: bytes, take: Callable[[pipe.FromChild], None], ended: Callable[[int | None, str], None]
    ) -> None:
        self._take = take
        self._ended = ended
        self._outbox: deque[bytes] = deque([first])
        self._writing = threading.Lock()
        self._lock = threading.RLock()
        """Held while the process's number is used. Reentrant: the garbage collector may come in between."""
        self._process: subprocess.Popen[bytes] | None = None
        self._gone = False
        """It was waited for: its number may be another's."""
        self._killed = False
        self._why = ""
        self._thread = threading.Thread(target=self._run, name="isolated", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def pid(self) -> int:
        """0 before it is there and after it is gone."""
        with self._lock:
            return self._process.pid if self._process is not None and not self._gone else 0

    def send(self, message: pipe.ToChild) -> None:
        """Any thread may, also in the middle of another call of this (the garbage collector closes generators)."""
        self._post(pipe.encode(message))

    def wait(self, seconds: float) -> bool:
        """Until it is gone, and all of that told; whether it is. At once on the thread that reads."""
        if self._thread is not threading.current_thread() and self._thread.ident is not None:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def kill(self) -> None:
        """Ends it and what it started, and waits until they are gone. From any thread, at any time, again and again."""
        self._kill()
        if not self.wait(KILL_S) and self._thread is not threading.current_thread():
            log.error("process.unkillable", pid=self.pid)

    # --- its life -----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        code: int | None = None
        try:
            process = self._spawn()
            if process is not None:
                code = self._live(process)
        except OSError as error:
            self._why = f"it could not be started: {error}"
        finally:
            self._ended(code, self._why)

    def _live(self, process: subprocess.Popen[bytes]) -> int:
        try:
            self._post()
            self._read(process)
        except Exception as error:
            log.error("process.fault", pid=process.pid, exc_info=error)
            self._give_up(f"what it sent cannot be read ({type(error).__name__})")
        return self._reap(process)

    def _spawn(self) -> subprocess.Popen[bytes] | None:
        if self._killed:
            return None
        path = os.pathsep.join((str(SOURCE), *filter(None, (os.environ.get("PYTHONPATH"),))))
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tts_workers.isolated.child", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,
        )
        assert process.stdin is not None
        os.set_blocking(process.stdin.fileno(), False)
        with self._lock:
            self._process = process
            killed = self._killed
        if killed:
            self._kill()
        return process

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        """Until its output ends, or it: what it started may hold its output open."""
        assert process.stdout is not None
        fd = process.stdout.fileno()
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        frames = pipe.Frames()
        ended = False
        while True:
            if not poll.poll(0 if ended else GONE_S * 1000):
                if ended:
                    return
                # What it wrote before its end is read yet.
                ended = _has_ended(process)
                continue
            if not (data := os.read(fd, 65536)):
                return
            for body in frames.feed(data):
                self._take(pipe.from_child(body))

    def _reap(self, process: subprocess.Popen[bytes]) -> int:
        """Its exit code, once it is gone and all that it started."""
        _settle(process, EXIT_S)
        with self._lock:
            _kill_group(process.pid)
        _settle(process, math.inf)
        with self._lock:
            code = process.wait()
            self._gone = True
        with self._writing:
            for end in (process.stdin, process.stdout):
                if end is not None:
                    end.close()
        return code

    def _kill(self) -> None:
        with self._lock:
            self._killed = True
            if self._process is not None and not self._gone:
                _kill_group(self._process.pid)

    def _give_up(self, why: str) -> None:
        self._why = why
        self._kill()

    # --- writing ------------------------------------------------------------------------------------------------------

    def _post(self, *data: bytes) -> None:
        """Who finds nobody writing writes what is there; the others leave theirs to him."""
        self._outbox += data
        while self._outbox and self._process is not None and self._writing.acquire(blocking=False):
            try:
                self._flush(self._process)
            finally:
                self._writing.release()

    def _flush(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        while self._outbox:
            left = memoryview(self._outbox.popleft())
            while left and not self._gone and not self._why:
                try:
                    left = left[os.write(process.stdin.fileno(), left) :]
                except BlockingIOError:
                    self._wait_writable(process.stdin.fileno())
                except BrokenPipeError:
                    break

    def _wait_writable(self, fd: int) -> None:
        poll = select.poll()
        poll.register(fd, select.POLLOUT)
        if not poll.poll(STUCK_S * 1000):
            self._give_up(f"it has read nothing for {STUCK_S:g} s")


def _settle(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Until it has ended. On Linux its number stays its own even then, for whoever kills its group meanwhile.

    A process that ends by itself is let, so that its exit code tells why.
    """
    until = time.monotonic() + seconds
    while time.monotonic() < until and not _has_ended(process):
        time.sleep(_POLL_S)


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Leaves it to be waited for, on Linux."""
    if sys.platform != "linux":
        return process.poll() is not None
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
