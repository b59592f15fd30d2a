"""What every speech engine promises, as checks that anybody can run on theirs.

    from tests.contract.engines.kit import EngineKit

    class TestMine(EngineKit):
        spec = ModelSpec("mine", "mine", {"path": "…"})
        engine = MyEngine

Each check gets a loaded model. An engine that declares less (`EngineInfo`) is asked for less. Text is English; set
`voice` where the default does not speak it. Ten to twenty seconds for an engine that is faster than real time.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pytest

from base.audio import to_float
from base.errors import AntiphonError
from base.language import matches
from base.loudness import active_speech_level
from tts_workers.engine import Audio, Engine, Mark, MarkKind, Model, ModelSpec, Request, Style
from tts_workers.models import LoadedModel, as_model
from tts_workers.sound import ChunkSound

TARGET_DBFS = -23.0
SENTENCES = (
    "Once upon a time there was a lighthouse keeper who collected the sounds of the sea.",
    "Each evening he wrote down what he had heard: the gulls, the ropes, the slow breathing of the tide.",
    "When the winter came, he read them aloud, and the storm listened.",
)
STRANGE = (
    "",
    " ",
    "\n\n",
    "…",
    "?!",
    "😀",
    "👨‍👩‍👧‍👦 family",
    "a\x00b\x07c",
    "<speak><break time='10s'/>hello</speak>",
    "[[h@loU]] [:phoneme]",
    "&lt;b&gt; &amp; %s {} \\n",
    "e\u0301a\u0308 naïve",
    "שלום שלום مرحبا नमस्ते 你好 こんにちは",
    "\u202eabc\u202c",
    "\ud800 lone",
    "zero\u200bwidth\u2060join",
    "1,234,567.89 and 0x7f and 1e-9",
    "https://example.com/a?b=c&d=e#f",
    "A" * 300,
    "9" * 120,
    ".".join("abc" * 40),
)


class EngineKit:
    engine: ClassVar[type[Engine]]
    spec: ClassVar[ModelSpec]
    voice: ClassVar[str] = ""
    deterministic: ClassVar[bool] = False
    """Whether the same request gives the same bytes."""
    loads: ClassVar[int] = 50
    """How often it is loaded and closed."""
    warm_loads: ClassVar[int] = 3
    """How often before that: what libraries keep for ever they have by then."""
    may_grow: ClassVar[int] = 16 * 2**20
    """Bytes of this process that may be left after all of them: less than a third of a MiB each."""

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls) -> Iterator[Model]:
        model = as_model(cls.engine().load(cls.spec))
        yield model
        model.close()

    def request(self, text: str, **more: Any) -> Request:
        more.setdefault("voice", self.voice)
        return Request(turn=1, text=text, **more)

    # --- what it says of itself ---------------------------------------------------------------------------------------

    def test_it_declares_itself(self, model: Model) -> None:
        info = model.info
        assert info.name
        assert info.licence
        assert 8_000 <= info.sample_rate <= 96_000
        assert info.default_voice in {v.id for v in info.voices}
        assert len({v.id for v in info.voices}) == len(info.voices)
        assert all(set(v.languages) <= set(info.languages) for v in info.voices)
        assert all("+" not in v.id and v.id.strip() == v.id for v in info.voices)

    # --- audio and marks ----------------------------------------------------------------------------------------------

    def test_speech_is_audible_and_of_a_likely_length(self, model: Model) -> None:
        pcm, _ = collect(model, self.request(SENTENCES[0]))
        wave = to_float(pcm)
        assert np.abs(wave).max() > 0.01
        assert 2.0 < len(wave) / model.info.sample_rate < 20.0

    def test_marks_are_in_order_inside_and_before_their_audio(self, model: Model) -> None:
        for text in SENTENCES:
            made = last = 0
            spans = []
            for item in model.synthesize(self.request(text)):
                if isinstance(item, Audio):
                    made += len(item.data) // 2
                    continue
                assert item.kind is MarkKind.WORD
                assert item.sample >= max(made, last)
                assert 0 <= item.start < item.end <= len(text)
                last = item.sample
                spans.append((item.start, item.end))
            assert last <= made
            assert spans == sorted(spans)
            if model.info.marks:
                assert [text[s:e].strip(".,:") for s, e in spans] == [word.strip(".,:") for word in text.split()]
            else:
                assert not spans

    def test_marks_hold_for_a_later_chunk_too(self, model: Model) -> None:
        first = collect(model, self.request("My dear friend."))[1]
        later = collect(model, self.request("My dear friend.", first=False, previous_text="Well, well."))[1]
        assert [(m.start, m.end) for m in first] == [(m.start, m.end) for m in later]

    @pytest.mark.parametrize("text", STRANGE, ids=range(len(STRANGE)))
    def test_strange_text_does_no_harm(self, model: Model, text: str) -> None:
        pcm, marks = collect(model, self.request(text), at_most_s=60)
        assert all(0 <= m.start <= m.end <= len(text) for m in marks)
        assert len(pcm) % 2 == 0
        assert len(collect(model, self.request("Still here."))[0]) > 0

    def test_markup_is_not_obeyed(self, model: Model) -> None:
        """A ten-second break must not be one."""
        pcm, _ = collect(model, self.request("<speak><break time='30s'/>hello</speak>"), at_most_s=60)
        assert len(pcm) / 2 / model.info.sample_rate < 25

    def test_a_very_long_text_comes_piece_by_piece(self, model: Model) -> None:
        for text in ("and so it goes on, " * 250, "x" * 4000, "word " * 800):
            items = model.synthesize(self.request(text))
            made = 0.0
            for item in items:
                made += len(item.data) / 2 / model.info.sample_rate if isinstance(item, Audio) else 0.0
                if made > 1.0:
                    break
            assert made > 1.0
            if model.info.streaming:
                assert made < 60.0
            items.close()

    # --- cancelling ---------------------------------------------------------------------------------------------------

    def test_it_can_be_left_at_every_item(self, model: Model) -> None:
        text = " ".join(SENTENCES)
        steps = min(len(list(model.synthesize(self.request(text)))), 40)
        for step in range(steps):
            items = model.synthesize(self.request(text))
            for _ in range(step):
                next(items)
            items.close()
        assert len(collect(model, self.request("Still here."))[0]) > 0

    def test_it_heeds_a_cancel_at_every_step(self, model: Model) -> None:
        if not model.info.cancellable:
            pytest.skip("it says that it cannot be cancelled")
        text = " ".join(SENTENCES * 3)
        for allowed in range(0, 12):
            asked = [0]

            def cancelled(asked: list[int] = asked, allowed: int = allowed) -> bool:
                asked[0] += 1
                return asked[0] > allowed

            pcm, _ = collect(model, self.request(text, cancelled=cancelled))
            if asked[0] > allowed:
                whole, _ = collect(model, self.request(text))
                assert len(pcm) < len(whole)
        assert collect(model, self.request(text, cancelled=lambda: True))[0] == b""

    # --- side by side -------------------------------------------------------------------------------------------------

    def test_interleaved_requests_do_not_mix(self, model: Model) -> None:
        alone = [collect(model, self.request(text)) for text in SENTENCES]
        running = [iter(model.synthesize(self.request(text))) for text in SENTENCES]
        parts: list[list[Audio | Mark]] = [[] for _ in running]
        live = set(range(len(running)))
        while live:
            for i in sorted(live):
                item = next(running[i], None)
                if item is None:
                    live.discard(i)
                else:
                    parts[i].append(item)
        for (pcm, marks), mixed in zip(alone, parts, strict=True):
            self.same(model, pcm, marks, *split(mixed))

    def test_requests_on_many_threads_do_not_mix(self, model: Model) -> None:
        alone = [collect(model, self.request(text)) for text in SENTENCES]
        found: list[list[tuple[bytes, list[Mark]]]] = [[] for _ in SENTENCES]

        def speak(i: int) -> None:
            for _ in range(3):
                found[i].append(collect(model, self.request(SENTENCES[i])))

        threads = [threading.Thread(target=speak, args=(i,)) for i in range(len(SENTENCES)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for (pcm, marks), results in zip(alone, found, strict=True):
            assert len(results) == 9
            for result in results:
                self.same(model, pcm, marks, *result)

    def same(self, model: Model, pcm: bytes, marks: list[Mark], pcm2: bytes, marks2: list[Mark]) -> None:
        assert [(m.start, m.end) for m in marks] == [(m.start, m.end) for m in marks2]
        if self.deterministic:
            assert pcm == pcm2
            return
        rate = model.info.sample_rate
        assert abs(len(pcm) - len(pcm2)) < 2 * 0.03 * rate
        a, b = envelope(pcm, rate), envelope(pcm2, rate)
        n = min(len(a), len(b))
        assert np.corrcoef(a[:n], b[:n])[0, 1] > 0.95

    # --- style and loudness -------------------------------------------------------------------------------------------

    def test_rate_changes_the_length(self, model: Model) -> None:
        if not model.info.prosody:
            pytest.skip("it says that it has no prosody")
        slow, normal, fast = (
            len(collect(model, self.request(SENTENCES[0], style=Style(rate=rate)))[0]) for rate in (0.5, 1.0, 2.0)
        )
        assert slow / normal == pytest.approx(2.0, rel=0.15)
        assert normal / fast == pytest.approx(2.0, rel=0.15)

    def test_loudness_is_that_of_all_voices_with_one_gain(self, model: Model) -> None:
        loaded = LoadedModel(self.spec, model, TARGET_DBFS)
        english = [v.id for v in model.info.voices if any(matches("en", tag) for tag in v.languages)]
        for voice in dict.fromkeys([self.voice or model.info.default_voice, *english[:3]]):
            gain = loaded.gain(voice)
            assert loaded.gain(voice) == gain
            out = b""
            for text in SENTENCES:
                sound = ChunkSound(model.info.sample_rate, 48_000, gain=gain, start=0, text_size=len(text))
                pcm, _ = collect(model, Request(turn=1, text=text, voice=voice))
                out += sound.push(pcm) + sound.finish()
            wave = to_float(out)
            assert len(wave) > 10 * 48_000
            assert active_speech_level(wave, 48_000).dbfs == pytest.approx(TARGET_DBFS, abs=1.0), voice
            assert np.abs(wave).max() < 0.9

    def test_chunks_begin_and_end_without_a_click(self, model: Model) -> None:
        for text in SENTENCES:
            wave = to_float(collect(model, self.request(text))[0])
            assert abs(wave[0]) < 0.02
            assert abs(wave[-1]) < 0.02

    # --- errors and life ----------------------------------------------------------------------------------------------

    def test_an_unknown_voice_is_an_error_of_its_request(self, model: Model) -> None:
        if len(model.info.voices) > 1 and model.info.name != "sine":
            with pytest.raises(AntiphonError):
                collect(model, self.request("Hello.", voice="no-such-voice/../x"))
        assert len(collect(model, self.request("Still here."))[0]) > 0

    def test_loading_and_closing_leaves_nothing_behind(self) -> None:
        def once() -> None:
            model = as_model(self.engine().load(self.spec))
            collect(model, self.request("Hello."))
            model.close()

        for _ in range(self.warm_loads):
            once()
        before, files, threads = resident_bytes(), open_files(), threading.active_count()
        for _ in range(self.loads):
            once()
        assert (open_files(), threading.active_count()) == (files, threads)
        if before:
            assert resident_bytes() - before < self.may_grow


def collect(model: Model, request: Request, *, at_most_s: float = 600.0) -> tuple[bytes, list[Mark]]:
    items: list[Audio | Mark] = []
    made = 0.0
    for item in model.synthesize(request):
        items.append(item)
        made += len(item.data) / 2 / model.info.sample_rate if isinstance(item, Audio) else 0.0
        if made > at_most_s:
            break
    return split(items)


def split(items: list[Audio | Mark]) -> tuple[bytes, list[Mark]]:
    pcm = b"".join(item.data for item in items if isinstance(item, Audio))
    return pcm, [item for item in items if isinstance(item, Mark)]


def envelope(pcm: bytes, rate: int) -> np.ndarray:
    """RMS of 50 ms pieces, smoothed so that a few milliseconds of drift don't matter."""
    wave = to_float(pcm)
    size = rate // 20
    rms = np.sqrt((wave[: len(wave) // size * size].reshape(-1, size) ** 2).mean(axis=1))
    return np.convolve(rms, np.ones(3) / 3, mode="same")


def resident_bytes() -> int:
    """Of this process; 0 where that cannot be had."""
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def open_files() -> int:
    return len(os.listdir("/dev/fd"))
