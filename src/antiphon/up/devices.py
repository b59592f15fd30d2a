"""What `up --lan` tells its user, and who was paired since."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from antiphon.output import is_terminal, printable
from antiphon.places import own_command
from antiphon.up.programs import Place
from antiphon.up.screen import JsonScreen, Screen
from base.errors import Misconfigured

if TYPE_CHECKING:
    from antiphon.lan.front import Front

ANY = "0.0.0.0"
LOOK_S = 0.5


class LanWelcome:
    """See the module. `show` once the page is there; `run` until cancelled."""

    def __init__(self, front: Front, place: Place, screen: Screen | JsonScreen) -> None:
        self._front = front
        self._place = place
        self._screen = screen
        self._shown = asyncio.Event()

    @property
    def url(self) -> str:
        """For other devices; empty while no port was found."""
        return self._front.url(self._port) if self._place.address else ""

    @property
    def _port(self) -> int:
        return int(self._place.address.rpartition(":")[2])

    async def show(self) -> None:
        from antiphon.lan.front import CODE_S
        from antiphon.lan.show import lan_lines, pairing_lines

        code = await asyncio.to_thread(self._front.offer)
        fingerprint = self._front.certificates.fingerprint
        if isinstance(self._screen, JsonScreen):
            self._screen.tell("lan", url=self.url, code=code, fingerprint=fingerprint, good_s=CODE_S)
        else:
            lines = lan_lines(self.url, self._front.others(self._port), fingerprint)
            lines += ["", *pairing_lines(code, self.url, CODE_S, picture=is_terminal(sys.stdout)), ""]
            self._screen.say("\n".join(lines))
            self._screen.refresh()
        self._shown.set()

    async def run(self) -> None:
        """Says who was paired."""
        await self._shown.wait()
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                new = await asyncio.to_thread(self._front.paired)
            except Misconfigured:
                continue  # the orchestrator complains
            for record in new:
                if isinstance(self._screen, JsonScreen):
                    self._screen.tell("paired", id=record.id, name=record.name)
                else:
                    again = f"{own_command()} keys pair"
                    self._screen.say(f"paired {printable(record.name)} ({record.id}); for another device: {again}")
