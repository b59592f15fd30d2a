"""Piper through the real piper-tts and ONNX Runtime: what it is given wrong, marks, cancels, threads, a worker."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from base import rpc
from base.errors import AntiphonError, BadRequest, Internal, Misconfigured, NotFound, Unavailable
from base.loudness import active_speech_level
from pb.antiphon.v1 import synthesis_pb2 as pb
from pb.antiphon.v1 import synthesis_pb2_grpc
from tests.support.piper_voices import NAME, TEXT_IDS, make_voice, truncated, write_card
from tests.support.tts import LIMIT_S, talking
from tts_workers.engine import Audio, Mark, ModelSpec, Request, Style
from tts_workers.engines.piper.cores import Cores
from tts_workers.engines.piper.engine import PiperEngine, PiperModel
from tts_workers.engines.piper.watch import Watch
from tts_workers.models import load

pytestmark = pytest.mark.integration

TEXT = "Once upon a time there was a lighthouse keeper who collected the sounds of the sea."
SRC = Path(__file__).parents[3] / "src"
Opened = Callable[..., PiperModel]


def spec(path: Path | str, **options: Any) -> ModelSpec:
    return ModelSpec("ours", "piper", {"path": str(path), **options})


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Loads models, and closes them."""
    models: list[PiperModel] = []

    def open_(path: Path | str, **options: Any) -> PiperModel:
        models.append(PiperEngine().load(spec(path, **options)))
        return models[-1]

    yield open_
    for model in models:
        model.close()


def speak(model: PiperModel, text: str, **more: Any) -> tuple[np.ndarray, list[Mark]]:
    items = list(model.synthesize(Request(1, text, **more)))
    pcm = b"".join(i.data for i in items if isinstance(i, Audio))
    return np.frombuffer(pcm, dtype="<i2").astype(float), [i for i in items if isinstance(i, Mark)]


# --- what is given wrong ----------------------------------------------------------------------------------------------


def no_such(place: Path) -> ModelSpec:
    return spec(place / "nobody.onnx")


def no_voices(place: Path) -> ModelSpec:
    return spec(place)


def no_config(place: Path) -> ModelSpec:
    graph = make_voice(place)
    Path(f"{graph}.json").unlink()
    return spec(graph)


def no_path(place: Path) -> ModelSpec:
    return ModelSpec("ours", "piper")


def outside(place: Path) -> ModelSpec:
    make_voice(place / "elsewhere")
    return spec(f"../elsewhere/{NAME}.onnx", models_dir=str(place / "models"))


def outside_absolute(place: Path) -> ModelSpec:
    return spec(make_voice(place / "elsewhere"), models_dir=str(place / "models"))


def outside_by_link(place: Path) -> ModelSpec:
    graph = make_voice(place / "elsewhere")
    (place / "models").mkdir()
    for suffix in ("", ".json"):
        (place / "models" / f"{NAME}.onnx{suffix}").symlink_to(f"{graph}{suffix}")
    return spec("", models_dir=str(place / "models"))


def cut_short(place: Path) -> ModelSpec:
    return spec(truncated(make_voice(place)))


def pointer(place: Path) -> ModelSpec:
    graph = make_voice(place)
    graph.write_text("version https://git-lfs.example/spec/v1\noid sha256:0\nsize 63201294\n")
    return spec(graph)


def no_json(place: Path) -> ModelSpec:
    graph = make_voice(place)
    Path(f"{graph}.json").write_text("<html>404</html>")
    return spec(graph)


def in_a_circle(place: Path) -> ModelSpec:
    (place / "a.onnx").symlink_to(place / "b.onnx")
    (place / "b.onnx").symlink_to(place / "a.onnx")
    return spec(place / "a.onnx")


def nested(place: Path) -> ModelSpec:
    graph = make_voice(place)
    Path(f"{graph}.json").write_text("[" * 100_000)
    return spec(graph)


def no_number(place: Path) -> ModelSpec:
    graph = make_voice(place)
    config = Path(f"{graph}.json")
    config.write_text(config.read_text().replace('"length_scale": 1', '"length_scale": NaN', 1))
    return spec(graph)


def twins(place: Path) -> ModelSpec:
    make_voice(place, "en_US-ann-low")
    make_voice(place, "en_US-Ann-low")
    return spec(place)


