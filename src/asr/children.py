"""The worker's side of decoding children, whatever is said to them: how one is started, and its messages."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from asr.child_pipes import HEADER

_SOURCE = Path(__file__).resolve().parent.parent


async def spawn(
    module: str, factory: str, options: Mapping[str, object], **env: str
) -> tuple[asyncio.subprocess.Process, asyncio.StreamWriter, asyncio.StreamReader]:
    """A child of `module`, its input and its output. `env`: variables besides ours. Raises OSError."""
    path = os.pathsep.join((str(_SOURCE), *filter(None, (os.environ.get("PYTHONPATH"),))))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # an `asr` in the user's folder must not stand in for ours
        "-m",
        module,
        factory,
        json.dumps(dict(options)),
        str(os.getpid()),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", **env},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    return process, process.stdin, process.stdout


async def bodies(output: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Of the messages that a child sends, to the end of its output."""
    while True:
        try:
            (size,) = HEADER.unpack(await output.readexactly(HEADER.size))
            body = await output.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        yield body
