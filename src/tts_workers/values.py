"""What a synthesis stream is told, what it answers and what its driver must do: frozen values.

They mean what proto/antiphon/v1/synthesis.proto says; `wire.py` translates. Samples count at the session's rate from
the start of their turn; `start` and `end` of marks are Unicode code points into the chunk's text.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from base.errors import AntiphonError
from tts_workers.engine import MarkKind, Style

# --- from the client --------------------------------------------------------------------------------------------------


class Action(Enum):
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Text:
    """One chunk of a turn. Voice and style count in the first one of a turn; None and "" are the session's."""

    turn: int
    text: str
    chunk: int = 0
    language: str = ""
    voice: str = ""
    style: Style | None = None


@dataclass(frozen=True, slots=True)
class EndOfTurn:
    turn: int


@dataclass(frozen=True, slots=True)
class Flush:
    """No text follows for a while: the last piece of what there is goes out padded to a frame."""

    turn: int


@dataclass(frozen=True, slots=True)
class Credit:
    turn: int
    until_sample: int


@dataclass(frozen=True, slots=True)
class Reserve:
    turn: int


@dataclass(frozen=True, slots=True)
class Control:
    turn: int
    action: Action


@dataclass(frozen=True, slots=True)
class Invalid:
    """A message of the turn could not be read."""

    turn: int
    error: AntiphonError


@dataclass(frozen=True, slots=True)
class HalfClosed:
    """The client sends nothing more: open turns end, and are sent without further credit."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The stream is gone."""


@dataclass(frozen=True, slots=True)
class Draining:
    """No new turns from now on."""


Message = Text | EndOfTurn | Flush | Credit | Reserve | Control | Invalid

# --- from admission and engine ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SlotGiven:
    pass


@dataclass(frozen=True, slots=True)
class SlotRefused:
    error: AntiphonError


@dataclass(frozen=True, slots=True)
class Mark:
    kind: MarkKind
    chunk: int
    start: int
    end: int
    sample: int
    exact: bool


@dataclass(frozen=True, slots=True)
class Word:
    """An engine's WORD mark, with its sample in the turn at the session's rate."""

    start: int
    end: int
    sample: int
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Produced:
    """Audio of a job, s16le at the session's rate, with the words that begin in it or before.

    `held` is how many samples more were synthesised already and wait for `Allow`.
    """

    job: int
    pcm: bytes
    words: tuple[Word, ...] = ()
    held: int = 0


@dataclass(frozen=True, slots=True)
class JobDone:
    job: int


@dataclass(frozen=True, slots=True)
class JobFailed:
    job: int
    error: AntiphonError


Event = Message | HalfClosed | Closed | Draining | SlotGiven | SlotRefused | Produced | JobDone | JobFailed

# --- to the client ----------------------------------------------------------------------------------------------------


class Reason(Enum):
    COMPLETED = "completed"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Audio:
    turn: int
    sample: int
    pcm: bytes


@dataclass(frozen=True, slots=True)
class Marks:
    turn: int
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Finished:
    """`spoken`: code points of the turn's text whose audio was sent; `wasted`: samples made and thrown away."""

    turn: int
    reason: Reason
    samples: int
    spoken: int
    wasted: int = 0


@dataclass(frozen=True, slots=True)
class Failed:
    """An error of one turn; `Finished` with FAILED follows, unless the turn was over already."""

    turn: int
    error: AntiphonError


@dataclass(frozen=True, slots=True)
class Reserved:
    turn: int


Frame = Audio | Marks | Finished | Failed | Reserved

# --- to the driver ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Job:
    """One chunk to be synthesised. Its first sample is `start_sample` of the turn."""

    id: int
    turn: int
    chunk: int
    text: str
    first: bool
    last: bool
    previous_text: str
    language: str
    voice: str
    style: Style | None
    start_sample: int


@dataclass(frozen=True, slots=True)
class AskSlot:
    """Answered with `SlotGiven` or `SlotRefused`."""


@dataclass(frozen=True, slots=True)
class ReturnSlot:
    pass


@dataclass(frozen=True, slots=True)
class Start:
    """Answered with any number of `Produced`, then one `JobDone` or `JobFailed`, unless cancelled."""

    job: Job
    until_sample: int


@dataclass(frozen=True, slots=True)
class Allow:
    """The job may produce up to `until_sample` of its turn."""

    job: int
    until_sample: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """What still comes of the job is thrown away."""

    job: int


@dataclass(frozen=True, slots=True)
class Abort:
    """The client misuses the stream as a whole: end it with this error."""

    error: AntiphonError


Command = AskSlot | ReturnSlot | Start | Allow | Cancel | Abort
