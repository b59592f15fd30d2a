"""A livekit-server of the benchmark's own, as `up --livekit` runs one: `antiphon livekit get` builds the program."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from antiphon import livekit_files
from antiphon.livekit_server import KEYS
from benchmarks.stack import Failed, processes


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    key: str
    secret: str
    key_file: Path


@contextmanager
def server() -> Iterator[Server]:
    """Runs while the block does. Raises Failed where there is no program for it."""
    program = livekit_files.find(os.environ.get("ANTIPHON_LIVEKIT_SERVER", ""))
    if program is None:
        raise Failed(f"there is no livekit-server: {livekit_files.how_to_get()}")
    key, secret = f"API{secrets.token_hex(6)}", secrets.token_urlsafe(32)
    with tempfile.TemporaryDirectory(prefix="antiphon-bench-livekit-") as name, processes() as made:
        folder = Path(name)
        key_file = folder / KEYS
        key_file.write_text(f"{key}: {secret}\n")
        key_file.chmod(0o600)
        serve = ("-m", "antiphon", "livekit", "run", "--announce-ready", "--parent-watch", "--port", "0")
        running = made.start("livekit", *serve, "--program", str(program), "--folder", str(folder))
        yield Server(f"ws://{running.address}", key, secret, key_file)
