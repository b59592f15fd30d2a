"""The orchestrator's ports: what a session needs of a client, of a voice and of a brain.

`x_nowait` never waits: it hands over to the task or bounded queue that owns the work.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from orchestrator.conversation.commands import Cause, Interruption
from orchestrator.conversation.history import Item
from orchestrator.messages import ClientMessage, ServerMessage, SessionStart

# --- transport -----------------------------------------------------------------------------------------------------


class ClientSide(Protocol):
    """What a transport calls on its session. All from the event loop, none waits."""

    @property
    def next_input_sample(self) -> int:
        """Where the session's media time goes on (16 kHz): the place of audio that names none."""
        ...

    def audio_nowait(self, sample: int, pcm: bytes, now: float) -> None:
        """One 20 ms frame of 16 kHz mono s16le; `sample` is its offset in the session's media time (16 kHz)."""
        ...

    def message_nowait(self, message: ClientMessage) -> None: ...

    def played_nowait(self, turn: int, samples: int) -> None:
        """`samples` of `turn` (output rate) have left the loudspeaker, by the client's word or the sink's position."""
        ...

    def lost_nowait(self, transport: Transport) -> None:
        """The connection is gone. Called once a transport; a session may have got another one since."""
        ...


class Ahead(Protocol):
    """A client that keeps silent, when told to, what it is played of a turn: so its sound can set out sooner than it is
    wanted. `way_s`: how long it is on its way, at least.
    """

    way_s: float

    def silent_nowait(self, turn: int) -> None:
        """What is played of the turn from now on is kept."""
        ...

    def aloud_nowait(self, turn: int) -> None:
        """It sounds, from the first sample that came."""
        ...


