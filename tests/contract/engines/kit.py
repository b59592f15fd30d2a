"""What every speech engine promises, as checks that anybody can run on theirs (docs/engines.md says how).

    from tests.contract.engines.kit import EngineKit
    from tts_workers.engine import ModelSpec

    class TestMine(EngineKit):
        engine = MyEngine
        spec = ModelSpec("mine", "my_module:MyEngine", {"path": "…"})

Each check gets a loaded model. An engine that declares less (`EngineInfo`) is asked for less. Text is English; set
`voice` where the default does not speak it. Half a minute for an engine that is faster than real time.
Everything that a check hears goes through `heard`, which holds the rules of the port for every single item.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from itertools import product
from typing import Any, ClassVar

import numpy as np
import pytest

from base.audio import to_float
from base.errors import AntiphonError
from base.language import ANY, matches
from base.loudness import active_speech_level
from tts_workers import values as v
from tts_workers.engine import (
    Audio,
    Engine,
    EngineInfo,
    Inspects,
    Mark,
    MarkKind,
    Measured,
    Model,
    ModelSpec,
    Request,
    Style,
)
from tts_workers.isolated.model import Loading
from tts_workers.models import STYLE_RANGES, LoadedModel, as_model
from tts_workers.sound import ChunkSound

from .counts import child_processes, open_files, resident_bytes
from .session import Heard, converse

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
NOBODY = "no-such-voice/../x"
UNSPOKEN = ("zxx", "tlh", "qaa")
"""Language tags; nobody declares all of them."""


class EngineKit:
    engine: ClassVar[type[Engine]]
    spec: ClassVar[ModelSpec]
    voice: ClassVar[str] = ""
    failing: ClassVar[Request | None] = None
    """A request that this engine begins and cannot finish, where there is one."""
    deterministic: ClassVar[bool] = False
    """Whether the same request gives the same bytes."""
    isolated: ClassVar[bool | None] = None
    """Whether its models get processes of their own, as `isolate = true` would; None: as the engine itself says."""
    loads: ClassVar[int] = 50
    """How often it is loaded and closed."""
    warm_loads: ClassVar[int] = 4
    """How often before that: what libraries keep for ever they have by then."""
    may_grow: ClassVar[int] = 16 * 2**20
    """Bytes of this process that may be left after all of them: less than a third of a MiB each."""

    @classmethod
    def load(cls) -> Model:
        if cls._isolated():
            return Loading(cls.spec, f"{cls.engine.__module__}:{cls.engine.__qualname__}").load()
        return as_model(cls.engine().load(cls.spec))

    @classmethod
    def _isolated(cls) -> bool:
        return bool(getattr(cls.engine, "isolated", False)) if cls.isolated is None else cls.isolated

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls) -> Iterator[Model]:
        with closing(cls.load()) as model:
            yield model

    def request(self, text: str, **more: Any) -> Request:
        more.setdefault("voice", self.voice)
        return Request(turn=1, text=text, **more)

    # --- what it says of itself ---------------------------------------------------------------------------------------

    def test_it_declares_itself(self, model: Model) -> None:
        info = model.info
        assert isinstance(info, EngineInfo)
        assert info.name, "no name"
        assert info.licence, "no licence"
        assert 8_000 <= info.sample_rate <= 96_000, f"a sample rate of {info.sample_rate}"
        assert info.default_voice in {v.id for v in info.voices}, "its default is none of its voices"
        assert len({v.id for v in info.voices}) == len(info.voices), "two voices of one id"
        for voice in info.voices:
            assert voice.languages, f"voice {voice.id!r} speaks nothing"
            assert set(voice.languages) <= set(info.languages), f"voice {voice.id!r} speaks what the model does not"
        assert all("+" not in v.id and v.id.strip() == v.id for v in info.voices), "a voice id with + or spaces"
        assert all(variant == variant.lower() for variant in info.variants), "they are asked for in lower case"
        assert min(info.batch, info.memory_bytes, info.max_concurrent) >= 0, "less than nothing"
        if isinstance(model, Measured):
            assert model.resident_bytes() >= 0
        engine = self.engine()
        if isinstance(engine, Inspects):
            told = engine.inspect(self.spec)
            for what in ("name", "sample_rate", "languages", "voices", "default_voice", "licence", "batch"):
                assert getattr(told, what) == getattr(info, what), f"inspect and load differ on {what}"

    # --- audio and marks ----------------------------------------------------------------------------------------------

    def test_speech_is_audible_and_of_a_likely_length(self, model: Model) -> None:
        pcm, _ = collect(model, self.request(SENTENCES[0]))
        wave = to_float(pcm)
        assert len(wave), "no audio"
        assert np.abs(wave).max() > 0.01, "silence"
        seconds = len(wave) / model.info.sample_rate
        assert 2.0 < seconds < 20.0, f"it said {SENTENCES[0]!r} in {seconds:.1f} s"

    def test_every_language_and_variant_that_it_declares_is_spoken(self, model: Model) -> None:
        for language in self._info_of(model, self.voice).languages[:5]:
            assert audible(model, self.request(SENTENCES[2], language="" if language == ANY else language)), language
        for variant in model.info.variants[:3]:
            voice = self.voice.partition("+")[0] or model.info.default_voice
            assert audible(model, self.request(SENTENCES[2], voice=f"{voice}+{variant}")), variant

    def test_marks_are_those_of_the_words(self, model: Model) -> None:
        """`heard` looks at their order, and that they are inside and before their audio."""
        for text in SENTENCES:
            _, marks = collect(model, self.request(text))
            spans = [(mark.start, mark.end) for mark in marks]
            assert spans == sorted(spans), "words that go back in the text"
            assert all(start < end for start, end in spans), "an empty word"
            if model.info.marks:
                words = [text[start:end].strip(".,:") for start, end in spans]
                assert words == [word.strip(".,:") for word in text.split()], f"marks at {words}"
            else:
                assert not spans, "it says that it has no marks"

    def test_marks_hold_for_a_later_chunk_too(self, model: Model) -> None:
        first = collect(model, self.request("My dear friend."))[1]
        later = collect(model, self.request("My dear friend.", first=False, previous_text="Well, well."))[1]
        assert [(m.start, m.end) for m in first] == [(m.start, m.end) for m in later]

    @pytest.mark.parametrize("text", STRANGE, ids=range(len(STRANGE)))
    def test_strange_text_does_no_harm(self, model: Model, text: str) -> None:
        collect(model, self.request(text), at_most_s=60)
        assert len(collect(model, self.request("Still here."))[0]) > 0

    def test_markup_is_not_obeyed(self, model: Model) -> None:
        """A ten-second break must not be one."""
        pcm, _ = collect(model, self.request("<speak><break time='30s'/>hello</speak>"), at_most_s=60)
        assert len(pcm) / 2 / model.info.sample_rate < 25

    def test_a_very_long_text_comes_piece_by_piece(self, model: Model) -> None:
        for text in ("and so it goes on, " * 250, "x" * 4000, "word " * 800):
            made = 0.0
            with closing(heard(model, self.request(text))) as items:
                for item in items:
                    made += len(item.data) / 2 / model.info.sample_rate if isinstance(item, Audio) else 0.0
                    if made > 1.0:
                        break
            assert made > 1.0
            if model.info.streaming:
                assert made < 60.0, f"a first piece of {made:.0f} s"

    # --- cancelling ---------------------------------------------------------------------------------------------------

    def test_it_can_be_left_at_every_item(self, model: Model) -> None:
        text = " ".join(SENTENCES)
        steps = min(len(list(heard(model, self.request(text)))), 40)
        for step in range(steps):
            with closing(heard(model, self.request(text))) as items:
                for _ in range(step):
                    next(items)
        assert len(collect(model, self.request("Still here."))[0]) > 0

    def test_it_heeds_a_cancel_at_every_step(self, model: Model) -> None:
        if not model.info.cancellable:
            pytest.skip("it says that it cannot be cancelled")
        text = " ".join(SENTENCES * 3)
        whole = len(collect(model, self.request(text))[0])
        for allowed in range(0, 12):
            asked = [0]

            def cancelled(asked: list[int] = asked, allowed: int = allowed) -> bool:
                asked[0] += 1
                return asked[0] > allowed

            pcm, _ = collect(model, self.request(text, cancelled=cancelled))
            if asked[0] > allowed:
                assert len(pcm) < whole, f"it was cancelled at look {allowed + 1} and made all of it"
        assert collect(model, self.request(text, cancelled=lambda: True))[0] == b"", "audio after a cancel"

    # --- side by side -------------------------------------------------------------------------------------------------

    def test_interleaved_requests_do_not_mix(self, model: Model) -> None:
        alone = [collect(model, self.request(text)) for text in SENTENCES]
        running = [heard(model, self.request(text)) for text in SENTENCES]
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
            self.same(model.info.sample_rate, (pcm, marks), split(mixed))

    def test_requests_on_many_threads_do_not_mix(self, model: Model) -> None:
        alone = [collect(model, self.request(text)) for text in SENTENCES]
        with ThreadPoolExecutor(9) as threads:
            found = list(threads.map(lambda i: collect(model, self.request(SENTENCES[i % 3])), range(27)))
        for i, result in enumerate(found):
            self.same(model.info.sample_rate, alone[i % 3], result)

    def same(self, rate: int, one: tuple[bytes, list[Mark]], two: tuple[bytes, list[Mark]]) -> None:
        """That they sound alike; `deterministic` engines give the same bytes."""
        assert [(m.start, m.end) for m in one[1]] == [(m.start, m.end) for m in two[1]]
        if self.deterministic:
            assert one[0] == two[0], "other bytes for the same request"
            return
        assert abs(len(one[0]) - len(two[0])) < 2 * 0.03 * rate, "another length for the same request"
        a, b = envelope(one[0], rate), envelope(two[0], rate)
        n = min(len(a), len(b))
        assert abs(20 * np.log10(np.linalg.norm(a[:n]) / np.linalg.norm(b[:n]))) < 1.0, "another level"
        if a[:n].std() > 0.01 * a[:n].mean():
            assert np.corrcoef(a[:n], b[:n])[0, 1] > 0.95, "other speech for the same request"

    # --- style and loudness -------------------------------------------------------------------------------------------

    def test_rate_changes_the_length(self, model: Model) -> None:
        if not model.info.prosody:
            pytest.skip("it says that it has no prosody")
        slow, normal, fast = (
            len(collect(model, self.request(SENTENCES[0], style=Style(rate=rate)))[0]) for rate in (0.5, 1.0, 2.0)
        )
        assert slow / normal == pytest.approx(2.0, rel=0.15)
        assert normal / fast == pytest.approx(2.0, rel=0.15)

    def test_every_style_in_its_range_is_spoken(self, model: Model) -> None:
        plain = [(mark.start, mark.end) for mark in collect(model, self.request(SENTENCES[2]))[1]]
        for corner in product(*STYLE_RANGES.values()):
            request = self.request(SENTENCES[2], style=Style(**dict(zip(STYLE_RANGES, corner, strict=True))))
            assert audible(model, request), request.style
            assert [(mark.start, mark.end) for mark in collect(model, request)[1]] == plain, request.style

    def test_volume_is_left_to_the_worker(self, model: Model) -> None:
        """Who multiplies it too makes it twice as quiet."""
        plain = collect(model, self.request(SENTENCES[0]))
        self.same(model.info.sample_rate, plain, collect(model, self.request(SENTENCES[0], style=Style(volume=0.25))))

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
            level = active_speech_level(wave, 48_000).dbfs
            assert abs(level - TARGET_DBFS) < 1.0, f"voice {voice!r} comes out at {level:.1f} dBFS, not {TARGET_DBFS:g}"
            assert np.abs(wave).max() < 0.9

    def test_chunks_begin_and_end_without_a_click(self, model: Model) -> None:
        for text in SENTENCES:
            wave = to_float(collect(model, self.request(text))[0])
            assert max(abs(wave[0]), abs(wave[-1])) < 0.02, f"it clicks: {wave[0]:.3f} … {wave[-1]:.3f}"

    # --- in the worker ------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("rate", [16_000, 22_050, 24_000, 48_000])
    def test_a_session_gets_whole_frames_of_20_ms_with_nothing_lost(self, model: Model, rate: int) -> None:
        turns = [[v.Text(1, text, chunk) for chunk, text in enumerate(SENTENCES)], [v.Text(2, SENTENCES[2])]]
        frame = rate // 50
        for texts, heard in zip(turns, self._session(model, rate, turns), strict=True):
            assert not heard.errors, heard.errors
            assert [len(f.pcm) for f in heard.frames[:1]] == [2 * frame], "the first message has one frame"
            assert {len(f.pcm) for f in heard.frames} <= {2 * frame * n for n in range(1, 6)}
            at = 0
            for message in heard.frames:
                assert message.sample == at, f"a message at {message.sample}, not {at}"
                at += len(message.pcm) // 2
            scaled = sum((2 * n * rate + model.info.sample_rate) // (2 * model.info.sample_rate) for n in heard.made)
            assert len(heard.made) == len(texts)
            assert at == -(-scaled // frame) * frame, f"{at} samples of the {scaled} that it made"
            finished = heard.finished
            assert finished is not None
            assert (finished.reason, finished.samples) == (v.Reason.COMPLETED, at)
            assert finished.spoken == sum(len(text.text) for text in texts)
            samples = [mark.sample for mark in heard.marks]
            assert samples == sorted(samples)
            assert all(0 <= sample <= at for sample in samples)
            words = [mark for mark in heard.marks if mark.kind is MarkKind.WORD]
            assert all(0 <= w.start < w.end <= len(texts[w.chunk].text) for w in words)
            spoken = sum(len(t.text.split()) for t in texts) if model.info.marks else 0
            assert len(words) == spoken, f"{len(words)} marks for {spoken} words"

    def test_a_session_outlives_a_turn_that_fails(self, model: Model) -> None:
        bad = [v.Text(2, SENTENCES[2], voice=NOBODY)]
        turns = [[v.Text(1, SENTENCES[2])], bad, [v.Text(3, SENTENCES[2])]]
        if self.failing is not None:
            turns += [[v.Text(4, self.failing.text)], [v.Text(5, SENTENCES[2])]]
        heard = self._session(model, 48_000, turns)
        for turn, found in enumerate(heard, 1):
            assert found.finished is not None
            if turn % 2:
                assert found.finished.reason is v.Reason.COMPLETED, found.errors
                self.same(48_000, (heard[0].pcm, []), (found.pcm, []))
            else:
                assert found.finished.reason is v.Reason.FAILED, "it should have failed"
                assert len(found.errors) == 1

    def _session(self, model: Model, rate: int, turns: list[list[v.Text]]) -> list[Heard]:
        return converse(self.spec, model, TARGET_DBFS, rate, self.voice, turns)

    # --- errors and life ----------------------------------------------------------------------------------------------

    def test_an_unknown_voice_is_an_error_of_its_request(self, model: Model) -> None:
        self.fails_alone(model, self.request("Hello.", voice=NOBODY))
        if model.info.variants:
            self.fails_alone(model, self.request("Hello.", voice=f"{model.info.default_voice}+{NOBODY}"))

    def test_an_unknown_language_is_an_error_of_its_request(self, model: Model) -> None:
        declared = self._info_of(model, self.voice).languages
        strange = next(tag for tag in UNSPOKEN if not any(matches(tag, known) for known in declared if known != ANY))
        if ANY in declared:
            assert audible(model, self.request(SENTENCES[2], language=strange)), "it says that it speaks any language"
        else:
            self.fails_alone(model, self.request("Hello.", language=strange))

    def test_a_failure_in_the_middle_is_an_error_of_its_request(self, model: Model) -> None:
        if self.failing is None:
            pytest.skip("no request is known that it cannot finish; see `failing`")
        self.fails_alone(model, replace(self.failing, voice=self.failing.voice or self.voice))

    def fails_alone(self, model: Model, bad: Request) -> None:
        """One after another, and in the middle of another's."""
        good = self.request(SENTENCES[2])
        before = collect(model, good)
        for _ in range(2):
            with pytest.raises(AntiphonError):
                collect(model, bad)
            self.same(model.info.sample_rate, before, collect(model, good))
        running = heard(model, good)
        begun = [next(running)]
        with pytest.raises(AntiphonError):
            collect(model, bad)
        self.same(model.info.sample_rate, before, split([*begun, *running]))

    def test_loading_and_closing_leaves_nothing_behind(self) -> None:
        self._load_and_close(self.warm_loads)
        before = resident_bytes()
        counts = open_files(), threading.active_count(), child_processes()
        self._load_and_close(self.loads)
        left = open_files(), threading.active_count(), child_processes()
        assert left == counts, f"files, threads and processes: {counts} before, {left} after"
        grown = resident_bytes() - before if before else 0
        assert grown < self.may_grow, f"{self.loads} loads left {grown / 2**20:.1f} MiB behind"

    def _load_and_close(self, times: int) -> None:
        def once(_: int) -> None:
            with closing(self.load()) as model:
                collect(model, self.request("Hello."))

        # A process takes its time to start, most of which is not computing.
        with ThreadPoolExecutor(4 if self._isolated() else 1) as threads:
            for _ in threads.map(once, range(times)):
                pass
        gc.collect()

    @staticmethod
    def _info_of(model: Model, voice: str) -> Any:
        id = voice.partition("+")[0] or model.info.default_voice
        return next(known for known in model.info.voices if known.id == id)


