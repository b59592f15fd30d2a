"""Whether what is said here can be understood: by PocketSphinx, which is no great listener, but always the same one,
and by Moonshine, where it is installed.

With a grammar of the sentences PocketSphinx should pick the right one. Without, an ear's word error rate on what a
listener's loudspeaker played may be little above that on the engine's own audio; and what it hears of a voice through
the system (microphone, VAD, network, worker) little off what it hears of the same samples when they are given to it
directly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from asr.engines.moonshine import files as moonshine
from base.audio import UPLINK_RATE, StreamResampler
from benchmarks import hearing, scenes, solo, speech
from benchmarks.listener import Listener
from benchmarks.rows import Row, single
from benchmarks.sentences import SENTENCES
from benchmarks.stack import stack
from benchmarks.suite import Options
from benchmarks.words import error_rate, words
from orchestrator import messages as m

VOICES = ("en-us", "en-gb", "en-gb-scotland")
FREE = 16
"""Sentences a voice that are recognised without a grammar."""
RATES = (1.0, 0.85)
"""How fast every sentence is said at a microphone's pace. What is compared there differs by chance in a word of ten, so
that it takes many."""
PARALLEL = 4
"""Sessions a voice that are listened to at once."""

Pairs = list[tuple[str, str]]


def run(options: Options) -> list[Row]:
    """Quick: a few sentences of one voice, picked from a grammar, and nothing else."""
    voices = VOICES[: options.pick(3, 1)]
    sentences = SENTENCES[: options.pick(len(SENTENCES), 8)]
    own = [[speech.utterance(text, voice) for text in sentences] for voice in voices]
    options.note("intelligible: with a grammar")
    picked = _pairs(sentences, hearing.transcripts(own, sentences))
    rows = [_picked(picked, f"{len(sentences)} sentences × {len(voices)} voices")]
    if options.quick:
        return rows
    ears = ["pocketsphinx", *(["moonshine"] if moonshine.is_installed() else [])]
    options.note("intelligible: through the whole path to a loudspeaker")
    with stack(engine="espeak") as made:
        played = solo.run(_play_all(made.orchestrator.address, voices, sentences[:FREE]))
    said = [[[speech.utterance(text, voice, rate) for text in SENTENCES] for voice in voices] for rate in RATES]
    for ear in ears:
        rows += _free(options, ear, [pcms[:FREE] for pcms in own], played, said)
    return rows


def _free(
    options: Options, ear: str, own: list[list[bytes]], played: list[list[bytes]], said: list[list[list[bytes]]]
) -> list[Row]:
    """What an ear hears without a grammar: of the engine's own audio and of what was played; of voices, by itself and
    through the system."""
    options.note(f"intelligible: {ear} without a grammar")
    heard = [_pairs(SENTENCES[:FREE], hearing.transcripts(lists, ear=ear)) for lists in (own, played)]
    options.note(f"intelligible: {ear}, from a microphone through the system")
    alone = [found for batch in said for found in hearing.transcripts(batch, ear=ear)]
    # What is compared is what is heard, not how soon: finals are waited for.
    with stack(ear=ear, orchestrator=("--final-ms", "10000")) as made:
        system = [found for batch in said for found in solo.run(_say_all(made.orchestrator.address, batch))]
    return [*_errors(ear, *heard), *_off(ear, _pairs(SENTENCES, system), _pairs(SENTENCES, alone))]


def _pairs(sentences: Sequence[str], lists: Sequence[Sequence[str]]) -> Pairs:
    return [pair for found in lists for pair in zip(sentences, found, strict=True)]


def _picked(pairs: Pairs, what: str) -> Row:
    wrong = sorted({said for said, found in pairs if words(said) != words(found)})
    right = 100 * sum(words(said) == words(found) for said, found in pairs) / len(pairs)
    note = "wrong: " + "; ".join(wrong) if wrong else ""
    name = f"the right sentence picked from a grammar ({what})"
    return single(name, "%", right, 95, least=True, n=len(pairs), note=note)


def _errors(ear: str, direct: Pairs, through: Pairs) -> list[Row]:
    own, path = error_rate(direct), error_rate(through)
    return [
        single(f"{ear}: word error rate on the engine's own audio", "", own, n=len(direct)),
        single(f"{ear}: word error rate of what a loudspeaker played", "", path, n=len(through)),
        single("… above that of the engine's own audio", "", path - own, 0.05, n=len(through)),
    ]


def _off(ear: str, system: Pairs, alone: Pairs) -> list[Row]:
    mine, theirs = error_rate(system), error_rate(alone)
    note = f"{theirs:.3f} alone"
    return [
        single(f"{ear}: word error rate of a voice through the system", "", mine, n=len(system)),
        single("… off that of the recogniser alone", "", abs(mine - theirs), 0.02, n=len(system), note=note),
    ]


async def _play_all(address: str, voices: Sequence[str], sentences: Sequence[str]) -> list[list[bytes]]:
    """A list a voice: every sentence as a loudspeaker played it, at 16 kHz."""
    begin = [solo.start(voice=voice) for voice in voices for _ in range(PARALLEL)]
    async with solo.users(address, *begin, keep_audio=True) as listeners:
        parts = [_play(listener, sentences[i % PARALLEL :: PARALLEL]) for i, listener in enumerate(listeners)]
        found = await asyncio.gather(*parts)
    by_voice = [found[i : i + PARALLEL] for i in range(0, len(found), PARALLEL)]
    return [[part[i % PARALLEL][i // PARALLEL] for i in range(len(sentences))] for part in by_voice]


async def _play(listener: Listener, texts: Sequence[str]) -> list[bytes]:
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


async def _say(listener: Listener, pcms: list[bytes]) -> list[str]:
    """What was understood of each: its finals."""

    def answer(message: m.ServerMessage) -> None:
        if isinstance(message, m.TurnEnded):
            listener.send(m.ReplyEnd(turn=message.turn))

    listener.on_message = answer
    out = []
    for pcm in pcms:
        listener.log.messages.clear()
        await scenes.say_all(listener, pcm)
        finals = [x.text for _, x in listener.log.messages if isinstance(x, m.Transcript) and x.final]
        out.append(" ".join(finals))
    return out
