"""Whether what is said here can be understood, by PocketSphinx: it is no great listener, but always the same one.

With a grammar of the sentences it should pick the right one. Without, its word error rate on what a listener's
loudspeaker played may be little above that on the engine's own audio; and what it hears of a voice through the system
(microphone, VAD, network, worker) little off what it hears of the same samples when they are given to it directly.
"""

from __future__ import annotations

import asyncio

from base.audio import UPLINK_RATE, StreamResampler
from benchmarks import hearing, solo, speech
from benchmarks.listener import Listener
from benchmarks.rows import Row, single
from benchmarks.sentences import SENTENCES
from benchmarks.stack import stack
from benchmarks.suite import Options
from benchmarks.words import error_rate, words
from orchestrator import messages as m

VOICES = ("en-us", "en-gb", "en-gb-scotland")
PARALLEL = 4
"""Sessions a voice that are listened to at once."""

Pairs = list[tuple[str, str]]


def run(options: Options) -> list[Row]:
    voices = VOICES[: options.pick(3, 1)]
    sentences = SENTENCES[: options.pick(len(SENTENCES), 8)]
    own = [[speech.utterance(text, voice) for text in sentences] for voice in voices]
    options.note("intelligible: with a grammar")
    picked = [pair for found in hearing.transcripts(own, sentences) for pair in zip(sentences, found, strict=True)]
    options.note("intelligible: on the engine's own audio")
    direct = [pair for found in hearing.transcripts(own) for pair in zip(sentences, found, strict=True)]
    options.note("intelligible: through the whole path to a loudspeaker")
    with stack(engine="espeak") as made:
        played = [solo.run(_play_all(made.orchestrator.address, voice, sentences)) for voice in voices]
    through = [pair for found in hearing.transcripts(played) for pair in zip(sentences, found, strict=True)]
    options.note("intelligible: from a microphone through the system")
    said = sentences[:12]
    with stack(ear="pocketsphinx") as made:
        heard = solo.run(_say_all(made.orchestrator.address, [lists[: len(said)] for lists in own]))
    system = [pair for found in heard for pair in zip(said, found, strict=True)]
    alone = [pair for i in range(len(voices)) for pair in direct[i * len(sentences) :][: len(said)]]
    what = f"{len(sentences)} sentences × {len(voices)} voices"
    return _rows(picked, direct, through, system, alone, what)


def _rows(picked: Pairs, direct: Pairs, through: Pairs, system: Pairs, alone: Pairs, what: str) -> list[Row]:
    wrong = [said for said, found in picked if words(said) != words(found)]
    right = 100 * (1 - len(wrong) / len(picked))
    own, path = error_rate(direct), error_rate(through)
    mine, theirs = error_rate(system), error_rate(alone)
    return [
        single(
            f"the right sentence picked from a grammar ({what})",
            "%",
            right,
            95,
            least=True,
            n=len(picked),
            note="wrong: " + "; ".join(sorted(set(wrong))) if wrong else "",
        ),
        single("word error rate on the engine's own audio", "", own, n=len(direct)),
        single("word error rate of what a loudspeaker played", "", path, n=len(through)),
        single("… above that of the engine's own audio", "", path - own, 0.05, n=len(through)),
        single("word error rate of a voice through the system", "", mine, n=len(system)),
        single(
            "… off that of the recogniser alone",
            "",
            abs(mine - theirs),
            0.02,
            n=len(system),
            note=f"alone {theirs:.3f}",
        ),
    ]


async def _play_all(address: str, voice: str, sentences: tuple[str, ...]) -> list[bytes]:
    """Every sentence as a loudspeaker played it, at 16 kHz."""
    async with solo.users(address, *[solo.start(voice=voice)] * PARALLEL, keep_audio=True) as listeners:
        parts = [_play(listener, sentences[number::PARALLEL]) for number, listener in enumerate(listeners)]
        found = await asyncio.gather(*parts)
    return [found[number % PARALLEL][number // PARALLEL] for number in range(len(sentences))]


async def _play(listener: Listener, texts: tuple[str, ...]) -> list[bytes]:
    out = []
    for number, text in enumerate(texts, 1):
        listener.log.audio.clear()
        listener.send(m.TextInput(text=f"{text[0].upper()}{text[1:]}.", mode="say"))
        await listener.until(lambda number=number: listener.count(m.TurnFinished) >= number, "turn_finished", 60.0)  # type: ignore[misc]
        resampler = StreamResampler(listener.rate, UPLINK_RATE)
        out.append(speech.levelled(resampler.process(bytes(listener.log.audio)) + resampler.flush()))
    return out


async def _say_all(address: str, lists: list[list[bytes]]) -> list[list[str]]:
    """Each list in a session of its own, at the pace of a microphone."""
    async with solo.users(address, *[solo.start()] * len(lists)) as listeners:
        return await asyncio.gather(*(_say(x, pcms) for x, pcms in zip(listeners, lists, strict=True)))


def _state(listener: Listener) -> str:
    state = listener.last(m.State)
    return state.state if state is not None else ""


async def _say(listener: Listener, pcms: list[bytes]) -> list[str]:
    """What was understood of each; "" where it was told that there were no words."""

    def answer(message: m.ServerMessage) -> None:
        if isinstance(message, m.TurnEnded):
            listener.send(m.ReplyEnd(turn=message.turn))

    listener.on_message = answer
    out = []
    for pcm in pcms:
        ended, notices = listener.count(m.TurnEnded), listener.count(m.Notice)
        listener.say(pcm)

        def over(ended: int = ended, notices: int = notices) -> bool:
            return listener.count(m.TurnEnded) > ended or listener.count(m.Notice) > notices

        await listener.until(over, "turn_ended", 30.0)
        turn = listener.last(m.TurnEnded)
        out.append(turn.transcript if turn is not None and listener.count(m.TurnEnded) > ended else "")
        await listener.until(lambda: _state(listener) in ("idle", ""), "idle", 10.0)
    return out
