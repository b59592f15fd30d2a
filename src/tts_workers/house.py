"""The models of a worker: which there are, what each can do, and the loader that has them in memory.

What a model can do (`EngineInfo`) is known from its engine's word at the start, where the engine can tell without
loading, or from its first load on; it stays known when the model goes.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TypeVar

from base.errors import AntiphonError, NotFound
from base.log import get_logger
from registry.records import ModelRecord, ModelState, Voice
from tts_workers import models
from tts_workers.engine import EngineInfo, ModelSpec
from tts_workers.models import LoadedModel, ModelLoading, Voices
from tts_workers.runner import Runner
from worker import memory
from worker.loader import Lease, Loader
from worker.residency_values import Limits, ModelPlan, State

T = TypeVar("T")
_FEATURES = ("streaming", "zero_shot", "lora", "prosody", "marks", "cancellable", "variants")

log = get_logger("models")


class ModelHouse:
    """`specs` and `plans` are of the same models; `default` is one of them. Belongs to one event loop."""

    def __init__(
        self,
        specs: Sequence[ModelSpec],
        plans: Sequence[ModelPlan],
        default: str,
        limits: Limits,
        *,
        target_dbfs: float,
        linger_s: float,
        runner: Runner,
        changed: Callable[[], None],
        wedged: Callable[[str, str], None],
    ) -> None:
        self._specs = {spec.id: spec for spec in specs}
        self._plans = {plan.id: replace(plan, isolated=_isolated(self._specs[plan.id])) for plan in plans}
        self.default = default
        self._target_dbfs = target_dbfs
        self._linger_s = linger_s
        self._budget = limits.budget
        self._loop = asyncio.get_running_loop()
        self._runner = runner
        self._infos: dict[str, EngineInfo] = {}
        self.loader: Loader[LoadedModel] = Loader(
            self._plans.values(), limits, self._start, changed=changed, wedged=wedged
        )

    @property
    def alone(self) -> bool:
        """Whether there is one model only."""
        return len(self._specs) == 1

    @property
    def infos(self) -> Mapping[str, EngineInfo]:
        """Of those models of which it is known."""
        return self._infos

    async def open(self, preload: Sequence[str]) -> None:
        """Asks the engines what they have, and loads the default and those of `preload`.

        Raises the default's failure; of the others it is logged, and they are tried again when they are wanted.
        """
        for id, spec in self._specs.items():
            if not self._budget and (id == self.default or id in preload):
                # They are loaded in a moment, and tell then.
                continue
            try:
                info = await in_thread(partial(models.inspect, spec))
            except AntiphonError as error:
                log.error("model.uninspected", model=id, engine=spec.engine, message=error.message)
                continue
            except Exception as fault:
                # One model's fault is no reason for the others not to be served; its own users will be told.
                log.error("model.uninspected", model=id, engine=spec.engine, exc_info=fault)
                continue
            if info is not None:
                self._infos[id] = info
                self.loader.estimate(id, info.memory_bytes)
        for id in dict.fromkeys([self.default, *preload]):
            try:
                await self.loader.load(id)
            except AntiphonError:
                if id == self.default:
                    raise

    async def voices(self, model: str, voice: str = "", language: str = "") -> tuple[str, Voices]:
        """Whose voices: `model`; where it is "", the default, or the first that can what the default cannot.

        A model that nobody knows yet is loaded to be asked. Raises `NotFound`, and why it cannot be loaded.
        """
        id = model or self._that_can(voice, language)
        if id not in self._specs:
            known = ", ".join(self._specs)
            raise NotFound(f"this worker has no model {id[:80]!r}; it has {known}", reason="UNKNOWN_MODEL")
        if (refusal := self.loader.refusal(id)) is not None:
            raise refusal
        if id not in self._infos:
            (await self.loader.acquire(id)).release(self._linger_s)
        return id, Voices(id, self._infos[id])

    def _that_can(self, voice: str, language: str) -> str:
        for id in sorted(self._infos, key=lambda id: id != self.default):
            with suppress(NotFound):
                Voices(id, self._infos[id]).speaker(voice, language)
                return id
        return self.default

    def claim_nowait(self, model: str, voice: str) -> Callable[[], None]:
        """A session will speak with it soon: it is loaded, and the voice measured. Nothing is held for long.

        What is returned withdraws it; again, or too late, it changes nothing.
        """

        def answer(found: Lease[LoadedModel] | AntiphonError) -> None:
            if isinstance(found, Lease):
                self._runner.warm_nowait(found.model, voice)
                found.release(self._linger_s)

        ticket = self.loader.acquire_nowait(model, answer)
        return lambda: self.loader.release_nowait(ticket)

    def engine_of(self, id: str) -> str:
        return self._specs[id].engine

    def device_of(self, id: str) -> str:
        return self._plans[id].device

    def records(self) -> tuple[ModelRecord, ...]:
        """What the registry is told, the default first: whoever names no model gets that one's voices."""
        specs = sorted(self._specs.values(), key=lambda spec: spec.id != self.default)
        return tuple(self._record(spec) for spec in specs)

    def _start(self, id: str, lost: Callable[[AntiphonError], None]) -> ModelLoading:
        return _Loading(self._specs[id], self._plans[id], self._target_dbfs, lost, self._learnt, self._runner)

    def _learnt(self, id: str, info: EngineInfo) -> None:
        # From the load's thread: one assignment to a dict is safe, and what follows is the loop's.
        self._infos[id] = info
        with suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            self._loop.call_soon_threadsafe(self.loader.estimate, id, info.memory_bytes)

    def _record(self, spec: ModelSpec) -> ModelRecord:
        state = _STATES[self.loader.state(spec.id)]
        info = self._infos.get(spec.id)
        if info is None:
            return ModelRecord(spec.id, spec.engine, state, is_default=spec.id == self.default)
        voices = sorted(info.voices, key=lambda v: v.id != info.default_voice)
        return ModelRecord(
            id=spec.id,
            engine=spec.engine,
            state=state,
            languages=info.languages,
            voices=tuple(Voice(v.id, v.name, v.languages, v.gender) for v in voices),
            sample_rate=info.sample_rate,
            features=frozenset(name for name in _FEATURES if getattr(info, name)),
            is_default=spec.id == self.default,
            licence=info.licence,
        )


