"""`--record DIR`: both sides' audio and every event, for a bug report. Off unless asked for, and announced."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import IO, Any

import msgspec

from antiphon.client import Event
from antiphon.wavs import WavWriter
from base.errors import BadRequest

ANNOUNCED = "recording this conversation, both sides, to {place}: look into it before you send it to anybody"


class Recording:
    """`in.wav` (what was sent), `out.wav` (what was heard) and `events.jsonl`; times are seconds since the start."""

    def __init__(self, folder: Path, *, input_rate: int, output_rate: int) -> None:
        self.place = folder / time.strftime("antiphon-%Y%m%d-%H%M%S")
        self._start = time.monotonic()
        try:
            self.place.mkdir(parents=True)
            self._events: IO[str] = (self.place / "events.jsonl").open("w", encoding="utf-8")
        except OSError as error:
            raise BadRequest(f"cannot record to {self.place}: {error.strerror}") from error
        self._sent = WavWriter(self.place / "in.wav", input_rate)
        self._heard = WavWriter(self.place / "out.wav", output_rate)

    def sent(self, pcm: bytes) -> None:
        self._sent.write(pcm)

    def heard(self, pcm: bytes) -> None:
        self._heard.write(pcm)

    def event(self, event: Event) -> None:
        line = {"at_s": round(time.monotonic() - self._start, 4), **as_json(event)}
        self._events.write(json.dumps(line, ensure_ascii=False) + "\n")

    def close(self) -> None:
        self._events.close()
        self._sent.close()
        self._heard.close()


def as_json(event: Event) -> dict[str, Any]:
    """An event as plain values under its type. The session's resume token is a key to it and stays out."""
    plain = msgspec.to_builtins(event)
    fields = plain if isinstance(plain, dict) else {}
    kind = fields.pop("type", type(event).__name__.lower())
    for place in (fields, fields.get("started", {})):
        place.pop("resume", None)
    return {"type": kind, **fields}
