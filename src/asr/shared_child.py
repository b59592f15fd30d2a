"""The child with a shared model: `python -m asr.shared_child MODULE:CLASS OPTIONS PARENT` decodes clip after clip.

It talks `asr.shared_pipe` on its standard input and output; whatever a library prints goes to standard error. It ends
when its input ends, and on Linux the kernel ends it with its parent.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import signal
import sys
import threading
import time
from typing import BinaryIO

from asr import shared_pipe as pipe
from asr.child import die_with
from asr.transcriber import Transcriber
from base.errors import AntiphonError, Internal

EXIT_LOADING = 3


def main(factory: str, options: str, parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with(parent)
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    todo: queue.SimpleQueue[pipe.Decode] = queue.SimpleQueue()
    reader = threading.Thread(target=_read, args=(os.fdopen(os.dup(0), "rb"), todo), daemon=True)
    reader.start()
    try:
        module, _, name = factory.partition(":")
        transcriber: Transcriber = getattr(importlib.import_module(module), name)(**json.loads(options))
        cost_s = transcriber.warm_up()
    except AntiphonError as error:
        _send(out, pipe.Refused(error.grpc_code, error.reason, error.message))
        os._exit(EXIT_LOADING)
    _send(out, pipe.Loaded(cost_s))
    while True:
        _send(out, decoded(transcriber, todo.get()))


def decoded(transcriber: Transcriber, message: pipe.Decode) -> pipe.FromChild:
    began = time.perf_counter()
    try:
        said = transcriber.transcribe(message.clip())
    except AntiphonError as error:
        return pipe.Failed(message.job, error.grpc_code, error.reason, error.message)
    except Exception as error:
        fault = Internal(f"the recogniser failed: {type(error).__name__}: {error}")
        return pipe.Failed(message.job, fault.grpc_code, fault.reason, fault.message)
    words = tuple((w.text, w.start, w.end, w.confidence) for w in said.words)
    took_s = time.perf_counter() - began
    return pipe.Decoded(message.job, words, said.language, said.probability, said.sure, took_s)


def _send(out: BinaryIO, message: pipe.FromChild) -> None:
    try:
        out.write(pipe.encode(message))
    except OSError:
        os._exit(0)


def _read(source: BinaryIO, todo: queue.SimpleQueue[pipe.Decode]) -> None:
    """The end of the input is the end."""
    while True:
        header = source.read(pipe.HEADER.size)
        if len(header) < pipe.HEADER.size:
            os._exit(0)
        todo.put(pipe.to_child(source.read(pipe.HEADER.unpack(header)[0])))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
