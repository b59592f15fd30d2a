"""A decoding child's side: its pipes, its making, and how messages are framed.

A message is four bytes of length, little-endian, then its body. A child is `python -m MODULE FACTORY OPTIONS PARENT`;
it is spawned, never forked, and ends with its input and, on Linux, with its parent. What a library prints there goes to
standard error, and Ctrl-C at the terminal is the parent's business. Nothing here takes long to import.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import struct
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

HEADER = struct.Struct("<I")
EXIT_LOADING = 3
"""Exit code of a child that cannot load."""
PR_SET_PDEATHSIG = 1


def framed(body: bytes) -> bytes:
    return HEADER.pack(len(body)) + body


def take_pipes(parent: int) -> tuple[BinaryIO, BinaryIO]:
    """Standard input and output, out of the reach of libraries; the child's first act."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return os.fdopen(os.dup(0), "rb"), out


def made(factory: str, options: str) -> Any:
    """What `factory` ("module:class") makes of `options` (JSON)."""
    module, _, name = factory.partition(":")
    return getattr(importlib.import_module(module), name)(**json.loads(options))


def told(source: BinaryIO) -> Iterator[bytes]:
    """Bodies of what the worker sends; the end of the input is the child's end."""
    while len(header := source.read(HEADER.size)) == HEADER.size:
        yield source.read(HEADER.unpack(header)[0])
    os._exit(0)
