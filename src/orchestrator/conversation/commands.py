"""What the machine wants done. The driver carries commands out in order; carrying out never waits."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from orchestrator.conversation.history import Item


class Cause(Enum):
    """Why a reply starts."""

    USER = "user"
    """The user's turn ended: answer the last user item of the history."""
    GREETING = "greeting"
    SAY = "say"
    """Speak `text` as it is; no responder."""
    CONTINUE = "continue"
    """Speak `text`, the words not heard of a reply that a noise had stopped."""
    APOLOGY = "apology"
    """Speak `text`: an error in one sentence."""


@dataclass(frozen=True, slots=True)
class Interruption:
    """How the last reply ended, for the responder: the words heard and the words not heard.

    `typed`: what was asked in its place was typed, not spoken.
    """

    turn: int
    heard: str
    unheard: str
    typed: bool = False


@dataclass(frozen=True, slots=True)
class StartReply:
    """Begin a reply; or, where DraftReply has begun this turn, let it sound."""

    turn: int
    cause: Cause
    history: tuple[Item, ...]
    text: str = ""
    interruption: Interruption | None = None
    false_alarms: int = 0


@dataclass(frozen=True, slots=True)
class DraftReply:
    """Begin a reply before the user's turn has ended: ask the responder and the voice, let nothing sound, tell nobody.

    StartReply of the same turn accepts it, DropDraft throws it away. Of a draft only ReplyLoading, ReplyAnswering,
    ToolHappened and ReplyFailed are events.
    """

    turn: int
    history: tuple[Item, ...]
    interruption: Interruption | None = None
    false_alarms: int = 0


@dataclass(frozen=True, slots=True)
class ExpectReply:
    """The reply that DraftReply began is due at `due_s` (monotonic seconds), when the user's turn ends, unless they say
    more until then. Its sound may set out sooner, to be there in time, if nobody hears it before StartReply. None: that
    is not known any more.
    """

    turn: int
    due_s: float | None


@dataclass(frozen=True, slots=True)
class DropDraft:
    """The user said something else: this turn never was."""

    turn: int


@dataclass(frozen=True, slots=True)
class PrepareReply:
    """The user speaks: ask for lease and slot now."""


@dataclass(frozen=True, slots=True)
class HoldReply:
    """Keep playout where it is. Before the first sample: let none out."""

    turn: int


@dataclass(frozen=True, slots=True)
class ResumeReply:
    """Go on exactly there. `false_alarm`: the hold was for a noise."""

    turn: int
    false_alarm: bool


@dataclass(frozen=True, slots=True)
class StopReply:
    """End the turn, drop what is left, cancel the responder; ReplyStopped follows."""

    turn: int
    reason: str


@dataclass(frozen=True, slots=True)
class ForgetUtterance:
    """Nobody waits for this utterance's words any more."""

    utterance: int


@dataclass(frozen=True, slots=True)
class SetTrigger:
    """How many VAD frames start an utterance."""

    frames: int


@dataclass(frozen=True, slots=True)
class RelearnNoise:
    pass


@dataclass(frozen=True, slots=True)
class SilenceInput:
    """The utterance is over, whatever comes: feed zeros until it has ended. No microphone news is to be had (the
    transport is lost), or what is said from now on is another utterance."""


@dataclass(frozen=True, slots=True)
class TellState:
    state: str


@dataclass(frozen=True, slots=True)
class TellTranscript:
    utterance: int
    text: str
    final: bool


@dataclass(frozen=True, slots=True)
class TellTurnEnded:
    """The user's turn ended: `transcript` is what they said, `reason` why it ended. Reply `turn` answers it."""

    turn: int
    transcript: str
    reason: str


@dataclass(frozen=True, slots=True)
class TellTurnFinished:
    turn: int
    heard: str
    unheard: str
    samples: int
    reason: str


@dataclass(frozen=True, slots=True)
class TellNotice:
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class TellError:
    code: str
    message: str
    fatal: bool = False


@dataclass(frozen=True, slots=True)
class EndSession:
    reason: str


Command = (
    StartReply
    | DraftReply
    | ExpectReply
    | DropDraft
    | PrepareReply
    | HoldReply
    | ResumeReply
    | StopReply
    | ForgetUtterance
    | SetTrigger
    | RelearnNoise
    | SilenceInput
    | TellState
    | TellTranscript
    | TellTurnEnded
    | TellTurnFinished
    | TellNotice
    | TellError
    | EndSession
)
