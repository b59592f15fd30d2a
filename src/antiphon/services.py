"""The services that this program can run: where their settings and their `run` are. Imported only when called for."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from base.errors import Misconfigured


@dataclass(frozen=True, slots=True)
class ServiceModule:
    """`section` is its table in the configuration, `kind` what its ready line says."""

    command: str
    section: str
    package: str
    settings_class: str
    kind: str
    words: str

    def settings(self) -> type[Any]:
        module = importlib.import_module(f"{self.package}.settings")
        found: type[Any] = getattr(module, self.settings_class)
        return found

    def run(self) -> Callable[..., Coroutine[Any, Any, int]]:
        """`async run(settings, *, ready) -> exit code`."""
        module = importlib.import_module(f"{self.package}.app")
        found: Callable[..., Coroutine[Any, Any, int]] = module.run
        return found

    def check(self, settings: Any) -> None:
        """What its `checks` say of its settings: raises Misconfigured for what `run` would refuse."""
        if importlib.util.find_spec(f"{self.package}.checks") is not None:
            importlib.import_module(f"{self.package}.checks").check(settings)


SERVICES = {
    s.command: s
    for s in (
        ServiceModule(
            "registry", "registry", "registry", "RegistrySettings", "registry", "Knows which workers there are."
        ),
        ServiceModule(
            "orchestrator",
            "orchestrator",
            "orchestrator",
            "OrchestratorSettings",
            "orchestrator",
            "Terminates sessions: the page, WebSocket, turns and barge-in.",
        ),
        ServiceModule("tts-worker", "tts_worker", "tts_workers", "TtsWorkerSettings", "tts", "Text in, speech out."),
        ServiceModule("asr-worker", "asr_worker", "asr", "AsrWorkerSettings", "asr", "Speech in, text out."),
    )
}


def service(command: str) -> ServiceModule:
    if command not in SERVICES:
        raise Misconfigured(f"service {command!r} is unknown; there are {', '.join(SERVICES)}")
    return SERVICES[command]