class _Loading(ModelLoading):
    """One that tells what the model can do as soon as it is loaded, and what it takes.

    That is the model's own word, else, on a CPU, by how much this process grew while nothing else was at an engine,
    unless the operator has said how much it is. What a process takes tells nothing of a GPU's memory.
    """

    def __init__(
        self,
        spec: ModelSpec,
        plan: ModelPlan,
        target_dbfs: float,
        lost: Callable[[AntiphonError], None],
        learnt: Callable[[str, EngineInfo], None],
        others: Runner,
    ) -> None:
        super().__init__(spec, target_dbfs, lost)
        self._plan = plan
        self._learnt = learnt
        self._others = others
        self._grown: Callable[[], int] = lambda: 0

    def load(self) -> LoadedModel:
        if self._plan.device == "cpu" and not self._plan.isolated and not self._plan.estimate:
            self._grown = _growth(self._others.quiet_from_now())
        model = super().load()
        self._learnt(self._plan.id, model.info)
        return model

    def warm_up(self, model: LoadedModel) -> int:
        told = super().warm_up(model)
        if self._plan.isolated and self._plan.device != "cpu":
            return 0
        return told or self._grown()


def _growth(quiet: Callable[[], bool]) -> Callable[[], int]:
    """Asked later, it tells by how many bytes this process has grown; 0 if something else may have been why."""
    memory.give_back()
    before = memory.ours()

    def grown() -> int:
        memory.give_back()
        return max(0, memory.ours() - before) if quiet() else 0

    return grown


def _isolated(spec: ModelSpec) -> bool:
    """What is wrong with its options is told when it is inspected, or loaded."""
    try:
        return models.is_isolated(spec)
    except AntiphonError:
        return False


_STATES = {state: ModelState(state.value) for state in State}


async def in_thread(work: Callable[[], T]) -> T:
    """Runs `work` on a daemon thread: one that hangs does not keep the process from ending."""
    done: concurrent.futures.Future[T] = concurrent.futures.Future()
    done.set_running_or_notify_cancel()

    def target() -> None:
        try:
            done.set_result(work())
        except Exception as error:
            done.set_exception(error)

    threading.Thread(target=target, name="ask", daemon=True).start()
    return await asyncio.wrap_future(done)
