"""An engine that is not ours: named by the operator's configuration, in the worker and in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import grpc
import pytest

from antiphon.commands import check_config
from antiphon.sections import sections
from base.errors import Misconfigured
from pb.antiphon.v1 import synthesis_pb2 as pb
from tests.support.isolated_engines import ignore_others, isolated_processes
from tests.support.tts import talking, worker
from tts_workers import catalogue
from tts_workers.app import serving
from tts_workers.engine import ModelSpec
from tts_workers.models import inspect, is_isolated
from tts_workers.settings import ModelSettings, TtsWorkerSettings

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def _others() -> None:
    ignore_others()


EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "buzz_engine.py"
NAMED = "outside_engines:Buzz"
MORE = """

class Alone(Buzz):
    isolated = True

    def load(self, spec):
        import os

        assert os.getppid() == int(spec.options["worker"]), "it was to get a process of its own"
        return super().load(type(spec)(spec.id, spec.engine))


class Box:
    Nested = Buzz


class Needs:
    def __init__(self, something):
        pass


class Fails:
    def __init__(self):
        raise OSError("no licence server")


not_an_engine = dict
"""


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of somebody else's, on the path of this process and of those that it starts."""
    (tmp_path / "outside_engines.py").write_text(EXAMPLE.read_text() + MORE)
    (tmp_path / "broken_engines.py").write_text("import no_such_runtime\n")
    (tmp_path / "half_engines.py").write_text("class Half(:\n")
    entered = tmp_path / "outside-1.0.dist-info"
    entered.mkdir()
    (entered / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n")
    (entered / "entry_points.txt").write_text(
        "[antiphon.engines]\nbuzz = outside_engines:Buzz\nsine = outside_engines:Fails\nbad = outside_engines:Fails\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    catalogue._entered.cache_clear()
    yield tmp_path
    catalogue._entered.cache_clear()
    for module in ("outside_engines", "broken_engines", "half_engines"):
        sys.modules.pop(module, None)


@pytest.mark.parametrize("engine", [NAMED, "outside_engines:Box.Nested", "buzz"])
@pytest.mark.parametrize("isolate", [False, True])
async def test_a_worker_speaks_with_it(outside: Path, engine: str, isolate: bool) -> None:
    models = (ModelSettings("mine", engine, {"hertz": 220.0, "isolate": isolate}),)
    async with worker(models=models) as stub, talking(stub) as talk:
        assert len(isolated_processes()) == isolate
        await talk.say(1, "Hello from outside.", "And once more.")
        assert (await talk.finished(1)).reason == pb.FINISH_REASON_COMPLETED
        assert talk.samples(1) > 48_000
    assert not isolated_processes()


async def test_as_the_one_engine_of_a_worker(outside: Path) -> None:
    async with worker(engine=NAMED) as stub, talking(stub, model=NAMED) as talk:
        await talk.say(1, "Hello from outside.")
        assert (await talk.finished(1)).reason == pb.FINISH_REASON_COMPLETED


async def test_it_may_ask_for_a_process_of_its_own(outside: Path) -> None:
    import os

    models = (ModelSettings("mine", "outside_engines:Alone", {"worker": str(os.getpid())}),)
    assert is_isolated(ModelSpec("mine", "outside_engines:Alone"))
    async with worker(models=models) as stub, talking(stub) as talk:
        await talk.say(1, "Hello from outside.")
        assert (await talk.finished(1)).reason == pb.FINISH_REASON_COMPLETED


async def test_a_client_cannot_name_code(outside: Path) -> None:
    async with worker() as stub:
        for model in (NAMED, "buzz", "os:abort"):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.StartSession(pb.StartSessionRequest(model=model))
            assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    assert "outside_engines" not in sys.modules


WRONG = [
    ("trumpet", "there are espeak, piper, sine"),
    ("no_such_module:Engine", "No module named 'no_such_module'"),
    ("outside_engines:Engine", "has no attribute 'Engine'"),
    ("outside_engines:", "there are espeak, piper, sine"),
    (":Engine", "there are espeak, piper, sine"),
    ("../outside:Engine", "there are espeak, piper, sine"),
    ("a.b:C:D", "there are espeak, piper, sine"),
    ("broken_engines:Engine", "No module named 'no_such_runtime'"),
    ("half_engines:Half", "SyntaxError"),
    ("outside_engines:Needs", "TypeError"),
    ("outside_engines:Fails", "no licence server"),
    ("bad", "no licence server"),
    ("outside_engines:not_an_engine", "has no method load"),
]


@pytest.mark.parametrize(("engine", "says"), WRONG, ids=[engine for engine, _ in WRONG])
@pytest.mark.parametrize("isolate", [False, True])
async def test_a_name_that_is_none_is_refused_in_words(
    outside: Path, tmp_path: Path, engine: str, says: str, isolate: bool
) -> None:
    models = (ModelSettings("mine", engine, {"isolate": isolate}),)
    with pytest.raises(Misconfigured, match=says) as refused:
        async with serving(TtsWorkerSettings(models=models)):
            pass
    assert "'mine'" in str(refused.value)
    file = tmp_path / "antiphon.toml"
    file.write_text(f'[[tts_worker.models]]\nid = "mine"\nengine = "{engine}"\n')
    (error,) = check_config.check(file, "tts_worker", sections()["tts_worker"])["errors"]
    assert says in error
    assert "'mine'" in error


def test_a_built_in_keeps_its_name(outside: Path) -> None:
    info = inspect(ModelSpec("a", "sine"))
    assert info is not None
    assert info.name == "sine"