def heard(model: Model, request: Request) -> Iterator[Audio | Mark]:
    """What the model says, item by item, each held against the rules of the port (`tts_workers.engine`)."""
    made = last = 0
    items = iter(model.synthesize(request))
    try:
        for item in items:
            if isinstance(item, Audio):
                assert isinstance(item.data, bytes), f"audio is bytes, not {type(item.data).__name__}"
                assert len(item.data) % 2 == 0, f"{len(item.data)} bytes of audio are no whole samples"
                made += len(item.data) // 2
                yield item
                continue
            assert isinstance(item, Mark), f"a {type(item).__name__} is neither Audio nor Mark"
            assert item.kind is MarkKind.WORD, "chunk starts and ends are the worker's"
            assert item.sample >= last, f"a mark at {item.sample} after one at {last}"
            assert item.sample >= made, f"a mark at {item.sample} when {made} samples are out already"
            assert 0 <= item.start <= item.end <= len(request.text), "a mark outside of the text"
            last = item.sample
            yield item
        assert last <= made or request.cancelled(), f"a mark at {last}, beyond the {made} samples of audio"
    finally:
        if (close := getattr(items, "close", None)) is not None:
            close()


def collect(model: Model, request: Request, *, at_most_s: float = 600.0) -> tuple[bytes, list[Mark]]:
    items: list[Audio | Mark] = []
    made = 0.0
    with closing(heard(model, request)) as all_items:
        for item in all_items:
            items.append(item)
            made += len(item.data) / 2 / model.info.sample_rate if isinstance(item, Audio) else 0.0
            if made > at_most_s:
                break
    return split(items)


def audible(model: Model, request: Request) -> bool:
    wave = to_float(collect(model, request)[0])
    return len(wave) > 0 and bool(np.abs(wave).max() > 0.01)


def split(items: list[Audio | Mark]) -> tuple[bytes, list[Mark]]:
    pcm = b"".join(item.data for item in items if isinstance(item, Audio))
    return pcm, [item for item in items if isinstance(item, Mark)]


def envelope(pcm: bytes, rate: int) -> np.ndarray:
    """RMS of 50 ms pieces, smoothed so that a few milliseconds of drift don't matter."""
    wave = to_float(pcm)
    size = rate // 20
    rms = np.sqrt((wave[: len(wave) // size * size].reshape(-1, size) ** 2).mean(axis=1))
    return np.convolve(rms, np.ones(3) / 3, mode="same")
