"""A spoken conversation in real browsers: real speech into their microphones, and out of them what a user hears.

The microphone is one recording: a question; a story is asked for, coughed over and then talked over. What the page
shows as said is held against the same recogniser alone; what it plays is recorded in the page and told apart from what
else it might have been.
"""

from __future__ import annotations

import asyncio
import base64
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from antiphon.wavs import read_wav, write_wav
from antiphon.web_files import ensure_livekit_client
from base.audio import UPLINK_RATE, StreamResampler
from tests.support import livekit, pulse
from tests.support.browsers import (
    LIMIT_S,
    Tab,
    chromium,
    chromium_tab,
    firefox_tab,
    needs_chromium,
    require_firefox,
    sees,
)
from tests.support.dialogue import ANSWERS, GRAMMAR, LIBRARY, NAME, STORY
from tests.support.house import house, service
from tests.support.recognition import Stream, asr_worker
from tests.support.speech import cough, pick, speaking

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

VOICE = "en-us"
"""Of the accent that the recogniser was trained on."""
AUDIBLE = 500
SCHEDULE_S = {LIBRARY: 6.0, STORY: 14.0, "(cough)": 22.0, NAME: 25.5}
"""When each begins, from when the microphone is opened. The first answer takes 2 s, the story 20; the rest is room for
a busy machine to connect, and to recognise."""
LENGTH_S = 28.0
CLOCK_S = 0.3

SPIES = """
window.tape = []; window.story = [];
(() => {
  const { client } = document.querySelector("antiphon-talk");
  const told = ["state", "transcript", "turn_ended", "turn_finished", "latency", "session_started", "notice", "error"];
  for (const type of told) {
    client.addEventListener(type, ({ detail }) => story.push({ at: performance.now(), type, ...detail }));
  }
  // The microphone's own worklet cuts what is played as well: on the audio thread, so that nothing is lost.
  let tapped = null;
  setInterval(() => {
    const { output } = client;
    if (!output || output === tapped || client.status !== "open") return;
    tapped = output;
    const { context } = output;
    let begun = null;
    const recorder = new AudioWorkletNode(context, "antiphon-microphone", { numberOfOutputs: 0, channelCount: 1 });
    recorder.port.onmessage = ({ data: { sample, pcm } }) => {
      // By its first piece: how long the context was there before, and what it calls now, each browser has its own way.
      begun ??= performance.now() - ((sample + pcm.length) / context.sampleRate) * 1000;
      tape.push({ at: begun + (sample / context.sampleRate) * 1000, rate: context.sampleRate, pcm });
    };
    output.connect(recorder);
  }, 50);
})();
"""
TAPE = """tape.map(({ at, rate, pcm }) => {
  return { at, rate, pcm: btoa(String.fromCharCode(...new Uint8Array(pcm.buffer))) };
})"""
SHOWN = """[...document.querySelector("antiphon-talk").shadowRoot.querySelectorAll("#captions .entry")].map((e) => ({
  kind: e.className,
  text: [...e.childNodes].filter((n) => n.className !== "visually-hidden").map((n) => n.textContent).join(""),
  heard: e.querySelector(".heard")?.textContent ?? "", unheard: e.querySelector(".unheard")?.textContent ?? "",
}))"""


@dataclass(frozen=True)
class Piece:
    """What the page played, from `at_s` on by its clock."""

    at_s: float
    rate: int
    samples: np.ndarray[Any, np.dtype[np.int16]]

    @property
    def end_s(self) -> float:
        return self.at_s + len(self.samples) / self.rate


