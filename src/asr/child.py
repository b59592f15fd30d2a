"""A decoding child: `python -m asr.child MODULE:CLASS OPTIONS` holds one recogniser and hears one utterance at a time.

It talks `asr.pipe` on its standard input and output; whatever a library prints goes to standard error. It ends when its
input ends, and on Linux the kernel ends it with its parent. Ctrl-C at the terminal is the parent's business.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO

from asr import child_pipes, pipe
from asr.recognizer import Adaptive, Decoder, Recognizer, RecognizerConfig
from base.errors import AntiphonError, Internal


def main(factory: str, options: str, parent: int) -> None:
    source, out = child_pipes.take_pipes(parent)
    todo: queue.SimpleQueue[pipe.ToChild] = queue.SimpleQueue()
    cancelled: set[int] = set()
    reader = threading.Thread(target=_read, args=(source, todo, cancelled), daemon=True)
    reader.start()
    try:
        serving = Serving(lambda: child_pipes.made(factory, options), out, cancelled)
        out.write(pipe.encode(pipe.Loaded()))
        while True:
            serving.take(todo.get())
    except AntiphonError as error:
        print(f"cannot load the recogniser: {error}", file=sys.stderr, flush=True)
        os._exit(child_pipes.EXIT_LOADING)


class Serving:
    """One utterance after another, on what `make` gives. After a fault the recogniser is made anew: nobody knows what
    state the old one was left in. `cancelled` are jobs that a cancel has overtaken.
    """

    def __init__(self, make: Callable[[], Recognizer], out: BinaryIO, cancelled: set[int]) -> None:
        self._make = make
        self._recognizer = make()
        self._out = out
        self._cancelled = cancelled
        self._decoder: Decoder | None = None
        self._job = 0

    def take(self, message: pipe.ToChild) -> None:
        if message.job in self._cancelled and not isinstance(message, pipe.Cancel):
            return
        try:
            self._take(message)
        except AntiphonError as error:
            self._fail(message.job, error)
        except Exception as error:
            self._fail(message.job, Internal(f"the recogniser failed: {type(error).__name__}: {error}"))
            self._start_anew()

    def _take(self, message: pipe.ToChild) -> None:
        began = time.perf_counter()
        match message:
            case pipe.Begin():
                self._job = message.job
                config = RecognizerConfig(message.language, message.phrases, message.adaptation)
                self._decoder = self._recognizer.open(config)
                self._decoder.start(message.utterance, message.sample)
            case pipe.Audio() if self._decoder is not None and message.job == self._job:
                news = self._decoder.push(message.pcm)
                took = time.perf_counter() - began
                size = len(message.pcm)
                if news is None:
                    self._send(pipe.Taken(message.job, size, took))
                else:
                    self._send(pipe.Taken(message.job, size, took, news.utterance, news.text, news.stable))
            case pipe.Finish() if self._decoder is not None and message.job == self._job:
                final = self._decoder.finish()
                adaptation = self._decoder.adaptation() if isinstance(self._decoder, Adaptive) else ""
                took = time.perf_counter() - began
                words = tuple((w.text, w.start, w.end, w.confidence) for w in final.words)
                self._close()
                self._send(
                    pipe.Finished(message.job, final.utterance, final.text, final.confidence, words, adaptation, took)
                )
            case pipe.Cancel():
                self._cancelled.discard(message.job)
                self._close()
                self._send(pipe.Cancelled(message.job))

    def _fail(self, job: int, error: AntiphonError) -> None:
        with suppress(Exception):  # what has failed may not even close
            self._close()
        self._send(pipe.Failed(job, error.grpc_code, error.reason, error.message))

    def _start_anew(self) -> None:
        with suppress(Exception):
            self._recognizer.close()
        self._recognizer = self._make()

    def _close(self) -> None:
        decoder, self._decoder = self._decoder, None
        if decoder is not None:
            decoder.close()

    def _send(self, message: pipe.FromChild) -> None:
        try:
            self._out.write(pipe.encode(message))
        except OSError:
            os._exit(0)


def _read(source: BinaryIO, todo: queue.SimpleQueue[pipe.ToChild], cancelled: set[int]) -> None:
    """Reads ahead, so that a cancel overtakes the audio before it; the end of the input is the end."""
    for body in child_pipes.told(source):
        message = pipe.to_child(body)
        if isinstance(message, pipe.Cancel):
            cancelled.add(message.job)
        todo.put(message)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
