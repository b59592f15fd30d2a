"""Where the programs of `up` listen and what each is told; ports are real."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from antiphon.up.brains import Brain
from antiphon.up.ports import is_free, next_free
from antiphon.up.programs import Layout, Place
from base.errors import Misconfigured

pytestmark = pytest.mark.integration


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def test_the_next_free_port_is_taken_and_said(taken: int) -> None:
    told: list[str] = []
    place = Place("page", "127.0.0.1", taken, told.append)
    port = place.port("")
    assert port > taken
    assert told == [f"port {taken} on 127.0.0.1 is taken; the page gets {port}"]


def test_a_free_port_is_taken_without_a_word(taken: int) -> None:
    free = next_free("127.0.0.1", taken)
    told: list[str] = []
    assert Place("page", "127.0.0.1", free, told.append).port("") == free
    assert told == []
    assert not is_free("127.0.0.1", taken)


def test_after_a_restart_the_port_stays() -> None:
    place = Place("page", "127.0.0.1", 0, print)
    assert place.port("") == 0
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    assert place.port(f"127.0.0.1:{free}") == free


def test_a_port_taken_in_the_meantime_is_worth_another_try(taken: int) -> None:
    place = Place("page", "127.0.0.1", taken, lambda _: None)
    port = place.port("")
    assert not place.excuse(78)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port))
        holder.listen()
        assert place.excuse(78)
        assert not place.excuse(1)


def test_an_address_that_is_not_ours_is_refused() -> None:
    with pytest.raises(Misconfigured, match=r"192\.0\.2\.1"):
        is_free("192.0.2.1", 0)


def test_everybody_is_told_of_the_registry_and_watches_its_parent(tmp_path: Path) -> None:
    config = tmp_path / "antiphon.toml"
    config.write_text("[tts_worker]\nport = 6000\n")
    layout = Layout(
        page=Place("page", "127.0.0.1", 0, print),
        registry=Place("registry", "127.0.0.1", 0, print),
        config=config,
        brain=Brain("http://x/v1", "m"),
        tts_workers=2,
        asr_workers=1,
    )
    programs = {p.service.name: p for p in layout.programs()}
    assert list(programs) == ["registry", "tts-worker", "tts-worker-2", "asr-worker", "orchestrator"]
    addresses = dict.fromkeys(programs, "") | {"registry": "127.0.0.1:7"}
    flags = {name: list(p.argv(addresses)) for name, p in programs.items()}
    for name, argv in flags.items():
        assert argv[:4] == [sys.executable, "-P", "-m", "antiphon"]
        assert {"--announce-ready", "--parent-watch", str(config)} <= set(argv)
        assert name == "registry" or argv[argv.index("--registry") + 1] == "127.0.0.1:7"
    assert "--port" not in flags["tts-worker"], "the file's own port holds"
    assert flags["tts-worker-2"][flags["tts-worker-2"].index("--port") + 1] == "0"
    assert flags["orchestrator"][-6:] == ["--responder", "openai", "--llm-url", "http://x/v1", "--llm-model", "m"]
    assert set(programs["orchestrator"].service.uses) == {"tts-worker", "tts-worker-2", "asr-worker"}


def test_who_answers_can_be_named_whatever_the_model() -> None:
    for brain in (Brain(), Brain("http://x/v1", "m")):
        layout = Layout(
            page=Place("page", "127.0.0.1", 0, print),
            registry=Place("registry", "127.0.0.1", 0, print),
            brain=brain,
            responder="parrot_responder:Parrot",
        )
        (orchestrator,) = [p for p in layout.programs() if p.service.name == "orchestrator"]
        argv = list(orchestrator.argv({"orchestrator": "", "registry": "127.0.0.1:7"}))
        assert argv[-2:] == ["--responder", "parrot_responder:Parrot"]
