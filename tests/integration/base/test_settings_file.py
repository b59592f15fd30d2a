"""Settings read from a real file."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest

from base.errors import Misconfigured
from base.settings import explain, load

pytestmark = pytest.mark.integration


class Shade(Enum):
    LIGHT = "light"
    DARK = "dark"


@dataclass(frozen=True, slots=True)
class Lamp:
    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(description="Port to listen on.", ge=0, le=65535)] = 50051
    warm_s: Annotated[float, msgspec.Meta(gt=0)] = 1.5
    bright: bool = False
    shade: Shade = Shade.LIGHT
    policy: Literal["block", "drop"] = "block"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "antiphon.toml"


def lamp(file: Path, flags: dict[str, object] | None = None, **env: str) -> Lamp:
    variables = {f"ANTIPHON_CHAT_{name.upper()}": value for name, value in env.items()}
    return load(Lamp, section="chat", file=file, flags=flags, env=variables)


def test_flags_beat_environment_beats_file_beats_default(file: Path) -> None:
    file.write_text("[chat]\nport = 1\nhost = 'file'\nwarm_s = 3\n")
    read = lamp(file, {"port": "3", "bright": None}, port="2", host="env")
    assert (read.port, read.host, read.warm_s, read.bright) == (3, "env", 3.0, False)
    sources = {v.row.name: v.source for v in explain(Lamp, section="chat", file=file, flags={"port": 3})}
    assert sources["port"] == "--port"
    assert sources["host"] == f"{file} [chat] host"
    assert sources["bright"] == "default"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[chat]\nprot = 1", ["'prot'", "[chat]", "'port'"]),
        ("[chta]\nport = 1", ["[chta]", "'chat'"]),
        ("port = 1", ["'port'", "outside any section"]),
        ("chat = 3", ["chat is 3", "[chat]"]),
        ("[chat]\nport = ", ["not TOML", "Invalid value"]),
        ("[chat]\nport = '1'", ["[chat] port", "'1'", "int", "whole number", "at most 65535", "Port to listen on"]),
        ("[chat]\nport = 70000", ["70000", "65535"]),
        ("[chat]\npolicy = 'explode'", ["'explode'", "block, drop"]),
        ("[chat]\nshade = 'pink'", ["'pink'", "light, dark"]),
    ],
)
def test_what_is_wrong_in_the_file_is_said(file: Path, content: str, said: list[str]) -> None:
    file.write_text(content)
    with pytest.raises(Misconfigured) as caught:
        lamp(file)
    for words in said:
        assert words in caught.value.message


def test_a_missing_file_is_said(file: Path) -> None:
    with pytest.raises(Misconfigured, match=r"cannot read .*antiphon\.toml"):
        lamp(file)


def test_another_sections_keys_are_not_ours(file: Path) -> None:
    file.write_text("[up]\nanything = 1\n[chat]\nport = 9\n")
    assert lamp(file).port == 9
