"""What is deployed, as others read it: docker-compose.yml by the Compose project's own loader, the Dockerfile, Caddy.

No Docker engine is needed: the loader is a program of its own, `go install github.com/compose-spec/compose-go/v2/cmd`,
which `ANTIPHON_COMPOSE` names, or which CI builds and keeps (`BUILT`).
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMPOSE_GO = "2.16.2"
BUILT = Path(f"~/.cache/antiphon/compose-go-{COMPOSE_GO}/cmd")
LIMIT_S = 60.0


PACKAGE = "github.com/compose-spec/compose-go/v2/cmd"


def missing(reason: str) -> NoReturn:
    """Skips the test; in CI on Linux, where deployments are, that is a failure."""
    if os.environ.get("CI") and sys.platform == "linux":
        pytest.fail(reason)
    pytest.skip(reason)


def loader() -> Path:
    named = os.environ.get("ANTIPHON_COMPOSE")
    found = Path(named) if named else BUILT.expanduser()
    if not found.exists():
        missing(f"the Compose loader is missing: GOBIN={found.parent} go install {PACKAGE}@v{COMPOSE_GO}")
    return found


def caddy() -> Path:
    found = os.environ.get("ANTIPHON_CADDY") or shutil.which("caddy")
    return Path(found) if found else missing("caddy is missing (apt install caddy)")


def compose(tmp_path: Path, *files: str, **env: str) -> dict[str, Any]:
    """The model that the loader makes of the files (relative to the root), with `env` as .env would have it.

    This loader substitutes defaults only, so that the variables that are given are substituted before.
    """
    written = []
    for number, name in enumerate(files):
        text = (ROOT / name).read_text(encoding="utf-8")
        for variable, value in env.items():
            text = re.sub(rf"\$\{{{variable}(?:[:?-][^}}]*)?\}}", lambda _, v=value: v, text)
        path = tmp_path / f"{number}-{Path(name).name}"
        path.write_text(text, encoding="utf-8")
        written.append(str(path))
    done = subprocess.run(
        [str(loader()), "-format", "json", *written], cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S
    )
    assert done.returncode == 0, done.stderr
    model: dict[str, Any] = json.loads(done.stdout)
    for service in model["services"].values():
        # Of files that were merged, it leaves a list.
        if isinstance(variables := service.get("environment"), list):
            service["environment"] = dict(entry.split("=", 1) for entry in variables)
    return model


def profile(model: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The services that `docker compose --profile NAME … up` starts."""
    services: dict[str, Any] = model["services"]
    return {k: s for k, s in services.items() if not s.get("profiles") or set(s["profiles"]) & set(names)}


# --- the Dockerfile --------------------------------------------------------------------------------------------------


@dataclass
class Target:
    """One stage, with what it has from those that it is built on."""

    base: str
    """The image that it begins with."""
    env: dict[str, str] = field(default_factory=dict)
    user: str = ""
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    ports: list[str] = field(default_factory=list)
    copies: list[list[str]] = field(default_factory=list)
    """Words of each COPY; of those from other stages, with --from."""
    workdir: str = ""


def dockerfile() -> dict[str, Target]:
    """By name. Reads what this Dockerfile uses, and fails on what it does not know."""
    text = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    arguments: dict[str, str] = {}
    stages: dict[str, Target] = {}
    current: Target | None = None
    for line in re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines():
        if not line.strip():
            continue
        word, _, rest = line.partition(" ")
        rest = re.sub(r"\$\{(\w+)\}", lambda m: arguments.get(m[1], m[0]), rest.strip())
        if word == "ARG":
            name, _, value = rest.partition("=")
            arguments[name] = value
        elif word == "FROM":
            base, _, name = rest.split()
            before = stages.get(base)
            current = Target(before.base if before else base)
            if before is not None:
                current.env, current.user, current.workdir = dict(before.env), before.user, before.workdir
                current.entrypoint, current.command = list(before.entrypoint), list(before.command)
                current.copies = list(before.copies)
            stages[name] = current
        else:
            assert current is not None, line
            _instruction(current, word, rest)
    return stages


def _instruction(stage: Target, word: str, rest: str) -> None:
    match word:
        case "ENV":
            stage.env |= dict(pair.split("=", 1) for pair in shlex.split(rest))
        case "USER":
            stage.user = rest
        case "ENTRYPOINT":
            stage.entrypoint, stage.command = json.loads(rest), []
        case "CMD":
            stage.command = json.loads(rest)
        case "EXPOSE":
            stage.ports += rest.split()
        case "COPY":
            stage.copies.append(rest.split())
        case "WORKDIR":
            stage.workdir = rest
        case "RUN" | "STOPSIGNAL":
            pass
        case _:
            raise AssertionError(f"the Dockerfile has {word}, which this reader does not know")
