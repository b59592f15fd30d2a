"""Which language model `up` uses: named, remembered, or asked for once."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from orchestrator.responders.openai import Endpoint

NONE = "none"
SHOWN = 12
"""Models listed at most; any other can be named with --model."""


@dataclass(frozen=True, slots=True)
class Brain:
    """A model of an OpenAI-compatible endpoint; `url` empty: none, the tour speaks."""

    url: str = ""
    model: str = ""

    @property
    def flags(self) -> list[str]:
        """For the orchestrator."""
        if not self.url:
            return []
        return ["--responder", "openai", "--llm-url", self.url, "--llm-model", self.model]


class Memory:
    """The answer that was given last time, in a small file. A file that cannot be read or written counts as none."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def recall(self) -> Brain | None:
        try:
            kept = json.loads(self._path.read_text())["llm"]
            return Brain(str(kept["url"]), str(kept["model"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, brain: Brain) -> None:
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            new = self._path.with_suffix(".new")
            new.write_text(json.dumps({"llm": asdict(brain)}))
            os.replace(new, self._path)


async def choose(
    wanted_url: str,
    wanted_model: str,
    *,
    discover: Callable[[], Awaitable[Sequence[Endpoint]]],
    look: Callable[[str], Awaitable[Endpoint | None]],
    memory: Memory,
    ask: Callable[[str], Awaitable[str | None]] | None,
    tell: Callable[[str], None],
) -> Brain:
    """The model to use. `ask` None: nobody is there to be asked; it gives None when no answer comes."""
    if wanted_url == NONE:
        return Brain()
    if wanted_url:
        return await _named(wanted_url, wanted_model, look, tell)
    found = await discover()
    offers = [Brain(e.url, model) for e in found for model in e.models]
    if wanted_model:
        for offer in offers:
            if offer.model == wanted_model:
                return offer
        tell(f"--model {wanted_model}: no model of that name was found here; say where with --llm URL")
        return Brain()
    kept = memory.recall()
    if kept is not None and (not kept.url or kept in offers):
        if kept.url:
            tell(f"brain: {kept.model} at {kept.url}, as last time (--llm none for the tour)")
        return kept
    if kept is not None:
        tell(f"{kept.model} at {kept.url}, chosen last time, is not there now")
    if not offers:
        return Brain()
    listed = offers[:SHOWN]
    if ask is None:
        names = ", ".join(o.model for o in listed)
        tell(f"language models here: {names}; to use one: --llm {listed[0].url} --model {listed[0].model}")
        return Brain()
    return await _ask(listed, len(offers), found, memory, ask, tell)


async def _named(
    url: str, model: str, look: Callable[[str], Awaitable[Endpoint | None]], tell: Callable[[str], None]
) -> Brain:
    """What was named, put right by what answers there. What does not answer now may do so by the first question."""
    there = await look(url)
    if there is None:
        tell(f"--llm {url}: nothing answers there now (asked for /models); it is used all the same")
        return Brain(url, model)
    if there.url != url.rstrip("/"):
        tell(f"--llm {url}: its models are at {there.url}, which is used")
    return Brain(there.url, model or (there.models[0] if there.models else ""))


async def _ask(
    listed: list[Brain],
    in_all: int,
    found: Sequence[Endpoint],
    memory: Memory,
    ask: Callable[[str], Awaitable[str | None]],
    tell: Callable[[str], None],
) -> Brain:
    tell(f"{' and '.join(e.kind for e in found)} found on this machine:")
    for number, offer in enumerate(listed, 1):
        tell(f"  {number}  {offer.model}")
    if in_all > len(listed):
        tell(f"     and {in_all - len(listed)} more (--model NAME)")
    while True:
        answer = await ask(f"Who shall answer? [1-{len(listed)}, Enter: 1, n: nobody, the tour; asked once] ")
        if answer is None:
            return Brain()
        answer = answer.strip().lower()
        if answer in ("n", "no", "none", "0"):
            chosen = Brain()
        elif answer in ("", "y", "yes"):
            chosen = listed[0]
        elif answer.isascii() and answer.isdigit() and 1 <= int(answer) <= len(listed):
            chosen = listed[int(answer) - 1]
        else:
            tell(f"  a number from 1 to {len(listed)}, or n")
            continue
        memory.keep(chosen)
        return chosen
