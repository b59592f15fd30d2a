"""Progress of a reply that nothing happens to."""

from __future__ import annotations


class StillProgress:
    false_alarms = 0
    loading = False

    async def wait_heard(self) -> None:
        return

    async def wait_accepted(self) -> None:
        return

    def loading_nowait(self) -> None:
        self.loading = True
