"""A model spec's options, checked against a dataclass of the engine's.

Some are no business of the engine: `isolate` and `memory_limit_mb` (`Everywhere`) may stand among any model's options.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from typing import Annotated, TypeVar, get_type_hints

import msgspec
from msgspec import Meta

from base.errors import Misconfigured
from tts_workers.engine import ModelSpec

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Everywhere:
    """Options that a model of any engine can have: docs/models.md, "Process isolation"."""

    isolate: bool = False
    """It gets a process of its own, whether its engine asks for that or not."""
    memory_limit_mb: Annotated[int, Meta(ge=0)] = 0
    """What its process may have (Linux); 0: no limit. More than 0 isolates it."""

    @property
    def memory_limit(self) -> int:
        """In bytes."""
        return self.memory_limit_mb * 1_000_000


_EVERYWHERE = frozenset(get_type_hints(Everywhere))


def read_everywhere(spec: ModelSpec) -> tuple[Everywhere, ModelSpec]:
    """What holds for any engine, and the spec without it. Raises `Misconfigured`."""
    ours = {name: value for name, value in spec.options.items() if name in _EVERYWHERE}
    theirs = {name: value for name, value in spec.options.items() if name not in _EVERYWHERE}
    return read_options(Everywhere, replace(spec, options=ours)), replace(spec, options=theirs)


def read_options(type_: type[T], spec: ModelSpec) -> T:
    """Fills the dataclass `type_` from `spec.options`; raises `Misconfigured` for what it has not or cannot hold."""
    names = list(get_type_hints(type_))
    for name in spec.options:
        if name not in names and name not in _EVERYWHERE:
            close = difflib.get_close_matches(name, names, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; it has {', '.join(names)}"
            raise Misconfigured(f"model {spec.id!r}: engine {spec.engine} has no option {name!r}{hint}")
    try:
        return msgspec.convert(dict(spec.options), type_)
    except msgspec.ValidationError as error:
        raise Misconfigured(f"model {spec.id!r}, options of engine {spec.engine}: {error}") from error