def told(config: dict[str, Any], **voice: Any) -> Callable[[Path], ModelSpec]:
    """A voice whose config says otherwise than its graph."""
    return lambda place: spec(make_voice(place, config=config, **voice))


def asked(**options: Any) -> Callable[[Path], ModelSpec]:
    """A sound voice, and options that cannot be met."""
    return lambda place: spec(make_voice(place, speakers=3), **options)


@pytest.mark.parametrize(
    ("wrong", "error", "reason", "says"),
    [
        (no_such, NotFound, "NO_SUCH_MODEL", r"there is no .*nobody\.onnx"),
        (no_voices, NotFound, "NO_VOICES", "no voice is in"),
        (no_config, NotFound, "NO_CONFIG", r"has no en_US-tiny-low\.onnx\.json beside it"),
        (no_path, Misconfigured, "NO_PATH", "needs the option path"),
        (outside, BadRequest, "PATH_OUTSIDE", "outside the models directory"),
        (outside_absolute, BadRequest, "PATH_OUTSIDE", "outside the models directory"),
        (outside_by_link, BadRequest, "PATH_OUTSIDE", "outside the models directory"),
        (in_a_circle, Misconfigured, "BAD_PATH", "cannot be used"),
        (lambda place: spec("x" * 5000), Misconfigured, "BAD_PATH", "cannot be used"),
        (lambda place: spec("a\0b"), Misconfigured, "BAD_PATH", "cannot be used"),
        (lambda place: spec("~nobody-of-that-name/x"), Misconfigured, "BAD_PATH", "cannot be used"),
        (twins, Misconfigured, "DUPLICATE_VOICE", "rename one"),
        (nested, Misconfigured, "BROKEN_CONFIG", "cannot be read"),
        (no_number, Misconfigured, "BROKEN_CONFIG", "NaN is no number"),
        (told({"inference": {"length_scale": 1e6}}), Misconfigured, "BROKEN_CONFIG", "length_scale"),
        (told({"phoneme_id_map": {"_": [], "^": [1], "$": [2]}}), Misconfigured, "BROKEN_CONFIG", "phoneme_id_map"),
        (cut_short, Misconfigured, "BROKEN_MODEL", "may be cut short"),
        (pointer, Misconfigured, "BROKEN_MODEL", "git lfs pull"),
        (no_json, Misconfigured, "BROKEN_CONFIG", "cannot be read"),
        (told({"num_speakers": "two"}), Misconfigured, "BROKEN_CONFIG", r"num_speakers"),
        (told({"audio": {}}), Misconfigured, "BROKEN_CONFIG", "sample_rate"),
        (told({"phoneme_type": "pinyin"}), Misconfigured, "UNSUPPORTED", "'pinyin'; .* are espeak and text"),
        (told({"phoneme_id_map": {"a": [1]}}), Misconfigured, "BROKEN_CONFIG", "no '_'"),
        (told({"speaker_id_map": {"eve": 7}}, speakers=2), Misconfigured, "BROKEN_CONFIG", "'eve' has id 7; .*0 to 1"),
        (told({"default_speaker_id": 4}, speakers=2), Misconfigured, "BROKEN_CONFIG", "default_speaker_id 4"),
        (told({"num_speakers": 4}), Misconfigured, "CONFIG_MISMATCH", "no input sid"),
        (told({"num_speakers": 1}, speakers=2), Misconfigured, "CONFIG_MISMATCH", "num_speakers is 1"),
        (told({"num_speakers": 5}, speakers=2), Misconfigured, "CONFIG_MISMATCH", "5 speakers, which the graph cannot"),
        (
            told({"phoneme_id_map": {"_": [0], "^": [1], "$": [2], "a": [999]}}),
            Misconfigured,
            "CONFIG_MISMATCH",
            "go up to 999",
        ),
        (told({"espeak": {"voice": "tlh-nowhere"}}), Misconfigured, "UNKNOWN_ESPEAK_VOICE", "'tlh-nowhere'"),
        (asked(voice=f"{NAME}#3"), NotFound, "UNKNOWN_SPEAKER", "speakers 0 to 2; there is no '3'"),
        (asked(voice=f"{NAME}#-1"), NotFound, "UNKNOWN_SPEAKER", "there is no '-1'"),
        (asked(voice="en_US-nobody-low"), NotFound, "UNKNOWN_VOICE", "it has en_US-tiny-low"),
        (asked(device="tpu"), Misconfigured, "BAD_DEVICE", "cpu, cuda or cuda:1"),
        (asked(device="cuda"), Misconfigured, "NO_CUDA", "install onnxruntime-gpu"),
        (asked(lenght_scale=2), Misconfigured, "MISCONFIGURED", "did you mean 'length_scale'"),
    ],
)
def test_what_cannot_be_loaded_says_why(
    tmp_path: Path, wrong: Callable[[Path], ModelSpec], error: type[AntiphonError], reason: str, says: str
) -> None:
    if reason == "NO_CUDA":
        import onnxruntime

        if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
            pytest.skip("CUDA is here")
    wanted = wrong(tmp_path)
    with pytest.raises(error, match=says) as failed:
        load(wanted, -23.0)
    assert type(failed.value) is error
    assert failed.value.reason == reason
    assert "'ours'" in failed.value.message, "it names the model"