class Evidence:
    """What was seen and heard in the page."""

    def __init__(self, story: list[dict[str, Any]], tape: list[dict[str, Any]], shown: list[dict[str, str]]) -> None:
        self.story = story
        self.shown = shown
        self.tape = [
            Piece(p["at"] / 1000, round(p["rate"]), np.frombuffer(base64.b64decode(p["pcm"]), np.int16)) for p in tape
        ]

    def all(self, type: str, **fields: Any) -> list[dict[str, Any]]:
        return [e for e in self.story if e["type"] == type and all(e.get(k) == v for k, v in fields.items())]

    def sound(self, begin_s: float, end_s: float) -> bytes:
        """At the recogniser's rate."""
        pieces = [p for p in self.tape if begin_s <= p.at_s < end_s]
        assert pieces, f"nothing was recorded from {begin_s:.2f} to {end_s:.2f} s"
        resampler = StreamResampler(pieces[0].rate, UPLINK_RATE)
        return resampler.process(np.concatenate([p.samples for p in pieces]).tobytes()) + resampler.flush()

    def reply(self, to: str) -> bytes:
        """The sound of the reply to a question."""
        ended = self.all("turn_ended", transcript=to)[0]
        finished = self.all("turn_finished", turn=ended["turn"])[0]
        return self.sound(ended["at"] / 1000, finished["at"] / 1000 + 0.5)

    def silent_s(self, after_s: float, until_s: float) -> float:
        """Seconds from then until the last audible sample before `until_s`."""
        last = after_s
        for piece in self.tape:
            audible = np.flatnonzero(np.abs(piece.samples.astype(np.int32)) > AUDIBLE)
            if after_s <= piece.at_s < until_s and len(audible):
                last = piece.at_s + int(audible[-1]) / piece.rate
        return last - after_s


@contextmanager
def recording(folder: Path) -> Iterator[tuple[Path, dict[str, bytes]]]:
    """The microphone's WAV, and what was said in it."""
    with speaking() as speech:
        said = {text: cough() if text == "(cough)" else speech(text) for text in SCHEDULE_S}
    pcm = bytearray(round(LENGTH_S * UPLINK_RATE) * 2)
    for text, at_s in SCHEDULE_S.items():
        begin = round(at_s * UPLINK_RATE) * 2
        pcm[begin : begin + len(said[text])] = said[text]
    write_wav(folder / "microphone.wav", bytes(pcm), UPLINK_RATE)
    yield folder / "microphone.wav", said


@asynccontextmanager
async def home(*flags: str) -> AsyncIterator[str]:
    """The address of an orchestrator, a process of its own, with a voice and ears that are real."""
    async with house(tts_settings={"engine": "espeak"}, asr=0) as here:
        await here.asr("ears", engine="pocketsphinx")
        place = ("--registry", here.registry, "--port", "0", "--grpc-port", "-1")
        wanted = ("--responder", "tests.support.dialogue:Dialogue", "--voice", VOICE, "--final-ms", "5000")
        async with service("orchestrator", *place, *wanted, *flags) as front:
            url = f"http://{front.address}"
            await ready(here.http, url, tts_workers=1, asr_workers=1, livekit="registered" if flags else "off")
            yield url


async def ready(http: aiohttp.ClientSession, url: str, **facts: Any) -> None:
    async with asyncio.timeout(LIMIT_S):
        while True:
            async with http.get(f"{url}/readyz") as answer:
                if facts.items() <= (await answer.json()).items():
                    return
            await asyncio.sleep(0.05)


@asynccontextmanager
async def reached_by(transport: str) -> AsyncIterator[str]:
    """A home that the page reaches over WebSocket, or through a LiveKit of its own."""
    if transport == "websocket":
        async with home() as url:
            yield url
        return
    livekit.require()
    await ensure_livekit_client()
    async with (
        livekit.livekit_server() as server,
        home("--livekit-url", server.url, "--livekit-key-file", str(server.key_file)) as url,
    ):
        yield url


async def converse(tab: Tab, speak: Callable[[], None]) -> Evidence:
    """From the tap to the answer of the last question. `speak` starts the recording, if the browser does not."""
    await tab.click("talk")
    await sees(tab, "document.querySelector('antiphon-talk').client.microphone === 'open'")
    speak()
    await sees(tab, f"story.some((e) => e.type === 'turn_finished' && e.heard === {ANSWERS[NAME]!r})", 90)
    await asyncio.sleep(0.7)  # what was heard last is on the tape by then
    return Evidence(await tab.value("story"), await tab.value(TAPE), await tab.value(SHOWN))


