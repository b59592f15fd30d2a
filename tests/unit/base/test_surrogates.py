"""Halves of characters, joined or replaced."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.surrogates import Halves, whole

pytestmark = pytest.mark.unit


def test_pairs_are_joined_and_lone_halves_replaced() -> None:
    assert whole("a\ud83d\ude00b") == "a\N{GRINNING FACE}b"
    assert whole("a\ud83db\ude00") == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"
    assert whole("plain, grün, \N{GRINNING FACE}") == "plain, grün, \N{GRINNING FACE}"


@given(st.text(st.characters() | st.sampled_from("\ud83d\ude00")), st.data())
def test_however_a_text_is_parted_it_comes_out_the_same(text: str, data: st.DataObject) -> None:
    halves, out, at = Halves(), "", 0
    while at < len(text):
        size = data.draw(st.integers(1, 3))
        out += halves.join(text[at : at + size])
        at += size
    out += halves.join("x")
    assert out == whole(text + "x")
    out.encode()
