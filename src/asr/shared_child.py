"""The child with a shared model: `python -m asr.shared_child MODULE:CLASS OPTIONS PARENT` decodes clip after clip.

It talks `asr.shared_pipe` on its standard input and output; whatever a library prints goes to standard error. It ends
when its input ends, and on Linux the kernel ends it with its parent.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from typing import BinaryIO

from asr import child_pipes
from asr import shared_pipe as pipe
from asr.transcriber import Transcriber
from base.errors import AntiphonError, Internal


def main(factory: str, options: str, parent: int) -> None:
    source, out = child_pipes.take_pipes(parent)
    todo: queue.SimpleQueue[pipe.Decode] = queue.SimpleQueue()
    reader = threading.Thread(target=_read, args=(source, todo), daemon=True)
    reader.start()
    try:
        transcriber: Transcriber = child_pipes.made(factory, options)
        cost_s = transcriber.warm_up()
    except AntiphonError as error:
        _send(out, pipe.Refused(error.grpc_code, error.reason, error.message))
        os._exit(child_pipes.EXIT_LOADING)
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
    for body in child_pipes.told(source):
        todo.put(pipe.to_child(body))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