class Transport(Protocol):
    """One client's connection.

    `holds`: the client keeps its own queue on `hold`. For every other sink the transport itself keeps a copy of what
    was sent and not yet played; the calls mean the same. `lead_s` is how far ahead of the listener it may be fed.
    `ahead`: where the way to the listener is worth it.
    """

    holds: bool
    acknowledges: bool
    lead_s: float
    output_rate: int

    @property
    def ahead(self) -> Ahead | None: ...

    def send_nowait(self, message: ServerMessage) -> None:
        """Overtakes audio. A client that does not read is closed when its backlog exceeds the bound."""
        ...

    def room(self) -> int:
        """Samples (output rate) that can be played now without more than 300 ms waiting in the socket."""
        ...

    def play_nowait(self, turn: int, sample: int, pcm: bytes) -> None:
        """Whole 20 ms frames at the output rate; `sample` is the offset of the first in its turn."""
        ...

    def hold_nowait(self, turn: int) -> None:
        """Silence within 10 ms of its arrival; the place is kept and `played` comes at once."""
        ...

    def resume_nowait(self, turn: int, sample: int) -> None:
        """Goes on exactly at `sample`."""
        ...

    def clear_nowait(self, turn: int) -> None:
        """Drops everything of the turn that was not played; `played` comes at once."""
        ...

    def close_nowait(self, code: int, reason: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end of a transport, as far as it knows. `key` is the bearer token of the request, if any.

    `proxied`: the request came through a proxy, so that `address` is not the client's own, loopback or not.
    `admitted`: somebody has checked already that this peer may talk here (a LiveKit server, by its token); `behind` is
    the id of the access key that its token was got with, if any.
    """

    kind: str
    address: str = ""
    origin: str = ""
    key: str = ""
    proxied: bool = False
    admitted: bool = False
    behind: str = ""


class Hub(Protocol):
    """Where transports bring new connections."""

    def open_nowait(self, start: SessionStart, transport: Transport, peer: Peer) -> ClientSide:
        """A new session, or the one that `start.resume` names. Sends `session_started` through `transport` itself.

        Raises AntiphonError: a BadRequest (a stale token, an unknown voice) leaves the connection open for another
        try, anything else closes it.
        """
        ...


# --- synthesis -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VoiceChoice:
    """Who speaks, and how. Empty strings and None: the default. Read at the start of a turn.

    `hears`: what the user speaks, where that is not `language`; "*" is to be detected. `ear`: the model that listens.
    """

    model: str = ""
    voice: str = ""
    language: str = ""
    hears: str = ""
    ear: str = ""
    rate: float = 1.0
    pitch: float = 0.0
    range: float = 1.0
    volume: float = 1.0

    @property
    def heard(self) -> str:
        """The language that is listened to."""
        return self.hears or self.language


@dataclass(frozen=True, slots=True)
class SpokenMark:
    """A mark of a turn: code points [start, end) of chunk `chunk`'s text begin to sound at `sample` (output rate).

    `kind` is "chunk_start", "chunk_end" or "word".
    """

    kind: str
    chunk: int
    start: int
    end: int
    sample: int
    exact: bool


@dataclass(frozen=True, slots=True)
class SynthAudio:
    turn: int
    sample: int
    pcm: bytes


@dataclass(frozen=True, slots=True)
class SynthMarks:
    turn: int
    marks: tuple[SpokenMark, ...]


@dataclass(frozen=True, slots=True)
class SynthFinished:
    """No more audio of the turn. `samples` is its length, `spoken` the code points that were turned into audio."""

    turn: int
    samples: int
    spoken: int
    wasted_samples: int = 0


@dataclass(frozen=True, slots=True)
class SynthFailed:
    """The turn cannot go on, on any worker."""

    turn: int
    code: str
    message: str


SynthEvent = SynthAudio | SynthMarks | SynthFinished | SynthFailed


class SynthSink(Protocol):
    """Where a synthesizer delivers; on the event loop, never waits. Credit bounds what can come."""

    def synth_nowait(self, event: SynthEvent) -> None: ...


class Synthesizer(Protocol):
    """One session's voice: many turns, one after another. Placement and failover are behind it."""

    def prepare_nowait(self, choice: VoiceChoice) -> None:
        """Lease and slot, before there is text."""
        ...

    def release_nowait(self) -> None:
        """Nothing is to be said after all: what `prepare_nowait` got is given back."""
        ...

    def begin_nowait(self, turn: int, choice: VoiceChoice) -> None: ...

    def say_nowait(self, turn: int, chunk: int, text: str, language: str) -> None: ...

    def flush_nowait(self, turn: int) -> None:
        """No text follows for a while: everything said so far is to sound to its end."""
        ...

    def finish_nowait(self, turn: int) -> None:
        """No more text of the turn."""
        ...

    def stop_nowait(self, turn: int) -> None: ...

    def credit_nowait(self, turn: int, until_sample: int) -> None: ...

    def backlog(self, turn: int) -> int:
        """Code points taken and not yet spoken."""
        ...

    async def wait_room(self, turn: int) -> None:
        """Returns when there is room for more text of the turn, or the turn is over."""
        ...


# --- turn detection ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Said:
    """A pause: `text` is what was understood of the turn so far, `pcm` (16 kHz mono s16le) the end of it, its silence
    included, up to 8 s."""

    text: str
    language: str
    pcm: bytes


class TurnDetector(Protocol):
    """Tells pauses from ends, beside the built-in reading of the words (`conversation.endpointing`)."""

    name: str

    def done(self, said: Said) -> float:
        """How likely (0 to 1) it is that the user is done. Pure; may take its time, in a thread of its own."""
        ...


# --- responder -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the reply, any length. `language` (BCP 47) where it is not the session's."""

    text: str
    language: str = ""


@dataclass(frozen=True, slots=True)
class ToolCall:
    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    call_id: str
    name: str
    content: str


@dataclass(frozen=True, slots=True)
class Adjust:
    """The responder changes how the session speaks. Before the reply's first Text it holds for this reply already."""

    voice: str | None = None
    rate: float | None = None
    pitch: float | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """The reply is written. `reason`: "stop", "length", "error"."""

    reason: str = "stop"
    usage: Mapping[str, int] = field(default_factory=dict)


Delta = Text | ToolCall | ToolResult | Adjust | Done


class Progress(Protocol):
    """How the reply being given fares, live."""

    @property
    def false_alarms(self) -> int:
        """Noises that held this reply and were taken back."""
        ...

    async def wait_heard(self) -> None:
        """Returns when everything yielded so far was heard."""
        ...

    async def wait_accepted(self) -> None:
        """Returns when the reply is certain to be wanted; at once, unless it was begun early. For a brain that is about
        to do what cannot be undone.
        """
        ...

    def loading_nowait(self) -> None:
        """The model behind the responder is loading: the user is told, a barge-in will not abort it."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """What a responder may want to know besides the history."""

    session: str
    turn: int
    cause: Cause
    progress: Progress
    language: str = ""
    instructions: str = ""
    voice: VoiceChoice = VoiceChoice()
    interruption: Interruption | None = None
    voices: tuple[str, ...] = ()
    """Ids of the voices that the session could speak with."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What is running: "tts", "asr", "hears" ("yes"/"no"), …"""


class Responder(Protocol):
    """A brain. Closing the iterator cancels the reply within 50 ms.

    One that has an attribute `early = True` may be asked before the user's turn has ended (as early as `early_start`
    has it, or `head_start_ms` before); if they say more, its reply is closed and another one asked for. It must not
    matter then that it was asked; see `Progress.wait_accepted`.
    """

    name: str

    def reply(self, history: tuple[Item, ...], context: Context) -> AsyncIterator[Delta]: ...

    async def warm(self) -> None:
        """A session opened: get ready."""
        ...

    async def close(self) -> None: ...
