"""A model spec's options, checked against a dataclass of the engine's."""

from __future__ import annotations

import difflib
from typing import TypeVar, get_type_hints

import msgspec

from base.errors import Misconfigured
from tts_workers.engine import ModelSpec

T = TypeVar("T")


def read_options(type_: type[T], spec: ModelSpec) -> T:
    """Fills the dataclass `type_` from `spec.options`; raises `Misconfigured` for what it has not or cannot hold."""
    names = list(get_type_hints(type_))
    for name in spec.options:
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; it has {', '.join(names)}"
            raise Misconfigured(f"model {spec.id!r}: engine {spec.engine} has no option {name!r}{hint}")
    try:
        return msgspec.convert(dict(spec.options), type_)
    except msgspec.ValidationError as error:
        raise Misconfigured(f"model {spec.id!r}, options of engine {spec.engine}: {error}") from error
