"""Typed settings from flags, environment, file and defaults, in that order of precedence.

A service has one frozen dataclass whose fields are `Annotated[type, msgspec.Meta(description=…, ge=…)]` with defaults.
`load` fills it; `describe` lists it, for documentation and command line options; `explain` says where each value came
from. A value that must not be shown is marked `Meta(extra={"secret": True})`; what its type cannot tell is told by a
function, `Meta(extra={"check": …})`, which raises ValueError or one of ours.

The file is TOML with a table per section. The variable of a field is ANTIPHON_<SECTION>_<FIELD>; a list is written
with commas, a table as JSON, and an empty variable counts as not set unless the field is text or a list. The caller
passes the environment: nothing here reads it by itself.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import tomllib
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, cast

import msgspec

from base.errors import AntiphonError, Misconfigured

T = TypeVar("T")

SECTIONS = ("up", "registry", "orchestrator", "tts_worker", "asr_worker", "chat")
"""The tables that the configuration file may have."""

_LISTS = (list, tuple, set, frozenset)
_TYPE_WORDS: dict[type, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    Path: "a path",
}
_BOOLS = {"yes": "true", "on": "true", "no": "false", "off": "false"}


@dataclass(frozen=True, slots=True)
class Row:
    """One setting as documentation and the command line show it. `type` and `default` are words for people."""

    name: str
    type: str
    default: str
    env: str
    flag: str
    description: str
    is_bool: bool
    secret: bool


@dataclass(frozen=True, slots=True)
class Value:
    """What a setting came to, and from where: "default", a variable, a flag, or a place in the file."""

    row: Row
    value: object
    source: str


@dataclass(frozen=True, slots=True)
class _Given:
    value: object
    source: str
    lenient: bool


def load(
    type_: type[T],
    *,
    section: str,
    file: Path | None = None,
    env: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> T:
    """The settings of one section. A flag that is None was not given.

    Raises `Misconfigured`, which names the source, the value and what would be right.
    """
    values = {v.row.name: v.value for v in explain(type_, section=section, file=file, env=env, flags=flags)}
    return _build(type_, section, values)


def explain(
    type_: type[T],
    *,
    section: str,
    file: Path | None = None,
    env: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> list[Value]:
    """Each setting with its value and its source; raises as `load` does."""
    hints = _hints(type_)
    table = read_section(file, section, hints) if file is not None else {}
    unknown = [name for name in flags or () if name not in hints]
    if unknown:
        raise Misconfigured(f"flag {_flag(unknown[0])} is not a setting of {section}{_meant(unknown[0], hints)}")
    values = []
    for row, field in zip(describe(type_, section), _fields(type_), strict=True):
        given = _find(row, hints[row.name], section, file, table, env or {}, flags or {})
        if given is None:
            values.append(Value(row, _default(row, field, section), "default"))
        else:
            values.append(Value(row, _convert(given, hints[row.name], row), given.source))
    return values


def describe(type_: type[Any], section: str) -> list[Row]:
    """Every setting of `type_`, in the order of its fields."""
    hints = _hints(type_)
    rows = []
    for field in _fields(type_):
        bare, metas = _unwrap(hints[field.name])
        secret = any((m.extra or {}).get("secret") for m in metas)
        description = next((m.description for m in metas if m.description), "")
        rows.append(
            Row(
                name=field.name,
                type=_type_words(bare, metas),
                default=_default_words(field),
                env=variable(section, field.name),
                flag=_flag(field.name),
                description=description,
                is_bool=_present(bare) is bool,
                secret=secret,
            )
        )
    return rows


def nested(type_: type[Any]) -> dict[str, type[Any]]:
    """The settings that are tables, or lists of tables, with fields of their own, and the class of those."""
    found = {name: _table_of(hint) for name, hint in _hints(type_).items()}
    return {name: inner for name, inner in found.items() if inner is not None}


def variable(section: str, name: str) -> str:
    """The environment variable of a setting."""
    return f"ANTIPHON_{section}_{name}".upper()


def unknown_variables(
    type_: type[Any], section: str, env: Mapping[str, str], *, known: Collection[str] = ()
) -> list[str]:
    """Variables that look like this section's and set nothing: a warning, as others may own them (Kubernetes does).

    `known`: those of flags that are no settings.
    """
    known = {*known, *(row.env for row in describe(type_, section))}
    return sorted(name for name in env if name.startswith(variable(section, "")) and name not in known)


def read_section(file: Path, section: str, known: Collection[str]) -> dict[str, object]:
    """One table of the file; empty where it is missing. A table or key that nobody knows is refused."""
    try:
        with file.open("rb") as opened:
            content = tomllib.load(opened)
    except OSError as error:
        raise Misconfigured(f"cannot read the configuration file {file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Misconfigured(f"the configuration file {file} is not TOML: {error}") from error
    for name, value in content.items():
        if name not in SECTIONS:
            what = f"section [{name}]" if isinstance(value, dict) else f"key {name!r} outside any section"
            raise Misconfigured(
                f"{file}: unknown {what}{_meant(name, SECTIONS)}; sections are {', '.join(SECTIONS)}",
                reason="UNKNOWN_SETTING",
            )
    table = content.get(section, {})
    if not isinstance(table, dict):
        raise Misconfigured(f"{file}: {section} is {table!r}; write a table, [{section}]")
    for key in table:
        if key not in known:
            raise Misconfigured(
                f"{file}: unknown key {key!r} in [{section}]{_meant(key, known)}", reason="UNKNOWN_SETTING"
            )
    return table


# --- finding and converting ------------------------------------------------------------------------------------------


def _find(
    row: Row,
    hint: object,
    section: str,
    file: Path | None,
    table: Mapping[str, object],
    env: Mapping[str, str],
    flags: Mapping[str, object],
) -> _Given | None:
    if (flag := flags.get(row.name)) is not None:
        return _Given(_from_text(flag, hint, row.flag, row) if isinstance(flag, str) else flag, row.flag, True)
    if (text := env.get(row.env)) is not None and (text.strip() or _takes_empty(hint)):
        return _Given(_from_text(text, hint, row.env, row), row.env, True)
    if row.name in table:
        return _Given(table[row.name], f"{file} [{section}] {row.name}", False)
    return None


def _from_text(text: str, hint: object, source: str, row: Row) -> object:
    """What a string from a variable or flag stands for, before its type is checked."""
    bare = _present(_unwrap(hint)[0])
    kind = typing.get_origin(bare) or bare
    if kind is bool:
        return _BOOLS.get(text.strip().lower(), text.strip().lower())
    if kind is str or bare is Path:
        return text
    if kind in _LISTS and not text.lstrip().startswith("["):
        return [piece.strip() for piece in text.split(",") if piece.strip()]
    if kind in _LISTS or _is_table(kind):
        try:
            return json.loads(text)
        except ValueError as error:
            shown = "(hidden)" if row.secret else repr(text)
            raise Misconfigured(f"{source} is {shown}, which is not JSON ({error})") from error
    return text.strip()


def _convert(given: _Given, hint: object, row: Row) -> object:
    inner = _table_of(hint)
    if inner is not None:
        _check_keys(given, inner)
    try:
        value: object = msgspec.convert(given.value, type=hint, strict=not given.lenient, dec_hook=_decode_other)
        for meta in _unwrap(hint)[1]:
            if check := (meta.extra or {}).get("check"):
                check(value)
        return value
    except (msgspec.ValidationError, AntiphonError, ValueError, TypeError) as error:
        shown = "(hidden)" if row.secret else repr(given.value)
        why = "" if row.secret else f" ({error})"
        about = f": {row.description}" if row.description else ""
        raise Misconfigured(
            f"{given.source} is {shown}{why}; it takes {row.type}{about}", reason="BAD_SETTING"
        ) from error


def _check_keys(given: _Given, type_: type[Any]) -> None:
    """Unknown keys of a table, or of tables in a list; whatever else is wrong with it is found later."""
    known = _hints(type_)
    for table in given.value if isinstance(given.value, list) else [given.value]:
        for key in table if isinstance(table, dict) else ():
            if key not in known:
                raise Misconfigured(
                    f"{given.source}: unknown key {key!r}{_meant(str(key), known)}", reason="UNKNOWN_SETTING"
                )


def _decode_other(type_: type[Any], value: Any) -> Any:
    if type_ is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError(f"a setting of type {type_}")


def _build(type_: type[T], section: str, values: dict[str, object]) -> T:
    try:
        return type_(**values)
    except Misconfigured:
        raise
    except (AntiphonError, ValueError) as error:
        raise Misconfigured(f"settings of {section}: {error}", reason="BAD_SETTING") from error


def _default(row: Row, field: dataclasses.Field[Any], section: str) -> object:
    if field.default is not dataclasses.MISSING:
        return cast(object, field.default)
    if field.default_factory is not dataclasses.MISSING:
        factory = cast("Callable[[], object]", field.default_factory)
        return factory()
    raise Misconfigured(
        f"{section} needs {row.name}: set it with {row.flag}, {row.env} or {row.name} in [{section}]",
        reason="MISSING_SETTING",
    )


# --- types as people read them ---------------------------------------------------------------------------------------


def _fields(type_: type[Any]) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(type_)


def _hints(type_: type[Any]) -> dict[str, object]:
    return typing.get_type_hints(type_, include_extras=True)


def _unwrap(hint: object) -> tuple[object, list[msgspec.Meta]]:
    """The type without `Annotated`, and the Metas that were on it."""
    metas = []
    while typing.get_origin(hint) is Annotated:
        metas += [m for m in typing.get_args(hint)[1:] if isinstance(m, msgspec.Meta)]
        hint = typing.get_args(hint)[0]
    return hint, metas


def _present(bare: object) -> object:
    """X of `X | None`; every other type as it is."""
    if typing.get_origin(bare) in (Union, types.UnionType):
        rest = [a for a in typing.get_args(bare) if a is not type(None)]
        if len(rest) == 1:
            return _unwrap(rest[0])[0]
    return bare


def _is_table(kind: object) -> bool:
    return kind in (dict, Mapping) or (isinstance(kind, type) and dataclasses.is_dataclass(kind))


def _table_of(hint: object) -> type[Any] | None:
    """The dataclass of a setting that is a table of its own, or a list of such tables."""
    bare = _present(_unwrap(hint)[0])
    if typing.get_origin(bare) in _LISTS:
        bare = _unwrap(next(iter(typing.get_args(bare)), None))[0]
    return bare if isinstance(bare, type) and dataclasses.is_dataclass(bare) else None


def _takes_empty(hint: object) -> bool:
    bare = _present(_unwrap(hint)[0])
    return bare is str or typing.get_origin(bare) in _LISTS


def _type_words(bare: object, metas: Iterable[msgspec.Meta] = ()) -> str:
    origin, arguments = typing.get_origin(bare), typing.get_args(bare)
    if origin in (Union, types.UnionType):
        words = [_type_words(*_unwrap(a)) for a in arguments if a is not type(None)]
        base = " or ".join(words) + (", or nothing" if type(None) in arguments else "")
    elif origin is Literal:
        base = "one of " + ", ".join(map(str, arguments))
    elif isinstance(bare, type) and issubclass(bare, Enum):
        base = "one of " + ", ".join(str(member.value) for member in bare)
    elif origin in _LISTS:
        inner = [a for a in arguments if a is not Ellipsis]
        item = _type_words(*_unwrap(inner[0])) if inner else ""
        base = f"a list of {'tables' if item == 'a table' else item}" if inner else "a list"
    elif _is_table(origin or bare):
        base = "a table"
    else:
        names: dict[type, str] = {
            int: "a whole number",
            float: "a number",
            bool: "true or false",
            str: "text",
            Path: "a path",
        }
        base = names.get(cast(type, bare), getattr(bare, "__name__", str(bare)))
    limits: list[str] = []
    for meta in metas:
        limits += [f"at least {meta.ge}"] if meta.ge is not None else []
        limits += [f"above {meta.gt}"] if meta.gt is not None else []
        limits += [f"at most {meta.le}"] if meta.le is not None else []
        limits += [f"below {meta.lt}"] if meta.lt is not None else []
    return ", ".join([base, *limits])


def _default_words(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        value = field.default
    elif field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    else:
        return "(required)"
    if value is None:
        return "(none)"
    return json.dumps(msgspec.to_builtins(value, enc_hook=str), ensure_ascii=False)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _meant(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name.replace("-", "_"), list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
