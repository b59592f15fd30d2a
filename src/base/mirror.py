"""Plain values (dicts, lists, words, numbers) from protobuf messages and back: for wires that mirror msgspec structs.

A message's fields bear the names of the struct's. Then

- a field that is not set is left out, so that the struct's default holds; one without presence is always there;
- an enum is a word: `TURN_DETECTION_MANUAL` is "manual", the zero value is not set, an unknown number is its digits;
- a message that is nothing but one oneof is the value of its arm, and None without one: a union of plain types;
- None is not set.

It knows descriptors, and none of our messages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

Descriptor = Any
EnumDescriptor = Any
Field = Any
"""Of the C library or of the pure one: their types differ, what they say does not."""


def plain(message: Message) -> Any:
    """A dict; for a message that is one oneof, its value."""
    union = _union(message.DESCRIPTOR)
    if union is not None:
        arm = message.WhichOneof(union)
        return None if arm is None else getattr(message, arm)
    out: dict[str, Any] = {}
    for field, read in _readers(message.DESCRIPTOR):
        value = read(message)
        if value is not None:
            out[field] = value
    return out


def fill(message: Message, value: object) -> None:
    """Sets in an empty `message` what `value` (as `plain` gives it) has. Raises ValueError for what has no place.

    Text that is none (halves of surrogate pairs) raises UnicodeEncodeError, which is a ValueError.
    """
    descriptor = message.DESCRIPTOR
    union = _union(descriptor)
    if union is not None:
        if value is not None:
            setattr(message, _arm(descriptor, value), value)
        return
    if not isinstance(value, Mapping):
        raise ValueError(f"{descriptor.full_name} has fields; {value!r} has none")
    message.SetInParent()
    for name, item in value.items():
        field = descriptor.fields_by_name.get(name)
        if field is None:
            raise ValueError(f"{descriptor.full_name} has no field {name}")
        if item is not None:
            _set(message, field, item)


# --- from messages ---------------------------------------------------------------------------------------------------


@cache
def _readers(descriptor: Descriptor) -> tuple[tuple[str, Callable[[Message], Any]], ...]:
    return tuple((field.name, _reader(field)) for field in descriptor.fields)


def _reader(field: Field) -> Callable[[Message], Any]:
    """Reads `field` of a message; None where it is not set."""
    name = field.name
    one = _one(field)
    if _is_map(field):
        value_of = _one(field.message_type.fields_by_name["value"])
        return lambda message: {key: value_of(item) for key, item in getattr(message, name).items()}
    if field.is_repeated:
        return lambda message: [one(item) for item in getattr(message, name)]
    if field.has_presence:
        return lambda message: one(getattr(message, name)) if message.HasField(name) else None
    return lambda message: one(getattr(message, name))


def _one(field: Field) -> Callable[[Any], Any]:
    if field.message_type is not None:
        return plain
    if field.enum_type is not None:
        words = {number: word for word, number in _words(field.enum_type).items()}
        return lambda number: words.get(number, str(number)) if number else None
    return lambda value: value


# --- to messages -----------------------------------------------------------------------------------------------------


def _set(message: Message, field: Field, value: Any) -> None:
    name = field.name
    if _is_map(field):
        inner = field.message_type.fields_by_name["value"]
        for key, item in value.items():
            if inner.message_type is not None:
                fill(getattr(message, name)[key], item)
            else:
                getattr(message, name)[key] = _scalar(inner, item)
    elif field.is_repeated:
        for item in value:
            if field.message_type is not None:
                fill(getattr(message, name).add(), item)
            else:
                getattr(message, name).append(_scalar(field, item))
    elif field.message_type is not None:
        fill(getattr(message, name), value)
    else:
        setattr(message, name, _scalar(field, value))


def _scalar(field: Field, value: Any) -> Any:
    if field.enum_type is None:
        return value
    number = _words(field.enum_type).get(value)
    if number is None:
        raise ValueError(f"{field.full_name}: {value!r} is none of {', '.join(_words(field.enum_type))}")
    return number


def _arm(descriptor: Descriptor, value: object) -> str:
    """Which field of a union takes the value."""
    wanted = "bool" if isinstance(value, bool) else type(value).__name__
    for field in descriptor.fields:
        if _PYTHON.get(field.cpp_type) == wanted:
            return str(field.name)
    raise ValueError(f"{descriptor.full_name} takes no {wanted} ({value!r})")


_PYTHON = {
    FieldDescriptor.CPPTYPE_BOOL: "bool",
    FieldDescriptor.CPPTYPE_STRING: "str",
    FieldDescriptor.CPPTYPE_INT64: "int",
    FieldDescriptor.CPPTYPE_DOUBLE: "float",
}


# --- descriptors -----------------------------------------------------------------------------------------------------


@cache
def _union(descriptor: Descriptor) -> str | None:
    """The name of the oneof that all of the message's fields are arms of."""
    if len(descriptor.oneofs) != 1 or len(descriptor.fields) < 2:
        return None
    (union,) = descriptor.oneofs
    return str(union.name) if len(union.fields) == len(descriptor.fields) else None


def _is_map(field: Field) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


@cache
def _words(enum: EnumDescriptor) -> dict[str, int]:
    """ "manual" of `TURN_DETECTION_MANUAL`, and so on: the zero value, X_UNSPECIFIED, names the prefix."""
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return {v.name.removeprefix(prefix).lower(): v.number for v in enum.values if v.number}
