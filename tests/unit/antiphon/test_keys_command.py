"""When a key ends, and what a chat shows."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.commands.chat import access_key
from antiphon.commands.keys import expiry
from antiphon.lan.show import pairing_lines, qr_lines
from antiphon.settings import ChatSettings
from base.errors import BadRequest

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "after"),
    [("", None), ("90m", 5400), ("12h", 43_200), ("30d", 2_592_000), ("2w", 1_209_600), ("1Y", 31_536_000),
     ("2026-11-27", 43_200), ("2026-11-28", 129_600)],
)  # fmt: skip
def test_when_a_key_ends(text: str, after: float | None) -> None:
    assert expiry(text, NOW) == (None if after is None else NOW + after)


@pytest.mark.parametrize("text", ["soon", "d", "-3d", "0h", "3", "2026-13-01", "2026-11-26", "³d", "99999999999999y"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(BadRequest, match="--expires"):
        expiry(text, NOW)


@given(st.text(max_size=20))
def test_any_text_is_a_time_to_come_or_refused(text: str) -> None:
    try:
        found = expiry(text, NOW)
    except BadRequest:
        return
    assert found is None or found > NOW


def test_a_flag_counts_before_the_variable() -> None:
    assert access_key(ChatSettings(key="a"), {"ANTIPHON_KEY": "b"}) == "a"
    assert access_key(ChatSettings(), {"ANTIPHON_KEY": " b\n"}) == "b"
    assert access_key(ChatSettings(), {}) == ""


def test_a_picture_is_whole_and_as_wide_as_it_is_high() -> None:
    lines = qr_lines("https://192.168.1.10:8443/#pair=ABCD-EFGH")
    plain = [line.removeprefix("\033[97;40m").removesuffix("\033[0m") for line in lines]
    assert len({len(line) for line in plain}) == 1
    assert abs(2 * len(plain) - len(plain[0])) <= 1
    assert set("".join(plain)) <= set(" ▀▄█")


def test_without_an_address_there_is_a_code_alone() -> None:
    assert pairing_lines("ABCD-EFGH", "", 600) == ["pairing code  ABCD-EFGH   (once, within 10 min)"]
    assert "https://x/#pair=ABCD-EFGH" in pairing_lines("ABCD-EFGH", "https://x", 600)[-1]
