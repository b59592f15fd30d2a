"""The batching form of the port, on a model that a test drives."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from base.errors import Internal, Unavailable
from tts_workers.batching import Batched
from tts_workers.engine import Audio, Done, EngineInfo, Mark, Request, VoiceInfo

pytestmark = pytest.mark.integration

LIMIT_S = 20.0
PIECE = bytes(2 * 1000)


class Model:
    """A step gives each request one piece of 0.1 s, `size` of them; `fault` breaks the next step."""

    def __init__(self, batch: int = 2, size: int = 4) -> None:
        self.info = EngineInfo(
            "test", 10_000, ("en",), (VoiceInfo("a", "A", ("en",)),), "a", "none", streaming=True, batch=batch
        )
        self.size = size
        self.live: dict[int, int] = {}
        self.added: list[str] = []
        self.dropped: list[int] = []
        self.steps = 0
        self.fault: Exception | None = None
        self.threads: set[int] = set()
        self.closed = False
        self.gate = threading.Event()
        self.gate.set()

    def add(self, request: Request) -> int:
        self.threads.add(threading.get_ident())
        assert len(self.live) < self.info.batch
        if request.text == "refuse":
            raise Unavailable("not this", reason="REFUSED")
        self.added.append(request.text)
        id = len(self.added)
        self.live[id] = self.size
        return id

    def step(self) -> list[tuple[int, Audio | Mark | Done]]:
        assert self.gate.wait(LIMIT_S)
        self.threads.add(threading.get_ident())
        self.steps += 1
        fault, self.fault = self.fault, None
        if fault is not None:
            raise fault
        out: list[tuple[int, Audio | Mark | Done]] = []
        for id in list(self.live):
            if self.live[id] == 0:
                del self.live[id]
                out.append((id, Done()))
            else:
                self.live[id] -= 1
                out.append((id, Audio(PIECE)))
        return out

    def drop(self, id: int) -> None:
        self.threads.add(threading.get_ident())
        self.live.pop(id, None)
        self.dropped.append(id)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def batched(model: Model) -> Iterator[Batched]:
    made = Batched(model)
    yield made
    model.gate.set()
    if not model.closed:
        made.close()


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def request(text: str = "x", **more: Any) -> Request:
    return Request(turn=1, text=text, **more)


def test_many_share_the_batch_and_each_gets_all_of_its_own(model: Model, batched: Batched) -> None:
    found: dict[int, int] = {}

    def speak(i: int) -> None:
        found[i] = len(list(batched.synthesize(request(str(i)))))

    threads = [threading.Thread(target=speak, args=(i,)) for i in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == dict.fromkeys(range(9), 4)
    assert len(model.threads) == 1
    assert model.live == {}


def test_the_most_urgent_comes_in_first() -> None:
    model = Model(batch=1)
    model.gate.clear()
    batched = Batched(model)
    threads = [threading.Thread(target=list, args=(batched.synthesize(request("early")),))]
    threads[0].start()
    until(lambda: model.added == ["early"])
    for text, ahead in (("calm", 3.0), ("hungry", 0.1), ("fine", 1.0)):
        items = batched.synthesize(request(text, ahead_s=lambda ahead=ahead: ahead))
        threads.append(threading.Thread(target=list, args=(items,)))
        threads[-1].start()
    until(lambda: len(batched._waiting) == 3)
    model.gate.set()
    for thread in threads:
        thread.join(LIMIT_S)
    batched.close()
    assert model.added == ["early", "hungry", "fine", "calm"]


def test_who_leaves_early_is_dropped_before_the_next_step(model: Model, batched: Batched) -> None:
    model.size = 1000
    items = batched.synthesize(request())
    next(items)
    items.close()  # type: ignore[attr-defined]
    until(lambda: model.dropped == [1])
    assert model.live == {}


def test_a_cancel_is_heeded_though_nobody_reads(model: Model, batched: Batched) -> None:
    model.size = 1000
    cancelled = threading.Event()
    items = batched.synthesize(request(cancelled=cancelled.is_set))
    next(items)
    cancelled.set()
    until(lambda: model.dropped == [1])
    assert list(items) == []


def test_nothing_is_made_while_everybody_has_enough(model: Model, batched: Batched) -> None:
    model.size = 1000
    items = batched.synthesize(request())
    next(items)
    until(lambda: model.steps >= 5)
    time.sleep(0.1)
    assert model.steps <= 8
    for _ in range(50):
        next(items)
    assert model.steps > 40


def test_an_error_of_one_request_is_its_own(model: Model, batched: Batched) -> None:
    with pytest.raises(Unavailable, match="not this"):
        list(batched.synthesize(request("refuse")))
    assert len(list(batched.synthesize(request()))) == 4


def test_a_step_that_breaks_ends_what_was_in_and_not_what_comes(model: Model, batched: Batched) -> None:
    model.fault = RuntimeError("secret")
    with pytest.raises(Internal, match="RuntimeError") as failed:
        list(batched.synthesize(request()))
    assert "secret" not in failed.value.message
    assert len(list(batched.synthesize(request()))) == 4


def test_closing_ends_who_reads_and_who_waits(model: Model, batched: Batched) -> None:
    model.size = 1000
    running = [batched.synthesize(request(str(i))) for i in range(2)]
    for items in running:
        next(items)
    failed: list[Exception] = []

    def wait() -> None:
        try:
            list(batched.synthesize(request("waits")))
        except Unavailable as error:
            failed.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    until(lambda: len(batched._waiting) == 1)
    batched.close()
    waiting.join(LIMIT_S)
    assert len(failed) == 1
    with pytest.raises(Unavailable):
        list(running[0])
    with pytest.raises(Unavailable):
        list(batched.synthesize(request()))
    assert model.closed


def test_a_batch_of_none_is_a_mistake_of_the_engine() -> None:
    with pytest.raises(ValueError, match="batch"):
        Batched(Model(batch=0))
