import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.responders.tour import lines
from orchestrator.responders.tour.counting import Cut, count_text, find_cut

pytestmark = pytest.mark.unit

INTRO = "I'm going to count to twenty. Talk over me whenever you like; any word will do."


def told(end: int = 20) -> list[str]:
    return [*INTRO.split(), *count_text(1, end)]


@pytest.mark.parametrize("heard", range(1, 20))
def test_a_cut_between_two_numbers(heard: int):
    place = len(INTRO.split()) + heard
    words = told()
    assert find_cut(" ".join(words[:place]), " ".join(words[place:])) == Cut(heard, heard + 1, 20)


@pytest.mark.parametrize("heard", range(2, 20))
def test_what_was_to_come_need_not_have_been_written(heard: int):
    words = told()[: len(INTRO.split()) + heard]
    assert find_cut(" ".join(words), "") == Cut(heard, heard + 1, 20)


@pytest.mark.parametrize("ending", ["six", "six,", "Six…", "“six”"])
def test_punctuation_of_what_was_heard_does_not_matter(ending: str):
    assert find_cut(f"One, two, three, four, five, {ending}", "seven, eight.") == Cut(6, 7, 8)


def test_before_the_first_number():
    assert find_cut(INTRO, " ".join(count_text(1, 20))) == Cut(None, 1, 20)


def test_after_the_last():
    assert find_cut(" ".join(told()), "") == Cut(20, None, 20)
    assert find_cut(" ".join(told(10)), "There, and you let me finish.") == Cut(10, None, 10)


def test_a_count_that_went_on_was_heard_up_to_there():
    assert find_cut("Where was I.", "Seven, eight, nine.") == Cut(6, 7, 9)
    assert find_cut("Where was I. Seven,", "eight, nine.") == Cut(7, 8, 9)


def test_what_follows_a_count_is_not_of_it():
    assert find_cut(f"{' '.join(told())} There, and you", "let me finish.") is None
    assert find_cut("One, two,", "three. There, and four of them.") == Cut(2, 3, 3)


@pytest.mark.parametrize(
    "text",
    [
        "You stopped me at seven; the last number you heard was six.",
        "It's a quarter to one in the afternoon, by the clock here.",
        "I heard two noises, took them for coughs, and went on each time where I was.",
        "This is number two of three.",
        INTRO,
        *lines.STORIES,
    ],
)
def test_other_sentences_hold_no_count_wherever_they_are_cut(text: str):
    words = text.split()
    for place in range(len(words) + 1):
        assert find_cut(" ".join(words[:place]), " ".join(words[place:])) is None


@given(st.text(), st.text())
def test_anything_can_be_cut(heard: str, unheard: str):
    find_cut(heard, unheard)


@given(st.integers(1, 49), st.integers(1, 50))
def test_any_count(heard: int, end: int):
    words = count_text(1, max(end, heard + 1))
    assert find_cut(" ".join(words[:heard]), " ".join(words[heard:])) == Cut(heard, heard + 1, len(words))
