"""The kit itself: an engine that is right passes it, and each that is wrong in one way fails the check for that."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from examples.buzz_engine import RATE, BuzzModel, Options
from tests.contract.engines.kit import SENTENCES, EngineKit
from tts_workers.engine import Audio, EngineInfo, Mark, ModelSpec, Request, VoiceInfo

pytestmark = pytest.mark.contract

ROOT = Path(__file__).resolve().parents[3]
Items = Iterator[Audio | Mark]


class GoodModel(BuzzModel):
    """The example, with marks. A request for "[[fail]]" fails in the middle."""

    info = replace(BuzzModel.info, marks=True)

    def __init__(self) -> None:
        super().__init__(Options())
        self.failed = 0
        self.held: Audio | Mark | None = None

    def synthesize(self, request: Request) -> Items:
        marks = [Mark(m.start(), m.end(), m.start() * (RATE // 15)) for m in re.finditer(r"\S+", request.text)]
        made = 0
        for item in super().synthesize(request):
            made += len(item.data) // 2
            while marks and marks[0].sample < made:
                yield marks.pop(0)
            yield item
            if "[[fail]]" in request.text:
                raise self.failure(request)

    def failure(self, request: Request) -> Exception:
        from base.errors import Unavailable

        return Unavailable("the text asked for it")


class GoodEngine:
    name = "good"
    model: type[GoodModel] = GoodModel

    def load(self, spec: ModelSpec) -> GoodModel:
        return self.model()

    def inspect(self, spec: ModelSpec) -> EngineInfo:
        return GoodModel.info


class GoodKit(EngineKit):
    engine = GoodEngine
    spec = ModelSpec("good", "good")
    failing = Request(turn=1, text="It begins well and then [[fail]] it does not.")
    deterministic = True


class TestGood(GoodKit):
    pass


# --- engines that are wrong in one way --------------------------------------------------------------------------------

Twist = Callable[[GoodModel, Request, Items], Items]


def odd_bytes(model: GoodModel, request: Request, items: Items) -> Items:
    """Of an even number in all."""
    for item in items:
        if isinstance(item, Audio) and len(item.data) == 4800:
            yield Audio(item.data[:2401])
            yield Audio(item.data[2401:])
        else:
            yield item


def no_bytes(model: GoodModel, request: Request, items: Items) -> Items:
    for item in items:
        yield Audio(np.frombuffer(item.data, dtype="<i2")) if isinstance(item, Audio) else item


def dies_after_a_failure(model: GoodModel, request: Request, items: Items) -> Items:
    if model.failed:
        raise RuntimeError("it is dead")
    try:
        yield from items
    except Exception:
        model.failed += 1
        raise


def takes_others_along(model: GoodModel, request: Request, items: Items) -> Items:
    """Only those that are under way; the next is as good as ever."""
    before = model.failed
    try:
        for item in items:
            if model.failed != before:
                raise RuntimeError("another one failed")
            yield item
    except Exception:
        model.failed += 1
        raise


def hears_anothers(model: GoodModel, request: Request, items: Items) -> Items:
    """One buffer for all: alone, nobody notices."""
    for item in items:
        if isinstance(item, Mark):
            yield item
            continue
        held, model.held = model.held, item
        if held is not None:
            yield held
    held, model.held = model.held, None
    if held is not None:
        yield held


def marks_out_of_order(model: GoodModel, request: Request, items: Items) -> Items:
    all_items = list(items)
    marks = [item for item in all_items if isinstance(item, Mark)]
    yield from marks[1::-1]
    yield from (item for item in all_items if item not in marks[:2])


def marks_beyond(model: GoodModel, request: Request, items: Items) -> Items:
    for item in items:
        yield replace(item, sample=item.sample + 10**6) if isinstance(item, Mark) else item


def marks_late(model: GoodModel, request: Request, items: Items) -> Items:
    late: list[Mark] = []
    for item in items:
        if isinstance(item, Mark):
            late.append(item)
            continue
        yield item
        yield from late
        late.clear()


def marks_outside_of_the_text(model: GoodModel, request: Request, items: Items) -> Items:
    for item in items:
        yield replace(item, end=item.end + 1000) if isinstance(item, Mark) else item


def marks_missing(model: GoodModel, request: Request, items: Items) -> Items:
    return (item for item in items if isinstance(item, Audio))


def ignores_cancel(model: GoodModel, request: Request, items: Items) -> Items:
    return GoodModel.synthesize(model, replace(request, cancelled=lambda: False))


def scaled(items: Items, factor: float) -> Items:
    with np.errstate(invalid="ignore"):
        for item in items:
            if isinstance(item, Audio):
                wave = np.frombuffer(item.data, dtype="<i2") * np.float32(factor)
                yield Audio(wave.astype("<i2").tobytes())
            else:
                yield item


def silent(model: GoodModel, request: Request, items: Items) -> Items:
    return scaled(items, 0.0)


def not_finite(model: GoodModel, request: Request, items: Items) -> Items:
    return scaled(items, float("nan"))


def louder_when_measured(model: GoodModel, request: Request, items: Items) -> Items:
    return scaled(items, 0.5 if request.turn else 1.0)


def gain_changes(model: GoodModel, request: Request, items: Items) -> Items:
    """From one request to the next."""
    model.failed += 1
    return scaled(items, 0.9**model.failed)


def applies_the_volume(model: GoodModel, request: Request, items: Items) -> Items:
    return scaled(items, request.style.volume)


def clicks(model: GoodModel, request: Request, items: Items) -> Items:
    for item in items:
        yield Audio(b"\x00\x40" + item.data[2:]) if isinstance(item, Audio) else item


def all_at_once(model: GoodModel, request: Request, items: Items) -> Items:
    all_items = list(items)
    yield from (item for item in all_items if isinstance(item, Mark))
    yield Audio(b"".join(item.data for item in all_items if isinstance(item, Audio)))


def speaks_for_anybody(model: GoodModel, request: Request, items: Items) -> Items:
    return GoodModel.synthesize(model, replace(request, voice="", language=""))


def fails_with_a_fault(model: GoodModel, request: Request, items: Items) -> Items:
    try:
        yield from items
    except Exception as error:
        raise ValueError("a fault") from error


MARKS = "test_marks_are_those_of_the_words"
AUDIBLE = "test_speech_is_audible_and_of_a_likely_length"
SESSION = "test_a_session_gets_whole_frames_of_20_ms_with_nothing_lost"
OUTLIVES = "test_a_session_outlives_a_turn_that_fails"
INTERLEAVED = "test_interleaved_requests_do_not_mix"
IN_THE_MIDDLE = "test_a_failure_in_the_middle_is_an_error_of_its_request"

BAD: list[tuple[Twist, str, str]] = [
    (odd_bytes, AUDIBLE, "2401 bytes of audio are no whole samples"),
    (odd_bytes, SESSION, "2401 bytes|engine gave"),
    (no_bytes, AUDIBLE, "audio is bytes, not ndarray"),
    (dies_after_a_failure, IN_THE_MIDDLE, "it is dead"),
    (dies_after_a_failure, "test_an_unknown_voice_is_an_error_of_its_request", "it is dead"),
    (dies_after_a_failure, OUTLIVES, "COMPLETED|FAULT|broke"),
    (takes_others_along, IN_THE_MIDDLE, "another one failed"),
    (hears_anothers, INTERLEAVED, "other bytes"),
    (marks_out_of_order, MARKS, r"a mark at 0 after one at \d+"),
    (marks_beyond, MARKS, r"beyond the \d+ samples"),
    (marks_late, MARKS, "samples are out already"),
    (marks_outside_of_the_text, MARKS, "outside of the text"),
    (marks_missing, MARKS, r"marks at \[\]"),
    (marks_missing, SESSION, r"0 marks for \d+ words"),
    (ignores_cancel, "test_it_heeds_a_cancel_at_every_step", "made all of it|after a cancel"),
    (silent, AUDIBLE, "silence"),
    (silent, SESSION, "only silence"),
    (not_finite, AUDIBLE, "silence"),
    (louder_when_measured, "test_loudness_is_that_of_all_voices_with_one_gain", "comes out at -29"),
    (gain_changes, INTERLEAVED, "other bytes"),
    (applies_the_volume, "test_volume_is_left_to_the_worker", "other bytes"),
    (clicks, "test_chunks_begin_and_end_without_a_click", "it clicks"),
    (all_at_once, "test_a_very_long_text_comes_piece_by_piece", "a first piece of"),
    (speaks_for_anybody, "test_an_unknown_voice_is_an_error_of_its_request", "DID NOT RAISE"),
    (speaks_for_anybody, "test_an_unknown_language_is_an_error_of_its_request", "DID NOT RAISE"),
    (fails_with_a_fault, IN_THE_MIDDLE, "a fault"),
]


@pytest.mark.parametrize(("twist", "check", "says"), BAD, ids=[f"{t.__name__}-{c[5:40]}" for t, c, _ in BAD])
def test_a_bad_engine_fails(twist: Twist, check: str, says: str) -> None:
    class Bad(GoodModel):
        def synthesize(self, request: Request) -> Items:
            return twist(self, request, super().synthesize(request))

    fails(GoodKit, Bad, check, says)


@pytest.mark.parametrize("twist", [gain_changes, hears_anothers])
def test_a_bad_engine_fails_where_its_bytes_may_differ_too(twist: Twist) -> None:
    class Bad(GoodModel):
        def synthesize(self, request: Request) -> Items:
            return twist(self, request, super().synthesize(request))

    class Kit(GoodKit):
        deterministic = False

    fails(Kit, Bad, INTERLEAVED, "another l")


INFOS: list[tuple[dict[str, Any], str]] = [
    ({"default_voice": "nobody"}, "none of its voices"),
    ({"licence": ""}, "no licence"),
    ({"sample_rate": 0}, "sample rate of 0"),
    ({"languages": ("de",)}, "what the model does not"),
    ({"voices": GoodModel.info.voices * 2}, "of one id"),
    ({"voices": (VoiceInfo("buzz", "Buzz", ()),)}, "speaks nothing"),
    ({"memory_bytes": -1}, "less than nothing"),
    ({"variants": ("F3",)}, "lower case"),
]


@pytest.mark.parametrize(("wrong", "says"), INFOS, ids=[next(iter(wrong)) for wrong, _ in INFOS])
def test_an_engine_that_says_nonsense_of_itself_fails(wrong: dict[str, Any], says: str) -> None:
    class Bad(GoodModel):
        info = replace(GoodModel.info, **wrong)

    fails(GoodKit, Bad, "test_it_declares_itself", says)


def test_an_engine_whose_inspection_says_something_else_fails() -> None:
    class Bad(GoodModel):
        info = replace(GoodModel.info, sample_rate=22_050)

    fails(GoodKit, Bad, "test_it_declares_itself", "inspect and load differ on sample_rate")


HOARD: list[Any] = []
GROWING: dict[str, tuple[Callable[[], Any], str]] = {
    "memory": (lambda: b"\x01" * 2**20, r"50 loads left \d+"),
    "files": (lambda: os.fdopen(os.open(os.devnull, os.O_RDONLY)), "files, threads and processes"),
    "threads": (lambda: _started(), "files, threads and processes"),
    "processes": (lambda: subprocess.Popen(["sleep", "60"]), "files, threads and processes"),
}


def _started() -> threading.Event:
    over = threading.Event()
    threading.Thread(target=over.wait, daemon=True).start()
    return over


@pytest.mark.parametrize("what", GROWING)
def test_an_engine_that_grows_at_every_load_fails(what: str) -> None:
    if what in ("memory", "processes") and sys.platform != "linux":
        pytest.skip("told by /proc")
    leak, says = GROWING[what]

    class Bad(GoodModel):
        def __init__(self) -> None:
            super().__init__()
            HOARD.append(leak())

    try:
        fails(GoodKit, Bad, "test_loading_and_closing_leaves_nothing_behind", says)
    finally:
        for held in HOARD:
            match held:
                case subprocess.Popen():
                    held.kill()
                    held.wait()
                case threading.Event():
                    held.set()
                case bytes():
                    pass
                case _:
                    held.close()
        HOARD.clear()


MINE = """
from tests.contract.engines.kit import EngineKit
from tts_workers.engine import Audio, ModelSpec
from my_voice import Buzz, BuzzModel

