"""Noises over a reply: it holds, it goes on, and what the loudspeaker played is what it plays undisturbed.

For each kind of client a reply is first played without a noise; then with each noise, and with four key clicks a second
for ten seconds. Places are compared by offset, samples by value. A noise that did not make the reply hold proves
nothing, so the notes say how often it held.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks import solo, speech
from benchmarks.listener import Listener, Lost
from benchmarks.rows import Row, percentile, single
from benchmarks.scenes import wait_sounding
from benchmarks.sound import Comparison, compare
from benchmarks.stack import stack
from benchmarks.suite import Options
from orchestrator import messages as m

TEXT = "Once there was a tone that went on and on, whatever noise was made about it, until it had said all. "
LONG_TEXT = TEXT * 3
CLICKS_S = 10.0

NOISES: dict[str, Callable[[], bytes]] = {
    "knock": speech.knock,
    "cough": speech.cough,
    "100 ms of noise": speech.noise_burst,
    "hum of a throat": lambda: speech.synthetic_speech(0.15),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    noise: str
    comparison: Comparison
    holds: int
    took_s: float
    """From the reply's first sample to its last, by the loudspeaker."""


def run(options: Options) -> list[Row]:
    rows: list[Row] = []
    for engine in ("sine",) if options.quick else ("sine", "espeak"):
        options.note(f"false_alarm: {engine}")
        with stack(engine=engine) as made:
            holding = solo.run(_scene(made.orchestrator.address, hold=True))
            following = solo.run(_scene(made.orchestrator.address, hold=False))
        rows += _rows(holding, f"{engine}, client that holds")
        rows += _rows(following, f"{engine}, client that cannot hold")
    return rows


def _rows(found: list[Outcome], what: str) -> list[Row]:
    single_noises = [x for x in found if x.noise != "clicks"]
    clicks = next(x for x in found if x.noise == "clicks")
    bad = [x for x in found if not x.comparison.exact]
    wrong = sum(_wrong(x.comparison) for x in single_noises)
    held = sum(1 for x in single_noises if x.holds)
    note = f"held at {held} of {len(single_noises)} noises"
    if bad:
        note += "; not exact: " + ", ".join(f"{x.noise} {_say(x.comparison)}" for x in bad)
    exact = wrong if held else None
    nominal_s = clicks.comparison.expected / 48_000
    pauses = [x.took_s - x.comparison.expected / 48_000 for x in single_noises if x.holds]
    return [
        single(f"noise over a reply, samples lost, repeated or changed ({what})", "samples", exact, 0, note=note),
        single(
            f"a false alarm's pause ({what})",
            "ms",
            percentile(pauses, 50) * 1000 if pauses else None,
            n=len(pauses),
        ),
        single(
            f"4 key clicks a second for {CLICKS_S:g} s, samples lost, repeated or changed ({what})",
            "samples",
            _wrong(clicks.comparison),
            0,
            note=f"held {clicks.holds} times",
        ),
        single(f"4 key clicks a second, the reply's stretch ({what})", "×", clicks.took_s / nominal_s, 1.5),
    ]


def _wrong(comparison: Comparison) -> int:
    missing = abs(comparison.expected - comparison.played)
    return max(comparison.lost + comparison.repeated + comparison.different, missing)


def _say(comparison: Comparison) -> str:
    c = comparison
    return f"({c.lost} lost, {c.repeated} repeated, {c.different} changed of {c.expected})"


async def _scene(address: str, *, hold: bool) -> list[Outcome]:
    begin = solo.start(hold=hold)
    async with solo.users(address, *[begin] * (len(NOISES) + 3), keep_audio=True) as listeners:
        short, long, clicked, *noisy = listeners
        whole, whole_long = await asyncio.gather(_undisturbed(short, TEXT), _undisturbed(long, LONG_TEXT))
        clicks = [(0.2 + 0.25 * i, speech.key_click(i)) for i in range(round(CLICKS_S * 4))]
        parts = [_disturbed(clicked, LONG_TEXT, whole_long, "clicks", clicks)]
        for number, (listener, (noise, make)) in enumerate(zip(noisy, NOISES.items(), strict=True)):
            parts.append(_disturbed(listener, TEXT, whole, noise, [(0.8 + 0.13 * number, make())]))
        return await asyncio.gather(*parts)


async def _undisturbed(listener: Listener, text: str) -> bytes:
    turn = await _play(listener, text, [])
    spans = listener.spans(turn)
    if len(spans) != 1 or spans[0].sample != 0:
        raise Lost(f"undisturbed, turn {turn} was not played in one piece: {spans}")
    return bytes(listener.log.audio)


async def _disturbed(
    listener: Listener, text: str, whole: bytes, noise: str, noises: Sequence[tuple[float, bytes]]
) -> Outcome:
    """`noises` with the seconds after the reply's first sound at which they are made."""
    turn = await _play(listener, text, noises)
    holds = listener.count(m.Hold if listener.start.hold else m.Clear)
    comparison = compare(listener.log.spans, bytes(listener.log.audio), whole, turn)
    return Outcome(noise, comparison, holds, listener.log.ended_s - listener.log.first_sound_s[turn])


async def _play(listener: Listener, text: str, noises: Sequence[tuple[float, bytes]]) -> int:
    listener.send(m.TextInput(text=text, mode="say"))
    turn = await wait_sounding(listener, 0)
    began = asyncio.get_running_loop().time()
    for after_s, pcm in noises:
        await asyncio.sleep(max(0.0, began + after_s - asyncio.get_running_loop().time()))
        listener.say(pcm, offset=137)
    await listener.until(lambda: listener.count(m.TurnFinished) > 0, "turn_finished", 120.0)
    return turn
