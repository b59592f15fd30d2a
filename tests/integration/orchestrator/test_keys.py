"""Access keys: whoever has none of them opens no session."""

from __future__ import annotations

from pathlib import Path

import pytest

from base.errors import Denied, Misconfigured
from orchestrator.app import orchestrator
from orchestrator.messages import CloseCode
from orchestrator.settings import OrchestratorSettings
from tests.support.house import house, plainly
from tests.support.user import raw, user

pytestmark = pytest.mark.integration


@pytest.fixture
def keys(tmp_path: Path) -> str:
    file = tmp_path / "keys"
    file.write_text("\n  first-key \nsecond-key\n", encoding="utf-8")
    return str(file)


async def test_a_session_needs_one_of_the_keys(keys: str) -> None:
    async with house(access_key_file=keys, grace_s=0.2, key="first-key") as here:
        async with user(here.url, at_once=True, key="second-key") as u:
            assert (await u.asks("hello")).heard == "hello"
            token = u.started.resume
            async with raw(here.url) as thief:
                await thief.send(type="session_start", resume=token)
                assert (await thief.wait("error"))["reason"] == "KEY_MISSING"
                assert await thief.closed() == CloseCode.POLICY
        async with raw(here.url, Authorization="Bearer first-key") as client:
            await client.start()
        for key, reason in (("", "KEY_MISSING"), ("third-key", "KEY_UNKNOWN"), ("first-key ", "KEY_UNKNOWN")):
            with pytest.raises(Denied) as refused:
                async with user(here.url, key=key):
                    pass
            assert refused.value.reason == reason
        await here.wait_free()


@pytest.mark.parametrize("content", ["\n \n", None])
async def test_a_file_without_a_key_is_a_mistake(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "keys"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(Misconfigured, match="access_key_file"):
        async with plainly(), orchestrator(OrchestratorSettings(port=0, access_key_file=str(file))):
            pass
