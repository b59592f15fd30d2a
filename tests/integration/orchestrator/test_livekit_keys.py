"""LiveKit's key and secret, from its file or the environment."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from base.address import is_loopback
from base.errors import Misconfigured
from orchestrator.livekit_keys import livekit_keys
from orchestrator.settings import OrchestratorSettings

pytestmark = pytest.mark.integration

SECRET = "s" * 32
PLAIN = OrchestratorSettings()


def at(file: Path, **settings: object) -> OrchestratorSettings:
    return dataclasses.replace(PLAIN, livekit_key_file=str(file), **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "content", [f"APIx: {SECRET}\n", f'\n# LiveKit\n"APIx":   "{SECRET}"\nother: {"t" * 32}', f"APIx:{SECRET}"]
)
def test_livekits_own_file(tmp_path: Path, content: str) -> None:
    file = tmp_path / "keys.yaml"
    file.write_text(content)
    assert livekit_keys(at(file), {"LIVEKIT_API_KEY": "not", "LIVEKIT_API_SECRET": "asked"}) == ("APIx", SECRET)
    assert livekit_keys(at(file, livekit_url=""), {}) is None


@pytest.mark.parametrize("content", ["", "# none\n", SECRET, f"a b: {SECRET}", "APIx:", f": {SECRET}"])
def test_a_file_of_the_wrong_shape_is_not_shown(tmp_path: Path, content: str) -> None:
    file = tmp_path / "keys.yaml"
    file.write_text(content)
    with pytest.raises(Misconfigured, match="KEY: SECRET") as wrong:
        livekit_keys(at(file), {})
    assert SECRET not in wrong.value.message
    with pytest.raises(Misconfigured, match="cannot be read"):
        livekit_keys(at(tmp_path / "nowhere"), {})


def test_the_environment() -> None:
    assert livekit_keys(PLAIN, {}) is None
    assert livekit_keys(PLAIN, {"LIVEKIT_API_KEY": "APIx", "LIVEKIT_API_SECRET": SECRET}) == ("APIx", SECRET)
    with pytest.raises(Misconfigured, match="without LIVEKIT_API_SECRET"):
        livekit_keys(PLAIN, {"LIVEKIT_API_KEY": "APIx"})
    with pytest.raises(Misconfigured, match="31 characters"):
        livekit_keys(PLAIN, {"LIVEKIT_API_KEY": "APIx", "LIVEKIT_API_SECRET": SECRET[1:]})


def test_the_pair_that_everybody_knows_is_for_loopback() -> None:
    known = {"LIVEKIT_API_KEY": "devkey", "LIVEKIT_API_SECRET": "secret"}
    assert livekit_keys(PLAIN, known) == ("devkey", "secret")
    for outside in (
        {"host": "0.0.0.0"},
        {"tls_host": "0.0.0.0"},
        {"livekit_url": "ws://livekit:7880"},
        {"livekit_public_url": "wss://talk.example"},
    ):
        with pytest.raises(Misconfigured, match="development pair") as wrong:
            livekit_keys(dataclasses.replace(PLAIN, **outside), known)  # type: ignore[arg-type]
        assert wrong.value.reason == "DEFAULT_SECRET"


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("127.8.9.1", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost.", True),
        ("x.localhost", False),
        ("0.0.0.0", False),
        ("", False),
        ("localhost.example", False),
        ("10.0.0.1", False),
    ],
)
def test_loopback(host: str, ours: bool) -> None:
    assert is_loopback(host) is ours