async def judge(found: Evidence, said: dict[str, bytes], report: Callable[[str], None]) -> None:
    print("\n".join(map(str, [*found.story, *found.shown])))  # for a test that failed
    questions = [LIBRARY, STORY, NAME]
    async with asr_worker(engine="pocketsphinx") as stub:
        ears = Stream(stub)
        await ears.open(language="en", phrases=tuple(ANSWERS))
        alone = [(await ears.hear(n, said[text])).text for n, text in enumerate(questions)]
        await ears.done()
    picked = [await asyncio.to_thread(pick, GRAMMAR, found.reply(question)) for question in (LIBRARY, NAME)]
    shown = [entry["text"] for entry in found.shown if entry["kind"] == "entry you"]
    report(f"heard as {shown}, by the recogniser alone as {alone}; replies {picked}")
    wrong = sum(word_errors(a, b) for a, b in zip(questions, shown, strict=True))
    assert wrong <= sum(word_errors(a, b) for a, b in zip(questions, alone, strict=True))
    assert picked == [ANSWERS[LIBRARY], ANSWERS[NAME]]
    # A cough: held, and on from there. Words: silent, and what was not heard is struck out.
    (told,) = found.all("turn_ended", transcript=STORY)
    story = told["turn"]
    states = [e["state"] for e in found.all("state") if e["at"] > told["at"]]
    held = [i for i, state in enumerate(states) if state == "barged_in"]
    assert len(held) == 2, states
    assert states[held[0] + 1] == "speaking", states
    finished = found.all("turn_finished", turn=story)
    assert [e["reason"] for e in finished] == ["barge_in"]
    cut = [entry for entry in found.shown if entry["unheard"]][-1]
    assert cut["heard"].strip() == finished[0]["heard"]
    assert cut["unheard"] == finished[0]["unheard"]
    assert " ".join((finished[0]["heard"], finished[0]["unheard"])) == ANSWERS[STORY]
    (asked,) = found.all("turn_ended", transcript=NAME)
    # The next reply may sound right after its turn ended; the tape's clock is some hundredths of a second off.
    silent_s = found.silent_s(finished[0]["at"] / 1000, asked["at"] / 1000 - CLOCK_S)
    assert silent_s < 0.3, "it goes on after it was stopped"
    measured = [{k: round(v, 3) for k, v in e.items() if k.endswith("_s")} for e in found.all("latency")]
    report(f"the page measured {measured}")
    assert any("silence_s" in m for m in measured)
    assert any("response_s" in m for m in measured)


def word_errors(said: str, heard: str) -> int:
    """Words inserted, deleted and replaced (Levenshtein)."""
    a, b = said.split(), heard.split()
    row = list(range(len(b) + 1))
    for n, word in enumerate(a, 1):
        last, row[0] = row[0], n
        for k, other in enumerate(b, 1):
            last, row[k] = row[k], min(row[k] + 1, row[k - 1] + 1, last + (word != other))
    return row[-1]


@needs_chromium
@pytest.mark.parametrize("transport", ["websocket", "livekit"])
async def test_a_conversation_in_chromium(tmp_path: Path, report: Callable[[str], None], transport: str) -> None:
    with recording(tmp_path) as (wav, said):
        async with reached_by(transport) as url, chromium(wav=wav) as browser:
            context = await browser.new_context()
            async with chromium_tab(context, url) as tab:
                await tab.page.evaluate(SPIES)
                # A busy machine may take its time; that 3 s are enough is not what is tested here.
                await tab.value("document.querySelector('antiphon-talk').options.media_s = 30")
                found = await converse(tab, lambda: None)
                assert await tab.value("document.querySelector('antiphon-talk').client.transport") == transport
    assert found.all("error") == []
    await judge(found, said, report)


async def test_a_conversation_in_firefox(tmp_path: Path, report: Callable[[str], None]) -> None:
    pulse.require()
    require_firefox()
    with (
        recording(tmp_path) as (wav, said),
        tempfile.TemporaryDirectory(prefix="snd") as place,
        pulse.sound_system(Path(place), echo=False) as sound,
    ):
        playing: list[subprocess.Popen[bytes]] = []
        pcm = read_wav(wav, UPLINK_RATE)
        async with home() as url, firefox_tab(url, sound.env, SPIES) as tab:
            try:
                found = await converse(tab, lambda: playing.append(sound.play(pcm, rate=UPLINK_RATE)))
            finally:
                for each in playing:
                    pulse.end(each)
    await judge(found, said, report)
