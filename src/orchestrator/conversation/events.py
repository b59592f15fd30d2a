"""What happens to a conversation. Frozen values; the machine takes one at a time with the time it came.

Events about the user's speech carry their utterance, events about a reply its turn: identity, not position, detects
staleness. `at_s` is on the monotonic clock and was computed in `uplink` from media time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

# --- the user's speech (from uplink) -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Playing:
    """What leaves the loudspeaker as an event is taken, with slack, as nobody knows to the word what is heard when.

    `text` begins at code point `start` of the turn's text: what was heard in the last 1.5 s, what sounds, and what
    would in the next second. `near` is its middle: what sounds, a word or so around it included. `asks`: a question is
    just being asked, or was.
    """

    turn: int
    start: int
    text: str
    near: str = ""
    asks: bool = False


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Speech began; `at_s` is when its first voiced sample came."""

    utterance: int
    sample: int
    at_s: float
    playing: Playing | None = None


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """Speech ended; `at_s` is when its last *voiced* sample came (before the VAD's own hang-over)."""

    utterance: int
    sample: int
    at_s: float


@dataclass(frozen=True, slots=True)
class PartialHeard:
    """`language`: what is spoken, where it was to be detected and is sure by now; else empty."""

    utterance: int
    text: str
    stable: int = 0
    playing: Playing | None = None
    language: str = ""


@dataclass(frozen=True, slots=True)
class FinalHeard:
    """`text` is empty when there were no words. `dismissed`: it was no speech at all. `loudspeaker`: it was what the
    loudspeaker played, by its sound. `language` as in `PartialHeard`.
    """

    utterance: int
    text: str
    confidence: float = 0.0
    dismissed: bool = False
    loudspeaker: bool = False
    playing: Playing | None = None
    language: str = ""


@dataclass(frozen=True, slots=True)
class TurnJudged:
    """A detector has listened: how likely (0 to 1) it is that the user was done when this utterance ended."""

    utterance: int
    done: float


@dataclass(frozen=True, slots=True)
class RecognitionFailed:
    """No final will come for this utterance. `goes_on`: one may, but something of it is or may be lost."""

    utterance: int
    message: str
    goes_on: bool = False


@dataclass(frozen=True, slots=True)
class RecognitionDelayed:
    """Its recogniser was lost, and another one is to hear it again: its final is worth so long a wait from now on."""

    utterance: int
    wait_s: float


class Input(Enum):
    OPEN = "open"
    MUTED = "muted"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class InputChanged:
    """`released` (push-to-talk let go) also ends the user's turn."""

    input: Input


# --- the client --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Opened:
    """The session starts. `greet`: the responder is asked for a greeting; `greeting`: these words are spoken."""

    greet: bool = False
    greeting: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    text: str


@dataclass(frozen=True, slots=True)
class Said:
    text: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    pass


@dataclass(frozen=True, slots=True)
class TurnCommitted:
    """turn_commit: the user's turn ends now."""


@dataclass(frozen=True, slots=True)
class TurnCancelled:
    """turn_cancel: what the user said so far in this turn is forgotten."""


@dataclass(frozen=True, slots=True)
class PolicyChanged:
    """From the next turn; see `machine.Policy`. Typed loosely here so that events import nothing.

    `another`: another responder answers from then on, whose model may have to load.
    """

    policy: object
    another: bool = False


@dataclass(frozen=True, slots=True)
class TransportLost:
    pass


@dataclass(frozen=True, slots=True)
class TransportBack:
    pass


@dataclass(frozen=True, slots=True)
class SessionEnded:
    reason: str


# --- the reply (from reply and downlink) -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Heard:
    """How much of a turn left the loudspeaker.

    `samples` at the output rate; `text` the responder's words heard (a word counts when all of it was); `unheard` what
    was written and not heard; `complete` when nothing is left and the responder was done.
    """

    turn: int
    samples: int
    text: str
    unheard: str
    complete: bool


@dataclass(frozen=True, slots=True)
class ReplyLoading:
    """The responder has not answered for 2 s because its model loads; a barge-in must not abort that."""

    turn: int


@dataclass(frozen=True, slots=True)
class ReplyAnswering:
    """After ReplyLoading: the model has loaded, the responder's first words came. Aborting wastes no loading now."""

    turn: int


@dataclass(frozen=True, slots=True)
class FirstAudio:
    """The first sample of the turn was given to the transport."""

    turn: int


@dataclass(frozen=True, slots=True)
class ReplyEnded:
    """Everything of the turn was heard (or there was nothing to speak). Held turns end only after their resume."""

    turn: int
    heard: Heard


@dataclass(frozen=True, slots=True)
class ReplyStopped:
    """The answer to StopReply: playout is silent and the last `played` is in (or its 150 ms are over)."""

    turn: int
    heard: Heard


@dataclass(frozen=True, slots=True)
class ReplyFailed:
    """Responder or synthesis gave up; what was heard until then is in `heard`. Playout of what was sent is over."""

    turn: int
    heard: Heard
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ToolHappened:
    """A tool call or its result, for history."""

    turn: int
    name: str
    call_id: str
    content: str
    is_result: bool


Event = (
    SpeechStarted
    | SpeechEnded
    | PartialHeard
    | FinalHeard
    | TurnJudged
    | RecognitionFailed
    | RecognitionDelayed
    | InputChanged
    | Opened
    | Asked
    | Said
    | Interrupted
    | TurnCommitted
    | TurnCancelled
    | PolicyChanged
    | TransportLost
    | TransportBack
    | SessionEnded
    | ReplyLoading
    | ReplyAnswering
    | FirstAudio
    | ReplyEnded
    | ReplyStopped
    | ReplyFailed
    | ToolHappened
)
