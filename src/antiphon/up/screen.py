"""What `up` tells its user: lines that stay, one line that lives, and on request the services' logs or JSON."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from antiphon import exits
from antiphon.output import StatusLine, printable
from antiphon.up.plan import Crashed, Phase

WHERE_AND_WHEN = frozenset({"time", "component", "ts", "logger", "caller"})


class Screen:
    """A `supervisor.Watcher`. `phases` is asked for the status line."""

    def __init__(self, line: StatusLine, *, verbose: bool, log_dir: Path | None, moving: bool) -> None:
        self._line = line
        self._verbose = verbose
        self._log_dir = log_dir
        self._moving = moving
        self._facts: Mapping[str, object] = {}
        self.phases: Callable[[], Mapping[str, Phase]] = dict
        self.on_ready: Callable[[str, str], None] = lambda _name, _address: None

    def say(self, text: str) -> None:
        self._line.note(text)

    def facts(self, facts: Mapping[str, object]) -> None:
        """Of the orchestrator, for the status line."""
        self._facts = facts
        self.refresh()

    def refresh(self) -> None:
        if self._moving:
            self._line.show(status(self.phases(), self._facts))

    def close(self) -> None:
        self._line.close()

    # --- Watcher -------------------------------------------------------------------------------------------------

    def ready(self, name: str, address: str, *, again: bool) -> None:
        if again:
            self.say(f"{name} is back at {address}")
        elif not self._moving:
            self.say(f"{name} is ready at {address}")
        self.on_ready(name, address)
        self.refresh()

    def crashed(self, crash: Crashed, tail: Sequence[str]) -> None:
        again = "; giving up" if crash.again_s is None else f"; starting it again in {crash.again_s:.1f} s"
        self.say(f"{crash.name} {how_it_ended(crash)}{again}")
        if not self._verbose:
            for line in tail:
                self.say(f"    {printable(readable(line))[:300]}")
            if self._log_dir is not None:
                self.say(f"    (all of it: {self._log_dir / (crash.name + '.log')})")
        self.refresh()

    def stopping(self, *, hurried: bool) -> None:
        self.say("stopping at once" if hurried else "stopping (once more to insist)")
        self.refresh()

    def line(self, name: str, line: str) -> None:
        if self._verbose:
            self.say(f"{name} | {printable(readable(line))}")


class JsonScreen:
    """The same for programs: one JSON object a line on stdout.

    `on_gone` is called, once, with an exit code when nobody reads that any more, unless all is being stopped anyway.
    """

    def __init__(self) -> None:
        self.on_gone: Callable[[int], None] = lambda _code: None
        self._gone = False
        self._stopping = False
        self.phases: Callable[[], Mapping[str, Phase]] = dict
        self.on_ready: Callable[[str, str], None] = lambda _name, _address: None

    def say(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            print(text, file=sys.stderr, flush=True)

    def tell(self, event: str, **fields: object) -> None:
        if self._gone:
            return
        try:
            print(json.dumps({"event": event, **fields}, ensure_ascii=False), flush=True)
        except OSError as error:
            self._lose(error)

    def _lose(self, error: OSError) -> None:
        self._gone = True
        # What waits to be written would be tried once more at the end.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        left = error.errno == errno.EPIPE
        if not left:
            self.say(f"cannot write the output: {error.strerror}")
        if not self._stopping:
            self.on_gone(exits.OK if left else exits.FAILURE)

    def facts(self, facts: Mapping[str, object]) -> None:
        pass

    def refresh(self) -> None:
        pass

    def close(self) -> None:
        pass

    def ready(self, name: str, address: str, *, again: bool) -> None:
        self.tell("ready", name=name, address=address, again=again)
        self.on_ready(name, address)

    def crashed(self, crash: Crashed, tail: Sequence[str]) -> None:
        self.tell("crashed", name=crash.name, code=crash.code, again_s=crash.again_s, hung=crash.hung, tail=tail)

    def stopping(self, *, hurried: bool) -> None:
        self._stopping = True
        self.tell("stopping", hurried=hurried)

    def line(self, name: str, line: str) -> None:
        pass


def readable(line: str) -> str:
    """A line of a service's log for a person: JSON becomes "level event message fields", a trace its last line."""
    try:
        entry = json.loads(line)
        # LiveKit's own lines say msg.
        level, event = entry.pop("level"), entry.pop("event" if "event" in entry else "msg")
    except (ValueError, TypeError, KeyError, AttributeError):
        return line
    trace = str(entry.pop("error_trace", "")).strip().rpartition("\n")[2]
    message = entry.pop("message", "")
    fields = " ".join(f"{key}={value}" for key, value in entry.items() if key not in WHERE_AND_WHEN)
    return " ".join(str(part) for part in (level, event, message, trace, fields) if part)


def how_it_ended(crash: Crashed) -> str:
    if crash.hung:
        return "did not get ready"
    if crash.code < 0:
        try:
            return f"was ended by {signal.Signals(-crash.code).name}"
        except ValueError:
            return f"was ended by signal {-crash.code}"
    return f"ended with code {crash.code}"


def status(phases: Mapping[str, Phase], facts: Mapping[str, object]) -> str:
    """ "registry ok · tts-worker restarting · LiveKit registered · 2 sessions" """
    parts = [f"{name} {'ok' if phase is Phase.READY else phase.value}" for name, phase in phases.items()]
    livekit = facts.get("livekit")
    if livekit in ("registered", "connecting"):
        parts.append(f"LiveKit {livekit}")
    sessions = facts.get("sessions")
    if isinstance(sessions, int):
        parts.append(f"{sessions} session{'' if sessions == 1 else 's'}")
    return " · ".join(parts)
