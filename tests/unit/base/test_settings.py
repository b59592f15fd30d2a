from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import Misconfigured
from base.settings import describe, load, nested, unknown_variables

pytestmark = pytest.mark.unit


class Shade(Enum):
    LIGHT = "light"
    DARK = "dark"


@dataclass(frozen=True, slots=True)
class Lamp:
    host: Annotated[str, msgspec.Meta(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(description="Port to listen on.", ge=0, le=65535)] = 50051
    warm_s: Annotated[float, msgspec.Meta(description="Seconds to warm up.", gt=0)] = 1.5
    bright: Annotated[bool, msgspec.Meta(description="Burn brightly.")] = False
    shade: Annotated[Shade, msgspec.Meta(description="Its shade.")] = Shade.LIGHT
    policy: Annotated[Literal["block", "drop"], msgspec.Meta(description="When full.")] = "block"
    rooms: Annotated[tuple[str, ...], msgspec.Meta(description="Where it stands.")] = ()
    sizes: Annotated[tuple[int, ...], msgspec.Meta(description="Sizes.")] = (1, 2)
    data: Annotated[Path | None, msgspec.Meta(description="Where files are.")] = None
    limit: Annotated[int | None, msgspec.Meta(description="A limit.")] = None
    options: Annotated[dict[str, int], msgspec.Meta(description="More.")] = field(default_factory=dict)
    key: Annotated[str, msgspec.Meta(description="Its key.", extra={"secret": True})] = ""

    def __post_init__(self) -> None:
        if self.bright and self.shade is Shade.DARK:
            raise ValueError("a dark lamp cannot be bright")


def lamp(flags: dict[str, object] | None = None, **env: str) -> Lamp:
    variables = {f"ANTIPHON_CHAT_{name.upper()}": value for name, value in env.items()}
    return load(Lamp, section="chat", flags=flags, env=variables)


def test_defaults() -> None:
    assert load(Lamp, section="chat") == Lamp()


def test_a_flag_beats_the_environment_and_none_is_not_given() -> None:
    read = lamp({"port": "3", "host": None}, port="2", host="env")
    assert (read.port, read.host, read.warm_s) == (3, "env", 1.5)


def test_environment_strings_take_the_field_types() -> None:
    read = lamp(
        warm_s="0.25",
        bright="yes",
        policy="drop",
        rooms="hall, attic,",
        sizes="[3, 4]",
        data="a/b",
        limit="7",
        options='{"a": 1}',
    )
    assert read == dataclasses.replace(
        Lamp(),
        warm_s=0.25,
        bright=True,
        policy="drop",
        rooms=("hall", "attic"),
        sizes=(3, 4),
        data=Path("a/b"),
        limit=7,
        options={"a": 1},
    )
    assert lamp(sizes="5,6").sizes == (5, 6)
    assert lamp(shade="dark").shade is Shade.DARK


def test_an_empty_variable_is_unset_but_for_text_and_lists() -> None:
    read = lamp(port="", host="", sizes="", limit=" ")
    assert (read.port, read.host, read.sizes, read.limit) == (50051, "", (), None)


def test_text_stays_text_whatever_it_looks_like() -> None:
    assert lamp(key="null").key == "null"
    assert lamp(host="7").host == "7"


def test_a_bad_variable_or_flag_is_named_with_its_value() -> None:
    with pytest.raises(Misconfigured, match=r"ANTIPHON_CHAT_WARM_S is '0'.*a number, above 0"):
        lamp(warm_s="0")
    with pytest.raises(Misconfigured, match=r"--port is 'x'"):
        lamp(flags={"port": "x"})
    with pytest.raises(Misconfigured, match=r"--prot .*'port'"):
        lamp(flags={"prot": "x"})
    with pytest.raises(Misconfigured, match=r"ANTIPHON_CHAT_OPTIONS is '\{'.*not JSON"):
        lamp(options="{")


def test_what_the_class_itself_refuses_is_misconfigured() -> None:
    with pytest.raises(Misconfigured, match="a dark lamp cannot be bright"):
        lamp(shade="dark", bright="true")


def test_a_secret_is_never_shown() -> None:
    @dataclass(frozen=True, slots=True)
    class Safe:
        pin: Annotated[int, msgspec.Meta(extra={"secret": True})] = 0

    with pytest.raises(Misconfigured) as caught:
        load(Safe, section="chat", env={"ANTIPHON_CHAT_PIN": "hunter2"})
    assert "hunter2" not in caught.value.message


@dataclass(frozen=True, slots=True)
class Needy:
    name: Annotated[str, msgspec.Meta(description="Its name.")]


def test_a_required_setting_says_how_to_set_it() -> None:
    with pytest.raises(Misconfigured, match=r"--name, ANTIPHON_UP_NAME or name in \[up\]"):
        load(Needy, section="up")
    assert describe(Needy, "up")[0].default == "(required)"


@dataclass(frozen=True, slots=True)
class Bulb:
    name: Annotated[str, msgspec.Meta(min_length=1)]
    watts: int = 40


@dataclass(frozen=True, slots=True)
class Chandelier:
    bulbs: Annotated[tuple[Bulb, ...], msgspec.Meta(description="Its bulbs.")] = ()
    spare: Bulb | None = None


def test_tables_in_a_setting() -> None:
    def read(**env: str) -> Chandelier:
        return load(Chandelier, section="chat", env={f"ANTIPHON_CHAT_{k.upper()}": v for k, v in env.items()})

    assert nested(Chandelier) == {"bulbs": Bulb, "spare": Bulb}
    assert describe(Chandelier, "chat")[0].type == "a list of tables"
    assert read(bulbs='[{"name": "a"}, {"name": "b", "watts": 60}]').bulbs == (Bulb("a"), Bulb("b", 60))
    assert read(spare='{"name": "a"}').spare == Bulb("a")
    for bad, said in (
        ('[{"name": "a", "wats": 1}]', r"ANTIPHON_CHAT_BULBS: unknown key 'wats'; did you mean 'watts'"),
        ('[{"watts": 1}]', "missing required field `name`"),
        ('[{"name": ""}]', "length >= 1"),
        ("a,b", "expected|Expected"),
    ):
        with pytest.raises(Misconfigured, match=said):
            read(bulbs=bad)


def test_describe_lists_every_field() -> None:
    rows = {row.name: row for row in describe(Lamp, "tts_worker")}
    assert list(rows) == [f.name for f in dataclasses.fields(Lamp)]
    assert rows["port"].env == "ANTIPHON_TTS_WORKER_PORT"
    assert rows["warm_s"].flag == "--warm-s"
    assert rows["port"].type == "a whole number, at least 0, at most 65535"
    assert rows["rooms"].type == "a list of text"
    assert rows["limit"].type == "a whole number, or nothing"
    assert (rows["host"].default, rows["sizes"].default, rows["shade"].default) == ('"127.0.0.1"', "[1, 2]", '"light"')
    assert (rows["data"].default, rows["bright"].default) == ("(none)", "false")
    assert rows["bright"].is_bool
    assert rows["key"].secret
    assert rows["host"].description == "Address to listen on."


def test_variables_that_set_nothing_are_listed() -> None:
    env = {"ANTIPHON_CHAT_PROT": "1", "ANTIPHON_CHAT_PORT": "1", "ANTIPHON_UP_X": "1"}
    assert unknown_variables(Lamp, "chat", env) == ["ANTIPHON_CHAT_PROT"]


@given(
    st.integers(0, 65535), st.floats(0.001, 1e6), st.booleans(), st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True))
)
def test_what_is_written_is_what_is_read(port: int, warm_s: float, bright: bool, rooms: list[str]) -> None:
    read = lamp(port=str(port), warm_s=repr(warm_s), bright=str(bright), rooms=",".join(rooms))
    assert (read.port, read.warm_s, read.bright, read.rooms) == (port, warm_s, bright, tuple(rooms))
