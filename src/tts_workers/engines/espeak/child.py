"""The process that espeak-ng lives in: a program of its own, started by `pool.py`, with the standard library alone.

    python child.py LIBRARY DATA_DIRECTORY

espeak-ng keeps its state in globals, is not thread-safe and may crash on hostile text, so it gets a process that may
die. Messages on both pipes are a 4 byte little-endian length and JSON; audio follows its message as raw s16le. The
first message is `{"version", "rate", "voices": [[name, identifier, [[priority, language]…], gender]…], "variants":
[[identifier, gender]…]}`; voices whose dictionary is missing are left out, as they would be silent. Then, for each
`{"voice", "rate", "pitch", "range", "text"}`: `{"bytes", "words": [[code point, sample]…]}` and the audio, or
`{"error"}`.

The end of standard input ends the process. A request that takes longer than `DEADLINE_S` ends it too (SIGALRM, which
works in the middle of C code as well).
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import struct
import sys
from typing import Any, BinaryIO

DEADLINE_S = 10

_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_UTF8 = 1
_BY_CHARACTER = 1
_RATE, _PITCH, _RANGE = 1, 3, 4
_LIST_TERMINATED, _WORD = 0, 1
_BUFFER_MS = 1000


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


class _Voice(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_Event))


class Synthesizer:
    """espeak-ng in this process."""

    def __init__(self, library: str, data: str) -> None:
        self._lib = ctypes.CDLL(library)
        # The library keeps the path in 160 bytes; a relative one always fits.
        os.chdir(os.path.dirname(data))
        self._data = os.path.basename(data)
        self.rate: int = self._lib.espeak_Initialize(_SYNCHRONOUS, _BUFFER_MS, b".", _DONT_EXIT)
        if self.rate <= 0:
            raise SystemExit(f"espeak-ng does not start with the data in {data}")
        self._callback = _Callback(self._take)
        self._lib.espeak_SetSynthCallback(self._callback)
        self._lib.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
        self._lib.espeak_Info.restype = ctypes.c_char_p
        self._voice = ""
        self._audio = bytearray()
        self._words: list[tuple[int, int]] = []

    def hello(self) -> dict[str, Any]:
        variants = _Voice(languages=ctypes.cast(ctypes.c_char_p(b"variant"), ctypes.c_void_p))
        return {
            "version": self._lib.espeak_Info(None).decode(),
            "rate": self.rate,
            "voices": [[v[0], v[1], v[2], v[3]] for v in self._list(None) if _has_dictionary(self._data, v[1])],
            "variants": [[v[1], v[3]] for v in self._list(ctypes.byref(variants))],
        }

    def speak(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        if request["voice"] != self._voice:
            if self._lib.espeak_SetVoiceByName(request["voice"].encode()) != 0:
                return {"error": f"espeak-ng has no voice {request['voice']!r}"}, b""
            self._voice = request["voice"]
        for parameter, name in ((_RATE, "rate"), (_PITCH, "pitch"), (_RANGE, "range")):
            self._lib.espeak_SetParameter(parameter, int(request[name]), 0)
        text = request["text"].encode("utf-8", "replace").replace(b"\0", b" ")
        self._audio.clear()
        self._words.clear()
        signal.alarm(DEADLINE_S)
        failed = self._lib.espeak_Synth(text, len(text) + 1, 0, _BY_CHARACTER, 0, _UTF8, None, None)
        signal.alarm(0)
        if failed:
            return {"error": f"espeak-ng failed with code {failed}"}, b""
        return {"bytes": len(self._audio), "words": self._words}, bytes(self._audio)

    def _take(self, wave: int | None, samples: int, events: Any) -> int:
        if wave and samples > 0:
            self._audio += ctypes.string_at(wave, samples * 2)
        i = 0
        while events[i].type != _LIST_TERMINATED:
            if events[i].type == _WORD:
                # Their first code point is number 1.
                self._words.append((events[i].text_position - 1, events[i].sample))
            i += 1
        return 0

    def _list(self, like: Any) -> list[tuple[str, str, list[tuple[int, str]], int]]:
        found = []
        voices = self._lib.espeak_ListVoices(like)
        i = 0
        while voices[i]:
            voice = voices[i].contents
            found.append((_text(voice.name), _text(voice.identifier), _languages(voice.languages), voice.gender))
            i += 1
        return found


def _has_dictionary(data: str, voice: str) -> bool:
    """Whether there is the dictionary that a voice's file names, by itself or by its first language."""
    try:
        with open(os.path.join(data, "lang", voice), encoding="utf-8", errors="replace") as file:
            words = [line.split() for line in file]
    except OSError:
        return True
    named = [w[1] for key in ("dictionary", "language") for w in words if len(w) > 1 and w[0] == key][:1]
    tries = [tag for name in named for tag in (name, name.partition("-")[0])]
    return not tries or any(os.path.exists(os.path.join(data, f"{tag}_dict")) for tag in tries)


def _text(raw: bytes | None) -> str:
    return (raw or b"").decode("utf-8", "replace")


def _languages(at: int) -> list[tuple[int, str]]:
    """A list of (priority byte, zero-terminated tag), ended by a zero byte."""
    found = []
    while (priority := ctypes.string_at(at, 1)[0]) != 0:
        tag = ctypes.string_at(at + 1)
        found.append((priority, tag.decode("ascii", "replace")))
        at += len(tag) + 2
    return found


def _send(out: BinaryIO, message: dict[str, Any], audio: bytes = b"") -> None:
    body = json.dumps(message).encode()
    out.write(struct.pack("<I", len(body)) + body)
    out.write(audio)
    out.flush()


def _receive(source: BinaryIO) -> dict[str, Any] | None:
    head = source.read(4)
    if len(head) < 4:
        return None
    message: dict[str, Any] = json.loads(source.read(struct.unpack("<I", head)[0]))
    return message


def main(library: str, data: str) -> None:
    # Ctrl-C reaches the whole terminal; the worker decides when this process is no longer needed.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # What the library prints must not get among the messages.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    synthesizer = Synthesizer(library, data)
    try:
        _send(out, synthesizer.hello())
        while (request := _receive(sys.stdin.buffer)) is not None:
            _send(out, *synthesizer.speak(request))
    except BrokenPipeError:
        pass
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