def test_without_piper_only_the_load_fails_and_says_what_to_install(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['piper'] = None\n"
        "from tts_workers.engine import ModelSpec\nfrom tts_workers.engines.piper.engine import PiperEngine\n"
        "assert 'onnxruntime' not in sys.modules\n"
        "try: PiperEngine().load(ModelSpec('ours', 'piper', {'path': sys.argv[1]}))\n"
        "except Exception as error: print(type(error).__name__, error.reason, error.message)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(make_voice(tmp_path))],
        env={"PYTHONPATH": str(SRC)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("Misconfigured NOT_INSTALLED")
    assert "./antiphon install piper" in done.stdout


def test_importing_the_engine_imports_nothing_of_piper() -> None:
    program = (
        "import sys, tts_workers.engines.piper.engine\nprint([m for m in ('piper', 'onnxruntime') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(SRC)}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_a_speaker_or_language_that_is_not_there_fails_its_request_alone(tmp_path: Path, opened: Opened) -> None:
    model = opened(make_voice(tmp_path, speakers=2, names=("ann", "bob")))
    with pytest.raises(NotFound, match="speakers 0 to 1; there is no '2'"):
        speak(model, TEXT, voice=f"{NAME}#2")
    with pytest.raises(NotFound, match="has no voice 'de_DE-tiny-low'; it has en_US-tiny-low"):
        speak(model, TEXT, voice="de_DE-tiny-low")
    with pytest.raises(NotFound, match="speaks en-US, not 'de'"):
        speak(model, TEXT, language="de")
    assert len(speak(model, TEXT, language="en-GB")[0])


def test_a_graph_that_breaks_while_it_speaks_fails_its_turn(tmp_path: Path, opened: Opened) -> None:
    model = opened(make_voice(tmp_path, broken=True))
    with pytest.raises(Internal, match="failed in ONNX Runtime"):
        speak(model, TEXT)
    assert len(speak(model, "Still here.")[0])


# --- voices -----------------------------------------------------------------------------------------------------------


def test_voices_of_a_directory_with_and_without_speakers(tmp_path: Path, opened: Opened) -> None:
    make_voice(tmp_path, "en_GB-other-low", rate=16_000, config={"language": {"code": "en_GB"}})
    make_voice(tmp_path, speakers=3, names=("ann", "b+b"), config={"default_speaker_id": 1})
    model = opened(tmp_path)
    ids = [v.id for v in model.info.voices]
    assert ids == ["en_GB-other-low", f"{NAME}#ann", f"{NAME}#b-b", f"{NAME}#2"]
    assert model.info.languages == ("en-GB", "en-US")
    assert (model.info.default_voice, model.info.sample_rate) == ("en_GB-other-low", 22_050)
    by_name = {voice: speak(model, TEXT, voice=voice)[0] for voice in [NAME, f"{NAME}#0", f"{NAME}#1", *ids]}
    assert np.array_equal(by_name[NAME], by_name[f"{NAME}#b-b"]), "the config's default speaker"
    assert np.array_equal(by_name[f"{NAME}#1"], by_name[f"{NAME}#b-b"])
    assert np.array_equal(by_name[f"{NAME}#0"], by_name[f"{NAME}#ann"])
    assert not np.array_equal(by_name[f"{NAME}#0"], by_name[f"{NAME}#1"])
    # 256 samples a step at 16 kHz, brought to 22.05 kHz.
    assert len(by_name["en_GB-other-low"]) == pytest.approx(len(by_name[NAME]) * 22_050 / 16_000, rel=0.02)
    assert opened(tmp_path, voice=f"{NAME}#2").info.default_voice == f"{NAME}#2"
    seen = PiperEngine().inspect(spec(tmp_path))
    assert (seen.voices, seen.licence, seen.sample_rate) == (model.info.voices, model.info.licence, 22_050)
    assert seen.memory_bytes == model.info.memory_bytes > 100_000_000


@pytest.mark.parametrize("path", [NAME, f"{NAME}.onnx", f"./sub/../{NAME}", ""])
def test_paths_begin_at_the_models_directory(tmp_path: Path, opened: Opened, path: str) -> None:
    make_voice(tmp_path)
    (tmp_path / "sub").mkdir()
    assert opened(path, models_dir=str(tmp_path)).info.default_voice == NAME


def test_links_within_the_models_directory_are_followed(tmp_path: Path, opened: Opened) -> None:
    graph = make_voice(tmp_path / "store", "blob")
    for suffix in ("", ".json"):
        (tmp_path / f"{NAME}.onnx{suffix}").symlink_to(f"{graph}{suffix}")
    assert opened(NAME, models_dir=str(tmp_path)).info.default_voice == NAME


def test_the_licence_is_the_model_cards(tmp_path: Path, opened: Opened) -> None:
    graph = make_voice(tmp_path)
    assert opened(graph).info.licence == "GPL-3.0-or-later (piper-tts); voice: not stated"
    write_card(tmp_path, "CC BY 4.0")
    assert opened(graph).info.licence.endswith("voice: CC BY 4.0")
    make_voice(tmp_path, "en_US-other-low", config={"license": "CC0"})
    assert opened(tmp_path).info.licence.endswith("voice: CC0, not stated"), "whose card it is nobody knows"


def test_a_voice_of_letters_needs_no_phonemizer(tmp_path: Path, opened: Opened) -> None:
    graph = make_voice(tmp_path, symbols=TEXT_IDS, aligned=True, config={"phoneme_type": "text"})
    wave, marks = speak(opened(graph), "well met, friend.")
    assert [(m.start, m.end, m.exact) for m in marks] == [(0, 4, True), (5, 8, True), (10, 16, True)]
    assert len(wave) > 22_050


def test_scales_and_rate_stretch_the_speech(tmp_path: Path, opened: Opened) -> None:
    graph = make_voice(tmp_path)
    normal = len(speak(opened(graph), TEXT)[0])
    slow = opened(graph, length_scale=2.0)
    assert len(speak(slow, TEXT)[0]) == pytest.approx(2 * normal, rel=0.02)
    assert len(speak(slow, TEXT, style=Style(rate=2.0))[0]) == pytest.approx(normal, rel=0.02)


def test_rate_is_kept_by_a_voice_that_rounds_much_up(tmp_path: Path, opened: Opened) -> None:
    model = opened(make_voice(tmp_path, hurry=1.5))
    slow, normal, fast = (len(speak(model, TEXT, style=Style(rate=rate))[0]) for rate in (0.5, 1.0, 2.0))
    assert slow / normal == pytest.approx(2.0, rel=0.1)
    assert normal / fast == pytest.approx(2.0, rel=0.1)


def test_sentences_keep_their_loudness(tmp_path: Path, opened: Opened) -> None:
    """piper-tts would make each as loud as it can be."""
    model = opened(make_voice(tmp_path))
    quiet = speak(model, "Shh.")[0]
    assert 0 < np.abs(quiet).max() < 20_000


def test_pauses_stand_between_sentences_and_never_after_the_last(tmp_path: Path, opened: Opened) -> None:
    model = opened(make_voice(tmp_path), pause_s=0.5)
    plain = opened(tmp_path / f"{NAME}.onnx", pause_s=0)
    alone = speak(model, "Down it goes.")[0]
    assert len(speak(plain, "Down it goes.")[0]) == len(alone)
    after = speak(model, "Down it goes.", first=False, previous_text="Up it went.")[0]
    assert len(after) - len(alone) == 11_025
    assert len(speak(model, "Down it goes.", first=False, previous_text="Up it went,")[0]) == len(alone)
    two, apart = (len(speak(m, "Up it went then. Down it goes.")[0]) for m in (model, plain))
    assert two - apart == 11_025


def test_it_takes_as_many_turns_as_the_cores_can_speak(tmp_path: Path, opened: Opened) -> None:
    graph = make_voice(tmp_path)
    assert opened(graph).info.max_concurrent > 10, "a tiny voice is fast"
    assert opened(graph, max_concurrent=3).info.max_concurrent == 3


# --- marks ------------------------------------------------------------------------------------------------------------


def test_marks_point_at_their_words(tmp_path: Path, opened: Opened) -> None:
    model = opened(make_voice(tmp_path, aligned=True))
    text = "Out of the blue, it cost $12.50 of the 1,000 there were. Größe 😀 in the U.S.A. isn't it?"
    wave, marks = speak(model, text)
    words = " ".join(text[m.start : m.end] for m in marks)
    assert words == "Out of the blue it cost $12.50 of the 1,000 there were Größe in the U.S.A isn't it"
    samples = [m.sample for m in marks]
    assert samples == sorted(samples)
    assert sum(m.exact for m in marks) >= len(marks) - 3
    # After the pause between sentences, and 23 ms of the voice's own, sound begins where the mark says.
    after = next(m.sample for m in marks if text[m.start : m.end] == "Größe")
    assert np.abs(wave[after - 3300 : after - 600]).max() == 0
    assert np.abs(wave[after : after + 2000]).max() > 1000


def test_a_voice_that_tells_no_true_alignments_has_no_marks(tmp_path: Path, opened: Opened) -> None:
    assert not opened(make_voice(tmp_path)).info.marks
    wrong = opened(make_voice(tmp_path, "wrong", aligned=True, config={"hop_length": 128}))
    assert not wrong.info.marks
    assert speak(wrong, TEXT)[1] == []


# --- cancelling, threads ----------------------------------------------------------------------------------------------


def test_a_cancel_ends_a_sentence_in_its_middle(tmp_path: Path, opened: Opened) -> None:
    """Without the cancel it would compute for ever."""
    model = opened(make_voice(tmp_path, endless=True))
    flag = threading.Event()
    threading.Timer(0.3, flag.set).start()
    assert len(speak(model, TEXT, cancelled=flag.is_set)[0]) == 0


def test_closing_ends_what_still_runs(tmp_path: Path) -> None:
    model = PiperEngine().load(spec(make_voice(tmp_path, endless=True)))
    failed: list[BaseException] = []
    begun = threading.Event()

    def run() -> None:
        try:
            speak(model, TEXT, cancelled=lambda: bool(begun.set()))
        except Unavailable as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    begun.wait()
    model.close()
    thread.join(LIMIT_S)
    assert not thread.is_alive()
    assert failed
    with pytest.raises(Unavailable, match="closed"):
        speak(model, TEXT)


def test_what_waits_for_cores_can_be_cancelled_and_goes_by_urgency() -> None:
    cores = Cores(2)
    order: list[str] = []

    def run(name: str, ahead: float) -> threading.Thread:
        def target() -> None:
            with cores.lent(Request(1, name, ahead_s=lambda: ahead), 2) as lent:
                assert lent
                order.append(name)

        thread = threading.Thread(target=target)
        thread.start()
        return thread

    with cores.lent(Request(1, "first"), 8) as lent:
        assert lent, "more than there are is all there are"
        with cores.lent(Request(1, "gone", cancelled=lambda: True), 1) as given:
            assert not given
        threads = [run("later", 3.0), run("soon", 0.1), run("next", 1.0)]
        while len(cores._waiting) < 3:
            time.sleep(0.001)
    for thread in threads:
        thread.join()
    assert order == ["soon", "next", "later"]


def test_the_watch_sleeps_while_nothing_runs() -> None:
    class Options:
        terminate = False

    looks = [0]

    def wanted() -> bool:
        looks[0] += 1
        return False

    watch = Watch()
    run = watch.begin(Options(), wanted)
    while looks[0] < 3:
        time.sleep(0.001)
    assert not watch.finish(run)
    seen = looks[0]
    time.sleep(0.05)
    assert looks[0] == seen
    watch.close()
    assert watch.begin(Options(), wanted).cancelled


def test_models_leave_threads_and_files_as_they_were(tmp_path: Path) -> None:
    graph = make_voice(tmp_path, speakers=2)
    process = psutil.Process()

    def once() -> None:
        model = PiperEngine().load(spec(graph, threads=3))
        speak(model, "Hello.")
        model.close()

    once()
    before = (process.num_threads(), process.num_fds())
    for _ in range(50):
        once()
    assert (process.num_threads(), process.num_fds()) == before


@pytest.mark.large
def test_the_memory_of_a_large_voice_comes_back(tmp_path: Path) -> None:
    graph = make_voice(tmp_path, megabytes=200)
    process = psutil.Process()

    def size() -> int:
        gc.collect()
        return process.memory_info().rss

    def once() -> int:
        before = size()
        model = PiperEngine().load(spec(graph))
        speak(model, TEXT)
        taken = size() - before
        model.close()
        return taken

    once()
    before = size()
    for _ in range(2):
        taken = once()
        assert 200e6 < taken < PiperEngine().inspect(spec(graph)).memory_bytes
        assert size() - before < 0.15 * taken


# --- a worker ---------------------------------------------------------------------------------------------------------


async def test_a_worker_speaks_with_piper_by_configuration_alone(tmp_path: Path) -> None:
    """As an operator starts it: a file, a command; then what a conversation asks for."""
    make_voice(tmp_path / "voices", speakers=2, names=("ann", "bob"), aligned=True)
    make_voice(tmp_path / "voices", "de_DE-klein-low", pitch=3, config={"language": {"code": "de_DE"}})
    (tmp_path / "antiphon.toml").write_text(
        "[[tts_worker.models]]\n"
        'id = "piper"\nengine = "piper"\n'
        f'options = {{ path = ".", models_dir = {json.dumps(str(tmp_path / "voices"))}, voice = "{NAME}#bob" }}\n'
    )
    command = [sys.executable, "-P", "-m", "antiphon", "tts-worker", "--config", str(tmp_path / "antiphon.toml")]
    process = await asyncio.create_subprocess_exec(
        *command,
        "--announce-ready",
        "--parent-watch",
        env={**os.environ, "PYTHONPATH": str(SRC)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        address = json.loads(await process.stdout.readline())["ready"]
        async with rpc.channel(address) as channel:
            stub = synthesis_pb2_grpc.TextToSpeechStub(channel)
            async with talking(stub, language="en") as talk, talking(stub, voice="de_DE-klein-low") as other:
                await talk.say(1, "Good evening. ", "The tide is coming in, and the gulls are home.")
                await other.say(1, "Guten Abend.")
                done = await talk.finished(1)
                assert done.reason == (await other.finished(1)).reason == pb.FINISH_REASON_COMPLETED
                wave = np.frombuffer(talk.audio(1), "<i2").astype(np.float32) / 32768
                assert 3.0 < len(wave) / 48_000 < 9.0
                assert active_speech_level(wave, 48_000).dbfs == pytest.approx(-23.0, abs=1.5)
                with pytest.raises(Exception, match="no voice 'en_US-tiny-low#3'"):
                    await stub.StartSession(pb.StartSessionRequest(voice=f"{NAME}#3"))
                # Interrupted in the middle, the next turn is as good as any.
                await talk.credit(2, 9600)
                await talk.text(2, TEXT * 3)
                await talk.until(lambda: talk.samples(2) == 9600)
                await talk.control(2, "STOP")
                stopped = await talk.finished(2)
                assert stopped.reason == pb.FINISH_REASON_STOPPED
                await talk.say(3, "Still here.")
                assert (await talk.finished(3)).reason == pb.FINISH_REASON_COMPLETED
    finally:
        process.stdin.close()
        async with asyncio.timeout(LIMIT_S):
            await process.wait()
