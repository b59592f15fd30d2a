"""base.rpc_token: what a token file may hold, and where one is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from base.address import is_loopback
from base.errors import Misconfigured
from base.rpc_token import NONE, Token, read_token

pytestmark = pytest.mark.unit

GOOD = "0123456789abcdef0123456789abcdef"
OTHER = "fedcba9876543210fedcba9876543210"


def file(tmp_path: Path, text: str | bytes) -> str:
    path = tmp_path / "token"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def test_the_first_line_is_sent_and_every_line_is_taken(tmp_path: Path) -> None:
    token = read_token(file(tmp_path, f"{GOOD}\n\n  {OTHER} \n"), host="0.0.0.0")
    assert token.metadata() == (("authorization", f"Bearer {GOOD}"),)
    assert token.accepts(f"Bearer {GOOD}")
    assert token.accepts(f"Bearer {OTHER}")
    for wrong in (GOOD, f"bearer {GOOD}", f"Bearer {GOOD}x", "Bearer ", "", "Bearer é"):
        assert not token.accepts(wrong)


def test_a_token_is_not_shown(tmp_path: Path) -> None:
    assert GOOD not in repr(read_token(file(tmp_path, GOOD)))


def test_without_a_token_only_loopback_is_served() -> None:
    for host in ("127.0.0.1", "127.8.9.10", "::1", "[::1]", "localhost", ""):
        assert read_token("", host=host) is NONE
    for host in ("0.0.0.0", "::", "10.0.0.7", "gpu1", "192.168.1.4"):
        with pytest.raises(
            Misconfigured, match=r"set worker_token_file to a file .*or serve on 127\.0\.0\.1"
        ) as caught:
            read_token("", host=host)
        assert caught.value.reason == "NO_TOKEN"
    assert not is_loopback("localhost.example")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        (" \n\n", "is empty"),
        ("change-me", "token 1 is no good"),
        (f"{GOOD}\nshort", "token 2 is no good"),
        ("0123456789 abcdef0", "without spaces"),
        ("ünicode-ünicode-ünicode", "ASCII"),
        (b"\xff\xfe\x00binary", "it is not text"),
    ],
)
def test_what_is_no_token_is_said_without_showing_it(tmp_path: Path, text: str | bytes, says: str) -> None:
    with pytest.raises(Misconfigured, match=says) as caught:
        read_token(file(tmp_path, text), source="ANTIPHON_WORKER_TOKEN_FILE")
    assert "ANTIPHON_WORKER_TOKEN_FILE" in caught.value.message
    assert GOOD not in caught.value.message


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = str(tmp_path / "nowhere")
    with pytest.raises(Misconfigured, match=r"nowhere.*No such file"):
        read_token(missing)


def test_no_token_sends_nothing() -> None:
    assert not Token()
    assert Token().metadata() == ()
