"""What simulated users do: talk all the time, or wait for a reply and speak over it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass

from base.audio import UPLINK_RATE
from benchmarks.listener import Listener, Words
from benchmarks.sound import first_sound, silent_from
from orchestrator import messages as m

LONG = "and so the tone goes on, as it did before, and it will go on after this for quite a while, I should think. "
SILENT_S = 0.2
"""After this without sound a reply has stopped; a chunk's end is shorter."""
SETTLED_S = 0.4
"""After the last word: by then a server that heard it says that it listens."""
BEFORE_S = 0.05
"""So long before a word the loudspeaker is watched."""
WATCHED_S = 0.32
"""How long after a word a loudspeaker is watched for the silence that should follow."""


@dataclass(frozen=True, slots=True)
class BargeIn:
    """Seconds from the first voiced sample at the microphone to silence; None: it did not fall silent."""

    silence_s: float | None
    outcome: str


class Brain:
    """Answers every turn that ends, as the client that is the brain."""

    def __init__(self, listener: Listener, answer: str = LONG * 4) -> None:
        self._listener = listener
        self._answer = answer
        self.answered: dict[int, float] = {}
        """When a turn's answer was sent."""
        listener.on_message = self._take

    def _take(self, message: m.ServerMessage) -> None:
        if isinstance(message, m.TurnEnded):
            self.answered[message.turn] = self._listener._clock()
            self._listener.send(m.ReplyDelta(turn=message.turn, text=self._answer))
            self._listener.send(m.ReplyEnd(turn=message.turn))


def current_turn(listener: Listener) -> int:
    position = listener.player.position
    return position[0] if position is not None else 0


async def wait_sounding(listener: Listener, after_turn: int, timeout_s: float = 20.0) -> int:
    """Until a turn later than `after_turn` sounds; returns it."""
    await listener.until(
        lambda: any(turn > after_turn for turn in listener.log.first_frame_s), "a reply's first audio", timeout_s
    )
    return max(listener.log.first_frame_s)


async def say_all(listener: Listener, pcm: bytes, timeout_s: float = 60.0) -> Words:
    """Says it, and waits until all that came of it is over: the turn, the reply, a notice."""
    said = listener.say(pcm)
    await said.wait_begun()
    await asyncio.sleep(len(pcm) / 2 / UPLINK_RATE + SETTLED_S)
    await listener.until(lambda: state(listener) in ("idle", ""), "idle", timeout_s)
    return said


def state(listener: Listener) -> str:
    """As the server told it last; "" before it did."""
    told = listener.last(m.State)
    return told.state if told is not None else ""


async def barge_in(
    listener: Listener, words: bytes, rng: random.Random, turn: int, watched_s: float = WATCHED_S
) -> BargeIn:
    """Speaks `words` over `turn`, anywhere within a frame, and watches when the loudspeaker falls silent."""
    listener.log.blocks.clear()
    listener.listening = True
    # A word may begin up to a frame before it is told to: in the frame that the microphone is just filling.
    await asyncio.sleep(BEFORE_S)
    said = listener.say(words, offset=rng.randrange(UPLINK_RATE // 50))
    await said.wait_begun()
    await asyncio.sleep(watched_s)
    listener.listening = False
    # The next reply, if it came already, is not this one's sound.
    blocks = [b for b in listener.log.blocks if b.at_s < listener.log.first_sound_s.get(turn + 1, float("inf"))]
    after = [b for b in blocks if b.at_s >= said.began_s]
    if first_sound(after, listener.rate) is None:
        return BargeIn(None, "nothing sounded when the word began")
    silent = silent_from(blocks, listener.rate)
    if silent is None or not blocks or silent > blocks[-1].at_s - SILENT_S / 2:
        return BargeIn(None, "it went on sounding")
    return BargeIn(silent - said.began_s, "silent")


async def barge_in_often(
    listener: Listener,
    words: Sequence[bytes],
    count: int,
    rng: random.Random,
    play_s: tuple[float, float],
    watched_s: float = WATCHED_S,
) -> list[BargeIn]:
    """Lets a reply sound for a while, speaks over it, waits for the next; `count` times."""
    Brain(listener)
    listener.send(m.TextInput(text="begin"))
    turn, found = 0, []
    for _ in range(count):
        turn = await wait_sounding(listener, turn)
        await asyncio.sleep(rng.uniform(*play_s))
        found.append(await barge_in(listener, rng.choice(words), rng, turn, watched_s))
        if found[-1].silence_s is None:
            # Whatever went wrong, the next one starts clean.
            listener.send(m.TextInput(text="go on"))
    return found


def endless(listener: Listener) -> None:
    """The reply never ends: whenever the queue of texts has room, there is more to say."""

    def more(message: m.ServerMessage) -> None:
        if isinstance(message, m.TurnFinished):
            listener.send(m.TextInput(text=LONG * 8, mode="say"))

    listener.on_message = more
    listener.send(m.TextInput(text=LONG * 8, mode="say"))
    listener.send(m.TextInput(text=LONG * 8, mode="say"))
