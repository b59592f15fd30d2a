"""The containers of docker-compose.yml as plain processes on loopback: what each image runs, with the environment,
secrets and health check that it has there, addresses moved to free ports. Caddy and livekit-server are real."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from antiphon.exits import OK, UNAVAILABLE
from tests.support import deployment
from tests.support.deployment import ROOT, compose, dockerfile
from tests.support.house import free_port

LIMIT_S = 90.0
LIVEKIT = Path("~/.cache/antiphon/livekit-1.13.5/server")


def livekit() -> Path:
    found = os.environ.get("ANTIPHON_LIVEKIT_SERVER") or shutil.which("livekit-server") or str(LIVEKIT.expanduser())
    return Path(found) if Path(found).exists() else deployment.missing("livekit-server is missing")


@dataclass
class Host:
    """A host on which every container's address is loopback, and its files lie in `place`."""

    place: Path
    model: dict[str, Any]
    _ports: dict[int, int] = field(default_factory=dict)

    @classmethod
    def made(cls, place: Path) -> Host:
        """With what deploy/init makes for localhost."""
        (place / "deploy").mkdir()
        for name in ("init", "antiphon.example.toml"):
            shutil.copy2(ROOT / "deploy" / name, place / "deploy" / name)
        subprocess.run(["sh", str(place / "deploy" / "init")], check=True, capture_output=True, timeout=30)
        return cls(place, compose(place, "docker-compose.yml"))

    def port(self, inside: int) -> int:
        """The one that stands for a container's."""
        return self._ports.setdefault(inside, free_port())

    def secret(self, name: str) -> Path:
        return self.place / "deploy" / "secrets" / name

    def log(self, name: str) -> str:
        return (self.place / f"{name}.log").read_text(errors="replace")

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port(443)}"

    def trust(self) -> ssl.SSLContext:
        """Of whoever took the root of Caddy's local CA by hand."""
        return ssl.create_default_context(cafile=str(self.root_certificate))

    @property
    def root_certificate(self) -> Path:
        return self.place / "data" / "caddy" / "pki" / "authorities" / "local" / "root.crt"

    def moved(self, text: str) -> str:
        """Addresses, ports and paths of a container's word as they are here."""
        text = text.replace("/run/secrets/", f"{self.place}/deploy/secrets/")
        text = text.replace("/etc/antiphon/antiphon.toml", f"{self.place}/deploy/antiphon.toml")
        text = text.replace("/etc/livekit.yaml", str(ROOT / "deploy" / "livekit.yaml"))
        text = text.replace("/etc/caddy/Caddyfile", str(ROOT / "Caddyfile"))
        text = re.sub(r"^/keys\b", f"{self.place}/deploy/keys", text)
        text = text.replace("/opt/antiphon/src", str(ROOT / "src")).replace("/models", f"{self.place}/models")
        names = "|".join(map(re.escape, self.model["services"]))
        text = re.sub(rf"\b(?:{names}|127\.0\.0\.1):(\d+)", lambda m: f"127.0.0.1:{self.port(int(m[1]))}", text)
        # Caddy's address, from which it is believed; everybody else's last figure stays.
        text = text.replace("172.30.77.11", "127.0.0.1").replace("172.30.77.", "127.0.0.")
        return "127.0.0.1" if text == "0.0.0.0" else text

    def environment(self, name: str) -> dict[str, str]:
        service = self.model["services"][name]
        image = dockerfile()[service["build"]["target"]].env if "build" in service else {}
        given = {k: str(v) for k, v in {**image, **service.get("environment", {})}.items() if k != "PATH"}
        moved = {k: str(self.port(int(v))) if k.endswith("_PORT") else self.moved(v) for k, v in given.items()}
        ours = {k: v for k, v in os.environ.items() if not k.startswith(("ANTIPHON_", "PYTHON", "LIVEKIT_"))}
        return ours | moved | self._elsewhere(name)

    def _elsewhere(self, name: str) -> dict[str, str]:
        """What a container's walls keep apart, and a process has to be told."""
        if name == "livekit":
            return {
                "LIVEKIT_PORT": str(self.port(7880)),
                "LIVEKIT_RTC_TCP_PORT": str(self.port(7881)),
                "LIVEKIT_RTC_UDP_PORT_START": str(self.port(7882)),
                "LIVEKIT_PROMETHEUS_PORT": str(self.port(6789)),
                "LIVEKIT_RTC_USE_EXTERNAL_IP": "false",
                "LIVEKIT_RTC_ENABLE_LOOPBACK_CANDIDATE": "true",
                "NODE_IP": "127.0.0.1",
            }
        if name == "caddy":
            return {
                "ANTIPHON_HTTP_PORT": str(self.port(80)),
                "ANTIPHON_HTTPS_PORT": str(self.port(443)),
                "ANTIPHON_CADDY_ADMIN": f"localhost:{self.port(2019)}",
                "ANTIPHON_CADDY_SITES": str(self.place / "sites"),
                "HOME": str(self.place),
                "XDG_DATA_HOME": str(self.place / "data"),
                "XDG_CONFIG_HOME": str(self.place / "config"),
            }
        return {}

    def command(self, name: str, *arguments: str) -> list[str]:
        """`arguments`: those of `docker compose run`, in place of the service's command."""
        service = self.model["services"][name]
        target = dockerfile()[service["build"]["target"]] if "build" in service else None
        entry = service.get("entrypoint") or (target.entrypoint if target else [str(livekit())])
        words = [*entry, *(arguments or service.get("command") or (target.command if target else []))]
        return [self._program(words[0]), *(self.moved(word) for word in words[1:])]

    @staticmethod
    def _program(name: str) -> str:
        return {"python": sys.executable, "caddy": str(deployment.caddy()) if name == "caddy" else ""}.get(name, name)

    @asynccontextmanager
    async def container(self, name: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """Running, and healthy by its own check."""
        with (self.place / f"{name}.log").open("wb") as written:
            process = await asyncio.create_subprocess_exec(
                *self.command(name), env=self.environment(name), cwd=self.place, stdout=written, stderr=written
            )
        try:
            async with asyncio.timeout(LIMIT_S):
                while await self.check(name) != OK:
                    assert process.returncode is None, f"{name} ended\n{self.log(name)}"
            yield process
        except TimeoutError as error:
            raise AssertionError(f"{name} never got healthy\n{self.log(name)}") from error
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def run(self, name: str, *arguments: str) -> str:
        """What `docker compose run --rm NAME …` prints, once it has ended well."""
        running = await asyncio.create_subprocess_exec(
            *self.command(name, *arguments), env=self.environment(name), cwd=self.place, stdout=subprocess.PIPE
        )
        async with asyncio.timeout(LIMIT_S):
            said, _ = await running.communicate()
        assert running.returncode == OK, said
        return said.decode()

    async def check(self, name: str) -> int:
        """The exit code of its health check."""
        _, program, *words = self.model["services"][name]["healthcheck"]["test"]
        words = [self.moved(word) for word in words]
        if program == "wget":
            return await _get(words[-1])
        assert program == "python", program
        checking = await asyncio.create_subprocess_exec(
            sys.executable,
            *words,
            env=self.environment(name),
            cwd=self.place,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return await checking.wait()


async def _get(url: str) -> int:
    """As wget in the image."""
    try:
        async with aiohttp.ClientSession() as http, http.get(url) as answer:
            return OK if answer.status == 200 else UNAVAILABLE
    except aiohttp.ClientError:
        await asyncio.sleep(0.05)
        return UNAVAILABLE
