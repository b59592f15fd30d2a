"""The documentation says what the code does: every setting, every call and arm, and examples that parse."""

from __future__ import annotations

import importlib.util
import json
import re
import types
from pathlib import Path

import pytest
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_health.v1 import health_pb2

from antiphon.sections import sections
from base.settings import SECTIONS, describe, nested
from pb.antiphon.v1 import conversation_pb2, recognition_pb2, registry_pb2, synthesis_pb2

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
GRPC = (ROOT / "docs" / "grpc.md").read_text(encoding="utf-8")
PROTOS = (conversation_pb2, synthesis_pb2, recognition_pb2, registry_pb2)


def script(name: str) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_configuration_page_is_current() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert page == script("gen_config_docs").generate(), "run: python scripts/gen_config_docs.py"


def test_every_section_has_its_settings_and_every_setting_a_description() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert set(sections()) == set(SECTIONS)
    for section, type_ in sections().items():
        for each in (type_, *nested(type_).values()):
            for row in describe(each, section):
                assert row.description, f"[{section}] {row.name} has no description"
                assert f"| `{row.name}` |" in page


def test_every_call_and_every_arm_of_a_stream_is_told_of() -> None:
    for module in PROTOS:
        for service in module.DESCRIPTOR.services_by_name.values():
            assert service.full_name in GRPC
            for method in service.methods:
                if method.name not in ("Register", "List"):
                    assert f"`{method.name}" in GRPC, method.full_name
        for message in module.DESCRIPTOR.message_types_by_name.values():
            for arms in message.oneofs:
                for arm in arms.fields:
                    if not arms.name.startswith("_"):
                        assert arm.name in GRPC, arm.full_name


@pytest.mark.parametrize("page", ["responders.md", "conversation.md", "protocol.md", "cli.md", "grpc.md"])
def test_modules_that_are_pointed_to_are_there(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    for path in re.findall(
        r"`((?:src/)?(?:base|registry|worker|asr|tts_workers|orchestrator|antiphon)/[\w/]+\.py)`", text
    ):
        assert (ROOT / "src" / path.removeprefix("src/")).is_file(), f"{page} points to {path}"


def examples() -> list[tuple[str, str, list[dict[str, object]]]]:
    """Service, method and messages of each grpcurl example that names a method."""
    shell = "\n".join(re.findall(r"```sh\n(.*?)```", GRPC, flags=re.DOTALL))
    found = []
    pattern = r"grpcurl -plaintext(?: -d '(?P<data>[^']*)')? [\d.:]+ (?P<service>[\w.]+)/(?P<method>\w+)"
    for match in re.finditer(pattern, shell):
        decoder, text, messages = json.JSONDecoder(), (match["data"] or "").strip(), []
        while text:
            value, end = decoder.raw_decode(text)
            messages.append(value)
            text = text[end:].strip()
        found.append((match["service"], match["method"], messages))
    return found


def test_the_grpcurl_examples_are_messages_of_their_methods() -> None:
    assert health_pb2.DESCRIPTOR.package == "grpc.health.v1"
    assert len(examples()) >= 6
    for service, method, messages in examples():
        described = descriptor_pool.Default().FindServiceByName(service).methods_by_name[method]
        request = message_factory.GetMessageClass(described.input_type)
        for message in messages:
            json_format.ParseDict(message, request())
