"""An engine in a real session of the worker, without network: what the kit needs of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from base.audio import AudioFormat
from base.errors import AntiphonError
from tts_workers import values as v
from tts_workers.engine import Audio, Mark, Model, ModelSpec, Request, Style
from tts_workers.models import LoadedModel
from tts_workers.runner import Runner
from tts_workers.session import Session, Terms
from tts_workers.stream import StreamConfig
from worker.admission import Slots
from worker.loader import Answer, Lease

LIMIT_S = 60.0
PLENTY = 2**40


@dataclass
class Heard:
    """What came of one turn. `made`: samples that the engine gave for each of its chunks."""

    frames: list[v.Audio] = field(default_factory=list)
    marks: list[v.Mark] = field(default_factory=list)
    errors: list[AntiphonError] = field(default_factory=list)
    finished: v.Finished | None = None
    made: list[int] = field(default_factory=list)

    @property
    def pcm(self) -> bytes:
        return b"".join(frame.pcm for frame in self.frames)


def converse(
    spec: ModelSpec, model: Model, target_dbfs: float, rate: int, voice: str, turns: list[list[v.Text]]
) -> list[Heard]:
    """Speaks `turns`, each of some chunks, one after another in one session at `rate`. Turns count from 1."""
    heard = [Heard() for _ in turns]
    counted = _Counted(model, heard)
    asyncio.run(_converse(LoadedModel(spec, counted, target_dbfs), rate, voice, turns, heard))
    return heard


async def _converse(loaded: LoadedModel, rate: int, voice: str, turns: list[list[v.Text]], heard: list[Heard]) -> None:
    format = AudioFormat(rate)
    runner = Runner(max_threads=8, report=lambda report: None)
    session = Session(
        "kit",
        Terms(loaded.spec.id, loaded.voices, loaded.voices.speaker(voice, ""), Style(), rate),
        StreamConfig(frame=format.frame_samples, ahead=format.samples(0.3), job_s=LIMIT_S),
        Slots(1),
        _Held(loaded),
        0.0,
        runner,
    )
    try:
        for turn, texts in enumerate(turns, 1):
            session.handle(v.Credit(turn, PLENTY))
            for text in texts:
                session.handle(text)
            session.handle(v.EndOfTurn(turn))
        session.handle(v.HalfClosed())
        async with asyncio.timeout(LIMIT_S):
            while (frame := await session.next_frame()) is not None:
                _note(heard[frame.turn - 1], frame)
    finally:
        session.close()
        await runner.wait_idle()


def _note(heard: Heard, frame: v.Frame) -> None:
    match frame:
        case v.Audio():
            heard.frames.append(frame)
        case v.Marks():
            heard.marks += frame.marks
        case v.Failed():
            heard.errors.append(frame.error)
        case v.Finished():
            assert heard.finished is None, "a turn is finished once"
            heard.finished = frame


class _Counted:
    """The model, with a count of what it gave. Measuring a voice is turn 0, and counts nowhere."""

    def __init__(self, model: Model, heard: list[Heard]) -> None:
        self.info = model.info
        self._model = model
        self._heard = heard

    def synthesize(self, request: Request) -> Iterator[Audio | Mark]:
        made = self._heard[request.turn - 1].made if request.turn else []
        made.append(0)
        for item in self._model.synthesize(request):
            if isinstance(item, Audio):
                made[-1] += len(item.data) // 2
            yield item

    def close(self) -> None:
        self._model.close()


class _Held:
    """The loader's part: the one model is always there."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded

    def acquire_nowait(self, id: str, answer: Answer[LoadedModel], revoked: Callable[[AntiphonError], None]) -> int:
        answer(Lease(self, 1, id, self._loaded, revoked))
        return 1

    def release_nowait(self, ticket: int, linger_s: float = 0.0) -> None:
        pass

    def leases(self, id: str) -> int:
        return 1
