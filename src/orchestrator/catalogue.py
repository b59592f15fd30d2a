"""Responders by name.

What a session may ask for is a fixed set: the built-ins and the one the operator configured. Only the operator can name
code: an entry point of the group `antiphon.responders`, or `module:name`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from datetime import datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import cast

from base.errors import Misconfigured, NotFound
from orchestrator.ports import Responder
from orchestrator.responders.client import ClientResponder
from orchestrator.responders.echo import EchoResponder
from orchestrator.settings import OrchestratorSettings

GROUP = "antiphon.responders"


class Catalogue:
    """The responders of one process. Stateless ones are made once and shared; a client's own is made a session."""

    def __init__(self, settings: OrchestratorSettings) -> None:
        self._settings = settings
        self._made: dict[str, Responder] = {}
        self._makers: dict[str, Callable[[], Responder]] = {
            "tour": _tour,
            "eliza": _eliza,
            "echo": EchoResponder,
        }
        if settings.llm_url:
            self._makers["openai"] = lambda: _openai(settings)
        default = settings.responder
        if default == "openai" and not settings.llm_url:
            raise Misconfigured("responder 'openai' needs llm_url, e.g. http://127.0.0.1:11434/v1")
        if default != "client" and default not in self._makers:
            self._makers[default] = _from_outside(default, self.names())

    def names(self) -> tuple[str, ...]:
        return (*self._makers, "client")

    def get(self, name: str) -> Responder:
        """The responder `name`, or the operator's default where it is empty. Raises NotFound."""
        name = name or self._settings.responder
        if name == "client":
            return ClientResponder(self._settings.client_reply_timeout_s)
        if name not in self._makers:
            hint = "; set llm_url to have openai" if name == "openai" else ""
            raise NotFound(
                f"responder {name!r} is not here; one of: {', '.join(self.names())}{hint}",
                reason="RESPONDER_UNKNOWN",
                where="responder",
            )
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    async def close(self) -> None:
        made, self._made = list(self._made.values()), {}
        for responder in made:
            await responder.close()


def _tour() -> Responder:
    from orchestrator.responders.tour import TourResponder

    return TourResponder(now=datetime.now)


def _eliza() -> Responder:
    from orchestrator.responders.eliza import ElizaResponder

    return ElizaResponder()


def _openai(settings: OrchestratorSettings) -> Responder:
    from orchestrator.responders.openai import OpenAIResponder

    key = ""
    if settings.llm_key_file:
        path = Path(settings.llm_key_file)
        try:
            key = path.read_text().strip()
        except OSError as error:
            raise Misconfigured(f"llm_key_file {str(path)!r} cannot be read: {error.strerror}") from error
    return OpenAIResponder(
        url=settings.llm_url,
        model=settings.llm_model,
        key=key,
        context_tokens=settings.llm_context_tokens,
        max_tokens=settings.llm_max_tokens,
        temperature=settings.llm_temperature,
        timeout_s=settings.llm_timeout_s,
        start_timeout_s=settings.llm_start_timeout_s,
    )


def _from_outside(name: str, known: tuple[str, ...]) -> Callable[[], Responder]:
    """An operator's own brain: a callable without arguments that returns a Responder (a class will do)."""
    found = entry_points(group=GROUP)
    if name in found.names:
        return cast("Callable[[], Responder]", found[name].load())
    module, colon, attribute = name.partition(":")
    if not colon:
        raise Misconfigured(
            f"responder {name!r} is not here; one of {', '.join(known)}, an entry point of {GROUP!r}, or module:name"
        )
    try:
        return cast("Callable[[], Responder]", getattr(importlib.import_module(module), attribute))
    except (ImportError, AttributeError) as error:
        raise Misconfigured(f"responder {name!r} cannot be loaded: {error}") from error
