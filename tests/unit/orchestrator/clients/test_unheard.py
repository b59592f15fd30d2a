"""An utterance that one recogniser after another hears: what is kept of it, and what stands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.clients import unheard
from orchestrator.clients.unheard import KEPT_BYTES, MESSAGE_BYTES, Unheard, continued

pytestmark = pytest.mark.unit

PIECE = bytes(3_200)


@pytest.mark.parametrize(
    ("stable", "text", "expected"),
    [
        ("", "one two", "one two"),
        ("one two", "one two three", "one two three"),
        ("one two", "One, two. Three", "one two. Three"),
        ("I said one two", "I sad one two three", "I said one two three"),
        ("one two three four", "one two.", "one two three four"),
        ("one two", "", "one two"),
        ("one two.", "one two. Three", "one two. Three"),
        ("one two.", "One two, three", "one two. three"),
        ("hello there", "General Kenobi you are", "hello there you are"),
        ("one two", "One two.", "one two."),
        ("今日は", "今日わいい天気", "今日はいい天気"),
    ],
)
def test_stable_text_is_never_taken_back_nor_said_twice(stable: str, text: str, expected: str) -> None:
    assert continued(stable, text, whole=True) == expected


@pytest.mark.parametrize(
    ("stable", "text", "expected"),
    [
        ("one two three four five", "three for five six seven", "one two three four five six seven"),
        ("one two three", "three", "one two three"),
        ("one two three", "four five", "one two three four five"),
        ("今日は", "いい天気", "今日はいい天気"),
    ],
)
def test_who_heard_the_end_of_it_alone_goes_on_from_there(stable: str, text: str, expected: str) -> None:
    assert continued(stable, text, whole=False) == expected


WORDS = st.lists(st.sampled_from(["one", "Two", "three,", "four.", "五", "six?", "seven"]), max_size=12).map(" ".join)


@given(stable=WORDS, text=WORDS, whole=st.booleans())
def test_whatever_is_heard_stable_text_stands(stable: str, text: str, whole: bool) -> None:
    assert continued(stable, text, whole=whole).startswith(stable)


@given(said=st.lists(st.integers(0, 10_000), unique=True, min_size=1, max_size=30), data=st.data())
def test_whoever_hears_the_same_words_says_each_once(said: list[int], data: st.DataObject) -> None:
    names = [f"word{n}" for n in said]
    until = data.draw(st.integers(0, len(names)))
    since = data.draw(st.integers(0, until))
    stable, again = " ".join(names[:until]), " ".join(names[since:])
    assert continued(stable, again, whole=False) == " ".join(names)
    assert continued(stable, " ".join(names).upper(), whole=True).casefold() == " ".join(names)


def told(made: Unheard) -> list[tuple[int, bytes]]:
    return list(iter(made.untold, None))


def heard(*partials: tuple[str, int]) -> Unheard:
    made = Unheard(1)
    for text, stable in partials:
        made.partial(text, stable)
    return made


def test_the_first_recognisers_news_is_told_as_it_is() -> None:
    made = Unheard(1)
    assert made.partial("one too", 3) == ("one too", 3)
    assert made.partial("one two three", 7) == ("one two three", 7)
    assert made.final("one two three four") == "one two three four"


def test_the_next_one_says_nothing_until_it_has_come_as_far_and_then_goes_on() -> None:
    made = heard(("one two three fo", 13))
    made.lost()
    assert made.partial("One", 0) is None
    assert made.partial("One, two tree.", 0) is None
    assert made.partial("One, two tree four five", 18) == ("one two three four five", 18)
    assert made.final("One two tree four. Five") == "one two three four. Five"


def test_once_it_has_caught_up_its_text_is_not_laid_beside_the_stable_one_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That takes milliseconds of everybody's time when much was said."""
    said = [f"word{n}" for n in range(300)]
    laid = []
    monkeypatch.setattr(unheard, "continued", lambda *args, **more: laid.append(1) or continued(*args, **more))
    made = heard((" ".join(said[:40]), len(" ".join(said[:38]))))
    made.lost()
    for count in range(30, 300, 2):
        again = " ".join(said[:count]).upper()
        news = made.partial(again, len(" ".join(said[: count - 2])))
        assert (news is None) == (count < 40)
        if news is not None:
            assert news[0].casefold() == again.casefold()
    assert len(laid) < 12
    assert made.final(" ".join(["Word0, two", *said[2:300]])).startswith(" ".join(said[:38])), "it says it otherwise"
    assert len(laid) < 13


def test_however_much_is_to_be_laid_beside_it_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    overlap = unheard._overlap

    def noted(said: list[str], found: list[str], *, whole: bool) -> int:
        compared.append(len(said) * len(found))
        return overlap(said, found, whole=whole)

    monkeypatch.setattr(unheard, "_overlap", noted)
    said = [f"word{n}" for n in range(2_000)]
    text = " ".join(said).upper()
    for stable in (100, 1_900):
        assert continued(" ".join(said[:stable]), text, whole=stable < 500)
    assert continued(" ".join(said[:1_900]), text, whole=False).endswith(
        "word1899 WORD1900" + text.split("WORD1900")[1]
    )
    assert max(compared) <= 120 * 240


