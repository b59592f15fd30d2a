"""Who speaks in a model: its voices' speakers, and how each is called. Pure.

A voice of one speaker is called as its file, `en_US-lessac-medium`. Of a voice with several, each speaker is a voice of
the model, `en_US-libritts-high#p3922`, or `…#17` where the config gives no name; the number finds a named one, too, and
the file's name alone the one that the config prefers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from base.errors import NotFound
from tts_workers.engine import ModelSpec, VoiceInfo
from tts_workers.engines.piper.config import VoiceConfig


@dataclass(frozen=True, slots=True)
class Speaker:
    """Speaker `number` of voice `voice` of the model, both from 0."""

    voice: int
    number: int
    info: VoiceInfo


class Speakers:
    """Of `voices`, each a file's name and its config; found without regard to case."""

    def __init__(self, spec: ModelSpec, voices: Sequence[tuple[str, VoiceConfig]]) -> None:
        self._spec = spec
        self._configs = [config for _, config in voices]
        self._names = [_tidy(name) for name, _ in voices]
        self._by_id: dict[str, Speaker] = {}
        self._of_voice: list[list[Speaker]] = []
        for voice, (name, config) in enumerate(voices):
            self._of_voice.append([])
            for number, called in enumerate(config.speakers or ("",)):
                id = f"{_tidy(name)}#{called}" if called else _tidy(name)
                words = f"{name}, speaker {called}" if called else name
                speaker = Speaker(voice, number, VoiceInfo(id, words, (config.language,)))
                self._of_voice[-1].append(speaker)
                self._by_id[id.lower()] = speaker
        self.infos = tuple(speaker.info for speaker in self._by_id.values())
        self.languages = tuple(sorted({tag for info in self.infos for tag in info.languages}))

    def find(self, id: str) -> Speaker:
        """Raises `NotFound`; "" is the first voice's preferred speaker."""
        if found := self._by_id.get(id.lower()):
            return found
        name, _, number = id.partition("#")
        voice = next((i for i, n in enumerate(self._names) if not id or n.lower() == name.lower()), None)
        if voice is None:
            more = ", …" if len(self._names) > 8 else ""
            raise NotFound(
                f"model {self._spec.id!r} has no voice {id[:80]!r}; it has {', '.join(self._names[:8])}{more}; "
                "`antiphon voices` lists all",
                reason="UNKNOWN_VOICE",
            )
        mine = self._of_voice[voice]
        if not number:
            return mine[self._configs[voice].default_speaker]
        several = bool(self._configs[voice].speakers)
        if several and number.isascii() and number.isdigit() and int(number) < len(mine):
            return mine[int(number)]
        has = f"speakers 0 to {len(mine) - 1}" if several else "one speaker, and no number"
        raise NotFound(
            f"model {self._spec.id!r}: voice {self._names[voice]} has {has}; there is no {number[:80]!r}",
            reason="UNKNOWN_SPEAKER",
        )


def _tidy(name: str) -> str:
    """Without "+", which stands before a variant elsewhere."""
    return name.replace("+", "-").strip()
