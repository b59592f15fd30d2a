import importlib.util
from pathlib import Path

import pytest

from orchestrator.conversation.commands import Cause
from orchestrator.conversation.history import Item, Role
from orchestrator.ports import Context, Done, Text
from tests.support.responders import StillProgress

pytestmark = pytest.mark.unit

FILE = Path(__file__).parents[3] / "examples" / "parrot_responder.py"


async def test_the_example_answers():
    spec = importlib.util.spec_from_file_location("parrot_responder", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    context = Context(session="s", turn=1, cause=Cause.USER, progress=StillProgress())
    said = [delta async for delta in module.Parrot().reply((Item(Role.USER, "Ahoy"),), context)]
    assert said == [Text("Ahoy! Ahoy! Polly wants a cracker."), Done()]


def test_it_is_as_short_as_the_readme_says():
    code = [line for line in FILE.read_text().splitlines() if line.strip() and not line.startswith('"""')]
    assert len(code) <= 15
