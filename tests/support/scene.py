"""A conversation played by hand on a fake clock, for readable tests of the machine."""

from __future__ import annotations

from typing import TypeVar

from orchestrator.conversation import commands as c
from orchestrator.conversation import events as e
from orchestrator.conversation.history import Item, Role
from orchestrator.conversation.machine import Machine, Policy, State

C = TypeVar("C")

BOOT_S = 16384.0
"""What the machine's clock says at 0 s: a monotonic clock begins anywhere. A power of two, so that sums stay exact."""


class Scene:
    """Times are seconds from the start. `at` lets the timers run until then."""

    def __init__(self, policy: Policy | None = None, history: tuple[Item, ...] = ()) -> None:
        self.machine = Machine(policy or Policy(language="en"), history)
        self.now = 0.0
        self.log: list[tuple[float, c.Command]] = []
        self.playing: e.Playing | None = None
        """What the loudspeaker says while the user is heard."""

    # --- time and events -----------------------------------------------------------------------------------------

    def at(self, when: float) -> Scene:
        while (deadline := self.machine.next_deadline()) is not None and deadline <= when + BOOT_S:
            self.now = max(self.now, round(deadline - BOOT_S, 6))
            self._take(self.machine.handle_timer(max(deadline, self.now + BOOT_S)))
        self.now = when
        return self

    def gets(self, *events: e.Event) -> list[c.Command]:
        return [command for event in events for command in self._take(self.machine.handle(event, self.now + BOOT_S))]

    def _take(self, commands: list[c.Command]) -> list[c.Command]:
        self.log += [(self.now, command) for command in commands]
        return commands

    # --- the user ------------------------------------------------------------------------------------------------

    def starts(self, utterance: int) -> list[c.Command]:
        return self.gets(e.SpeechStarted(utterance, 0, self.now + BOOT_S, self.playing))

    def ends(self, utterance: int, *, voiced_until: float | None = None) -> list[c.Command]:
        return self.gets(e.SpeechEnded(utterance, 0, BOOT_S + (self.now if voiced_until is None else voiced_until)))

    def partial(self, utterance: int, text: str, stable: int = 0) -> list[c.Command]:
        return self.gets(e.PartialHeard(utterance, text, stable, self.playing))

    def final(self, utterance: int, text: str) -> list[c.Command]:
        return self.gets(e.FinalHeard(utterance, text, playing=self.playing))

    def says(self, utterance: int, text: str, *, seconds: float = 0.4) -> None:
        """A whole utterance from now on, with its final at its end."""
        self.starts(utterance)
        self.at(self.now + seconds)
        self.ends(utterance)
        self.final(utterance, text)

    # --- the reply -----------------------------------------------------------------------------------------------

    @property
    def turn(self) -> int:
        return self.machine.turn

    def heard(self, heard: str = "", unheard: str = "") -> e.Heard:
        return e.Heard(self.turn, 960 * len(heard), heard, unheard, not unheard)

    def sounds(self) -> list[c.Command]:
        return self.gets(e.FirstAudio(self.turn))

    def stops(self, heard: str = "", unheard: str = "") -> list[c.Command]:
        return self.gets(e.ReplyStopped(self.turn, self.heard(heard, unheard)))

    def finishes(self, heard: str) -> list[c.Command]:
        return self.gets(e.ReplyEnded(self.turn, self.heard(heard)))

    def fails(self, heard: str = "", unheard: str = "") -> list[c.Command]:
        return self.gets(e.ReplyFailed(self.turn, self.heard(heard, unheard), "unavailable", "the worker is gone"))

    def plays(self, text: str, *, start: int = 0, near: str = "", asks: bool = False) -> None:
        """From now on the listener hears this of the reply."""
        self.playing = e.Playing(self.turn, start, text, near or text, asks)

    # --- what came of it -----------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        return self.machine.state

    def all(self, kind: type[C]) -> list[C]:
        return [command for _, command in self.log if isinstance(command, kind)]

    def last(self, kind: type[C]) -> C:
        return self.all(kind)[-1]

    def when(self, kind: type[c.Command]) -> list[float]:
        return [at for at, command in self.log if isinstance(command, kind)]

    def notices(self) -> list[str]:
        return [notice.code for notice in self.all(c.TellNotice)]

    def said(self) -> list[tuple[str, str]]:
        """History in short: ("user", "hello"), ("assistant", "hi"), ("cut", "I am")."""
        return [("cut" if item.cut else item.role.value, item.text) for item in self.machine.history]

    def replies(self) -> list[tuple[c.Cause, str]]:
        """What was started, and with what: the user's words or the text to speak."""
        users = [[i.text for i in start.history if i.role is Role.USER] for start in self.all(c.StartReply)]
        return [
            (start.cause, start.text or (user[-1] if user and start.cause is c.Cause.USER else ""))
            for start, user in zip(self.all(c.StartReply), users, strict=True)
        ]


def thinking(policy: Policy | None = None, question: str = "what time is it") -> Scene:
    """At 0 s: the user has asked something, the reply has not sounded."""
    scene = Scene(policy)
    scene.gets(e.Asked(question))
    return scene


def speaking(policy: Policy | None = None, question: str = "what time is it") -> Scene:
    """At 0 s: a reply to the user's question has begun to sound."""
    scene = thinking(policy, question)
    scene.sounds()
    return scene


def answered(policy: Policy) -> Scene:
    """At 0 s: the responder has answered once, and all of it was heard."""
    scene = speaking(policy, "hello")
    scene.finishes("Hello.")
    scene.log.clear()
    return scene