def test_what_a_recogniser_ends_as_too_long_stands_and_what_it_did_not_hear_is_kept() -> None:
    made = heard(("one two th", 7))
    made.wire, made.losses = 4, 1
    for number in range(5):
        made.audio(number * 1_600, PIECE)
    assert made.final("one two three") == "one two three"
    made.go_on(3 * 1_600)
    assert (made.text, made.wire, made.losses, made.given_up) == ("one two three", None, 0, 0)
    assert [(at, len(pcm)) for at, pcm in told(made)] == [(3 * 1_600, 2 * len(PIECE))]
    assert made.kept_bytes == 2 * len(PIECE)
    assert made.partial("four", 0) == ("one two three four", 14)
    made.lost()
    assert made.final("four five") == "one two three four five"


def test_of_what_was_only_guessed_the_newer_ones_word_counts() -> None:
    made = heard(("one two free", 7))
    made.lost()
    assert made.final("one two three") == "one two three"
    made = heard(("one two free", 7))
    made.lost()
    assert made.final("") == "one two"


def test_what_is_given_up_stands_and_what_follows_is_heard_for_itself() -> None:
    made = heard(("one two th", 7))
    made.audio(0, PIECE)
    made.give_up()
    assert (made.text, made.kept_bytes, told(made)) == ("one two th", 0, [])
    assert made.partial("one", 3) == ("one two th one", 14)
    assert made.final("one more") == "one two th one more"


def test_given_up_without_a_word_it_says_what_follows() -> None:
    made = heard()
    made.give_up()
    assert made.partial("five", 0) == ("five", 0)
    assert made.final("five six") == "five six"


def test_the_newest_audio_is_kept_and_no_more_than_there_is_room_for() -> None:
    made = Unheard(1)
    for number in range(250):
        made.audio(number * 1_600, PIECE)
    assert made.kept_bytes == KEPT_BYTES
    messages = told(made)
    assert sum(len(pcm) for _, pcm in messages) == KEPT_BYTES
    assert all(len(pcm) <= MESSAGE_BYTES for _, pcm in messages)
    assert len(messages) == KEPT_BYTES // MESSAGE_BYTES
    assert [sample for sample, _ in messages] == [80_000 + 16_000 * n for n in range(len(messages))]


def test_where_its_beginning_is_kept_no_longer_the_stable_text_of_it_stands_before_the_rest() -> None:
    made = heard(("one two three four five", 23))
    for number in range(250):
        made.audio(number * 1_600, PIECE)
    made.lost()
    assert made.final("for five six") == "one two three four five six"


def test_no_audio_is_kept_that_is_not_needed() -> None:
    made = Unheard(1)
    made.audio(0, PIECE)
    made.forget()
    assert made.kept_bytes == 0
    assert not told(made)


def test_what_has_waited_is_told_in_one_piece_and_once() -> None:
    made = Unheard(1)
    made.begin(7)
    for number in range(3):
        made.audio(number * 1_600, PIECE)
    assert made.waits
    assert told(made) == [(0, PIECE * 3)]
    assert not made.waits
    made.audio(4_800, PIECE)
    assert told(made) == [(4_800, PIECE)]


def test_whoever_hears_it_next_is_told_all_of_it() -> None:
    made = Unheard(1)
    made.begin(7)
    made.audio(0, PIECE)
    told(made)
    made.lost()
    made.audio(1_600, PIECE)
    made.begin(8)
    assert told(made) == [(0, PIECE * 2)]


def test_it_is_known_when_somebody_takes_so_little_that_some_is_given_up_untold() -> None:
    made = Unheard(1)
    made.begin(7)
    for number in range(KEPT_BYTES // len(PIECE)):
        made.audio(number * 1_600, PIECE)
    assert made.untold() is not None
    for number in range(MESSAGE_BYTES // len(PIECE)):
        made.audio(320_000 + number * 1_600, PIECE)
    assert not made.overrun
    made.audio(336_000, PIECE)
    assert made.overrun
    made.begin(8)
    assert not made.overrun


def test_what_nobody_hears_is_given_up_untold_without_a_word() -> None:
    made = Unheard(1)
    for number in range(250):
        made.audio(number * 1_600, PIECE)
    assert not made.overrun


@given(data=st.data())
def test_whatever_happens_to_its_recognisers_stable_text_is_never_taken_back(data: st.DataObject) -> None:
    """Each says the words that were said, more of them each time, some of them misheard."""
    said = [f"word{n}" for n in range(12)]
    made, shown, at = Unheard(1), "", 0
    mishears: frozenset[int] = frozenset()
    base = most = 0
    for _ in range(data.draw(st.integers(1, 12))):
        match data.draw(st.sampled_from(["partial", "partial", "partial", "lost", "given up"])):
            case "lost":
                made.lost()
                mishears, at = data.draw(st.frozensets(st.integers(0, 11), max_size=3)), base
            case "given up":
                made.give_up()
                base = at = most
            case _:
                at = data.draw(st.integers(at, 12))
                most = max(most, at)
                words = [f"noise{n}" if n in mishears else said[n] for n in range(base, at)]
                stable = " ".join(words[: data.draw(st.integers(0, len(words)))])
                news = made.partial(" ".join(words), len(stable))
                if news is not None:
                    text, count = news
                    assert text.startswith(shown)
                    assert count >= len(shown)
                    shown = text[:count]
                    assert len(set(text.split())) == len(text.split()), "nothing is said twice"
    words = [f"noise{n}" if n in mishears else said[n] for n in range(base, 12)]
    assert made.final(" ".join(words)).startswith(shown)
