from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from antiphon.up.brains import Brain, Memory, choose
from orchestrator.responders.openai import Endpoint, look
from tests.support.openai_server import openai_server

pytestmark = pytest.mark.integration

OLLAMA = Endpoint("ollama", "http://127.0.0.1:11434/v1", ("llama3.2", "qwen3"))


class Case:
    def __init__(self, tmp_path: Path, *found: Endpoint, answers: Sequence[str | None] | None = None) -> None:
        self.memory = Memory(tmp_path / "up.json")
        self.found = list(found)
        self.answers = None if answers is None else list(answers)
        self.told: list[str] = []

    async def choose(self, url: str = "", model: str = "") -> Brain:
        async def discover() -> list[Endpoint]:
            return self.found

        async def ask(_question: str) -> str | None:
            assert self.answers is not None
            return self.answers.pop(0)

        return await choose(
            url,
            model,
            discover=discover,
            look=look,
            memory=self.memory,
            ask=None if self.answers is None else ask,
            tell=self.told.append,
        )


async def test_what_is_named_is_taken_without_a_word(tmp_path: Path) -> None:
    case = Case(tmp_path, OLLAMA)
    async with openai_server() as server:
        assert await case.choose(server.url, "m") == Brain(server.url, "m")
    assert await case.choose("none") == Brain()
    assert case.told == []


async def test_an_address_without_a_model_gets_its_first(tmp_path: Path) -> None:
    async with openai_server() as server:
        server.models = ["first", "second"]
        assert await Case(tmp_path).choose(server.url) == Brain(server.url, "first")
        server.models = []
        assert await Case(tmp_path).choose(server.url) == Brain(server.url, "")


async def test_an_address_without_its_end_is_put_right_and_said(tmp_path: Path) -> None:
    case = Case(tmp_path)
    async with openai_server() as server:
        base = server.url.removesuffix("/v1")
        assert await case.choose(base) == Brain(server.url, "gguf")
    assert case.told == [f"--llm {base}: its models are at {server.url}, which is used"]


async def test_an_address_where_nothing_answers_is_said_at_once_and_kept(tmp_path: Path) -> None:
    case = Case(tmp_path)
    assert await case.choose("http://127.0.0.1:9", "m") == Brain("http://127.0.0.1:9", "m")
    (line,) = case.told
    assert "nothing answers there" in line


async def test_the_answer_is_asked_for_once(tmp_path: Path) -> None:
    case = Case(tmp_path, OLLAMA, answers=["7", "what", "2"])
    assert await case.choose() == Brain(OLLAMA.url, "qwen3")
    again = Case(tmp_path, OLLAMA, answers=[])
    assert await again.choose() == Brain(OLLAMA.url, "qwen3")
    assert "as last time" in again.told[0]


async def test_nobody_is_an_answer_that_is_remembered(tmp_path: Path) -> None:
    assert await Case(tmp_path, OLLAMA, answers=["n"]).choose() == Brain()
    assert await Case(tmp_path, OLLAMA, answers=[]).choose() == Brain()


async def test_enter_takes_the_first(tmp_path: Path) -> None:
    assert await Case(tmp_path, OLLAMA, answers=[""]).choose() == Brain(OLLAMA.url, "llama3.2")


async def test_without_a_terminal_nobody_is_asked_and_the_flags_are_shown(tmp_path: Path) -> None:
    case = Case(tmp_path, OLLAMA)
    assert await case.choose() == Brain()
    assert "--llm http://127.0.0.1:11434/v1 --model llama3.2" in case.told[0]


async def test_no_answer_is_not_remembered(tmp_path: Path) -> None:
    assert await Case(tmp_path, OLLAMA, answers=[None]).choose() == Brain()
    assert Memory(tmp_path / "up.json").recall() is None


async def test_a_remembered_model_that_is_gone_is_said(tmp_path: Path) -> None:
    Memory(tmp_path / "up.json").keep(Brain("http://gone/v1", "old"))
    case = Case(tmp_path)
    assert await case.choose() == Brain()
    assert "not there now" in case.told[0]


async def test_a_model_alone_is_looked_for(tmp_path: Path) -> None:
    assert await Case(tmp_path, OLLAMA).choose("", "qwen3") == Brain(OLLAMA.url, "qwen3")
    case = Case(tmp_path, OLLAMA)
    assert await case.choose("", "gpt-9") == Brain()
    assert "gpt-9" in case.told[0]


def test_a_broken_memory_is_none(tmp_path: Path) -> None:
    (tmp_path / "up.json").write_text('{"llm": 3}')
    assert Memory(tmp_path / "up.json").recall() is None


def test_the_flags_are_the_orchestrators() -> None:
    assert Brain().flags == []
    assert Brain("u", "m").flags == ["--responder", "openai", "--llm-url", "u", "--llm-model", "m"]
