"""The ModelManager service: what each call does. Raises `AntiphonError`s, which `base.rpc` turns into rich status."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from base.errors import NotFound
from pb.antiphon.v1 import models_pb2_grpc
from worker import wire
from worker.loader import Loader
from worker.residency_values import Status


class ModelManagerServicer(models_pb2_grpc.ModelManagerServicer):
    """`engine_of` and `device_of` a model by its id. `linger_s`: how long what was asked for is kept from eviction."""

    def __init__(
        self,
        loader: Loader[Any],
        *,
        engine_of: Callable[[str], str],
        device_of: Callable[[str], str],
        linger_s: float,
    ) -> None:
        self._loader = loader
        self._engine_of = engine_of
        self._device_of = device_of
        self._linger_s = linger_s

    async def LoadModel(self, request: wire.LoadModelRequest, context: Any) -> wire.LoadModelResponse:
        await self._loader.load(request.model, self._linger_s)
        return wire.LoadModelResponse(model=self._one(request.model))

    async def UnloadModel(self, request: wire.UnloadModelRequest, context: Any) -> wire.UnloadModelResponse:
        await self._loader.unload(request.model, force=request.force)
        return wire.UnloadModelResponse(model=self._one(request.model))

    async def ListModels(self, request: wire.ListModelsRequest, context: Any) -> wire.ListModelsResponse:
        return wire.ListModelsResponse(models=self._all())

    async def WatchModels(self, request: wire.WatchModelsRequest, context: Any) -> None:
        told: tuple[Status, ...] | None = None
        while True:
            statuses = self._loader.statuses()
            if told is None or _core(statuses) != _core(told):
                told = statuses
                await context.write(wire.WatchModelsResponse(models=self._all()))
            else:
                await self._loader.wait_change()

    async def Prefetch(self, request: wire.PrefetchRequest, context: Any) -> wire.PrefetchResponse:
        refusal = self._loader.refusal(request.model)
        if isinstance(refusal, NotFound):
            raise refusal
        self._loader.prefetch_nowait(request.model, self._linger_s)
        return wire.PrefetchResponse()

    def _all(self) -> list[wire.ModelStatus]:
        now = asyncio.get_running_loop().time()
        return [
            wire.status_to(s, self._engine_of(s.model), self._device_of(s.model), now) for s in self._loader.statuses()
        ]

    def _one(self, id: str) -> wire.ModelStatus:
        return next(m for m in self._all() if m.id == id)


def _core(statuses: tuple[Status, ...]) -> list[tuple[object, ...]]:
    """What a change is; times that run by themselves are none."""
    return [(s.model, s.state, s.leases, s.waiting, s.lingering, s.size, s.error is not None) for s in statuses]
