"""Waits, in real time, until an exchange is over."""

from __future__ import annotations

import asyncio
import contextlib

from antiphon.chat.exchange import Exchange, Outcome


class Watched:
    """An exchange in real time."""

    def __init__(self, exchange: Exchange | None = None) -> None:
        self._exchange = exchange or Exchange()
        self._news = asyncio.Event()
        self._clock = asyncio.get_running_loop().time

    def take(self, event: object) -> None:
        self._exchange.take(event, self._clock())
        self._news.set()

    def begin(self) -> None:
        self._exchange.begin(self._clock())

    def said(self) -> None:
        self._exchange.said(self._clock())

    async def wait_over(self) -> Outcome:
        """To be called after `said`."""
        while (outcome := self._exchange.outcome(self._clock())) is None:
            deadline = self._exchange.deadline()
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    await self._news.wait()
        return outcome
