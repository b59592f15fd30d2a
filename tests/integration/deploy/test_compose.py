"""docker-compose.yml as the Compose project's own loader reads it, with what an operator relies on."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from asr.settings import AsrWorkerSettings
from base import settings
from orchestrator.settings import OrchestratorSettings
from registry.settings import RegistrySettings
from tests.support.deployment import ROOT, compose, dockerfile, profile
from tts_workers.settings import TtsWorkerSettings

pytestmark = pytest.mark.integration

PROFILES = ("gpu", "monitoring", "multi-host", "tools")
OURS = {
    "registry": (RegistrySettings, "registry"),
    "tts-worker": (TtsWorkerSettings, "tts_worker"),
    "asr-worker": (AsrWorkerSettings, "asr_worker"),
    "asr-worker-gpu": (AsrWorkerSettings, "asr_worker"),
    "orchestrator": (OrchestratorSettings, "orchestrator"),
}
INSIDE_ONLY = {"registry", "tts-worker", "asr-worker", "asr-worker-gpu"}


@pytest.fixture
def model(tmp_path: Path) -> dict[str, Any]:
    return compose(tmp_path, "docker-compose.yml")


def test_profiles_are_the_ones_that_are_documented(model: dict[str, Any]) -> None:
    assert set(profile(model)) == {"caddy", "livekit", "registry", "tts-worker", "asr-worker", "orchestrator"}
    named = {name for service in model["services"].values() for name in service.get("profiles", ())}
    assert named == set(PROFILES)
    assert set(profile(model, "multi-host")) - set(profile(model)) == {"redis"}
    assert set(profile(model, "monitoring")) - set(profile(model)) == {"prometheus", "grafana"}


@pytest.mark.parametrize("names", [(), *((name,) for name in PROFILES), PROFILES])
def test_a_profile_is_complete_and_its_ports_do_not_clash(model: dict[str, Any], names: tuple[str, ...]) -> None:
    services = profile(model, *names)
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in services, f"{name} needs {needed}, which does not start with it"
            # Without LiveKit there is still the WebSocket: nobody waits for its health.
            wanted = "service_started" if needed == "livekit" else "service_healthy"
            assert how["condition"] == wanted, f"{name} -> {needed}"
            assert "healthcheck" in services[needed]
    taken = Counter(
        (port["published"], port["protocol"]) for service in services.values() for port in service.get("ports", ())
    )
    assert not [port for port, count in taken.items() if count > 1]


def test_only_the_front_doors_are_published(model: dict[str, Any]) -> None:
    world = {
        (name, port["published"], port["protocol"])
        for name, service in model["services"].items()
        for port in service.get("ports", ())
        if port.get("host_ip") != "127.0.0.1"
    }
    assert world == {
        ("caddy", "80", "tcp"),
        ("caddy", "443", "tcp"),
        ("caddy", "443", "udp"),
        ("livekit", "7881", "tcp"),
        ("livekit", "7882", "udp"),
    }


def test_registry_and_workers_have_no_way_out(model: dict[str, Any]) -> None:
    assert model["networks"]["inside"]["internal"] is True
    for name in INSIDE_ONLY:
        assert set(model["services"][name]["networks"]) == {"inside"}
        assert not model["services"][name].get("ports")


def test_every_service_is_hardened_and_says_how_it_is(model: dict[str, Any]) -> None:
    for name, service in model["services"].items():
        user = str(service["user"]).split(":")[0]
        assert user.isdigit(), name
        assert int(user) > 0, name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "caddy" else []), name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert not service.get("privileged"), name
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}, name
        if service.get("profiles") != ["tools"]:
            assert service["restart"] == "unless-stopped", name
            assert service["healthcheck"]["test"][0] == "CMD", name
            assert service["healthcheck"]["interval"], name


def test_every_image_is_pinned(model: dict[str, Any]) -> None:
    for name, service in model["services"].items():
        _, _, tag = service["image"].rpartition(":")
        assert re.fullmatch(r"v?\d+\.\d+\.\d+(-alpine)?", tag), f"{name}: {service['image']}"
    for name, target in dockerfile().items():
        assert re.search(r":v?\d+\.\d+\.\d+(-|$)", target.base), f"{name}: {target.base}"


def test_secrets_are_files_and_who_has_one_names_it(model: dict[str, Any]) -> None:
    for name, secret in model["secrets"].items():
        assert Path(secret["file"]).relative_to(ROOT / "deploy" / "secrets") == Path(name)
    for name, service in model["services"].items():
        words = json.dumps([service.get("environment"), service.get("command")])
        for secret in service.get("secrets", ()):
            assert f"/run/secrets/{secret['source']}" in words, f"{name} does not use {secret['source']}"
        named = set(re.findall(r"/run/secrets/([\w-]+)", words))
        assert named == {secret["source"] for secret in service.get("secrets", ())}, name
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {"/.env", "/deploy/secrets/", "/deploy/keys/", "/deploy/antiphon.toml"} <= set(ignored)


def test_every_variable_is_a_setting_and_every_mounted_file_is_here(model: dict[str, Any]) -> None:
    for name, (type_, section) in OURS.items():
        environment = model["services"][name]["environment"]
        known = {row.env for row in settings.describe(type_, section)} | {
            "ANTIPHON_CONFIG",
            "ANTIPHON_WORKER_TOKEN_FILE",
        }
        assert set(environment) <= known, f"{name}: {set(environment) - known}"
    made = {"antiphon.toml", "keys"}  # by deploy/init
    for name, service in model["services"].items():
        for volume in service.get("volumes", ()):
            if volume["type"] == "bind" and Path(volume["source"]).name not in made:
                assert Path(volume["source"]).exists(), f"{name}: {volume['source']}"
                assert volume["read_only"] is True, f"{name}: {volume['source']}"


def test_a_stop_waits_longer_than_the_service_drains(model: dict[str, Any]) -> None:
    for name, (type_, _) in OURS.items():
        seconds = int(re.fullmatch(r"(\d+)s", model["services"][name]["stop_grace_period"])[1])  # type: ignore[index]
        assert seconds > type_().drain_s + 5, name  # type: ignore[operator]


def test_the_card_is_asked_for_by_the_profile_alone(model: dict[str, Any]) -> None:
    wants = {
        name: service["deploy"]["resources"]["reservations"]["devices"]
        for name, service in model["services"].items()
        if "resources" in service.get("deploy", {})
    }
    assert set(wants) == {"asr-worker-gpu"}
    assert wants["asr-worker-gpu"][0]["capabilities"] == ["gpu"]


def test_images_are_targets_and_listen_where_they_say(model: dict[str, Any]) -> None:
    stages = dockerfile()
    for name, service in model["services"].items():
        if "build" not in service:
            continue
        stage = stages[service["build"]["target"]]
        assert stage.user.split(":")[0] not in ("", "0", "root"), name
        ports = {v for k, v in service.get("environment", {}).items() if k.endswith("_PORT")}
        if name in OURS:
            assert ports <= set(stage.ports), f"{name}: {ports}, {stage.ports}"


def test_a_language_model_on_the_host_has_a_name(model: dict[str, Any]) -> None:
    assert "host.docker.internal:host-gateway" in model["services"]["orchestrator"]["extra_hosts"]


def test_a_site_has_its_name_and_its_user(tmp_path: Path) -> None:
    model = compose(tmp_path, "docker-compose.yml", ANTIPHON_DOMAIN="talk.example", ANTIPHON_UID="1234")
    services = model["services"]
    assert services["caddy"]["environment"]["ANTIPHON_DOMAIN"] == "talk.example"
    assert "talk.example" in services["orchestrator"]["environment"]["ANTIPHON_ORCHESTRATOR_ALLOWED_HOSTS"]
    assert services["registry"]["user"].startswith("1234:")
    assert services["registry"]["build"]["args"]["UID"] in (1234, "1234")


def test_turn_comes_on_top(tmp_path: Path) -> None:
    files = ("docker-compose.yml", "deploy/compose.turn.yml")
    model = compose(tmp_path, *files, ANTIPHON_TURN_DOMAIN="turn.example")
    livekit = model["services"]["livekit"]
    assert livekit["environment"]["LIVEKIT_TURN_DOMAIN"] == "turn.example"
    assert livekit["environment"]["LIVEKIT_TURN_CERT"].endswith("/turn.example/turn.example.crt")
    assert livekit["environment"]["LIVEKIT_RTC_USE_EXTERNAL_IP"] == "true"
    published = {(port["published"], port["protocol"]) for port in livekit["ports"]}
    assert published == {("7881", "tcp"), ("7882", "udp"), ("5349", "tcp"), ("3478", "udp")}
    taken = Counter(
        (port["published"], port["protocol"]) for s in model["services"].values() for port in s.get("ports", ())
    )
    assert max(taken.values()) == 1
    allowed = (ROOT / "deploy" / "livekit-turn.yaml").read_text()
    assert f"{livekit['networks']['edge']['ipv4_address']}/32" in allowed
