"""Noises over a reply: it holds, it goes on, and what the loudspeaker played is what it plays undisturbed.

For each kind of client a reply is first played without a noise; then with each noise, and with four key clicks a second
for ten seconds. Places are compared by offset, samples by value. A noise that did not make the reply hold proves
nothing, so the notes say how often it held. The voice is the sine engine's, whose samples are the same each time; the
fades between its chunks show a shift that its periods would hide.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import solo, speech
from benchmarks.listener import Listener, Lost
from benchmarks.rows import Row, percentile, single
from benchmarks.scenes import wait_sounding
from benchmarks.sound import Comparison, compare, join
from benchmarks.stack import stack
from benchmarks.suite import Options
from benchmarks.words import words
from orchestrator import messages as m

TEXT = "Once there was a tone that went on and on, whatever noise was made about it, until it had said all. "
LONG_TEXT = TEXT * 2
CLICKS_S = 10.0
RATE = 48_000

NOISES: dict[str, Callable[[], bytes]] = {
    "knock": speech.knock,
    "cough": speech.cough,
    "100 ms of noise": speech.noise_burst,
    "hum of a throat": lambda: speech.synthetic_speech(0.15),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """`took_s`: from the reply's first sample to its last, by the loudspeaker."""

    noise: str
    comparison: Comparison
    holds: int
    took_s: float


@dataclass(frozen=True, slots=True)
class Typed:
    """A reply under key clicks: it may be stopped and gone on with from the first word not heard, as a new turn."""

    missing: int
    """Words that were never heard."""
    turns: int
    holds: int
    stretch: float


Scene = tuple[list[Outcome], Typed]


def run(options: Options) -> list[Row]:
    options.note("false_alarm")
    with stack() as made:
        holding, following = solo.run(_both(made.orchestrator.address))
    return [*_rows(*holding, "client that holds"), *_rows(*following, "client that cannot hold")]


def _rows(found: list[Outcome], typed: Typed, what: str) -> list[Row]:
    held = [x for x in found if x.holds]
    note = f"held at {len(held)} of {len(found)} noises"
    bad = [x for x in found if not x.comparison.exact]
    if bad:
        note += "; not exact: " + ", ".join(f"{x.noise} {_say(x.comparison)}" for x in bad)
    wrong = sum(_wrong(x.comparison) for x in found) if held else None
    pauses = [x.took_s - x.comparison.expected / RATE for x in held]
    pause = percentile(pauses, 50) * 1000 if pauses else None
    clicks = f"4 key clicks a second for {CLICKS_S:g} s"
    said = f"held {typed.holds} times, heard in {typed.turns} turns"
    return [
        single(f"noise over a reply: samples lost, repeated or changed ({what})", "samples", wrong, 0, note=note),
        single(f"a false alarm's pause ({what})", "ms", pause, n=len(pauses)),
        single(f"{clicks}: words not heard ({what})", "words", typed.missing, 0, note=said),
        single(f"{clicks}: the reply's stretch ({what})", "×", typed.stretch, 1.5, note=said),
    ]


def _wrong(comparison: Comparison) -> int:
    missing = abs(comparison.expected - comparison.played)
    return max(comparison.lost + comparison.repeated + comparison.different, missing)


def _say(comparison: Comparison) -> str:
    c = comparison
    return f"({c.lost} lost, {c.repeated} repeated, {c.different} changed of {c.expected})"


async def _both(address: str) -> tuple[Scene, Scene]:
    return await asyncio.gather(_scene(address, hold=True), _scene(address, hold=False))


async def _scene(address: str, *, hold: bool) -> Scene:
    """All at once, each in a session of its own."""
    begin = solo.start(hold=hold)
    async with solo.users(address, *[begin] * (len(NOISES) + 3), keep_audio=True) as listeners:
        short, long, typist, *others = listeners
        async with asyncio.TaskGroup() as tasks:
            whole = tasks.create_task(_undisturbed(short, TEXT))
            whole_long = tasks.create_task(_undisturbed(long, LONG_TEXT))
            typing = tasks.create_task(_typed(typist))
            for number, (listener, make) in enumerate(zip(others, NOISES.values(), strict=True)):
                tasks.create_task(_disturbed(listener, 0.8 + 0.13 * number, make()))
        found = [_judge(listener, noise, whole.result()) for listener, noise in zip(others, NOISES, strict=True)]
        heard, took_s = typing.result()
        missing = len(words(LONG_TEXT)) - len(words(" ".join(heard)))
        nominal_s = len(whole_long.result()) / 2 / RATE
        return found, Typed(missing, len(heard), _holds(typist), took_s / nominal_s)


async def _undisturbed(listener: Listener, text: str) -> bytes:
    await _say_text(listener, text)
    await _finished(listener)
    spans = join(listener.log.spans)
    if len(spans) != 1 or spans[0].sample != 0:
        raise Lost(f"undisturbed, a reply was not played in one piece: {spans}")
    return bytes(listener.log.audio)


async def _disturbed(listener: Listener, after_s: float, noise: bytes) -> None:
    """`noise` is made once, `after_s` into the reply."""
    await _say_text(listener, TEXT)
    await asyncio.sleep(after_s)
    listener.say(noise, offset=137)
    await _finished(listener)


def _judge(listener: Listener, noise: str, whole: bytes) -> Outcome:
    (turn, first_s), *_ = listener.log.first_sound_s.items()
    comparison = compare(listener.log.spans, bytes(listener.log.audio), whole, turn)
    return Outcome(noise, comparison, _holds(listener), listener.log.ended_s - first_s)


async def _typed(listener: Listener) -> tuple[list[str], float]:
    """What was heard, turn by turn, and the seconds from first sound to last."""
    turn = await _say_text(listener, LONG_TEXT)
    begun = asyncio.get_running_loop().time()
    for number in range(round(CLICKS_S * 4)):
        await asyncio.sleep(max(0.0, begun + 0.25 * (number + 1) - asyncio.get_running_loop().time()))
        listener.say(speech.key_click(number), offset=137)
    await _finished(listener, whole=True)
    heard = [x.heard for _, x in listener.log.messages if isinstance(x, m.TurnFinished)]
    return heard, listener.log.ended_s - listener.log.first_sound_s[turn]


async def _say_text(listener: Listener, text: str) -> int:
    listener.send(m.TextInput(text=text, mode="say"))
    return await wait_sounding(listener, 0)


async def _finished(listener: Listener, *, whole: bool = False) -> None:
    """Until a turn was heard; `whole`: until nothing of it was left unheard."""

    def over() -> bool:
        last = listener.last(m.TurnFinished)
        return last is not None and not (whole and last.unheard)

    await listener.until(over, "turn_finished", 90.0)


def _holds(listener: Listener) -> int:
    return listener.count(m.Hold if listener.start.hold else m.Clear)
