"""LiveKit's API key and secret: from LiveKit's own key file, or from the environment; never a setting.

They sign the tokens with which people join rooms, and let our agent in. Read once, from `app.py`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from base.address import is_loopback
from base.errors import Misconfigured
from orchestrator.settings import OrchestratorSettings

KEY, SECRET = "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"
DEVELOPMENT = ("devkey", "secret")
"""The pair of `livekit-server --dev`, which everybody knows."""
SECRET_CHARACTERS = 32
"""What LiveKit itself asks of a secret."""


def livekit_keys(settings: OrchestratorSettings, env: Mapping[str, str] | None = None) -> tuple[str, str] | None:
    """(key, secret); None where no LiveKit is configured: no URL, or neither file nor variables.

    Raises Misconfigured for a file of the wrong shape, half a pair, a secret that is too short, and for the pair that
    everybody knows where anything of this is reached from another machine.
    """
    env = os.environ if env is None else env
    if not settings.livekit_url:
        return None
    if settings.livekit_key_file:
        source = f"livekit_key_file {settings.livekit_key_file!r}"
        pair = _from_file(settings.livekit_key_file, source)
    else:
        source = f"{KEY} and {SECRET}"
        pair = (env.get(KEY, "").strip(), env.get(SECRET, "").strip())
        if not any(pair):
            return None
        if not all(pair):
            raise Misconfigured(
                f"{KEY if pair[0] else SECRET} is set without {SECRET if pair[0] else KEY}; LiveKit takes both",
                reason="BAD_LIVEKIT_KEYS",
            )
    _check(pair, source, settings)
    return pair


def _from_file(path: str, source: str) -> tuple[str, str]:
    """The first pair of a LiveKit key file: `KEY: SECRET`, one a line; comments are left out."""
    try:
        lines = [line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeError) as error:
        raise Misconfigured(f"{source} cannot be read: {error}", reason="BAD_LIVEKIT_KEYS") from error
    for number, line in enumerate(lines, 1):
        if not line or line.startswith("#"):
            continue
        key, colon, secret = line.partition(":")
        pair = _bare(key), _bare(secret)
        if not colon or not all(pair) or any(c.isspace() for part in pair for c in part):
            # The line itself is not shown: it may be a secret.
            raise Misconfigured(
                f"{source}, line {number}, is not of the form `KEY: SECRET`, as LiveKit's own key file is",
                reason="BAD_LIVEKIT_KEYS",
            )
        return pair
    raise Misconfigured(f"{source} has no key in it; write one line, `KEY: SECRET`", reason="BAD_LIVEKIT_KEYS")


def _bare(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def _check(pair: tuple[str, str], source: str, settings: OrchestratorSettings) -> None:
    if pair == DEVELOPMENT:
        for name, host in (
            ("host", settings.host),
            ("tls_host", settings.tls_host or settings.host),
            ("livekit_url", urlsplit(settings.livekit_url).hostname or ""),
            ("livekit_public_url", urlsplit(settings.livekit_public_url or settings.livekit_url).hostname or ""),
        ):
            if not is_loopback(host):
                raise Misconfigured(
                    f"{source}: {DEVELOPMENT[0]}/{DEVELOPMENT[1]} is LiveKit's development pair, which everybody "
                    f"knows, and {name} is {host!r}; it is good on loopback only. `livekit-server generate-keys` "
                    "makes another",
                    reason="DEFAULT_SECRET",
                )
    elif len(pair[1]) < SECRET_CHARACTERS:
        raise Misconfigured(
            f"{source}: the secret has {len(pair[1])} characters; LiveKit wants {SECRET_CHARACTERS} or more",
            reason="SHORT_SECRET",
        )
