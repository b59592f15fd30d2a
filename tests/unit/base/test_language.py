from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.language import best, closeness, matches, normal, primary

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("wanted", "offered", "near"),
    [
        ("en-US", "en", 2),
        ("en", "en-GB", 2),
        ("en-AU", "en-US", 1),
        ("en_us", "EN-US", 3),
        ("en", "eng", 0),
        ("de", "nl", 0),
        ("zh-Hans-CN", "zh-Hans", 2),
        ("zh", "cmn", 3),
        ("nb-NO", "no", 2),
        ("", "fr", 2),
        ("fr", "*", 2),
        ("de_DE.UTF-8", "de-de", 3),
    ],
)
def test_closeness(wanted: str, offered: str, near: int) -> None:
    assert closeness(wanted, offered) == near
    assert matches(wanted, offered) == (near > 0)


def test_the_best_is_the_closest_and_first_among_equals() -> None:
    assert best("en-GB", ["de", "en-US", "en", "en-GB"]) == "en-GB"
    assert best("en-AU", ["en-US", "en-GB"]) == "en-US"
    assert best("pt-BR", ["pt-PT", "pt"]) == "pt"
    assert best("fr", ["de", "en"]) is None
    assert best("fr", []) is None


TAGS = st.from_regex(r"[a-z]{2,3}(-[A-Z]{2})?", fullmatch=True)


@given(TAGS, TAGS)
def test_closeness_is_symmetric_and_says_what_primary_says(a: str, b: str) -> None:
    assert closeness(a, b) == closeness(b, a)
    assert matches(a, b) == (primary(a) == primary(b))
    assert normal(normal(a)) == normal(a)