class OddModel(BuzzModel):
    def synthesize(self, request):
        for item in super().synthesize(request):
            yield Audio(item.data[:1])
            yield Audio(item.data[1:])

class Odd(Buzz):
    def load(self, spec):
        return OddModel(super().load(spec))

class TestRight(EngineKit):
    engine = Buzz
    spec = ModelSpec("mine", "my_voice:Buzz")

class TestInAProcess(TestRight):
    isolated = True

class TestOdd(TestRight):
    engine = Odd
"""


def test_it_runs_on_an_engine_in_somebody_elses_repository(tmp_path: Path) -> None:
    """As docs/engines.md says; what `./antiphon test` does there."""
    (tmp_path / "my_voice.py").write_text((ROOT / "examples" / "buzz_engine.py").read_text())
    (tmp_path / "test_my_voice.py").write_text(MINE)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", str(tmp_path / "test_my_voice.py"), "-k", "frames", "-p", "no:cacheprovider"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{tmp_path}"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert "4 failed, 8 passed" in done.stdout, done.stdout
    assert "TestOdd" in done.stdout
    assert "1 bytes of audio are no whole samples" in done.stdout or "the engine gave 1 bytes" in done.stdout


def fails(kit: type[EngineKit], model: type[GoodModel], check: str, says: str) -> None:
    """The check fails for a model of this class, with these words, and passes for the good one."""

    class BadEngine(GoodEngine):
        pass

    class BadKit(kit):  # type: ignore[misc, valid-type]
        engine = BadEngine

    BadEngine.model = model
    with pytest.raises((Exception, pytest.fail.Exception), match=says):
        run(BadKit, check)
    run(kit, check)


def run(kit: type[EngineKit], check: str) -> None:
    with closing(kit.load()) as model:
        given = {"model": model, "rate": 22_050, "text": SENTENCES[0]}
        method = getattr(kit(), check)
        method(**{name: given[name] for name in inspect.signature(method).parameters})
