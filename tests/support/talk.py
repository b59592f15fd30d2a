"""A conversation with a responder, without audio: what it says is heard at once, or as far as a test wants it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from orchestrator.conversation.commands import Cause, Interruption
from orchestrator.conversation.history import Item, Role
from orchestrator.ports import Adjust, Context, Delta, Done, Responder, Text, VoiceChoice

FACTS = {"tts": "espeak", "asr": "pocketsphinx", "hears": "yes"}


class Listening:
    """`Progress` of a listener who hears everything at once. `noises` come while it waits for that."""

    def __init__(self, noises: int = 0) -> None:
        self.false_alarms = 0
        self.waited = 0
        self.loading = 0
        self._noises = noises

    async def wait_heard(self) -> None:
        self.waited += 1
        self.false_alarms = self._noises

    def loading_nowait(self) -> None:
        self.loading += 1


@dataclass(frozen=True)
class Reply:
    deltas: tuple[Delta, ...]

    @property
    def text(self) -> str:
        return "".join(d.text for d in self.deltas if isinstance(d, Text))

    @property
    def adjust(self) -> Adjust | None:
        return next((d for d in self.deltas if isinstance(d, Adjust)), None)


class Talk:
    def __init__(
        self,
        responder: Responder,
        *,
        voices: tuple[str, ...] = ("en-gb", "en-us", "en-scotland"),
        facts: dict[str, str] | None = None,
        language: str = "",
    ) -> None:
        self.history: tuple[Item, ...] = ()
        self.turn = 0
        self.voice = VoiceChoice(voice=voices[0] if voices else "")
        self._responder = responder
        self._voices = voices
        self._facts = FACTS if facts is None else facts
        self._language = language
        self._interruption: Interruption | None = None

    async def greet(self, noises: int = 0) -> Reply:
        return await self._reply(Cause.GREETING, noises)

    async def user(self, text: str, noises: int = 0) -> Reply:
        """The user's turn ends with `text`; the reply to it, which is heard to its end."""
        self.history += (Item(Role.USER, text, self.turn),)
        return await self._reply(Cause.USER, noises)

    def cut(self, heard: str, unheard: str | None = None, *, told: bool = True, typed: bool = False) -> None:
        """The last reply was in truth cut after `heard`, a part from its start. `told`: the context says so too."""
        last = self.history[-1]
        assert last.role is Role.ASSISTANT
        assert last.text.startswith(heard)
        unheard = last.text[len(heard) :] if unheard is None else unheard
        self.history = (*self.history[:-1], replace(last, text=heard.strip(), cut=True))
        self._interruption = Interruption(last.turn, heard.strip(), unheard.strip(), typed) if told else None

    def cut_before(self, words: str, *, typed: bool = False) -> None:
        text = self.history[-1].text
        assert words in text, text
        self.cut(text[: text.index(words)], typed=typed)

    def cut_after(self, words: str) -> None:
        text = self.history[-1].text
        assert words in text, text
        self.cut(text[: text.index(words) + len(words)])

    def context(self, cause: Cause, progress: Listening) -> Context:
        return Context(
            session="s",
            turn=self.turn,
            cause=cause,
            progress=progress,
            language=self._language,
            voice=self.voice,
            interruption=self._interruption,
            voices=self._voices,
            facts=self._facts,
        )

    async def _reply(self, cause: Cause, noises: int) -> Reply:
        self.turn += 1
        context = self.context(cause, Listening(noises))
        reply = Reply(tuple([delta async for delta in self._responder.reply(self.history, context)]))
        assert isinstance(reply.deltas[-1], Done)
        self._interruption = None
        if reply.adjust is not None:
            adjust = reply.adjust
            self.voice = replace(
                self.voice, rate=adjust.rate or self.voice.rate, voice=adjust.voice or self.voice.voice
            )
        self.history += (Item(Role.ASSISTANT, reply.text, self.turn),)
        return reply
