"""Many users in one program of Go (`users/`), whose microphones are on time where as many in Python are not.

The program keeps the clocks: it sends the microphones' packets, decodes what comes and says when it sounds. What is
said, and what came of it, is the scenes' business, here as everywhere. Its loudspeakers have no jitter buffer (see
`users/main.go`): how long something took is told beside what there and back took in the same program.

`build` makes the program unless it is there, of Go, a C compiler and libopus (Debian: golang, gcc, libopus0).
"""

from __future__ import annotations

import asyncio
import ctypes
import hashlib
import json
import os
import shutil
import struct
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable
from pathlib import Path

from benchmarks.listener import Words
from benchmarks.rooms.guest import Guest
from benchmarks.stack import Failed
from benchmarks.websocket import TEXT
from orchestrator import messages as m

SOURCE = Path(__file__).parent / "users"
OPUS = "libopus.so.0"
BUILD_S = 1200.0
JOIN_S = 20.0
LEAVE_S = 5.0
HEAD = struct.Struct("<IBH")


def folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "antiphon"


def program() -> Path:
    """Where it is, or will be: another source is another program."""
    digest = hashlib.sha256()
    for path in sorted(SOURCE.iterdir()):
        digest.update(path.read_bytes())
    return folder() / f"bench-users-{digest.hexdigest()[:16]}"


def build(note: Callable[[str], None] = lambda _: None) -> Path:
    """The program, built when it is not there yet. Raises Failed with what is missing."""
    target = program()
    if os.access(target, os.X_OK):
        return target
    lacking = [name for name in ("go", "gcc") if shutil.which(name) is None]
    try:
        ctypes.CDLL(OPUS)
    except OSError:
        lacking.append(OPUS)
    if lacking:
        raise Failed(f"{', '.join(lacking)} not found, of which the users' program is built (golang, gcc, libopus0)")
    note("building the users' program with Go (minutes, once)")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".users.", dir=target.parent) as part:
        made = Path(part) / "users"
        command = ["go", "build", "-ldflags=-s -w", "-o", str(made), "."]
        try:
            subprocess.run(command, cwd=SOURCE, check=True, capture_output=True, text=True, timeout=BUILD_S)
        except subprocess.CalledProcessError as error:
            last = (error.stderr.strip().splitlines() or ["nothing"])[-1]
            raise Failed(f"go could not build the users' program: {last}") from error
        except subprocess.TimeoutExpired as error:
            raise Failed(f"go did not build the users' program in {BUILD_S:g} s") from error
        os.replace(made, target)
    return target


class Crew:
    """The program, running. `read` is its only task."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._members: dict[int, Member] = {}

    @classmethod
    async def start(cls, path: Path) -> Crew:
        return cls(
            await asyncio.create_subprocess_exec(
                str(path), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
        )

    def member(self, start: m.SessionStart, *, clock: Callable[[], float], coarse: bool, phase_s: float) -> Member:
        made = Member(self, len(self._members), start, clock=clock, coarse=coarse, phase_s=phase_s)
        self._members[made.number] = made
        return made

    def tell(self, kind: str, number: int, payload: bytes = b"") -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(HEAD.pack(len(payload), ord(kind), number) + payload)

    async def read(self) -> None:
        """Until it ends; then everybody is lost."""
        out = self._process.stdout
        assert out is not None
        try:
            while True:
                size, kind, number = HEAD.unpack(await out.readexactly(HEAD.size))
                payload = await out.readexactly(size)
                self._members[number].told(chr(kind), payload)
        except asyncio.IncompleteReadError:
            for member in self._members.values():
                member.told("x", b"the users' program ended")

    async def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(LEAVE_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


class Member(Guest):
    """One of a crew. `coarse`: what it hears is only counted."""

    def __init__(
        self,
        crew: Crew,
        number: int,
        start: m.SessionStart,
        *,
        clock: Callable[[], float],
        coarse: bool,
        phase_s: float,
    ) -> None:
        super().__init__(start, clock=clock, keep_messages=not coarse)
        self.number = number
        self._crew = crew
        self._coarse = coarse
        self._phase_s = phase_s
        self._words: deque[Words] = deque()

    async def join(self, address: str, token: str) -> None:
        plan = {"url": address, "token": token, "phase_s": self._phase_s, "coarse": self._coarse}
        self._connection = _Wire(self)  # type: ignore[assignment]
        self.surround(self.room)
        self._crew.tell("J", self.number, json.dumps(plan).encode())
        await self.until(lambda: self.joined_s > 0, "the room", JOIN_S)

    async def leave(self) -> None:
        self.close()
        self._crew.tell("L", self.number)

    def surround(self, frames: list[bytes]) -> None:
        super().surround(frames)
        self._crew.tell("R", self.number, b"".join(frames))

    def say(self, pcm: bytes, *, offset: int = 0) -> Words:
        words = Words(pcm)
        self._words.append(words)
        self._crew.tell("S", self.number, struct.pack("<I", offset) + pcm)
        return words

    @property
    def saying(self) -> bool:
        return bool(self._words)

    def speak(self, due_s: float) -> None:
        """The program has the clock."""

    def told(self, kind: str, payload: bytes) -> None:
        """What the program said of this user."""
        match kind:
            case "j":
                self.asked_s, self.joined_s = struct.unpack("<dd", payload)
                self._wake()
            case "t":
                self.agent_s = self.agent_s or struct.unpack("<d", payload)[0]
                self._wake()
            case "d":
                self._take(TEXT, payload)
            case "b":
                self._words.popleft().begin(struct.unpack("<d", payload)[0])
            case "h":
                self.heard(payload[8:], struct.unpack_from("<d", payload)[0])
            case "p":
                self.log.played += struct.unpack("<I", payload)[0]
            case "l":
                self.late += struct.unpack(f"<{len(payload) // 4}f", payload)
            case "x" if not self.lost:
                self._gone(payload.decode(errors="replace"))


class _Wire:
    """What a Listener writes to."""

    def __init__(self, member: Member) -> None:
        self._member = member

    def send(self, kind: int, payload: bytes) -> None:
        if kind == TEXT:
            self._member._crew.tell("W", self._member.number, payload)

    def close(self) -> None: ...
