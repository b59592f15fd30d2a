"""Values of msgspec structs with every field set, and set to something else than its default."""

from __future__ import annotations

import types
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec


def full(kind: type[Any], arm: int = 0) -> Any:
    """A struct of this kind; `arm` chooses among the types of a union and the words of a choice."""
    return kind(**{name: _value(hint, name, arm) for name, hint in get_type_hints(kind).items()})


def _value(hint: Any, name: str, arm: int) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        kinds = [a for a in arguments if a is not type(None)]
        return _value(kinds[arm % len(kinds)], name, arm)
    if origin is Literal:
        return arguments[arm % len(arguments)]
    if origin is list:
        return [_value(arguments[0], name, n) for n in range(2)]
    if origin is dict:
        kinds = get_args(arguments[1])
        return {str(n): None if k is type(None) else _value(k, name, arm) for n, k in enumerate(kinds)}
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return full(hint, arm)
    simple: dict[type[Any], Any] = {
        bool: arm % 2 == 0,
        int: 300 + 700 * arm,
        float: 1.25,
        str: {"language": "de-AT", "data": "ZW4t", "encoding": "pcm_s16le"}.get(name, f"{name} ü 🎉"),
    }
    return simple[hint]
