"""docs/protocol.md and its schema say what the messages are: all of them, field by field."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from base import errors
from base.audio import SAMPLE_RATES
from orchestrator import messages
from orchestrator.messages import (
    Audio,
    ClientMessage,
    CloseCode,
    ServerMessage,
    pack_audio,
    parse_client,
    server_decoder,
)

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
DOC = (ROOT / "docs" / "protocol.md").read_text()


def sections() -> dict[str, str]:
    """Heading of level 3 to its text; a heading may name several messages."""
    parts = re.split(r"^### (.+)$", DOC, flags=re.MULTILINE)
    return {h: re.split(r"^## ", t, flags=re.MULTILINE)[0] for h, t in zip(parts[1::2], parts[2::2], strict=True)}


@pytest.mark.parametrize("kind", [*get_args(ClientMessage), *get_args(ServerMessage)], ids=lambda k: k.__name__)
def test_every_message_and_field_is_described(kind: Any) -> None:
    tag = kind.__struct_config__.tag
    found = [text for heading, text in sections().items() if f"`{tag}`" in heading]
    assert found, f"no section about {tag}"
    for field in msgspec.structs.fields(kind):
        assert any(f"`{field.name}`" in text for text in found), f"{tag}.{field.name} is not described"


def test_the_byte_example_is_right() -> None:
    packed = pack_audio(Audio(7, 960, (513).to_bytes(2, "little") + (-2).to_bytes(2, "little", signed=True)))
    example = re.search(r"^01 00 00 00 .*$", DOC, flags=re.MULTILINE)
    assert example is not None
    assert bytes.fromhex(example.group().replace(" ", "")) == packed


def test_rates_close_codes_and_error_codes_are_all_listed() -> None:
    assert ", ".join(map(str, SAMPLE_RATES)) in DOC
    for code in CloseCode:
        assert f"| {code.value} |" in DOC, code
    tree = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.AntiphonError)]
    for error in tree:
        assert f"`{error.code}`" in DOC, error
    assert f"is **{messages.PROTOCOL}**" in DOC


def test_the_transcript_s_messages_are_valid() -> None:
    text = re.sub(r"\n   +", "", DOC.split("## A conversation", 1)[1])
    lines = re.findall(r"^([→←]) (\{.*?\})(?= |$)", text, flags=re.MULTILINE)
    assert len(lines) > 20
    for direction, message in lines:
        if "…]" in message:
            message = message.replace(",…]", "]")
        if direction == "→":
            parse_client(message)
        else:
            server_decoder.decode(message)


def test_the_schema_is_current() -> None:
    spec = importlib.util.spec_from_file_location("gen_schema", ROOT / "scripts" / "gen_schema.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.TARGET.read_text() == module.text(), "run scripts/gen_schema.py"
